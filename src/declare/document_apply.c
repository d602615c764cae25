/*
 * document_apply.c: making a project what a document says.
 *
 * Each row of the document goes the way of the verb that declares it: it is looked at first, and where it differs, the
 * caller needs the grant of that verb, and the core makes it so.  Leaves that the document lacks are deleted before
 * anything is made, so that what they closed is open, and what others refer to at the end.  All of it is one
 * subtransaction, which a dry run takes back: so it tells what applying then does, because it does it.
 *
 * Grants that are missing are gathered, and nothing is written once there is one.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "declare/document.h"
#include "declare/section.h"
#include "declare/statement.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "json/builder.h"
#include "json/reader.h"
#include "parse/yaml.h"

PG_FUNCTION_INFO_V1(promote_apply_document);
PG_FUNCTION_INFO_V1(promote_apply_text);

#define LOCK_DOCUMENT 1			/* the part of a project's place in the lock manager that documents take */
#define MAX_TOLD 20				/* grants that a refusal names */

/* What declares a project. */
static DocumentForm project_form = {
	.version = DOCUMENT_VERSION,
	.schema = {"SELECT promote.document_schema()"},
	.what = "What declares a project",
	.schema_name = "promote.document_schema()",
	.renew = "Update promote, or export the project anew.",
	.divide = "Leave the releases out, and publish them by promote.publish_release."
};

/* The name of the project that a document declares, which passed the schema. */
static char *
document_project(const Jsonb *document)
{
	JsonbValue	project;
	JsonbValue	name;

	(void) json_find_in(document, "project", &project);
	(void) json_find(&project, "project", &name);
	return pnstrdup(name.val.string.val, name.val.string.len);
}

/* ---- grants ---- */

/* Does the caller lack a grant?  It is noted, each once. */
static bool
lacks(Applying *applying, const char *action, const char *project, const char *environment)
{
	MemoryContext inner;
	char	   *told;
	ListCell   *cell;

	if (grants_role_may(applying->sql->user, action, project, environment))
		return false;
	if (list_length(applying->missing) > MAX_TOLD)
		return true;
	told = project == NULL ? psprintf("\"%s\" for all projects", action) :
		environment == NULL ? psprintf("\"%s\" for all of project \"%s\"", action, project) :
		psprintf("\"%s\" for environment \"%s\" of project \"%s\"", action, environment, project);
	foreach(cell, applying->missing)
		if (strcmp(lfirst(cell), told) == 0)
			return true;
	inner = MemoryContextSwitchTo(applying->context);
	applying->missing = lappend(applying->missing, pstrdup(told));
	MemoryContextSwitchTo(inner);
	return true;
}

/* Does the caller lack the grant of the kind for a row? */
static bool
lacks_of_kind(Applying *applying, const DeclaredKind *kind, const Jsonb *given)
{
	return lacks(applying, kind->action, kind->everywhere ? NULL : declare_given(given, "project"),
				 declare_given(given, "environment"));
}

/* Does the caller lack any grant that a change, or a new row, takes? */
static bool
lacks_any(Applying *applying, DeclaredKind *kind, const Jsonb *given, const Declaration *declaration)
{
	bool		of_kind = strcmp(declaration->action, "change") != 0;
	bool		missing = false;
	JsonbValue	name;

	json_foreach_in(change, &declaration->changes->root)
	{
		const char *action;

		(void) json_find(&change.value, "column", &name);
		action = kind_column(kind, pnstrdup(name.val.string.val, name.val.string.len))->declared->action;
		if (action == NULL)
			of_kind = true;
		else
			missing |= lacks(applying, action, declare_given(given, "project"), declare_given(given, "environment"));
	}
	return (of_kind && lacks_of_kind(applying, kind, given)) | missing;
}

/* Refuse a caller who lacks grants, with all of them. */
static void
require_grants(const Applying *applying)
{
	StringInfoData told;

	if (applying->missing == NIL)
		return;
	initStringInfo(&told);
	for (int i = 0; i < list_length(applying->missing) && i < MAX_TOLD; i++)
		appendStringInfo(&told, "%s%s", i > 0 ? ", " : "", (char *) list_nth(applying->missing, i));
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("not allowed: to apply the document"),
			 errdetail("Role \"%s\" has no grant %s%s.", GetUserNameFromId(applying->sql->user, false), told.data,
					   list_length(applying->missing) > MAX_TOLD ? ", and others" : ""),
			 errhint("Who has \"admin\" there can give it: promote.grant_action.")));
}

/* ---- rows ---- */

/* What an error is about.  An error context callback. */
static void
tell_place(void *state)
{
	const Applying *applying = state;

	if (applying->place > 0)
		errcontext("the document's %s, element %d", applying->section->name, applying->place);
	else if (applying->section)
		errcontext("the document's %s", applying->section->name);
}

