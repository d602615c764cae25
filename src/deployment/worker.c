/*
 * worker.c: how workers claim deployments, and what they report of them.
 *
 * A claim is a lease with a fencing number.  Both are judged by the clock,
 * not by the transaction's time, whenever the worker writes: a lease that is
 * over is lost, whether or not anybody has noticed.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "deployment/next_possible.h"
#include "deployment/worker.h"
#include "gate/gate.h"
#include "gate/review.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/instance.h"
#include "registry/rule.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_claim_deployment);
PG_FUNCTION_INFO_V1(promote_heartbeat_deployment);
PG_FUNCTION_INFO_V1(promote_append_deployment_log);
PG_FUNCTION_INFO_V1(promote_complete_deployment);
PG_FUNCTION_INFO_V1(promote_fail_deployment);
PG_FUNCTION_INFO_V1(promote_release_deployment);

#define WORKER_MAX_LENGTH 255
#define MAX_LEASE_DAYS 31
#define HELD_MICROSECONDS (30 * USECS_PER_SEC)	/* at most, before it is looked at again */

/* ---- arguments ---- */

/* Can the interval be added to any time of these centuries? */
static bool
is_sane(const Interval *span)
{
	return span->month >= -12 && span->month <= 12 && span->day >= -366 && span->day <= 366 &&
		span->time >= -366 * USECS_PER_DAY && span->time <= 366 * USECS_PER_DAY;
}

/*
 * The time that lies an interval ahead; least is the shortest it may be, in
 * microseconds.
 */
static TimestampTz
time_ahead(FunctionCallInfo fcinfo, int argument, const char *name, int64 least)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = now - 1;

	if (!PG_ARGISNULL(argument) && is_sane(PG_GETARG_INTERVAL_P(argument)))
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

/* The worker's name: something printable. */
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

/* The actions that a worker takes on, as an array of text; NULL is all. */
static Datum
argument_actions(FunctionCallInfo fcinfo, int argument)
{
	Datum		words[3];
	Datum	   *given;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(argument))
	{
		for (int i = 0; i < 3; i++)
			words[i] = CStringGetTextDatum(deployment_action_name(ACTION_PLAN + i));
		return PointerGetDatum(construct_array(words, 3, TEXTOID, -1, false, TYPALIGN_INT));
	}
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT,
					  &given, &nulls, &count);
	for (int i = 0; i < count; i++)
		(void) argument_action(nulls[i] ? "null" : TextDatumGetCString(given[i]));
	return PG_GETARG_DATUM(argument);
}

/* The selector, unless it selects everything. */
static Jsonb *
argument_selector(FunctionCallInfo fcinfo, int argument)
{
	Jsonb	   *selector = argument_params(fcinfo, argument, "selector");

	return JB_ROOT_COUNT(selector) == 0 ? NULL : selector;
}

/* ---- claiming ---- */

/* What a worker asks for. */
typedef struct Wish
{
	const char *worker;
	Datum		actions;
	int64		lease;			/* in microseconds */
	Jsonb	   *selector;		/* NULL: any instance */
	ArrayType  *scopes;			/* where the caller may; NULL: everywhere */
} Wish;

/* A deployment that is due, its instance locked. */
typedef struct Candidate
{
	Deployment	deployment;
	const char *bundle;
	const char *version;
	int32		changed_by;		/* of the instance */
	int32		lost_leases;
	int32		max_lost_leases;	/* of the environment; only where it runs */
	bool		approved;
	char	   *outdated;		/* why it must not be begun; NULL: it may */
	bool		held;			/* by a stopped line, a missing secret, a freeze or closed change windows */
	TimestampTz held_until;		/* GATE_NO_TIME: nobody knows */
} Candidate;

/* Is what waits outdated, or held back?  Plans are neither, and what runs was judged. */
static void
judge_candidate(const Sql *sql, Candidate *candidate)
{
	const Deployment *deployment = &candidate->deployment;
	Datum		view;

	if (deployment->status == DEPLOYMENT_RUNNING || deployment->action == ACTION_PLAN)
		return;
	view = rule_view();
	rule_hold(deployment->key.project, deployment->key.environment, view);
	if (deployment->action == ACTION_PROVISION)
		rule_hold_release(candidate->bundle, candidate->version, view);
	candidate->outdated = review_outdated(sql, &deployment->key, deployment->deployment);
	/* as long as nobody knows, where a secret is missing */
	candidate->held_until = GATE_NO_TIME;
	candidate->held = candidate->outdated == NULL &&
		(secret_is_lacking(sql, &deployment->key, deployment->deployment) ||
		 window_holds(sql, &deployment->key, deployment->deployment, GetCurrentTimestamp(),
					  &candidate->held_until));
}

