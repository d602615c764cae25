/*
 * begin.c: when an instance may be deployed next, and whether a deployment that
 * is queued may begin now.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "deployment/step.h"
#include "gate/window.h"
#include "registry/instance.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_next_possible);

#define MAX_JUMPS 1000			/* from the end of some reasons to the end of others, before the search is given up */

/* When the last of the reasons that stand ends; GATE_NO_TIME: the end of one is not known. */
static TimestampTz
end_of_reasons(const GateCase *gate)
{
	TimestampTz until = gate->at;
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			until = Max(until, blocker->until);
	}
	return until;
}

/*
 * The first moment from a time on at which the gates of time are open;
 * GATE_NO_TIME where it is not known.  Each reason holds without a break until
 * it ends, so going from end to end misses no open moment.
 */
static TimestampTz
first_open(const Sql *sql, GateCase *gate, TimestampTz at)
{
	for (int i = 0; i < MAX_JUMPS; i++)
	{
		TimestampTz until;

		CHECK_FOR_INTERRUPTS();
		gate_judge_time(sql, gate, at);
		if (!gate_is_closed(gate))
			return at;
		until = end_of_reasons(gate);
		if (until == GATE_NO_TIME || until <= at)
			return GATE_NO_TIME;
		at = until;
	}
	return GATE_NO_TIME;
}

/* promote.next_possible(instance text, deployment integer, at timestamptz, action text) returns timestamptz */
Datum
promote_next_possible(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	GateCase	gate;
	Sql			sql;
	TimestampTz at;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	sql_enter(&sql);
	gate_open_asked(fcinfo, &sql, &key, &gate);
	at = first_open(&sql, &gate, gate.at);
	sql_leave(&sql);
	if (at == GATE_NO_TIME)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(at);
}

/* Does a reason hold back what is queued already? */
static bool
is_hold(const Blocker *blocker)
{
	return !blocker->overridden &&
		(strcmp(blocker->code, "stopped") == 0 || strcmp(blocker->code, "freeze") == 0 ||
		 strcmp(blocker->code, "window") == 0);
}

/* The rules of time of an environment. */
typedef struct EnvironmentWindows
{
	const InstanceKey *key;		/* of an instance of the environment */
	WindowSet  *set;
} EnvironmentWindows;

/* The rules of time of an instance's environment, read when they are first asked for. */
WindowSet *
begin_windows(const Sql *sql, Beginning *beginning, const InstanceKey *key)
{
	EnvironmentWindows *windows;
	ListCell   *cell;

	foreach(cell, beginning->windows)
	{
		windows = lfirst(cell);
		if (strcmp(windows->key->environment, key->environment) == 0 &&
			strcmp(windows->key->project, key->project) == 0)
			return windows->set;
	}
	windows = palloc(sizeof(EnvironmentWindows));
	windows->key = key;
	sql_push_latest();
	windows->set = window_read(sql, key->project, key->environment, NULL);
	PopActiveSnapshot();
	beginning->windows = lcons(windows, beginning->windows);
	return windows->set;
}

/*
 * Is a queued PROVISION or DECOMMISSION held back at a time, because the line is
 * stopped, a freeze is on, or its change windows are closed?  Then until is when
 * that ends, or GATE_NO_TIME.  Where no such rule applies to the environment, this
 * costs one look at three indexes.
 */
static bool
gates_hold(const Sql *sql, Beginning *beginning, const InstanceKey *key, int32 deployment, TimestampTz at,
		   TimestampTz *until)
{
	GateCase	gate;
	WindowSet  *set = begin_windows(sql, beginning, key);
	ListCell   *cell;
	bool		held = false;

	if (!window_may_hold(set, at))
		return false;
	gate_open(sql, key, deployment, at, &gate);
	gate.windows = set;
	gate_judge_time(sql, &gate, at);
	*until = at;
	foreach(cell, gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		held |= is_hold(blocker);
		if (is_hold(blocker))
			*until = Max(*until, blocker->until);
	}
	return held;
}

/*
 * Does a PROVISION that waits lack a secret that its release requires?  The secret
 * was set when the PROVISION was queued, and may have been removed since.
 */
bool
begin_lacks_secret(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement read = {"SELECT EXISTS (SELECT FROM promote_internal.lacking_secrets($1, $2, $3, $4))"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));

	return sql_bool(&rows, 0);
}

/* Does what waits in the queue wait for another component? */
bool
begin_awaits(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement read = {"SELECT EXISTS (SELECT FROM promote_internal.awaited($1, $2, $3, $4))"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));

	return sql_bool(&rows, 0);
}

/*
 * Hold the transaction that begins a deployment to the rules of its environment,
 * and to its release being in use, see registry/rule_hold.c: these may have
 * changed since it was queued.  A PLAN is held to nothing.
 */
void
begin_hold(Beginning *beginning, const InstanceKey *key, DeploymentAction action, const char *bundle,
		   const char *version)
{
	if (action == ACTION_PLAN)
		return;
	if (beginning->view == 0)
		beginning->view = rule_view();
	rule_hold(RULE_ALL, key->project, key->environment, beginning->view);
	if (action == ACTION_PROVISION)
		rule_hold(RULE_RELEASE, bundle, version, beginning->view);
}

/*
 * Is a queued PROVISION or DECOMMISSION held back now, by a missing secret, another
 * component that comes first, a stopped line, a freeze or closed change windows?  Then
 * until is when that ends; GATE_NO_TIME: that is not known, as with a missing secret.
 * The caller holds the instance's lock, which removing a secret takes as well, and has
 * looked for the secrets and for other components.  No other gate is asked about what
 * awaits one, since nobody can override that: all that it awaits may be much to list.
 */
bool
begin_is_held(const Sql *sql, Beginning *beginning, const InstanceKey *key, int32 deployment, bool lacks_secret,
			  bool awaits, TimestampTz *until)
{
	*until = GATE_NO_TIME;
	return lacks_secret || awaits || gates_hold(sql, beginning, key, deployment, GetCurrentTimestamp(), until);
}