/* A scope that looks, with the rights of the owner: what it finds is told only to who may see it. */
static Sql
looking(const Applying *applying)
{
	Sql			look = *applying->sql;

	look.reads = true;
	look.user = tables_owner();
	return look;
}

/* Make one row what the document says. */
static void
apply_element(Applying *applying, const DocumentElement *element)
{
	DeclaredKind *kind = declare_kind(applying->section->kind);
	Declaration declaration;
	Sql			look = looking(applying);
	bool		keeps;

	if (element->twice)
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg("the document declares a %s twice", applying->section->kind),
				 errdetail("Element %d of %s has the key of another one.", element->place, applying->section->name),
				 errhint("Take one of them out.")));
	declare_row(&look, kind, element->given, DECLARE_WHOLE, &declaration);
	keeps = strcmp(declaration.action, "keep") == 0;
	if (keeps ? element->tells && lacks_of_kind(applying, kind, element->given) :
		lacks_any(applying, kind, element->given, &declaration) || applying->missing != NIL)
		return;
	if (!keeps)
		declare_row(applying->sql, kind, element->given, DECLARE_WHOLE, &declaration);
	document_say(applying, &declaration);
}

/* Put what the document masks into elements of a section.  Does any row differ from what it says then? */
static bool
complete(Applying *applying, List *elements)
{
	DeclaredKind *kind = declare_kind(applying->section->kind);
	Sql			look = looking(applying);
	bool		differs = false;
	ListCell   *cell;

	foreach(cell, elements)
	{
		DocumentElement *element = lfirst(cell);
		Declaration declaration;

		applying->place = element->place;
		applying->section->complete(applying->sql, element);
		declare_row(&look, kind, element->given, DECLARE_WHOLE, &declaration);
		differs |= strcmp(declaration.action, "keep") != 0;
	}
	applying->place = 0;
	return differs;
}

/*
 * What the document says of a section: a list of DocumentElement *.  What keeps a part of what is there is read again
 * where it is going to be written, under the locks of the verbs that write it, so that nobody's change gets lost.
 */
static List *
read_section(Applying *applying, DocumentSection *section)
{
	static Statement hold = {"SELECT FROM promote.environment AS e WHERE e.project = $1"
		" ORDER BY e.environment COLLATE \"C\" FOR NO KEY UPDATE OF e"};
	List	   *elements = section_elements(applying->sql, section, applying->project, applying->document);

	if (!section->complete || !complete(applying, elements))
		return elements;
	sql_call(applying->sql, &hold, SQL_LOCK, SQL_CALL(AS_TEXT(applying->project)));
	elements = section_elements(applying->sql, section, applying->project, applying->document);
	complete(applying, elements);
	return elements;
}

/* A row of the project as declare_gone takes it. */
static Jsonb *
named_row(const Applying *applying, const Jsonb *row)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_fields(&builder, row);
	json_build_field(&builder, "project", applying->project);
	return json_builder_finish(&builder);
}

/* Is it the section of a kind? */
static bool
is_of(const DocumentSection *section, const char *kind)
{
	return strcmp(section->kind, kind) == 0;
}

/* The rows of a section that the document lacks, in the order of their keys: a list of Jsonb *. */
static List *
gone_rows(const Applying *applying, DocumentSection *section)
{
	return section_rows(applying->sql, section, applying->project, applying->document, false);
}

/* Delete a row of the section that the document lacks. */
static void
prune_row(Applying *applying, const Jsonb *row)
{
	DeclaredKind *kind = declare_kind(applying->section->kind);
	Jsonb	   *given = named_row(applying, row);
	Declaration declaration;

	CHECK_FOR_INTERRUPTS();
	if (lacks_of_kind(applying, kind, given) || applying->missing != NIL)
		return;
	declare_gone(applying->sql, kind, given, &declaration);
	document_say(applying, &declaration);
}

/* Delete the rows of a section that the document lacks. */
static void
prune_section(Applying *applying, DocumentSection *section)
{
	List	   *rows;
	ListCell   *cell;

	applying->section = section;
	rows = gone_rows(applying, section);
	foreach(cell, rows)
		prune_row(applying, lfirst(cell));
}

/*
 * Delete the rows that the document lacks of sections whose rows others refer to, or not: the last ones first.
 * Instances go with those that are there.
 */
static void
prune_sections(Applying *applying, bool leaves)
{
	for (int i = document_section_count - 1; applying->prune && i >= 0; i--)
	{
		DocumentSection *section = &document_sections[i];

		if (!section->single && !section->shared && !is_of(section, "instance") && section->leaves == leaves)
			prune_section(applying, section);
	}
}

/* ---- sections ---- */

