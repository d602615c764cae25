/*
 * guard.h: letting what records past the guards.
 */
#ifndef PROMOTE_LEDGER_GUARD_H
#define PROMOTE_LEDGER_GUARD_H

#include "postgres.h"

#include "commands/trigger.h"
#include "base/sql.h"

extern bool guard_open(bool open);
extern bool guard_is_open(void);
extern bool loading_rows(void);
extern int	guarded_run(const Sql *sql, OldStatement *statement, Datum *values, const bool *nulls);
extern void guarded_rewrite(const Sql *sql, OldStatement *statement, Datum *values, const bool *nulls);
extern bool column_differs(TriggerData *data, const char *column);
extern bool same_value(Datum a, Datum b, bool byval, int16 length);

#endif							/* PROMOTE_LEDGER_GUARD_H */
