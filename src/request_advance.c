/*
 * request_advance.c: the motor of requests.
 *
 * A call moves what may move and says what it waits for.  An item is staged,
 * planned by a worker, deployed when its gates are open, verified, and done;
 * when all items of a wave are, the next one is begun.  What is refused leaves
 * nothing behind, for each item is moved in a subtransaction of its own, or, where
 * all go at once, all in one.
 *
 * No scope of spi.h is open around items: each opens its own, so that what
 * gates run with the caller's rights is run with those, and so that the
 * memory of ten thousand items is not held together.
 */
#include "postgres.h"

#include "compat.h"
#include "deploy.h"
#include "errors.h"
#include "history.h"
#include "json/digest.h"
#include "request.h"
#include "rollback.h"
#include "rule.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(promote_advance_request);

/* What was done with items, for the audit log. */
enum
{
	STAGED, PLANNED, DEPLOYING, DEPLOYED, DONE, SKIPPED, FAILED, ROLLED_BACK, MOVES
};

static const char *const move_names[MOVES] = {
	"staged", "planned", "deploying", "deployed", "done", "skipped", "failed", "rolled_back"
};

/* A call. */
typedef struct Advance
{
	PromotionRequest request;
	RequestItem *items;			/* of the wave, or to be rolled back */
	int			count;
	List	   *moves[MOVES];	/* components */
	int32		moved;
	int			waits;			/* how many there are, of which the request has the first */
	int			open;			/* items that are not over */
	int			in_flight;		/* of these, that a worker or time moves on */
	int			failed;
	char	   *failure;		/* what failed first */

	/* what is tried */
	RequestItem *item;
	void		(*act) (struct Advance *advance, RequestItem *item);
	const char *refused;		/* why nothing was done, although nothing was raised; NULL: it was done */
} Advance;

/* ---- what was done, and what is waited for ---- */

/* Is one more wait to be put into words? */
static bool
is_shown(Advance *advance)
{
	return advance->waits++ < REQUEST_SHOWN;
}

/* Note in words what is waited for, unless that is noted already. */
static void
wait_for(Advance *advance, const char *words)
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
static char *
name_of(const Advance *advance, const RequestItem *item)
{
	return request_instance_name(&advance->request, item->component);
}

/* An item waits for somebody. */
static void
block(Advance *advance, const RequestItem *item, const char *reason)
{
	if (is_shown(advance))
		wait_for(advance, psprintf("wave %d: \"%s\": %s", item->wave, name_of(advance, item), reason));
}

/* An item waits for a worker, or for time. */
static void
in_flight(Advance *advance, const RequestItem *item, const char *what, int32 deployment,
		  const char *status, const char *worker)
{
	advance->in_flight++;
	if (!is_shown(advance))
		return;
	if (strcmp(status, "RUNNING") == 0)
		wait_for(advance, psprintf("wave %d: %s %d of \"%s\" is RUNNING: worker \"%s\" has it", item->wave,
								   what, deployment, name_of(advance, item), worker ? worker : ""));
	else
		wait_for(advance, psprintf("wave %d: %s %d of \"%s\" is %s: a worker has to carry it out", item->wave,
								   what, deployment, name_of(advance, item), status));
}

