/*
 * trigger.c: the checks that every trigger function begins with, and reading its rows.
 *
 * The owner of any table can attach any trigger function to it.  promote's functions know the
 * columns of their own tables only, so they refuse all other tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/trigger.h"

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

/* The value of a column; NULL where the table does not have it. */
NullableDatum
trigger_value(const TriggerData *data, HeapTuple row, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			number = SPI_fnumber(row_type, column);
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

/* Does an update change that column?  False where the table has no such column. */
bool
trigger_differs(const TriggerData *data, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			number = SPI_fnumber(row_type, column);
	NullableDatum old = trigger_value(data, data->tg_trigtuple, column);
	NullableDatum new = trigger_value(data, data->tg_newtuple, column);

	if (old.isnull || new.isnull)
		return old.isnull != new.isnull;
	return !same_value(old.value, new.value, TupleDescAttr(row_type, number - 1)->attbyval,
					   TupleDescAttr(row_type, number - 1)->attlen);
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
