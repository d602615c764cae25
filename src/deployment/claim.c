/*
 * claim.c: how workers claim deployments.
 *
 * A claim takes what has been due longest, one deployment or up to as many as the worker asks
 * for.  What is due is locked by one statement, judged by one, and taken by one.  What must not
 * begin any more, or not now, is put aside, and the search goes on.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/errors.h"
#include "base/result.h"
#include "deployment/step.h"
#include "deployment/worker.h"
#include "gate/review.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_claim_deployment);

#define WORKER_MAX_LENGTH 255
#define MAX_CLAIMED 10000		/* by one call */
#define CLAIMED_AT_ONCE 100		/* by one run of the statements below */
#define HELD_MICROSECONDS (30 * USECS_PER_SEC)	/* before a deployment that is held back is judged again */

/* ---- arguments ---- */

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

/* Take how many deployments a worker wants at most; NULL: one. */
static int32
argument_most(FunctionCallInfo fcinfo, int argument)
{
	int32		most = PG_ARGISNULL(argument) ? 1 : PG_GETARG_INT32(argument);

	if (most < 1 || most > MAX_CLAIMED)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("cannot claim %d deployments at once", most),
				 errdetail("It is from 1 to %d.", MAX_CLAIMED),
				 errhint("Claim as many as are worked on before the lease ends.")));
	return most;
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
	bool		strays;			/* does its plan start from something else than what runs? */
} Candidate;

static const SqlField due_fields[] = {
	SQL_FIELD(Candidate, deployment.key.project, "d.project"),
	SQL_FIELD(Candidate, deployment.key.environment, "d.environment"),
	SQL_FIELD(Candidate, deployment.key.component, "d.component"),
	SQL_FIELD(Candidate, deployment.deployment, "d.deployment"),
	SQL_ENUM_FIELD(Candidate, deployment.action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Candidate, deployment.status, "d.status", deployment_statuses),
	SQL_FIELD(Candidate, deployment.worker, "d.worker"),
	SQL_FIELDS(Candidate, "d", bundle, version, changed_by, lost_leases, max_lost_leases, approved, strays)
};

/* Deployments that are due, the longest due first. */
typedef struct Due
{
	Candidate	candidates[CLAIMED_AT_ONCE];
	int			count;
} Due;

/*
 * Pick up to so many that have been due longest, and lock them and their instances; false: nothing is
 * due.  What another session has locked is skipped, even if only a heartbeat has
 * that is not committed yet.  Others lock the instance first; that makes no
 * deadlock, as this waits for nobody.
 */
static bool
pick(const Sql *sql, const Wish *wish, int32 most, Due *due)
{
	static Statement any = SQL_ROWS(due_fields, "SELECT $* FROM promote_internal.due_deployment AS d"
									" WHERE d.due_at <= $1 AND ($2 IS NULL OR d.action = ANY ($2))"
									" ORDER BY d.due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED");
	static Statement some = SQL_ROWS(due_fields, "SELECT $* FROM promote_internal.due_deployment AS d"
									 " WHERE d.due_at <= $1 AND ($2 IS NULL OR d.action = ANY ($2))"
									 " AND ($4 IS NULL OR d.attributes @> $4)"
									 " AND ($5 IS NULL OR d.scopes OPERATOR(pg_catalog.&&) $5)"
									 " ORDER BY d.due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED");
	TimestampTz now = GetCurrentTimestamp();
	int64		limit = Min(most, CLAIMED_AT_ONCE);
	SqlRows		rows = wish->selector == NULL && wish->scopes == NULL ?
		sql_run(sql, &any, AS_TIME(now), AS_TEXTS(wish->actions), AS_BIGINT(limit)) :
		sql_run(sql, &some, AS_TIME(now), AS_TEXTS(wish->actions), AS_BIGINT(limit), AS_JSONB(wish->selector),
				AS_TEXTS(PointerGetDatum(wish->scopes)));

	due->count = 0;
	while (due->count < rows.count)
	{
		Candidate  *candidate = &due->candidates[due->count];

		*candidate = (Candidate) {.outdated = NULL};
		(void) sql_row(&rows, due->count++, candidate);
	}
	return due->count > 0;
}

/* Which deployments wait, and are judged before they begin. */
static bool
waits(const Candidate *candidate)
{
	return candidate->deployment.status != DEPLOYMENT_RUNNING;
}

