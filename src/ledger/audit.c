/*
 * audit.c: the audit log, whose rows form a chain for each subject.
 *
 * A row's hash is the digest (json/digest.h) of an object that holds every other column under
 * its name.  Among them are the previous row's hash and the digests of the rows that the event
 * covers.  Times are UTC with microseconds, hashes are hexadecimal.  doc/reference/audit.md
 * has the details, so that a chain can be verified without this code.
 *
 * To append, the caller needs the chain's head, and a lock on the subject's row so that the
 * head does not change.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/row.h"
#include "grant/actor.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/audit.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/record_mark.h"

PG_FUNCTION_INFO_V1(promote_audit_hash);
PG_FUNCTION_INFO_V1(promote_check_audit);

/* Bytes as hexadecimal digits; NULL for none. */
char *
audit_hex(const bytea *bytes)
{
	char	   *digits;

	if (bytes == NULL)
		return NULL;
	digits = palloc(VARSIZE_ANY_EXHDR(bytes) * 2 + 1);
	digits[hex_encode(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), digits)] = '\0';
	return digits;
}

/* Write a number with so many digits, and what separates it from the next. */
static char *
write_digits(char *to, int number, int digits, char separator)
{
	for (int i = digits - 1; i >= 0; i--)
	{
		to[i] = '0' + number % 10;
		number /= 10;
	}
	to[digits] = separator;
	return to + digits + 1;
}

/*
 * A time as 2026-09-15T10:15:00.000000Z, whatever the session's time zone
 * and DateStyle.
 */
char *
audit_time(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fraction;
	char	   *text;
	char	   *to;

	if (TIMESTAMP_NOT_FINITE(at) || timestamp2tm(at, NULL, &tm, &fraction, NULL, NULL) != 0)
		return pstrdup(at < 0 ? "-infinity" : "infinity");
	if (tm.tm_year < 1 || tm.tm_year > 9999)
		return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
						tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction);
	/* by hand: verifying writes one for each row and more */
	to = text = palloc(sizeof("2026-09-15T10:15:00.000000Z"));
	to = write_digits(to, tm.tm_year, 4, '-');
	to = write_digits(to, tm.tm_mon, 2, '-');
	to = write_digits(to, tm.tm_mday, 2, 'T');
	to = write_digits(to, tm.tm_hour, 2, ':');
	to = write_digits(to, tm.tm_min, 2, ':');
	to = write_digits(to, tm.tm_sec, 2, '.');
	to = write_digits(to, fraction, 6, 'Z');
	*to = '\0';
	return text;
}

/* The hash of an event, which seals it into its chain. */
bytea *
audit_hash(const AuditEvent *event)
{
	const char *rows = event->rows ? audit_hex(json_digest(event->rows)) : NULL;
	JsonDigest *digest = json_digest_begin();

	json_digest_string(digest, "actor", event->actor);
	json_digest_string(digest, "at", audit_time(event->at));
	json_digest_document(digest, "data", event->data);
	json_digest_string(digest, "database_role", event->database_role);
	json_digest_string(digest, "event", event->event);
	json_digest_string(digest, "previous_hash", audit_hex(event->previous_hash));
	json_digest_string(digest, "project", event->project);
	json_digest_string(digest, "rows", rows);
	json_digest_number(digest, "seq", event->seq);
	json_digest_string(digest, "subject", event->subject);
	return json_digest_end(digest);
}

static const SqlField head_fields[] = {
	SQL_FIELDS(AuditHead, "a", seq, hash)
};
static RowFields head_columns = ROW_FIELDS(head_fields);

/* Read the head of a subject's chain, as a snapshot shows it. */
void
audit_take_head(const char *project, const char *subject, Snapshot snapshot, AuditHead *head)
{
	const RowKey chain = {"audit_log", "audit_log_pkey", {AS_TEXT(project), AS_TEXT(subject)}, 2};

	*head = (AuditHead) {0, NULL};
	(void) row_take(&chain, BackwardScanDirection, &head_columns, snapshot, head);
}

/* Read the head of a subject's chain.  The caller holds the lock on the subject. */
void
audit_read_head(const char *project, const char *subject, AuditHead *head)
{
	sql_push_latest();
	audit_take_head(project, subject, GetActiveSnapshot(), head);
	PopActiveSnapshot();
}

#define COLUMNS 11				/* of audit_log */
#define COLUMN_LIST "project, subject, seq, at, actor, database_role, event, data, rows, previous_hash, hash"

