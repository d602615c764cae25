/*
 * trigger.c: the checks that every trigger function begins with, and reading its rows.
 *
 * The owner of any table can attach any trigger function to it.  promote's functions know the
 * columns of their own tables only, so they refuse all other tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/trigger.h"

/*
 * Does a subscription apply the row that fired this trigger?  Its worker says so, which no session
 * can make itself, and it writes by the rights of the table's owner, who could disable the trigger
 * as well.  A row that code of somebody's writes there, in a trigger that fires for rows that are
 * applied, is one like any other.  (In a CHECK or an index it is not told apart: that code has the
 * owner's rights, too, and verify_audit finds what it rewrote.)
 */
bool
trigger_is_applied(FunctionCallInfo fcinfo)
{
	const TriggerData *data = (const TriggerData *) fcinfo->context;

	return IsLogicalWorker() && CALLED_AS_TRIGGER(fcinfo) &&
		DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) == 1 &&
		DatumGetBool(DirectFunctionCall2(pg_has_role_id, ObjectIdGetDatum(data->tg_relation->rd_rel->relowner),
										 CStringGetTextDatum("USAGE")));
}

/* What a trigger returns that leaves the row as it is, and lets it through. */
Datum
trigger_pass(FunctionCallInfo fcinfo)
{
	const TriggerData *data = (const TriggerData *) fcinfo->context;
	bool		is_asked = TRIGGER_FIRED_BEFORE(data->tg_event) && TRIGGER_FIRED_FOR_ROW(data->tg_event);

	return PointerGetDatum(is_asked ? trigger_row(data) : NULL);
}

/*
 * The trigger's data.  Raises an error of the trigger protocol unless the function was called
 * as a trigger of promote.<table> (NULL: any table of that schema) at the given timing and
 * level.
 */
TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *table, TriggerEvent timing)
{
	const TriggerEvent mask = TRIGGER_EVENT_TIMINGMASK | TRIGGER_EVENT_ROW;
	TriggerData *data = (TriggerData *) fcinfo->context;
	char	   *schema;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", get_func_name(fcinfo->flinfo->fn_oid))));
	schema = get_namespace_name(RelationGetNamespace(data->tg_relation));
	if (schema == NULL || strcmp(schema, "promote") != 0 ||
		(table && strcmp(RelationGetRelationName(data->tg_relation), table) != 0) ||
		(data->tg_event & mask) != timing)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not made for this trigger", get_func_name(fcinfo->flinfo->fn_oid))));
	return data;
}

/* The row after the statement: the new row of an update, otherwise the only row. */
HeapTuple
trigger_row(const TriggerData *data)
{
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

#define GUESSES 256				/* a power of 2 */

/*
 * The number of a column; not above 0 where the table does not have it.  Looking a name up takes longer than what is
 * done with most values, so the last answer for a name at that place of memory is tried first.
 */
static int
column_number(TupleDesc row_type, const char *column)
{
	static int16 guesses[GUESSES];
	int16	   *guess = &guesses[((uintptr_t) column >> 3) % GUESSES];
	int			number;

	if (*guess > 0 && *guess <= row_type->natts && !TupleDescAttr(row_type, *guess - 1)->attisdropped &&
		strcmp(NameStr(TupleDescAttr(row_type, *guess - 1)->attname), column) == 0)
		return *guess;
	number = SPI_fnumber(row_type, column);
	if (number > 0)
		*guess = number;
	return number;
}

/* The value of a column; NULL where the table does not have it. */
NullableDatum
trigger_value(const TriggerData *data, HeapTuple row, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			number = column_number(row_type, column);
	NullableDatum value = {.isnull = true};

	if (number > 0)
		value.value = heap_getattr(row, number, row_type, &value.isnull);
	return value;
}

/* Are two values of a column equal?  Two pointers to one stored value are equal without fetching it. */
static bool
same_value(Datum a, Datum b, bool byval, int16 length)
{
	if (!byval && length == -1 &&
		VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(a)) && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(b)) &&
		memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE_EXTERNAL(DatumGetPointer(a))) == 0)
		return true;
	return datum_image_eq(a, b, byval, length);
}

