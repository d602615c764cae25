/*
 * record_rows.h: the rows that the recorders keep in the log, as they are now.
 */
#ifndef PROMOTE_LEDGER_RECORD_ROWS_H
#define PROMOTE_LEDGER_RECORD_ROWS_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"

extern void record_plan_changes(const Sql *sql, const InstanceKey *key, int32 deployment, int32 fencing);
extern void record_log(const Sql *sql, const InstanceKey *key, int32 deployment);

#endif							/* PROMOTE_LEDGER_RECORD_ROWS_H */
