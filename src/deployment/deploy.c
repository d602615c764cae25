/*
 * deploy.c: the steps of deployments that people take.
 *
 * Each verb locks the instance, judges, and writes; the triggers of step.c
 * record.  Each can be repeated: what exists already is returned.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "compose/entry.h"
#include "deployment/deploy.h"
#include "deployment/step.h"
#include "gate/approval.h"
#include "gate/review.h"
#include "grant/access.h"
#include "grant/role.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/carry.h"
#include "promotion/diff.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_plan_instance);
PG_FUNCTION_INFO_V1(promote_deploy_instance);
PG_FUNCTION_INFO_V1(promote_plan_and_deploy);
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
	const char *deploy_as;		/* of a PLAN that is to be deployed: by whose grants; NULL: it is not */
} Request;

/*
 * Number of a deployment with the content of an order that is not over, see
 * promote_internal.open_deployment; 0: none.
 */
static int32
find_open(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order)
{
	static Statement read = {"SELECT d.deployment"
		" FROM promote_internal.open_deployment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS d"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_BOOL(order->status == DEPLOYMENT_PROPOSED),
							   AS_TEXT(deployment_actions[order->action]), AS_INT(order->revision),
							   AS_TEXT(order->version), AS_BYTEA(order->rendered_digest), AS_NUMBER(order->plan),
							   AS_JSONB(order->references), AS_BYTEA(order->plan_digest),
							   AS_BOOL(order->deploy_as != NULL));

	return rows.count > 0 ? sql_int(&rows, 0) : 0;
}

/* Refuse an order whose gates are closed, and keep with the order how it was judged. */
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

/*
 * Note in the row of a PLAN that is to be deployed that the caller wants that, too: whoever
 * has asked is no independent judge of what is deployed then.
 */
static void
join_plan(const Sql *sql, const InstanceKey *key, int32 plan)
{
	static Statement write = {"UPDATE promote.deployment AS d"
		" SET joined_by = COALESCE(d.joined_by, '[]') || w.who"
		" FROM (SELECT pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('actor', $5, 'database_role', $6))"
		"  OFFSET 0) AS w (who)"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 AND (d.actor, d.database_role) <> ($5, $6)"
		" AND NOT COALESCE(d.joined_by @> w.who, false)"};
	Person		who = current_person();

	(void) guarded_run(sql, &write, AS_KEY(key), AS_INT(plan), AS_TEXT(who.actor), AS_TEXT(who.database_role));
}

/* Write the order, unless a deployment of that content exists; returns the number of either. */
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
	else if (order->deploy_as)
		join_plan(sql, &proposed->key, number);
	return number;
}

/* Fill in the order to plan or provision what is desired. */
static void
fill_order(const Sql *sql, Review *review, const Request *request, DeploymentOrder *order)
{
	ProposedRevision *proposed = &review->proposed;

	carry_judge(sql, proposed, false);
	*order = (DeploymentOrder) {
		.action = request->action,
		.status = request->status,
		.revision = proposed->current_revision,
		.base = proposed->proposal.runs,
		.bundle = proposed->proposal.bundle,
		.version = proposed->proposal.version,
		.rendered_digest = review->rendered_digest,
		.references = proposed->references,
		.diff = proposal_diff(sql, proposed, false),
		.kept = compose_kept_anew(&proposed->proposal, proposed->proposal.own_kept),
		.destructive = proposed->proposal.destructive,
		.reverts = proposed->reverts,
		.deploy_as = request->deploy_as,
		.message = request->message
	};
}

/* Plan what the instance desires, or provision it by the plan that was reviewed. */
static int32
order_desired(const Sql *sql, Review *review, const Request *request)
{
	bool		provision = request->action == ACTION_PROVISION;
	DeploymentOrder order;
	Deployment	plan = {.deployment = 0};

	if (provision && review_is_carried_out(sql, review, request->plan))
		return review->changed_by;
	review_judge(sql, review);
	if (provision)
		review_find_plan(sql, review, request->plan, &plan);
	fill_order(sql, review, request, &order);
	order.plan = plan.deployment;
	order.plan_digest = plan.plan_digest;
	return write_order(sql, review, &order);
}

/* Refuse to deploy a plan that was to be deployed as it is where it brings back what was decommissioned. */
static void
refuse_reviving(const Review *review, int32 plan)
{
	if (review->proposed.decommissioned)
		ereport(ERROR,
				(errcode(PM_DECOMMISSIONED),
				 errmsg("plan %d of \"%s\" is not deployed by itself", plan, review->proposed.proposal.instance),
				 errdetail("The instance was decommissioned, so that everything is added: the plan has to be looked at, and deployed by promote.deploy_instance."),
				 errhint("promote.plan_text shows the plan.")));
}

/*
 * Number of the plan that a call before has planned and deployed, or may deploy now; 0:
 * there is none.  Deploys it where that was kept off then and the gates are open now.
 */
