/*
 * window.h: when something may be deployed: stopped lines, freezes, change
 * windows and their budgets.
 */
#ifndef PROMOTE_GATE_WINDOW_H
#define PROMOTE_GATE_WINDOW_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "parse/calendar.h"
#include "parse/name.h"
#include "utils/rangetypes.h"

/* A table's row of windows, but for the scope and the words. */
typedef struct WindowText
{
	RangeType  *during;			/* NULL: it recurs, or is once in local time */
	CalendarText calendar;
} WindowText;

/* The rules of some instances, read once and judged for many times. */
typedef struct WindowSet WindowSet;

extern void window_range(const RangeType *during, TimestampTz *lower, TimestampTz *upper);

extern WindowSet *window_read(const Sql *sql, const char *project, const char *environment, const char *component);
extern bool window_may_hold(const WindowSet *set, TimestampTz at);
extern void window_lock_budgets(const Sql *sql, GateCase *gate);

extern void gate_stopped(const Sql *sql, GateCase *gate);
extern void gate_freeze(const Sql *sql, GateCase *gate);
extern void gate_window(const Sql *sql, GateCase *gate);
extern void gate_budget(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_WINDOW_H */
