/*
 * record_rows.c: the recorded rows as they are now.  promote.verify_audit compares them with
 * the log, and an event covers a set of them.
 *
 * The catalog says which tables are recorded: those with a trigger record_change or
 * record_row.  Rows that come with promote (builtin) are left out, because nobody wrote them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/result.h"
#include "json/digest.h"
#include "ledger/audit.h"
#include "ledger/record.h"
#include "ledger/record_mark.h"
#include "ledger/recorded.h"

PG_FUNCTION_INFO_V1(promote_recorded_rows);

#define ROWS_AT_ONCE 1000

/* Does a deployment run, so that its log still grows?  No event covers the log before the deployment ends. */
#define LOG_GOES_ON \
	"EXISTS (SELECT FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "t") \
	" AND d.deployment = t.deployment AND d.status = 'RUNNING')"

/* A row t of one of the tables, as a value. */
typedef struct Entry
{
	HeapTupleHeader row;
	bool		open;			/* no event has to cover the row yet */
} Entry;

static const SqlField entry_fields[] = {
	SQL_FIELD(Entry, row, "t"), SQL_FIELD(Entry, open, "false")
};
static const SqlField log_fields[] = {
	SQL_FIELD(Entry, row, "t"), SQL_FIELD(Entry, open, LOG_GOES_ON)
};

/* Which rows are asked for: all, those in chains of a project, or those that a subject names. */
typedef struct Asked
{
	const char *subject;		/* NULL: all */
	const char *project;		/* NULL: all */
	FunctionCallInfo fcinfo;	/* the function call that the rows are returned to */
} Asked;

/* A table and one of the triggers that record its rows. */
typedef struct Source
{
	Relation	table;
	const Trigger *trigger;
} Source;

/* A set of rows that is being read; in most tables a set is one row. */
typedef struct RowSet
{
	char	   *project;
	char	   *subject;
	char	   *name;			/* NULL before the first row */
	bytea	   *digest;			/* of the row; of several rows, the digest over the digest so far and the row's */
	bool		open;			/* no event has to cover the set yet */
	MemoryContext context;
	MemoryContext each;			/* for one row */
} RowSet;

/* A query that is being built, with its parameters, which are texts. */
typedef struct RowQuery
{
	StringInfoData text;
	SqlValue	values[INDEX_MAX_KEYS];
	int			count;			/* of the parameters */
} RowQuery;

/*
 * The key's columns in a subject of the given table.  NIL: the subject is of another table, or
 * it holds only a hash of the key.
 */
static List *
subject_key(const char *subject, const char *table)
{
	Size		length = strlen(table);
	List	   *columns = NIL;
	StringInfoData column;

	if (strncmp(subject, table, length) != 0 || subject[length] != ' ')
		return NIL;
	initStringInfo(&column);
	for (const char *at = subject + length + 1;; at++)
	{
		if (*at == '/' || *at == '\0')
		{
			columns = lappend(columns, pstrdup(column.data));
			resetStringInfo(&column);
			if (*at == '\0')
				return columns;
			continue;
		}
		if (*at == '\\' && at[1])
			at++;
		appendStringInfoChar(&column, *at);
	}
}

/*
 * The cast that turns a column into the text that keys hold, which is the output of its type.
 * A boolean's cast to text differs: it spells the word out.
 */
static const char *
key_cast(Oid type)
{
	switch (getBaseType(type))
	{
		case TEXTOID:
			return "";
		case BOOLOID:
			return "::pg_catalog.text::pg_catalog.bpchar(1)::pg_catalog.text";
		default:
			return "::pg_catalog.text";
	}
}

/* The column with that number, as a part of a statement's text. */
static const char *
key_column(Relation table, int number)
{
	return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table), number - 1)->attname));
}

/*
 * Add the condition that finds the row with a key, given as parameters, by the index where its
 * columns are texts.  False: no row can have such a key.
 */
static bool
append_condition(RowQuery *query, Relation table, List *key)
{
	List	   *numbers = record_key(table);

	if (list_length(numbers) != list_length(key))
		return false;
	for (int i = 0; i < list_length(numbers); i++)
	{
		int			number = list_nth_int(numbers, i);

		query->values[query->count++] = AS_TEXT(list_nth(key, i));
		appendStringInfo(&query->text, " AND t.%s%s = $%d", key_column(table, number),
						 key_cast(TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid), query->count);
	}
	return true;
}

/* ---- sets ---- */

/* Start without a set. */
static void
init_set(RowSet *set)
{
	*set = (RowSet) {
		.context = AllocSetContextCreate(CurrentMemoryContext, "promote rows", ALLOCSET_SMALL_SIZES),
		.each = AllocSetContextCreate(CurrentMemoryContext, "promote row", ALLOCSET_DEFAULT_SIZES)
	};
}