/* What is read of the candidates that wait, at once. */
typedef struct Finding
{
	int32		place;
	char	   *reason;
	bool		may_replace;
	bool		lacks_secret;
	bool		awaits;			/* for another component */
} Finding;

static const SqlField finding_fields[] = {
	SQL_FIELD(Finding, place, "k.place"), SQL_FIELD(Finding, reason, "f.reason"),
	SQL_FIELD(Finding, may_replace, "f.may_replace"), SQL_FIELD(Finding, lacks_secret, "f.lacks_secret"),
	SQL_FIELD(Finding, awaits, "f.awaits")
};

/* Which of them are looked at before they begin: plans are neither outdated nor held back, and wait for nothing. */
static bool
is_looked_at(const Candidate *candidate)
{
	return waits(candidate) && candidate->deployment.action != ACTION_PLAN;
}

/* Judge the candidates that wait: which are outdated or held back.  What runs was judged before. */
static void
judge(const Sql *sql, Due *due)
{
	static Statement read = SQL_ROWS(finding_fields, "SELECT $* FROM waiting_candidate AS k"
									 " CROSS JOIN LATERAL (SELECT f.* FROM promote_internal.beginning(k.project, k.environment,"
									 "  k.component, k.deployment) AS f LIMIT 1) AS f");
	static const char *const columns[] = {"place", "project", "environment", "component", "deployment"};
	Batch		batch = {.name = "waiting_candidate",.columns = columns};
	Beginning	beginning = {NIL};
	SqlRows		rows;
	Finding		found;

	batch_begin(&batch);
	for (int i = 0; i < due->count; i++)
	{
		const Candidate *candidate = &due->candidates[i];
		const Deployment *deployment = &candidate->deployment;

		if (is_looked_at(candidate))
			batch_put(&batch, AS_INT(i), AS_KEY(&deployment->key), AS_INT(deployment->deployment));
		if (waits(candidate))
			begin_hold(&beginning, &deployment->key, deployment->action, candidate->bundle, candidate->version);
	}
	if (batch.count == 0)
	{
		batch_end(&batch);
		return;
	}
	rows = batch_run(sql, &read, &batch);
	batch_end(&batch);
	for (uint64 i = 0; sql_row(&rows, i, &found); i++)
	{
		Candidate  *candidate = &due->candidates[found.place];
		const Deployment *deployment = &candidate->deployment;

		candidate->outdated = found.reason || !found.may_replace ? found.reason :
			review_replaces(sql, &deployment->key, deployment->deployment);
		if (candidate->outdated == NULL)
			candidate->held = begin_is_held(sql, &beginning, &deployment->key, deployment->deployment,
											found.lacks_secret, found.awaits, &candidate->held_until);
	}
}

/*
 * Make the candidates that are held back due again when that ends, or in a little
 * while if that is sooner: a freeze can be lifted early.
 */
