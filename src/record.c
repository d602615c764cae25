/*
 * record.c: the recorder: what is done to rows that people write themselves,
 * of the registry, of rules, grants and others, is appended to the audit log
 * by the statement that does it.
 *
 * Each row has a chain of its own, whose subject is the table and the row's
 * key.  So appending takes no lock: whoever has written the row holds it, and
 * a key that was just taken or given up is waited for by its index.  A chain
 * that a snapshot does not show is audit_append's to refuse.
 *
 * It knows no table: the key is the primary key, in the order of the table's
 * columns, the chain's project the column of that name, and the trigger's
 * arguments are columns that are left out, because a verb keeps and records
 * them, or because nobody is to see them.
 */
#include "postgres.h"

#include "audit.h"
#include "history.h"
#include "json/builder.h"
#include "json/reader.h"
#include "record.h"
#include "spi.h"
#include "stage.h"
#include "trigger.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"

PG_FUNCTION_INFO_V1(promote_record_change);
PG_FUNCTION_INFO_V1(promote_record_deletion);

#define KEY_MAX_LENGTH 512		/* of a key in a subject; a longer one is there by its hash */

/* ---- one row ---- */

/* The trigger that records changes of a table; NULL: it has none. */
Trigger *
record_trigger(Relation table)
{
	TriggerDesc *triggers = table->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (strcmp(triggers->triggers[i].tgname, "record_change") == 0)
			return &triggers->triggers[i];
	return NULL;
}

/* Append one column of a key; slashes in it are escaped, for they part the columns. */
static void
append_key(StringInfo key, const char *value)
{
	if (key->len > 0)
		appendStringInfoChar(key, '/');
	for (; *value; value++)
	{
		if (*value == '/' || *value == '\\')
			appendStringInfoChar(key, '\\');
		appendStringInfoChar(key, *value);
	}
}

/* What stands for a key that no index would hold. */
static char *
hashed_key(const StringInfo key)
{
	bytea	   *bytes = (bytea *) cstring_to_text_with_len(key->data, key->len);

	return psprintf("sha256:%s", audit_hex(DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
																			   PointerGetDatum(bytes)))));
}

/* A row's subject: its table and its key. */
static char *
row_subject(Relation table, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(table);
	Bitmapset  *columns = RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	StringInfoData key;
	int			column = -1;

	initStringInfo(&key);
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		int			number = column + FirstLowInvalidHeapAttributeNumber;
		bool		isnull;
		Datum		value = heap_getattr(row, number, row_type, &isnull);

		append_key(&key, audit_text(getBaseType(TupleDescAttr(row_type, number - 1)->atttypid), value));
	}
	bms_free(columns);
	return psprintf("%s %s", RelationGetRelationName(table),
					key.len > KEY_MAX_LENGTH ? hashed_key(&key) : key.data);
}

/* The project whose log a row belongs to. */
static const char *
row_project(Relation table, HeapTuple row)
{
	int			number = SPI_fnumber(RelationGetDescr(table), "project");
	char	   *project = number > 0 ? SPI_getvalue(row, RelationGetDescr(table), number) : NULL;

	return project ? project : AUDIT_NO_PROJECT;
}

/* What the log has of a row, in the current memory context. */
void
record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read)
{
	read->project = row_project(table, row);
	read->subject = row_subject(table, row);
	read->facts = audit_facts(row, RelationGetDescr(table), false,
							  (const char *const *) trigger->tgargs, trigger->tgnargs);
}

/* Is the column one of those that are left out? */
static bool
is_left_out(const Trigger *trigger, const char *column)
{
	for (int i = 0; i < trigger->tgnargs; i++)
		if (strcmp(trigger->tgargs[i], column) == 0)
			return true;
	return false;
}

/* Has an update changed anything that is recorded?  Seen without reading what is stored elsewhere. */
static bool
changes_anything(TriggerData *data)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);

	for (int i = 0; i < row_type->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, i);

		if (!column->attisdropped && column_differs(data, NameStr(column->attname)) &&
			!is_left_out(data->tg_trigger, NameStr(column->attname)))
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

/*
 * Read the head of a row's chain, and what its last event says the row is;
 * NULL: there is no such row, or its chain is empty.
 */
static Jsonb *
read_last(const RecordedRow *row, AuditHead *head)
{
	static Statement read = {
		.text = "SELECT a.seq, a.hash, a.data -> 'after' FROM promote.audit_log AS a"
		" WHERE a.project = $1 AND a.subject = $2"
		" ORDER BY a.project DESC, a.subject DESC, a.seq DESC LIMIT 1",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(row->project), CStringGetTextDatum(row->subject)};
	bool		isnull;

	*head = (AuditHead) {0, NULL};
	statement_run(&read, values, NULL, false);
	if (SPI_processed == 0)
		return NULL;
	head->seq = DatumGetInt64(spi_value(SPI_tuptable, 0, 1, &isnull));
	head->hash = spi_bytea(SPI_tuptable, 0, 2);
	return spi_jsonb(SPI_tuptable, 0, 3);
}

