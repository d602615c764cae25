/*
 * judge.c: judging what must hold before a deployment may run.
 *
 * One table lists the gates in the order in which they judge.  This file judges
 * a case by all of them or by some, and applies the overrides.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/errors.h"
#include "base/result.h"
#include "gate/approval.h"
#include "gate/review.h"
#include "gate/window.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_blockers);
PG_FUNCTION_INFO_V1(promote_gates);

/* What a gate is about. */
typedef enum GateKind
{
	GATE_STATIC, GATE_TIME, GATE_STATE, GATE_PEOPLE, GATE_LOCK
} GateKind;

static const char *const kind_names[] = {"static", "time", "state", "people", "lock"};

/* A gate: what it is called, and what judges it. */
typedef struct Gate
{
	const char *code;
	GateKind	kind;
	bool		overridable;	/* can a row of override_rule let roles override it? */
	bool		decommission;	/* does it judge a DECOMMISSION, too? */
	bool		early;			/* can it be judged before there is a plan? */
	void		(*judge) (const Sql *sql, GateCase *gate);	/* NULL: another gate judges it as well */
} Gate;

static void gate_review(const Sql *sql, GateCase *gate);

static const Gate gates[] = {
	/* code, kind, overridable, decommission, early, judge; above each group stands the file of its functions */
	/* static.c */
	{"path", GATE_STATIC, false, false, true, gate_path},
	{"component", GATE_STATIC, false, false, true, gate_component},
	/* review.c: gate_review judges params and plan at once, also of a DECOMMISSION */
	{"params", GATE_STATIC, false, false, false, gate_review},
	/* static.c */
	{"release", GATE_STATIC, false, false, true, gate_release},
	{"artifact", GATE_STATIC, false, false, true, gate_artifact},
	{"secrets", GATE_STATIC, false, false, true, gate_secrets},
	{"references", GATE_STATIC, false, false, true, gate_references},
	{"plan", GATE_STATIC, false, true, false, NULL},	/* by gate_review */
	/* window.c */
	{"stopped", GATE_TIME, false, true, true, gate_stopped},
	{"freeze", GATE_TIME, true, true, true, gate_freeze},
	{"window", GATE_TIME, true, true, true, gate_window},
	{"soak", GATE_TIME, true, false, true, gate_soak},	/* health.c */
	{"budget", GATE_TIME, true, true, true, gate_budget},
	/* state.c */
	{"source_in_sync", GATE_STATE, true, false, true, gate_source_in_sync},
	{"release_unproven", GATE_STATE, true, false, true, gate_release_unproven},
	{"reverts", GATE_STATE, true, false, false, gate_reverts},
	{"drift", GATE_STATE, true, false, true, gate_drift},
	{"health", GATE_STATE, true, false, true, gate_health},	/* health.c */
	{"structure", GATE_STATE, true, false, true, gate_structure},	/* structure.c */
	{"destructive", GATE_STATE, true, false, false, gate_destructive},
	{"unexpected", GATE_STATE, true, false, false, gate_unexpected},
	/* policy.c: what users have written */
	{"policy", GATE_STATE, true, true, false, gate_policies},
	/* approval.c */
	{"approval", GATE_PEOPLE, true, true, false, gate_approval},
	{"rejected", GATE_PEOPLE, false, true, false, NULL},	/* by gate_approval */
	/* state.c */
	{"request", GATE_LOCK, true, true, false, gate_request},
	/* dependency.c */
	{"dependency", GATE_LOCK, false, true, false, gate_dependency}
};

/* Can a gate be overridden at all?  A code that is not in the table is of a policy, and can. */
bool
gate_is_overridable(const char *code)
{
	for (int i = 0; i < lengthof(gates); i++)
		if (strcmp(gates[i].code, code) == 0)
			return gates[i].overridable;
	return true;
}

/* A case that review.c is to judge. */
typedef struct ReviewOf
{
	const Sql  *sql;
	GateCase   *gate;
} ReviewOf;

/*
 * Review a case as deploying it would; raises what is wrong with it.  A plan that
 * is carried out already passes, for it would not be queued again.  attempt runs
 * this.
 */