/* The statement that inserts that many rows of audit_log.  Its text is built at first use. */
static Statement *
insert_statement(int rows)
{
	static Statement statements[AUDIT_MAX_ENTRIES];
	Statement  *insert = &statements[rows - 1];
	StringInfoData text;

	if (insert->text)
		return insert;
	initStringInfo(&text);
	appendStringInfoString(&text, "INSERT INTO promote.audit_log (" COLUMN_LIST ") VALUES");
	for (int i = 0; i < rows * COLUMNS; i++)
		appendStringInfo(&text, "%s$%d%s", i % COLUMNS > 0 ? ", " : i > 0 ? ", (" : " (", i + 1,
						 (i + 1) % COLUMNS > 0 ? "" : ")");
	insert->text = MemoryContextStrdup(TopMemoryContext, text.data);
	return insert;
}

/* The values of a row of audit_log. */
static void
row_values(const AuditEvent *row, const bytea *hash, SqlValue *values)
{
	const SqlValue columns[COLUMNS] = {
		AS_TEXT(row->project), AS_TEXT(row->subject), AS_BIGINT(row->seq), AS_TIME(row->at), AS_TEXT(row->actor),
		AS_TEXT(row->database_role), AS_TEXT(row->event), AS_JSONB(row->data), AS_JSONB(row->rows),
		AS_BYTEA(row->previous_hash), AS_BYTEA(hash)
	};

	memcpy(values, columns, sizeof(columns));
}

/* The columns of an instance's key, whose values its name has. */
static const char *const key_columns[] = {"project", "environment", "component"};

/* Is it one of them? */
static bool
is_key_column(const char *name, int length)
{
	for (int i = 0; i < lengthof(key_columns); i++)
		if (length == strlen(key_columns[i]) && memcmp(name, key_columns[i], length) == 0)
			return true;
	return false;
}

/* Does the data say of what instance it is, which is the subject? */
static bool
names_subject(const Jsonb *data, const char *subject)
{
	for (int i = 0; i < lengthof(key_columns); i++)
	{
		const char *end = i < 2 ? "-" : "";
		JsonbValue	value;

		if (getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &data->root), key_columns[i],
										 strlen(key_columns[i]), &value) == NULL ||
			value.type != jbvString || strncmp(subject, value.val.string.val, value.val.string.len) != 0 ||
			subject[value.val.string.len] != end[0])
			return false;
		subject += value.val.string.len + strlen(end);
	}
	return true;
}

/* The data of an event, without what its subject says already. */
static const Jsonb *
without_subject(const Jsonb *data, const char *subject)
{
	JsonBuilder builder;

	if (!JsonContainerIsObject(unconstify(JsonbContainer *, &data->root)) || !names_subject(data, subject))
		return data;
	json_begin_object(&builder);
	json_foreach_in(child, &data->root)
	{
		const JsonbValue *key = &child.key;

		if (is_key_column(key->val.string.val, key->val.string.len))
			continue;
		json_build_key(&builder, key->val.string.val, key->val.string.len);
		json_build_value(&builder, &child.value);
	}
	return json_builder_finish(&builder);
}

/* The rows of events that follow a head, which moves.  The last event covers the rows that were written. */
static void
link_rows(AuditHead *head, const char *project, const char *subject, const AuditEntry *entries, int count,
		  SqlValue *values)
{
	Assert(count > 0 && count <= AUDIT_MAX_ENTRIES);
	for (int i = 0; i < count; i++)
	{
		AuditEvent	row = {project, subject, head->seq + 1, GetCurrentTimestamp(),
			current_actor(), current_database_role(), entries[i].event, without_subject(entries[i].data, subject),
			i == count - 1 ? mark_take(project, subject) : NULL, head->hash};

		*head = (AuditHead) {row.seq, audit_hash(&row)};
		row_values(&row, head->hash, values + COLUMNS * i);
	}
}

/*
 * Append events to a chain in one statement, and move the head.  The last event covers the
 * rows that were written.  The caller holds the lock on the subject.
 */
void
audit_append(const Sql *sql, AuditHead *head, const char *project, const char *subject,
			 const AuditEntry *entries, int count)
{
	SqlValue	values[AUDIT_MAX_ENTRIES * COLUMNS];

	link_rows(head, project, subject, entries, count, values);
	if (guarded_call(sql, insert_statement(count), values, count * COLUMNS).count != count)
		elog(ERROR, "the audit rows of \"%s\" were not all written", subject);
}

/* Begin to gather events of many chains, which are appended by one statement. */
void
audit_begin_batch(Batch *batch)
{
	static const char *const columns[] = {
		"project", "subject", "seq", "at", "actor", "database_role", "event", "data", "rows", "previous_hash", "hash"
	};

	*batch = (Batch) {.name = "new_audit",.of = "audit_log",.columns = columns};
	batch_begin(batch);
}

