/*
 * judge.c: judging what must hold before a deployment may run.
 *
 * The gates stand in one table, in the order in which they are looked at; here
 * a case is judged by all of them, or some, and held against what was overridden.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/errors.h"
#include "gate/approval.h"
#include "gate/override.h"
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
	bool		overridable;	/* can it be, where a rule allows it? */
	bool		decommission;	/* does a DECOMMISSION pass through it? */
	bool		early;			/* can it be judged before there is a plan? */
	void		(*judge) (const Sql *sql, GateCase *gate);	/* NULL: with the one before it */
} Gate;

static void gate_review(const Sql *sql, GateCase *gate);

static const Gate gates[] = {
	/* code, kind, overridable, decommission, early, judge; what judges them stands in: */
	/* static.c */
	{"path", GATE_STATIC, false, false, true, gate_path},
	{"component", GATE_STATIC, false, false, true, gate_component},
	/* review.c, which refuses what moved or is invalid: both at once, a DECOMMISSION, too */
	{"params", GATE_STATIC, false, false, false, gate_review},
	/* static.c */
	{"release", GATE_STATIC, false, false, true, gate_release},
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
	{"drift", GATE_STATE, true, false, true, gate_drift},
	{"health", GATE_STATE, true, false, true, gate_health},	/* health.c */
	{"destructive", GATE_STATE, true, false, false, gate_destructive},
	{"unexpected", GATE_STATE, true, false, false, gate_unexpected},
	/* policy.c: what users have written */
	{"policy", GATE_STATE, true, true, false, gate_policies},
	/* approval.c */
	{"approval", GATE_PEOPLE, true, true, false, gate_approval},
	{"rejected", GATE_PEOPLE, false, true, false, NULL},	/* by gate_approval */
	/* state.c */
	{"request", GATE_LOCK, true, true, false, gate_request}
};

/* Can a gate be overridden at all?  Those of policies can. */
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
	const GateCase *gate;
} ReviewOf;

/*
 * Judge what would be reviewed when it is deployed; errors say what is wrong.
 * What is carried out already would not be queued again.  A step of attempt.
 */
static void
review_case(void *state)
{
	const Sql  *sql = ((ReviewOf *) state)->sql;
	const GateCase *gate = ((ReviewOf *) state)->gate;
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
	if (review_is_carried_out(sql, &review, gate->plan))
		return;
	review_judge(sql, &review);
	review_find_plan(sql, &review, gate->deployment, &deployment);
}

/* What review.c refuses because of the plan; all else is because of the params. */
static const int plan_refusals[] = {
	PM_PLAN_MOVED, PM_PLAN_REQUIRED, PM_DEFECTIVE_PLAN, PM_ILLEGAL_STEP, PM_PROTECTED, PM_NOT_DEPLOYED
};

/* What review.c refuses, as a reason. */
static void
block_refused(GateCase *gate, const Refusal *refusal)
{
	bool		plan = false;

	for (int i = 0; i < lengthof(plan_refusals); i++)
		plan |= refusal->sqlstate == plan_refusals[i];
	gate_block(gate, plan ? "plan" : "params", NULL, GATE_NO_TIME, GATE_NO_TIME,
			   plan ? "promote.plan_instance and a worker" : "whoever configures it", refusal->message);
}

/* Let review.c judge the case, and turn what it refuses into a reason. */
static void
gate_review(const Sql *sql, GateCase *gate)
{
	ReviewOf	of = {sql, gate};
	Refusal		refusal;

	if (!attempt(review_case, &of, &refusal))
		block_refused(gate, &refusal);
}

/* ---- judging ---- */

/* Does the gate stand in the case's way at all? */
static bool
concerns(const Gate *each, const GateCase *gate)
{
	return each->decommission || gate_provisions(gate);
}

/* Let one gate judge; what it says is overridable as far as the gate is. */
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

/* Judge the case by the gates that are wanted, by the active snapshot. */
static void
ask_gates(const Sql *sql, GateCase *gate, bool (*wanted) (const Gate *each))
{
	gate->blockers = NIL;
	for (int i = 0; i < lengthof(gates); i++)
		if (gates[i].judge && wanted(&gates[i]) &&
			(concerns(&gates[i], gate) || gates[i].judge == gate_review))
			ask(sql, &gates[i], gate);
}

/* Judge the case by what is committed now, and hold the reasons against what was overridden. */
static void
judge(const Sql *sql, GateCase *gate, bool (*wanted) (const Gate *each))
{
	sql_push_latest();
	ask_gates(sql, gate, wanted);
	override_apply(sql, gate);
	PopActiveSnapshot();
}

/* All of them. */
static bool
is_any(const Gate *each)
{
	return true;
}

/* All but what review.c refuses. */
static bool
is_beside_review(const Gate *each)
{
	return each->judge != gate_review;
}