/* The digest over two digests. */
static bytea *
digest_both(const bytea *one, const bytea *other)
{
	bytea	   *both = palloc(VARHDRSZ + 2 * JSON_DIGEST_LENGTH);

	SET_VARSIZE(both, VARHDRSZ + 2 * JSON_DIGEST_LENGTH);
	memcpy(VARDATA(both), VARDATA_ANY(one), JSON_DIGEST_LENGTH);
	memcpy(VARDATA(both) + JSON_DIGEST_LENGTH, VARDATA_ANY(other), JSON_DIGEST_LENGTH);
	return DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(both)));
}

/* Return a set, unless another subject or project is asked for. */
static void
put_set(const Asked *asked, const RowSet *set)
{
	if (set->name && (asked->subject == NULL || strcmp(asked->subject, set->subject) == 0) &&
		(asked->project == NULL || strcmp(asked->project, set->project) == 0))
		result_put(asked->fcinfo, AS_TEXT(set->project), AS_TEXT(set->subject), AS_TEXT(set->name),
				   AS_TEXT(audit_hex(set->digest)), AS_BOOL(set->open));
}

/* Begin a set with a row. */
static void
begin_set(RowSet *set, const RecordedRow *row, const bytea *digest)
{
	MemoryContext outer;

	MemoryContextReset(set->context);
	outer = MemoryContextSwitchTo(set->context);
	set->project = pstrdup(row->project);
	set->subject = pstrdup(row->subject);
	set->name = pstrdup(row->name);
	set->digest = DatumGetByteaPCopy(PointerGetDatum(digest));
	MemoryContextSwitchTo(outer);
}

/* Add a row, given as a value, to its set.  A row of another set ends the set before it. */
static void
take_row(const Asked *asked, const Source *source, const Entry *entry, RowSet *set)
{
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(entry->row), .t_data = entry->row};
	RecordedRow row;
	bytea	   *digest;

	record_read(source->table, source->trigger, &tuple, &row);
	digest = json_digest(row.facts);
	if (set->name && strcmp(row.name, set->name) == 0)
	{
		digest = digest_both(set->digest, digest);
		memcpy(VARDATA_ANY(set->digest), VARDATA_ANY(digest), JSON_DIGEST_LENGTH);
		return;
	}
	if (asked)
		put_set(asked, set);
	begin_set(set, &row, digest);
	set->open = entry->open;
}

/* Read the rows of a cursor, which are entries in the order of their keys.  The last set stays in set. */
static void
read_rows(const Asked *asked, const Source *source, Statement *read, Portal cursor, RowSet *set)
{
	SqlRows		rows;

	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, ROWS_AT_ONCE);
		rows = sql_fetched(read);
		for (uint64 i = 0; i < rows.count; i++)
		{
			MemoryContext outer = MemoryContextSwitchTo(set->each);
			Entry		entry;

			(void) sql_row(&rows, i, &entry);
			take_row(asked, source, &entry, set);
			MemoryContextSwitchTo(outer);
			MemoryContextReset(set->each);
		}
		SPI_freetuptable(rows.table);
	} while (rows.count > 0);
	SPI_cursor_close(cursor);
}

/*
 * Mark a set of rows, which may be empty, for the event that covers it.  A set that still
 * grows is not marked before it ends.
 */
static void
mark_set(const char *table, Statement *read, Portal cursor)
{
	Source		source = {table_openrv(makeRangeVar("promote", pstrdup(table), -1), AccessShareLock)};
	RowSet		set;

	init_set(&set);
	source.trigger = record_trigger(source.table, "record_row");
	read_rows(NULL, &source, read, cursor, &set);
	if (set.name)
		mark_row(set.project, set.subject, set.name, set.open ? NULL : audit_hex(set.digest));
	table_close(source.table, AccessShareLock);
}

/* Mark the recorded changes of a plan by one digest. */
void
record_plan_changes(const Sql *sql, const InstanceKey *key, int32 deployment, int32 fencing)
{
	static Statement read = SQL_ROWS(entry_fields, "SELECT $* FROM promote.planned_change AS t WHERE " OF_INSTANCE("t")
									 " AND t.deployment = $4 AND t.fencing = $5 ORDER BY t.change");

	mark_set("planned_change", &read, sql_open(sql, &read, false, AS_KEY(key), AS_INT(deployment), AS_INT(fencing)));
}

/* Mark the log of a deployment by one digest, after a claim began or ended or entries were deleted. */
void
record_log(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement read = SQL_ROWS(log_fields, "SELECT $* FROM promote.deployment_log AS t WHERE " OF_INSTANCE("t")
									 " AND t.deployment = $4 ORDER BY t.entry");

	mark_set("deployment_log", &read, sql_open(sql, &read, false, AS_KEY(key), AS_INT(deployment)));
}

