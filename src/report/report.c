/*
 * report.c: questions about one instance, which refuse a wrong name instead of
 * returning nothing.  sql/report/report.sql has the queries that answer them.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "compose/mask.h"
#include "grant/grants.h"
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "report/report.h"

PG_FUNCTION_INFO_V1(promote_plan_text);
PG_FUNCTION_INFO_V1(promote_masked_params);
PG_FUNCTION_INFO_V1(promote_config_as_of);

/*
 * promote.plan_text(instance text, deployment integer) returns text; without
 * a deployment, that of the last one
 */
Datum
promote_plan_text(PG_FUNCTION_ARGS)
{
	static Statement read = {"SELECT t FROM promote_internal.deployment_text($1, $2, $3, $4) AS t"};
	InstanceKey key;
	Sql			sql;
	SqlRows		rows;
	int32		deployment;
	Datum		result;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	sql_enter(&sql);
	deployment = PG_ARGISNULL(1) ? deployment_last(&sql, &key) : PG_GETARG_INT32(1);
	rows = sql_read(&sql, &read, AS_KEY(&key), AS_INT(deployment));
	if (rows.count == 0)
		refuse_unknown_deployment(&sql, &key, deployment);
	result = SPI_datumTransfer(sql_datum(&rows, 0).value, false, -1);
	sql_leave(&sql);
	return result;
}

/*
 * promote_internal.masked_params(params jsonb, params_schema jsonb, parameters
 * jsonb, kept_marks jsonb) returns jsonb
 */
Datum
promote_masked_params(PG_FUNCTION_ARGS)
{
	Jsonb	   *params = value_jsonb(fcinfo->args[0]);
	Jsonb	   *schema = value_jsonb(fcinfo->args[1]);
	Mask	   *mask;

	if (params == NULL || schema == NULL)
		PG_RETURN_NULL();
	mask = mask_create(schema);
	mask_add_both(mask, params, value_jsonb(fcinfo->args[2]), value_jsonb(fcinfo->args[3]));
	PG_RETURN_JSONB_P(mask_document(mask, params));
}

/* Does the argument ask for what ran, rather than for what was desired?  Refuses other words. */
bool
argument_is_running(FunctionCallInfo fcinfo, int argument, bool otherwise)
{
	char	   *state = argument_text(fcinfo, argument);

	if (state == NULL)
		return otherwise;
	if (strcmp(state, "running") == 0)
		return true;
	if (strcmp(state, "desired") != 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is not a state of configurations", state),
				 errdetail("States are desired and running."),
				 errhint("Leave it out for what was %s; pass state => '%s' for what %s.",
						 otherwise ? "running" : "desired", otherwise ? "desired" : "running",
						 otherwise ? "was desired" : "ran")));
	return false;
}

/*
 * promote.config_as_of(instance text, at timestamptz, state text) returns
 * table, see sql/report/report.sql; no row where the instance had no revision
 * yet, or ran nothing.  What is sensitive is masked, unless the caller gets it
 * anyway: by claiming deployments.
 */
Datum
promote_config_as_of(PG_FUNCTION_ARGS)
{
	static Statement desired = {"SELECT * FROM promote_internal.desired_at($1, $2, $3, $4, $5)"};
	static Statement ran = {"SELECT * FROM promote_internal.ran_at($1, $2, $3, $4, $5)"};
	TimestampTz at = PG_ARGISNULL(1) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(1);
	InstanceKey key;
	Sql			sql;
	SqlRows		rows;
	bool		shown;
	bool		running;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	running = argument_is_running(fcinfo, 2, false);
	shown = grants_may("work", key.project, key.environment);
	sql_enter(&sql);
	(void) deployment_last(&sql, &key);
	rows = sql_read(&sql, running ? &ran : &desired, AS_KEY(&key),
					sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(at)), AS_BOOL(shown));
	result_rows(fcinfo, &rows);
	sql_leave(&sql);
	return (Datum) 0;
}