static void
review_case(void *state)
{
	const Sql  *sql = ((ReviewOf *) state)->sql;
	GateCase   *gate = ((ReviewOf *) state)->gate;
	Review		review;
	Deployment	deployment;

	if (gate->deployment > 0)
	{
		deployment_load(sql, &gate->key, gate->deployment, &deployment);
		if (deployment.action != ACTION_PLAN)
		{
			review_deployment(sql, &deployment);
			return;
		}
	}
	review_open(sql, &gate->key, &review);
	review.asking = true;
	if (!gate_provisions(gate))
	{
		if (!review.proposed.decommissioned)
			review_decommission(&review);
		return;
	}
	if (review_is_carried_out(sql, &review, gate->deployment))
		return;
	review_judge(sql, &review);
	review_find_plan(sql, &review, gate->deployment, &deployment);
	/* where it holds no more and none is required, what is desired is deployed without a plan */
	if (deployment.deployment == 0)
	{
		gate->plan = 0;
		gate->plan_digest = NULL;
	}
}

/* The errors of review.c that are about the plan; all others are about the params. */
static const int plan_refusals[] = {
	PM_PLAN_MOVED, PM_PLAN_REQUIRED, PM_DEFECTIVE_PLAN, PM_ILLEGAL_STEP, PM_PROTECTED, PM_NOT_DEPLOYED
};

/* Block for what review.c has refused. */
static void
block_refused(GateCase *gate, const Refusal *refusal)
{
	bool		plan = false;

	for (int i = 0; i < lengthof(plan_refusals); i++)
		plan |= refusal->sqlstate == plan_refusals[i];
	gate_block(gate, plan ? "plan" : "params", NULL, GATE_NO_TIME, GATE_NO_TIME,
			   plan ? "promote.plan_instance and a worker" : "whoever configures it", refusal->message);
}

/* The gates "params" and "plan": review.c judges the case, and what it refuses is a reason. */
static void
gate_review(const Sql *sql, GateCase *gate)
{
	ReviewOf	of = {sql, gate};
	Refusal		refusal;

	if (!attempt(review_case, &of, &refusal))
		block_refused(gate, &refusal);
}

/* ---- judging ---- */

/* Does the gate judge such a case at all? */
static bool
concerns(const Gate *each, const GateCase *gate)
{
	return each->decommission || gate_provisions(gate);
}

/* Let one gate judge the case.  Only reasons whose gate is overridable stay so. */
static void
ask(const Sql *sql, const Gate *each, GateCase *gate)
{
	int			count = list_length(gate->blockers);

	CHECK_FOR_INTERRUPTS();
	each->judge(sql, gate);
	for (; count < list_length(gate->blockers); count++)
	{
		Blocker    *blocker = list_nth(gate->blockers, count);

		blocker->overridable &= gate_is_overridable(blocker->code);
	}
}

/* Is the gate one of those that are asked? */
static bool
is_asked(const Gate *each, GatesAsked asked)
{
	switch (asked)
	{
		case GATES_BESIDE_REVIEW:
			return each->judge != gate_review;
		case GATES_OF_TIME:
			return each->kind == GATE_TIME;
		case GATES_EARLY:
			return each->early;
		case GATES_UNSTAGED:
			return each->early || each->judge == gate_request;
		case GATES_FORECAST:
			return each->early || each->judge == gate_approval;
		default:
			return true;
	}
}

/* Judge the case by the gates that are asked, by the active snapshot. */
static void
ask_gates(const Sql *sql, GateCase *gate, GatesAsked asked)
{
	gate->blockers = NIL;
	for (int i = 0; i < lengthof(gates); i++)
		if (gates[i].judge && is_asked(&gates[i], asked) &&
			(concerns(&gates[i], gate) || gates[i].judge == gate_review))
			ask(sql, &gates[i], gate);
}

/* Judge the case by what is committed now, and hold the reasons against what was overridden. */
void
gate_judge(const Sql *sql, GateCase *gate, GatesAsked asked)
{
	sql_push_latest();
	ask_gates(sql, gate, asked);
	override_apply(sql, gate);
	PopActiveSnapshot();
}

/* Judge the case by the gates of time, for another time. */
void
gate_judge_time(const Sql *sql, GateCase *gate, TimestampTz at)
{
	gate->at = at;
	gate_judge(sql, gate, GATES_OF_TIME);
}

