/*
 * judge.c: judging what must hold before a deployment may run.
 *
 * The gates stand in one table, in the order in which they are looked at; here
 * a case is judged by all of them and held against what was overridden.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/errors.h"
#include "gate/approval.h"
#include "gate/health.h"
#include "gate/override.h"
#include "gate/policy.h"
#include "gate/request.h"
#include "gate/review.h"
#include "gate/state.h"
#include "gate/static.h"
#include "gate/window.h"
#include "registry/instance.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_blockers);
PG_FUNCTION_INFO_V1(promote_gates);

/* A gate: what it is called, and what judges it. */
typedef struct Gate
{
	const char *code;
	GateKind	kind;
	bool		overridable;	/* can it be, where a rule allows it? */
	bool		decommission;	/* does a DECOMMISSION pass through it? */
	bool		early;			/* can it be judged before there is a plan? */
	void		(*judge) (const Sql *sql, GateCase *gate);	/* NULL: judged by what review.c says */
} Gate;

static const Gate gates[] = {
	{"path", GATE_STATIC, false, false, true, gate_path},
	{"component", GATE_STATIC, false, false, true, gate_component},
	{"params", GATE_STATIC, false, false, false, NULL},
	{"release", GATE_STATIC, false, false, true, gate_release},
	{"secrets", GATE_STATIC, false, false, true, gate_secrets},
	{"references", GATE_STATIC, false, false, true, gate_references},
	{"plan", GATE_STATIC, false, true, false, NULL},
	{"stopped", GATE_TIME, false, true, true, gate_stopped},
	{"freeze", GATE_TIME, true, true, true, gate_freeze},
	{"window", GATE_TIME, true, true, true, gate_window},
	{"soak", GATE_TIME, true, false, true, gate_soak},
	{"budget", GATE_TIME, true, true, true, gate_budget},
	{"source_in_sync", GATE_STATE, true, false, true, gate_source_in_sync},
	{"drift", GATE_STATE, true, false, true, gate_drift},
	{"health", GATE_STATE, true, false, true, gate_health},
	{"destructive", GATE_STATE, true, false, false, gate_destructive},
	{"unexpected", GATE_STATE, true, false, false, gate_unexpected},
	{"policy", GATE_STATE, true, true, false, gate_policies},
	{"approval", GATE_PEOPLE, true, true, false, gate_approval},
	{"rejected", GATE_PEOPLE, false, true, false, NULL},	/* with approval */
	{"request", GATE_LOCK, true, true, false, gate_request}
};

static const char *const kind_names[] = {"static", "time", "state", "people", "lock"};

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

/* What review.c refuses, as a reason: of the plan, or of the params. */
static void
block_refused(GateCase *gate, const Refusal *refusal)
{
	bool		plan = refusal->sqlstate == PM_PLAN_MOVED || refusal->sqlstate == PM_PLAN_REQUIRED ||
		refusal->sqlstate == PM_DEFECTIVE_PLAN || refusal->sqlstate == PM_ILLEGAL_STEP ||
		refusal->sqlstate == PM_PROTECTED || refusal->sqlstate == PM_NOT_DEPLOYED;

	gate_block(gate, plan ? "plan" : "params", false, GATE_NO_TIME, GATE_NO_TIME,
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

/* Do the gates of a kind stand in the case's way at all? */
static bool
concerns(const Gate *each, const GateCase *gate)
{
	return each->decommission || strcmp(gate->action, "PROVISION") == 0;
}

/* Let one gate judge. */
static void
judge(const Sql *sql, const Gate *each, GateCase *gate)
{
	if (each->judge == NULL || !concerns(each, gate))
		return;
	CHECK_FOR_INTERRUPTS();
	each->judge(sql, gate);
}

/* The place of params and plan among the gates is one: they are judged together. */
static bool
is_review(const Gate *each)
{
	return strcmp(each->code, "params") == 0;
}

/*
 * Judge the case by all gates, and hold the reasons against what was
 * overridden.  Reviewed: what review.c refuses has been seen to already.
 */
void
gate_judge(const Sql *sql, GateCase *gate, bool reviewed)
{
	gate->blockers = NIL;
	sql_push_latest();
	for (int i = 0; i < lengthof(gates); i++)
	{
		if (is_review(&gates[i]) && !reviewed)
			gate_review(sql, gate);
		judge(sql, &gates[i], gate);
	}
	override_apply(sql, gate);
	PopActiveSnapshot();
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

/* Judge the case by some of the gates alone. */
static void
judge_some(const Sql *sql, GateCase *gate, bool (*wanted) (const Gate *each))
{
	gate->blockers = NIL;
	sql_push_latest();
	for (int i = 0; i < lengthof(gates); i++)
		if (wanted(&gates[i]))
			judge(sql, &gates[i], gate);
	override_apply(sql, gate);
	PopActiveSnapshot();
}

/* Judge the case by the gates of time, for another time. */
void
gate_judge_time(const Sql *sql, GateCase *gate, TimestampTz at)
{
	gate->at = at;
	judge_some(sql, gate, is_of_time);
}

/* Judge the case of something that there is no plan of yet, by the gates that need none. */
void
gate_judge_early(const Sql *sql, GateCase *gate)
{
	judge_some(sql, gate, is_early);
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
