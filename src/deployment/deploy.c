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
#include "base/batch.h"
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
#include "promotion/recording.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_plan_instance);
PG_FUNCTION_INFO_V1(promote_deploy_instance);
PG_FUNCTION_INFO_V1(promote_plan_and_deploy);
PG_FUNCTION_INFO_V1(promote_decommission_instance);
PG_FUNCTION_INFO_V1(promote_propose_deployment);
PG_FUNCTION_INFO_V1(promote_approve_deployment);
PG_FUNCTION_INFO_V1(promote_reject_deployment);
PG_FUNCTION_INFO_V1(promote_abort_deployment);

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
fill_order(const Sql *sql, Review *review, const OrderRequest *request, DeploymentOrder *order)
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

/* Judge decommissioning what the last change of the instance has left there, and fill in the order. */
static int32
judge_decommission(const Sql *sql, Review *review, const OrderRequest *request, DeploymentOrder *order)
{
	Carried    *runs = palloc(sizeof(Carried));

	if (review->proposed.decommissioned)
		return review->changed_by;
	review_decommission(review);
	if (!deployment_carries(sql, &review->proposed.key, review->changed_by, sql->reads, runs))
		elog(ERROR, "deployment %d is not there", review->changed_by);
	*order = (DeploymentOrder) {
		.action = request->action,
		.status = request->status,
		.revision = runs->revision,
		.base = runs,
		.bundle = runs->bundle,
		.version = runs->version,
		.rendered_digest = runs->rendered_digest,
		.references = runs->references,
		.diff = diff_to_nothing(runs),
		.destructive = true,
		.plan_digest = decommission_digest(runs->rendered_digest, review->changed_by),
		.message = request->message
	};
	return 0;
}

/*
 * Judge what is to be decommissioned, planned, or provisioned by the plan that was reviewed, and fill in the order.
 * Returns the number of the deployment that has brought it about already; 0: none has.
 */
int32
deploy_judge(const Sql *sql, Review *review, const OrderRequest *request, DeploymentOrder *order)
{
	bool		provision = request->action == ACTION_PROVISION;
	Deployment	plan = {.deployment = 0};

	if (request->action == ACTION_DECOMMISSION)
		return judge_decommission(sql, review, request, order);
	if (provision && review_is_carried_out(sql, review, request->plan))
		return review->changed_by;
	review_judge(sql, review);
	if (provision)
		review_find_plan(sql, review, request->plan, &plan);
	fill_order(sql, review, request, order);
	order->plan = plan.deployment;
	order->plan_digest = plan.plan_digest;
	return 0;
}

