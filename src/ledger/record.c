/*
 * record.c: the triggers that record in the audit log what is done to rows of any table.
 *
 * Each row that users write themselves (of the registry, rules, grants and others) has a chain
 * of its own, whose subject is the table and the row's key.  record_change appends to it
 * without a lock: the writer holds the row, and the unique index makes others wait for a key
 * that was just taken or given up.  If the transaction's snapshot does not show the chain,
 * audit_append refuses.
 *
 * Rows that verbs write belong to the chain of an instance or of a request.  record_row marks
 * the digests of these rows, and the event that the verb appends there covers them.  Where
 * many rows are written once, they form a set, with one digest for the set when it is
 * complete.
 *
 * This code knows no table by name, see recorded.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/trigger.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/audit.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/record.h"
#include "ledger/record_mark.h"
#include "ledger/recorded.h"

/*
 * Has an update changed anything that is recorded?  The comparison does not fetch values that
 * are stored out of line.
 */
static bool
changes_anything(TriggerData *data)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);

	for (int i = 0; i < row_type->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, i);

		if (!column->attisdropped && record_column(data->tg_trigger, NameStr(column->attname)) &&
			trigger_differs(data, NameStr(column->attname)))
			return true;
	}
	return false;
}

/* ---- recording ---- */

/* Add the subject that a row with a changed key has moved to or came from. */
static void
build_other(JsonBuilder *facts, const char *key, const RecordedRow *other)
{
	if (other == NULL)
		return;
	json_build_key(facts, key, strlen(key));
	json_build_begin_object(facts);
	json_build_field(facts, "project", other->project);
	json_build_field(facts, "subject", other->subject);
	json_build_end_object(facts);
}

/* The data of an event about a row; members that are NULL are left out. */
static Jsonb *
change_facts(const RecordedRow *before, const RecordedRow *after, const RecordedRow *was,
			 const RecordedRow *became)
{
	JsonBuilder facts;

	json_begin_object(&facts);
	if (before)
		json_build_document(&facts, "before", before->facts);
	if (after)
		json_build_document(&facts, "after", after->facts);
	build_other(&facts, "was", was);
	build_other(&facts, "became", became);
	return json_builder_finish(&facts);
}

/*
 * Was a row that is being loaded recorded already?  A dump loads the log before the rows, so
 * it usually was.  Only a restore by several jobs, which needs session_replication_role =
 * replica, loads tables in any order: then the log, or the project with its digest key, may
 * follow.  Whoever abuses that leaves a row that the log does not record, and
 * promote.verify_audit finds it.
 */
static bool
is_recorded(const Sql *sql, const RecordedRow *row)
{
	static Statement read = {"SELECT a.data -> 'after' FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject = $2"
		" ORDER BY a.project DESC, a.subject DESC, a.seq DESC LIMIT 1"};
	bool		any_order = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	const Jsonb *last;
	SqlRows		rows;

	if (any_order && strcmp(row->project, AUDIT_NO_PROJECT) != 0 && !config_digest_has_key(row->project))
		return true;
	rows = sql_run(sql, &read, AS_TEXT(row->project), AS_TEXT(row->subject));
	last = rows.count > 0 ? sql_jsonb(&rows, 0) : NULL;
	if (last == NULL)
		return any_order && rows.count == 0;
	return compareJsonbContainers((JsonbContainer *) &last->root, (JsonbContainer *) &row->facts->root) == 0;
}

/* Append one event to the chain of a row. */
static void
append(const Sql *sql, const char *table, const char *what, const RecordedRow *row, Jsonb *data)
{
	audit_note(sql, row->project, row->subject, psprintf("%s.%s", table, what), data);
}

/* Record a row that was inserted, or that got this key by an update. */
static void
record_inserted(const Sql *sql, const char *table, const RecordedRow *row, const RecordedRow *was, bool loading)
{
	if (!loading || !is_recorded(sql, row))
		append(sql, table, "inserted", row, change_facts(NULL, row, was, NULL));
}

/* Record a row that was deleted, or that lost this key by an update. */
static void
record_deleted(const Sql *sql, const char *table, const RecordedRow *row, const RecordedRow *became)
{
	append(sql, table, "deleted", row, change_facts(row, NULL, NULL, became));
}