/* The same of a PLAN or PROVISION that was just queued; 0: it was there before, and is looked at by the next call. */
static void
queued(Advance *advance, const RequestItem *item, const char *what, int32 deployment)
{
	if (deployment > 0)
		in_flight(advance, item, what, deployment, "PENDING", NULL);
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
static void
save(Advance *advance, int move, RequestItem *item, const char *status)
{
	SpiScope	scope;

	item->status = status;
	spi_enter(&scope);
	request_save_item(&advance->request, item);
	spi_leave(&scope);
	note_move(advance, move, item);
}

/* An item has failed. */
static void
fail_item(Advance *advance, RequestItem *item, const char *reason)
{
	const PromotionRequest *request = &advance->request;

	item->reason = request_copy(request, reason);
	advance->failed++;
	if (advance->failure == NULL)
		advance->failure = request_copy(request, psprintf("\"%s\": %s", name_of(advance, item), reason));
	save(advance, FAILED, item, "FAILED");
}

/* Is a deployment over without having come to its end? */
static bool
has_failed(const char *status)
{
	return strcmp(status, "FAILED") == 0 || strcmp(status, "ABORTED") == 0 ||
		strcmp(status, "REJECTED") == 0;
}

/* How a deployment ended, for people. */
static char *
ending(const char *what, int32 deployment, const char *status, const char *reason)
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
last_plan(const InstanceKey *key, int32 revision)
{
	static Statement read = {
		.text = "SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.action = 'PLAN' AND d.revision = $4"
		" ORDER BY d.revision DESC, d.deployment DESC LIMIT 1",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	instance_key_values(key, values);
	values[3] = Int32GetDatum(revision);
	statement_run(&read, values, NULL, false);
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
lock_item(const PromotionRequest *request, const RequestItem *item)
{
	Promotion	promotion = {
		.source = {request->project, request->source_environment, item->component},
		.destination = request_instance(request, item->component)
	};

	if (item->desired > 0 && item->source_desired > 0)
		promotion_lock(&promotion);
}

/* Skip an item. */
static void
skip_item(Advance *advance, RequestItem *item, const char *reason)
{
	item->status = "SKIPPED";
	item->skip_reason = request_copy(&advance->request, reason);
	request_save_item(&advance->request, item);
}

/* Stage an item, or skip it. */
static void
stage_item(Advance *advance, RequestItem *item)
{
	PromotionRequest *request = &advance->request;
	ItemProposal proposal;
	Staged		staged;

	lock_item(request, item);
	request_propose(request, item, &proposal);
	if (proposal.skip_reason)
	{
		skip_item(advance, item, proposal.skip_reason);
		return;
	}
	advance->refused = unlike_preview(request, item, &proposal);
	if (advance->refused)
		return;
	proposal.promotion.proposed.plan = true;
	proposal.promotion.proposed.proposal.allow_replace = false;
	promotion_write(&proposal.promotion, message_of(request), CurrentMemoryContext, &staged);
	item->status = "STAGED";
	item->revision = staged.new_revision;
	item->previous_revision = proposal.deployed_revision;
	item->last_plan = staged.deployment;
	item->plan = staged.deployment ? staged.deployment :
		last_plan(&proposal.promotion.destination, staged.new_revision);
	request_save_item(request, item);
}

/* Plan again what is staged. */
static void
plan_item(Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	int32		plan = deploy_order(&key, "PLAN", 0, message_of(request));

	if (item->rollback_revision > 0)
		item->rollback_plan = plan;
	else
		item->plan = plan;
	request_save_item(request, item);
}

/* Deploy by its plan what is staged, if its gates are open and it has not left the scope. */
static void
deploy_item(Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	char	   *left = item->rollback_revision > 0 ? NULL : request_left_scope(request, item);
	int32		deployment;

	if (left)
	{
		skip_item(advance, item, left);
		return;
	}
	deployment = deploy_order(&key, "PROVISION", item->last_plan, message_of(request));
	if (item->rollback_revision > 0)
	{
		item->rollback_plan = item->last_plan;
		item->rollback_deployment = deployment;
	}
	else
	{
		item->plan = item->last_plan;
		item->deployment = deployment;
		item->status = "DEPLOYING";
	}
	request_save_item(request, item);
}

/* Has a worker begun to deploy it? */
static bool
has_run(const RequestItem *item)
{
	return item->deployment > 0 && item->deployment_began;
}

/*
 * Begin to roll an item back; what was only staged is rolled back by that, and
 * stays desired where nothing ran before.
 */
static void
rollback_item(Advance *advance, RequestItem *item)
{
	const PromotionRequest *request = &advance->request;
	InstanceKey key = request_instance(request, item->component);
	Staged		staged;

	if (item->previous_revision == 0)
	{
		item->status = "ROLLED_BACK";
		request_save_item(request, item);
		return;
	}
	rollback_stage(&key, item->previous_revision, message_of(request), CurrentMemoryContext, &staged);
	item->rollback_revision = staged.new_revision;
	item->last_plan = staged.deployment;
	item->rollback_plan = staged.deployment ? staged.deployment : last_plan(&key, staged.new_revision);
	if (!has_run(item))
		item->status = "ROLLED_BACK";
	request_save_item(request, item);
}

/* ---- trying it ---- */

/* Do what is tried with the item, in a scope; a step of request_attempt. */
static void
act_in_scope(void *state)
{
	Advance    *advance = state;
	SpiScope	scope;

	spi_enter(&scope);
	advance->act(advance, advance->item);
	advance->refused = request_copy(&advance->request, advance->refused);
	spi_leave(&scope);
}

/* What an item has become, as a move. */
static int
move_of(const Advance *advance, const RequestItem *item)
{
	if (strcmp(item->status, "SKIPPED") == 0)
		return SKIPPED;
	if (strcmp(item->status, "ROLLED_BACK") == 0)
		return ROLLED_BACK;
	return advance->act == plan_item ? PLANNED : advance->act == deploy_item ? DEPLOYING : STAGED;
}

/*
 * Try to do something with an item.  False where it was refused: nothing is
 * left of it, and why is noted.
 */
static bool
attempt(Advance *advance, RequestItem *item, void (*act) (Advance *, RequestItem *))
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
	done = request_attempt(act_in_scope, advance, &refusal);
	if (!done || advance->refused)
	{
		*item = before;
		block(advance, item, advance->refused ? advance->refused : refusal.message);
		done = false;
	}
	else
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
	void		(*act) (Advance *, RequestItem *);
} Together;

/* Try it with each, to know all reasons; a step of request_attempt. */
static void
act_together(void *state)
{
	const Together *together = state;
	Advance    *advance = together->advance;
	int			refused = 0;

	for (int i = 0; i < advance->count; i++)
	{
		RequestItem *item = &advance->items[i];

		CHECK_FOR_INTERRUPTS();
		if (strcmp(item->status, together->status) == 0 && !attempt(advance, item, together->act))
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
static bool
try_together(Advance *advance, const char *status, void (*act) (Advance *, RequestItem *))
{
	Together	together = {advance, status, act};
	RequestItem *before = palloc_extended(Max(advance->count, 1) * sizeof(RequestItem), MCXT_ALLOC_HUGE);
	List	   *moves[MOVES];
	int32		moved = advance->moved;
	Refusal		refusal;

	memcpy(before, advance->items, advance->count * sizeof(RequestItem));
	for (int i = 0; i < MOVES; i++)
		moves[i] = list_copy(advance->moves[i]);
	if (request_attempt(act_together, &together, &refusal))
		return true;
	memcpy(advance->items, before, advance->count * sizeof(RequestItem));
	memcpy(advance->moves, moves, sizeof(moves));
	advance->moved = moved;
	if (advance->waits == 0)
		wait_for(advance, refusal.message);
	return false;
}

/* ---- an item's way ---- */

/* May anything be begun now? */
static bool
may_begin(Advance *advance)
{
	if (advance->request.window_open || advance->request.rolling_back)
		return true;
	wait_for(advance, advance->request.window ? advance->request.window : "the execution window is empty");
	return false;
}

/* Is it the item's turn only together with all others? */
static bool
is_together(const Advance *advance)
{
	return strcmp(advance->request.strategy, "all_at_once") == 0 && !advance->request.rolling_back;
}

/* Verify what is deployed: done when it is healthy and soaked. */
static void
verify(Advance *advance, RequestItem *item)
{
	RequestHealth health;
	SpiScope	scope;
	char	   *words = NULL;

	spi_enter(&scope);
	health = request_health(&advance->request, item, &words);
	spi_leave(&scope);
	if (health == REQUEST_UNHEALTHY)
		fail_item(advance, item, words);
	else if (health == REQUEST_HEALTHY && item->soaked)
		save(advance, DONE, item, "DONE");
	else
	{
		advance->in_flight++;
		if (is_shown(advance))
			wait_for(advance, health == REQUEST_HEALTHY ?
					 psprintf("wave %d: \"%s\" soaks until %s", item->wave, name_of(advance, item), item->soaks_until) :
					 psprintf("wave %d: \"%s\" is not verified: to be reported healthy since its deployment: %s",
							  item->wave, name_of(advance, item), words));
	}
}

/*
 * Move what is staged: by its plan, which a worker has to make.  What is
 * desired has to be what was staged.
 */
static void
advance_staged(Advance *advance, RequestItem *item)
{
	int32		staged = item->rollback_revision > 0 ? item->rollback_revision : item->revision;

	if (item->desired != staged)
		block(advance, item, psprintf("revision %d was staged there since, behind this request's revision %d: take another preview by promote.preview_request",
									  item->desired, staged));
	else if (item->last_plan == 0)
	{
		if (attempt(advance, item, plan_item))
			queued(advance, item, "plan", item->rollback_revision > 0 ? item->rollback_plan : item->plan);
	}
	else if (has_failed(item->plan_status))
		fail_item(advance, item, ending("plan", item->last_plan, item->plan_status, item->plan_reason));
	else if (strcmp(item->plan_status, "COMPLETED") != 0)
		in_flight(advance, item, "plan", item->last_plan, item->plan_status, item->plan_worker);
	else if (!is_together(advance) && may_begin(advance) && attempt(advance, item, deploy_item) &&
			 strcmp(item->status, "SKIPPED") != 0)
		queued(advance, item, "deployment",
			   item->rollback_revision > 0 ? item->rollback_deployment : item->deployment);
}

/* Move what is queued to be deployed: true where it has come to its end. */
static bool
advance_deploying(Advance *advance, RequestItem *item)
{
	int32		deployment = item->rollback_revision > 0 ? item->rollback_deployment : item->deployment;

	if (strcmp(item->deployment_status, "COMPLETED") == 0)
		return true;
	if (has_failed(item->deployment_status))
		fail_item(advance, item, ending("deployment", deployment, item->deployment_status,
										item->deployment_reason));
	else
		in_flight(advance, item, "deployment", deployment, item->deployment_status,
				  item->deployment_worker);
	return false;
}

/* Move an item as far as it may. */
static void
advance_item(Advance *advance, RequestItem *item)
{
	if (strcmp(item->status, "PENDING") == 0)
	{
		if (!is_together(advance) && may_begin(advance) && attempt(advance, item, stage_item) &&
			strcmp(item->status, "STAGED") == 0)
			queued(advance, item, "plan", item->last_plan);
	}
	else if (strcmp(item->status, "STAGED") == 0)
		advance_staged(advance, item);
	else if (strcmp(item->status, "DEPLOYING") == 0 && advance_deploying(advance, item))
		save(advance, DEPLOYED, item, "VERIFYING");
	if (strcmp(item->status, "VERIFYING") == 0)
		verify(advance, item);
}

/* Move an item that is rolled back. */
static void
advance_rollback(Advance *advance, RequestItem *item)
{
	/* it was being deployed when another one failed */
	if (strcmp(item->status, "DEPLOYING") == 0)
	{
		if (strcmp(item->deployment_status, "COMPLETED") != 0 && !has_failed(item->deployment_status))
		{
			in_flight(advance, item, "deployment", item->deployment, item->deployment_status,
					  item->deployment_worker);
			return;
		}
		item->status = "ROLLING_BACK";
	}
	if (item->rollback_revision == 0 && item->previous_revision == 0 && has_run(item))
		fail_item(advance, item, "nothing ran there before the request: it cannot be rolled back");
	else if (item->rollback_revision == 0)
	{
		if (attempt(advance, item, rollback_item) && strcmp(item->status, "ROLLED_BACK") != 0)
			queued(advance, item, "plan", item->last_plan);
	}
	else if (item->rollback_deployment == 0)
		advance_staged(advance, item);
	else if (advance_deploying(advance, item))
		save(advance, ROLLED_BACK, item, "ROLLED_BACK");
}

/* Is the item over, for the part of the request that is moved? */
static bool
is_over(const RequestItem *item)
{
	return strcmp(item->status, "DONE") == 0 || strcmp(item->status, "SKIPPED") == 0 ||
		strcmp(item->status, "ROLLED_BACK") == 0;
}

/* ---- waves ---- */

/* Read the items that are to be moved. */
static void
read_items(Advance *advance)
{
	SpiScope	scope;

	spi_enter(&scope);
	advance->items = request_items(&advance->request,
								   advance->request.rolling_back ? REQUEST_ROLLBACK : REQUEST_WAVE,
								   &advance->count);
	spi_leave(&scope);
}

/* How many items have a status. */
static int
count_status(const Advance *advance, const char *status)
{
	int			count = 0;

	for (int i = 0; i < advance->count; i++)
		if (strcmp(advance->items[i].status, status) == 0)
			count++;
	return count;
}

/* Are all items that are not over planned, so that they can be deployed at once? */
static bool
are_all_planned(const Advance *advance)
{
	for (int i = 0; i < advance->count; i++)
	{
		const RequestItem *item = &advance->items[i];

		if (strcmp(item->status, "STAGED") == 0 &&
			(item->desired != item->revision || item->last_plan == 0 ||
			 strcmp(item->plan_status, "COMPLETED") != 0))
			return false;
	}
	return count_status(advance, "STAGED") > 0;
}

/*
 * Where all go at once: stage every item or none, and deploy all when all are
 * planned.  What was just staged is not yet planned.
 */
static void
advance_together(Advance *advance)
{
	if (count_status(advance, "PENDING") > 0)
	{
		if (may_begin(advance) && try_together(advance, "PENDING", stage_item))
			read_items(advance);
	}
	else if (are_all_planned(advance) && may_begin(advance) &&
			 try_together(advance, "STAGED", deploy_item))
		read_items(advance);
}

/* Move the items that were read. */
static void
advance_items(Advance *advance)
{
	if (is_together(advance))
		advance_together(advance);
	advance->open = 0;
	for (int i = 0; i < advance->count; i++)
	{
		RequestItem *item = &advance->items[i];

		CHECK_FOR_INTERRUPTS();
		if (strcmp(item->status, "FAILED") == 0)
			advance->failed++;
		else if (advance->request.rolling_back)
			advance_rollback(advance, item);
		else
			advance_item(advance, item);
		if (!is_over(item))
			advance->open++;
	}
}

/* Go on to the next wave; false where there is none. */
static bool
begin_next_wave(Advance *advance)
{
	SpiScope	scope;
	int32		wave;

	spi_enter(&scope);
	wave = request_next_wave(&advance->request);
	spi_leave(&scope);
	if (wave > 0)
		advance->request.wave = wave;
	return wave > 0;
}

/* Mark what the rollback mode says for being rolled back, and stop what no worker has begun. */
static void
begin_rollback(Advance *advance)
{
	static Statement mark = {
		.text = "UPDATE promote.promotion_request_item AS t SET status = 'ROLLING_BACK', finished_at = NULL"
		" WHERE " OF_REQUEST("t") " AND (t.wave = $3 OR $4)"
		" AND t.status IN ('STAGED', 'VERIFYING', 'DONE', 'FAILED') AND t.revision IS NOT NULL",
		.parameters = 4,
		.types = {TEXTOID, INT4OID, INT4OID, BOOLOID}
	};
	PromotionRequest *request = &advance->request;
	Datum		values[4];
	SpiScope	scope;

	spi_enter(&scope);
	request_abort_queued(request, psprintf("request %d is rolled back: %s", request->number, advance->failure));
	request_values(request, values);
	values[2] = Int32GetDatum(request->wave);
	values[3] = BoolGetDatum(strcmp(request->rollback_mode, "all") == 0);
	guarded_run(&mark, values, NULL);
	spi_leave(&scope);
	request->rolling_back = true;
	request->reason = advance->failure;
	advance->failed = 0;
}

/* Roll back, and say what the request has become. */
static const char *
advance_rollbacks(Advance *advance)
{
	read_items(advance);
	advance_items(advance);
	if (advance->failed > 0 && advance->in_flight == 0)
		return "FAILED";
	return advance->open > 0 ? "ROLLING_BACK" : "ROLLED_BACK";
}

/* Move waves, and say what the request has become. */
static const char *
advance_waves(Advance *advance)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		read_items(advance);
		advance_items(advance);
		if (advance->failed > 0)
		{
			if (strcmp(advance->request.rollback_mode, "none") == 0)
				return "FAILED";
			begin_rollback(advance);
			return advance_rollbacks(advance);
		}
		if (advance->open > 0)
			return advance->in_flight > 0 ? "RUNNING" : "BLOCKED";
	} while (begin_next_wave(advance));
	return "COMPLETED";
}

/* ---- beginning ---- */

/* What the call has come to, for the audit log. */
static void
record(Advance *advance, const char *event)
{
	JsonBuilder	facts;

	request_facts(&facts, &advance->request);
	for (int i = 0; i < MOVES; i++)
	{
		ListCell   *cell;

		if (advance->moves[i] == NIL)
			continue;
		json_build_key(&facts, move_names[i], strlen(move_names[i]));
		json_build_begin_array(&facts);
		foreach(cell, advance->moves[i])
			json_build_string(&facts, lfirst(cell), strlen(lfirst(cell)));
		json_build_end_array(&facts);
	}
	request_record(&advance->request, event, &facts);
}

/* Add a name to those that a message has; the rest is counted. */
static void
add_name(StringInfo names, int number, const char *name)
{
	if (number <= REQUEST_SHOWN)
		appendStringInfo(names, "%s%s", number > 1 ? "\n" : "", name);
	else if (number == REQUEST_SHOWN + 1)
		appendStringInfoString(names, "\nand others");
}

/* What was found of items that were previewed. */
typedef struct Check
{
	Advance    *advance;
	const RequestItem *item;
	bool		moved;			/* is what would be staged another than was previewed? */
	char	   *other_changes;	/* in the request's memory */
} Check;

/* Hold an item against its preview; a step of request_attempt. */
static void
check_item(void *state)
{
	Check	   *check = state;
	const PromotionRequest *request = &check->advance->request;
	ItemProposal proposal;
	SpiScope	scope;

	spi_enter(&scope);
	request_propose(request, check->item, &proposal);
	check->moved = !json_digest_equal(json_digest(request_item_document(check->item, &proposal)),
									  check->item->preview_digest);
	if (proposal.skip_reason == NULL)
		check->other_changes = request_copy(request, proposal.other_changes);
	spi_leave(&scope);
}

/* The same of one that cannot be proposed. */
static bool
was_refused(const RequestItem *item)
{
	return json_digest_equal(json_digest(request_item_document(item, NULL)), item->preview_digest);
}

/* Hold all items against the preview: the lines of what has moved, and of other changes. */
static void
check_items(Advance *advance, StringInfo moved, StringInfo others)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "promote check of an item", ALLOCSET_DEFAULT_SIZES);
	int			moves = 0;
	int			rides = 0;

	for (int i = 0; i < advance->count; i++)
	{
		Check		check = {advance, &advance->items[i], false, NULL};
		Refusal		refusal;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(check.item->status, "PENDING") != 0)
			continue;
		MemoryContextSwitchTo(context);
		if (!request_attempt(check_item, &check, &refusal))
			check.moved = !was_refused(check.item);
		MemoryContextSwitchTo(outer);
		if (check.moved)
			add_name(moved, ++moves, psprintf("\"%s\" has moved since.", name_of(advance, check.item)));
		if (check.other_changes)
			add_name(others, ++rides, check.other_changes);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/* Refuse to begin what was not previewed, or is no longer what was. */
static void
check_preview(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	StringInfoData moved;
	StringInfoData others;
	SpiScope	scope;

	initStringInfo(&moved);
	initStringInfo(&others);
	spi_enter(&scope);
	advance->items = request_items(request, REQUEST_ALL, &advance->count);
	spi_leave(&scope);
	check_items(advance, &moved, &others);
	if (moved.len > 0)
		ereport(ERROR,
				(errcode(PM_PREVIEW_MOVED),
				 errmsg("preview %d of request %d does not hold any more", request->preview, request->number),
				 errdetail_internal("%s", moved.data),
				 errhint("Take another by promote.preview_request, and look at it.")));
	if (others.len > 0 && !request->include_other_changes)
		ereport(ERROR,
				(errcode(PM_OTHER_CHANGES),
				 errmsg("other changes would ride along with request %d", request->number),
				 errdetail_internal("%s", others.data),
				 errhint("Deploy them or go back first, or open a request with include_other_changes => true.")));
}

/* Begin the request; false where it is not yet time. */
static bool
begin(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	SpiScope	scope;

	if (request->preview == 0)
		ereport(ERROR,
				(errcode(PM_PREVIEW_MOVED),
				 errmsg("request %d was never previewed", request->number),
				 errdetail("Only what was previewed is executed."),
				 errhint("Call promote.preview_request, and look at what it shows.")));
	if (!may_begin(advance))
		return false;
	check_preview(advance);
	request->started = true;
	request->status = "RUNNING";
	advance->moved++;
	spi_enter(&scope);
	record(advance, "request.started");
	spi_leave(&scope);
	return true;
}

/* ---- the call ---- */

/* The event of a call that has brought the request into a status. */
static const char *
event_of(const char *was, const char *status)
{
	if (strcmp(was, status) == 0)
		return "request.advanced";
	return strcmp(status, "RUNNING") == 0 ? "request.advanced" :
		strcmp(status, "BLOCKED") == 0 ? "request.blocked" :
		strcmp(status, "FAILED") == 0 ? "request.failed" :
		strcmp(status, "ROLLING_BACK") == 0 ? "request.rolling_back" :
		strcmp(status, "ROLLED_BACK") == 0 ? "request.rolled_back" : "request.completed";
}

/* Write what the request has become, and record it unless nothing has happened. */
static void
finish(Advance *advance, const char *was, const char *status)
{
	PromotionRequest *request = &advance->request;
	const char *reason = strcmp(status, "FAILED") == 0 ? advance->failure ? advance->failure : request->reason :
		request->rolling_back ? request->reason : NULL;
	SpiScope	scope;

	if (advance->waits > REQUEST_SHOWN)
		wait_for(advance, psprintf("and %d more", advance->waits - REQUEST_SHOWN));
	spi_enter(&scope);
	request_set_status(request, status, reason);
	if (advance->moved > 0 || strcmp(was, status) != 0)
		record(advance, event_of(was, status));
	spi_leave(&scope);
}

/* Move a request that may be moved. */
static void
advance_request(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	const char *was = request->status;
	const char *status = was;

	if (request->rolling_back)
		status = advance_rollbacks(advance);
	else if (request->started)
		status = advance_waves(advance);
	else if (begin(advance))
		status = begin_next_wave(advance) ? advance_waves(advance) : "COMPLETED";
	finish(advance, was, status);
}

/* Why a request is not moved at all; NULL: it is. */
static char *
stands_still(const PromotionRequest *request)
{
	const char *reason = request->reason ? request->reason : "no reason was given";

	if (strcmp(request->status, "PAUSED") == 0)
		return psprintf("it is paused (%s): promote.resume_request lets it go on", reason);
	if (strcmp(request->status, "FAILED") == 0)
		return psprintf("it has failed (%s): promote.resume_request lets it go on, promote.cancel_request ends it", reason);
	return NULL;
}

/* Lock what the request is judged by, and read it. */
static void
enter_request(Advance *advance)
{
	static Statement lock = {
		.text = "SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2 FOR SHARE",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	PromotionRequest *request = &advance->request;
	Datum		values[2];
	SpiScope	scope;

	spi_enter(&scope);
	request_lock(request);
	request_read(request);
	values[0] = CStringGetTextDatum(request->project);
	values[1] = CStringGetTextDatum(request->destination_environment);
	if (!request_is_over(request))
		statement_run(&lock, values, NULL, false);
	spi_leave(&scope);
}

/* promote.advance_request(project text, request integer) returns a row, see sql/request.sql */
Datum
promote_advance_request(PG_FUNCTION_ARGS)
{
	Advance		advance = {.moved = 0};
	PromotionRequest *request = &advance.request;
	TupleDesc	row_type;
	bool		nulls[4] = {false};
	Datum		values[4];
	char	   *still;

	argument_request(fcinfo, request);
	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	enter_request(&advance);
	still = stands_still(request);
	if (still)
		wait_for(&advance, still);
	else if (!request_is_over(request))
		advance_request(&advance);
	nulls[1] = request->wave == 0;
	values[0] = CStringGetTextDatum(request->status);
	values[1] = Int32GetDatum(request->wave);
	values[2] = Int32GetDatum(advance.moved);
	values[3] = request_waits(request);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls));
}
