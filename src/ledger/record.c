/*
 * record.c: the recorders: what is done to rows of any table is in the audit
 * log.
 *
 * Rows that people write themselves, of the registry, of rules, grants and
 * others, have a chain each, whose subject is the table and the row's key:
 * record_change appends what is done to them.  That takes no lock: whoever has
 * written the row holds it, and a key that was just taken or given up is waited
 * for by its index.  A chain that a snapshot does not show is audit_append's to
 * refuse.
 *
 * Rows that verbs write belong to the chain of what the verb is about, an
 * instance or a request.  The verb appends its event there, and that has the
 * digests of the rows, which record_row has marked by then.  Where they are
 * many that are written once, they are a set with one digest, made when it is
 * whole.
 *
 * They know no table, see recorded.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/trigger.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/audit.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/record.h"
#include "ledger/record_mark.h"
#include "ledger/record_rows.h"
#include "ledger/recorded.h"

PG_FUNCTION_INFO_V1(promote_record_change);
PG_FUNCTION_INFO_V1(promote_record_row);
PG_FUNCTION_INFO_V1(promote_record_deletion);

/* Has an update changed anything that is recorded?  Seen without reading what is stored elsewhere. */
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

/* Add a document to the facts. */
static void
build_document(JsonBuilder *facts, const char *key, const Jsonb *document)
{
	JsonbValue *view = palloc(sizeof(JsonbValue));

	json_root(document, view);
	json_build_key(facts, key, strlen(key));
	json_build_value(facts, view);
}

/* Say which chain the row has gone to, or has come from, with another key. */
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

/* What happened, as the data of an audit row; what is not to be in it is NULL. */
static Jsonb *
change_facts(const RecordedRow *before, const RecordedRow *after, const RecordedRow *was,
			 const RecordedRow *became)
{
	JsonBuilder facts;

	json_builder_init(&facts);
	json_build_begin_object(&facts);
	if (before)
		build_document(&facts, "before", before->facts);
	if (after)
		build_document(&facts, "after", after->facts);
	build_other(&facts, "was", was);
	build_other(&facts, "became", became);
	json_build_end_object(&facts);
	return json_builder_finish(&facts);
}

/* What the last event of a row's chain, which is the head, says the row is; NULL: there is no such row, or no chain. */
static Jsonb *
read_last(const Sql *sql, const RecordedRow *row, const AuditHead *head)
{
	static Statement read = {"SELECT a.data -> 'after' FROM promote.audit_log AS a"
		" WHERE a.project = $1 AND a.subject = $2 AND a.seq = $3"};
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(row->project), AS_TEXT(row->subject), AS_BIGINT(head->seq));

	return rows.count > 0 ? sql_jsonb(&rows, 0) : NULL;
}

/*
 * Is a row that is loaded recorded already?  A dump brings the log before the
 * rows, so that it is there; only several jobs load tables in any order, which
 * takes session_replication_role = replica: the log, or the project with the key
 * of the digests, is still to come.  Whoever abuses that leaves a row behind that
 * no row of the log records, which promote.verify_audit finds.
 */
static bool
is_recorded(const Sql *sql, const RecordedRow *row, const AuditHead *head)
{
	bool		any_order = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	const Jsonb *last;

	if (any_order && strcmp(row->project, AUDIT_NO_PROJECT) != 0 && !config_digest_has_key(row->project))
		return true;
	last = read_last(sql, row, head);
	if (last == NULL)
		return any_order && head->seq == 0;
	return compareJsonbContainers((JsonbContainer *) &last->root, (JsonbContainer *) &row->facts->root) == 0;
}

/* Append one event to the chain of a row. */
static void
append(const Sql *sql, AuditHead *head, const char *table, const char *what, const RecordedRow *row, Jsonb *data)
{
	AuditEntry	entry = {psprintf("%s.%s", table, what), data};

	audit_append(sql, head, row->project, row->subject, &entry, 1);
}

/* Record a row that is new, or has come to another key. */
static void
record_inserted(const Sql *sql, const char *table, const RecordedRow *row, const RecordedRow *was, bool loading)
{
	AuditHead	head;

	audit_read_head(sql, row->project, row->subject, &head);
	if (!loading || !is_recorded(sql, row, &head))
		append(sql, &head, table, "inserted", row, change_facts(NULL, row, was, NULL));
}

