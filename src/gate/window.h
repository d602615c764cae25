/*
 * window.h: when something may be deployed: stopped lines, freezes, change
 * windows and their budgets.  The gates are declared in gate.h.
 */
#ifndef PROMOTE_GATE_WINDOW_H
#define PROMOTE_GATE_WINDOW_H

#include "postgres.h"

#include "utils/rangetypes.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "parse/calendar.h"

/* The rules of some instances, read once and judged for many times. */
typedef struct WindowSet WindowSet;

extern void window_range(const RangeType *during, TimestampTz *lower, TimestampTz *upper);
extern WindowSet *window_read(const Sql *sql, const char *project, const char *environment, const char *component);
extern void window_refuse(const char *name, const char *message, const char *detail, const char *hint);
extern void window_check_words(const char *name, const Jsonb *selector);
extern void window_check_range(const char *name, const RangeType *during, bool must_end);
extern WindowSet *window_suppose(const Sql *sql, const Jsonb *document);
extern bool window_selects(const WindowSet *set);
extern bool window_may_hold(const WindowSet *set, TimestampTz at);
extern bool window_has_budgets(const WindowSet *set);
extern void window_lock_budgets(const Sql *sql, GateCase *gate);
extern void window_lock_all_budgets(const Sql *sql, const InstanceKey *keys, int count);
extern bool *window_hold_cases(const Sql *sql, const InstanceKey *keys, int count);

#endif							/* PROMOTE_GATE_WINDOW_H */
