/*
 * document.c: a project as one document, and as a text.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/argument.h"
#include "base/errors.h"
#include "declare/section.h"
#include "grant/access.h"
#include "json/builder.h"
#include "json/ordered.h"
#include "json/reader.h"
#include "parse/yaml.h"

PG_FUNCTION_INFO_V1(promote_export_project);
PG_FUNCTION_INFO_V1(promote_export_text);

/* An instance's row with what documents say of it beside that. */
static void
build_instance(const Sql *sql, const char *project, const Jsonb *row, JsonBuilder *builder)
{
	static Statement read = {"SELECT promote_internal.state_for_document($1, $2, $3)"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project), AS_TEXT(declare_given(row, "environment")),
								AS_TEXT(declare_given(row, "component")));

	json_build_begin_object(builder);
	json_build_fields(builder, row);
	json_build_fields(builder, sql_jsonb(&rows, 0));
	json_build_end_object(builder);
}

/* Add a section, unless it is empty. */
static void
build_section(const Sql *sql, DocumentSection *section, const char *project, JsonBuilder *builder)
{
	List	   *rows = section_rows(sql, section, project, NULL, true);
	ListCell   *cell;

	if (rows == NIL)
		return;
	if (section->single)
	{
		json_build_document(builder, section->name, linitial(rows));
		return;
	}
	json_build_array_field(builder, section->name);
	foreach(cell, rows)
	{
		JsonbValue	row = json_view(lfirst(cell));

		if (strcmp(section->kind, "instance") == 0)
			build_instance(sql, project, lfirst(cell), builder);
		else
			json_build_value(builder, &row);
	}
	json_build_end_array(builder);
}

/* Refuse a project that is not there. */
static void
refuse_absent(const char *project)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("there is no project \"%s\"", project),
			 errdetail("Nothing is declared of it."),
			 errhint("Check the spelling, or register it first.")));
}

/* The document of a project, in the caller's memory context. */
static Jsonb *
export_project(const char *project, bool releases)
{
	JsonBuilder builder;
	Jsonb	   *document;
	int			level;
	Sql			sql;

	access_require_to_read("configure", project, NULL);
	sql_enter(&sql);
	level = NewGUCNestLevel();
	sql_pin_output();
	if (section_rows(&sql, document_sections, project, NULL, true) == NIL)
		refuse_absent(project);
	json_begin_object(&builder);
	json_build_number(&builder, "version", DOCUMENT_VERSION);
	for (int i = 0; i < document_section_count; i++)
		if (releases || strcmp(document_sections[i].name, "releases") != 0)
			build_section(&sql, &document_sections[i], project, &builder);
	AtEOXact_GUC(false, level);
	MemoryContextSwitchTo(sql.caller);
	document = json_builder_finish(&builder);
	sql_leave(&sql);
	return document;
}

/* promote.export_project(project text, releases boolean) returns jsonb */
Datum
promote_export_project(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(export_project(argument_required(fcinfo, 0, "project"), argument_bool(fcinfo, 1, true)));
}

/* promote.export_text(project text, format text, releases boolean) returns text */
Datum
promote_export_text(PG_FUNCTION_ARGS)
{
	char	   *format = argument_text(fcinfo, 1);
	bool		is_json = format && strcmp(format, "json") == 0;
	Jsonb	   *document;

	if (format && !is_json && strcmp(format, "yaml") != 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is no format of documents", format),
				 errdetail("Formats are yaml and json."),
				 errhint("Leave it out for YAML.")));
	document = export_project(argument_required(fcinfo, 0, "project"), argument_bool(fcinfo, 2, true));
	PG_RETURN_TEXT_P(is_json ? json_indented(document) : yaml_text(document));
}