/*
 * Judge the case of a promotion that is not staged yet and belongs to no request,
 * by the active snapshot.  Nothing of it can have been overridden.
 */
void
gate_judge_unstaged(const Sql *sql, GateCase *gate)
{
	ask_gates(sql, gate, GATES_UNSTAGED);
}

/* Judge a case that review.c has passed: PM_GATES_CLOSED where a gate is closed.  Its budgets stay locked. */
void
gate_require(const Sql *sql, GateCase *gate)
{
	window_lock_budgets(sql, gate);
	gate_judge(sql, gate, GATES_BESIDE_REVIEW);
	if (gate_is_closed(gate))
		gate_refuse(gate);
}

/* One overridden reason. */
static void
build_overridden(JsonBuilder *builder, const Blocker *blocker)
{
	json_build_begin_object(builder);
	json_build_field(builder, "code", blocker->code);
	json_build_field(builder, "subject", blocker->subject);
	json_build_field(builder, "message", blocker->message);
	json_build_number(builder, "deployment", blocker->override_deployment);
	json_build_number(builder, "override", blocker->override);
	json_build_end_object(builder);
}

/* How a case was judged whose gates are open; this is kept with its deployment. */
Jsonb *
gate_verdict(const Sql *sql, const GateCase *gate)
{
	JsonBuilder builder;
	ListCell   *cell;

	json_begin_object(&builder);
	json_build_field(&builder, "at", audit_time(gate->at));
	json_build_array_field(&builder, "gates");
	for (int i = 0; i < lengthof(gates); i++)
		if (concerns(&gates[i], gate))
			json_build_string(&builder, gates[i].code, strlen(gates[i].code));
	json_build_end_array(&builder);
	json_build_array_field(&builder, "overridden");
	foreach(cell, gate->blockers)
		build_overridden(&builder, lfirst(cell));
	json_build_end_array(&builder);
	json_build_key(&builder, "approvals", strlen("approvals"));
	approvals_counted(sql, gate, &builder);
	return json_builder_finish(&builder);
}

/*
 * Refuse a proposal whose gates are closed, or that the caller has asked for
 * where duties are separated.  Opens a scope of its own, and returns how the
 * proposal was judged, allocated outside of that scope.
 */
Jsonb *
gate_pass(const InstanceKey *key, int32 deployment)
{
	Sql			sql;
	GateCase	gate;
	MemoryContext inner;
	Jsonb	   *verdict;

	sql_enter(&sql);
	gate_open(&sql, key, deployment, GetCurrentTimestamp(), &gate);
	approval_check_own(&sql, &gate);
	gate_require(&sql, &gate);
	verdict = gate_verdict(&sql, &gate);
	/* a copy, as gate_verdict runs statements, and each leaves SPI's memory context current */
	inner = MemoryContextSwitchTo(sql.caller);
	verdict = DatumGetJsonbPCopy(JsonbPGetDatum(verdict));
	MemoryContextSwitchTo(inner);
	sql_leave(&sql);
	return verdict;
}

/* ---- for SQL ---- */

/* Put the reasons that stand. */
static void
put_blockers(FunctionCallInfo fcinfo, const GateCase *gate)
{
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			result_put(fcinfo, AS_TEXT(blocker->code), AS_TEXT(blocker->message), AS_TIME(blocker->since),
					   AS_TIME(blocker->until), AS_TEXT(blocker->liftable_by), AS_BOOL(blocker->overridable));
	}
}

/*
 * promote.blockers(instance text, deployment integer, at timestamptz, action
 * text) returns setof promote.blocking_reason
 */
Datum
promote_blockers(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	GateCase	gate;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	gate_open_asked(fcinfo, &sql, &key, &gate);
	gate_judge(&sql, &gate, GATES_ALL);
	put_blockers(fcinfo, &gate);
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.gates() returns setof record, see sql/gate/gate.sql */
Datum
promote_gates(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(gates); i++)
		result_put(fcinfo, AS_INT(i + 1), AS_TEXT(gates[i].code), AS_TEXT(kind_names[gates[i].kind]),
				   AS_BOOL(gates[i].overridable), AS_BOOL(gates[i].decommission));
	return (Datum) 0;
}
