/*
 * reference.c: foreign keys of busy tables, checked without a lock on the rows they refer to.
 *
 * PostgreSQL's own check of a new row locks what the row refers to FOR KEY SHARE.  Where many
 * sessions refer to one row, such as a release or a project, each lock makes a multixact, which
 * costs two further logs and, in the end, a freezing vacuum.  The check here looks the row up in
 * its unique index, and holds in the lock manager, shared and until the transaction ends, the
 * place of its key.  Whoever deletes such a row, or changes its key, takes that place against them
 * before: so either sees what the other has done, as with PostgreSQL's check.  There are fewer
 * places than keys, so where somebody deletes, the row itself is locked as PostgreSQL does it, and
 * nobody waits who refers to another row.  Rows of history are neither deleted nor changed, so
 * that nothing has to be held for them.
 *
 * The rest of a foreign key stays PostgreSQL's: the constraint, the check when a referring row is
 * updated, and the check when the row referred to is deleted or gets another key.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/trigger.h"

#define PLACES 256				/* so that a transaction that loads a dump does not fill the lock manager */
#define REFERENCES 2			/* third part of a place's key: rescue.c has others */

/* How places are locked: each of the two goes with itself and not with the other. */
#define REFERRING ShareLock
#define DELETING RowExclusiveLock

/* A foreign key of the trigger's table. */
typedef struct Reference
{
	Oid			constraint;
	Oid			table;			/* that it refers to */
	Oid			index;			/* of the key there */
	bool		is_held;		/* can what it refers to go? */
	int			count;			/* of the columns */
	AttrNumber	columns[INDEX_MAX_KEYS];
	ScanKeyData keys[INDEX_MAX_KEYS];	/* the columns there, without values */
	Datum		checked[INDEX_MAX_KEYS];	/* values that this statement has checked last */
	bool		is_checked;
} Reference;

/* The foreign keys of a table, for one statement. */
typedef struct References
{
	int			count;
	Reference	reference[FLEXIBLE_ARRAY_MEMBER];
} References;

/* ---- places ---- */

/* The place of a key in the lock manager, by its values in the order of the foreign key's columns. */
static uint32
place_of(TupleDesc row_type, const AttrNumber *columns, const Datum *values, int count)
{
	uint32		hash = 0;

	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, columns[i] - 1);

		hash = pg_rotate_left32(hash, 5) ^ datum_image_hash(values[i], column->attbyval, column->attlen);
	}
	return 1 + hash % PLACES;
}

/*
 * Take a place for a row that goes, behind those that refer to one there, without a queue that later ones would have
 * to join.
 */
static void
take_place(Oid table, uint32 place)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, table, place, REFERENCES);
	while (!ConditionalLockDatabaseObject(table, place, REFERENCES, DELETING))
	{
		CHECK_FOR_INTERRUPTS();
		WaitForLockers(tag, DELETING, false);
	}
}

/* ---- the referring row ---- */

/* Is a row's key held before the row goes?  Tables whose rows never go have no such trigger. */
static bool
has_hold(Oid table)
{
	Relation	relation = table_open(table, AccessShareLock);
	const TriggerDesc *triggers = relation->trigdesc;
	bool		found = false;

	for (int i = 0; triggers && i < triggers->numtriggers && !found; i++)
		found = strcmp(triggers->triggers[i].tgname, "hold_key") == 0;
	table_close(relation, NoLock);
	return found;
}

/*
 * Is a foreign key ours to check: one of promote's, with PostgreSQL's check of new rows switched off?  Keys that the
 * owner adds stay PostgreSQL's, for they may be deferred, or refer to partitions or to a column of another type.
 */
static bool
is_ours(Relation referring, const ForeignKeyCacheInfo *key)
{
	const TriggerDesc *triggers = referring->trigdesc;

	if (get_rel_namespace(key->confrelid) != RelationGetNamespace(referring))
		return false;
	for (int i = 0; i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgconstraint == key->conoid && triggers->triggers[i].tgfoid == F_RI_FKEY_CHECK_INS)
			return triggers->triggers[i].tgenabled == TRIGGER_DISABLED;
	return false;
}

