/*
 * trigger.c: the checks that every trigger function begins with, and reading its rows.
 *
 * The owner of any table can attach any trigger function to it.  promote's functions know the
 * columns of their own tables only, so they refuse all other tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/builtins.h"
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
trigger_data(FunctionCallInfo fcinfo, const char *function, const char *table,
			 TriggerEvent timing)
{
	const TriggerEvent mask = TRIGGER_EVENT_TIMINGMASK | TRIGGER_EVENT_ROW;
	TriggerData *data = (TriggerData *) fcinfo->context;
	char	   *schema;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	schema = get_namespace_name(RelationGetNamespace(data->tg_relation));
	if (schema == NULL || strcmp(schema, "promote") != 0 ||
		(table && strcmp(RelationGetRelationName(data->tg_relation), table) != 0) ||
		(data->tg_event & mask) != timing)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not made for this trigger", function)));
	return data;
}

/* The row after the statement: the new row of an update, otherwise the only row. */
HeapTuple
trigger_row(const TriggerData *data)
{
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

/* The value of a column. */
Datum
trigger_value(const TriggerData *data, HeapTuple row, const char *column, bool *isnull)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			number = SPI_fnumber(row_type, column);

	if (number > 0)
		return heap_getattr(row, number, row_type, isnull);
	*isnull = true;
	return (Datum) 0;
}

/* Is a column NULL? */
bool
trigger_is_null(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;

	(void) trigger_value(data, row, column, &isnull);
	return isnull;
}

/* A column of text, or of a domain over it. */
char *
trigger_text(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = trigger_value(data, row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A column of integer. */
int32
trigger_int(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = trigger_value(data, row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* A column of boolean. */
bool
trigger_bool(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = trigger_value(data, row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* A column of timestamptz; NULL is the end of time. */
TimestampTz
trigger_time(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = trigger_value(data, row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/* A column of jsonb; it may point into the row. */
Jsonb *
trigger_jsonb(const TriggerData *data, HeapTuple row, const char *column)
{
	bool		isnull;
	Datum		value = trigger_value(data, row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

/* Are two values of a column equal?  Two pointers to one stored value are equal without fetching it. */
bool
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
	bool		old_null;
	bool		new_null;
	Datum		old_value = trigger_value(data, data->tg_trigtuple, column, &old_null);
	Datum		new_value = trigger_value(data, data->tg_newtuple, column, &new_null);

	if (old_null || new_null)
		return old_null != new_null;
	return !same_value(old_value, new_value, TupleDescAttr(row_type, number - 1)->attbyval,
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
