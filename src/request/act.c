/*
 * act.c: what is done with the items of a request: they are staged,
 * planned, deployed and rolled back, one at a time or all together; and what
 * is noted of that, for people and for the audit log.
 *
 * Each is tried in a subtransaction, so that what is refused leaves nothing
 * behind.  When an item's turn comes is request/advance.c's.
 */
#include "postgres.h"

#include "base/errors.h"
#include "deployment/deploy.h"
#include "deployment/rollback.h"
#include "json/digest.h"
#include "request/act.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* ---- what was done, and what is waited for ---- */

/* Is one more wait to be put into words? */
bool
advance_is_shown(Advance *advance)
{
	return advance->waits++ < REQUEST_SHOWN;
}

/* Note in words what is waited for, unless that is noted already. */
void
advance_wait_for(Advance *advance, const char *words)
{
	PromotionRequest *request = &advance->request;
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	ListCell   *cell;

	foreach(cell, request->waits)
		if (strcmp(lfirst(cell), words) == 0)
			break;
	if (cell == NULL)
		request->waits = lappend(request->waits, pstrdup(words));
	MemoryContextSwitchTo(inner);
}

/* The name of an item's instance. */
char *
advance_name_of(const Advance *advance, const RequestItem *item)
{
	return request_instance_name(&advance->request, item->component);
}

/* An item waits for somebody. */
void
advance_block(Advance *advance, const RequestItem *item, const char *reason)
{
	if (advance_is_shown(advance))
		advance_wait_for(advance, psprintf("wave %d: \"%s\": %s", item->wave, advance_name_of(advance, item), reason));
}

/* An item waits for a worker, or for time. */
void
advance_in_flight(Advance *advance, const RequestItem *item, const char *what, int32 deployment,
		  const char *status, const char *worker)
{
	advance->in_flight++;
	if (!advance_is_shown(advance))
		return;
	if (strcmp(status, "RUNNING") == 0)
		advance_wait_for(advance, psprintf("wave %d: %s %d of \"%s\" is RUNNING: worker \"%s\" has it", item->wave,
								   what, deployment, advance_name_of(advance, item), worker ? worker : ""));
	else
		advance_wait_for(advance, psprintf("wave %d: %s %d of \"%s\" is %s: a worker has to carry it out", item->wave,
								   what, deployment, advance_name_of(advance, item), status));
}

/* The same of a PLAN or PROVISION that was just queued; 0: it was there before, and is looked at by the next call. */
void
advance_queued(Advance *advance, const RequestItem *item, const char *what, int32 deployment)
{
	if (deployment > 0)
		advance_in_flight(advance, item, what, deployment, "PENDING", NULL);
	else
		advance->in_flight++;
}

/* Note a step of an item. */
static void
note_move(Advance *advance, int move, const RequestItem *item)
{
	MemoryContext inner = MemoryContextSwitchTo(advance->request.context);

	advance->moves[move] = lappend(advance->moves[move], item->component);
	advance->moved++;
	MemoryContextSwitchTo(inner);
}

/* Write an item that has come further without a lock on its instance. */
void
advance_save(Advance *advance, int move, RequestItem *item, const char *status)
{
	Sql			sql;

	item->status = status;
	sql_enter(&sql);
	request_save_item(&sql, &advance->request, item);
	sql_leave(&sql);
	note_move(advance, move, item);
}

/* An item has failed. */
void
advance_fail(Advance *advance, RequestItem *item, const char *reason)
{
	const PromotionRequest *request = &advance->request;

	item->reason = request_copy(request, reason);
	advance->failed++;
	if (advance->failure == NULL)
		advance->failure = request_copy(request, psprintf("\"%s\": %s", advance_name_of(advance, item), reason));
	advance_save(advance, FAILED, item, "FAILED");
}

/* Is a deployment over without having come to its end? */
bool
deployment_has_failed(const char *status)
{
	return strcmp(status, "FAILED") == 0 || strcmp(status, "ABORTED") == 0 ||
		strcmp(status, "REJECTED") == 0;
}

/* How a deployment ended, for people. */
char *
deployment_ending(const char *what, int32 deployment, const char *status, const char *reason)
{
	return psprintf("%s %d is %s%s%s", what, deployment, status, reason ? ": " : "", reason ? reason : "");
}

/* ---- what is done with an item, in a scope ---- */

/* Why what is desired is what it is. */
static char *
message_of(const PromotionRequest *request)
{
	return request->message ?
		psprintf("request %d: %s", request->number, request->message) :
		psprintf("request %d", request->number);
}