/* Add the events of a chain, as audit_append. */
void
audit_put(Batch *batch, AuditHead *head, const char *project, const char *subject, const AuditEntry *entries,
		  int count)
{
	SqlValue	values[AUDIT_MAX_ENTRIES * COLUMNS];

	link_rows(head, project, subject, entries, count, values);
	for (int i = 0; i < count; i++)
		batch_put_values(batch, values + COLUMNS * i, COLUMNS);
}

/* Append all events that were gathered, and end the batch. */
void
audit_write(const Sql *sql, Batch *batch)
{
	static Statement insert = {"INSERT INTO promote.audit_log (" COLUMN_LIST ") SELECT " COLUMN_LIST " FROM new_audit"};

	if (batch->count > 0)
	{
		batch_open(batch);
		if (guarded_run(sql, &insert).count != batch->count)
			elog(ERROR, "the audit rows of a set were not all written");
	}
	batch_end(batch);
}

/* Begin the facts of an event: an object that says who acts. */
void
audit_begin(JsonBuilder *facts)
{
	json_begin_object(facts);
	json_build_field(facts, "actor", current_actor());
	json_build_field(facts, "database_role", current_database_role());
}

/*
 * Append one event to the chain of a subject whose head was not read yet.  The caller holds
 * the lock on the subject.  Returns the row's number.
 */
int64
audit_note(const Sql *sql, const char *project, const char *subject, const char *event, const Jsonb *data)
{
	AuditEntry	entry = {event, data};
	AuditHead	head;

	audit_read_head(project, subject, &head);
	audit_append(sql, &head, project, subject, &entry, 1);
	return head.seq;
}

/* As audit_note, with facts that audit_begin began, or with others. */
int64
audit_note_facts(const Sql *sql, const char *project, const char *subject, const char *event, JsonBuilder *facts)
{
	return audit_note(sql, project, subject, event, json_builder_finish(facts));
}

/*
 * promote.audit_hash(project text, subject text, seq bigint, at timestamptz,
 * actor text, database_role text, event text, data jsonb, rows jsonb,
 * previous_hash bytea) returns bytea; only rows and previous_hash may be NULL
 */
