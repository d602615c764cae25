/*
 * section.c: the sections of a project's document, in the order in which their rows depend on each other.
 *
 * A row stands there with its key and with what differs from the table's defaults, by the columns that its kind
 * declares.  The statements are made of what is known of the kind, once in a backend.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compose/censor.h"
#include "declare/document.h"
#include "declare/section.h"
#include "declare/statement.h"
#include "json/builder.h"
#include "json/reader.h"
#include "json/writer.h"

#define OF_ITS_BUNDLES "t.bundle IN (SELECT c.bundle FROM promote.component AS c WHERE c.project = $1)"

/* What is over is history, which no document tells. */
#define IN_USE "t.project = $1 AND EXISTS (SELECT FROM promote.environment AS e" \
	" WHERE e.project = t.project AND e.environment = t.environment AND e.archived_at IS NULL)"

/* Values of sensitive parameters are in no document. */
#define SHOWN_PARAMETERS "(SELECT s.project, s.environment, s.parameters || COALESCE(m.masks, '{}') AS parameters," \
	" m.names AS sensitive, s.descriptions FROM promote.parameter_set AS s" \
	" CROSS JOIN LATERAL (SELECT pg_catalog.jsonb_object_agg(n, '" SENSITIVE_MASK "') AS masks," \
	"  COALESCE(pg_catalog.array_agg(n ORDER BY n), '{}') AS names FROM pg_catalog.unnest(s.sensitive) AS n) AS m)"

DocumentSection document_sections[] = {
	{.name = "project",.kind = "project",.single = true},
	{.name = "bundles",.kind = "bundle",.of_project = OF_ITS_BUNDLES,.shared = true},
	{.name = "releases",.kind = "bundle_release",.of_project = OF_ITS_BUNDLES,.shared = true},
	{.name = "environments",.kind = "environment"},
	{.name = "parameters",.kind = "parameter_set",.of_project = IN_USE,.leaves = true,.rows = SHOWN_PARAMETERS,
	.complete = document_unmask_parameters},
	{.name = "components",.kind = "component"},
	{.name = "dependencies",.kind = "component_dependency",.leaves = true},
	{.name = "paths",.kind = "promotion_path",.leaves = true},
	{.name = "approval_rules",.kind = "approval_rule",.leaves = true},
	{.name = "required_checks",.kind = "required_check",.leaves = true},
	{.name = "override_rules",.kind = "override_rule",.leaves = true},
	{.name = "freezes",.kind = "freeze_window",.leaves = true},
	{.name = "change_windows",.kind = "change_window",.leaves = true},
	{.name = "policies",.kind = "policy",.leaves = true},
	{.name = "instances",.kind = "instance",.of_project = IN_USE}
};

const int	document_section_count = lengthof(document_sections);

static const SqlField element_fields[] = {
	SQL_FIELDS(DocumentElement, "e", given, place, twice)
};

/* ---- statements ---- */

/* Is it the column that says the project, which a document says once? */
static bool
is_project(const KindColumn *column)
{
	return strcmp(column->name, "project") == 0;
}

/* Is the column part of what documents say of a row? */
static bool
is_told(const DocumentSection *section, const KindColumn *column)
{
	bool		of_scope = strcmp(column->name, "environment") == 0;

	return !column->generated && (!is_project(column) || section->single) &&
		(column->is_key || column->declared || of_scope);
}

/* A row t as documents have it. */
static char *
told_row(const DocumentSection *section, const KindStatements *statements)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < statements->count; i++)
	{
		const KindColumn *column = &statements->columns[i];
		const char *name = quote_identifier(column->name);

		if (is_told(section, column))
			appendStringInfo(&text, "%s(%s, pg_catalog.to_jsonb(t.%s), t.%s IS DISTINCT FROM %s)", text.len > 0 ? ", " : "",
							 quote_literal_cstr(column->name), name, name, column->fallback ? column->fallback : "NULL");
	}
	return psprintf("(SELECT COALESCE(pg_catalog.jsonb_object_agg(v.name, v.value) FILTER (WHERE v.told), '{}')"
					" FROM (VALUES %s) AS v (name, value, told))", text.data);
}

/* Whether rows t and r have the same key, and both keys, to order by. */
typedef struct KeyTexts
{
	StringInfoData same;
	StringInfoData present;
	StringInfoData given;
} KeyTexts;