static int32
deployed_plan(const Sql *sql, Review *review, const Request *request)
{
	const InstanceKey *key = &request->key;
	Request		provision = {.key = *key,.action = ACTION_PROVISION,.status = DEPLOYMENT_PENDING,
	.message = request->message};
	Deployment	found;

	if (review_is_carried_out(sql, review, 0))
	{
		deployment_load(sql, key, review->changed_by, &found);
		return found.plan;
	}
	review_judge(sql, review);
	provision.plan = revision_last_plan(sql, key, review->proposed.current_revision, true);
	if (provision.plan == 0)
		return 0;
	deployment_load(sql, key, provision.plan, &found);
	if (found.deploy_as == NULL || !review_plan_holds(sql, review, &found))
		return 0;
	refuse_reviving(review, provision.plan);
	(void) order_desired(sql, review, &provision);
	return provision.plan;
}

/* The diff that takes everything away. */
static Jsonb *
diff_to_nothing(const Carried *runs)
{
	Mask	   *mask = mask_create(runs->schema);
	Entries		entries = {NULL};

	mask_add_origin(mask, runs->params, runs->kept);
	entries_add_release(&entries, runs, NULL);
	entries_add_leaves(&entries, mask, runs, NULL);
	entries_add_references(&entries, runs->references, NULL, NIL);
	return entries_document(&entries);
}

/* Decommission what the last change of the instance has left there. */
static int32
order_decommission(const Sql *sql, Review *review, const Request *request)
{
	DeploymentOrder order;
	Carried		runs;

	if (review->proposed.decommissioned)
		return review->changed_by;
	review_decommission(review);
	if (!deployment_carries(sql, &review->proposed.key, review->changed_by, false, &runs))
		elog(ERROR, "deployment %d is not there", review->changed_by);
	order = (DeploymentOrder) {
		.action = request->action,
		.status = request->status,
		.revision = runs.revision,
		.base = &runs,
		.bundle = runs.bundle,
		.version = runs.version,
		.rendered_digest = runs.rendered_digest,
		.references = runs.references,
		.diff = diff_to_nothing(&runs),
		.destructive = true,
		.plan_digest = decommission_digest(runs.rendered_digest, review->changed_by),
		.message = request->message
	};
	return write_order(sql, review, &order);
}

/* Lock what the order is judged by, and read it.  No rules apply to a PLAN alone. */
static void
open_review(const Sql *sql, const Request *request, Review *review)
{
	if (request->action == ACTION_PLAN && request->deploy_as == NULL)
		instance_lock(sql, &request->key, true);
	else
		rule_hold_case(sql, &request->key);
	review_open(sql, &request->key, review);
}

/* Queue or propose what is asked for, unless that exists already; returns its number. */
static int32
order(const Sql *sql, Review *review, const Request *request)
{
	int32		number = request->deploy_as ? deployed_plan(sql, review, request) : 0;

	return number != 0 ? number :
		request->action == ACTION_DECOMMISSION ? order_decommission(sql, review, request) :
		order_desired(sql, review, request);
}

/*
 * Queue what an instance desires, unless that is queued already: a PLAN, or a
 * PROVISION by a plan (0: by the last one).  Returns its number.
 */
int32
deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan, const char *message)
{
	Request		request = {*key, action, DEPLOYMENT_PENDING, plan, message};
	Review		review;

	open_review(sql, &request, &review);
	return order(sql, &review, &request);
}

/*
 * Queue the PROVISION of a plan that was to be deployed once it has completed.  What was decommissioned comes back
 * only if somebody has seen that.
 */
void
deploy_unseen(const Sql *sql, const InstanceKey *key, int32 plan, const char *message)
{
	Request		request = {*key, ACTION_PROVISION, DEPLOYMENT_PENDING, plan, message};
	Review		review;

	open_review(sql, &request, &review);
	refuse_reviving(&review, plan);
	(void) order(sql, &review, &request);
}

/*
 * What the verbs that queue or propose have in common.  expected is the place of
 * the argument expected_revision; -1: the verb has none.
 */
static Datum
place_order(FunctionCallInfo fcinfo, const Request *request, int expected)
{
	Sql			sql;
	Review		review;

	sql_enter(&sql);
	open_review(&sql, request, &review);
	if (expected >= 0)
		stage_check_revision(fcinfo, expected, &review.proposed);
	return deployment_result(&sql, deployment_row(&sql, &request->key, order(&sql, &review, request)));
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
	request.plan = value_int(fcinfo->args[1]);
	return place_order(fcinfo, &request, 3);
}

/*
 * promote.plan_and_deploy(instance text, message text, expected_revision integer)
 * returns promote.deployment
 */
Datum
promote_plan_and_deploy(PG_FUNCTION_ARGS)
{
	Request		request = {.action = ACTION_PLAN,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 1)};

	argument_instance_for(fcinfo, 0, "instance", "deploy", &request.key);
	access_require("plan", &request.key);
	request.deploy_as = GetUserNameFromId(rights_role(), false);
	return place_order(fcinfo, &request, 2);
}

