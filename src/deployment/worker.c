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

PG_FUNCTION_INFO_V1(promote_claim_deployment);
PG_FUNCTION_INFO_V1(promote_heartbeat_deployment);
PG_FUNCTION_INFO_V1(promote_append_deployment_log);
PG_FUNCTION_INFO_V1(promote_complete_deployment);
PG_FUNCTION_INFO_V1(promote_fail_deployment);
PG_FUNCTION_INFO_V1(promote_release_deployment);

#define WORKER_MAX_LENGTH 255
#define MAX_LEASE_DAYS 31
#define LEASE (5 * USECS_PER_MINUTE)	/* where none is given */
#define HELD_MICROSECONDS (30 * USECS_PER_SEC)	/* before a deployment that is held back is judged again */

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
static TimestampTz
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

/* Take the worker's name, which has to be printable. */
static char *
argument_worker(FunctionCallInfo fcinfo)
{
	char	   *worker = argument_required(fcinfo, 0, "worker");
	bool		printable = strlen(worker) <= WORKER_MAX_LENGTH;

	for (char *c = worker; *c; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			printable = false;
	if (!printable)
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("not a name for a worker"),
				 errdetail("It has more than %d bytes, or control characters.", WORKER_MAX_LENGTH),
				 errhint("Use the host's name and the process's number, for instance.")));
	return worker;
}

/* Take the actions that a worker carries out, an array of text; 0: all. */
static Datum
argument_actions(FunctionCallInfo fcinfo, int argument)
{
	Datum	   *given;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(argument))
		return (Datum) 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT,
					  &given, &nulls, &count);
	for (int i = 0; i < count; i++)
		(void) argument_action(nulls[i] ? "null" : TextDatumGetCString(given[i]));
	return PG_GETARG_DATUM(argument);
}

/* Take the selector; returns NULL if it selects everything. */
static Jsonb *
argument_selector(FunctionCallInfo fcinfo, int argument)
{
	Jsonb	   *selector = argument_optional_params(fcinfo, argument, "selector");

	return JB_ROOT_COUNT(selector) == 0 ? NULL : selector;
}

/* ---- claiming ---- */

/* What a worker asks for. */
typedef struct Wish
{
	const char *worker;
	Datum		actions;		/* 0: all */
	int64		lease;			/* in microseconds */
	Jsonb	   *selector;		/* NULL: any instance */
	ArrayType  *scopes;			/* where the caller may work; NULL: everywhere */
} Wish;

/* A deployment that is due, its instance locked. */
typedef struct Candidate
{
	Deployment	deployment;		/* the members that due_fields name */
	char	   *bundle;
	char	   *version;
	int32		changed_by;		/* of the instance */
	int32		lost_leases;
	int32		max_lost_leases;	/* of the environment; read only for what runs */
	bool		approved;
	char	   *outdated;		/* why it must not begin; NULL: it may */
	bool		held;			/* see begin_is_held */
	TimestampTz held_until;
} Candidate;

static const SqlField due_fields[] = {
	SQL_FIELD(Candidate, deployment.key.project, "d.project"),
	SQL_FIELD(Candidate, deployment.key.environment, "d.environment"),
	SQL_FIELD(Candidate, deployment.key.component, "d.component"),
	SQL_FIELD(Candidate, deployment.deployment, "d.deployment"),
	SQL_ENUM_FIELD(Candidate, deployment.action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Candidate, deployment.status, "d.status", deployment_statuses),
	SQL_FIELD(Candidate, deployment.worker, "d.worker"),
	SQL_FIELDS(Candidate, "d", bundle, version, changed_by, lost_leases, max_lost_leases, approved)
};

/* Is a candidate that waits outdated or held back?  Plans are neither, and what runs was judged before. */
static void
judge_candidate(const Sql *sql, Candidate *candidate)
{
	const Deployment *deployment = &candidate->deployment;
	const InstanceKey *key = &deployment->key;

	candidate->outdated = NULL;
	candidate->held = false;
	if (deployment->status == DEPLOYMENT_RUNNING || deployment->action == ACTION_PLAN)
		return;
	begin_hold(key, deployment->action, candidate->bundle, candidate->version);
	candidate->outdated = review_outdated(sql, key, deployment->deployment);
	if (candidate->outdated == NULL)
		candidate->held = begin_is_held(sql, key, deployment->deployment, deployment->action, &candidate->held_until);
}

/*
 * Pick what has been due longest, and lock it and its instance; false: nothing is
 * due.  What another session has locked is skipped, even if only a heartbeat has
 * that is not committed yet.  Others lock the instance first; that makes no
 * deadlock, as this waits for nobody.
 */
