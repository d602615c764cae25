/*
 * gate.c: what must hold before a deployment may run.
 *
 * The gates stand in one table, in the order in which they are looked at.
 * Each is a function of its area that adds its reasons to the case; here the
 * case is read, judged, and held against what was overridden.
 */
#include "postgres.h"

#include "approval.h"
#include "errors.h"
#include "gate.h"
#include "gate_state.h"
#include "health.h"
#include "json/builder.h"
#include "json/digest.h"
#include "override.h"
#include "policy.h"
#include "promotion_path.h"
#include "release.h"
#include "request_gate.h"
#include "review.h"
#include "stage.h"
#include "window.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_blockers);
PG_FUNCTION_INFO_V1(promote_gates);

static void gate_component(GateCase *gate);

/* A gate: what it is called, and what judges it. */
typedef struct Gate
{
	const char *code;
	GateKind	kind;
	bool		overridable;	/* can it be, where a rule allows it? */
	bool		decommission;	/* does a DECOMMISSION pass through it? */
	void		(*judge) (GateCase *gate);	/* NULL: judged by what review.c says */
} Gate;

static const Gate gates[] = {
	{"path", GATE_STATIC, false, false, gate_path},
	{"component", GATE_STATIC, false, false, gate_component},
	{"params", GATE_STATIC, false, false, NULL},
	{"release", GATE_STATIC, false, false, gate_release},
	{"plan", GATE_STATIC, false, true, NULL},
	{"stopped", GATE_TIME, false, true, gate_stopped},
	{"freeze", GATE_TIME, true, true, gate_freeze},
	{"window", GATE_TIME, true, true, gate_window},
	{"soak", GATE_TIME, true, false, gate_soak},
	{"budget", GATE_TIME, true, true, gate_budget},
	{"source_in_sync", GATE_STATE, true, false, gate_source_in_sync},
	{"drift", GATE_STATE, true, false, gate_drift},
	{"health", GATE_STATE, true, false, gate_health},
	{"destructive", GATE_STATE, true, false, gate_destructive},
	{"unexpected", GATE_STATE, true, false, gate_unexpected},
	{"policy", GATE_STATE, true, true, gate_policies},
	{"approval", GATE_PEOPLE, true, true, gate_approval},
	{"rejected", GATE_PEOPLE, false, true, NULL},	/* with approval */
	{"request", GATE_LOCK, true, true, gate_request}
};

static const char *const kind_names[] = {"static", "time", "state", "people", "lock"};

/* ---- reasons ---- */

/* Can a gate be overridden at all?  Those of policies can. */
bool
gate_is_overridable(const char *code)
{
	for (int i = 0; i < lengthof(gates); i++)
		if (strcmp(gates[i].code, code) == 0)
			return gates[i].overridable;
	return true;
}

/* Add a reason why the case may not run; the strings are copied. */
void
gate_block(GateCase *gate, const char *code, bool overridable, TimestampTz since,
		   TimestampTz until, const char *liftable_by, const char *message)
{
	Blocker    *blocker = palloc0(sizeof(Blocker));

	blocker->code = pstrdup(code);
	blocker->subject = "";
	blocker->message = pstrdup(message);
	blocker->since = since;
	blocker->until = until;
	blocker->liftable_by = liftable_by ? pstrdup(liftable_by) : NULL;
	blocker->overridable = overridable;
	gate->blockers = lappend(gate->blockers, blocker);
}

/*
 * Say what the last reason is about, in words that do not move with time: an
 * override holds for the subjects that it was given for.
 */
void
gate_about(GateCase *gate, const char *subject)
{
	((Blocker *) llast(gate->blockers))->subject = pstrdup(subject);
}

/* ---- the case ---- */

/* What would run if deploy_instance were called without naming a plan. */
static void
target_desired(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT i.revision, c.bundle::pg_catalog.text, rel.version, p.deployment, p.plan_digest"
		" FROM promote.instance AS i"
		" JOIN promote.component AS c ON c.project = i.project AND c.component = i.component"
		" LEFT JOIN LATERAL promote.resolve_release(c.bundle, i.version_constraint, i.release_channel) AS rel ON true"
		" LEFT JOIN LATERAL (SELECT d.deployment, d.plan_digest FROM promote.deployment AS d"
		"  WHERE " SAME_INSTANCE("d", "i") " AND d.action = 'PLAN' AND d.revision = i.revision"
		"  AND d.status = 'COMPLETED' ORDER BY d.deployment DESC LIMIT 1) AS p ON true"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(&gate->key, values);
	statement_run(&read, values, NULL, true);
	if (SPI_processed == 0)
		require_instance(&gate->key);
	gate->action = "PROVISION";
	gate->revision = spi_integer(SPI_tuptable, 0, 1);
	gate->bundle = spi_text(SPI_tuptable, 0, 2);
	gate->version = spi_text(SPI_tuptable, 0, 3);
	gate->plan = spi_integer(SPI_tuptable, 0, 4);
	gate->plan_digest = spi_bytea(SPI_tuptable, 0, 5);
	if (gate->revision == 0)
		refuse_unconfigured(&gate->key, "Give it its first revision by promote.configure_instance.");
}

