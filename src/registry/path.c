/*
 * path.c: the paths between environments.
 *
 * The paths of a project form no cycle, see walk.c.  This file also judges whether a promotion
 * follows a path, for the verbs and for the trigger that records revisions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "parse/name.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/walk.h"

PG_FUNCTION_INFO_V1(promote_next_environments);
PG_FUNCTION_INFO_V1(promote_upstream_environments);

/* The environments that an environment's paths lead to. */
static Statement leads_to = {"SELECT p.destination_environment FROM promote.promotion_path AS p"
	" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};

/* The environments that the paths to an environment come from. */
static Statement comes_from = {"SELECT p.source_environment FROM promote.promotion_path AS p"
	" WHERE p.project = $1 AND p.destination_environment = $2 ORDER BY p.source_environment"};

/* Refuse paths that close a cycle. */
static void
refuse_cycle(const char *project, const char *chain)
{
	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("the promotion paths of project \"%s\" would close a cycle", project),
			 errdetail("The cycle is %s.", chain),
			 errhint("Leave one of these paths out: what is promoted never comes back to where it was.")));
}

/* ---- writing paths ---- */

/*
 * promote_internal.check_paths() returns trigger
 *
 * AFTER INSERT, and AFTER UPDATE, of promotion_path, for each statement, with
 * the transition table new_path.
 */
Datum
TRIGGER_FUNCTION(promote_check_paths)
{
	static const SqlField fields[] = {
		SQL_FIELD(WalkStart, project, "n.project"), SQL_FIELD(WalkStart, name, "n.destination_environment")
	};
	static Statement read = SQL_ROWS(fields, "SELECT DISTINCT $* FROM new_path AS n ORDER BY 1, 2");
	TriggerData *data = trigger_data(fcinfo, "promotion_path", TRIGGER_EVENT_AFTER);

	walk_check(data, "check_paths", &read, &leads_to, refuse_cycle);
	return PointerGetDatum(NULL);
}

/* ---- reading paths ---- */

/* Take the argument that names an environment, and refuse callers who may not see it. */
static void
argument_environment(FunctionCallInfo fcinfo, InstanceKey *key)
{
	environment_name_parse(argument_required(fcinfo, 0, "environment"), key);
	access_require_in("view", key->project, key->environment);
}

/* promote.next_environments(environment text) returns table (environment text, description text) */
Datum
promote_next_environments(PG_FUNCTION_ARGS)
{
	Sql			sql;
	InstanceKey key;
	static Statement read = {"SELECT p.destination_environment::pg_catalog.text, p.description FROM promote.promotion_path AS p"
		" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};
	SqlRows		rows;

	argument_environment(fcinfo, &key);
	sql_enter(&sql);
	environment_require(&sql, &key, true);
	rows = sql_read(&sql, &read, AS_TEXT(key.project), AS_TEXT(key.environment));
	result_rows(fcinfo, &rows);
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.upstream_environments(environment text) returns table (environment text, distance integer) */
Datum
promote_upstream_environments(PG_FUNCTION_ARGS)
{
	Sql			sql;
	InstanceKey key;
	List	   *places;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	argument_environment(fcinfo, &key);
	sql_enter(&sql);
	environment_require(&sql, &key, true);
	places = walk_away(&sql, key.project, &comes_from, key.environment);
	foreach(cell, places)
	{
		const WalkPlace *place = lfirst(cell);
		result_put(fcinfo, AS_TEXT(place->name), AS_INT(place->distance));
	}
	sql_leave(&sql);
	return (Datum) 0;
}

/* ---- promoting along paths ---- */

/*
 * May an environment take its desired state from another one?  If not, sources lists the
 * environments that it may take it from.  Until its first deployment, a fork may take it from what it was forked from.
 */
bool
path_leads(const Sql *sql, const InstanceKey *key, const char *source, bool read_only, List **sources)
{
	static Statement read = {"SELECT p.source_environment::pg_catalog.text FROM promote.promotion_path AS p"
		" WHERE p.project = $1 AND p.destination_environment = $2"
		" UNION SELECT f.environment FROM promote_internal.fork_parent($1, $2, $3) AS f ORDER BY 1"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key));

	*sources = sql_texts(&rows);
	return names_hold(*sources, source);
}

/*
 * Refuse to take a desired state from an environment without a path to the instance's own,
 * where path_only says that only paths count.  The instance's own environment is always
 * allowed, and so is none (NULL).  Where many are judged together, by paths that are held, the one that was found
 * last (NULL: for one alone) is not looked for again.
 */
void
path_require(const Sql *sql, const InstanceKey *key, const char *source, bool path_only, bool read_only, PathSeen *seen)
{
	List	   *sources;

	if (!path_only || source == NULL || strcmp(source, key->environment) == 0)
		return;
	if (seen && strcmp(seen->source, source) == 0 && strcmp(seen->environment, key->environment) == 0 &&
		strcmp(seen->project, key->project) == 0)
		return;
	if (!path_leads(sql, key, source, read_only, &sources))
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("there is no promotion path from \"%s\" to \"%s\"", source, key->environment),
				 sources == NIL ?
				 errdetail("Environment \"%s\" of project \"%s\" takes from where a path leads from, and there is none to it.",
						   key->environment, key->project) :
				 errdetail("Environment \"%s\" of project \"%s\" takes from where a path leads from: %s.",
						   key->environment, key->project, names_joined(sources)),
				 errhint("Promote along a path, or add one to promote.promotion_path.")));
	if (seen == NULL)
		return;
	strlcpy(seen->project, key->project, sizeof(seen->project));
	strlcpy(seen->environment, key->environment, sizeof(seen->environment));
	strlcpy(seen->source, source, sizeof(seen->source));
}

/* Refuse to promote to the next environment where no path leads to one that has the component. */
static void
refuse_no_next(const Sql *sql, const InstanceKey *source)
{
	SqlRows		rows = sql_run(sql, &leads_to, AS_ENVIRONMENT(source));
	const List *names = sql_texts(&rows);

	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("no promotion path leads on from \"%s\"", instance_key_name(source)),
			 names == NIL ?
			 errdetail("There is none out of environment \"%s\" of project \"%s\".",
					   source->environment, source->project) :
			 errdetail("There is no component \"%s\" where the paths lead to: %s.",
					   source->component, names_joined(names)),
			 errhint("Add the path or the instance, or name a destination by promote.promote_instance.")));
}

/*
 * The environment that the only path from an instance leads to, among those that have the
 * component.  Raises PM_NO_PATH unless there is exactly one, and PM_NOT_FOUND where the
 * instance does not exist.
 */
char *
path_next(const Sql *sql, const InstanceKey *source)
{
	static Statement read = {"SELECT p.destination_environment FROM promote.promotion_path AS p"
		" JOIN promote.instance AS i ON i.project = $1 AND i.environment = p.destination_environment AND i.component = $3"
		" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};
	SqlRows		rows;
	List	   *names;

	require_instance(sql, source);
	rows = sql_run(sql, &read, AS_KEY(source));
	names = sql_texts(&rows);
	if (names == NIL)
		refuse_no_next(sql, source);
	if (list_length(names) > 1)
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("several promotion paths lead on from \"%s\"", instance_key_name(source)),
				 errdetail("They lead to %s.", names_joined(names)),
				 errhint("Name the destination: promote.promote_instance('%s', '%s-%s-%s').",
						 instance_key_name(source), source->project,
						 (char *) linitial(names), source->component)));
	return linitial(names);
}