/*
 * Is a row that is loaded recorded already?  A dump brings the log before the
 * rows, so that it is there; only several jobs load tables in any order, which
 * takes session_replication_role = replica.  Whoever abuses that leaves a row
 * behind that no row of the log records, which promote.verify_audit finds.
 */
static bool
is_recorded(const RecordedRow *row, const Jsonb *last, const AuditHead *head)
{
	if (!loading_rows())
		return false;
	if (last == NULL)
		return head->seq == 0 && SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	return compareJsonbContainers((JsonbContainer *) &last->root, (JsonbContainer *) &row->facts->root) == 0;
}

/* Append one event to the chain of a row. */
static void
append(AuditHead *head, const char *table, const char *what, const RecordedRow *row, Jsonb *data)
{
	AuditEntry	entry = {psprintf("%s.%s", table, what), data};

	audit_append(head, row->project, row->subject, &entry, 1);
}

/* Record a row that is new, or has come to another key. */
static void
record_inserted(const char *table, const RecordedRow *row, const RecordedRow *was, bool loading)
{
	AuditHead	head;
	Jsonb	   *last = read_last(row, &head);

	if (!loading || !is_recorded(row, last, &head))
		append(&head, table, "inserted", row, change_facts(NULL, row, was, NULL));
}

/* Record a row that is gone, or has gone to another key. */
static void
record_deleted(const char *table, const RecordedRow *row, const RecordedRow *became)
{
	AuditHead	head;

	audit_read_head(row->project, row->subject, &head);
	append(&head, table, "deleted", row, change_facts(row, NULL, NULL, became));
}

/* Record a row that is another; both chains tell of it where the key is, too. */
static void
record_updated(const char *table, const RecordedRow *before, const RecordedRow *after)
{
	AuditHead	head;

	if (strcmp(before->project, after->project) != 0 || strcmp(before->subject, after->subject) != 0)
	{
		record_deleted(table, before, after);
		record_inserted(table, after, before, false);
		return;
	}
	audit_read_head(after->project, after->subject, &head);
	append(&head, table, "updated", after, change_facts(before, after, NULL, NULL));
}

/* Record what a trigger was fired by.  Runs inside a scope of spi.h. */
static void
record(TriggerData *data, bool loading)
{
	const char *table = RelationGetRelationName(data->tg_relation);
	RecordedRow row;
	RecordedRow after;

	record_read(data->tg_relation, data->tg_trigger, data->tg_trigtuple, &row);
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		record_inserted(table, &row, NULL, loading);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		record_deleted(table, &row, NULL);
	else
	{
		record_read(data->tg_relation, data->tg_trigger, data->tg_newtuple, &after);
		record_updated(table, &row, &after);
	}
}

/*
 * promote.record_change() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE, for each row: appends to the row's chain.
 */
Datum
promote_record_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_change", NULL,
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	bool		loading = loading_rows();
	SpiScope	scope;

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) && !changes_anything(data))
		return PointerGetDatum(NULL);
	spi_enter(&scope);
	record(data, loading);
	spi_leave(&scope);
	return PointerGetDatum(NULL);
}

/* ---- rows that may be thrown away ---- */

/*
 * How many rows of each project were deleted, under locks on the projects,
 * whose chains tell of it.  Of a table whose rows are no evidence, and many.
 */
static void
count_deleted(TriggerData *data)
{
#define COUNT_DELETED \
	"WITH gone AS MATERIALIZED (SELECT o.project, pg_catalog.count(*) AS rows FROM old_row AS o GROUP BY o.project)" \
	" SELECT p.project::pg_catalog.text, g.rows FROM gone AS g JOIN promote.project AS p ON p.project = g.project" \
	" ORDER BY p.project FOR NO KEY UPDATE OF p"
	static Statement counts[] = {
		{.text = COUNT_DELETED},
		{.text = COUNT_DELETED}
	};
	bool		keys = strcmp(RelationGetRelationName(data->tg_relation), "idempotency_key") == 0;

	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	statement_run(&counts[keys ? 0 : 1], NULL, NULL, false);
}

/* Append to a project's chain that rows of a table were deleted, and how many. */
static void
record_count(const char *table, const char *project, int64 rows)
{
	JsonBuilder facts;

	audit_begin(&facts);
	json_build_number(&facts, "rows", rows);
	audit_note_facts(project, project, psprintf("%s.deleted", table), &facts);
}

/* Record deletions in the chains of the projects that they are of. */
static void
record_counts(TriggerData *data)
{
	SPITupleTable *rows;
	uint64		count;
	bool		isnull;

	count_deleted(data);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		record_count(RelationGetRelationName(data->tg_relation), spi_text(rows, i, 1),
					 DatumGetInt64(spi_value(rows, i, 2, &isnull)));
}

/*
 * promote.record_deletion() returns trigger
 *
 * AFTER DELETE of idempotency_key and of deployment_log, for each statement.
 */
Datum
promote_record_deletion(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_deletion", NULL, TRIGGER_EVENT_AFTER);
	SpiScope	scope;

	spi_enter(&scope);
	record_counts(data);
	spi_leave(&scope);
	return PointerGetDatum(NULL);
}
