/*
 * row.h: single rows, found in an index and locked without a statement.
 */
#ifndef PROMOTE_BASE_ROW_H
#define PROMOTE_BASE_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "nodes/lockoptions.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "base/sql.h"

/* A row of one of promote's tables, or those whose keys begin alike. */
typedef struct RowKey
{
	const char *table;
	const char *index;			/* whose first columns the values are of */
	SqlValue	values[4];
	int			columns;
} RowKey;

extern HeapTuple row_read(Relation table, const RowKey *key, Snapshot snapshot);
extern NullableDatum row_column(const RowKey *key, const char *column, Snapshot snapshot);
extern bool row_is_shown(const RowKey *key, Snapshot snapshot);
extern bool row_take_last(const RowKey *key, const SqlField *fields, int count, Snapshot snapshot, void *into);
extern bool row_lock_at_once(const RowKey *key, LockTupleMode mode);

#endif							/* PROMOTE_BASE_ROW_H */