/*
 * Pick what has been due longest, and lock it and its instance; what another
 * session has locked, be it only by a heartbeat that is not committed yet, is
 * passed over.  False where nothing is due.  Others lock these two in the
 * other order, but who waits for nobody is in no deadlock.
 */
static bool
pick(const Sql *sql, const Wish *wish, Candidate *candidate)
{
#define PICK(selection) \
	"SELECT d.project::pg_catalog.text, d.environment::pg_catalog.text, d.component::pg_catalog.text," \
	" d.deployment, d.action, d.status, d.worker, d.due_at, i.changed_by, d.lost_leases," \
	" CASE WHEN d.status = 'RUNNING' THEN (SELECT e.max_lost_leases FROM promote.environment AS e" \
	"  WHERE e.project = d.project AND e.environment = d.environment) END," \
	" d.approved_by IS NOT NULL, d.bundle::pg_catalog.text, d.version::pg_catalog.text" \
	" FROM promote.deployment AS d JOIN promote.instance AS i ON " SAME_INSTANCE("i", "d") \
	" WHERE d.due_at <= $2 AND d.action = ANY ($1)" selection \
	" ORDER BY d.due_at LIMIT 1 FOR NO KEY UPDATE OF d, i SKIP LOCKED"
#define SELECTED " AND ($3 IS NULL OR (SELECT a.attributes FROM promote_internal.instance_attributes AS a" \
	"  WHERE " SAME_INSTANCE("a", "d") ") @> $3)"
#define GRANTED " AND ($4 IS NULL OR $4 OPERATOR(pg_catalog.&&) ARRAY[pg_catalog.concat_ws('-', d.project, d.environment)," \
	" d.project || '-*', '*-' || d.environment])"
	static OldStatement any = {
		.text = PICK(""),
		.parameters = 2,
		.types = {TEXTARRAYOID, TIMESTAMPTZOID}
	};
	static OldStatement some = {
		.text = PICK(SELECTED GRANTED),
		.parameters = 4,
		.types = {TEXTARRAYOID, TIMESTAMPTZOID, JSONBOID, TEXTARRAYOID}
	};
	bool		nulls[4] = {[2] = wish->selector == NULL,[3] = wish->scopes == NULL};
	Datum		values[4] = {wish->actions, TimestampTzGetDatum(GetCurrentTimestamp()),
		PointerGetDatum(wish->selector), PointerGetDatum(wish->scopes)};
	Deployment *deployment = &candidate->deployment;
	bool		isnull;

	statement_run(sql, wish->selector || wish->scopes ? &some : &any, values, nulls, false);
	if (SPI_processed == 0)
		return false;
	memset(candidate, 0, sizeof(*candidate));
	deployment->key.project = spi_text(SPI_tuptable, 0, 1);
	deployment->key.environment = spi_text(SPI_tuptable, 0, 2);
	deployment->key.component = spi_text(SPI_tuptable, 0, 3);
	deployment->deployment = spi_integer(SPI_tuptable, 0, 4);
	deployment->action = deployment_action_parse(spi_text(SPI_tuptable, 0, 5));
	deployment->status = deployment_status_parse(spi_text(SPI_tuptable, 0, 6));
	deployment->worker = spi_text(SPI_tuptable, 0, 7);
	deployment->due_at = DatumGetTimestampTz(spi_value(SPI_tuptable, 0, 8, &isnull));
	candidate->changed_by = spi_integer(SPI_tuptable, 0, 9);
	candidate->lost_leases = spi_integer(SPI_tuptable, 0, 10);
	candidate->max_lost_leases = spi_integer(SPI_tuptable, 0, 11);
	candidate->approved = spi_bool(SPI_tuptable, 0, 12);
	candidate->bundle = spi_text(SPI_tuptable, 0, 13);
	candidate->version = spi_text(SPI_tuptable, 0, 14);
	judge_candidate(sql, candidate);
	return true;
}

/*
 * Let what must not be begun now be due again when it may be, or in a little
 * while: a freeze can be lifted before its time.
 */
static void
hold_back(const Sql *sql, const Candidate *candidate)
{
	static OldStatement hold = {
		.text = "UPDATE promote.deployment AS d SET due_at = $5 WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
	};
	TimestampTz again = GetCurrentTimestamp() + HELD_MICROSECONDS;
	Datum		values[5];

	deployment_values(&candidate->deployment.key, candidate->deployment.deployment, values);
	values[4] = TimestampTzGetDatum(Min(again, candidate->held_until));
	old_guarded_run(sql, &hold, values, NULL);
}

