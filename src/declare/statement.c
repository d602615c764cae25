/*
 * statement.c: the statements of a kind of declared rows, made of what the catalog says of its table.
 *
 * What is given is read as a row of the table by jsonb_populate_record, so that every value goes through its type's own
 * input and its domain's checks.  Defaults are the table's own.  The statements are made once in a backend, and kept.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/sql.h"
#include "compose/censor.h"
#include "declare/statement.h"

/* What the statements call the rows: t the table's, r what is given, n what is to be. */

/* ---- the catalog ---- */

/* A foreign key of a table, or to it. */
typedef struct ForeignKey
{
	char	   *table;			/* the other table */
	char	   *schema;
	char	   *columns;		/* of the referring table, with commas between them */
	char	   *condition;		/* between p, the row referred to, and c, the row that refers */
} ForeignKey;

static const SqlField column_fields[] = {
	SQL_FIELD(KindColumn, name, "a.attname::pg_catalog.text"),
	SQL_FIELD(KindColumn, required, "a.attnotnull"),
	/* the scope is made by a trigger */
	SQL_FIELD(KindColumn, generated, "a.attgenerated <> '' OR a.attname = 'scope'"),
	SQL_FIELD(KindColumn, is_key, "a.attnum = ANY (k.conkey)"),
	SQL_FIELD(KindColumn, is_text, "t.typcategory = 'S'"),
	SQL_FIELD(KindColumn, fallback, "CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END")
};

static const SqlField foreign_key_fields[] = {
	SQL_FIELD(ForeignKey, table, "o.relname::pg_catalog.text"),
	SQL_FIELD(ForeignKey, schema, "o.relnamespace::pg_catalog.regnamespace::pg_catalog.text"),
	SQL_FIELD(ForeignKey, columns, "pg_catalog.string_agg(c.attname, ',' ORDER BY n.place)"),
	SQL_FIELD(ForeignKey, condition, "pg_catalog.string_agg(pg_catalog.format('p.%I = c.%I', p.attname, c.attname), ' AND '"
			  " ORDER BY n.place)")
};

/* Read the columns of a kind's table, in the current memory context. */
static void
read_columns(const Sql *sql, const DeclaredKind *kind, KindStatements *statements)
{
	static Statement read = SQL_ROWS(column_fields, "SELECT $* FROM pg_catalog.pg_attribute AS a"
		" JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid"
		" JOIN pg_catalog.pg_constraint AS k ON k.conrelid = a.attrelid AND k.contype = 'p'"
		" LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
		" WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum");
	MemoryContext kept = CurrentMemoryContext;
	SqlRows		rows = sql_run(sql, &read, AS_OID(table_oid(kind->name)));

	MemoryContextSwitchTo(kept);
	statements->count = rows.count;
	statements->columns = palloc0(rows.count * sizeof(KindColumn));
	for (int i = 0; i < statements->count; i++)
	{
		KindColumn *column = &statements->columns[i];

		(void) sql_row(&rows, i, column);
		for (int j = 0; kind->columns[j].name; j++)
			if (strcmp(kind->columns[j].name, column->name) == 0)
				column->declared = &kind->columns[j];
	}
}

/*
 * Read the foreign keys of a table, or those to it, but for those to the keys of projects,
 * which come with them: a list of ForeignKey *.
 */
static List *
read_foreign_keys(const Sql *sql, const char *table, bool referring)
{
	static Statement read = SQL_ROWS(foreign_key_fields, "SELECT $* FROM pg_catalog.pg_constraint AS k"
		" JOIN pg_catalog.pg_class AS o ON o.oid = CASE WHEN $2 THEN k.conrelid ELSE k.confrelid END"
		" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey))"
		" WITH ORDINALITY AS n (refers, referred, place)"
		" JOIN pg_catalog.pg_attribute AS c ON c.attrelid = k.conrelid AND c.attnum = n.refers"
		" JOIN pg_catalog.pg_attribute AS p ON p.attrelid = k.confrelid AND p.attnum = n.referred"
		" WHERE k.contype = 'f' AND k.confrelid <> 'promote.project_key'::pg_catalog.regclass"
		" AND CASE WHEN $2 THEN k.confrelid ELSE k.conrelid END = $1"
		" GROUP BY k.oid, k.conname, o.relname, o.relnamespace ORDER BY o.relname, k.conname");
	MemoryContext kept = CurrentMemoryContext;
	SqlRows		rows = sql_run(sql, &read, AS_OID(table_oid(table)), AS_BOOL(referring));

	MemoryContextSwitchTo(kept);
	return sql_list(&rows, sizeof(ForeignKey));
}