/* Is the gate one of time? */
static bool
is_of_time(const Gate *each)
{
	return each->kind == GATE_TIME;
}

/* Is it one that needs no plan? */
static bool
is_early(const Gate *each)
{
	return each->early;
}

/* Is it one that can be judged of what is not staged?  A request that will stage it is not held by itself. */
static bool
is_unstaged(const Gate *each)
{
	return each->early || each->judge == gate_request;
}

/* Judge the case by all gates.  Reviewed: what review.c refuses has been seen to already. */
void
gate_judge(const Sql *sql, GateCase *gate, bool reviewed)
{
	judge(sql, gate, reviewed ? is_beside_review : is_any);
}

/* Judge the case by the gates of time, for another time. */
void
gate_judge_time(const Sql *sql, GateCase *gate, TimestampTz at)
{
	gate->at = at;
	judge(sql, gate, is_of_time);
}

/* Judge the case of something that there is no plan of yet, by the gates that need none. */
void
gate_judge_early(const Sql *sql, GateCase *gate)
{
	judge(sql, gate, is_early);
}

/*
 * Judge the case of something that is not even staged, and that no request
 * stages, by the active snapshot.  Nothing of it can have been overridden.
 */
void
gate_judge_unstaged(const Sql *sql, GateCase *gate)
{
	ask_gates(sql, gate, is_unstaged);
}

/* Judge a case that review.c has passed, and refuse it where a gate is closed. */
void
gate_require(const Sql *sql, GateCase *gate)
{
	window_lock_budgets(sql, gate);
	gate_judge(sql, gate, true);
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

/* How an open case was judged, to be kept with its deployment. */
Jsonb *
gate_verdict(const Sql *sql, const GateCase *gate)
{
	JsonBuilder builder;
	ListCell   *cell;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "at", audit_time(gate->at));
	json_build_key(&builder, "gates", strlen("gates"));
	json_build_begin_array(&builder);
	for (int i = 0; i < lengthof(gates); i++)
		if (concerns(&gates[i], gate))
			json_build_string(&builder, gates[i].code, strlen(gates[i].code));
	json_build_end_array(&builder);
	json_build_key(&builder, "overridden", strlen("overridden"));
	json_build_begin_array(&builder);
	foreach(cell, gate->blockers)
		build_overridden(&builder, lfirst(cell));
	json_build_end_array(&builder);
	json_build_key(&builder, "approvals", strlen("approvals"));
	approvals_counted(sql, gate, &builder);
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/*
 * Refuse a proposal that gates are closed for, or that is one's own where
 * duties are separated; returns how it was judged.
 * Has a scope of sql.h of its own, and is allocated outside.
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
	/* a copy: making it runs statements, and SPI goes on in a context of its own after each */
	inner = MemoryContextSwitchTo(sql.caller);
	verdict = DatumGetJsonbPCopy(JsonbPGetDatum(verdict));
	MemoryContextSwitchTo(inner);
	sql_leave(&sql);
	return verdict;
}

/* ---- for SQL ---- */

/* Put the reasons that stand. */
static void
put_blockers(ReturnSetInfo *result, const GateCase *gate)
{
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);
		bool		nulls[6] = {
			[2] = blocker->since == GATE_NO_TIME,
			[3] = blocker->until == GATE_NO_TIME,
			[4] = blocker->liftable_by == NULL
		};
		Datum		values[6] = {
			CStringGetTextDatum(blocker->code),
			CStringGetTextDatum(blocker->message),
			TimestampTzGetDatum(blocker->since),
			TimestampTzGetDatum(blocker->until),
			nulls[4] ? (Datum) 0 : CStringGetTextDatum(blocker->liftable_by),
			BoolGetDatum(blocker->overridable)
		};

		if (!blocker->overridden)
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * promote.blockers(instance text, deployment integer, at timestamptz) returns
 * setof promote.blocking_reason
 */
Datum
promote_blockers(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	int32		deployment = PG_ARGISNULL(1) ? 0 : argument_number(fcinfo, 1, "deployment");
	GateCase	gate;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	gate_open(&sql, &key, deployment, argument_time(fcinfo, 2, "at"), &gate);
	gate_judge(&sql, &gate, false);
	put_blockers((ReturnSetInfo *) fcinfo->resultinfo, &gate);
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.gates() returns setof record, see sql/gate/gate.sql */
Datum
promote_gates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; i < lengthof(gates); i++)
	{
		bool		nulls[5] = {false};
		Datum		values[5] = {
			Int32GetDatum(i + 1),
			CStringGetTextDatum(gates[i].code),
			CStringGetTextDatum(kind_names[gates[i].kind]),
			BoolGetDatum(gates[i].overridable),
			BoolGetDatum(gates[i].decommission)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
