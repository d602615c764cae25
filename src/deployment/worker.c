/*
 * worker.c: how workers claim deployments, and what they report of them.
 *
 * A claim is a lease with a fencing number.  Whenever the worker writes, its claim
 * is judged by the clock, not by the transaction's time: a lease that is over is
 * lost, even if nobody has noticed.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "deployment/step.h"
#include "deployment/worker.h"
#include "gate/review.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_heartbeat_deployment);
PG_FUNCTION_INFO_V1(promote_append_deployment_log);
PG_FUNCTION_INFO_V1(promote_complete_deployment);
PG_FUNCTION_INFO_V1(promote_fail_deployment);
PG_FUNCTION_INFO_V1(promote_release_deployment);

#define MAX_LEASE_DAYS 31

/* ---- arguments ---- */

/* Can the interval be added to any time of these centuries? */
static bool
is_sane(const Interval *span)
{
	return span->month >= -12 && span->month <= 12 && span->day >= -366 && span->day <= 366 &&
		span->time >= -366 * USECS_PER_DAY && span->time <= 366 * USECS_PER_DAY;
}

/*
 * Take an interval, and return the time that lies so far ahead; least is the
 * shortest that it may be, and otherwise what NULL stands for, in microseconds.
 */
TimestampTz
time_ahead(FunctionCallInfo fcinfo, int argument, const char *name, int64 least, int64 otherwise)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = now - 1;

	if (PG_ARGISNULL(argument))
		then = now + otherwise;
	else if (is_sane(PG_GETARG_INTERVAL_P(argument)))
		then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													   TimestampTzGetDatum(now),
													   PG_GETARG_DATUM(argument)));
	if (then < now + least || then > now + MAX_LEASE_DAYS * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the %s is out of bounds", name),
				 errdetail("It is an interval %s and %d days.",
						   least > 0 ? "between a millisecond" : "between nothing", MAX_LEASE_DAYS),
				 errhint("A few minutes is usual.")));
	return then;
}

/* ---- what a claim may write ---- */

/* Why a claim does not hold, in a sentence. */
static char *
no_claim(const Deployment *deployment, int32 fencing)
{
	if (deployment->fencing == 0)
		return psprintf("It was never claimed, and is %s.", deployment_statuses[deployment->status]);
	if (fencing != deployment->fencing)
		return psprintf("Claim %d is not the last one; that is %d, of worker \"%s\".", fencing,
						deployment->fencing, deployment->worker);
	if (deployment->status != DEPLOYMENT_RUNNING)
		return psprintf("It is %s.", deployment_statuses[deployment->status]);
	return psprintf("The lease ended at %s.", timestamptz_to_str(deployment->due_at));
}

/* Refuse a worker whose claim does not hold: PM_NO_CLAIM. */
void
claim_refuse(const Deployment *deployment, int32 fencing)
{
	ereport(ERROR,
			(errcode(PM_NO_CLAIM),
			 errmsg("claim %d of deployment %d of \"%s\" does not hold", fencing,
					deployment->deployment, instance_key_name(&deployment->key)),
			 errdetail_internal("%s", no_claim(deployment, fencing)),
			 errhint("Leave the work alone: it belongs to whoever claims it next, or is over. Claim by promote.claim_deployment.")));
}

/*
 * What the verbs of workers begin with: the instance and the deployment's number
 * are the first two arguments.  Enters the scope and locks the instance, or the
 * deployment's row alone.  Fills in the key of the deployment, but does not read
 * it.  Returns the fencing number that was passed, which is not judged yet.
 */
static int32
claim_open(FunctionCallInfo fcinfo, int fencing_argument, bool row_alone, Sql *scope, Deployment *deployment)
{
	int32		fencing;

	argument_instance_for(fcinfo, 0, "instance", "work", &deployment->key);
	deployment->deployment = argument_number(fcinfo, 1, "deployment");
	fencing = argument_number(fcinfo, fencing_argument, "fencing number");
	sql_enter(scope);
	if (row_alone)
		(void) deployment_lock(scope, &deployment->key, deployment->deployment, false);
	else
		instance_lock(scope, &deployment->key, true);
	return fencing;
}

/*
 * Begin as claim_open does, read the deployment, and refuse a claim that does not
 * hold: PM_NO_CLAIM.  Verbs that keep a claim alive lock the deployment's row and
 * not its instance, so they wait for nobody who changes the instance.
 */
void
claim_load(FunctionCallInfo fcinfo, int fencing_argument, bool row_alone, Sql *scope, Deployment *deployment)
{
	int32		fencing = claim_open(fcinfo, fencing_argument, row_alone, scope, deployment);

	deployment_load(scope, &deployment->key, deployment->deployment, deployment);
	if (deployment->status != DEPLOYMENT_RUNNING || fencing != deployment->fencing ||
		deployment->due_at <= GetCurrentTimestamp())
		claim_refuse(deployment, fencing);
}

/*
 * promote.heartbeat_deployment(instance text, deployment integer, fencing
 * integer, lease interval) returns promote.deployment
 */