/* ---- expressions ---- */

/* The column's default, as an expression. */
static const char *
fallback_of(const KindColumn *column)
{
	return column->fallback ? column->fallback : "NULL";
}

/* What is given for a column, spelled as the table does. */
static char *
given_value(const KindColumn *column)
{
	char	   *value = psprintf("r.%s", quote_identifier(column->name));

	return column->declared && column->declared->spelled ? psprintf(column->declared->spelled, value) : value;
}

/* A column of the key: as given, or its default; the scope is made of what is given. */
char *
kind_key_value(const KindColumn *column)
{
	if (column->generated)
		return pstrdup("(COALESCE(r.project::pg_catalog.text, '*') || '-' || COALESCE(r.environment::pg_catalog.text, '*'))");
	return column->fallback ? psprintf("COALESCE(%s, %s)", given_value(column), column->fallback) : given_value(column);
}

/* What a column is to be where the row is there; "otherwise" stands for what it has. */
static char *
wanted_value(const KindColumn *column, const char *otherwise)
{
	return psprintf("CASE WHEN $1 ? %s THEN %s%s ELSE %s END", quote_literal_cstr(column->name), given_value(column),
					otherwise ? psprintf(" WHEN $2 THEN %s", fallback_of(column)) : "",
					otherwise ? otherwise : fallback_of(column));
}

/* A value as the declaration shows it. */
static char *
shown_value(const KindColumn *column, const char *row, const char *sensitive)
{
	char	   *value = psprintf("pg_catalog.to_jsonb(%s.%s)", row, quote_identifier(column->name));

	return sensitive == NULL ? value :
		psprintf("CASE WHEN %s THEN pg_catalog.to_jsonb('" SENSITIVE_MASK "'::pg_catalog.text) ELSE %s END",
				 sensitive, value);
}

/* Whether a column of a row differs from that of another row, or, where that is NULL, from its default. */
static char *
differing(const KindColumn *column, const char *row, const char *other)
{
	const char *name = quote_identifier(column->name);

	if (other == NULL)
		return psprintf("%s.%s IS DISTINCT FROM %s", row, name, fallback_of(column));
	return psprintf(column->declared->exact ? "%s.%s::pg_catalog.text IS DISTINCT FROM %s.%s::pg_catalog.text" :
					"%s.%s IS DISTINCT FROM %s.%s", row, name, other, name);
}

/*
 * The changes from one row to another, each by its name in the statement, as a subquery.  Of one row alone what differs
 * from the defaults.
 */
static char *
changes_between(const KindStatements *statements, const char *from, const char *to)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "(SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('column', v.name%s%s)"
					 " ORDER BY v.place), '[]') FROM (VALUES ", from ? ", 'old', v.old" : "", to ? ", 'new', v.new" : "");
	for (int i = 0, count = 0; i < statements->count; i++)
	{
		const KindColumn *column = &statements->columns[i];
		const char *masked_by;
		const char *sensitive = NULL;

		if (column->declared == NULL)
			continue;
		masked_by = column->declared->masked_by;
		if (masked_by)
			sensitive = psprintf("(%s.%s OR %s.%s)", from ? from : to, masked_by, to ? to : from, masked_by);
		appendStringInfo(&text, "%s(%d, %s, %s, %s, %s)", count++ > 0 ? ", " : "", i, quote_literal_cstr(column->name),
						 differing(column, from ? from : to, from && to ? to : NULL),
						 from ? shown_value(column, from, sensitive) : "NULL::pg_catalog.jsonb",
						 to ? shown_value(column, to, sensitive) : "NULL::pg_catalog.jsonb");
	}
	appendStringInfoString(&text, ") AS v (place, name, differs, old, new) WHERE v.differs)");
	return text.data;
}

/* A column of the table's row as text; NULL where the table has none of that name, or it is not where a rule counts. */
static char *
scope_column(const KindStatements *statements, const char *name)
{
	for (int i = 0; i < statements->count; i++)
		if (strcmp(statements->columns[i].name, name) == 0)
			return psprintf("t.%s::pg_catalog.text", name);
	return pstrdup("NULL::pg_catalog.text");
}