/* Record a row that is gone, or has gone to another key. */
static void
record_deleted(const Sql *sql, const char *table, const RecordedRow *row, const RecordedRow *became)
{
	AuditHead	head;

	audit_read_head(sql, row->project, row->subject, &head);
	append(sql, &head, table, "deleted", row, change_facts(row, NULL, NULL, became));
}

/* Record a row that is another; both chains tell of it where the key is, too. */
static void
record_updated(const Sql *sql, const char *table, const RecordedRow *before, const RecordedRow *after)
{
	AuditHead	head;

	if (strcmp(before->project, after->project) != 0 || strcmp(before->subject, after->subject) != 0)
	{
		record_deleted(sql, table, before, after);
		record_inserted(sql, table, after, before, false);
		return;
	}
	audit_read_head(sql, after->project, after->subject, &head);
	append(sql, &head, table, "updated", after, change_facts(before, after, NULL, NULL));
}

/* Record what a trigger was fired by. */
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
promote_record_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_change", NULL,
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
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
 * Is the row still what it was when its trigger was queued?  A trigger that a
 * user added may come first, and have written it again, which was marked then.
 */
static bool
is_current(Relation table, HeapTuple row)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool		found = table_tuple_fetch_row_version(table, &row->t_self, SnapshotSelf, slot);

	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/* Mark a row as it was written, or that it is gone. */
static void
mark_written(Relation table, const Trigger *trigger, HeapTuple row, bool gone)
{
	RecordedRow read;

	if (!gone && !is_current(table, row))
		return;
	record_read(table, trigger, row, &read);
	mark_row(read.project, read.subject, read.name, gone ? NULL : audit_hex(json_digest(read.facts)));
}

/* Mark a row as it was written, for a trigger that records by itself. */
void
record_written(Relation table, HeapTuple row)
{
	mark_written(table, record_trigger(table, "record_row"), row, false);
}

/*
 * promote_internal.record_row() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE, for each row: marks the row's digest, for the
 * event that tells of it.  What is written past a guard that somebody has taken
 * away is nothing that a verb is to vouch for.
 */
Datum
promote_record_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_row", NULL,
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);

	if (guard_is_open() && (!TRIGGER_FIRED_BY_UPDATE(data->tg_event) || changes_anything(data)))
		mark_written(data->tg_relation, data->tg_trigger, trigger_row(data), TRIGGER_FIRED_BY_DELETE(data->tg_event));
	return PointerGetDatum(NULL);
}

/* ---- rows that may be thrown away ---- */

/* What was deleted of an instance: of keys each, of logs how many entries of each deployment. */
typedef struct Deleted
{
	char	   *instance;		/* its name */
	InstanceKey key;
	char	   *what;			/* the key, or the number of the deployment */
	int64		rows;
} Deleted;

/* Which rows were deleted, by instances, under locks on these, whose chains tell of it. */
static SqlRows
find_deleted(const Sql *sql, TriggerData *data)
{
	static const SqlField fields[] = {
		SQL_FIELD(Deleted, instance, "i.name"), SQL_FIELD(Deleted, key.project, "g.project"),
		SQL_FIELD(Deleted, key.environment, "g.environment"), SQL_FIELD(Deleted, key.component, "g.component"),
		SQL_FIELD(Deleted, what, "g.what"), SQL_FIELD(Deleted, rows, "g.rows")
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

/* Mark what is gone: a key, or a log, of which something may be left. */
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

/* Append to an instance's chain that rows were deleted, and how many. */
static void
record_count(const Sql *sql, const char *table, const Deleted *deleted, int64 rows)
{
	JsonBuilder facts;

	audit_begin(&facts);
	json_build_number(&facts, "rows", rows);
	audit_note_facts(sql, deleted->key.project, deleted->instance, psprintf("%s.deleted", table), &facts);
}

/* Record deletions in the chains of the instances that they are of. */
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
promote_record_deletion(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_deletion", NULL, TRIGGER_EVENT_AFTER);
	Sql			sql;

	sql_enter(&sql);
	record_counts(&sql, data);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}
