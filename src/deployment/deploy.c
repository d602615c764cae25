/*
 * deploy.c: the steps of deployments that people take.
 *
 * Each verb locks the instance, judges, and writes; the triggers of step.c
 * record.  Each is natural to repeat: what is there already is
 * returned.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "deployment/deploy.h"
#include "deployment/step.h"
#include "deployment/voting.h"
#include "gate/approval.h"
#include "gate/review.h"
#include "promotion/carry.h"
#include "promotion/revision.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/rule.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_plan_instance);
PG_FUNCTION_INFO_V1(promote_deploy_instance);
PG_FUNCTION_INFO_V1(promote_decommission_instance);
PG_FUNCTION_INFO_V1(promote_propose_deployment);
PG_FUNCTION_INFO_V1(promote_approve_deployment);
PG_FUNCTION_INFO_V1(promote_reject_deployment);
PG_FUNCTION_INFO_V1(promote_abort_deployment);

/* What is asked for. */
typedef struct Request
{
	InstanceKey key;
	DeploymentAction action;
	DeploymentStatus status;	/* PENDING, or PROPOSED */
	int32		plan;			/* 0: none is named */
	const char *message;		/* NULL: none */
} Request;

/*
 * Number of a deployment of the same content that is not over; 0: none.  What
 * is proposed is not queued, so that the one does not stand for the other.
 */