/* The columns of a DeclaredRow. */
static char *
row_columns(const KindStatements *statements, const char *from, const char *to)
{
	return psprintf("%s, %s, %s", changes_between(statements, from, to), scope_column(statements, "project"),
					scope_column(statements, "environment"));
}

/* Items for each column of some sort, between which stands something. */
typedef char *(*ItemMaker) (const KindColumn *column);

/* Is the column part of what an INSERT names? */
static bool
is_inserted(const KindStatements *statements, const KindColumn *column)
{
	bool		of_scope = strcmp(column->name, "project") == 0 || strcmp(column->name, "environment") == 0;

	return !column->generated && (column->is_key || column->declared || of_scope);
}

/* The items of columns: of those of the key, of those that are declared, or of all that are inserted. */
static char *
items(const KindStatements *statements, char sort, const char *between, ItemMaker make)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < statements->count; i++)
	{
		const KindColumn *column = &statements->columns[i];

		if (sort == 'k' ? column->is_key : sort == 'd' ? column->declared != NULL : is_inserted(statements, column))
			appendStringInfo(&text, "%s%s", text.len > 0 ? between : "", make(column));
	}
	return text.data;
}

/* An ItemMaker: is the row the one of the key? */
static char *
make_condition(const KindColumn *column)
{
	return psprintf("t.%s = %s", quote_identifier(column->name), kind_key_value(column));
}

/* An ItemMaker: a column of the key as text. */
static char *
make_key_text(const KindColumn *column)
{
	return psprintf("%s::pg_catalog.text", kind_key_value(column));
}

/* An ItemMaker: the column. */
static char *
make_name(const KindColumn *column)
{
	return pstrdup(quote_identifier(column->name));
}

/* An ItemMaker: what is inserted. */
static char *
make_inserted(const KindColumn *column)
{
	if (column->is_key)
		return kind_key_value(column);
	return column->declared ? wanted_value(column, NULL) : given_value(column);
}

/* An ItemMaker: what is inserted, by its name. */
static char *
make_drafted(const KindColumn *column)
{
	return psprintf("%s AS %s", make_inserted(column), quote_identifier(column->name));
}

/* An ItemMaker: what a column is to be, by its name. */
static char *
make_wanted(const KindColumn *column)
{
	const char *name = quote_identifier(column->name);

	return psprintf("%s AS %s", wanted_value(column, psprintf("t.%s", name)), name);
}

/* An ItemMaker: setting a column to what it is to be. */
static char *
make_set(const KindColumn *column)
{
	const char *name = quote_identifier(column->name);

	return psprintf("%s = %s", name, wanted_value(column, psprintf("t.%s", name)));
}

/* ---- statements ---- */

static const SqlField row_fields[] = {
	SQL_FIELDS(DeclaredRow, "t", changes, project, environment)
};

/* A statement whose text was made. */
static Statement
statement_of(char *text)
{
	return (Statement) {text};
}

/* A statement that returns DeclaredRows. */
static Statement
statement_of_row(char *text)
{
	return (Statement) {text, row_fields, lengthof(row_fields)};
}

/* The statements that lock what a row refers to. */
static List *
make_parents(const Sql *sql, const char *table, const char *source)
{
	List	   *parents = NIL;
	ListCell   *cell;

	foreach(cell, read_foreign_keys(sql, table, false))
	{
		const ForeignKey *key = lfirst(cell);
		KindParent *parent = palloc0(sizeof(KindParent));
		char	   *columns = pstrdup(key->columns);

		parent->table = pstrdup(key->table);
		for (char *name = strtok(columns, ","); name; name = strtok(NULL, ","))
			parent->columns = lappend(parent->columns, name);
		parent->hold = statement_of(psprintf("SELECT FROM promote.%s AS p, %s AS c WHERE %s FOR KEY SHARE OF p",
											 quote_identifier(key->table), source, key->condition));
		parents = lappend(parents, parent);
	}
	return parents;
}