/* What would run by a deployment that there is. */
static void
target_deployment(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT d.action, d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text, d.plan,"
		" d.plan_digest, d.actor FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	bool		is_plan;

	deployment_values(&gate->key, gate->deployment, values);
	statement_run(&read, values, NULL, true);
	if (SPI_processed == 0)
		refuse_unknown_deployment(&gate->key, gate->deployment);
	gate->action = spi_text(SPI_tuptable, 0, 1);
	is_plan = strcmp(gate->action, "PLAN") == 0;
	gate->revision = spi_integer(SPI_tuptable, 0, 2);
	gate->bundle = spi_text(SPI_tuptable, 0, 3);
	gate->version = spi_text(SPI_tuptable, 0, 4);
	gate->plan = is_plan ? gate->deployment : spi_integer(SPI_tuptable, 0, 5);
	gate->plan_digest = spi_bytea(SPI_tuptable, 0, 6);
	if (is_plan)
		gate->action = "PROVISION";
	else
		gate->requesters[2] = spi_text(SPI_tuptable, 0, 7);
}

/* Read all else that the case is judged by. */
static void
read_facts(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT r.origin, r.digest, NULLIF(r.source_environment, r.environment)::pg_catalog.text,"
		" r.source_revision, s.digest, r.actor, d.actor, r.created_at,"
		" p.attributes || e.attributes || c.attributes || i.attributes, e.source_policy = 'path',"
		" e.require_source_in_sync, e.require_no_drift, e.require_expected, e.separation_of_duty, e.required_soak"
		" FROM promote.instance AS i"
		" JOIN promote.project AS p ON p.project = i.project"
		" JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment"
		" JOIN promote.component AS c ON c.project = i.project AND c.component = i.component"
		" LEFT JOIN LATERAL (SELECT r.* FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "i")
		"  AND r.revision = $4 LIMIT 1) AS r ON true"
		" LEFT JOIN LATERAL (SELECT s.digest FROM promote.revision AS s WHERE s.project = i.project"
		"  AND s.environment = r.source_environment AND s.component = i.component"
		"  AND s.revision = r.source_revision LIMIT 1) AS s ON true"
		" LEFT JOIN LATERAL (SELECT d.actor FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "i")
		"  AND d.deployment = $5 LIMIT 1) AS d ON true"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID}
	};
	Datum		values[5];
	bool		isnull;

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->revision);
	values[4] = Int32GetDatum(gate->plan);
	statement_run(&read, values, NULL, true);
	if (SPI_processed == 0)
		require_instance(&gate->key);
	gate->instance = instance_key_name(&gate->key);
	gate->origin = spi_text(SPI_tuptable, 0, 1);
	gate->digest = spi_bytea(SPI_tuptable, 0, 2);
	/* what is taken away comes from nowhere */
	if (strcmp(gate->action, "PROVISION") == 0)
		gate->source_environment = spi_text(SPI_tuptable, 0, 3);
	if (gate->source_environment)
	{
		gate->source_revision = spi_integer(SPI_tuptable, 0, 4);
		gate->source_digest = spi_bytea(SPI_tuptable, 0, 5);
	}
	gate->requesters[0] = strcmp(gate->action, "PROVISION") == 0 ? spi_text(SPI_tuptable, 0, 6) : NULL;
	gate->requesters[1] = spi_text(SPI_tuptable, 0, 7);
	gate->revised_at = DatumGetTimestampTz(spi_value(SPI_tuptable, 0, 8, &isnull));
	gate->attributes = spi_jsonb(SPI_tuptable, 0, 9);
	gate->path_only = spi_bool(SPI_tuptable, 0, 10);
	gate->require_source_in_sync = spi_bool(SPI_tuptable, 0, 11);
	gate->require_no_drift = spi_bool(SPI_tuptable, 0, 12);
	gate->require_expected = spi_bool(SPI_tuptable, 0, 13);
	gate->separation_of_duty = spi_bool(SPI_tuptable, 0, 14);
	gate->required_soak = DatumGetIntervalP(spi_value(SPI_tuptable, 0, 15, &isnull));
}

