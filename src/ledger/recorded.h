/*
 * recorded.h: which tables are recorded, by which triggers and in which chains, and how the
 * log names and describes a row.
 */
#ifndef PROMOTE_LEDGER_RECORDED_H
#define PROMOTE_LEDGER_RECORDED_H

#include "postgres.h"

#include "access/htup.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* A kind of chain that covers rows which verbs write. */
typedef struct ChainKind
{
	const char *name;			/* the first argument of the trigger */
	const char *format;			/* of the subject, with a %s for each of the columns */
	const char *columns[3];
	const char *condition;		/* which rows t belong to the chain $1 */
} ChainKind;

/* How the audit log names and describes a row. */
typedef struct RecordedRow
{
	const char *project;		/* the chain's; * where the row has no project */
	const char *subject;		/* the chain that records the row */
	const char *name;			/* its table and key */
	Jsonb	   *facts;
} RecordedRow;

extern Trigger *record_trigger(Relation table, const char *name);
extern bool record_column(const Trigger *trigger, const char *column);
extern bool record_owns(Relation table, const char *column);
extern const ChainKind *record_kind(const Trigger *trigger);
extern bool record_has_project(const Trigger *trigger);
extern bool record_is_set(Relation table);
extern List *record_key(Relation table);
extern void record_append_key(StringInfo key, const char *value);
extern char *record_subject(Relation table, const StringInfo key);
extern void record_name(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read);
extern void record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read);
extern Jsonb *record_facts(Relation table, const Trigger *trigger, HeapTuple row);
extern Relation record_table(Oid row_type);
extern Jsonb *record_facts_of_value(HeapTupleHeader row, bool named, const char *const *names, int count);

#endif							/* PROMOTE_LEDGER_RECORDED_H */
