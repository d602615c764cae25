/*
 * archive.c: archiving environments.
 *
 * The row of an environment stays, and so do its instances with their chains and counters: archived_at says that it
 * is over, and a row of environment_generation what it was.  fork.c opens its name again.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "environment/environment.h"
#include "grant/access.h"
#include "json/builder.h"
#include "ledger/guard.h"
#include "registry/archived.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_preview_archive_environment);
PG_FUNCTION_INFO_V1(promote_archive_environment);

#define SHOWN 20				/* instances that an error names */

/* An instance of the environment. */
typedef struct Archivable
{
	char	   *component;
	int32		revision;		/* 0: it desires nothing */
	int32		opened_revision;
	int32		deployment;		/* 0: there was none */
	char	   *problem;		/* why the environment cannot be archived because of it; NULL: it can */
} Archivable;

static const SqlField archivable_fields[] = {
	SQL_FIELDS(Archivable, "a", component, revision, opened_revision, deployment, problem)
};

/* Read the instances: a list of Archivable *. */
static List *
read_instances(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement read = SQL_ROWS(archivable_fields, "SELECT $* FROM promote_internal.archivable($1, $2) AS a");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_TEXT(key->project), AS_TEXT(key->environment));

	return sql_list(&rows, sizeof(Archivable));
}

