/*
 * act.c: what is done with the items of a request.  Items are staged, planned,
 * deployed and rolled back, one at a time or all together, and what was done is
 * noted for people and for the audit log.
 *
 * Each act is tried in a subtransaction, so that a refusal leaves nothing behind.
 * request/advance.c says when an item's turn comes.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "deployment/deploy.h"
#include "gate/review.h"
#include "gate/window.h"
#include "ledger/guard.h"
#include "promotion/diff.h"
#include "request/act.h"

/* ---- what was done, and what is waited for ---- */

/* Note what the request waits for, unless these words are noted already; an item of NULL: no item of it. */
void
advance_note_wait(Advance *advance, const RequestItem *item, const NotDone *not_done)
{
	PromotionRequest *request = &advance->request;
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	RequestWait *wait = palloc(sizeof(RequestWait));
	ListCell   *cell;

	*wait = (RequestWait) {
		.code = not_done->code,
		.message = pstrdup(not_done->message),
		.wave = item ? item->wave : 0,
		.instance = item ? advance_name_of(advance, item) : NULL,
		.refusal = not_done->refusal ? pstrdup(not_done->refusal) : NULL
	};
	foreach(cell, request->waits)
		if (strcmp(((const RequestWait *) lfirst(cell))->message, wait->message) == 0)
			break;
	if (cell == NULL)
		request->waits = lappend(request->waits, wait);
	MemoryContextSwitchTo(inner);
}

/* Note what the request as a whole waits for. */
void
advance_wait_for(Advance *advance, const char *code, const char *words)
{
	advance_note_wait(advance, NULL, &(NotDone) {code, unconstify(char *, words)});
}

/* The name of an item's instance. */
char *
advance_name_of(const Advance *advance, const RequestItem *item)
{
	return request_instance_name(&advance->request, item->component);
}

/* Note why an item cannot go on until somebody does something. */
void
advance_block(Advance *advance, const RequestItem *item, const NotDone *not_done)
{
	NotDone		words = *not_done;

	if (advance->waits++ >= REQUEST_SHOWN)
		return;
	words.message = psprintf("wave %d: \"%s\": %s", item->wave, advance_name_of(advance, item), not_done->message);
	advance_note_wait(advance, item, &words);
}

/* Note a step of an item.  What is skipped has not moved. */
static void
note_move(Advance *advance, ItemMove move, const RequestItem *item)
{
	MemoryContext inner = MemoryContextSwitchTo(advance->request.context);

	advance->moves[move] = lappend(advance->moves[move], item->component);
	if (move != MOVE_SKIPPED)
		advance->moved++;
	MemoryContextSwitchTo(inner);
}

/* Write and note the new status of an item; its instance need not be locked. */
void
advance_save(Advance *advance, ItemMove move, RequestItem *item, ItemStatus status)
{
	Sql			sql;

	item->status = status;
	sql_enter(&sql);
	request_save_item(&sql, &advance->request, item);
	sql_leave(&sql);
	note_move(advance, move, item);
}

/* Write and note that an item has failed. */
void
advance_fail(Advance *advance, RequestItem *item, const char *reason)
{
	const PromotionRequest *request = &advance->request;

	item->reason = request_copy(request, reason);
	advance->failed++;
	if (advance->failure == NULL)
		advance->failure = request_copy(request, psprintf("\"%s\": %s", advance_name_of(advance, item), reason));
	advance_save(advance, MOVE_FAILED, item, ITEM_FAILED);
}

/* ---- what is done with an item ---- */

/* Lock an item's instances, if they exist, and propose the item. */
static void
propose_locked(const Sql *sql, const PromotionRequest *request, const RequestItem *item, ItemProposal *proposal)
{
	Promotion	promotion = {
		.source = {request->project, request->source_environment, item->component},
		.destination = request_instance(request, item->component)
	};

	if (item->is_pair)
		promotion_lock(sql, &promotion);
	request_propose(sql, request, item, proposal);
}

/* Why an act is not done, in the current memory context. */
static const NotDone *
not_done(const char *code, char *message)
{
	NotDone    *why = palloc(sizeof(NotDone));

	*why = (NotDone) {code, message};
	return why;
}

