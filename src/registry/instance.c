/*
 * instance.c: naming, finding and locking instances.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/errors.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "json/builder.h"
#include "json/limits.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/rescue.h"

PG_FUNCTION_INFO_V1(promote_check_instance);

/*
 * promote_internal.check_instance(status text, revision integer, opened_revision integer,
 * deployment integer, version_constraint text, release_channel text, deployed_revision integer,
 * deployed_by integer, changed_by integer) returns boolean
 *
 * One function checks all columns for speed, as promote_check_deployment does.
 */
Datum
promote_check_instance(PG_FUNCTION_ARGS)
{
	static const char *const statuses[] = {NULL, "INITIALIZED", "PROVISIONED", "FAILED", "DECOMMISSIONED", NULL};
	int32		revision = PG_GETARG_INT32(1);
	int32		opened = PG_GETARG_INT32(2);
	int32		deployment = PG_GETARG_INT32(3);
	int32		changed_by = PG_GETARG_INT32(8);
	bool		runs = !PG_ARGISNULL(7);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(8))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(sql_enum(statuses, text_to_cstring(PG_GETARG_TEXT_PP(0))) > 0 &&
				   opened >= 0 && opened <= revision && deployment >= 0 &&
				   changed_by >= 0 && changed_by <= deployment &&
				   PG_ARGISNULL(4) == (revision == opened) && PG_ARGISNULL(5) == (revision == opened) &&
				   runs == !PG_ARGISNULL(6) &&
				   (!runs || (PG_GETARG_INT32(6) > opened && PG_GETARG_INT32(6) <= revision &&
							  PG_GETARG_INT32(7) >= 1 && PG_GETARG_INT32(7) <= deployment && changed_by > 0)));
}

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
			 errhint("Check the spelling, or register it by promote.register_%s.", parts[missing])));
}

/* Refuse an environment that does not exist: PM_NOT_FOUND; read_only: by the active snapshot. */
void
environment_find(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement has_project = {"SELECT FROM promote.project AS p WHERE p.project = $1"};
	static Statement has_environment = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"};

	if (sql_read_if(sql, read_only, &has_environment, AS_ENVIRONMENT(key)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("environment \"%s-%s\" does not exist", key->project, key->environment),
				 sql_read_if(sql, read_only, &has_project, AS_TEXT(key->project)).count > 0 ?
				 errdetail("Project \"%s\" has no environment \"%s\".", key->project, key->environment) :
				 errdetail("There is no project \"%s\".", key->project),
				 errhint("Name it by its project and what it is called there, as in ecomm-staging.")));
}

/* Refuse an environment that does not exist, or is archived. */
void
environment_require(const Sql *sql, const InstanceKey *key, bool read_only)
{
	environment_find(sql, key, read_only);
	require_in_use(key);
}

/* Keep an environment from being archived until the transaction ends, if it is there.  Refuses one that is archived. */
void
environment_hold(const Sql *sql, const InstanceKey *key)
{
	static Statement hold = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
		" FOR KEY SHARE OF e"};

	sql_call(sql, &hold, SQL_LOCK, SQL_CALL(AS_ENVIRONMENT(key)));
	require_in_use(key);
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
	return (RowToLock) {
		.key = {"instance", "instance_pkey", {AS_KEY(key)}, 3},
		.mode = for_update ? LockTupleNoKeyExclusive : LockTupleShare,
		.what = psprintf("\"%s\"", instance_key_name(key)),
		.project = key->project
	};
}

/*
 * Lock the instance's row: FOR UPDATE, or, as for the source of a promotion, only against
 * updates.  Raises PM_NOT_FOUND where there is no row, 40001 where the transaction's snapshot does
 * not show the row's current version, and PM_ARCHIVED for updating what is archived.
 */
void
instance_lock(const Sql *sql, const InstanceKey *key, bool for_update)
{
	RowToLock	row = instance_row(key, for_update);

	if (row_lock(&row))
	{
		if (for_update)
			require_in_use(key);
		return;
	}
	require_instance(sql, key);
	refuse_unseen();
}

#define INSTANCE_ROWS "SELECT k.place FROM asked_row AS k" \
	" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "k") \
	" ORDER BY i.project, i.environment, i.component"

/* Run a statement over the rows of many instances, and say which it has found.  Ends the batch. */
static bool *
found_rows(const Sql *sql, Statement *statement, SqlMode mode, Batch *batch, int count)
{
	bool	   *found = palloc0(count * sizeof(bool));
	SqlRows		rows = batch_call(sql, statement, mode, batch, NULL, 0);

	batch_end(batch);
	for (uint64 i = 0; i < rows.count; i++)
		found[sql_int(&rows, i)] = true;
	return found;
}

/* Begin the rows by which many instances are found. */
static void
begin_rows(Batch *batch)
{
	static const char *const columns[] = {"place", "project", "environment", "component"};

	*batch = (Batch) {.name = "asked_row",.columns = columns};
	batch_begin(batch);
}

/*
 * Lock the rows of many instances as instance_lock does, by one statement, which waits for them in the order of their
 * keys, and behind whoever rescues one of them already.  The keys are in that order, and none is twice.  Returns for
 * each whether the instance exists.  Raises 40001 where the transaction's snapshot does not show a row's current
 * version, and PM_ARCHIVED for updating what is archived.
 */
bool *
instances_lock(const Sql *sql, const InstanceKey *keys, int count, bool for_update)
{
	static Statement update = {INSTANCE_ROWS " FOR NO KEY UPDATE OF i"};
	static Statement share = {INSTANCE_ROWS " FOR SHARE OF i"};
	Batch		batch;
	bool	   *locked;

	begin_rows(&batch);
	for (int i = 0; i < count; i++)
	{
		RowToLock	row = instance_row(&keys[i], for_update);

		row_stand_behind(&row);
		batch_put(&batch, AS_INT(i), AS_KEY(&keys[i]));
	}
	locked = found_rows(sql, for_update ? &update : &share, SQL_LOCK, &batch, count);
	for (int i = 0; i < count; i++)
		if (for_update && locked[i])
			require_in_use(&keys[i]);
	return locked;
}

/* Say for each of many instances whether it exists by the active snapshot, and lock none. */
bool *
instances_find(const Sql *sql, const InstanceKey *keys, int count)
{
	static Statement find = {INSTANCE_ROWS};
	Batch		batch;

	begin_rows(&batch);
	for (int i = 0; i < count; i++)
		batch_put(&batch, AS_INT(i), AS_KEY(&keys[i]));
	return found_rows(sql, &find, SQL_READ, &batch, count);
}

/* Lock the row FOR UPDATE in an emergency.  Raises PM_HELD where others do not release it until that time. */
void
instance_rescue(const Sql *sql, const InstanceKey *key, TimestampTz end)
{
	RowToLock	row = instance_row(key, true);

	if (row_rescue(sql, &row, end))
	{
		require_in_use(key);
		return;
	}
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
 * action, whether or not the instance exists, and to do something in an archived environment.
 */
void
argument_instance_for(FunctionCallInfo fcinfo, int argument, const char *name,
					  const char *action, InstanceKey *key)
{
	argument_instance(fcinfo, argument, name, key);
	access_require(action, key);
	if (!grants_only_ask(action))
		require_in_use(key);
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