static bool
pick(const Sql *sql, const Wish *wish, Candidate *candidate)
{
	static Statement any = SQL_ROWS(due_fields, "SELECT $* FROM promote_internal.due_deployment AS d"
									" WHERE d.due_at <= $1 AND ($2 IS NULL OR d.action = ANY ($2))"
									" ORDER BY d.due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED");
	static Statement some = SQL_ROWS(due_fields, "SELECT $* FROM promote_internal.due_deployment AS d"
									 " WHERE d.due_at <= $1 AND ($2 IS NULL OR d.action = ANY ($2))"
									 " AND ($3 IS NULL OR d.attributes @> $3)"
									 " AND ($4 IS NULL OR d.scopes OPERATOR(pg_catalog.&&) $4)"
									 " ORDER BY d.due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED");
	TimestampTz now = GetCurrentTimestamp();
	SqlRows		rows = wish->selector == NULL && wish->scopes == NULL ?
		sql_run(sql, &any, AS_TIME(now), AS_TEXTS(wish->actions)) :
		sql_run(sql, &some, AS_TIME(now), AS_TEXTS(wish->actions), AS_JSONB(wish->selector),
				AS_TEXTS(PointerGetDatum(wish->scopes)));

	if (!sql_row(&rows, 0, candidate))
		return false;
	judge_candidate(sql, candidate);
	return true;
}

/*
 * Make a candidate that is held back due again when that ends, or in a little
 * while if that is sooner: a freeze can be lifted early.
 */
static void
hold_back(const Sql *sql, const Candidate *candidate)
{
	TimestampTz again = GetCurrentTimestamp() + HELD_MICROSECONDS;

	set_due(sql, &candidate->deployment.key, candidate->deployment.deployment, Min(again, candidate->held_until));
}

/*
 * Take back a deployment whose lease was lost: it goes back to the queue, or fails
 * if too many leases were lost.
 */
static void
take_back(const Sql *sql, const Candidate *candidate)
{
	int32		lost = candidate->lost_leases + 1;
	char	   *reason = psprintf("the lease was lost %d %s, the last time by %s", lost,
								  lost == 1 ? "time" : "times", candidate->deployment.worker);

	(void) deployment_step(sql, &candidate->deployment,
						   lost >= candidate->max_lost_leases ? DEPLOYMENT_FAILED :
						   candidate->approved ? DEPLOYMENT_APPROVED : DEPLOYMENT_PENDING, reason);
}

/* Claim the candidate; returns the row that its worker gets. */
static SqlRows
take(const Sql *sql, const Candidate *candidate, const Wish *wish)
{
	static Statement claim = {"UPDATE promote.deployment AS d SET status = 'RUNNING', worker = $5, due_at = $6,"
		" seen_change = $7, reason = NULL WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
		" RETURNING pg_catalog.concat_ws('-', $1, $2, $3), d.deployment, d.action, d.fencing, d.due_at,"
		" d.project::pg_catalog.text, d.environment::pg_catalog.text, d.component::pg_catalog.text,"
		" d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text,"
		" (SELECT c.params FROM promote.config AS c WHERE c.project = d.project AND c.digest = d.rendered_digest),"
		" d.rendered_digest, d.plan, d.plan_digest, COALESCE(d.remote_references, '{}'),"
		" (SELECT f.artifact_digest FROM promote.bundle_release AS f WHERE f.bundle = d.bundle AND f.version = d.version)"};
	const Deployment *deployment = &candidate->deployment;
	/* the lease begins now: the search may have taken long */
	SqlRows		rows = guarded_run(sql, &claim, AS_KEY(&deployment->key), AS_INT(deployment->deployment),
								   AS_TEXT(wish->worker), AS_TIME(GetCurrentTimestamp() + wish->lease),
								   AS_INT(candidate->changed_by));

	if (rows.count != 1)
		elog(ERROR, "deployment %d was not updated", deployment->deployment);
	return rows;
}

/* Claim something that is due, if anything is; returns the row that its worker gets, or none. */
static SqlRows
claim(const Sql *sql, const Wish *wish)
{
	Candidate	candidate;

	while (pick(sql, wish, &candidate))
	{
		CHECK_FOR_INTERRUPTS();
		if (candidate.deployment.status == DEPLOYMENT_RUNNING)
			take_back(sql, &candidate);
		else if (candidate.outdated)
			(void) deployment_step(sql, &candidate.deployment, DEPLOYMENT_ABORTED, candidate.outdated);
		else if (candidate.held)
			hold_back(sql, &candidate);
		else
			return take(sql, &candidate, wish);
	}
	return (SqlRows) {NULL};
}

/*
 * promote.claim_deployment(worker text, actions text[], lease interval,
 * selector jsonb) returns table, see sql/deployment/worker.sql
 */
Datum
promote_claim_deployment(PG_FUNCTION_ARGS)
{
	Wish		wish;
	Sql			sql;
	SqlRows		rows;

	wish.scopes = access_scopes("work");
	wish.worker = argument_worker(fcinfo);
	wish.actions = argument_actions(fcinfo, 1);
	wish.lease = time_ahead(fcinfo, 2, "lease", 1000, LEASE) - GetCurrentTimestamp();
	wish.selector = argument_selector(fcinfo, 3);
	sql_enter(&sql);
	rows = claim(&sql, &wish);
	result_rows(fcinfo, &rows);
	sql_leave(&sql);
	return (Datum) 0;
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
static void
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
		" AND d.deployment = $4 AND d.fencing = $5 AND d.status = 'RUNNING' AND d.due_at > $8 RETURNING d"};
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
