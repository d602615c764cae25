/*
 * instance.c: naming, finding and locking instances.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "grant/access.h"
#include "json/builder.h"
#include "json/limits.h"
#include "registry/instance.h"
#include "registry/rescue.h"

/* Which parts of an instance's name exist. */
typedef struct Parts
{
	bool		project;
	bool		environment;
	bool		component;
	bool		instance;
} Parts;

static const SqlField parts_fields[] = {
	SQL_FIELD(Parts, project, "EXISTS (SELECT FROM promote.project AS p WHERE p.project = $1)"),
	SQL_FIELD(Parts, environment, "EXISTS (SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2)"),
	SQL_FIELD(Parts, component, "EXISTS (SELECT FROM promote.component AS c WHERE c.project = $1 AND c.component = $3)"),
	SQL_FIELD(Parts, instance, "EXISTS (SELECT FROM promote.instance AS i WHERE " OF_INSTANCE("i") ")")
};

/*
 * Refuse an instance that does not exist.  The error names the first part of its name that
 * does not exist either.
 */
void
require_instance(const Sql *sql, const InstanceKey *key)
{
	static Statement look = SQL_ROWS(parts_fields, "SELECT $*");
	const char *parts[] = {"project", "environment", "component", "instance"};
	const char *names[] = {key->project, key->environment, key->component, instance_key_name(key)};
	SqlRows		rows = sql_run(sql, &look, AS_KEY(key));
	Parts		found;
	int			missing;

	(void) sql_row(&rows, 0, &found);
	missing = !found.project ? 0 : !found.environment ? 1 : !found.component ? 2 : 3;
	if (found.instance)
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("instance \"%s\" does not exist", names[3]),
			 missing == 0 ? errdetail("There is no project \"%s\".", names[0]) :
			 missing == 3 ? errdetail("Its project, environment and component exist.") :
			 errdetail("Project \"%s\" has no %s \"%s\".", names[0], parts[missing], names[missing]),
			 errhint("Check the spelling, or INSERT the row into promote.%s.", parts[missing])));
}

/* Refuse an instance that has no revision. */
void
refuse_unconfigured(const InstanceKey *key, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_NOT_CONFIGURED),
			 errmsg("instance \"%s\" has no configuration yet", instance_key_name(key)),
			 errdetail("It has no revision."),
			 errhint("%s", hint)));
}

/* The instance's row for row_lock, FOR UPDATE or only against updates. */
static RowToLock
instance_row(const InstanceKey *key, bool for_update)
{
#define INSTANCE_ROW "SELECT i.ctid FROM promote.instance AS i WHERE " OF_INSTANCE("i")
	static Statement share = {INSTANCE_ROW " FOR SHARE SKIP LOCKED"};
	static Statement update = {INSTANCE_ROW " FOR NO KEY UPDATE SKIP LOCKED"};
	static Statement find = {INSTANCE_ROW};

	return (RowToLock) {
		.table = "instance",
		.what = psprintf("\"%s\"", instance_key_name(key)),
		.project = key->project,
		.at_once = for_update ? &update : &share,
		.find = &find,
		.key = {AS_KEY(key)},
		.columns = 3
	};
}

/*
 * Lock the instance's row: FOR UPDATE, or, as for the source of a promotion, only against
 * updates.  Raises PM_NOT_FOUND where there is no row, and 40001 where the transaction's
 * snapshot does not show the row's current version.
 */
void
instance_lock(const Sql *sql, const InstanceKey *key, bool for_update)
{
	RowToLock	row = instance_row(key, for_update);

	if (row_lock(sql, &row))
		return;
	require_instance(sql, key);
	refuse_unseen();
}

/* Lock the row FOR UPDATE in an emergency.  Raises PM_HELD where others do not release it in time. */
void
instance_rescue(const Sql *sql, const InstanceKey *key)
{
	RowToLock	row = instance_row(key, true);

	if (row_rescue(sql, &row))
		return;
	require_instance(sql, key);
	refuse_unseen();
}

/* An argument that names an instance.  Raises PM_INVALID_NAME. */
void
argument_instance(FunctionCallInfo fcinfo, int argument, const char *name,
				  InstanceKey *key)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("the %s is missing", name),
				 errdetail("The argument is null."),
				 errhint("Name an instance, as in 'ecomm-staging-db'.")));
	instance_key_parse(argument_text(fcinfo, argument), key);
}

/*
 * An argument that names an instance, for a verb.  Refuses callers without the grant for the
 * action, whether or not the instance exists.
 */
void
argument_instance_for(FunctionCallInfo fcinfo, int argument, const char *name,
					  const char *action, InstanceKey *key)
{
	argument_instance(fcinfo, argument, name, key);
	access_require(action, key);
}

/* An argument that is a JSON object within the limits, and not NULL. */
Jsonb *
argument_params(FunctionCallInfo fcinfo, int argument, const char *what)
{
	Jsonb	   *document;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the %s must be a JSON object", what),
				 errdetail("%s null.", json_by_number(what, "It is", "They are")),
				 errhint("Pass '{}' where there %s none.", json_by_number(what, "is", "are"))));
	document = PG_GETARG_JSONB_P(argument);
	json_check_params(document, what);
	return document;
}

/* An argument that is a JSON object within the limits, and may be left out: NULL is an empty one. */
Jsonb *
argument_optional_params(FunctionCallInfo fcinfo, int argument, const char *what)
{
	return PG_ARGISNULL(argument) ? json_empty_object() : argument_params(fcinfo, argument, what);
}

/* An argument that is a merge patch or a JSON Patch within the limits, and may be left out: NULL changes nothing. */
Jsonb *
argument_overrides(FunctionCallInfo fcinfo, int argument, const char *what)
{
	Jsonb	   *overrides;

	if (PG_ARGISNULL(argument))
		return json_empty_object();
	overrides = PG_GETARG_JSONB_P(argument);
	json_check_overrides(overrides, what);
	return overrides;
}