/* promote.decommission_instance(instance text, message text) returns promote.deployment */
Datum
promote_decommission_instance(PG_FUNCTION_ARGS)
{
	Request		request = {.action = ACTION_DECOMMISSION,.status = DEPLOYMENT_PENDING,
	.message = argument_text(fcinfo, 1)};

	argument_instance_for(fcinfo, 0, "instance", "decommission", &request.key);
	return place_order(fcinfo, &request, -1);
}

/* The grant that it takes to propose an action: that which it takes to queue it. */
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
	request.plan = value_int(fcinfo->args[2]);
	if (request.plan != 0 && request.action != ACTION_PROVISION)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("a %s follows no plan", deployment_actions[request.action]),
				 errdetail("Only a PROVISION does."),
				 errhint("Leave the plan out.")));
	return place_order(fcinfo, &request, 4);
}

/* Tell listeners that there was a vote. */
static void
notify_vote(const GateCase *gate, bool approved)
{
	notify(&(Notice) {gate->instance, 0, gate->deployment, approved ? "APPROVE" : "REJECT", NULL});
}

/*
 * Record the caller's vote on a completed plan, unless it stands already.  Raises
 * PM_INVALID_APPROVAL where it would count under no rule.  The locks of the case
 * are held.
 */
static void
vote_on_plan(const Sql *sql, const Deployment *plan, bool approved, const char *reason)
{
	GateCase	gate;
	VoteOutcome outcome;

	gate_open(sql, &plan->key, plan->deployment, GetCurrentTimestamp(), &gate);
	approval_vote(sql, &gate, approved, reason, &outcome);
	if (outcome.given == 0 && outcome.standing == 0)
		ereport(ERROR,
				(errcode(PM_INVALID_APPROVAL),
				 errmsg("\"%s\" has no vote on plan %d of \"%s\"", current_actor(), plan->deployment,
						gate.instance),
				 outcome.words.len > 0 ? errdetail_internal("%s", outcome.words.data) :
				 errdetail("No rule of environment \"%s\" asks for approvals of it.", plan->key.environment),
				 errhint("promote.approval_status shows whose approval is asked for; the rules are in promote.approval_rule.")));
	if (outcome.given > 0)
		notify_vote(&gate, approved);
}

/*
 * Record the caller's vote on a proposal.  Returns true, with a NOTICE, if it
 * stays a proposal because others have to approve, too, or another gate is
 * closed.  Returns false if it can be approved now, or if the caller has no vote:
 * then taking the step judges the gates.  The locks of the case are held.
 */
static bool
vote_on_proposal(const Sql *sql, const Deployment *proposal, const char *message)
{
	GateCase	gate;
	VoteOutcome outcome;

	if (proposal->action == ACTION_PLAN)
		return false;
	gate_open(sql, &proposal->key, proposal->deployment, GetCurrentTimestamp(), &gate);
	approval_check_own(sql, &gate);
	if (gate.plan_digest == NULL)
		return false;
	approval_vote(sql, &gate, true, message, &outcome);
	if (outcome.given == 0 && outcome.standing == 0)
		return false;
	if (outcome.given > 0)
		notify_vote(&gate, true);
	gate_judge(sql, &gate, GATES_ALL);
	if (!gate_is_closed(&gate))
		return false;
	ereport(NOTICE,
			(errmsg("deployment %d of \"%s\" stays a proposal", proposal->deployment, gate.instance),
			 errdetail_internal("%s", gate_reasons(&gate)),
			 errhint("The approval is kept.")));
	return true;
}

/* Has the caller approved the proposal, which has gone on since? */
static bool
is_approved_by_caller(const Deployment *deployment)
{
	return deployment->approved_by && strcmp(deployment->approved_by, current_actor()) == 0;
}

/*
 * Approve or reject.  Doing so twice is doing it once.  A vote on a completed PLAN leaves its status alone; a
 * proposal that is approved is queued if its gates are open.
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
		vote_on_plan(&sql, &deployment, approved, reason);
	else if (deployment.status != to && !(approved && is_approved_by_caller(&deployment)))
	{
		if (deployment.status != DEPLOYMENT_PROPOSED)
			refuse_step(&key, number, deployment.status, deployment_statuses[to]);
		if (!approved || !vote_on_proposal(&sql, &deployment, reason))
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
	/* heartbeats and logs of a worker lock the deployment without its instance */
	(void) deployment_lock(&sql, &key, number, true);
	deployment_load(&sql, &key, number, &deployment);
	if (deployment.status == DEPLOYMENT_ABORTED)
		return deployment_result(&sql, deployment_row(&sql, &key, number));
	return deployment_result(&sql, deployment_step(&sql, &deployment, DEPLOYMENT_ABORTED, reason));
}
