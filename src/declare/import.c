/*
 * import.c: importing what instances have been through elsewhere.
 *
 * A document is read by a statement for each of its lists, judged instance by instance (import_judge.c), and written by
 * a statement for each table (import_write.c).  Nothing is written before all of it is judged.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "declare/document.h"
#include "declare/import.h"
#include "grant/access.h"
#include "json/reader.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_import_history);

#define HISTORY_VERSION 1
#define MAX_MESSAGE 10000		/* bytes of the call's message */

/* What tells of histories. */
static DocumentForm history_form = {
	.version = HISTORY_VERSION,
	.schema = {"SELECT promote.history_schema()"},
	.what = "What tells of histories",
	.schema_name = "promote.history_schema()",
	.renew = "Update promote, or write the document by the schema that it has.",
	.divide = "Import the instances by several calls, those that others were promoted from first."
};

/* ---- reading ---- */

#define INSTANCES "pg_catalog.jsonb_array_elements($1 -> 'instances') AS i (v)"
#define IN_KEY_ORDER " ORDER BY i.v ->> 'environment' COLLATE \"C\", i.v ->> 'component' COLLATE \"C\""
#define ELEMENTS(key) INSTANCES \
	" CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(i.v -> '" key "') WITH ORDINALITY AS e (v, n)" \
	IN_KEY_ORDER ", e.n"

static const SqlField instance_fields[] = {
	SQL_FIELD(ImportedInstance, key.environment, "i.v ->> 'environment'"),
	SQL_FIELD(ImportedInstance, key.component, "i.v ->> 'component'"),
	SQL_FIELD(ImportedInstance, revision_count, "pg_catalog.jsonb_array_length(i.v -> 'revisions')"),
	SQL_FIELD(ImportedInstance, deployment_count, "COALESCE(pg_catalog.jsonb_array_length(i.v -> 'deployments'), 0)")
};

static const SqlField revision_fields[] = {
	SQL_FIELD(ImportedRevision, params, "e.v -> 'params'"),
	SQL_FIELD(ImportedRevision, said_version, "e.v ->> 'version'"),
	SQL_FIELD(ImportedRevision, said_constraint, "e.v ->> 'version_constraint'"),
	SQL_FIELD(ImportedRevision, actor, "e.v ->> 'actor'"),
	SQL_FIELD(ImportedRevision, said_at, "e.v ->> 'at'"),
	SQL_FIELD(ImportedRevision, message, "e.v ->> 'message'"),
	SQL_FIELD(ImportedRevision, origin, "COALESCE(e.v ->> 'origin', 'edit')"),
	SQL_FIELD(ImportedRevision, source_environment, "e.v ->> 'source_environment'"),
	SQL_FIELD(ImportedRevision, source_revision, "(e.v -> 'source_revision')::pg_catalog.int4")
};

static const SqlField deployment_fields[] = {
	SQL_FIELD(ImportedDeployment, revision, "(e.v -> 'revision')::pg_catalog.int4"),
	SQL_ENUM_FIELD(ImportedDeployment, action, "COALESCE(e.v ->> 'action', 'PROVISION')", deployment_actions),
	SQL_FIELD(ImportedDeployment, said_version, "e.v ->> 'version'"),
	SQL_FIELD(ImportedDeployment, outcome, "e.v ->> 'outcome'"),
	SQL_FIELD(ImportedDeployment, actor, "e.v ->> 'actor'"),
	SQL_FIELD(ImportedDeployment, approved_by, "(SELECT pg_catalog.string_agg(a.name, ', ' ORDER BY a.n)"
			  " FROM pg_catalog.jsonb_array_elements_text(e.v -> 'approved_by') WITH ORDINALITY AS a (name, n))"),
	SQL_FIELD(ImportedDeployment, worker, "COALESCE(e.v ->> 'worker', 'imported')"),
	SQL_FIELD(ImportedDeployment, said_requested_at, "e.v ->> 'requested_at'"),
	SQL_FIELD(ImportedDeployment, said_started_at, "e.v ->> 'started_at'"),
	SQL_FIELD(ImportedDeployment, said_finished_at, "e.v ->> 'finished_at'"),
	SQL_FIELD(ImportedDeployment, message, "e.v ->> 'message'"),
	SQL_FIELD(ImportedDeployment, reason, "e.v ->> 'reason'")
};

/* Refuse a document that has an instance twice; they are in the order of their keys. */
static void
refuse_twice(const Import *import)
{
	for (int i = 1; i < import->count; i++)
		if (instance_key_compare(&import->instances[i - 1].key, &import->instances[i].key) == 0)
			ereport(ERROR,
					(errcode(PM_INVALID_DOCUMENT),
					 errmsg("the document has \"%s\" twice", import->instances[i].name),
					 errdetail("An instance has one history."),
					 errhint("Put its revisions and deployments into one element.")));
}