/* Lock the rows of a section that are going to be deleted, in the order of their keys. */
static void
lock_gone(const Applying *applying, DocumentSection *section)
{
	KindStatements *statements = kind_statements(declare_kind(section->kind));
	List	   *gone = gone_rows(applying, section);
	ListCell   *cell;

	foreach(cell, gone)
		(void) sql_call(applying->sql, &statements->last_lock, SQL_LOCK,
						SQL_CALL(AS_JSONB(named_row(applying, lfirst(cell)))));
}

/*
 * Delete instances that the document lacks, from one on, up to an element in the order of locks; NULL: all that are
 * left.  Returns the next one.
 */
static int
prune_before(Applying *applying, const List *gone, int next, const DocumentElement *element)
{
	const InstanceKey end = element ? document_instance(applying, element->given) : (InstanceKey) {NULL};

	for (; next < list_length(gone); next++)
	{
		const InstanceKey key = document_instance(applying, list_nth(gone, next));

		if (element && instance_key_compare(&key, &end) > 0)
			break;
		prune_row(applying, list_nth(gone, next));
	}
	return next;
}

/*
 * Make the rows of a section what the document says, in the order of their keys, which is that of locks.  Instances
 * are made whole one after the other, and those that the document lacks are deleted between them, so that all of them
 * are locked in one order; environments that are going to be deleted behind them are locked before.  References come
 * last, as they may be to any instance.
 */
static void
apply_section(Applying *applying, DocumentSection *section)
{
	bool		instances = is_of(section, "instance");
	List	   *elements;
	List	   *references = NIL;	/* of the instances before */
	List	   *gone;
	ListCell   *cell;
	int			next = 0;

	applying->section = section;
	elements = read_section(applying, section);
	gone = instances && applying->prune ? gone_rows(applying, section) : NIL;
	if (applying->prune && is_of(section, "environment"))
		lock_gone(applying, section);
	foreach(cell, elements)
	{
		const DocumentElement *element = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		next = prune_before(applying, gone, next, instances ? element : NULL);
		applying->place = section->single ? 0 : element->place;
		apply_element(applying, element);
		if (instances)
			references = lappend(references, document_apply_desired(applying, element));
		applying->place = 0;
	}
	(void) prune_before(applying, gone, next, NULL);
	document_apply_references(applying, elements, references);
}

/* ---- the call ---- */

/* Make the project what the document says.  A step of attempt. */
static void
apply_all(void *state)
{
	Applying   *applying = state;
	ErrorContextCallback place = {.previous = error_context_stack,.callback = tell_place,.arg = applying};

	error_context_stack = &place;
	prune_sections(applying, true);
	for (int i = 0; i < document_section_count; i++)
		apply_section(applying, &document_sections[i]);
	prune_sections(applying, false);
	error_context_stack = place.previous;
	require_grants(applying);
}

/* Let those who apply documents to one project follow each other. */
static void
lock_project(const char *project)
{
	LockDatabaseObject(table_oid("project"), hash_bytes((const unsigned char *) project, strlen(project)), LOCK_DOCUMENT,
					   ExclusiveLock);
}

/* Apply a document, by the arguments behind it. */
static Datum
apply_document(FunctionCallInfo fcinfo, const Jsonb *document)
{
	Applying	applying = {
		.document = document,
		.prune = argument_bool(fcinfo, 1, false),
		.message = argument_text(fcinfo, 3),
		.context = CurrentMemoryContext
	};
	ListCell   *cell;
	int			level;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	document_check(&sql, &project_form, document);
	sql_leave(&sql);
	applying.project = document_project(document);
	access_require_in("configure", applying.project, NULL);
	lock_project(applying.project);
	sql_enter(&sql);
	level = NewGUCNestLevel();
	sql_pin_output();
	applying.sql = &sql;
	if (argument_bool(fcinfo, 2, false))
		attempt_and_undo(apply_all, &applying);
	else
		apply_all(&applying);
	AtEOXact_GUC(false, level);
	foreach(cell, applying.said)
		result_put(fcinfo, AS_DECLARATION((const Declaration *) lfirst(cell)));
	sql_leave(&sql);
	return (Datum) 0;
}

/* Refuse a call without a document. */
static void
require_document(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the document is missing"),
				 errdetail("The argument is null."),
				 errhint("Pass one such as promote.export_project returns.")));
}

/* promote.apply_document(document jsonb, prune boolean, dry_run boolean, message text) returns setof declaration */
Datum
promote_apply_document(PG_FUNCTION_ARGS)
{
	require_document(fcinfo);
	return apply_document(fcinfo, PG_GETARG_JSONB_P(0));
}

/* promote.apply_text(document text, prune boolean, dry_run boolean, message text) returns setof declaration */
Datum
promote_apply_text(PG_FUNCTION_ARGS)
{
	require_document(fcinfo);
	return apply_document(fcinfo, DatumGetJsonbP(DirectFunctionCall1(promote_yaml_to_jsonb, PG_GETARG_DATUM(0))));
}