/*
 * Read the case of a deployment, or (0) of what would be deployed if nothing
 * is named; to be judged for a time.  Runs inside a scope of spi.h.  Raises
 * PM_NOT_FOUND and PM_NOT_CONFIGURED.
 */
void
gate_open(const InstanceKey *key, int32 deployment, TimestampTz at, GateCase *gate)
{
	*gate = (GateCase) {.key = *key,.deployment = deployment,.at = at,.now = GetCurrentTimestamp()};
	spi_push_latest();
	if (deployment == 0)
		target_desired(gate);
	else
		target_deployment(gate);
	read_facts(gate);
	PopActiveSnapshot();
}

/* Read the case of an order that is to be queued now. */
void
gate_open_order(const InstanceKey *key, const DeploymentOrder *order, GateCase *gate)
{
	TimestampTz now = GetCurrentTimestamp();

	*gate = (GateCase) {
		.key = *key,
		.action = order->action,
		.plan = order->plan,
		.plan_digest = order->plan_digest,
		.revision = order->revision,
		.bundle = order->bundle,
		.version = order->version,
		.at = now,
		.now = now
	};
	spi_push_latest();
	read_facts(gate);
	PopActiveSnapshot();
}

/* ---- gates of its own ---- */

/* The release is one of the component's bundle. */
static void
gate_component(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT c.bundle::pg_catalog.text FROM promote.component AS c"
		" WHERE c.project = $1 AND c.component = $3 AND c.bundle <> $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[4];

	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->bundle);
	statement_run(&read, values, NULL, true);
	if (SPI_processed > 0)
		gate_block(gate, "component", false, GATE_NO_TIME, GATE_NO_TIME, "whoever promotes to it again",
				   psprintf("component \"%s\" is of bundle \"%s\" by now; what would be deployed is of \"%s\"",
							gate->key.component, spi_text(SPI_tuptable, 0, 1), gate->bundle));
}

/*
 * Judge what would be reviewed when it is deployed; errors say what is wrong.
 * What is carried out already would not be queued again.
 */
static void
review_case(const GateCase *gate)
{
	Review		review;
	Deployment	deployment;

	if (gate->deployment > 0)
	{
		deployment_load(&gate->key, gate->deployment, &deployment);
		if (strcmp(deployment.action, "PLAN") != 0)
		{
			review_deployment(&deployment);
			return;
		}
	}
	review_open(&gate->key, &review);
	review.asking = true;
	if (review_is_carried_out(&review, gate->plan))
		return;
	review_judge(&review);
	review_find_plan(&review, gate->deployment, &deployment);
}

/* An error's message and DETAIL as one reason. */
static char *
error_text(const ErrorData *error)
{
	return error->detail ? psprintf("%s: %s", error->message, error->detail) : pstrdup(error->message);
}

/* What review.c refuses, as a reason: of the plan, or of the params. */
static void
block_refused(GateCase *gate, const ErrorData *error)
{
	bool		plan = error->sqlerrcode == PM_PLAN_MOVED || error->sqlerrcode == PM_PLAN_REQUIRED ||
		error->sqlerrcode == PM_DEFECTIVE_PLAN || error->sqlerrcode == PM_ILLEGAL_STEP ||
		error->sqlerrcode == PM_PROTECTED || error->sqlerrcode == PM_NOT_DEPLOYED;

	gate_block(gate, plan ? "plan" : "params", false, GATE_NO_TIME, GATE_NO_TIME,
			   plan ? "promote.plan_instance and a worker" : "whoever configures it", error_text(error));
}

/* Is it an error of ours? */
static bool
is_refusal(int sqlstate)
{
	return (sqlstate & 0xfff) == (PM_INVALID_NAME & 0xfff);
}