/* Take in a foreign key. */
static void
take_reference(const ForeignKeyCacheInfo *key, Reference *reference)
{
	HeapTuple	row = SearchSysCache1(CONSTROID, ObjectIdGetDatum(key->conoid));

	if (!HeapTupleIsValid(row))
		elog(ERROR, "foreign key %u is not there", key->conoid);
	*reference = (Reference) {
		.constraint = key->conoid,
		.table = key->confrelid,
		.index = ((Form_pg_constraint) GETSTRUCT(row))->conindid,
		.is_held = has_hold(key->confrelid),
		.count = key->nkeys
	};
	ReleaseSysCache(row);
	for (int i = 0; i < key->nkeys; i++)
	{
		Oid			type,
					collation;
		int32		modifier;

		reference->columns[i] = key->conkey[i];
		get_atttypetypmodcoll(key->confrelid, key->confkey[i], &type, &modifier, &collation);
		ScanKeyEntryInitialize(&reference->keys[i], 0, key->confkey[i], BTEqualStrategyNumber, InvalidOid,
							   collation, get_opcode(key->conpfeqop[i]), (Datum) 0);
	}
}

/* The foreign keys of the trigger's table that are ours to check.  They are read once for each statement. */
static References *
references_of(FunctionCallInfo fcinfo, Relation table)
{
	References *references = fcinfo->flinfo->fn_extra;
	MemoryContext outer;
	List	   *keys;
	ListCell   *cell;

	if (references)
		return references;
	outer = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	/* a copy, because the list goes with the table's entry in the cache */
	keys = copyObject(RelationGetFKeyList(table));
	references = palloc(offsetof(References, reference) + list_length(keys) * sizeof(Reference));
	references->count = 0;
	foreach(cell, keys)
		if (is_ours(table, lfirst(cell)))
			take_reference(lfirst(cell), &references->reference[references->count++]);
	MemoryContextSwitchTo(outer);
	return fcinfo->flinfo->fn_extra = references;
}

/* The values by which a row refers.  False where one is NULL, so that it refers to nothing. */
static bool
values_of(TupleTableSlot *row, const Reference *reference, Datum *values)
{
	for (int i = 0; i < reference->count; i++)
	{
		bool		isnull;

		values[i] = slot_getattr(row, reference->columns[i], &isnull);
		if (isnull)
			return false;
	}
	return true;
}

/* Are these the values that the statement has checked last?  If their place was taken, it is still held. */
static bool
is_checked(const Reference *reference, TupleDesc row_type, const Datum *values)
{
	for (int i = 0; reference->is_checked && i < reference->count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, reference->columns[i] - 1);

		if (!datum_image_eq(reference->checked[i], values[i], column->attbyval, column->attlen))
			return false;
	}
	return reference->is_checked;
}

/* Remember the values as checked, in the memory of the statement. */
static void
remember(Reference *reference, TupleDesc row_type, const Datum *values, MemoryContext context)
{
	MemoryContext outer = MemoryContextSwitchTo(context);

	for (int i = 0; i < reference->count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, reference->columns[i] - 1);

		if (reference->is_checked && !column->attbyval)
			pfree(DatumGetPointer(reference->checked[i]));
		reference->checked[i] = datumCopy(values[i], column->attbyval, column->attlen);
	}
	reference->is_checked = true;
	MemoryContextSwitchTo(outer);
}

/* Lock a row FOR KEY SHARE, with the versions of it that are being written. */
static TM_Result
lock_row(Relation table, ItemPointer place, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TM_FailureData failure;
	TM_Result	result = table_tuple_lock(table, place, snapshot, slot, GetCurrentCommandId(false), LockTupleKeyShare,
										  LockWaitBlock, TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS, &failure);

	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/* Find the row with the key that a snapshot shows, and lock it if asked to.  TM_Invisible: none is shown. */
static TM_Result
find_row(Relation table, const Reference *reference, const Datum *values, Snapshot snapshot, bool locks)
{
	Snapshot	registered = RegisterSnapshot(snapshot);
	ScanKeyData keys[INDEX_MAX_KEYS];
	SysScanDesc scan;
	HeapTuple	row;
	TM_Result	result;

	memcpy(keys, reference->keys, reference->count * sizeof(ScanKeyData));
	for (int i = 0; i < reference->count; i++)
		keys[i].sk_argument = values[i];
	scan = systable_beginscan(table, reference->index, true, registered, reference->count, keys);
	row = systable_getnext(scan);
	if (!HeapTupleIsValid(row))
		result = TM_Invisible;
	else
		result = locks ? lock_row(table, &row->t_self, registered) : TM_Ok;
	systable_endscan(scan);
	UnregisterSnapshot(registered);
	return result;
}

/* Does a snapshot show the row with the key? */
static bool
is_shown(Relation table, const Reference *reference, const Datum *values, Snapshot snapshot)
{
	return find_row(table, reference, values, snapshot, false) == TM_Ok;
}

/* Lock the row with the key, behind whoever deletes it.  False: it is not there, or no longer. */
static bool
stays(Relation table, const Reference *reference, const Datum *values)
{
	TM_Result	result;

	do
	{
		CHECK_FOR_INTERRUPTS();
		result = find_row(table, reference, values, GetLatestSnapshot(), true);
	} while (result == TM_Updated || result == TM_Deleted);
	return result == TM_Ok;
}

/* The columns of a key and their values, as PostgreSQL's own refusal writes them: (a, b)=(1, 2). */
static char *
describe(TupleDesc row_type, const Reference *reference, const Datum *values)
{
	StringInfoData names,
				words;

	initStringInfo(&names);
	initStringInfo(&words);
	for (int i = 0; i < reference->count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, reference->columns[i] - 1);
		Oid			output;
		bool		is_varlena;

		getTypeOutputInfo(column->atttypid, &output, &is_varlena);
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", NameStr(column->attname));
		appendStringInfo(&words, "%s%s", i > 0 ? ", " : "", OidOutputFunctionCall(output, values[i]));
	}
	return psprintf("(%s)=(%s)", names.data, words.data);
}