/* Is it the owner's will that nothing of the environment goes? */
static bool
is_protected(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement read = {"SELECT e.decommission_protection FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_ENVIRONMENT(key));

	return rows.count > 0 && sql_bool(&rows, 0);
}

/* Return a row for each instance; the refusal of a preview is the environment's where it is not the instance's. */
static void
put_rows(FunctionCallInfo fcinfo, const List *instances, bool protected)
{
	ListCell   *cell;

	foreach(cell, instances)
	{
		const Archivable *instance = lfirst(cell);
		const char *problem = instance->problem ? instance->problem : protected ? "its environment is protected" : NULL;

		result_put(fcinfo, AS_TEXT(instance->component), AS_BOOL(problem == NULL),
				   AS_NUMBER(instance->revision), AS_NUMBER(instance->deployment), AS_JSONB(NULL),
				   AS_TEXT(problem ? unpack_sql_state(instance->problem ? PM_STILL_USED : PM_PROTECTED) : NULL),
				   AS_TEXT(problem));
	}
}

/* Refuse an environment that is protected, whose rules would go with it. */
static void
require_unprotected(const Sql *sql, const InstanceKey *key)
{
	if (is_protected(sql, key, false))
		ereport(ERROR,
				(errcode(PM_PROTECTED),
				 errmsg("environment \"%s-%s\" is protected", key->project, key->environment),
				 errdetail("Nothing of it is decommissioned, and its rules would go with it."),
				 errhint("Set decommission_protection of the environment to false first.")));
}

/* Refuse an environment that is still used, with every instance that says so. */
static void
require_unused(const InstanceKey *key, const List *instances)
{
	StringInfoData lines;
	int			count = 0;
	ListCell   *cell;

	initStringInfo(&lines);
	foreach(cell, instances)
	{
		const Archivable *instance = lfirst(cell);

		if (instance->problem && count++ < SHOWN)
			appendStringInfo(&lines, "%s%s: %s", lines.len > 0 ? "\n" : "", instance->component, instance->problem);
	}
	if (count > SHOWN)
		appendStringInfo(&lines, "\nand %d more", count - SHOWN);
	if (count > 0)
		ereport(ERROR,
				(errcode(PM_STILL_USED),
				 errmsg("environment \"%s-%s\" is still used", key->project, key->environment),
				 errdetail_internal("%s", lines.data),
				 errhint("Decommission what runs, by promote.decommission_environment, and end what is open: promote.abort_environment, promote.cancel_request.")));
}

/* What the generation's row says of its instances: of each the first and the last revision. */
static Jsonb *
instances_document(const List *instances)
{
	JsonBuilder builder;
	ListCell   *cell;

	json_begin_object(&builder);
	foreach(cell, instances)
	{
		const Archivable *instance = lfirst(cell);

		if (instance->revision == 0)
		{
			json_build_key(&builder, instance->component, strlen(instance->component));
			json_build_null(&builder);
			continue;
		}
		json_build_array_field(&builder, instance->component);
		json_build_integer(&builder, instance->opened_revision + 1);
		json_build_integer(&builder, instance->revision);
		json_build_end_array(&builder);
	}
	return json_builder_finish(&builder);
}

/* Tell the chains of the instances. */
static void
tell_instances(const Sql *sql, const InstanceKey *key, const List *instances, const char *message)
{
	ToldInstance *told = palloc(Max(list_length(instances), 1) * sizeof(ToldInstance));
	int			count = 0;
	ListCell   *cell;
	JsonBuilder facts;

	audit_begin(&facts);
	if (message)
		json_build_field(&facts, "message", message);
	told[0].facts = json_builder_finish(&facts);
	foreach(cell, instances)
	{
		told[count].key = (InstanceKey) {key->project, key->environment, ((Archivable *) lfirst(cell))->component};
		told[count++].facts = told[0].facts;
	}
	environment_tell(sql, "instance.archived", told, count);
}

/* Write that the environment is over.  It and its instances are locked. */
static void
archive(const Sql *sql, const InstanceKey *key, const List *instances, const char *message)
{
	static Statement store = {"INSERT INTO promote.config (project, params) SELECT s.project, s.parameters"
		" FROM promote.parameter_set AS s WHERE s.project = $1 AND s.environment = $2 AND s.parameters <> '{}'"
		" ON CONFLICT ON CONSTRAINT config_pkey DO NOTHING"};
	static Statement keep = {"INSERT INTO promote.environment_generation (project, environment, generation, opened_at,"
		" archived_at, forked_from, parameters_digest, attributes, instances, message)"
		" SELECT e.project, e.environment, e.generation, COALESCE(e.opened_at, e.created_at),"
		"  pg_catalog.clock_timestamp(), e.forked_from,"
		"  (SELECT promote.config_digest(s.project, s.parameters) FROM promote.parameter_set AS s"
		"    WHERE s.project = e.project AND s.environment = e.environment AND s.parameters <> '{}'),"
		"  e.attributes, $3, $4"
		" FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"};
	static Statement clear = {"SELECT promote_internal.clear_environment($1, $2)"};
	static Statement end = {"UPDATE promote.environment AS e SET archived_at = g.archived_at"
		" FROM promote.environment_generation AS g WHERE e.project = $1 AND e.environment = $2"
		" AND g.project = $1 AND g.environment = $2 AND g.generation = e.generation"};

	guarded_run(sql, &store, AS_TEXT(key->project), AS_TEXT(key->environment));
	guarded_run(sql, &keep, AS_TEXT(key->project), AS_TEXT(key->environment),
				AS_JSONB(instances_document(instances)), AS_TEXT(message));
	guarded_run(sql, &clear, AS_TEXT(key->project), AS_TEXT(key->environment));
	guarded_run(sql, &end, AS_TEXT(key->project), AS_TEXT(key->environment));
	tell_instances(sql, key, instances, message);
	archived_changed();
}

/* promote.preview_archive_environment(environment text) returns table, see sql/environment/archive.sql */
Datum
promote_preview_archive_environment(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	environment_name_parse(argument_required(fcinfo, 0, "environment"), &key);
	access_require_in("view", key.project, key.environment);
	sql_enter(&sql);
	environment_require(&sql, &key, true);
	put_rows(fcinfo, read_instances(&sql, &key, true), is_protected(&sql, &key, true));
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.archive_environment(environment text, message text) returns table, see sql/environment/archive.sql */
Datum
promote_archive_environment(PG_FUNCTION_ARGS)
{
	/* behind those who refer to it, or hold it by environment_hold */
	static Statement lock = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
		" FOR UPDATE OF e"};
	InstanceKey key;
	List	   *instances;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	environment_name_parse(argument_required(fcinfo, 0, "environment"), &key);
	access_require_in("admin", key.project, key.environment);
	sql_enter(&sql);
	sql_call(&sql, &lock, SQL_LOCK, SQL_CALL(AS_TEXT(key.project), AS_TEXT(key.environment)));
	environment_require(&sql, &key, false);
	require_unprotected(&sql, &key);
	environment_lock_instances(&sql, &key);
	instances = read_instances(&sql, &key, false);
	require_unused(&key, instances);
	archive(&sql, &key, instances, argument_text(fcinfo, 1));
	put_rows(fcinfo, instances, false);
	sql_leave(&sql);
	return (Datum) 0;
}
