/*
 * approve.c: voting for a whole request.
 *
 * Votes are taken under the locks that a vote on a single plan takes, so that
 * rejections and deployments beside it come before or after it.  The request itself
 * is not locked: it may move meanwhile, and a vote is on the plan that it names.
 * Instances are locked by component.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/result.h"
#include "gate/approval.h"
#include "gate/gate.h"
#include "grant/access.h"
#include "ledger/notify.h"
#include "registry/rule_hold.h"
#include "request/request.h"

PG_FUNCTION_INFO_V1(promote_approve_request);

/* What has become of the caller's vote for an item. */
typedef struct ItemVote
{
	bool		voted;			/* does an approval of the caller's stand? */
	const char *code;			/* NULL: it was given now, under every rule */
	char	   *reason;			/* NULL with it */
} ItemVote;

/* Compare two items by component, for qsort. */
static int
compare_items(const void *a, const void *b)
{
	return strcmp(((const RequestItem *) a)->component, ((const RequestItem *) b)->component);
}

/* Does the item wait for its plan to be carried out, or for the plan of its rollback? */
static bool
waits_for_plan(const RequestItem *item)
{
	return item->status == ITEM_STAGED || (item->status == ITEM_ROLLING_BACK && item->rollback_deployment == 0);
}

/* The revision that the item wants to be desired. */
static int32
own_revision(const RequestItem *item)
{
	return item->rollback_revision > 0 ? item->rollback_revision : item->revision;
}

/* Why there is nothing of an item to vote for; its code is NULL where there is something. */
static ItemVote
nothing_to_approve(const PromotionRequest *request, const RequestItem *item)
{
	if (item->status == ITEM_SKIPPED)
		return (ItemVote) {false, "skipped", psprintf("It is skipped: %s.", skip_message(item->skip_reason))};
	if (request_is_over(request))
		return (ItemVote) {false, "over", psprintf("Request %d is %s.", request->number, request_statuses[request->status])};
	if (item->status == ITEM_PENDING)
		return (ItemVote) {false, "not_staged", "It is not staged yet."};
	if (!waits_for_plan(item))
		return (ItemVote) {false, "not_waiting", psprintf("It waits for no approval: it is %s.", item_statuses[item->status])};
	if (item->desired != own_revision(item))
		return (ItemVote) {false, "preview_moved", psprintf("Revision %d was staged there since, behind the request's revision %d.",
															item->desired, own_revision(item))};
	if (item->planned.number == 0)
		return (ItemVote) {false, "not_planned", "It has no plan yet."};
	if (item->planned.status != DEPLOYMENT_COMPLETED)
		return (ItemVote) {false, "not_planned", psprintf("Plan %d is %s.", item->planned.number,
														  deployment_statuses[item->planned.status])};
	return (ItemVote) {.voted = false};
}

/* What has become of the vote for an item, by the outcome of voting on its plan. */
static ItemVote
vote_of(const GateCase *gate, const VoteOutcome *outcome)
{
	if (outcome->given > 0)
		notify(&(Notice) {gate->instance, 0, gate->deployment, "APPROVE", NULL});
	if (outcome->given + outcome->standing == 0 && outcome->code == NULL)
		return (ItemVote) {false, "no_rule", psprintf("No rule of environment \"%s\" asks for approvals of it.",
													  gate->key.environment)};
	return (ItemVote) {
		.voted = outcome->given + outcome->standing > 0,
		.code = outcome->code ? outcome->code : outcome->standing > 0 ? APPROVAL_VOTED : NULL,
		.reason = outcome->words.len > 0 ? outcome->words.data : NULL
	};
}

/* Vote for the items, which are in the order of their keys, where there is something to vote for. */
static void
vote(const Sql *sql, const PromotionRequest *request, const RequestItem *items, int count, const char *message,
	 ItemVote *votes)
{
	InstanceKey *keys = palloc(count * sizeof(InstanceKey));
	GateCase   *gates = palloc(count * sizeof(GateCase));
	VoteOutcome *outcomes = palloc(count * sizeof(VoteOutcome));
	ItemVote  **asked = palloc(count * sizeof(ItemVote *));
	int			plans = 0;

	for (int i = 0; i < count; i++)
	{
		votes[i] = nothing_to_approve(request, &items[i]);
		if (votes[i].code)
			continue;
		asked[plans] = &votes[i];
		keys[plans] = request_instance(request, items[i].component);
		gates[plans] = (GateCase) {.key = keys[plans],.deployment = items[i].planned.number};
		plans++;
	}
	if (plans == 0)
		return;
	(void) rule_hold_cases(sql, keys, plans);
	gate_open_all(sql, gates, plans);
	approval_vote(sql, gates, plans, true, message, outcomes);
	for (int i = 0; i < plans; i++)
		*asked[i] = vote_of(&gates[i], &outcomes[i]);
}

/*
 * promote.approve_request(project text, request integer, message text) returns table,
 * see sql/request/request.sql
 */
Datum
promote_approve_request(PG_FUNCTION_ARGS)
{
	char	   *message = argument_text(fcinfo, 2);
	PromotionRequest request;
	RequestItem *items;
	ItemVote   *votes;
	int			count;
	Sql			sql;

	argument_request(fcinfo, &request);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	request_read(&sql, &request);
	access_require_of(sql.user, "approve", request.project, request.destination_environment);
	items = request_items(&sql, &request, PART_ALL, &count);
	qsort(items, count, sizeof(RequestItem), compare_items);
	votes = palloc(count * sizeof(ItemVote));
	vote(&sql, &request, items, count, message, votes);
	for (int i = 0; i < count; i++)
	{
		InstanceKey key = request_instance(&request, items[i].component);

		result_put(fcinfo, AS_NUMBER(items[i].wave), AS_TEXT(items[i].component), AS_TEXT(instance_key_name(&key)),
				   AS_NUMBER(items[i].planned.number), AS_BOOL(votes[i].voted), AS_TEXT(votes[i].code),
				   AS_TEXT(votes[i].reason));
	}
	sql_leave(&sql);
	return (Datum) 0;
}