/*
 * Take back what a worker has lost the lease of: to the queue, or, once too
 * many have, to its end.
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

/* Claim the candidate, and put the row that its worker gets. */
static void
take(const Sql *sql, const Candidate *candidate, const Wish *wish, ReturnSetInfo *result)
{
	static OldStatement claim = {
		.text = "UPDATE promote.deployment AS d SET status = 'RUNNING', worker = $5, due_at = $6,"
		" seen_change = $7, reason = NULL WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
		" RETURNING pg_catalog.concat_ws('-', $1, $2, $3), d.deployment, d.action, d.fencing, d.due_at,"
		" d.project::pg_catalog.text, d.environment::pg_catalog.text, d.component::pg_catalog.text,"
		" d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text,"
		" (SELECT c.params FROM promote.config AS c WHERE c.project = d.project"
		"  AND c.digest = d.rendered_digest), d.rendered_digest, d.plan, d.plan_digest, COALESCE(d.remote_references, '{}')",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID, INT4OID}
	};
	Datum		values[7];

	deployment_values(&candidate->deployment.key, candidate->deployment.deployment, values);
	values[4] = CStringGetTextDatum(wish->worker);
	/* from now: waiting and looking may have taken long */
	values[5] = TimestampTzGetDatum(GetCurrentTimestamp() + wish->lease);
	values[6] = Int32GetDatum(candidate->changed_by);
	old_guarded_run(sql, &claim, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "deployment %d was not updated", candidate->deployment.deployment);
	tuplestore_puttuple(result->setResult, SPI_tuptable->vals[0]);
}

/* Claim something that is due, if anything is, and put its row. */
static void
claim(const Sql *sql, const Wish *wish, ReturnSetInfo *result)
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
		{
			take(sql, &candidate, wish, result);
			return;
		}
	}
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

	wish.scopes = access_scopes("work");
	wish.worker = argument_worker(fcinfo);
	wish.actions = argument_actions(fcinfo, 1);
	wish.lease = time_ahead(fcinfo, 2, "lease", 1000) - GetCurrentTimestamp();
	wish.selector = argument_selector(fcinfo, 3);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	claim(&sql, &wish, (ReturnSetInfo *) fcinfo->resultinfo);
	sql_leave(&sql);
	return (Datum) 0;
}

/* ---- what a claim may write ---- */

/* Why a claim does not hold, in a sentence. */
static char *
no_claim(const Deployment *deployment, int32 fencing)
{
	if (deployment->fencing == 0)
		return psprintf("It was never claimed, and is %s.", deployment_status_name(deployment->status));
	if (fencing != deployment->fencing)
		return psprintf("Claim %d is not the last one; that is %d, of worker \"%s\".", fencing,
						deployment->fencing, deployment->worker);
	if (deployment->status != DEPLOYMENT_RUNNING)
		return psprintf("It is %s.", deployment_status_name(deployment->status));
	return psprintf("The lease ended at %s.", timestamptz_to_str(deployment->due_at));
}

/* Refuse what a worker does whose claim does not hold: PM_NO_CLAIM. */
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

/* Refuse it unless the claim holds; the deployment's row is locked. */
void
claim_require(const Deployment *deployment, int32 fencing)
{
	if (deployment->status != DEPLOYMENT_RUNNING || fencing != deployment->fencing ||
		deployment->due_at <= GetCurrentTimestamp())
		claim_refuse(deployment, fencing);
}

/*
 * What the verbs of workers begin with: the instance and the number are the
 * first two arguments.  Enters the scope, locks the instance, and names the
 * deployment, which is not read; returns the claim's fencing number, unjudged.
 */
static int32
claim_open(FunctionCallInfo fcinfo, int fencing_argument, Sql *scope,
		   Deployment *deployment)
{
	int32		fencing;

	argument_instance_for(fcinfo, 0, "instance", "work", &deployment->key);
	deployment->deployment = argument_number(fcinfo, 1, "deployment");
	fencing = argument_number(fcinfo, fencing_argument, "fencing number");
	sql_enter(scope);
	instance_lock(scope, &deployment->key, true);
	return fencing;
}

/*
 * The same, with the deployment, of which the claim holds; else PM_NO_CLAIM.
 * Its fencing number is the argument's.
 */
void
claim_load(FunctionCallInfo fcinfo, int fencing_argument, Sql *scope,
		   Deployment *deployment)
{
	int32		fencing = claim_open(fcinfo, fencing_argument, scope, deployment);

	deployment_load(scope, &deployment->key, deployment->deployment, deployment);
	claim_require(deployment, fencing);
}

/*
 * Lock the deployment's row alone, not its instance: what keeps a claim alive
 * waits for nobody who changes the instance.  Raises PM_NO_CLAIM.
 */
static void
lock_claim(const Sql *sql, const InstanceKey *key, int32 number, int32 fencing)
{
	Deployment	deployment;

	(void) deployment_lock(sql, key, number);
	deployment_load(sql, key, number, &deployment);
	claim_require(&deployment, fencing);
}