/* ---- all of them ---- */

/* The condition for rows of a table that no event has to cover. */
static const char *
open_condition(const Source *source)
{
	const char *table = RelationGetRelationName(source->table);

	if (record_kind(source->trigger) == NULL)
		return "false";
	if (strcmp(table, "deployment_log") == 0)
		return LOG_GOES_ON;
	if (strcmp(table, "instance") == 0)
		return "t.revision = 0 AND t.deployment = 0";
	return "false";
}

/* Add the order that keeps the rows of a set together. */
static void
append_order(RowQuery *query, Relation table)
{
	const char *word = " ORDER BY";
	ListCell   *cell;

	foreach(cell, record_key(table))
	{
		appendStringInfo(&query->text, "%s t.%s", word, key_column(table, lfirst_int(cell)));
		word = ",";
	}
}

/* Add the condition for rows of a project, or of none.  False: the table has no such rows. */
static bool
append_project(RowQuery *query, const Asked *asked, const Source *source)
{
	bool		of_none = strcmp(asked->project, AUDIT_NO_PROJECT) == 0;

	if (!record_has_project(source->trigger))
		return of_none;
	if (!of_none)
		query->values[query->count++] = AS_TEXT(asked->project);
	appendStringInfoString(&query->text, of_none ? " AND t.project IS NULL" : " AND t.project = $1");
	return true;
}

/*
 * Add the conditions for the rows that are asked for, with their parameters.  False: no row of
 * the table fits the subject or the project.
 */
static bool
append_asked(RowQuery *query, const Asked *asked, const Source *source)
{
	const ChainKind *kind = record_kind(source->trigger);
	List	   *key;

	if (asked->subject == NULL)
		return asked->project == NULL || append_project(query, asked, source);
	if (kind)
	{
		query->values[query->count++] = AS_TEXT(asked->subject);
		appendStringInfoString(&query->text, kind->condition);
		return true;
	}
	key = subject_key(asked->subject, RelationGetRelationName(source->table));
	if (key == NIL)
		return false;
	/* the subject holds a hash of the key: compare the names of all rows */
	if (list_length(key) == 1 && strncmp(linitial(key), "sha256:", 7) == 0)
		return true;
	return append_condition(query, source->table, key);
}

/* Return the rows of one table that are asked for. */
static void
put_table(const Sql *sql, const Asked *asked, const Source *source)
{
	Statement	read;
	RowQuery	query = {.count = 0};
	RowSet		set;

	initStringInfo(&query.text);
	appendStringInfo(&query.text, "SELECT t, %s FROM promote.%s AS t WHERE true", open_condition(source),
					 quote_identifier(RelationGetRelationName(source->table)));
	if (!append_asked(&query, asked, source))
		return;
	if (record_owns(source->table, "builtin"))
		appendStringInfoString(&query.text, " AND NOT t.builtin");
	if (record_is_set(source->table))
		append_order(&query, source->table);
	init_set(&set);
	read = (Statement) {.fields = entry_fields, .count = lengthof(entry_fields)};
	read_rows(asked, source, &read, sql_open_once(sql, query.text.data, query.values, query.count), &set);
	put_set(asked, &set);
}

/* A recorded table, and the trigger that records it. */
typedef struct Recorded
{
	char	   *table;
	char	   *trigger;
} Recorded;

/*
 * promote_internal.recorded_rows(subject text, project text) returns table (project
 * text, subject text, name text, digest text, open boolean)
 */
Datum
promote_recorded_rows(PG_FUNCTION_ARGS)
{
	static const SqlField fields[] = {
		SQL_FIELD(Recorded, table, "c.relname::pg_catalog.text"), SQL_FIELD(Recorded, trigger, "t.tgname::pg_catalog.text")
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM pg_catalog.pg_class AS c"
									 " JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname IN ('record_change', 'record_row')"
									 " WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace ORDER BY c.relname");
	Asked		asked = {argument_text(fcinfo, 0), argument_text(fcinfo, 1), fcinfo};
	SqlRows		tables;
	Recorded	recorded;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	tables = sql_read(&sql, &find);
	for (uint64 i = 0; sql_row(&tables, i, &recorded); i++)
	{
		Source		source = {table_openrv(makeRangeVar("promote", recorded.table, -1), AccessShareLock)};

		source.trigger = record_trigger(source.table, recorded.trigger);
		put_table(&sql, &asked, &source);
		table_close(source.table, AccessShareLock);
	}
	sql_leave(&sql);
	return (Datum) 0;
}