Datum
promote_audit_hash(PG_FUNCTION_ARGS)
{
	AuditEvent	event;

	for (int i = 0; i < 8; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	event.project = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event.subject = text_to_cstring(PG_GETARG_TEXT_PP(1));
	event.seq = PG_GETARG_INT64(2);
	event.at = PG_GETARG_TIMESTAMPTZ(3);
	event.actor = text_to_cstring(PG_GETARG_TEXT_PP(4));
	event.database_role = text_to_cstring(PG_GETARG_TEXT_PP(5));
	event.event = text_to_cstring(PG_GETARG_TEXT_PP(6));
	event.data = PG_GETARG_JSONB_P(7);
	event.rows = value_jsonb(fcinfo->args[8]);
	event.previous_hash = value_bytea(fcinfo->args[9]);
	PG_RETURN_BYTEA_P(audit_hash(&event));
}

/* Convert a value by its type's output function, independent of the session's settings. */
static char *
pinned_output(Oid type, Datum value)
{
	Oid			output;
	bool		is_varlena;
	char	   *written;
	int			level;

	getTypeOutputInfo(type, &output, &is_varlena);
	if (type == TEXTARRAYOID || type == INT4OID || type == BOOLOID)
		return OidOutputFunctionCall(output, value);
	level = NewGUCNestLevel();
	sql_pin_output();
	written = OidOutputFunctionCall(output, value);
	AtEOXact_GUC(false, level);
	return written;
}

/*
 * A column's value as text.  Documents are replaced by digests by the key of the project, or
 * by plain digests without a project.  NULL where the project was deleted with its key: nobody
 * can compute the digest any more.
 */
char *
audit_text(const char *project, Oid type, Datum value)
{
	switch (type)
	{
		case BYTEAOID:
			return audit_hex(DatumGetByteaPP(value));
		case JSONBOID:
			return audit_hex(project ? config_digest_if_any(project, DatumGetJsonbP(value)) :
							 json_digest(DatumGetJsonbP(value)));
		case TIMESTAMPTZOID:
			return audit_time(DatumGetTimestampTz(value));
		case TEXTOID:
			return TextDatumGetCString(value);
		default:
			return pinned_output(type, value);
	}
}

/* Write a column's value as a fact about a row of the project. */
static void
write_fact(JsonBuilder *builder, const char *project, Oid type, Datum value)
{
	char	   *written;

	switch (type)
	{
		case INT4OID:
			json_build_integer(builder, DatumGetInt32(value));
			return;
		case INT8OID:
			json_build_integer(builder, DatumGetInt64(value));
			return;
		case BOOLOID:
			json_build_bool(builder, DatumGetBool(value));
			return;
		default:
			written = audit_text(project, type, value);
	}
	if (written)
		json_build_string(builder, written, strlen(written));
	else
		json_build_null(builder);
}

/*
 * Write a selector or attributes in clear, because they say which instances something applies
 * to.  A long document is replaced by its digest.
 */
static bool
write_label(JsonBuilder *builder, const char *name, Datum value)
{
	Jsonb	   *document;
	JsonbValue	view;

	if (strcmp(name, "selector") != 0 && strcmp(name, "attributes") != 0)
		return false;
	document = DatumGetJsonbP(value);
	view = json_view(document);
	if (VARSIZE(document) > AUDIT_MAX_LABEL)
		return false;
	json_build_value(builder, &view);
	return true;
}

/* Is the name in the array? */
bool
audit_is_named(const char *name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * As audit_is_named.  The search begins behind the name that was found last, for columns mostly
 * come in the order of the names; found begins as -1.
 */
bool
audit_is_next(const char *name, const char *const *names, int count, int *found)
{
	for (int i = 1; i <= count; i++)
	{
		int			place = (*found + i) % count;

		if (strcmp(name, names[place]) == 0)
		{
			*found = place;
			return true;
		}
	}
	return false;
}

/* The project that a row belongs to; NULL: none. */
static char *
project_of(TupleDesc row_type, const Datum *values, const bool *nulls)
{
	int			number = SPI_fnumber(row_type, "project");

	if (number <= 0 || nulls[number - 1] || getBaseType(TupleDescAttr(row_type, number - 1)->atttypid) != TEXTOID)
		return NULL;
	return TextDatumGetCString(values[number - 1]);
}

/*
 * What the audit log says of a row: the named columns, or all other columns.  Null columns are
 * left out, so that a later version can add columns without changing what was recorded.
 */
Jsonb *
audit_facts(HeapTuple row, TupleDesc row_type, bool named, const char *const *names,
			int count)
{
	Datum	   *values = palloc(row_type->natts * sizeof(Datum));
	bool	   *nulls = palloc(row_type->natts * sizeof(bool));
	const char *project;
	int			found = -1;
	JsonBuilder	builder;

	heap_deform_tuple(row, row_type, values, nulls);
	project = project_of(row_type, values, nulls);
	json_begin_object(&builder);
	for (int i = 0; i < row_type->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row_type, i);
		const char *name = NameStr(column->attname);

		if (nulls[i] || column->attisdropped || audit_is_next(name, names, count, &found) != named)
			continue;
		json_build_key(&builder, name, strlen(name));
		if (column->atttypid != JSONBOID || !write_label(&builder, name, values[i]))
			write_fact(&builder, project, getBaseType(column->atttypid), values[i]);
	}
	return json_builder_finish(&builder);
}

/* Does the value have the length of a hash? */
static bool
is_hash(const bytea *hash)
{
	return VARSIZE_ANY_EXHDR(hash) == JSON_DIGEST_LENGTH;
}

/* Is it a project's name, or the * for rows without a project? */
static bool
is_project(const text *project)
{
	const char *name = VARDATA_ANY(project);
	int			length = VARSIZE_ANY_EXHDR(project);

	if (length == 1 && name[0] == '*')
		return true;
	for (int i = 0; i < length; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
			return false;
	return length > 0 && length <= 63;
}

/*
 * promote_internal.check_audit(project text, seq bigint, event text, previous_hash bytea, hash
 * bytea) returns boolean
 *
 * One function checks all columns for speed, see promote_check_deployment.
 */
Datum
promote_check_audit(PG_FUNCTION_ARGS)
{
	int64		seq = PG_GETARG_INT64(1);
	bool		first;

	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	first = seq == 1 && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(2)), AUDIT_CHECKPOINT) != 0;
	PG_RETURN_BOOL(is_project(PG_GETARG_TEXT_PP(0)) &&
				   seq > 0 && !PG_ARGISNULL(4) && PG_ARGISNULL(3) == first &&
				   (PG_ARGISNULL(3) || is_hash(PG_GETARG_BYTEA_PP(3))) &&
				   is_hash(PG_GETARG_BYTEA_PP(4)));
}
