/*
 * record.h: what is done to rows that people write themselves, in the log.
 */
#ifndef PROMOTE_RECORD_H
#define PROMOTE_RECORD_H

#include "postgres.h"

#include "access/htup.h"
#include "commands/trigger.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* What the audit log has of a row. */
typedef struct RecordedRow
{
	const char *project;		/* the chain's; * where the row is of none */
	const char *subject;
	Jsonb	   *facts;
} RecordedRow;

extern Trigger *record_trigger(Relation table);
extern void record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read);

#endif							/* PROMOTE_RECORD_H */