/* Record a row that was updated.  If its key changed, both chains record that. */
static void
record_updated(const Sql *sql, const char *table, const RecordedRow *before, const RecordedRow *after)
{
	if (strcmp(before->project, after->project) == 0 && strcmp(before->subject, after->subject) == 0)
	{
		append(sql, table, "updated", after, change_facts(before, after, NULL, NULL));
		return;
	}
	record_deleted(sql, table, before, after);
	record_inserted(sql, table, after, before, false);
}

/* Record the event that fired a trigger. */
static void
record(const Sql *sql, TriggerData *data, bool loading)
{
	const char *table = RelationGetRelationName(data->tg_relation);
	RecordedRow row;
	RecordedRow after;

	record_read(data->tg_relation, data->tg_trigger, data->tg_trigtuple, &row);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		record_inserted(sql, table, &row, NULL, loading);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		record_deleted(sql, table, &row, NULL);
	else
	{
		record_read(data->tg_relation, data->tg_trigger, data->tg_newtuple, &after);
		record_updated(sql, table, &row, &after);
	}
}

/*
 * promote_internal.record_change() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE, for each row: appends to the row's chain.
 */
Datum
TRIGGER_FUNCTION(promote_record_change)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	bool		loading = loading_rows();
	Sql			sql;

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) && !changes_anything(data))
		return PointerGetDatum(NULL);
	sql_enter(&sql);
	record(&sql, data, loading);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* ---- rows that verbs write ---- */

/*
 * The version of a row that is current, found by its primary key; NULL: it was deleted.  A
 * trigger per statement has rows without their places, and a user's trigger may have updated
 * them again.
 */
static HeapTuple
current_version(Relation table, HeapTuple row)
{
	Relation	index = index_open(RelationGetPrimaryKeyIndex(table, false), AccessShareLock);
	TupleDesc	row_type = RelationGetDescr(table);
	ScanKeyData keys[INDEX_MAX_KEYS];
	int			count = IndexRelationGetNumberOfKeyAttributes(index);
	SysScanDesc scan;
	HeapTuple	found;

	for (int i = 0; i < count; i++)
	{
		AttrNumber	column = index->rd_index->indkey.values[i];
		Form_pg_attribute attribute = TupleDescAttr(row_type, column - 1);
		bool		isnull;

		ScanKeyEntryInitialize(&keys[i], 0, column, BTEqualStrategyNumber, InvalidOid, attribute->attcollation,
							   getBaseType(attribute->atttypid) == INT4OID ? F_INT4EQ : F_TEXTEQ,
							   heap_getattr(row, column, row_type, &isnull));
	}
	scan = systable_beginscan(table, RelationGetRelid(index), true, SnapshotSelf, count, keys);
	found = systable_getnext(scan);
	if (found)
		found = heap_copytuple(found);
	systable_endscan(scan);
	index_close(index, AccessShareLock);
	return found;
}

/*
 * Is the row still what it was when its trigger was queued?  A user's trigger may run first
 * and update the row again; then the later version was marked already.
 */
static bool
is_current(Relation table, HeapTuple row)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool		found = table_tuple_fetch_row_version(table, &row->t_self, SnapshotSelf, slot);

	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/* Mark a row as written or deleted. */
static void
mark_written(Relation table, const Trigger *trigger, HeapTuple row, bool gone)
{
	RecordedRow read;

	record_read(table, trigger, row, &read);
	mark_row(read.project, read.subject, read.name, gone ? NULL : audit_hex(json_digest(read.facts)));
}

/* Mark a row as written, as it is now, for a trigger per statement that records by itself. */
void
record_written(Relation table, HeapTuple row)
{
	HeapTuple	now = current_version(table, row);

	if (now)
		mark_written(table, record_trigger(table, "record_row"), now, false);
}

/*
 * Mark a row that a verb's statement has inserted and returns, if a verb vouches for it, as record_row marks others.
 * That is before triggers of users run, so that what these make of the row is marked later.  Returns how the log
 * describes it.
 */
Jsonb *
record_returned(HeapTupleHeader row)
{
	Relation	table = record_table(HeapTupleHeaderGetTypeId(row));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	const Trigger *trigger;
	RecordedRow read;

	if (table == NULL)
		elog(ERROR, "no table of promote has rows of the type %u", HeapTupleHeaderGetTypeId(row));
	trigger = record_trigger(table, "record_row");
	read.facts = record_facts(table, trigger, &tuple);
	if (errand()->records)
	{
		record_name(table, trigger, &tuple, &read);
		mark_row(read.project, read.subject, read.name, audit_hex(json_digest(read.facts)));
	}
	table_close(table, AccessShareLock);
	return read.facts;
}