/* Read which instances the document has. */
static void
read_instances(Import *import)
{
	static Statement read = SQL_ROWS(instance_fields, "SELECT $* FROM " INSTANCES IN_KEY_ORDER);
	SqlRows		rows = sql_run(import->sql, &read, AS_JSONB(import->document));

	import->count = rows.count;
	import->instances = palloc0(rows.count * sizeof(ImportedInstance));
	for (int i = 0; i < import->count; i++)
	{
		ImportedInstance *of = &import->instances[i];

		(void) sql_row(&rows, i, of);
		of->key.project = unconstify(char *, import->project);
		of->name = instance_key_name(&of->key);
	}
	refuse_twice(import);
}

/* Give the instances their revisions and deployments, which are in the order of the instances. */
static void
divide(Import *import)
{
	ImportedRevision *revision = import->revisions;
	ImportedDeployment *deployment = import->deployments;

	for (int i = 0; i < import->count; i++)
	{
		ImportedInstance *of = &import->instances[i];

		of->revisions = revision;
		of->deployments = deployment;
		for (int n = 1; n <= of->revision_count; n++, revision++)
		{
			revision->of = of;
			revision->number = n;
		}
		for (int n = 1; n <= of->deployment_count; n++, deployment++)
		{
			deployment->of = of;
			deployment->number = n;
		}
	}
}

/* Read the revisions and deployments of the document. */
static void
read_histories(Import *import)
{
	static Statement revisions = SQL_ROWS(revision_fields, "SELECT $* FROM " ELEMENTS("revisions"));
	static Statement deployments = SQL_ROWS(deployment_fields, "SELECT $* FROM " ELEMENTS("deployments"));
	SqlRows		rows = sql_run(import->sql, &revisions, AS_JSONB(import->document));

	import->revision_count = rows.count;
	import->revisions = MemoryContextAllocExtended(CurrentMemoryContext, Max(rows.count, 1) * sizeof(ImportedRevision),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < rows.count; i++)
		(void) sql_row(&rows, i, &import->revisions[i]);
	rows = sql_run(import->sql, &deployments, AS_JSONB(import->document));
	import->deployment_count = rows.count;
	import->deployments = MemoryContextAllocExtended(CurrentMemoryContext,
													 Max(rows.count, 1) * sizeof(ImportedDeployment),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < rows.count; i++)
		(void) sql_row(&rows, i, &import->deployments[i]);
	divide(import);
}

/* ---- the call ---- */

/* Refuse a caller who may not import into all of the environments. */
static void
require_grants(const Import *import)
{
	for (int i = 0; i < import->count; i++)
	{
		const InstanceKey *key = &import->instances[i].key;

		if (i == 0 || strcmp(import->instances[i - 1].key.environment, key->environment) != 0)
			access_require_of(import->sql->user, "import", key->project, key->environment);
	}
}

/* Lock the instances, which have to be there. */
static void
lock_instances(const Import *import)
{
	InstanceKey *keys = palloc(import->count * sizeof(InstanceKey));
	bool	   *found;

	for (int i = 0; i < import->count; i++)
		keys[i] = import->instances[i].key;
	found = instances_lock(import->sql, keys, import->count, true);
	for (int i = 0; i < import->count; i++)
		if (!found[i])
			require_instance(import->sql, &keys[i]);
}

/* Import all of it.  A step of attempt. */
static void
import_all(void *state)
{
	Import	   *import = state;

	lock_instances(import);
	import_find(import);
	import_refuse_others(import);
	import_judge(import);
	import_write(import);
}

/* Read what is asked for. */
static void
read_import(Import *import)
{
	JsonbValue	project;

	(void) json_find_in(import->document, "project", &project);
	import->project = pnstrdup(project.val.string.val, project.val.string.len);
	if (import->message && strlen(import->message) > MAX_MESSAGE)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the message is too long"),
				 errdetail("It has %zu bytes, and the limit is %d.", strlen(import->message), MAX_MESSAGE),
				 errhint("Say it shorter.")));
	read_instances(import);
	require_grants(import);
	read_histories(import);
}

/*
 * promote.import_history(document jsonb, dry_run boolean, message text) returns table, see sql/declare/import.sql
 */
Datum
promote_import_history(PG_FUNCTION_ARGS)
{
	Import		import = {.message = argument_text(fcinfo, 2)};
	Sql			sql;

	if (PG_ARGISNULL(0))
		argument_missing("document");
	import.document = PG_GETARG_JSONB_P(0);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	import.sql = &sql;
	document_check(&sql, &history_form, import.document);
	read_import(&import);
	if (argument_bool(fcinfo, 1, false))
		attempt_and_undo(import_all, &import);
	else
		import_all(&import);
	for (int i = 0; i < import.count; i++)
	{
		const ImportedInstance *of = &import.instances[i];

		result_put(fcinfo, AS_TEXT(of->name), AS_TEXT(import_is_new(of) ? "create" : "keep"), AS_INT(of->revision_count),
				   AS_INT(of->deployment_count), AS_TEXT(import_status(of)));
	}
	sql_leave(&sql);
	return (Datum) 0;
}
