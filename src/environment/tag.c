/*
 * tag.c: names for what environments are at a moment.
 *
 * One statement reads what all instances desire and run, so that the tag says what was committed
 * together, and takes no lock.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "environment/scope.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_tag_environment);

/*
 * promote_internal.guard_tag() returns trigger
 *
 * BEFORE INSERT, UPDATE OR DELETE of environment_tag, for each row: only the verb writes these
 * rows, or a dump loads them as they are.
 */
Datum
TRIGGER_FUNCTION(promote_guard_tag)
{
	TriggerData *data = trigger_data(fcinfo, "environment_tag", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	return guard_written(data, TRIGGER_FIRED_BY_INSERT(data->tg_event) && loading_rows(),
						 "A tag says what was desired and ran, and never changes.",
						 "Use promote.tag_environment; it replaces a tag by name.");
}

/* Refuse a name that the environment has a tag by already. */
static void
refuse_taken(const EnvironmentState *state)
{
	ereport(ERROR,
			(errcode(PM_TAG_TAKEN),
			 errmsg("there is a tag \"%s\" already", environment_state_name(state)),
			 errdetail("A tag stays what it is."),
			 errhint("Choose another name, or pass replace => true.")));
}

/* Refuse an environment of which a tag would say nothing. */
static void
require_instances(const Sql *sql, const EnvironmentState *state)
{
	static Statement read = {"SELECT FROM promote.instance AS i WHERE i.project = $1 AND i.environment = $2 LIMIT 1"};

	if (sql_run(sql, &read, AS_ENVIRONMENT(&state->key)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is nothing to tag in \"%s\"", environment_state_name(state)),
				 errdetail("The environment has no instances."),
				 errhint("INSERT them into promote.instance first.")));
}

/* Write the tag; false: there is one of that name, which is not to be replaced. */
static bool
write_tag(const Sql *sql, const EnvironmentState *state, const char *message, bool replace)
{
	static Statement write = {"INSERT INTO promote.environment_tag AS t (project, environment, generation, tag, state, message)"
		" SELECT $1, $2, (SELECT e.generation FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2),"
		"  $3, pg_catalog.jsonb_object_agg(s.component, pg_catalog.jsonb_build_object('desired', s.desired,"
		"  'revision', s.revision, 'deployment', s.deployment)), $4"
		" FROM promote_internal.environment_state($1, $2, NULL, NULL) AS s"
		" ON CONFLICT (project, environment, generation, tag) DO UPDATE SET state = EXCLUDED.state, message = EXCLUDED.message,"
		"  actor = EXCLUDED.actor, database_role = EXCLUDED.database_role, created_at = EXCLUDED.created_at WHERE $5"};

	return guarded_run(sql, &write, AS_ENVIRONMENT(&state->key), AS_TEXT(state->tag), AS_TEXT(message),
					   AS_BOOL(replace)).count > 0;
}

/*
 * promote.tag_environment(environment text, tag text, message text, replace boolean) returns table, see
 * sql/environment/tag.sql
 */
Datum
promote_tag_environment(PG_FUNCTION_ARGS)
{
	static Statement read = {"SELECT s.component, s.desired, s.revision, s.deployment, s.version"
		" FROM promote_internal.environment_state($1, $2, $3, NULL) AS s ORDER BY s.component"};
	EnvironmentState state;
	char	   *message = argument_text(fcinfo, 2);
	SqlRows		rows;
	Sql			sql;

	argument_environment(fcinfo, 0, "environment", &state);
	state.tag = argument_required(fcinfo, 1, "tag");
	tag_name_check(state.tag);
	access_require_in("promote", state.key.project, state.key.environment);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	environment_require(&sql, &state.key, false);
	require_instances(&sql, &state);
	if (!write_tag(&sql, &state, message, argument_bool(fcinfo, 3, false)))
		refuse_taken(&state);
	rows = sql_run(&sql, &read, AS_ENVIRONMENT(&state.key), AS_TEXT(state.tag));
	result_add_rows(fcinfo, &rows);
	sql_leave(&sql);
	return (Datum) 0;
}
