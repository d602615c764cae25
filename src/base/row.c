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
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/row.h"

/* ---- finding ---- */

/* The function by which values of a type compare, of the types that keys have. */
static RegProcedure
comparison_of(Oid type, StrategyNumber strategy)
{
	static const struct
	{
		Oid			type;
		RegProcedure functions[BTMaxStrategyNumber + 1];
	}			known[] = {
		{TEXTOID, {0, F_TEXT_LT, F_TEXT_LE, F_TEXTEQ, F_TEXT_GE, F_TEXT_GT}},
		{BYTEAOID, {0, F_BYTEALT, F_BYTEALE, F_BYTEAEQ, F_BYTEAGE, F_BYTEAGT}},
		{INT4OID, {0, F_INT4LT, F_INT4LE, F_INT4EQ, F_INT4GE, F_INT4GT}},
		{TIMESTAMPTZOID, {0, F_TIMESTAMPTZ_LT, F_TIMESTAMPTZ_LE, F_TIMESTAMPTZ_EQ, F_TIMESTAMPTZ_GE, F_TIMESTAMPTZ_GT}}
	};

	for (int i = 0; i < lengthof(known); i++)
		if (known[i].type == type)
			return known[i].functions[strategy];
	elog(ERROR, "keys have no columns of type %u", type);
	return InvalidOid;
}

/* Require that a column of the index compares to a value in a way. */
static void
put_condition(const RowScan *scan, int column, StrategyNumber strategy, const SqlValue *value, ScanKey condition)
{
	ScanKeyEntryInitialize(condition, 0, scan->index->rd_index->indkey.values[column], strategy, InvalidOid,
						   scan->index->rd_indcollation[column], comparison_of(value->type, strategy), value->datum);
}

/* Begin to read the rows with a key of the open table, in the order of the index. */
static void
begin(RowScan *scan, const RowKey *key)
{
	ScanKeyData conditions[lengthof(key->values) + lengthof(key->bounds)];
	int			count = 0;

	scan->index = index_open(table_oid(key->index), AccessShareLock);
	for (; count < key->columns; count++)
		put_condition(scan, count, BTEqualStrategyNumber, &key->values[count], &conditions[count]);
	for (int i = 0; i < lengthof(key->bounds); i++)
		if (key->bounds[i].strategy)
			put_condition(scan, key->columns, key->bounds[i].strategy, &key->bounds[i].value, &conditions[count++]);
	scan->scan = systable_beginscan_ordered(scan->table, scan->index, scan->snapshot, count, conditions);
}

