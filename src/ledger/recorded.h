/*
 * recorded.h: which tables are recorded, by which triggers, and in which chains.
 */
#ifndef PROMOTE_LEDGER_RECORDED_H
#define PROMOTE_LEDGER_RECORDED_H

#include "postgres.h"

#include "commands/trigger.h"
#include "utils/rel.h"

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
extern bool record_column(const Trigger *trigger, const char *column);
extern bool record_owns(Relation table, const char *column);
extern const ChainKind *record_kind(const Trigger *trigger);
extern bool record_has_project(const Trigger *trigger);
extern bool record_is_set(Relation table);

#endif							/* PROMOTE_LEDGER_RECORDED_H */