/* Skip an item for a reason.  NULL, as an act returns that has been done. */
static const NotDone *
skip(const PromotionRequest *request, RequestItem *item, const Jsonb *reason)
{
	item->status = ITEM_SKIPPED;
	item->skip_reason = request_copy_document(request, reason);
	return NULL;
}

/*
 * Note where the next merge starts from, where this one has nothing to do although the source has
 * changed: by a revision as it was before, as promote_instance does.
 */
static void
keep_base(const Sql *sql, const PromotionRequest *request, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;
	Staged		staged;

	if (!promotion_moves_base(promotion))
		return;
	promotion->proposed.plan = false;
	promotion_write(sql, promotion, request->message, CurrentMemoryContext, &staged);
}

/* The act of staging an item, or of skipping it.  Where only what is stored changes by that, the item is done. */
static const NotDone *
stage(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	ItemProposal proposal;
	Promotion  *promotion = &proposal.promotion;
	Staged		staged;

	propose_locked(sql, request, item, &proposal);
	if (proposal.skip_reason)
	{
		keep_base(sql, request, &proposal);
		return skip(request, item, proposal.skip_reason);
	}
	if (!request_is_as_previewed(request, item, &proposal))
		return not_done("preview_moved", psprintf("it has moved since preview %d: take another by promote.preview_request",
												  request->preview));
	if (proposal.other_changes && !request->include_other_changes)
		return not_done("other_changes", psprintf("other changes ride along: %s", proposal.other_changes));
	promotion_require_source(promotion);
	promotion->proposed.plan = true;
	promotion->proposed.proposal.allow_replace = false;
	promotion_write(sql, promotion, request->message, CurrentMemoryContext, &staged);
	item->status = ITEM_STAGED;
	item->revision = staged.new_revision;
	item->previous_revision = proposal.deployed_revision;
	item->planned.number = staged.deployment;
	/* what is stored is as it is to be, and what runs stays as it is: there is nothing that a worker could do */
	if (staged.deployment == 0 && !proposal_waits(&promotion->proposed))
		item->status = ITEM_DONE;
	else
		item->plan = staged.deployment ? staged.deployment :
			revision_last_plan(sql, &promotion->destination, staged.new_revision, false);
	return NULL;
}

/*
 * The act of holding an item to what was staged before, when others are staged
 * together with it: all have to stand for one moment.
 */
static const NotDone *
hold(const Sql *sql, Advance *advance, RequestItem *item)
{
	ItemProposal proposal;

	propose_locked(sql, &advance->request, item, &proposal);
	item->desired = proposal.promotion.proposed.current_revision;
	return request_is_as_staged(&advance->request, item, &proposal) ? NULL :
		not_done("preview_moved", "it has moved since it was staged: take another preview by promote.preview_request");
}

/* The act of planning a staged item once more. */
static const NotDone *
plan(const Sql *sql, Advance *advance, RequestItem *item)
{
	InstanceKey key = request_instance(&advance->request, item->component);
	int32		plan = deploy_order(sql, &key, ACTION_PLAN, 0, advance->request.message);

	if (item->rollback_revision > 0)
		item->rollback_plan = plan;
	else
		item->plan = plan;
	return NULL;
}

/*
 * Note in an item which revision runs at its instance, which is locked: something
 * else may have been deployed since the item was staged.  If somebody has deployed
 * the item's own revision by hand, that is nothing to go back to.
 */
static void
note_running(const Sql *sql, const InstanceKey *key, RequestItem *item)
{
	static Statement read = {"SELECT i.deployed_revision FROM promote.instance AS i WHERE " OF_INSTANCE("i")};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));
	int32		running = sql_int(&rows, 0);

	if (running != item->revision)
		item->previous_revision = running;
}

/* Where a deployment of an item stands that was asked for: it may have been there before, and be over. */
static ItemDeployment
where_it_stands(const Sql *sql, const PromotionRequest *request, const InstanceKey *key, int32 number)
{
	Deployment	found;

	deployment_load(sql, key, number, &found);
	return (ItemDeployment) {number, found.status, request_copy(request, found.worker), NULL};
}