/* Make these texts. */
static void
make_keys(const KindStatements *statements, KeyTexts *keys)
{
	initStringInfo(&keys->same);
	initStringInfo(&keys->present);
	initStringInfo(&keys->given);
	for (int i = 0; i < statements->count; i++)
	{
		const KindColumn *column = &statements->columns[i];
		const char *name = quote_identifier(column->name);
		const char *comma = keys->present.len > 0 ? ", " : "";
		char	   *given;

		if (!column->is_key)
			continue;
		given = kind_key_value(column);
		appendStringInfo(&keys->same, "%st.%s = %s", comma[0] ? " AND " : "", name, given);
		appendStringInfo(&keys->present, "%st.%s::pg_catalog.text COLLATE \"C\"", comma, name);
		appendStringInfo(&keys->given, "%s%s::pg_catalog.text COLLATE \"C\"", comma, given);
	}
}

/* Make the statements of a section, in the current memory context. */
static void
make_statements(DocumentSection *section)
{
	DeclaredKind *kind = declare_kind(section->kind);
	const KindStatements *statements = kind_statements(kind);
	char	   *table = psprintf("promote.%s", quote_identifier(section->kind));
	bool		of_project = kind_column(kind, "project") && !section->single;
	char	   *given;
	KeyTexts	keys;

	make_keys(statements, &keys);
	given = psprintf("pg_catalog.jsonb_array_elements($2) WITH ORDINALITY AS e (element, place)"
					 " CROSS JOIN LATERAL (SELECT e.element%s AS element) AS g"
					 " CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::%s, g.element) AS r",
					 of_project ? " || pg_catalog.jsonb_build_object('project', $1)" : "", table);
	section->list = (Statement) {
		.text = psprintf("SELECT %s FROM %s AS t WHERE %s%s%s AND NOT EXISTS (SELECT FROM %s WHERE %s) ORDER BY %s",
						 told_row(section, statements), section->rows ? section->rows : table,
						 section->of_project ? section->of_project : "t.project = $1",
						 kind->counts ? " AND " : "", kind->counts ? kind->counts : "", given, keys.same.data,
						 keys.present.data)
	};
	section->unpack = (Statement) {
		.text = psprintf("SELECT $* FROM (SELECT $1 AS project, g.element AS given, e.place::pg_catalog.int4 AS place,"
						 " pg_catalog.count(*) OVER (PARTITION BY %s) > 1 AS twice,"
						 " pg_catalog.row_number() OVER (ORDER BY %s) AS turn FROM %s) AS e ORDER BY e.turn",
						 keys.given.data, keys.given.data, given),
		.fields = element_fields,
		.count = lengthof(element_fields)
	};
}

/* Make the statements of a section, unless they are there. */
static void
prepare(DocumentSection *section)
{
	MemoryContext outer;

	if (section->list.text)
		return;
	outer = MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "promote document section",
														ALLOCSET_SMALL_SIZES));
	make_statements(section);
	MemoryContextSwitchTo(outer);
}

/* ---- rows ---- */

/* What a document has in a section, as an array. */
static Jsonb *
section_array(const DocumentSection *section, const Jsonb *document)
{
	JsonbValue	value;
	JsonBuilder array;

	json_begin_array(&array);
	if (document && json_find_in(document, section->name, &value))
	{
		if (!section->single)
			return json_from_view(&value);
		json_build_value(&array, &value);
	}
	return json_builder_finish(&array);
}

/*
 * The rows of a project, in the order of their keys, without those that a document, which may be NULL, has: a list of
 * Jsonb *.
 */
List *
section_rows(const Sql *sql, DocumentSection *section, const char *project, const Jsonb *document, bool read_only)
{
	SqlRows		rows;
	List	   *list = NIL;

	prepare(section);
	rows = sql_read_if(sql, read_only, &section->list, AS_TEXT(project), AS_JSONB(section_array(section, document)));
	for (uint64 i = 0; i < rows.count; i++)
		list = lappend(list, sql_jsonb(&rows, i));
	return list;
}

/* What a document has in a section, in the order of keys: a list of DocumentElement *. */
List *
section_elements(const Sql *sql, DocumentSection *section, const char *project, const Jsonb *document)
{
	SqlRows		rows;

	prepare(section);
	rows = sql_run(sql, &section->unpack, AS_TEXT(project), AS_JSONB(section_array(section, document)));
	return sql_list(&rows, sizeof(DocumentElement));
}
