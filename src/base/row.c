/*
 * row.c: single rows, found in an index and locked without a statement.
 *
 * To get a statement ready takes longer than to find one row.  What verbs do to single rows all
 * the time, and what their statements look up and mostly is not needed or not there, is done
 * here, by the same snapshots and with the same outcome as by SELECT.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/row.h"

/* ---- finding ---- */

/* The function by which values of a type are equal, of the types that keys have. */
static RegProcedure
equality_of(Oid type)
{
	switch (type)
	{
		case TEXTOID:
			return F_TEXTEQ;
		case BYTEAOID:
			return F_BYTEAEQ;
		case INT4OID:
			return F_INT4EQ;
		default:
			elog(ERROR, "keys have no columns of type %u", type);
			return InvalidOid;
	}
}

/* Find the first or the last row with a key of the open table that a snapshot shows: a copy; NULL: there is none. */
static HeapTuple
find(Relation table, const RowKey *key, ScanDirection direction, Snapshot snapshot)
{
	Relation	index = index_open(table_oid(key->index), AccessShareLock);
	Snapshot	registered = RegisterSnapshot(snapshot);
	ScanKeyData keys[lengthof(key->values)];
	SysScanDesc scan;
	HeapTuple	row;

	for (int i = 0; i < key->columns; i++)
		ScanKeyEntryInitialize(&keys[i], 0, index->rd_index->indkey.values[i], BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[i], equality_of(key->values[i].type), key->values[i].datum);
	scan = systable_beginscan_ordered(table, index, registered, key->columns, keys);
	row = systable_getnext_ordered(scan, direction);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan_ordered(scan);
	UnregisterSnapshot(registered);
	index_close(index, NoLock);
	return row;
}

/* Find the row with a key of the open table that a snapshot shows: a copy; NULL: there is none. */
HeapTuple
row_read(Relation table, const RowKey *key, Snapshot snapshot)
{
	return find(table, key, ForwardScanDirection, snapshot);
}

/* A column of a row of the table, by its name, and its type. */
static NullableDatum
column_of(Relation table, HeapTuple row, const char *column, Oid *type)
{
	AttrNumber	number = get_attnum(RelationGetRelid(table), column);
	NullableDatum value;

	if (number <= 0)
		elog(ERROR, "\"%s\" has no column \"%s\"", RelationGetRelationName(table), column);
	*type = TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid;
	value.value = heap_getattr(row, number, RelationGetDescr(table), &value.isnull);
	return value;
}

/* A column of the row with a key that a snapshot shows: a copy; NULL, too, where there is no row. */
NullableDatum
row_column(const RowKey *key, const char *column, Snapshot snapshot)
{
	Relation	table = table_open(table_oid(key->table), AccessShareLock);
	HeapTuple	row = row_read(table, key, snapshot);
	NullableDatum value = {(Datum) 0, true};
	Oid			type;

	if (row)
		value = column_of(table, row, column, &type);
	table_close(table, NoLock);
	return value;
}

/* Does a snapshot show a row with the key? */
bool
row_is_shown(const RowKey *key, Snapshot snapshot)
{
	Relation	table = table_open(table_oid(key->table), AccessShareLock);
	HeapTuple	row = row_read(table, key, snapshot);

	table_close(table, NoLock);
	return HeapTupleIsValid(row);
}

/*
 * Read the last of the rows whose keys begin with this one into a struct, as sql_row does: the
 * expressions of the fields are columns, behind an alias.  False where a snapshot shows none.
 */
bool
row_take_last(const RowKey *key, const SqlField *fields, int count, Snapshot snapshot, void *into)
{
	Relation	table = table_open(table_oid(key->table), AccessShareLock);
	HeapTuple	row = find(table, key, BackwardScanDirection, snapshot);

	for (int i = 0; row && i < count; i++)
	{
		Oid			type;
		NullableDatum value = column_of(table, row, strchr(fields[i].expression, '.') + 1, &type);

		sql_put(&fields[i], value, type, NULL, into);
	}
	table_close(table, NoLock);
	return HeapTupleIsValid(row);
}

/* ---- locking ---- */

/* Lock a version of a row, or the newest that follows it, unless another transaction holds it.  False: it does. */
static bool
lock_version(Relation table, ItemPointer place, LockTupleMode mode)
{
	bool		is_fixed = IsolationUsesXactSnapshot();
	uint8		flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | (is_fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TM_FailureData failure;
	TM_Result	result = table_tuple_lock(table, place, GetActiveSnapshot(), slot, GetCurrentCommandId(true), mode,
										  LockWaitSkip, flags, &failure);

	ExecDropSingleTupleTableSlot(slot);
	if (is_fixed && (result == TM_Updated || result == TM_Deleted))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	return result == TM_Ok;
}

/*
 * Lock the row with a key until the transaction ends, as SELECT FOR ... SKIP LOCKED does: false where another
 * transaction holds it, or it is not there, and 40001 where the transaction's snapshot shows an older version.  The
 * key's columns are never changed, so that a newer version of the row has them, too.
 */
bool
row_lock_at_once(const RowKey *key, LockTupleMode mode)
{
	Relation	table;
	HeapTuple	row;
	bool		locked;

	PreventCommandIfReadOnly(mode == LockTupleShare ? "SELECT FOR SHARE" : "SELECT FOR NO KEY UPDATE");
	table = table_open(table_oid(key->table), RowShareLock);
	/* as before each statement: what this transaction has written is seen */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	row = row_read(table, key, GetActiveSnapshot());
	locked = row && lock_version(table, &row->t_self, mode);
	PopActiveSnapshot();
	table_close(table, NoLock);
	return locked;
}