/*
 * The act of deploying a staged item by its plan, if its gates are open and it
 * has not left the scope.  That the plan is what was previewed is checked last,
 * and the error undoes the order: a plan that has moved is refused before that,
 * and is made again.
 */
static const NotDone *
deploy(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	bool		back = item->rollback_revision > 0;
	Jsonb	   *left = back ? NULL : request_left_scope(sql, request, item);
	int32		deployment;

	if (left)
		return skip(request, item, left);
	/* others of the request may follow */
	window_lock_all_budgets(sql, &key, 1);
	deployment = deploy_order(sql, &key, ACTION_PROVISION, item->planned.number, request->message);
	item->queued = where_it_stands(sql, request, &key, deployment);
	if (back)
	{
		item->rollback_plan = item->planned.number;
		item->rollback_deployment = deployment;
		return NULL;
	}
	if (!item->as_previewed)
		ereport(ERROR,
				(errcode(PM_PREVIEW_MOVED),
				 errmsg("plan %d has another release or other params than preview %d shows: take another by promote.preview_request",
						item->planned.number, request->preview),
				 errdetail("Nothing is deployed that was not previewed."),
				 errhint("Take another preview by promote.preview_request, and look at it.")));
	note_running(sql, &key, item);
	item->plan = item->planned.number;
	item->deployment = deployment;
	item->status = ITEM_DEPLOYING;
	return NULL;
}

/* Has a worker begun to deploy the item? */
bool
request_has_run(const RequestItem *item)
{
	return item->deployment > 0 && item->queued_began;
}

/*
 * The act of beginning to roll an item back.  An item that was only staged is
 * rolled back by that alone; its revision stays desired if nothing ran before.
 */
static const NotDone *
roll_back(const Sql *sql, Advance *advance, RequestItem *item)
{
	InstanceKey key = request_instance(&advance->request, item->component);
	Staged		staged;

	/* what was taken down meanwhile stays down */
	if (request_leaves_alone(sql, &advance->request, item))
		item->status = ITEM_ROLLED_BACK;
	else if (item->previous_revision > 0)
	{
		rollback_stage(sql, &key, item->previous_revision, advance->request.message, CurrentMemoryContext, &staged);
		if (request_has_run(item) && staged.new_revision == item->revision && staged.deployment == 0)
			return not_done("rollback", psprintf("it cannot be rolled back: revision %d ran before, too, and what its placeholders stand for was changed since; change that back",
												 item->revision));
		item->rollback_revision = staged.new_revision;
		item->planned.number = staged.deployment;
		item->rollback_plan = staged.deployment ? staged.deployment :
			revision_last_plan(sql, &key, staged.new_revision, false);
	}
	if (!request_has_run(item))
		item->status = ITEM_ROLLED_BACK;
	return NULL;
}

const Act	act_stage = {stage, MOVE_STAGED};
const Act	act_plan = {plan, MOVE_PLANNED};
const Act	act_deploy = {deploy, MOVE_DEPLOYING};
const Act	act_rollback = {roll_back, MOVE_STAGED};
static const Act act_hold = {hold, MOVE_NONE};

/* ---- trying it ---- */

/* An act that is tried with an item. */
typedef struct Trial
{
	Advance    *advance;
	RequestItem *item;
	const Act  *act;
	const NotDone *refused;		/* why the act was not done, in the request's memory; NULL: it was */
} Trial;

/* A copy of why an act was not done in the request's memory; NULL stays NULL. */
static const NotDone *
keep_not_done(const PromotionRequest *request, const NotDone *why)
{
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	const NotDone *kept = why ? not_done(why->code, pstrdup(why->message)) : NULL;

	MemoryContextSwitchTo(inner);
	return kept;
}

/* Why an act was not done that has raised an error. */
static const NotDone *
refused_by(const Refusal *refusal)
{
	NotDone    *why = palloc(sizeof(NotDone));

	*why = (NotDone) {
		.code = refusal->sqlstate == PM_GATES_CLOSED ? "blocked" :
			refusal->sqlstate == PM_PREVIEW_MOVED ? "preview_moved" :
			refusal->sqlstate == PM_PLAN_MOVED ? "plan_moved" : "refused",
		.message = refusal->message,
		.refusal = pstrdup(unpack_sql_state(refusal->sqlstate))
	};
	return why;
}

