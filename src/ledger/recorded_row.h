/*
 * recorded_row.h: what the log has of a row.
 */
#ifndef PROMOTE_LEDGER_RECORDED_ROW_H
#define PROMOTE_LEDGER_RECORDED_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* What the audit log has of a row. */
typedef struct RecordedRow
{
	const char *project;		/* the chain's; * where the row is of none */
	const char *subject;		/* the chain that tells of it */
	const char *name;			/* its table and key */
	Jsonb	   *facts;
} RecordedRow;

extern void record_append_key(StringInfo key, const char *value);
extern char *record_subject(Relation table, const StringInfo key);
extern void record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read);

#endif							/* PROMOTE_LEDGER_RECORDED_ROW_H */