Datum
promote_heartbeat_deployment(PG_FUNCTION_ARGS)
{
	static Statement extend = {"UPDATE promote.deployment AS d SET due_at = $5 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 RETURNING d"};
	TimestampTz until = time_ahead(fcinfo, 3, "lease", 1000, LEASE);
	Sql			sql;
	Deployment	deployment;
	SqlRows		rows;

	claim_load(fcinfo, 2, true, &sql, &deployment);
	rows = guarded_run(&sql, &extend, AS_KEY(&deployment.key), AS_INT(deployment.deployment), AS_TIME(until));
	return deployment_result(&sql, sql_datum(&rows, 0).value);
}

/*
 * promote.append_deployment_log(instance text, deployment integer, message
 * text, fencing integer) returns integer
 */
Datum
promote_append_deployment_log(PG_FUNCTION_ARGS)
{
	static Statement append = {"INSERT INTO promote.deployment_log AS l (project, environment, component,"
		" deployment, entry, fencing, message) VALUES ($1, $2, $3, $4,"
		" COALESCE((SELECT o.entry FROM promote.deployment_log AS o WHERE " OF_INSTANCE("o")
		"  AND o.deployment = $4 ORDER BY o.entry DESC LIMIT 1), 0) + 1, $5, $6) RETURNING l.entry"};
	char	   *message = argument_required(fcinfo, 2, "message");
	Sql			sql;
	Deployment	deployment;
	SqlRows		rows;
	int32		entry;

	claim_load(fcinfo, 3, true, &sql, &deployment);
	rows = guarded_run(&sql, &append, AS_KEY(&deployment.key), AS_INT(deployment.deployment),
					   AS_INT(deployment.fencing), AS_TEXT(message));
	entry = sql_int(&rows, 0);
	sql_leave(&sql);
	PG_RETURN_INT32(entry);
}

/* Is it a PLAN that is to be deployed?  Then a trigger may have noted in its row why it is not. */
static bool
settles(Datum row)
{
	bool		isnull;

	(void) GetAttributeByName(DatumGetHeapTupleHeader(row), "deploy_as", &isnull);
	return !isnull;
}

/*
 * End a claimed deployment.  A worker that has not got the answer calls again: if
 * this claim has ended it that way already, the deployment is returned.
 */
static Datum
end_claim(FunctionCallInfo fcinfo, int fencing_argument, DeploymentStatus status, const char *reason)
{
	static Statement end = {"UPDATE promote.deployment AS d SET status = $6, reason = $7 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 AND " CLAIM_HOLDS("$5", "$8") " RETURNING d"};
	Deployment	deployment;
	Sql			sql;
	int32		fencing = claim_open(fcinfo, fencing_argument, false, &sql, &deployment);
	SqlRows		rows = guarded_run(&sql, &end, AS_KEY(&deployment.key), AS_INT(deployment.deployment), AS_INT(fencing),
								   AS_TEXT(deployment_statuses[status]), AS_TEXT(reason),
								   AS_TIME(GetCurrentTimestamp()));

	if (rows.count == 1 && !settles(sql_datum(&rows, 0).value))
		return deployment_result(&sql, sql_datum(&rows, 0).value);
	if (rows.count == 1)
		return deployment_result(&sql, deployment_row(&sql, &deployment.key, deployment.deployment));
	deployment_load(&sql, &deployment.key, deployment.deployment, &deployment);
	if (deployment.status != status || deployment.fencing != fencing)
		claim_refuse(&deployment, fencing);
	return deployment_result(&sql, deployment_row(&sql, &deployment.key, deployment.deployment));
}

/*
 * promote.complete_deployment(instance text, deployment integer, fencing
 * integer, message text) returns promote.deployment
 */
Datum
promote_complete_deployment(PG_FUNCTION_ARGS)
{
	return end_claim(fcinfo, 2, DEPLOYMENT_COMPLETED, argument_text(fcinfo, 3));
}

/*
 * promote.fail_deployment(instance text, deployment integer, reason text,
 * fencing integer) returns promote.deployment
 */
Datum
promote_fail_deployment(PG_FUNCTION_ARGS)
{
	return end_claim(fcinfo, 3, DEPLOYMENT_FAILED, argument_required(fcinfo, 2, "reason"));
}

/*
 * promote.release_deployment(instance text, deployment integer, fencing
 * integer, reason text, delay interval) returns promote.deployment
 */
Datum
promote_release_deployment(PG_FUNCTION_ARGS)
{
	static Statement release = {"UPDATE promote.deployment AS d SET reason = $5, due_at = $6,"
		" status = CASE WHEN d.approved_by IS NULL THEN 'PENDING' ELSE 'APPROVED' END"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 RETURNING d"};
	char	   *reason = argument_text(fcinfo, 3);
	TimestampTz due_at = time_ahead(fcinfo, 4, "delay", 0, 0);
	Sql			sql;
	Deployment	deployment;
	SqlRows		rows;

	claim_load(fcinfo, 2, false, &sql, &deployment);
	rows = guarded_run(&sql, &release, AS_KEY(&deployment.key), AS_INT(deployment.deployment), AS_TEXT(reason),
					   AS_TIME(due_at));
	return deployment_result(&sql, sql_datum(&rows, 0).value);
}
