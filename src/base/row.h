/*
 * row.h: single rows, found in an index and locked without a statement.
 */
#ifndef PROMOTE_BASE_ROW_H
#define PROMOTE_BASE_ROW_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"
#include "access/sdir.h"
#include "access/stratnum.h"
#include "nodes/lockoptions.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "base/sql.h"

/* The most that the column behind the values of a key can be bounded by. */
typedef struct RowBound
{
	StrategyNumber strategy;	/* how the column compares to the value: BTLessStrategyNumber...; 0: no bound */
	SqlValue	value;
} RowBound;

/* A row of one of promote's tables, or those whose keys begin alike. */
typedef struct RowKey
{
	const char *table;
	const char *index;			/* whose first columns the values are of */
	SqlValue	values[4];
	int			columns;
	RowBound	bounds[2];		/* of the column after these */
} RowKey;

/* Columns that are read into a struct, as by sql_row.  Their expressions are columns, behind an alias. */
typedef struct RowFields
{
	const SqlField *fields;
	int			count;
	AttrNumber *numbers;		/* of the columns, as far as they were looked up */
} RowFields;

/* The columns in a table of fields, outside of functions. */
#define ROW_FIELDS(table) {table, lengthof(table), (AttrNumber[lengthof(table)]) {0}}

/* Rows with a key, one after the other. */
typedef struct RowScan
{
	Relation	table;
	Relation	index;
	Snapshot	snapshot;
	SysScanDesc scan;
	ScanDirection direction;
} RowScan;

extern void row_open(RowScan *scan, const RowKey *key, ScanDirection direction, Snapshot snapshot);
extern bool row_next(RowScan *scan, RowFields *fields, void *into);
extern void row_close(RowScan *scan);
extern HeapTuple row_read(Relation table, const RowKey *key, Snapshot snapshot);
extern NullableDatum row_column(const RowKey *key, const char *column, Snapshot snapshot);
extern bool row_is_shown(const RowKey *key, Snapshot snapshot);
extern bool row_take(const RowKey *key, ScanDirection direction, RowFields *fields, Snapshot snapshot, void *into);
extern bool row_lock_at_once(const RowKey *key, LockTupleMode mode);

#endif							/* PROMOTE_BASE_ROW_H */
