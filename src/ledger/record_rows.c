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
#include "catalog/namespace.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "json/digest.h"
#include "ledger/audit.h"
#include "ledger/record.h"
#include "ledger/record_mark.h"
#include "ledger/recorded.h"
#include "ledger/word.h"

PG_FUNCTION_INFO_V1(promote_recorded_rows);
PG_FUNCTION_INFO_V1(promote_recorded_row);
PG_FUNCTION_INFO_V1(promote_verify_rows);

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

/*
 * Which rows are asked for: all, those in chains of a project, or those that a subject names;
 * and what becomes of them.
 */
typedef struct Asked
{
	const char *subject;		/* NULL: all */
	const char *project;		/* NULL: all */
	const char *from_subject;	/* the first; NULL: no bound */
	const char *to_subject;		/* before which they end; NULL: no bound */
	const char *name;			/* of the only one; NULL: all */
	SqlValue	from_block;		/* of the table; NULL: no bound */
	SqlValue	to_block;
	const bool *buckets;		/* of the words that count; NULL: all */
	Tally	   *tally;			/* takes the rows; NULL: they are returned */
	FunctionCallInfo fcinfo;	/* the function call that rows are returned to */
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
	bool		asked;			/* is it asked for? */
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
	switch (type)
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

/* Can the text be a value of the type?  Of types other than numbers the texts are compared. */
static bool
is_value(Oid type, const char *text)
{
	size_t		digits = strspn(text, "0123456789");

	if (type != INT4OID && type != INT8OID)
		return true;
	return digits > 0 && text[digits] == '\0' && digits < 19;
}

/*
 * Add the condition that finds the row with a key, given as parameters, by the index where its
 * columns are texts or numbers.  False: no row can have such a key.
 */
static bool
append_condition(RowQuery *query, Relation table, List *key)
{
	List	   *numbers = record_key(table);

	/* the last column of a set's key tells its rows apart */
	if (list_length(numbers) - (record_is_set(table) ? 1 : 0) != list_length(key))
		return false;
	for (int i = 0; i < list_length(key); i++)
	{
		int			number = list_nth_int(numbers, i);
		Oid			type = getBaseType(TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid);

		if (!is_value(type, list_nth(key, i)))
			return false;
		query->values[query->count++] = AS_TEXT(list_nth(key, i));
		if (type == INT4OID || type == INT8OID)
			appendStringInfo(&query->text, " AND t.%s = $%d::pg_catalog.int8", key_column(table, number), query->count);
		else
			appendStringInfo(&query->text, " AND t.%s%s = $%d", key_column(table, number), key_cast(type), query->count);
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

/* Is a row's set asked for? */
static bool
is_asked(const Asked *asked, const RecordedRow *row)
{
	StringInfoData word;

	if ((asked->name && strcmp(asked->name, row->name) != 0) ||
		(asked->subject && strcmp(asked->subject, row->subject) != 0) ||
		(asked->project && strcmp(asked->project, row->project) != 0) ||
		(asked->from_subject && strcmp(row->subject, asked->from_subject) < 0) ||
		(asked->to_subject && strcmp(row->subject, asked->to_subject) >= 0))
		return false;
	if (asked->buckets == NULL)
		return true;
	initStringInfo(&word);
	word_name(&word, row->project, row->subject, row->name);
	return asked->buckets[word_hash(word.data, word.len) % WORD_BUCKETS];
}

/* Return a set that is asked for, or add it to the sums. */
static void
put_set(const Asked *asked, const RowSet *set)
{
	StringInfoData word;

	if (set->name == NULL || !set->asked)
		return;
	if (asked->tally == NULL)
	{
		result_put(asked->fcinfo, AS_TEXT(set->project), AS_TEXT(set->subject), AS_TEXT(set->name),
				   AS_TEXT(audit_hex(set->digest)), AS_BOOL(set->open));
		return;
	}
	initStringInfo(&word);
	word_name(&word, set->project, set->subject, set->name);
	tally_add(asked->tally, set->open ? WORD_OF_OPEN_ROW : WORD_OF_ROW, word.data, word.len, audit_hex(set->digest));
}

/* Begin a set with a row. */
static void
begin_set(const Asked *asked, RowSet *set, const RecordedRow *row)
{
	MemoryContext outer;

	MemoryContextReset(set->context);
	outer = MemoryContextSwitchTo(set->context);
	set->project = pstrdup(row->project);
	set->subject = pstrdup(row->subject);
	set->name = pstrdup(row->name);
	set->digest = NULL;
	set->asked = asked == NULL || is_asked(asked, row);
	MemoryContextSwitchTo(outer);
}

/* Add a row to its set's digest. */
static void
digest_row(const Source *source, HeapTuple tuple, RowSet *set)
{
	bytea	   *digest = json_digest(record_facts(source->table, source->trigger, tuple));

	if (set->digest)
		memcpy(VARDATA_ANY(set->digest), VARDATA_ANY(digest_both(set->digest, digest)), JSON_DIGEST_LENGTH);
	else
	{
		set->digest = MemoryContextAlloc(set->context, VARSIZE_ANY(digest));
		memcpy(set->digest, digest, VARSIZE_ANY(digest));
	}
}

/* Add a row, given as a value, to its set.  A row of another set ends the set before it. */
static void
take_row(const Asked *asked, const Source *source, const Entry *entry, RowSet *set)
{
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(entry->row), .t_data = entry->row};
	RecordedRow row;

	record_name(source->table, source->trigger, &tuple, &row);
	if (set->name == NULL || strcmp(row.name, set->name) != 0)
	{
		if (asked)
			put_set(asked, set);
		begin_set(asked, set, &row);
		set->open = entry->open;
	}
	if (set->asked)
		digest_row(source, &tuple, set);
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

/* Add the condition for rows in some blocks of the table. */
static void
append_blocks(RowQuery *query, const Asked *asked)
{
	if (!asked->from_block.isnull)
	{
		query->values[query->count++] = asked->from_block;
		appendStringInfo(&query->text, " AND t.ctid >= pg_catalog.format('(%%s,0)', $%d)::pg_catalog.tid", query->count);
	}
	if (!asked->to_block.isnull)
	{
		query->values[query->count++] = asked->to_block;
		appendStringInfo(&query->text, " AND t.ctid < pg_catalog.format('(%%s,0)', $%d)::pg_catalog.tid", query->count);
	}
}

/* Begin the query for rows of a table, which are entries. */
static void
begin_query(RowQuery *query, const Source *source)
{
	initStringInfo(&query->text);
	appendStringInfo(&query->text, "SELECT t, %s FROM promote.%s AS t WHERE true", open_condition(source),
					 quote_identifier(RelationGetRelationName(source->table)));
}

/* End the query. */
static void
end_query(RowQuery *query, const Source *source)
{
	if (record_owns(source->table, "builtin"))
		appendStringInfoString(&query->text, " AND NOT t.builtin");
	if (record_is_set(source->table))
		append_order(query, source->table);
}

/* Return the rows of one table that are asked for. */
static void
put_table(const Sql *sql, const Asked *asked, const Source *source)
{
	Statement	read;
	RowQuery	query = {.count = 0};
	RowSet		set;

	begin_query(&query, source);
	if (!append_asked(&query, asked, source))
		return;
	append_blocks(&query, asked);
	end_query(&query, source);
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

/* A query that finds a row by its name, of one table and trigger, and is kept. */
typedef struct Lookup
{
	char		table[NAMEDATALEN];
	char		trigger[NAMEDATALEN];
	Statement	read;
} Lookup;

/* The kept query of a table and a trigger. */
static Statement *
find_lookup(const Source *source)
{
	static List *lookups = NIL;
	ListCell   *cell;
	Lookup	   *lookup;
	MemoryContext outer;

	foreach(cell, lookups)
	{
		lookup = lfirst(cell);
		if (strcmp(lookup->table, RelationGetRelationName(source->table)) == 0 &&
			strcmp(lookup->trigger, source->trigger->tgname) == 0)
			return &lookup->read;
	}
	outer = MemoryContextSwitchTo(TopMemoryContext);
	lookup = palloc0(sizeof(Lookup));
	strlcpy(lookup->table, RelationGetRelationName(source->table), NAMEDATALEN);
	strlcpy(lookup->trigger, source->trigger->tgname, NAMEDATALEN);
	lookup->read = (Statement) {.fields = entry_fields, .count = lengthof(entry_fields)};
	lookups = lappend(lookups, lookup);
	MemoryContextSwitchTo(outer);
	return &lookup->read;
}

/* Return the row or set of a table that has the name, if the chain is the one that tells of it. */
static void
put_row(const Sql *sql, const Asked *asked, const Source *source, List *key)
{
	Statement  *read = find_lookup(source);
	RowQuery	query = {.count = 0};
	RowSet		set;
	SqlRows		rows;
	Entry		entry;

	begin_query(&query, source);
	if (!append_condition(&query, source->table, key))
		return;
	end_query(&query, source);
	if (read->text == NULL)
		read->text = MemoryContextStrdup(TopMemoryContext, query.text.data);
	init_set(&set);
	rows = sql_call(sql, read, SQL_READ, query.values, query.count);
	for (uint64 i = 0; sql_row(&rows, i, &entry); i++)
		take_row(asked, source, &entry, &set);
	put_set(asked, &set);
}

/* Return the rows of a table that are asked for, by its name and that of a trigger. */
static void
put_named_table(const Sql *sql, const Asked *asked, const char *table, const char *trigger)
{
	Oid			oid = get_relname_relid(table, LookupExplicitNamespace("promote", false));
	Source		source;

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no table \"%s\" whose rows are recorded", table),
				 errdetail("promote has no table of that name."),
				 errhint("promote_internal.verify_parts() names them.")));
	source = (Source) {table_open(oid, AccessShareLock)};
	source.trigger = record_trigger(source.table, trigger);
	if (source.trigger)
		put_table(sql, asked, &source);
	table_close(source.table, AccessShareLock);
}

/*
 * promote_internal.recorded_rows(subject text, project text, from_subject text, to_subject
 * text, buckets integer[]) returns table (project text, subject text, name text, digest text,
 * open boolean)
 */
Datum
promote_recorded_rows(PG_FUNCTION_ARGS)
{
	static const SqlField fields[] = {
		SQL_FIELD(Recorded, table, "r.table_name"), SQL_FIELD(Recorded, trigger, "r.trigger_name")
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM promote_internal.recorded_tables() AS r ORDER BY r.table_name");
	SqlValue	no_bound = sql_value(INT8OID, true, (Datum) 0);
	Asked		asked = {
		.subject = argument_text(fcinfo, 0), .project = argument_text(fcinfo, 1),
		.from_subject = argument_text(fcinfo, 2), .to_subject = argument_text(fcinfo, 3),
		.buckets = word_buckets(fcinfo->args[4]), .from_block = no_bound, .to_block = no_bound, .fcinfo = fcinfo
	};
	SqlRows		tables;
	Recorded	recorded;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	tables = sql_read(&sql, &find);
	for (uint64 i = 0; sql_row(&tables, i, &recorded); i++)
		put_named_table(&sql, &asked, recorded.table, recorded.trigger);
	sql_leave(&sql);
	return (Datum) 0;
}

/*
 * promote_internal.recorded_row(project text, subject text, name text) returns table, as
 * recorded_rows
 */
Datum
promote_recorded_row(PG_FUNCTION_ARGS)
{
	SqlValue	no_bound = sql_value(INT8OID, true, (Datum) 0);
	const char *name = argument_text(fcinfo, 2);
	Asked		asked = {
		.project = argument_text(fcinfo, 0), .subject = argument_text(fcinfo, 1), .name = name,
		.from_block = no_bound, .to_block = no_bound, .fcinfo = fcinfo
	};
	char	   *table = pnstrdup(name, strcspn(name, " "));
	List	   *key = subject_key(name, table);
	Oid			oid = get_relname_relid(table, get_namespace_oid("promote", false));
	Source		source;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	if (key == NIL || !OidIsValid(oid) || get_rel_relkind(oid) != RELKIND_RELATION)
		return (Datum) 0;
	sql_enter(&sql);
	source.table = table_open(oid, AccessShareLock);
	source.trigger = record_trigger(source.table, strcmp(name, asked.subject) == 0 ? "record_change" : "record_row");
	if (source.trigger && list_length(key) == 1 && strncmp(linitial(key), "sha256:", 7) == 0)
		put_table(&sql, &asked, &source);
	else if (source.trigger)
		put_row(&sql, &asked, &source, key);
	table_close(source.table, AccessShareLock);
	sql_leave(&sql);
	return (Datum) 0;
}

/* The texts of an array that is an argument. */
static char **
argument_texts(FunctionCallInfo fcinfo, int argument, int *count)
{
	Datum	   *texts;
	char	  **list;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, count);
	list = palloc(*count * sizeof(char *));
	for (int i = 0; i < *count; i++)
		list[i] = TextDatumGetCString(texts[i]);
	return list;
}

/*
 * promote_internal.verify_rows(key bytea, project text, from_subject text, to_subject text,
 * tables text[], triggers text[], from_block bigint, to_block bigint) returns table, as
 * verify_chains
 */
Datum
promote_verify_rows(PG_FUNCTION_ARGS)
{
	Asked		asked = {
		.project = argument_text(fcinfo, 1),
		.from_subject = argument_text(fcinfo, 2), .to_subject = argument_text(fcinfo, 3),
		.from_block = sql_value(INT8OID, PG_ARGISNULL(6), PG_GETARG_DATUM(6)),
		.to_block = sql_value(INT8OID, PG_ARGISNULL(7), PG_GETARG_DATUM(7)), .fcinfo = fcinfo
	};
	int			count;
	int			trigger_count;
	char	  **tables;
	char	  **triggers;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		return (Datum) 0;
	asked.tally = tally_begin(PG_GETARG_BYTEA_PP(0));
	tables = argument_texts(fcinfo, 4, &count);
	triggers = argument_texts(fcinfo, 5, &trigger_count);
	if (count != trigger_count)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("%d tables and %d triggers were given", count, trigger_count),
				 errdetail("Each table has one that records its rows."),
				 errhint("promote_internal.verify_parts() names both.")));
	sql_enter(&sql);
	for (int i = 0; i < count; i++)
		put_named_table(&sql, &asked, tables[i], triggers[i]);
	sql_leave(&sql);
	tally_put(asked.tally, fcinfo);
	return (Datum) 0;
}