/* Plan what the instance desires, provision it by the plan that was reviewed, or decommission it. */
static int32
order_desired(const Sql *sql, Review *review, const OrderRequest *request)
{
	DeploymentOrder order;
	int32		number = deploy_judge(sql, review, request, &order);

	return number != 0 ? number : write_order(sql, review, &order);
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
deployed_plan(const Sql *sql, Review *review, const OrderRequest *request)
{
	const InstanceKey *key = &request->key;
	OrderRequest provision = {.key = *key,.action = ACTION_PROVISION,.status = DEPLOYMENT_PENDING,
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

/* Lock what the order is judged by, and read it.  No rules apply to a PLAN alone. */
static void
open_review(const Sql *sql, const OrderRequest *request, Review *review)
{
	if (request->action == ACTION_PLAN && request->deploy_as == NULL)
		instance_lock(sql, &request->key, true);
	else
		rule_hold_case(sql, &request->key);
	review_open(sql, &request->key, review);
}

/* Queue or propose what is asked for, unless that exists already; returns its number. */
static int32
order(const Sql *sql, Review *review, const OrderRequest *request)
{
	int32		number = request->deploy_as ? deployed_plan(sql, review, request) : 0;

	return number != 0 ? number :
		order_desired(sql, review, request);
}

/*
 * Queue what an instance desires, unless that is queued already: a PLAN, or a
 * PROVISION by a plan (0: by the last one).  Returns its number.
 */
int32
deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan, const char *message)
{
	OrderRequest request = {*key, action, DEPLOYMENT_PENDING, plan, message};
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
	OrderRequest request = {*key, ACTION_PROVISION, DEPLOYMENT_PENDING, plan, message};
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
place_order(FunctionCallInfo fcinfo, const OrderRequest *request, int expected)
{
	Sql			sql;
	Review		review;

	sql_enter(&sql);
	open_review(&sql, request, &review);
	if (expected >= 0)
		stage_check_revision(fcinfo->args[expected], &review.proposed);
	return deployment_result(&sql, deployment_row(&sql, &request->key, order(&sql, &review, request)));
}

/*
 * promote.plan_instance(instance text, message text, expected_revision
 * integer) returns promote.deployment
 */
Datum
promote_plan_instance(PG_FUNCTION_ARGS)
{
	OrderRequest request = {.action = ACTION_PLAN,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 1)};

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
	OrderRequest request = {.action = ACTION_PROVISION,.status = DEPLOYMENT_PENDING,
	.message = argument_text(fcinfo, 2)};

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
	OrderRequest request = {.action = ACTION_PLAN,.status = DEPLOYMENT_PENDING,.message = argument_text(fcinfo, 1)};

	argument_instance_for(fcinfo, 0, "instance", "deploy", &request.key);
	access_require("plan", &request.key);
	request.deploy_as = GetUserNameFromId(rights_role(), false);
	return place_order(fcinfo, &request, 2);
}

/* promote.decommission_instance(instance text, message text) returns promote.deployment */
Datum
promote_decommission_instance(PG_FUNCTION_ARGS)
{
	OrderRequest request = {.action = ACTION_DECOMMISSION,.status = DEPLOYMENT_PENDING,
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
	OrderRequest request = {.status = DEPLOYMENT_PROPOSED,.message = argument_text(fcinfo, 3)};

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

/* Refuse a vote on a plan that would count under no rule: PM_INVALID_APPROVAL. */
static void
require_vote(const GateCase *gate, const VoteOutcome *outcome)
{
	if (outcome->given > 0 || outcome->standing > 0)
		return;
	ereport(ERROR,
			(errcode(PM_INVALID_APPROVAL),
			 errmsg("\"%s\" has no vote on plan %d of \"%s\"", current_actor(), gate->deployment, gate->instance),
			 outcome->words.len > 0 ? errdetail_internal("%s", outcome->words.data) :
			 errdetail("No rule of environment \"%s\" asks for approvals of it.", gate->key.environment),
			 errhint("promote.approval_status shows whose approval is asked for; the rules are in promote.approval_rule.")));
}

/*
 * Record the caller's votes on completed plans of several instances, of each at most one, unless they
 * stand already.  Of the plans the keys and the deployments are set.  Raises PM_INVALID_APPROVAL where
 * one would count under no rule.  The locks of the cases are held.
 */
void
deploy_vote(const Sql *sql, GateCase *plans, int count, bool approved, const char *reason)
{
	VoteOutcome *outcomes = palloc(count * sizeof(VoteOutcome));

	gate_open_all(sql, plans, count);
	approval_vote(sql, plans, count, approved, reason, outcomes);
	for (int i = 0; i < count; i++)
		require_vote(&plans[i], &outcomes[i]);
	for (int i = 0; i < count; i++)
		if (outcomes[i].given > 0)
			notify_vote(&plans[i], approved);
}

/*
 * Record the caller's votes on proposals, and say of each why it stays one: others have to approve, too, or another
 * gate is closed.  Where the caller has no vote, taking the step judges the gates.
 */
static void
vote_on_proposals(const Sql *sql, Undecided *proposals, int count, const char *message)
{
	GateCase   *cases = palloc(count * sizeof(GateCase));
	VoteOutcome *outcomes = palloc(count * sizeof(VoteOutcome));
	Undecided **voted = palloc(count * sizeof(Undecided *));
	int			opened = 0;
	int			last = 0;

	for (int i = 0; i < count; i++)
		if (proposals[i].action != ACTION_PLAN)
		{
			voted[opened] = &proposals[i];
			cases[opened++] = (GateCase) {.key = *proposals[i].key,.deployment = proposals[i].number};
		}
	if (opened == 0)
		return;
	gate_open_all(sql, cases, opened);
	for (int i = 0; i < opened; i++)
	{
		approval_check_own(sql, &cases[i]);
		if (cases[i].plan_digest == NULL)
			continue;
		voted[last] = voted[i];
		cases[last++] = cases[i];
	}
	approval_vote(sql, cases, last, true, message, outcomes);
	for (int i = 0; i < last; i++)
	{
		if (outcomes[i].given > 0)
			notify_vote(&cases[i], true);
		else if (outcomes[i].standing == 0)
			continue;
		gate_judge(sql, &cases[i], GATES_ALL);
		if (gate_is_closed(&cases[i]))
			voted[i]->stays = gate_reasons(&cases[i]);
	}
}

/*
 * Approve or reject proposals of several instances, of each at most one, under the locks of their cases.  Those whose
 * gates are closed although the caller's vote stands stay proposals, and say why.
 */
void
deploy_decide_proposals(const Sql *sql, Undecided *proposals, int count, bool approved, const char *reason)
{
	static Statement step = {"UPDATE promote.deployment AS d SET status = $1, reason = $2 FROM decided_proposal AS k"
		" WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment RETURNING d.deployment"};
	static const char *const columns[] = {"project", "environment", "component", "deployment"};
	Batch		batch = {.name = "decided_proposal",.columns = columns};
	SqlRows		rows;

	if (approved)
		vote_on_proposals(sql, proposals, count, reason);
	batch_begin(&batch);
	for (int i = 0; i < count; i++)
		if (proposals[i].stays == NULL)
			batch_put(&batch, AS_KEY(proposals[i].key), AS_INT(proposals[i].number));
	if (batch.count == 0)
		return;
	batch_open(&batch);
	rows = guarded_run(sql, &step, AS_TEXT(deployment_statuses[approved ? DEPLOYMENT_APPROVED : DEPLOYMENT_REJECTED]),
					   AS_TEXT(reason));
	if (rows.count != batch.count)
		elog(ERROR, "the proposals of a set were not all decided");
	batch_end(&batch);
}

/* Has the caller approved the proposal, which has gone on since? */
static bool
is_approved_by_caller(const Deployment *deployment)
{
	return deployment->approved_by && strcmp(deployment->approved_by, current_actor()) == 0;
}

/*
 * Approve or reject a deployment, under its locks.  Doing so twice is doing it once.  A vote on a completed PLAN leaves
 * its status alone; a proposal that is approved is queued if its gates are open.  Returns the reasons why it stays a
 * proposal; NULL: it does not.
 */
char *
deploy_decide(const Sql *sql, const InstanceKey *key, int32 number, bool approved, const char *reason)
{
	DeploymentStatus to = approved ? DEPLOYMENT_APPROVED : DEPLOYMENT_REJECTED;
	Undecided	proposal = {key, number};
	Deployment	deployment;

	deployment_load(sql, key, number, &deployment);
	proposal.action = deployment.action;
	if (approval_votes_on(&deployment))
		deploy_vote(sql, &(GateCase) {.key = *key,.deployment = number}, 1, approved, reason);
	else if (deployment.status == DEPLOYMENT_PROPOSED)
		deploy_decide_proposals(sql, &proposal, 1, approved, reason);
	else if (deployment.status != to && !(approved && is_approved_by_caller(&deployment)))
		refuse_step(key, number, deployment.status, deployment_statuses[to]);
	return proposal.stays;
}

/* Approve or reject, for the verbs of one. */
static Datum
decide(FunctionCallInfo fcinfo, bool approved)
{
	char	   *reason = argument_text(fcinfo, 2);
	char	   *stays;
	int32		number;
	Sql			sql;
	InstanceKey key;

	argument_instance_for(fcinfo, 0, "instance", "approve", &key);
	number = argument_number(fcinfo, 1, "deployment");
	sql_enter(&sql);
	if (approved)
		rule_hold_case(&sql, &key);
	else
		instance_rescue(&sql, &key, rescue_deadline());
	stays = deploy_decide(&sql, &key, number, approved, reason);
	if (stays)
		ereport(NOTICE,
				(errmsg("deployment %d of \"%s\" stays a proposal", number, instance_key_name(&key)),
				 errdetail_internal("%s", stays),
				 errhint("The approval is kept.")));
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
	instance_rescue(&sql, &key, rescue_deadline());
	/* heartbeats and logs of a worker lock the deployment without its instance */
	(void) deployment_lock(&sql, &key, number, true);
	deployment_load(&sql, &key, number, &deployment);
	if (deployment.status == DEPLOYMENT_ABORTED)
		return deployment_result(&sql, deployment_row(&sql, &key, number));
	return deployment_result(&sql, deployment_step(&sql, &deployment, DEPLOYMENT_ABORTED, reason));
}
