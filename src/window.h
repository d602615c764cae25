/*
 * window.h: when something may be deployed: stopped lines, freezes, change
 * windows and their budgets.
 */
#ifndef PROMOTE_WINDOW_H
#define PROMOTE_WINDOW_H

#include "postgres.h"

#include "calendar.h"
#include "gate.h"
#include "name.h"
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

extern WindowSet *window_read(const char *project, const char *environment, const char *component);
extern void window_lock_budgets(GateCase *gate);
extern bool window_holds(const InstanceKey *key, int32 deployment, TimestampTz at,
						 TimestampTz *until);

extern void gate_stopped(GateCase *gate);
extern void gate_freeze(GateCase *gate);
extern void gate_window(GateCase *gate);
extern void gate_budget(GateCase *gate);

#endif							/* PROMOTE_WINDOW_H */