/* End it; the table stays open. */
static void
end(RowScan *scan)
{
	systable_endscan_ordered(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	index_close(scan->index, NoLock);
}

/* Begin to read the rows with a key that a snapshot shows, in the order of the index. */
void
row_open(RowScan *scan, const RowKey *key, ScanDirection direction, Snapshot snapshot)
{
	scan->table = table_open(table_oid(key->table), AccessShareLock);
	scan->snapshot = RegisterSnapshot(snapshot);
	scan->direction = direction;
	begin(scan, key);
}

/* Have read what was wanted. */
void
row_close(RowScan *scan)
{
	end(scan);
	table_close(scan->table, NoLock);
}

/* Find the first row with a key of the open table that a snapshot shows: a copy; NULL: there is none. */
HeapTuple
row_read(Relation table, const RowKey *key, Snapshot snapshot)
{
	RowScan		scan = {.table = table,.snapshot = RegisterSnapshot(snapshot)};
	HeapTuple	row;

	begin(&scan, key);
	row = systable_getnext_ordered(scan.scan, ForwardScanDirection);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	end(&scan);
	return row;
}

/* The number of a column of the table, by its name. */
static AttrNumber
column_number(Relation table, const char *column)
{
	AttrNumber	number = get_attnum(RelationGetRelid(table), column);

	if (number <= 0)
		elog(ERROR, "\"%s\" has no column \"%s\"", RelationGetRelationName(table), column);
	return number;
}

/* A column of the row with a key that a snapshot shows: a copy; NULL, too, where there is no row. */
NullableDatum
row_column(const RowKey *key, const char *column, Snapshot snapshot)
{
	Relation	table = table_open(table_oid(key->table), AccessShareLock);
	HeapTuple	row = row_read(table, key, snapshot);
	NullableDatum value = {(Datum) 0, true};

	if (row)
	{
		AttrNumber	number = column_number(table, column);
		Form_pg_attribute form = TupleDescAttr(RelationGetDescr(table), number - 1);

		value.value = heap_getattr(row, number, RelationGetDescr(table), &value.isnull);
		if (!value.isnull)
			value.value = datumCopy(value.value, form->attbyval, form->attlen);
		heap_freetuple(row);
	}
	table_close(table, NoLock);
	return value;
}

/* Does a snapshot show a row with the key? */
bool
row_is_shown(const RowKey *key, Snapshot snapshot)
{
	RowScan		scan;
	bool		found;

	row_open(&scan, key, ForwardScanDirection, snapshot);
	found = HeapTupleIsValid(systable_getnext_ordered(scan.scan, scan.direction));
	row_close(&scan);
	return found;
}

/* The number of a field's column: the one that it had before, if the table has not changed since. */
static AttrNumber
field_number(Relation table, const SqlField *field, AttrNumber known)
{
	TupleDesc	row_type = RelationGetDescr(table);
	const char *column = strchr(field->expression, '.') + 1;

	if (known > 0 && known <= row_type->natts && !TupleDescAttr(row_type, known - 1)->attisdropped &&
		strcmp(NameStr(TupleDescAttr(row_type, known - 1)->attname), column) == 0)
		return known;
	return column_number(table, column);
}

/* Put the columns of a row into a struct, as sql_row does.  What is not passed by value may point into the row. */
static void
take_fields(Relation table, HeapTuple row, RowFields *fields, void *into)
{
	TupleDesc	row_type = RelationGetDescr(table);
	Datum		values[MaxHeapAttributeNumber];
	bool		nulls[MaxHeapAttributeNumber];

	heap_deform_tuple(row, row_type, values, nulls);
	for (int i = 0; i < fields->count; i++)
	{
		int			at = (fields->numbers[i] = field_number(table, &fields->fields[i], fields->numbers[i])) - 1;

		sql_put(&fields->fields[i], (NullableDatum) {values[at], nulls[at]}, TupleDescAttr(row_type, at)->atttypid,
				NULL, into);
	}
}

/* Read the next row into a struct, which may point into a copy of it.  False: there is none. */
bool
row_next(RowScan *scan, RowFields *fields, void *into)
{
	HeapTuple	row = systable_getnext_ordered(scan->scan, scan->direction);

	if (!HeapTupleIsValid(row))
		return false;
	take_fields(scan->table, heap_copytuple(row), fields, into);
	return true;
}

/* Read the first or the last row with a key that a snapshot shows.  False: there is none, and nothing was read. */
bool
row_take(const RowKey *key, ScanDirection direction, RowFields *fields, Snapshot snapshot, void *into)
{
	RowScan		scan;
	bool		found;

	row_open(&scan, key, direction, snapshot);
	found = row_next(&scan, fields, into);
	row_close(&scan);
	return found;
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

/* Was this version of a row written by this transaction, so that until it ends nobody else gets past it? */
static bool
is_own(HeapTuple row)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row->t_data));
}

/*
 * Is a version locked by this transaction alone, and no harder than having written it locks it?  FOR UPDATE, which
 * somebody may have said before, is harder: it keeps out who refers to the row.
 */
static bool
is_own_lock(HeapTupleHeader header)
{
	return !(header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) &&
		HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) && !(header->t_infomask2 & HEAP_KEYS_UPDATED) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(header));
}

/*
 * Forget the lock that a version of this transaction's own has from this transaction: it keeps nobody out
 * who would not have to wait for the transaction anyway, because of the version before.  PostgreSQL copies
 * such a lock from each version to the next (heap_update: locker_remains), and where that is another
 * subtransaction's, each version gets a multixact, and everybody who comes to the row again in that
 * transaction looks into all of them.  The hint says no more than that there is no locker to wait for, as
 * HeapTupleSatisfiesUpdate says it of lockers that have ended.
 */
static void
forget_own_lock(Relation table, HeapTuple row)
{
	HeapTupleHeader header = row->t_data;
	Buffer		buffer;

	if (!is_own_lock(header))
		return;
	buffer = ReadBuffer(table, ItemPointerGetBlockNumber(&row->t_self));
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	header = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer),
										   PageGetItemId(BufferGetPage(buffer),
														 ItemPointerGetOffsetNumber(&row->t_self)));
	/* others may have added their lock meanwhile: who locks an older version locks this one too */
	if (is_own_lock(header))
	{
		header->t_infomask |= HEAP_XMAX_INVALID;
		MarkBufferDirtyHint(buffer, true);
	}
	UnlockReleaseBuffer(buffer);
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
	if (row && is_own(row))
	{
		/* no mode of ours is stronger than what writing it has locked */
		Assert(mode <= LockTupleNoKeyExclusive);
		forget_own_lock(table, row);
		locked = true;
	}
	else
		locked = row && lock_version(table, &row->t_self, mode);
	PopActiveSnapshot();
	table_close(table, NoLock);
	return locked;
}
