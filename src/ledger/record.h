/*
 * record.h: recording in the audit log what is done to rows, and the recorded rows as they are now.
 */
#ifndef PROMOTE_LEDGER_RECORD_H
#define PROMOTE_LEDGER_RECORD_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

#include "base/sql.h"
#include "parse/name.h"

extern void record_written(Relation table, HeapTuple row);
extern Jsonb *record_returned(HeapTupleHeader row);
extern void record_plan_changes(const Sql *sql, const InstanceKey *key, int32 deployment, int32 fencing);
extern void record_log(const Sql *sql, const InstanceKey *key, int32 deployment);

#endif							/* PROMOTE_LEDGER_RECORD_H */