/*
 * promote_internal.record_row() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE, for each row: marks the row's digest for the event that will
 * cover it.  A row that was written because somebody removed a guard is not marked, because no
 * verb vouches for it.
 */
Datum
TRIGGER_FUNCTION(promote_record_row)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);

	if (errand()->records && (!TRIGGER_FIRED_BY_UPDATE(data->tg_event) || changes_anything(data)) &&
		(TRIGGER_FIRED_BY_DELETE(data->tg_event) || is_current(data->tg_relation, trigger_row(data))))
		mark_written(data->tg_relation, data->tg_trigger, trigger_row(data), TRIGGER_FIRED_BY_DELETE(data->tg_event));
	return PointerGetDatum(NULL);
}

/* ---- rows that may be deleted ---- */

/* What was deleted of an instance: each idempotency key, and the number of log entries of each deployment. */
typedef struct Deleted
{
	char	   *instance;		/* its name */
	InstanceKey key;
	char	   *what;			/* the key, or the deployment's number */
	int64		rows;
} Deleted;

/* Find which rows were deleted, by instance, and lock these instances, whose chains record it. */
static SqlRows
find_deleted(const Sql *sql, TriggerData *data)
{
	static const SqlField fields[] = {
		SQL_FIELD(Deleted, instance, "i.name"), SQL_FIELD(Deleted, key.project, "g.project"),
		SQL_FIELD(Deleted, key.environment, "g.environment"), SQL_FIELD(Deleted, key.component, "g.component"),
		SQL_FIELDS(Deleted, "g", what, rows)
	};
#define GONE(what) \
	"WITH g AS MATERIALIZED (SELECT o.project, o.environment, o.component, " what " AS what, pg_catalog.count(*) AS rows" \
	"  FROM old_row AS o GROUP BY 1, 2, 3, 4)" \
	" SELECT $* FROM g JOIN promote.instance AS i ON " SAME_INSTANCE("i", "g") \
	" ORDER BY g.project, g.environment, g.component, g.what FOR NO KEY UPDATE OF i"
	static Statement keys = SQL_ROWS(fields, GONE("o.idempotency_key"));
	static Statement logs = SQL_ROWS(fields, GONE("o.deployment::pg_catalog.text"));

	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	return record_is_set(data->tg_relation) ? sql_run(sql, &logs) : sql_run(sql, &keys);
}

/* Mark what was deleted: a key, or the log of a deployment, of which entries may be left. */
static void
mark_deleted(const Sql *sql, Relation table, const Deleted *deleted)
{
	StringInfoData name;

	initStringInfo(&name);
	record_append_key(&name, deleted->key.project);
	record_append_key(&name, deleted->key.environment);
	record_append_key(&name, deleted->key.component);
	record_append_key(&name, deleted->what);
	mark_row(deleted->key.project, deleted->instance, record_subject(table, &name), NULL);
	if (record_is_set(table))
		record_log(sql, &deleted->key, pg_strtoint32(deleted->what));
}

/* Append to an instance's chain how many rows were deleted. */
static void
record_count(const Sql *sql, const char *table, const Deleted *deleted, int64 rows)
{
	JsonBuilder facts;

	audit_begin(&facts);
	json_build_number(&facts, "rows", rows);
	audit_note_facts(sql, deleted->key.project, deleted->instance, psprintf("%s.deleted", table), &facts);
}

/* Record deletions in the chains of their instances. */
static void
record_counts(const Sql *sql, TriggerData *data)
{
	const char *table = RelationGetRelationName(data->tg_relation);
	SqlRows		rows = find_deleted(sql, data);
	Deleted		deleted;
	Deleted		next;
	int64		count = 0;

	if (!sql_row(&rows, 0, &next))
		return;
	for (uint64 i = 0; i < rows.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		deleted = next;
		mark_deleted(sql, data->tg_relation, &deleted);
		count += deleted.rows;
		if (sql_row(&rows, i + 1, &next) && strcmp(deleted.instance, next.instance) == 0)
			continue;
		record_count(sql, table, &deleted, count);
		count = 0;
	}
}

/*
 * promote_internal.record_deletion() returns trigger
 *
 * AFTER DELETE of idempotency_key and of deployment_log, for each statement.
 */
Datum
TRIGGER_FUNCTION(promote_record_deletion)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_AFTER);
	Sql			sql;

	sql_enter(&sql);
	record_counts(&sql, data);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}