/* Are the values of a column different? */
static bool
differ(TupleDesc row_type, int number, NullableDatum old, NullableDatum new)
{
	if (old.isnull || new.isnull)
		return old.isnull != new.isnull;
	return !same_value(old.value, new.value, TupleDescAttr(row_type, number - 1)->attbyval,
					   TupleDescAttr(row_type, number - 1)->attlen);
}

/* Does an update change that column?  False where the table has no such column. */
bool
trigger_differs(const TriggerData *data, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);

	return differ(row_type, column_number(row_type, column), trigger_value(data, data->tg_trigtuple, column),
				  trigger_value(data, data->tg_newtuple, column));
}

/* The names of the columns that an update changes: a list of char *. */
List *
trigger_changes(const TriggerData *data)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	NullableDatum *values[2];
	HeapTuple	rows[] = {data->tg_trigtuple, data->tg_newtuple};
	Datum	   *datums = palloc(row_type->natts * sizeof(Datum));
	bool	   *nulls = palloc(row_type->natts * sizeof(bool));
	List	   *names = NIL;

	for (int i = 0; i < lengthof(rows); i++)
	{
		values[i] = palloc(row_type->natts * sizeof(NullableDatum));
		heap_deform_tuple(rows[i], row_type, datums, nulls);
		for (int j = 0; j < row_type->natts; j++)
			values[i][j] = (NullableDatum) {.value = datums[j],.isnull = nulls[j]};
	}
	for (int j = 0; j < row_type->natts; j++)
		if (differ(row_type, j + 1, values[0][j], values[1][j]))
			names = lappend(names, NameStr(TupleDescAttr(row_type, j)->attname));
	return names;
}

/* The row with a column set to a value that is not NULL. */
HeapTuple
trigger_with(const TriggerData *data, HeapTuple row, const char *column, Datum value)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			number = SPI_fnumber(row_type, column);
	bool		isnull = false;

	return heap_modify_tuple_by_cols(row, row_type, 1, &number, &value, &isnull);
}

/* ---- transition tables ---- */

/* Go on to the next row. */
void
transition_next(TransitionRows *rows)
{
	Tuplestorestate *tables[] = {rows->data->tg_oldtable, rows->data->tg_newtable};

	rows->left = true;
	for (int i = 0; i < lengthof(tables); i++)
	{
		tuplestore_select_read_pointer(tables[i], rows->pointers[i]);
		rows->left &= tuplestore_gettupleslot(tables[i], true, false, rows->slots[i]);
	}
}

/*
 * Begin to read the rows that an UPDATE has changed, each as it was and as it is.  False: there are none.  Raises an
 * error of the trigger protocol unless the trigger has both tables.
 */
bool
transition_open(const TriggerData *data, TransitionRows *rows)
{
	Tuplestorestate *tables[] = {data->tg_oldtable, data->tg_newtable};

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event) || tables[0] == NULL || tables[1] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" has no transition tables of an UPDATE", data->tg_trigger->tgname)));
	*rows = (TransitionRows) {.data = data};
	for (int i = 0; i < lengthof(tables); i++)
	{
		rows->pointers[i] = tuplestore_alloc_read_pointer(tables[i], EXEC_FLAG_REWIND);
		tuplestore_select_read_pointer(tables[i], rows->pointers[i]);
		tuplestore_rescan(tables[i]);
		rows->slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(data->tg_relation), &TTSOpsMinimalTuple);
	}
	transition_next(rows);
	return rows->left;
}

/* Make of a statement's trigger data those of the current row, in the current memory context. */
void
transition_row(const TransitionRows *rows, TriggerData *row)
{
	*row = *rows->data;
	row->tg_trigtuple = ExecCopySlotHeapTuple(rows->slots[0]);
	row->tg_newtuple = ExecCopySlotHeapTuple(rows->slots[1]);
}

/* End reading. */
void
transition_close(TransitionRows *rows)
{
	for (int i = 0; i < lengthof(rows->slots); i++)
		ExecDropSingleTupleTableSlot(rows->slots[i]);
}
