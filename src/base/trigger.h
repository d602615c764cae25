/*
 * trigger.h: the checks that every trigger function begins with, and reading its rows.
 */
#ifndef PROMOTE_BASE_TRIGGER_H
#define PROMOTE_BASE_TRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

#include "base/value.h"

/*
 * The head of a trigger's function, behind its type.  Where a subscription applies a row, it is let through unjudged
 * and leaves nothing behind: it was judged and recorded where it was written, and so was all that followed.
 */
#define TRIGGER_FUNCTION(name) \
	name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	static Datum name##_unapplied(PG_FUNCTION_ARGS); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return trigger_is_applied(fcinfo) ? trigger_pass(fcinfo) : name##_unapplied(fcinfo); \
	} \
	static Datum \
	name##_unapplied(PG_FUNCTION_ARGS)

extern bool trigger_is_applied(FunctionCallInfo fcinfo);
extern Datum trigger_pass(FunctionCallInfo fcinfo);
extern TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *table, TriggerEvent timing);
extern HeapTuple trigger_row(const TriggerData *data);
extern NullableDatum trigger_value(const TriggerData *data, HeapTuple row, const char *column);
extern bool trigger_differs(const TriggerData *data, const char *column);
extern List *trigger_changes(const TriggerData *data);
/* The rows that a statement has updated, for its trigger with both transition tables. */
typedef struct TransitionRows
{
	const TriggerData *data;
	int			pointers[2];	/* where the tables are read, the old one first */
	TupleTableSlot *slots[2];
	bool		left;			/* is there a row that was not read yet? */
} TransitionRows;

extern bool transition_open(const TriggerData *data, TransitionRows *rows);
extern void transition_row(const TransitionRows *rows, TriggerData *row);
extern void transition_next(TransitionRows *rows);
extern void transition_close(TransitionRows *rows);
extern HeapTuple trigger_with(const TriggerData *data, HeapTuple row, const char *column, Datum value);

/*
 * Columns of a row of the trigger's table, by name, as base/value.h reads them.  A column that the
 * table does not have is NULL.
 */
#define trigger_is_null(data, row, column) (trigger_value(data, row, column).isnull)
#define trigger_text(data, row, column) value_text(trigger_value(data, row, column))
#define trigger_int(data, row, column) value_int(trigger_value(data, row, column))
#define trigger_bool(data, row, column) value_bool(trigger_value(data, row, column))
#define trigger_time(data, row, column) value_time(trigger_value(data, row, column))
#define trigger_jsonb(data, row, column) value_jsonb(trigger_value(data, row, column))

#endif							/* PROMOTE_BASE_TRIGGER_H */