static void
hold_back(const Sql *sql, const Due *due)
{
	TimestampTz again = GetCurrentTimestamp() + HELD_MICROSECONDS;
	Batch		batch;

	set_due_begin(&batch);
	for (int i = 0; i < due->count; i++)
	{
		const Candidate *candidate = &due->candidates[i];

		if (candidate->held)
			batch_put(&batch, AS_KEY(&candidate->deployment.key), AS_INT(candidate->deployment.deployment),
					  AS_TIME(Min(again, candidate->held_until)));
	}
	set_due(sql, &batch);
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

/* Candidates that are claimed. */
typedef struct Claiming
{
	const Sql  *sql;
	const Wish *wish;
	Batch		batch;
	SqlRows		rows;
} Claiming;

/* Claim them.  A step of errand_do. */
static void
claim_rows(void *state)
{
	static Statement claim = {"WITH taken AS (UPDATE promote.deployment AS d SET status = 'RUNNING', worker = $1, due_at = $2,"
		" seen_change = k.changed_by, reason = NULL"
		" FROM claimed_candidate AS k"
		" WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment"
		" RETURNING k.place, d.project, d.environment, d.component, d.deployment, d.action, d.fencing, d.due_at, d.revision,"
		" d.bundle, d.version, d.rendered_digest, d.plan, d.plan_digest, d.remote_references)"
		" SELECT pg_catalog.concat_ws('-', d.project, d.environment, d.component), d.deployment, d.action, d.fencing, d.due_at,"
		" d.project::pg_catalog.text, d.environment::pg_catalog.text, d.component::pg_catalog.text,"
		" d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text,"
		" (SELECT c.params FROM promote.config AS c WHERE c.project = d.project AND c.digest = d.rendered_digest),"
		" d.rendered_digest, d.plan, d.plan_digest, COALESCE(d.remote_references, '{}'),"
		" (SELECT f.artifact_digest FROM promote.bundle_release AS f WHERE f.bundle = d.bundle AND f.version = d.version)"
		" FROM taken AS d ORDER BY d.place"};
	Claiming   *claiming = state;

	/* the lease begins now: the search may have taken long */
	claiming->rows = batch_run(claiming->sql, &claim, &claiming->batch, AS_TEXT(claiming->wish->worker),
							   AS_TIME(GetCurrentTimestamp() + claiming->wish->lease));
	if (claiming->rows.count != claiming->batch.count)
		elog(ERROR, "not all deployments were claimed that may begin");
}

/* Claim the candidates that may begin, put the rows that their worker gets, and return how many there are. */
static int32
take(const Sql *sql, const Wish *wish, const Due *due, FunctionCallInfo fcinfo)
{
	/* where no plan strays, the guard need not look again at what runs */
	Errand		telling = {.records = true,.based = true,.asker = errand()->asker};
	static const char *const columns[] = {
		"place", "project", "environment", "component", "deployment", "changed_by"
	};
	Claiming	claiming = {sql, wish, {.name = "claimed_candidate",.columns = columns}};

	batch_begin(&claiming.batch);
	for (int i = 0; i < due->count; i++)
	{
		const Candidate *candidate = &due->candidates[i];
		const Deployment *deployment = &candidate->deployment;

		if (!waits(candidate) || candidate->outdated || candidate->held)
			continue;
		telling.based &= !candidate->strays;
		batch_put(&claiming.batch, AS_INT(i), AS_KEY(&deployment->key), AS_INT(deployment->deployment),
				  AS_INT(candidate->changed_by));
	}
	if (claiming.batch.count == 0)
		return 0;
	errand_do(&telling, claim_rows, &claiming);
	result_add_rows(fcinfo, &claiming.rows);
	batch_end(&claiming.batch);
	return (int32) claiming.rows.count;
}

/* Put aside what must not begin, or not now. */
static void
put_aside(const Sql *sql, const Due *due)
{
	for (int i = 0; i < due->count; i++)
	{
		const Candidate *candidate = &due->candidates[i];

		if (!waits(candidate))
			take_back(sql, candidate);
		else if (candidate->outdated)
			(void) deployment_step(sql, &candidate->deployment, DEPLOYMENT_ABORTED, candidate->outdated);
	}
	hold_back(sql, due);
}

/*
 * Claim what is due, up to so many, and put the rows that their worker gets.  Each round has a scope of its own, so
 * that memory does not grow with their number.
 */
static void
claim(const Wish *wish, int32 most, FunctionCallInfo fcinfo)
{
	bool		found = true;

	while (found && most > 0)
	{
		Due		   *due;
		Sql			sql;

		CHECK_FOR_INTERRUPTS();
		sql_enter(&sql);
		due = palloc(sizeof(Due));
		found = pick(&sql, wish, most, due);
		if (found)
		{
			judge(&sql, due);
			put_aside(&sql, due);
			most -= take(&sql, wish, due, fcinfo);
		}
		sql_leave(&sql);
	}
}

/*
 * promote.claim_deployment(worker text, actions text[], lease interval,
 * selector jsonb, max integer) returns table, see sql/deployment/worker.sql
 */
Datum
promote_claim_deployment(PG_FUNCTION_ARGS)
{
	Wish		wish;

	wish.scopes = access_scopes("work");
	wish.worker = argument_worker(fcinfo);
	wish.actions = argument_actions(fcinfo, 1);
	wish.lease = time_ahead(fcinfo, 2, "lease", 1000, LEASE) - GetCurrentTimestamp();
	wish.selector = argument_selector(fcinfo, 3);
	InitMaterializedSRF(fcinfo, 0);
	claim(&wish, argument_most(fcinfo, 4), fcinfo);
	return (Datum) 0;
}