/* Do the act in a scope, and write the item.  errand_do runs this. */
static void
do_act(void *state)
{
	Trial	   *trial = state;
	const PromotionRequest *request = &trial->advance->request;
	Sql			sql;

	sql_enter(&sql);
	trial->refused = keep_not_done(request, trial->act->step(&sql, trial->advance, trial->item));
	if (trial->refused == NULL && trial->act->move != MOVE_NONE)
		request_save_item(&sql, request, trial->item);
	sql_leave(&sql);
}

/* Do the act for whoever has opened the request: the caller only moves it.  attempt runs this. */
static void
try_act(void *state)
{
	const Trial *trial = state;

	errand_do(&(Errand) {.asker = &trial->advance->request.opener}, do_act, state);
}

/* The move that an act was for an item. */
static ItemMove
move_of(const Act *act, const RequestItem *item)
{
	return item->status == ITEM_SKIPPED ? MOVE_SKIPPED :
		item->status == ITEM_DONE ? MOVE_DONE :
		item->status == ITEM_ROLLED_BACK ? MOVE_ROLLED_BACK : act->move;
}

/*
 * Try an act with an item.  Returns false if it was refused: nothing is left of
 * it, and the reason is noted.
 */
bool
act_on(Advance *advance, RequestItem *item, const Act *act)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "promote step of an item", ALLOCSET_DEFAULT_SIZES);
	RequestItem before = *item;
	Trial		trial = {advance, item, act, NULL};
	Refusal		refusal;
	bool		raised;

	MemoryContextSwitchTo(context);
	raised = !attempt(try_act, &trial, &refusal);
	if (raised || trial.refused)
	{
		*item = before;
		item->plan_moved = raised && refusal.sqlstate == PM_PLAN_MOVED;
		advance_block(advance, item, raised ? refused_by(&refusal) : trial.refused);
	}
	else if (act->move != MOVE_NONE)
		note_move(advance, move_of(act, item), item);
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
	return !raised && trial.refused == NULL;
}

/* An act that is tried with all items of a status, all or none. */
typedef struct Together
{
	Advance    *advance;
	ItemStatus	status;
	const Act  *act;
} Together;

/*
 * Try the act with each item, even after a refusal, to note all reasons.  When
 * items are staged, those that were staged before have to hold.  attempt runs
 * this.
 */
static void
act_together(void *state)
{
	const Together *together = state;
	Advance    *advance = together->advance;
	int			refused = 0;

	for (int i = 0; i < advance->count; i++)
	{
		RequestItem *item = &advance->items[i];
		bool		holds = together->act == &act_stage && item->status == ITEM_STAGED;

		CHECK_FOR_INTERRUPTS();
		if ((holds || item->status == together->status) &&
			!act_on(advance, item, holds ? &act_hold : together->act))
			refused++;
	}
	if (refused > 0)
		ereport(ERROR,
				(errcode(PM_REQUEST_STATE),
				 errmsg("request %d cannot go on all at once", advance->request.number),
				 errdetail("%d of its items cannot.", refused),
				 errhint("promote.advance_request says what it waits for.")));
}

/* Try an act with all items of a status; false: it was done with none. */
bool
act_on_all(Advance *advance, ItemStatus status, const Act *act)
{
	Together	together = {advance, status, act};
	RequestItem *before = palloc_extended(Max(advance->count, 1) * sizeof(RequestItem), MCXT_ALLOC_HUGE);
	List	   *moves[MOVES];
	int32		moved = advance->moved;
	Refusal		refusal;

	memcpy(before, advance->items, advance->count * sizeof(RequestItem));
	for (int i = 0; i < MOVES; i++)
		moves[i] = list_copy(advance->moves[i]);
	if (attempt(act_together, &together, &refusal))
		return true;
	for (int i = 0; i < advance->count; i++)
		before[i].plan_moved = advance->items[i].plan_moved;
	memcpy(advance->items, before, advance->count * sizeof(RequestItem));
	memcpy(advance->moves, moves, sizeof(moves));
	advance->moved = moved;
	if (advance->waits == 0)
		advance_note_wait(advance, NULL, refused_by(&refusal));
	return false;
}