/* The statement that says which tables have rows that refer to a row; NULL: none can. */
static char *
make_referring(const Sql *sql, const char *table, const char *found)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, read_foreign_keys(sql, table, true))
	{
		const ForeignKey *key = lfirst(cell);

		appendStringInfo(&text, "%s(%s, EXISTS (SELECT FROM %s.%s AS c, (SELECT t.*) AS p WHERE %s))",
						 text.len > 0 ? ", " : "", quote_literal_cstr(key->table), key->schema,
						 quote_identifier(key->table), key->condition);
	}
	if (text.len == 0)
		return NULL;
	return psprintf("SELECT DISTINCT v.name%s CROSS JOIN LATERAL (VALUES %s) AS v (name, refers) WHERE v.refers ORDER BY 1",
					found, text.data);
}

/* Make the statements of a kind, in the current memory context. */
static void
make_statements(const Sql *sql, const DeclaredKind *kind, KindStatements *made)
{
	char	   *table = psprintf("promote.%s", quote_identifier(kind->name));
	char	   *source = psprintf("pg_catalog.jsonb_populate_record(NULL::%s, $1)", table);
	char	   *condition;
	char	   *found;
	char	   *wanted;

	read_columns(sql, kind, made);
	condition = items(made, 'k', " AND ", make_condition);
	found = psprintf(" FROM %s AS t JOIN %s AS r ON %s%s%s", table, source, condition, kind->counts ? " AND " : "",
					 kind->counts ? kind->counts : "");
	wanted = psprintf("SELECT %s%s CROSS JOIN LATERAL (SELECT %s) AS n", row_columns(made, "t", "n"), found,
					  items(made, 'd', ", ", make_wanted));
	made->parents = make_parents(sql, kind->name, source);
	made->name = statement_of(psprintf("SELECT k.part FROM %s AS r CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[%s])"
									   " WITH ORDINALITY AS k (part, place) ORDER BY k.place", source,
									   items(made, 'k', ", ", make_key_text)));
	made->read = statement_of_row(wanted);
	made->lock = statement_of_row(psprintf("%s FOR NO KEY UPDATE OF t", wanted));
	made->draft = statement_of_row(psprintf("SELECT %s FROM %s AS r CROSS JOIN LATERAL (SELECT %s) AS t",
											row_columns(made, NULL, "t"), source, items(made, 'i', ", ", make_drafted)));
	made->insert = statement_of(psprintf("INSERT INTO %s AS t (%s) SELECT %s FROM %s AS r ON CONFLICT ON CONSTRAINT %s"
										 " DO NOTHING", table, items(made, 'i', ", ", make_name),
										 items(made, 'i', ", ", make_inserted), source,
										 quote_identifier(psprintf("%s_pkey", kind->name))));
	made->update = statement_of(psprintf("UPDATE %s AS t SET %s FROM %s AS r WHERE %s", table,
										 items(made, 'd', ", ", make_set), source, condition));
	made->last = statement_of_row(psprintf("SELECT %s%s", row_columns(made, "t", NULL), found));
	made->last_lock = statement_of_row(psprintf("%s FOR UPDATE OF t", made->last.text));
	made->referring = statement_of(make_referring(sql, kind->name, found));
	made->delete = statement_of(psprintf("DELETE FROM %s AS t USING %s AS r WHERE %s", table, source, condition));
}

/* What is known of a kind.  Enters a scope of its own where it is not known yet. */
KindStatements *
kind_statements(DeclaredKind *kind)
{
	KindStatements *made;
	MemoryContext kept;
	MemoryContext inner;
	Sql			sql;

	if (kind->statements)
		return kind->statements;
	sql_enter(&sql);
	kept = AllocSetContextCreate(CurrentMemoryContext, "promote declared kind", ALLOCSET_SMALL_SIZES);
	inner = MemoryContextSwitchTo(kept);
	made = palloc0(sizeof(KindStatements));
	make_statements(&sql, kind, made);
	MemoryContextSwitchTo(inner);
	MemoryContextSetParent(kept, TopMemoryContext);
	kind->statements = made;
	sql_leave(&sql);
	return made;
}

/* A column of a kind's table; NULL: it has none of that name. */
const KindColumn *
kind_column(DeclaredKind *kind, const char *name)
{
	const KindStatements *statements = kind_statements(kind);

	for (int i = 0; i < statements->count; i++)
		if (strcmp(statements->columns[i].name, name) == 0)
			return &statements->columns[i];
	return NULL;
}