static int32
find_open(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order)
{
	static OldStatement read = {
		.text = "SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')"
		" AND (d.status = 'PROPOSED') = $4 AND d.action = $5 AND d.revision = $6 AND d.version = $7"
		" AND d.rendered_digest = $8 AND COALESCE(d.plan, 0) = $9"
		" AND d.remote_references IS NOT DISTINCT FROM $11"
		/* who votes to take something away votes on what is there now */
		" AND (d.status <> 'PROPOSED' OR d.action <> 'DECOMMISSION' OR d.plan_digest = $10)"
		" ORDER BY d.queued_at, d.deployment LIMIT 1",
		.parameters = 11,
		.types = {TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID, INT4OID, BYTEAOID,
		JSONBOID}
	};
	bool		nulls[11] = {[9] = order->plan_digest == NULL,[10] = order->references == NULL};
	Datum		values[11];

	instance_key_values(key, values);
	values[3] = BoolGetDatum(order->status == DEPLOYMENT_PROPOSED);
	values[4] = CStringGetTextDatum(deployment_action_name(order->action));
	values[5] = Int32GetDatum(order->revision);
	values[6] = CStringGetTextDatum(order->version);
	values[7] = PointerGetDatum(order->rendered_digest);
	values[8] = Int32GetDatum(order->plan);
	values[9] = PointerGetDatum(order->plan_digest);
	values[10] = PointerGetDatum(order->references);
	statement_run(sql, &read, values, nulls, false);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* Refuse an order that a gate is closed for, and keep with it how it was judged. */
static void
pass_gates(const Sql *sql, const InstanceKey *key, DeploymentOrder *order)
{
	GateCase	gate;

	if (order->action == ACTION_PLAN || order->status == DEPLOYMENT_PROPOSED)
		return;
	gate_open_order(sql, key, order, &gate);
	gate_require(sql, &gate);
	order->gates = gate_verdict(sql, &gate);
}

/* Write the order, unless it stands already; returns its number. */
static int32
write_order(const Sql *sql, Review *review, DeploymentOrder *order)
{
	ProposedRevision *proposed = &review->proposed;
	Proposal   *proposal = &proposed->proposal;
	int32		number = find_open(sql, &proposed->key, order);

	if (number == 0)
	{
		pass_gates(sql, &proposed->key, order);
		number = proposed->current_deployment + 1;
		if (proposal->rendered && proposal->rendered != proposal->params)
			config_store(sql, proposed->key.project, proposal->rendered);
		deployment_queue(sql, &proposed->key, number, &proposed->head, order);
	}
	return number;
}

/*
 * Let the diff start from what is deployed, whatever was planned last.  The
 * review is judged.
 */
static void
diff_from_deployed(const Sql *sql, Review *review)
{
	ProposedRevision *proposed = &review->proposed;
	Proposal   *proposal = &proposed->proposal;
	Carried		runs;

	proposal->planned = NULL;
	proposed->planned_references = NULL;
	proposed->base_revision = 0;
	proposed->previous_version = NULL;
	if (review->deployed_by > 0 && deployment_carries(sql, &proposed->key, review->deployed_by, false, &runs))
	{
		proposal->planned = runs.params;
		proposal->planned_kept = runs.kept;
		proposed->planned_references = runs.references;
		proposal->other_schemas[1] = strcmp(runs.version, proposal->version) == 0 ? NULL : runs.schema;
		proposed->base_revision = runs.revision;
		proposed->previous_version = runs.version;
	}
	carry_judge(sql, proposed, false);
}

/* The order to plan or provision what is desired. */
static void
fill_order(const Sql *sql, Review *review, const Request *request, DeploymentOrder *order)
{
	ProposedRevision *proposed = &review->proposed;

	diff_from_deployed(sql, review);
	*order = (DeploymentOrder) {
		.action = request->action,
		.status = request->status,
		.revision = proposed->current_revision,
		.base_revision = proposed->base_revision,
		.bundle = proposed->proposal.bundle,
		.version = proposed->proposal.version,
		.previous_version = proposed->previous_version,
		.rendered_digest = review->rendered_digest,
		.references = proposed->references,
		.diff = carry_diff(proposed),
		.kept = compose_kept_anew(&proposed->proposal, proposed->proposal.own_kept),
		.destructive = proposed->proposal.destructive,
		.message = request->message
	};
}

/* Plan what the instance desires. */
static int32
order_plan(const Sql *sql, Review *review, const Request *request)
{
	DeploymentOrder order;

	review_judge(sql, review);
	fill_order(sql, review, request, &order);
	return write_order(sql, review, &order);
}

/* Provision what the instance desires, by the plan that was reviewed. */
static int32
order_provision(const Sql *sql, Review *review, const Request *request)
{
	DeploymentOrder order;
	Deployment	plan;

	/* by its number alone: the change itself has moved what the plan has seen */
	if (review_is_carried_out(sql, review, request->plan != 0 ? request->plan : review_last_plan(sql, review)))
		return review->changed_by;
	review_judge(sql, review);
	review_find_plan(sql, review, request->plan, &plan);
	fill_order(sql, review, request, &order);
	order.plan = plan.deployment;
	order.plan_digest = plan.plan_digest;
	return write_order(sql, review, &order);
}

/* The diff that takes everything away. */
static Jsonb *
diff_to_nothing(const Carried *runs)
{
	Mask	   *mask = mask_create(runs->schema);
	JsonBuilder	builder;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_end_object(&builder);
	mask_add_origin(mask, runs->params, runs->kept);
	return carry_added_to(compose_masked_diff(mask, runs->params, json_builder_finish(&builder)),
						  carry_differences(runs->references, NULL));
}

/* Decommission what the instance runs; by whatever changed it last. */
static int32
order_decommission(const Sql *sql, Review *review, const Request *request)
{
	DeploymentOrder order;
	Carried		runs;

	if (strcmp(review->status, "DECOMMISSIONED") == 0)
		return review->changed_by;
	review_decommission(review);
	if (!deployment_carries(sql, &review->proposed.key, review->changed_by, false, &runs))
		elog(ERROR, "deployment %d is not there", review->changed_by);
	order = (DeploymentOrder) {
		.action = request->action,
		.status = request->status,
		.revision = runs.revision,
		.base_revision = runs.revision,
		.bundle = runs.bundle,
		.version = runs.version,
		.previous_version = runs.version,
		.rendered_digest = runs.rendered_digest,
		.references = runs.references,
		.diff = diff_to_nothing(&runs),
		.destructive = true,
		.plan_digest = decommission_digest(runs.rendered_digest, review->changed_by),
		.message = request->message
	};
	return write_order(sql, review, &order);
}

/*
 * Queue what an instance desires: a PLAN, or a PROVISION by that plan (0: the
 * last one); returns its number, also where it was queued before.
 */
int32
deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan, const char *message)
{
	Request		request = {*key, action, DEPLOYMENT_PENDING, plan, message};
	Review		review;

	if (action == ACTION_PLAN)
		instance_lock(sql, key, true);
	else
		rule_hold_case(sql, key);
	review_open(sql, key, &review);
	return action == ACTION_PLAN ? order_plan(sql, &review, &request) :
		order_provision(sql, &review, &request);
}

/*
 * Queue or propose what is asked for; expected is the argument that names the
 * revision to be expected, -1 where there is none.
 */
static Datum
place_order(FunctionCallInfo fcinfo, const Request *request, int expected)
{
	Sql			sql;
	Review		review;
	int32		number;

	sql_enter(&sql);
	if (request->action == ACTION_PLAN)
		instance_lock(&sql, &request->key, true);
	else
		rule_hold_case(&sql, &request->key);
	review_open(&sql, &request->key, &review);
	if (expected >= 0)
		stage_check_revision(fcinfo, expected, &review.proposed);
	if (request->action == ACTION_PLAN)
		number = order_plan(&sql, &review, request);
	else if (request->action == ACTION_PROVISION)
		number = order_provision(&sql, &review, request);
	else
		number = order_decommission(&sql, &review, request);
	return deployment_result(&sql, deployment_row(&sql, &request->key, number));
}

/*
 * promote.plan_instance(instance text, message text, expected_revision
 * integer) returns promote.deployment
 */
Datum
promote_plan_instance(PG_FUNCTION_ARGS)
{
	Request		request = {.action = ACTION_PLAN,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 1)};

	argument_instance_for(fcinfo, 0, "instance", "plan", &request.key);
	return place_order(fcinfo, &request, 2);
}