/* Let review.c judge the case in a subtransaction, and turn what it refuses into reasons. */
static void
gate_review(GateCase *gate)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		review_case(gate);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error && !is_refusal(error->sqlerrcode))
		ReThrowError(error);
	if (error)
		block_refused(gate, error);
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
judge(const Gate *each, GateCase *gate)
{
	if (each->judge == NULL || !concerns(each, gate))
		return;
	CHECK_FOR_INTERRUPTS();
	gate->code = each->code;
	each->judge(gate);
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
 * Runs inside a scope of spi.h.
 */
void
gate_judge(GateCase *gate, bool reviewed)
{
	gate->blockers = NIL;
	spi_push_latest();
	for (int i = 0; i < lengthof(gates); i++)
	{
		if (is_review(&gates[i]) && !reviewed)
			gate_review(gate);
		judge(&gates[i], gate);
	}
	override_apply(gate);
	PopActiveSnapshot();
}

/* Judge the case by the gates of time alone, for another time. */
void
gate_judge_time(GateCase *gate, TimestampTz at)
{
	gate->at = at;
	gate->blockers = NIL;
	spi_push_latest();
	for (int i = 0; i < lengthof(gates); i++)
		if (gates[i].kind == GATE_TIME)
			judge(&gates[i], gate);
	override_apply(gate);
	PopActiveSnapshot();
}

/* Does any reason stand that was not overridden? */
bool
gate_is_closed(const GateCase *gate)
{
	ListCell   *cell;

	foreach(cell, gate->blockers)
		if (!((Blocker *) lfirst(cell))->overridden)
			return true;
	return false;
}

/* The reasons that stand, for people, a line each. */
char *
gate_reasons(const GateCase *gate)
{
	StringInfoData lines;
	ListCell   *cell;

	initStringInfo(&lines);
	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (blocker->overridden)
			continue;
		appendStringInfo(&lines, "%s%s: %s", lines.len > 0 ? "\n" : "", blocker->code, blocker->message);
		if (blocker->until != GATE_NO_TIME)
			appendStringInfo(&lines, " (until %s)", timestamptz_to_str(blocker->until));
		if (blocker->liftable_by)
			appendStringInfo(&lines, " (%s)", blocker->liftable_by);
	}
	return lines.data;
}

/* Refuse what is not to run: PM_GATES_CLOSED with every reason.  The case is judged. */
void
gate_refuse(const GateCase *gate)
{
	ereport(ERROR,
			(errcode(PM_GATES_CLOSED),
			 errmsg("\"%s\" may not be %s now", gate->instance,
					strcmp(gate->action, "PROVISION") == 0 ? "deployed" : "decommissioned"),
			 errdetail_internal("%s", gate_reasons(gate)),
			 errhint("promote.blockers shows the same, promote.next_possible when time alone has opened the gates; promote.override_gate overrides what may be.")));
}

/* Judge a case that review.c has passed, and refuse it where a gate is closed. */
void
gate_require(GateCase *gate)
{
	window_lock_budgets(gate);
	gate_judge(gate, true);
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
gate_verdict(const GateCase *gate)
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
	approvals_counted(gate, &builder);
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/*
 * Refuse a proposal that gates are closed for, or that is one's own where
 * duties are separated; returns how it was judged.
 * Has a scope of spi.h of its own, and is allocated outside.
 */
Jsonb *
gate_pass(const InstanceKey *key, int32 deployment)
{
	SpiScope	scope;
	GateCase	gate;
	MemoryContext inner;
	Jsonb	   *verdict;

	spi_enter(&scope);
	gate_open(key, deployment, GetCurrentTimestamp(), &gate);
	approval_check_own(&gate);
	gate_require(&gate);
	verdict = gate_verdict(&gate);
	/* a copy: making it runs statements, and SPI goes on in a context of its own after each */
	inner = MemoryContextSwitchTo(scope.caller);
	verdict = DatumGetJsonbPCopy(JsonbPGetDatum(verdict));
	MemoryContextSwitchTo(inner);
	spi_leave(&scope);
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
 * setof promote.blocker
 */
Datum
promote_blockers(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	int32		deployment = PG_ARGISNULL(1) ? 0 : argument_number(fcinfo, 1, "deployment");
	GateCase	gate;
	SpiScope	scope;

	argument_instance(fcinfo, 0, "instance", &key);
	InitMaterializedSRF(fcinfo, 0);
	spi_enter(&scope);
	gate_open(&key, deployment, argument_time(fcinfo, 2, "at"), &gate);
	gate_judge(&gate, false);
	put_blockers((ReturnSetInfo *) fcinfo->resultinfo, &gate);
	spi_leave(&scope);
	return (Datum) 0;
}

/* promote.gates() returns setof record, see sql/gate.sql */
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
