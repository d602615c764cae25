/*
 * record.h: what is done to rows that people write themselves, in the log.
 */
#ifndef PROMOTE_RECORD_H
#define PROMOTE_RECORD_H

#include "postgres.h"

#include "name.h"

#include "access/htup.h"
#include "commands/trigger.h"
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

/* How the chains of rows that verbs write are called. */
typedef struct ChainKind
{
	const char *name;			/* the first argument of the trigger */
	const char *format;			/* of the subject, with a %s for each of the columns */
	const char *columns[3];
	const char *condition;		/* which rows t belong to the chain $1 */
} ChainKind;

extern Relation record_table(Oid row_type);
extern Trigger *record_trigger(Relation table, const char *name);
extern bool record_owns(Relation table, const char *column);
extern const ChainKind *record_kind(const Trigger *trigger);
extern bool record_has_project(const Trigger *trigger);
extern bool record_is_set(Relation table);
extern void record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read);
extern void record_plan_changes(const InstanceKey *key, int32 deployment, int32 fencing);
extern void record_log(const InstanceKey *key, int32 deployment);
extern void record_written(Relation table, HeapTuple row);

#endif							/* PROMOTE_RECORD_H */