/* Refuse a row that refers to nothing, in PostgreSQL's words. */
static void
refuse(Relation referring, Relation table, const Reference *reference, const Datum *values)
{
	const char *name = get_constraint_name(reference->constraint);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					RelationGetRelationName(referring), name),
			 errdetail("Key %s is not present in table \"%s\".",
					   describe(RelationGetDescr(referring), reference, values), RelationGetRelationName(table)),
			 errtableconstraint(referring, name)));
}

/*
 * Hold the place of a key, or the row where somebody deletes, and refuse the row that refers if nothing is there.  A
 * transaction with a single snapshot refers to nothing that this does not show, and fails with 40001 where that has
 * gone.
 */
static void
check_reference(Relation referring, const Reference *reference, const Datum *values)
{
	Relation	table = table_open(reference->table, RowShareLock);
	uint32		place = place_of(RelationGetDescr(referring), reference->columns, values, reference->count);
	bool		is_safe = !reference->is_held ||
		ConditionalLockDatabaseObject(reference->table, place, REFERENCES, REFERRING);

	/* what the statement itself has written counts */
	CommandCounterIncrement();
	if (IsolationUsesXactSnapshot() && !is_shown(table, reference, values, GetTransactionSnapshot()))
		refuse(referring, table, reference, values);
	if (is_safe ? !is_shown(table, reference, values, GetLatestSnapshot()) : !stays(table, reference, values))
	{
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent delete")));
		refuse(referring, table, reference, values);
	}
	table_close(table, NoLock);
}

/*
 * promote_internal.check_references() returns trigger
 *
 * AFTER INSERT for each row: checks the foreign keys of the table that PostgreSQL's own trigger does not.
 */
Datum
TRIGGER_FUNCTION(promote_check_references)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	References *references = references_of(fcinfo, data->tg_relation);

	for (int i = 0; i < references->count; i++)
	{
		Reference  *reference = &references->reference[i];
		Datum		values[INDEX_MAX_KEYS];

		if (!values_of(data->tg_trigslot, reference, values) || is_checked(reference, row_type, values))
			continue;
		check_reference(data->tg_relation, reference, values);
		remember(reference, row_type, values, fcinfo->flinfo->fn_mcxt);
	}
	return PointerGetDatum(NULL);
}

/* ---- the row referred to ---- */

/*
 * promote_internal.hold_key(column text, ...) returns trigger
 *
 * BEFORE DELETE, or UPDATE of the columns of the key that foreign keys refer to, for each row:
 * takes the key's place, so that nobody is just referring to the row.
 */
Datum
TRIGGER_FUNCTION(promote_hold_key)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	int			count = data->tg_trigger->tgnargs;
	AttrNumber	columns[INDEX_MAX_KEYS];
	Datum		values[INDEX_MAX_KEYS];

	for (int i = 0; i < Min(count, INDEX_MAX_KEYS); i++)
	{
		bool		isnull;

		columns[i] = SPI_fnumber(row_type, data->tg_trigger->tgargs[i]);
		if (columns[i] <= 0)
			elog(ERROR, "\"%s\" has no column \"%s\"", RelationGetRelationName(data->tg_relation), data->tg_trigger->tgargs[i]);
		values[i] = heap_getattr(data->tg_trigtuple, columns[i], row_type, &isnull);
	}
	take_place(RelationGetRelid(data->tg_relation), place_of(row_type, columns, values, count));
	return PointerGetDatum(trigger_row(data));
}