/*
 * promote.heartbeat_deployment(instance text, deployment integer, fencing
 * integer, lease interval) returns promote.deployment
 */
Datum
promote_heartbeat_deployment(PG_FUNCTION_ARGS)
{
	static OldStatement extend = {
		.text = "UPDATE promote.deployment AS d SET due_at = $5 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 RETURNING d",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
	};
	InstanceKey key;
	int32		number = argument_number(fcinfo, 1, "deployment");
	int32		fencing = argument_number(fcinfo, 2, "fencing number");
	TimestampTz until = time_ahead(fcinfo, 3, "lease", 1000);
	Sql			sql;
	Datum		values[5];
	bool		isnull;

	argument_instance_for(fcinfo, 0, "instance", "work", &key);
	sql_enter(&sql);
	lock_claim(&sql, &key, number, fencing);
	deployment_values(&key, number, values);
	values[4] = TimestampTzGetDatum(until);
	old_guarded_run(&sql, &extend, values, NULL);
	return deployment_result(&sql, spi_value(SPI_tuptable, 0, 1, &isnull));
}

/*
 * promote.append_deployment_log(instance text, deployment integer, message
 * text, fencing integer) returns integer
 */
Datum
promote_append_deployment_log(PG_FUNCTION_ARGS)
{
	static OldStatement append = {
		.text = "INSERT INTO promote.deployment_log AS l (project, environment, component,"
		" deployment, entry, fencing, message) VALUES ($1, $2, $3, $4,"
		" COALESCE((SELECT o.entry FROM promote.deployment_log AS o WHERE o.project = $1"
		"  AND o.environment = $2 AND o.component = $3 AND o.deployment = $4"
		"  ORDER BY o.entry DESC LIMIT 1), 0) + 1, $5, $6) RETURNING l.entry",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID}
	};
	InstanceKey key;
	int32		number = argument_number(fcinfo, 1, "deployment");
	char	   *message = argument_required(fcinfo, 2, "message");
	int32		fencing = argument_number(fcinfo, 3, "fencing number");
	Sql			sql;
	Datum		values[6];
	int32		entry;

	argument_instance_for(fcinfo, 0, "instance", "work", &key);
	sql_enter(&sql);
	lock_claim(&sql, &key, number, fencing);
	deployment_values(&key, number, values);
	values[4] = Int32GetDatum(fencing);
	values[5] = CStringGetTextDatum(message);
	old_guarded_run(&sql, &append, values, NULL);
	entry = spi_integer(SPI_tuptable, 0, 1);
	sql_leave(&sql);
	PG_RETURN_INT32(entry);
}

/*
 * End a claimed deployment.  A worker that did not hear the answer says so
 * again: where the same claim brought it there, that is the answer.
 */
static Datum
end_claim(FunctionCallInfo fcinfo, int fencing_argument, DeploymentStatus status, const char *reason)
{
	static OldStatement end = {
		.text = "UPDATE promote.deployment AS d SET status = $6, reason = $7 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 AND d.fencing = $5"
		" AND d.status = 'RUNNING' AND d.due_at > $8 RETURNING d",
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Deployment	deployment;
	Sql			sql;
	int32		fencing = claim_open(fcinfo, fencing_argument, &sql, &deployment);
	bool		nulls[8] = {[6] = reason == NULL};
	Datum		values[8];
	bool		isnull;

	deployment_values(&deployment.key, deployment.deployment, values);
	values[4] = Int32GetDatum(fencing);
	values[5] = CStringGetTextDatum(deployment_status_name(status));
	values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(reason);
	values[7] = TimestampTzGetDatum(GetCurrentTimestamp());
	old_guarded_run(&sql, &end, values, nulls);
	if (SPI_processed == 1)
		return deployment_result(&sql, spi_value(SPI_tuptable, 0, 1, &isnull));
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
	static OldStatement release = {
		.text = "UPDATE promote.deployment AS d SET reason = $5, due_at = $6,"
		" status = CASE WHEN d.approved_by IS NULL THEN 'PENDING' ELSE 'APPROVED' END"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
		" RETURNING d",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID}
	};
	char	   *reason = argument_text(fcinfo, 3);
	TimestampTz due_at = time_ahead(fcinfo, 4, "delay", 0);
	Sql			sql;
	Deployment	deployment;
	bool		nulls[6] = {[4] = reason == NULL};
	Datum		values[6];
	bool		isnull;

	claim_load(fcinfo, 2, &sql, &deployment);
	deployment_values(&deployment.key, deployment.deployment, values);
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(reason);
	values[5] = TimestampTzGetDatum(due_at);
	old_guarded_run(&sql, &release, values, nulls);
	return deployment_result(&sql, spi_value(SPI_tuptable, 0, 1, &isnull));
}
