/*
 * record.h: recording in the audit log what is done to rows.
 */
#ifndef PROMOTE_LEDGER_RECORD_H
#define PROMOTE_LEDGER_RECORD_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/rel.h"

extern void record_written(Relation table, HeapTuple row);

#endif							/* PROMOTE_LEDGER_RECORD_H */
