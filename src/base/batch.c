/*
 * batch.c: rows that are made in C, and read by one statement.
 *
 * They are a named relation of the open scope, as the transition tables of triggers are: a statement that reads them is
 * prepared once, runs in its own plan over any number of rows, and nothing is copied into arrays or tables.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"

#include "base/batch.h"
#include "base/compat.h"

#define MEMORY_KB (64 * 1024)	/* that the rows of a batch take before they go to a file: more than any should */
#define ROWS_EXPECTED 10		/* what the planner is told, so that it looks rows up by key whatever their number */

/* Begin a batch in the current memory context; its name and columns are set. */
void
batch_begin(Batch *batch)
{
	batch->context = CurrentMemoryContext;
	batch->type = NULL;
	batch->rows = tuplestore_begin_heap(true, false, MEMORY_KB);
	batch->count = 0;
}

/*
 * The type of a column: that of the table's, if values of it are such.  What was read as a domain
 * of it is not checked again when it is written.
 */
static Oid
column_type(Oid table, const char *column, Oid type)
{
	AttrNumber	number = OidIsValid(table) ? get_attnum(table, column) : InvalidAttrNumber;
	Oid			found = number > 0 ? get_atttype(table, number) : InvalidOid;

	return OidIsValid(found) && getBaseType(found) == type ? found : type;
}

/* The form of the rows, by the first one. */
static TupleDesc
row_type(const Batch *batch, const SqlValue *values, int count)
{
	TupleDesc	type = CreateTemplateTupleDesc(count);
	Oid			table = batch->of ? table_oid(batch->of) : InvalidOid;

	for (int i = 0; i < count; i++)
		TupleDescInitEntry(type, i + 1, batch->columns[i], column_type(table, batch->columns[i], values[i].type),
						   -1, 0);
	TupleDescFinalize(type);
	return type;
}

/* Add a row: a copy of the values, in the order of the columns. */
void
batch_put_values(Batch *batch, const SqlValue *values, int count)
{
	Datum		datums[FUNC_MAX_ARGS];
	bool		nulls[FUNC_MAX_ARGS];

	Assert(count <= FUNC_MAX_ARGS);
	if (batch->type == NULL)
	{
		MemoryContext inner = MemoryContextSwitchTo(batch->context);

		batch->type = row_type(batch, values, count);
		MemoryContextSwitchTo(inner);
	}
	for (int i = 0; i < count; i++)
	{
		datums[i] = values[i].datum;
		nulls[i] = values[i].isnull;
	}
	tuplestore_putvalues(batch->rows, batch->type, datums, nulls);
	batch->count++;
}

/*
 * Let the statements of the open scope read the rows, of which there is at least one.  Rows of that
 * name that an error has left there are forgotten.
 */
void
batch_open(const Batch *batch)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = pstrdup(batch->name);
	relation->md.tupdesc = batch->type;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = ROWS_EXPECTED;
	relation->reldata = batch->rows;
	(void) SPI_unregister_relation(batch->name);
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows \"%s\"", batch->name);
}

/* Let no statement read the rows any more. */
void
batch_close(const Batch *batch)
{
	(void) SPI_unregister_relation(batch->name);
}

/* Free a batch. */
void
batch_end(Batch *batch)
{
	batch_close(batch);
	tuplestore_end(batch->rows);
}

/* Run a statement that reads a batch, with further values. */
SqlRows
batch_call(const Sql *sql, Statement *statement, SqlMode mode, const Batch *batch, const SqlValue *values, int count)
{
	SqlRows		rows;

	batch_open(batch);
	rows = sql_call(sql, statement, mode, values, count);
	batch_close(batch);
	return rows;
}
