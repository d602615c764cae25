/*
 * result.c: the rows that SQL functions return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/result.h"

/* Split values into the two arrays that PostgreSQL expects for a row with that many columns. */
static void
take_apart(const SqlValue *values, int count, TupleDesc row_type, Datum *datums, bool *nulls)
{
	if (row_type->natts != count)
		elog(ERROR, "a row of %d columns has %d values", row_type->natts, count);
	for (int i = 0; i < count; i++)
	{
		datums[i] = values[i].datum;
		nulls[i] = values[i].isnull;
	}
}

/* The single row of a function that returns a record, in the current memory context. */
Datum
result_form(FunctionCallInfo fcinfo, const SqlValue *values, int count)
{
	Datum		datums[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];
	TupleDesc	row_type;

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	take_apart(values, count, row_type, datums, nulls);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), datums, nulls));
}

/* Add a row to the result of a function that returns a set. */
void
result_add(FunctionCallInfo fcinfo, const SqlValue *values, int count)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		datums[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];

	take_apart(values, count, result->setDesc, datums, nulls);
	tuplestore_putvalues(result->setResult, result->setDesc, datums, nulls);
}

/*
 * Add all rows that a statement returned to the result of a function that returns a set.  The
 * columns must agree.
 */
void
result_add_rows(FunctionCallInfo fcinfo, const SqlRows *rows)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 i = 0; i < rows->count; i++)
		tuplestore_puttuple(result->setResult, rows->table->vals[i]);
}

/* Return the rows of a statement as the whole result of a function that returns a set. */
void
result_rows(FunctionCallInfo fcinfo, const SqlRows *rows)
{
	InitMaterializedSRF(fcinfo, 0);
	result_add_rows(fcinfo, rows);
}
