/*
 * wait.c: waiting until a deployment has ended.
 *
 * Each look is by a snapshot of its own, in a subtransaction that is rolled back, so that nothing is locked while the
 * session waits.  A commit wakes it.  Where nobody does, because there is no room in memory or what ends the deployment
 * was prepared, it looks by itself.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/actor.h"
#include "grant/role.h"
#include "ledger/notify_slot.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_wait_for_deployment);

#define LOOK_SELDOM 1000		/* milliseconds between looks of a session that commits wake */
#define LOOK_OFTEN 100			/* of one that nobody wakes */
#define LONGEST (INT64CONST(24) * 3600 * 1000)	/* that a call waits */
#define DEFAULT_TIMEOUT 30000	/* in milliseconds */

/* The deployment that is waited for, as it is. */
typedef struct Awaited
{
	const InstanceKey *key;
	int32		deployment;		/* 0: the newest one */
	char	   *action;
	char	   *status;
	bool		ended;
	int32		revision;
	char	   *version;
	int32		plan;			/* 0: none */
	int32		followed_by;	/* the deployment of this plan; 0: none */
	char	   *not_deployed;
	char	   *reason;
	TimestampTz finished_at;
} Awaited;

/* Refuse to wait in a transaction in which it would be of no use, or to others' harm. */
static void
check_transaction(void)
{
	const char *detail = IsolationUsesXactSnapshot() ?
		"At its isolation level a transaction never sees what is committed meanwhile." :
		TransactionIdIsValid(GetTopTransactionIdIfAny()) ?
		"The transaction has written: nobody sees what it has queued, and others wait for what it has locked." : NULL;

	if (detail)
		ereport(ERROR,
				(errcode(PM_CANNOT_WAIT),
				 errmsg("this transaction cannot wait for a deployment"),
				 errdetail("%s", detail),
				 errhint("Commit first, and wait in a transaction of its own, READ COMMITTED.")));
}

/* The argument "timeout" in milliseconds. */
static int64
argument_timeout(FunctionCallInfo fcinfo, int argument)
{
	const Interval *span = PG_ARGISNULL(argument) ? NULL : PG_GETARG_INTERVAL_P(argument);
	double		milliseconds = span == NULL ? DEFAULT_TIMEOUT :
		span->month * 30.0 * 86400000 + span->day * 86400000.0 + span->time / 1000.0;

	if (milliseconds < 0 || milliseconds > LONGEST)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the time \"timeout\" is out of bounds"),
				 errdetail("A call waits from 0 seconds to 24 hours."),
				 errhint("Wait for a while, and call again.")));
	return (int64) milliseconds;
}

/* Refuse an instance that has no such deployment. */
static void
refuse_missing(const InstanceKey *key, int32 deployment)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg(deployment > 0 ? "\"%s\" has no deployment %d" : "\"%s\" has no deployment", instance_key_name(key),
					deployment),
			 errdetail("There is nothing to wait for."),
			 errhint("promote.plan_instance and promote.deploy_instance queue deployments.")));
}

/* Read the deployment, in the memory that is current.  A step of attempt_and_undo. */
static void
look(void *state)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Awaited, "d", deployment, action, status, revision, version, plan, not_deployed, reason, finished_at),
		SQL_FIELD(Awaited, ended, "d.status IN ('COMPLETED', 'FAILED', 'ABORTED', 'REJECTED')"),
		SQL_FIELD(Awaited, followed_by, "(SELECT f.deployment FROM promote.deployment AS f WHERE " OF_INSTANCE("f")
				  " AND f.plan = d.deployment ORDER BY f.deployment DESC LIMIT 1)")
	};
	static Statement newest = SQL_ROWS(fields, "SELECT $* FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
									   " ORDER BY d.project DESC, d.environment DESC, d.component DESC,"
									   " d.deployment DESC LIMIT 1");
	static Statement numbered = SQL_ROWS(fields, "SELECT $* FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
										 " AND d.deployment = $4");
	Awaited    *awaited = state;
	const InstanceKey *key = awaited->key;
	int32		number = awaited->deployment;
	MemoryContext inner;
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	rows = number > 0 ? sql_run(&sql, &numbered, AS_KEY(key), AS_INT(number)) : sql_run(&sql, &newest, AS_KEY(key));
	if (rows.count == 0)
	{
		require_instance(&sql, key);
		refuse_missing(key, number);
	}
	inner = MemoryContextSwitchTo(sql.caller);
	(void) sql_row(&rows, 0, awaited);
	MemoryContextSwitchTo(inner);
	sql_leave(&sql);
}

/* Wait until the deployment has ended, or the time is up. */
static void
wait_until(Awaited *awaited, TimestampTz end, bool watched)
{
	int			pause = watched && !RecoveryInProgress() ? LOOK_SELDOM : LOOK_OFTEN;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(caller, "promote wait", ALLOCSET_SMALL_SIZES);

	for (;;)
	{
		long		left;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(each);
		MemoryContextSwitchTo(each);
		attempt_and_undo(look, awaited);
		MemoryContextSwitchTo(caller);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (awaited->ended || left <= 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(left, pause), PG_WAIT_EXTENSION);
	}
}

/*
 * promote.wait_for_deployment(instance text, deployment integer, timeout interval) returns table, see
 * sql/deployment/wait.sql
 */
Datum
promote_wait_for_deployment(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	Awaited		awaited = {.key = &key,.deployment = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1)};
	int64		timeout = argument_timeout(fcinfo, 2);
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	/* what the server does with somebody's objects is not kept waiting */
	require_accountable(rights_role());
	if (!PG_ARGISNULL(1) && awaited.deployment < 1)
		refuse_missing(&key, awaited.deployment);
	check_transaction();
	InitMaterializedSRF(fcinfo, 0);
	PG_ENSURE_ERROR_CLEANUP(notify_unwatch, (Datum) 0);
	{
		wait_until(&awaited, end, notify_watch());
	}
	PG_END_ENSURE_ERROR_CLEANUP(notify_unwatch, (Datum) 0);
	notify_unwatch(0, (Datum) 0);
	result_put(fcinfo, AS_INT(awaited.deployment), AS_TEXT(awaited.action), AS_TEXT(awaited.status),
			   AS_BOOL(awaited.ended), AS_INT(awaited.revision), AS_TEXT(awaited.version), AS_NUMBER(awaited.plan),
			   AS_NUMBER(awaited.followed_by), AS_TEXT(awaited.not_deployed), AS_TEXT(awaited.reason),
			   AS_TIME(awaited.finished_at));
	return (Datum) 0;
}
