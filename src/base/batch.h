/*
 * batch.h: rows that are made in C, and read by one statement.
 *
 *	Batch		moves = {.name = "moved_instance",.columns = move_columns};
 *
 *	batch_begin(&moves);
 *	batch_put(&moves, AS_KEY(key), AS_INT(revision));
 *	... more rows ...
 *	rows = batch_run(sql, &move, &moves);	{"UPDATE promote.instance AS i SET ... FROM moved_instance AS b ..."}
 *	batch_end(&moves);
 */
#ifndef PROMOTE_BASE_BATCH_H
#define PROMOTE_BASE_BATCH_H

#include "postgres.h"

#include "utils/tuplestore.h"

#include "base/sql.h"

/* Rows of one form.  A statement finds them under the name. */
typedef struct Batch
{
	const char *name;
	const char *of;				/* the table of promote's whose columns of these names say their types; NULL: none */
	const char *const *columns; /* their names */
	MemoryContext context;
	TupleDesc	type;			/* NULL before the first row */
	Tuplestorestate *rows;
	uint64		count;
} Batch;

/* Run a statement on what is committed now, which reads a batch: (sql, &statement, &batch, values...). */
#define batch_run(sql, statement, batch, ...) batch_call(sql, statement, SQL_LATEST, batch, SQL_CALL(__VA_ARGS__))
/* Add a row: (&batch, values...).  All rows have values of the same types. */
#define batch_put(batch, ...) batch_put_values(batch, SQL_CALL(__VA_ARGS__))

extern void batch_begin(Batch *batch);
extern void batch_put_values(Batch *batch, const SqlValue *values, int count);
extern void batch_open(const Batch *batch);
extern void batch_close(const Batch *batch);
extern SqlRows batch_call(const Sql *sql, Statement *statement, SqlMode mode, const Batch *batch,
						  const SqlValue *values, int count);
extern void batch_end(Batch *batch);

#endif							/* PROMOTE_BASE_BATCH_H */