/*
 * promote.deploy_instance(instance text, plan integer, message text,
 * expected_revision integer) returns promote.deployment
 */
Datum
promote_deploy_instance(PG_FUNCTION_ARGS)
{
	Request		request = {.action = ACTION_PROVISION,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 2)};

	argument_instance_for(fcinfo, 0, "instance", "deploy", &request.key);
	request.plan = PG_ARGISNULL(1) ? 0 : argument_number(fcinfo, 1, "deployment");
	return place_order(fcinfo, &request, 3);
}

/* promote.decommission_instance(instance text, message text) returns promote.deployment */
Datum
promote_decommission_instance(PG_FUNCTION_ARGS)
{
	Request		request = {.action = ACTION_DECOMMISSION,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 1)};

	argument_instance_for(fcinfo, 0, "instance", "decommission", &request.key);
	return place_order(fcinfo, &request, -1);
}

/* The grant that it takes to propose something: the same as to do it. */
static const char *
proposing(DeploymentAction action)
{
	return action == ACTION_PLAN ? "plan" :
		action == ACTION_DECOMMISSION ? "decommission" : "deploy";
}

/*
 * promote.propose_deployment(instance text, action text, plan integer,
 * message text, expected_revision integer) returns promote.deployment
 */
Datum
promote_propose_deployment(PG_FUNCTION_ARGS)
{
	Request		request = {.status = DEPLOYMENT_PROPOSED,.message = argument_text(fcinfo, 3)};

	request.action = argument_action(PG_ARGISNULL(1) ? "PROVISION" : argument_text(fcinfo, 1));
	argument_instance_for(fcinfo, 0, "instance", proposing(request.action), &request.key);
	request.plan = PG_ARGISNULL(2) ? 0 : argument_number(fcinfo, 2, "deployment");
	if (request.plan != 0 && request.action != ACTION_PROVISION)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("a %s follows no plan", deployment_action_name(request.action)),
				 errdetail("Only a PROVISION does."),
				 errhint("Leave the plan out.")));
	return place_order(fcinfo, &request, 4);
}

/*
 * Approve or reject: a completed PLAN is voted on and stays what it is, a
 * proposal goes on as far as its gates let it.
 */
static Datum
decide(FunctionCallInfo fcinfo, bool approved)
{
	DeploymentStatus to = approved ? DEPLOYMENT_APPROVED : DEPLOYMENT_REJECTED;
	char	   *reason = argument_text(fcinfo, 2);
	int32		number;
	Sql			sql;
	InstanceKey key;
	Deployment	deployment;

	argument_instance_for(fcinfo, 0, "instance", "approve", &key);
	number = argument_number(fcinfo, 1, "deployment");
	sql_enter(&sql);
	if (approved)
		rule_hold_case(&sql, &key);
	else
		instance_rescue(&sql, &key);
	deployment_load(&sql, &key, number, &deployment);
	if (approval_votes_on(&deployment))
		approval_vote_plan(&sql, &deployment, approved, reason);
	else if (deployment.status != to)
	{
		if (deployment.status != DEPLOYMENT_PROPOSED)
			refuse_step(instance_key_name(&key), number, deployment_status_name(deployment.status),
						deployment_status_name(to));
		if (!approved || !approval_vote_proposal(&sql, &deployment, reason))
			return deployment_result(&sql, deployment_step(&sql, &deployment, to, reason));
	}
	return deployment_result(&sql, deployment_row(&sql, &key, number));
}

/*
 * promote.approve_deployment(instance text, deployment integer, message text)
 * returns promote.deployment
 */
Datum
promote_approve_deployment(PG_FUNCTION_ARGS)
{
	return decide(fcinfo, true);
}

/*
 * promote.reject_deployment(instance text, deployment integer, reason text)
 * returns promote.deployment
 */
Datum
promote_reject_deployment(PG_FUNCTION_ARGS)
{
	(void) argument_required(fcinfo, 2, "reason");
	return decide(fcinfo, false);
}

/*
 * promote.abort_deployment(instance text, deployment integer, reason text)
 * returns promote.deployment
 */
Datum
promote_abort_deployment(PG_FUNCTION_ARGS)
{
	char	   *reason = argument_text(fcinfo, 2);
	int32		number;
	Sql			sql;
	InstanceKey key;
	Deployment	deployment;

	argument_instance_for(fcinfo, 0, "instance", "deploy", &key);
	number = argument_number(fcinfo, 1, "deployment");
	sql_enter(&sql);
	instance_rescue(&sql, &key);
	/* a worker's heartbeats and logs lock it alone */
	(void) deployment_rescue(&sql, &key, number);
	deployment_load(&sql, &key, number, &deployment);
	if (deployment.status == DEPLOYMENT_ABORTED)
		return deployment_result(&sql, deployment_row(&sql, &key, number));
	return deployment_result(&sql, deployment_step(&sql, &deployment, DEPLOYMENT_ABORTED, reason));
}