/* Number of the last plan of a revision; 0: there is none. */
static int32
last_plan(const Sql *sql, const InstanceKey *key, int32 revision)
{
	static OldStatement read = {
		.text = "SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.action = 'PLAN' AND d.revision = $4"
		" ORDER BY d.revision DESC, d.deployment DESC LIMIT 1",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	instance_key_values(key, values);
	values[3] = Int32GetDatum(revision);
	statement_run(sql, &read, values, NULL, false);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* Why a proposal must not be staged, although it could be; NULL: it may. */
static const char *
unlike_preview(const PromotionRequest *request, const RequestItem *item, const ItemProposal *proposal)
{
	if (!json_digest_equal(json_digest(request_item_document(item, proposal)), item->preview_digest))
		return psprintf("it has moved since preview %d: take another by promote.preview_request",
						request->preview);
	if (proposal->other_changes && !request->include_other_changes)
		return psprintf("other changes ride along: %s", proposal->other_changes);
	return NULL;
}

/* Lock an item's instances, if they are there. */
static void
lock_item(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	Promotion	promotion = {
		.source = {request->project, request->source_environment, item->component},
		.destination = request_instance(request, item->component)
	};

	if (item->desired > 0 && item->source_desired > 0)
		promotion_lock(sql, &promotion);
}

/* Skip an item. */
static void
skip_item(const Sql *sql, Advance *advance, RequestItem *item, const char *reason)
{
	item->status = "SKIPPED";
	item->skip_reason = request_copy(&advance->request, reason);
	request_save_item(sql, &advance->request, item);
}

/* Stage an item, or skip it. */
void
act_stage(const Sql *sql, Advance *advance, RequestItem *item)
{
	PromotionRequest *request = &advance->request;
	ItemProposal proposal;
	Staged		staged;

	lock_item(sql, request, item);
	request_propose(sql, request, item, &proposal);
	if (proposal.skip_reason)
	{
		skip_item(sql, advance, item, proposal.skip_reason);
		return;
	}
	advance->refused = unlike_preview(request, item, &proposal);
	if (advance->refused)
		return;
	proposal.promotion.proposed.plan = true;
	proposal.promotion.proposed.proposal.allow_replace = false;
	promotion_write(sql, &proposal.promotion, message_of(request), CurrentMemoryContext, &staged);
	item->status = "STAGED";
	item->revision = staged.new_revision;
	item->previous_revision = proposal.deployed_revision;
	item->last_plan = staged.deployment;
	item->plan = staged.deployment ? staged.deployment :
		last_plan(sql, &proposal.promotion.destination, staged.new_revision);
	request_save_item(sql, request, item);
}

/*
 * Refuse to stage others together with what was staged before, where that is
 * not what would be staged now: all stand for the same moment.
 */
static void
act_hold(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	ItemProposal proposal;

	lock_item(sql, request, item);
	request_propose(sql, request, item, &proposal);
	item->desired = proposal.promotion.proposed.current_revision;
	if (!request_is_as_staged(item, &proposal))
		advance->refused = "it has moved since it was staged: take another preview by promote.preview_request";
}

/* Plan again what is staged. */
void
act_plan(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	int32		plan = deploy_order(sql, &key, ACTION_PLAN, 0, message_of(request));

	if (item->rollback_revision > 0)
		item->rollback_plan = plan;
	else
		item->plan = plan;
	request_save_item(sql, request, item);
}

/*
 * Note which revision runs at an item's instance, which is locked: something
 * else may have been deployed since it was staged.  Where that is itself, by
 * somebody's hand, it is no place to go back to.
 */
static void
note_running(const Sql *sql, const InstanceKey *key, RequestItem *item)
{
	static OldStatement read = {
		.text = "SELECT i.deployed_revision FROM promote.instance AS i WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];
	int32		running;

	instance_key_values(key, values);
	statement_run(sql, &read, values, NULL, false);
	running = spi_integer(SPI_tuptable, 0, 1);
	if (running != item->revision)
		item->previous_revision = running;
}

/*
 * Refuse a plan that holds, and is not what was previewed.  One that does not
 * hold is refused for that before, and made again.
 */
static void
refuse_unlike_preview(const PromotionRequest *request, const RequestItem *item)
{
	ereport(ERROR,
			(errcode(PM_PREVIEW_MOVED),
			 errmsg("plan %d has another release or other params than preview %d shows: take another by promote.preview_request",
					item->last_plan, request->preview),
			 errdetail("Nothing is deployed that was not previewed."),
			 errhint("Take another preview by promote.preview_request, and look at it.")));
}

/* Deploy by its plan what is staged, if its gates are open and it has not left the scope. */
void
act_deploy(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	bool		back = item->rollback_revision > 0;
	char	   *left = back ? NULL : request_left_scope(sql, request, item);
	int32		deployment;

	if (left)
	{
		skip_item(sql, advance, item, left);
		return;
	}
	deployment = deploy_order(sql, &key, ACTION_PROVISION, item->last_plan, message_of(request));
	if (!back && !item->as_previewed)
		refuse_unlike_preview(request, item);
	if (back)
	{
		item->rollback_plan = item->last_plan;
		item->rollback_deployment = deployment;
	}
	else
	{
		note_running(sql, &key, item);
		item->plan = item->last_plan;
		item->deployment = deployment;
		item->status = "DEPLOYING";
	}
	request_save_item(sql, request, item);
}

/* Has a worker begun to deploy it? */
bool
request_has_run(const RequestItem *item)
{
	return item->deployment > 0 && item->deployment_began;
}

/*
 * Begin to roll an item back; what was only staged is rolled back by that, and
 * stays desired where nothing ran before.
 */
void
act_rollback(const Sql *sql, Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	Staged		staged;

	if (item->previous_revision == 0)
	{
		item->status = "ROLLED_BACK";
		request_save_item(sql, request, item);
		return;
	}
	rollback_stage(sql, &key, item->previous_revision, message_of(request), CurrentMemoryContext, &staged);
	if (request_has_run(item) && staged.new_revision == item->revision && staged.deployment == 0)
	{
		advance->refused = psprintf("it cannot be rolled back: revision %d ran before, too, and what its placeholders stand for was changed since; change that back",
									item->revision);
		return;
	}
	item->rollback_revision = staged.new_revision;
	item->last_plan = staged.deployment;
	item->rollback_plan = staged.deployment ? staged.deployment : last_plan(sql, &key, staged.new_revision);
	if (!request_has_run(item))
		item->status = "ROLLED_BACK";
	request_save_item(sql, request, item);
}

/* ---- trying it ---- */

/* Do what is tried with the item, in a scope; a step of attempt. */
static void
act_in_scope(void *state)
{
	Advance    *advance = state;
	Sql			sql;

	sql_enter(&sql);
	advance->act(&sql, advance, advance->item);
	advance->refused = request_copy(&advance->request, advance->refused);
	sql_leave(&sql);
}

/* What an item has become, as a move. */
static int
move_of(const Advance *advance, const RequestItem *item)
{
	if (strcmp(item->status, "SKIPPED") == 0)
		return SKIPPED;
	if (strcmp(item->status, "ROLLED_BACK") == 0)
		return ROLLED_BACK;
	return advance->act == act_plan ? PLANNED : advance->act == act_deploy ? DEPLOYING : STAGED;
}

/*
 * Try to do something with an item.  False where it was refused: nothing is
 * left of it, and why is noted.
 */
bool
act_on(Advance *advance, RequestItem *item, void (*act) (const Sql *, Advance *, RequestItem *))
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "promote step of an item", ALLOCSET_DEFAULT_SIZES);
	RequestItem before = *item;
	Refusal		refusal;
	bool		done;

	advance->item = item;
	advance->act = act;
	advance->refused = NULL;
	MemoryContextSwitchTo(context);
	done = attempt(act_in_scope, advance, &refusal);
	if (!done || advance->refused)
	{
		*item = before;
		item->plan_moved = !done && refusal.sqlstate == PM_PLAN_MOVED;
		advance_block(advance, item, advance->refused ? advance->refused : refusal.message);
		done = false;
	}
	else if (act != act_hold)
		note_move(advance, move_of(advance, item), item);
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
	return done;
}

/* All that is tried with all items of a status, or nothing of it. */
typedef struct Together
{
	Advance    *advance;
	const char *status;
	void		(*act) (const Sql *, Advance *, RequestItem *);
} Together;

/*
 * Try it with each, to know all reasons; a step of attempt.  Where some are
 * staged, what was staged before has to hold.
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
		bool		holds = together->act == act_stage && strcmp(item->status, "STAGED") == 0;

		CHECK_FOR_INTERRUPTS();
		if ((holds || strcmp(item->status, together->status) == 0) &&
			!act_on(advance, item, holds ? act_hold : together->act))
			refused++;
	}
	if (refused > 0)
		ereport(ERROR,
				(errcode(PM_REQUEST_STATE),
				 errmsg("request %d cannot go on all at once", advance->request.number),
				 errdetail("%d of its items cannot.", refused),
				 errhint("promote.advance_request says what it waits for.")));
}

/* Do something with all items of a status, or with none. */
bool
act_on_all(Advance *advance, const char *status, void (*act) (const Sql *, Advance *, RequestItem *))
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
		advance_wait_for(advance, refusal.message);
	return false;
}
