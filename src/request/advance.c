/*
 * advance.c: moving a request.
 *
 * A call moves what may move and says what it waits for.  An item is staged,
 * planned by a worker, deployed when its gates are open, verified, and done.  When
 * all items of a wave are done, the next wave begins.  request/act.c does what is
 * done with items.
 *
 * The instances of all items of a wave that may move are locked first, in the order of their keys, as all verbs lock
 * instances.  A later wave of the same call is not waited for, as it would be out of that order: the next call goes on
 * with it.
 *
 * Each item opens a scope of its own, and none is open around the items: policies
 * run with the caller's rights, which are not those within a scope, and the memory
 * of ten thousand items is not held at once.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "base/result.h"
#include "ledger/guard.h"
#include "ledger/record_mark.h"
#include "registry/instance.h"
#include "request/act.h"

PG_FUNCTION_INFO_V1(promote_advance_request);

/* What the audit log calls the moves. */
static const char *const move_names[MOVES] = {
	[MOVE_STAGED] = "staged", [MOVE_PLANNED] = "planned", [MOVE_DEPLOYING] = "deploying",
	[MOVE_DEPLOYED] = "deployed", [MOVE_DONE] = "done", [MOVE_SKIPPED] = "skipped", [MOVE_FAILED] = "failed",
	[MOVE_ROLLED_BACK] = "rolled_back"
};

/* ---- an item's way ---- */

/* May items be begun now?  Notes why not. */
static bool
may_begin(Advance *advance)
{
	if (advance->request.window_open || advance->request.rolling_back)
		return true;
	advance_wait_for(advance, "window", advance->request.window ? advance->request.window : "the execution window is empty");
	return false;
}

/* Do all items take each step at once? */
static bool
is_together(const Advance *advance)
{
	return advance->request.strategy == STRATEGY_ALL_AT_ONCE && !advance->request.rolling_back;
}

/* Verify an item that is deployed: it is done when it is healthy and has soaked. */
static void
verify(Advance *advance, RequestItem *item)
{
	RequestHealth health;
	Sql			sql;
	char	   *words;

	sql_enter(&sql);
	health = request_health(&sql, &advance->request, item, &words);
	sql_leave(&sql);
	if (health == REQUEST_UNHEALTHY)
		advance_fail(advance, item, words);
	else if (health == REQUEST_HEALTHY && item->soaked)
		advance_save(advance, MOVE_DONE, item, ITEM_DONE);
	else
	{
		advance->in_flight++;
		if (health == REQUEST_HEALTHY)
			advance_wait(advance, item, "soak", "wave %d: \"%s\" soaks until %s", item->wave, advance_name_of(advance, item),
						 item->soaks_until);
		else
			advance_wait(advance, item, "verification", "wave %d: \"%s\" is not verified: to be reported healthy since its deployment: %s",
						 item->wave, advance_name_of(advance, item), words);
	}
}

/* Is a deployment over without being completed? */
static bool
has_failed(const ItemDeployment *deployment)
{
	return deployment->status == DEPLOYMENT_FAILED || deployment->status == DEPLOYMENT_ABORTED ||
		deployment->status == DEPLOYMENT_REJECTED;
}

/*
 * Is what a worker carries out for an item, a plan or a deployment, completed?  If
 * it has failed, so has the item; otherwise the item waits for it.
 */
static bool
is_carried_out(Advance *advance, RequestItem *item, const char *what, const ItemDeployment *deployment)
{
	const char *status = deployment_statuses[deployment->status];

	if (deployment->status == DEPLOYMENT_COMPLETED)
		return true;
	if (has_failed(deployment))
	{
		advance_fail(advance, item, psprintf("%s %d is %s%s%s", what, deployment->number, status,
											 deployment->reason ? ": " : "",
											 deployment->reason ? deployment->reason : ""));
		return false;
	}
	advance->in_flight++;
	if (deployment->status == DEPLOYMENT_RUNNING)
		advance_wait(advance, item, what, "wave %d: %s %d of \"%s\" is %s: worker \"%s\" has it", item->wave, what,
					 deployment->number, advance_name_of(advance, item), status,
					 deployment->worker ? deployment->worker : "");
	else
		advance_wait(advance, item, what, "wave %d: %s %d of \"%s\" is %s: a worker has to carry it out", item->wave, what,
					 deployment->number, advance_name_of(advance, item), status);
	return false;
}

/* Let an item wait for what was just asked for; what was there before, and is over, the next call looks at. */
static void
wait_queued(Advance *advance, RequestItem *item, const char *what, const ItemDeployment *queued)
{
	if (queued->number == 0 || queued->status == DEPLOYMENT_COMPLETED)
		advance->in_flight++;
	else
		(void) is_carried_out(advance, item, what, queued);
}

/* Let an item wait for a plan that was just queued; 0: for one that was there before. */
static void
wait_planned(Advance *advance, RequestItem *item, int32 number)
{
	wait_queued(advance, item, "plan", &(ItemDeployment) {number, DEPLOYMENT_PENDING, NULL, NULL});
}

/* Plan a staged item that has no plan, or whose plan does not hold any more. */
static void
plan_again(Advance *advance, RequestItem *item)
{
	if (act_on(advance, item, &act_plan))
		wait_planned(advance, item, item->rollback_revision > 0 ? item->rollback_plan : item->plan);
}

/*
 * Move a staged item: a worker plans it, and it is deployed by that plan.  What the
 * instance desires has to be what the item has staged.
 */
static void
advance_staged(Advance *advance, RequestItem *item)
{
	bool		back = item->rollback_revision > 0;

	if (back && item->desired != item->rollback_revision)
		advance_fail(advance, item, psprintf("revision %d was staged there since, behind revision %d that rolls it back",
											 item->desired, item->rollback_revision));
	else if (!back && item->desired != item->revision)
		advance_block(advance, item, &(NotDone) {"preview_moved", psprintf("revision %d was staged there since, behind this request's revision %d: take another preview by promote.preview_request",
																		   item->desired, item->revision)});
	else if (item->planned.number == 0)
		plan_again(advance, item);
	else if (!is_carried_out(advance, item, "plan", &item->planned))
		return;
	else if (!is_together(advance) && may_begin(advance) && act_on(advance, item, &act_deploy) &&
			 item->status != ITEM_SKIPPED)
		wait_queued(advance, item, "deployment", &item->queued);
	else if (item->plan_moved)
		plan_again(advance, item);
}

/* Move an item as far as it may. */
static void
advance_item(Advance *advance, RequestItem *item)
{
	if (item->status == ITEM_PENDING)
	{
		if (!is_together(advance) && may_begin(advance) && act_on(advance, item, &act_stage) &&
			item->status == ITEM_STAGED)
			wait_planned(advance, item, item->planned.number);
	}
	else if (item->status == ITEM_STAGED)
		advance_staged(advance, item);
	else if (item->status == ITEM_DEPLOYING && is_carried_out(advance, item, "deployment", &item->queued))
		advance_save(advance, MOVE_DEPLOYED, item, ITEM_VERIFYING);
	if (item->status == ITEM_VERIFYING)
		verify(advance, item);
}

/* Move an item that is rolled back. */
static void
advance_rollback(Advance *advance, RequestItem *item)
{
	/* it was being deployed when another item failed */
	if (item->status == ITEM_DEPLOYING)
	{
		if (!has_failed(&item->queued) && !is_carried_out(advance, item, "deployment", &item->queued))
			return;
		item->status = ITEM_ROLLING_BACK;
	}
	if (item->rollback_revision == 0 && item->previous_revision == 0 && request_has_run(item))
		advance_fail(advance, item, "nothing ran there before the request: it cannot be rolled back");
	else if (item->rollback_revision == 0)
	{
		if (act_on(advance, item, &act_rollback) && item->status != ITEM_ROLLED_BACK)
			wait_planned(advance, item, item->planned.number);
	}
	else if (item->rollback_deployment == 0)
		advance_staged(advance, item);
	else if (is_carried_out(advance, item, "deployment", &item->queued))
		advance_save(advance, MOVE_ROLLED_BACK, item, ITEM_ROLLED_BACK);
}

/* ---- locks ---- */

/* Items whose instances are to be locked. */
typedef struct Locking
{
	Advance    *advance;
	bool		(*moves) (const Advance *advance, const RequestItem *item);
} Locking;

/* Is the last plan completed, or missing? */
static bool
has_no_open_plan(const RequestItem *item)
{
	return item->planned.number == 0 || item->planned.status == DEPLOYMENT_COMPLETED;
}

/* May an item of the wave be staged, planned or deployed, or be held to what was staged? */
static bool
moves_on(const Advance *advance, const RequestItem *item)
{
	if (item->status != ITEM_PENDING && item->status != ITEM_STAGED)
		return false;
	return advance->request.window_open ?
		item->status == ITEM_PENDING || advance->together || has_no_open_plan(item) :
		item->status == ITEM_STAGED && item->planned.number == 0;
}

/* May an item be rolled back, or be planned or deployed for that? */
static bool
moves_back(const Advance *advance, const RequestItem *item)
{
	return item->status != ITEM_FAILED &&
		(item->rollback_revision == 0 || (item->rollback_deployment == 0 && has_no_open_plan(item)));
}

/* Compare keys of instances.  For qsort. */
static int
compare_keys(const void *a, const void *b)
{
	return instance_key_compare(a, b);
}

/* Lock the items' instances in their destination for update, or those in their source against it. */
static void
lock_environment(const Sql *sql, const Locking *locking, bool destination)
{
	const Advance *advance = locking->advance;
	const PromotionRequest *request = &advance->request;
	InstanceKey *keys = palloc_extended(advance->count * sizeof(InstanceKey), MCXT_ALLOC_HUGE);
	int			count = 0;

	for (int i = 0; i < advance->count; i++)
		if (locking->moves(advance, &advance->items[i]))
			keys[count++] = (InstanceKey) {request->project,
				destination ? request->destination_environment : request->source_environment,
				advance->items[i].component};
	qsort(keys, count, sizeof(InstanceKey), compare_keys);
	(void) instances_lock(sql, keys, count, destination);
}

/* Lock the items' instances, waiting for nobody where others are locked already.  A step of attempt_to_lock. */
static void
lock_all(void *state)
{
	const Locking *locking = state;
	const PromotionRequest *request = &locking->advance->request;
	bool		source_first = strcmp(request->source_environment, request->destination_environment) < 0;
	int			level = NewGUCNestLevel();
	Sql			sql;

	if (locking->advance->holds)
		sql_set_local("lock_timeout", "1");
	sql_enter(&sql);
	lock_environment(&sql, locking, !source_first);
	lock_environment(&sql, locking, source_first);
	sql_leave(&sql);
	AtEOXact_GUC(false, level);
}

/* Lock the instances of the items that may move; false, with why noted: others hold one, and this call is to end. */
static bool
lock_items(Advance *advance, bool (*moves) (const Advance *advance, const RequestItem *item))
{
	Locking		locking = {advance, moves};
	int			count = 0;

	for (int i = 0; i < advance->count; i++)
		count += moves(advance, &advance->items[i]);
	if (count == 0)
		return true;
	if (advance->holds)
	{
		if (attempt_to_lock(lock_all, &locking))
			return true;
		advance->in_flight++;
		advance_wait_for(advance, "held", psprintf("wave %d goes on with the next call: others hold its instances",
												   advance->request.wave));
		return false;
	}
	/* a single one is locked when it moves */
	if (count > 1)
		lock_all(&locking);
	advance->holds = true;
	return true;
}

/* ---- waves ---- */

/* Read a part of the items, to be moved. */
static void
read_items(Advance *advance, RequestPart part)
{
	Sql			sql;

	sql_enter(&sql);
	advance->items = request_items(&sql, &advance->request, part, &advance->count);
	sql_leave(&sql);
}

/* How many items that were read have a status of a set, see BIT? */
static int
count_items(const Advance *advance, int statuses)
{
	int			count = 0;

	for (int i = 0; i < advance->count; i++)
		if (statuses & BIT(advance->items[i].status))
			count++;
	return count;
}

/* How many items that were read are not over? */
static int
count_open(const Advance *advance)
{
	return count_items(advance, ~(BIT(ITEM_DONE) | BIT(ITEM_SKIPPED) | BIT(ITEM_ROLLED_BACK)));
}

/* Are all staged items planned, so that they can be deployed at once? */
static bool
are_all_planned(const Advance *advance)
{
	for (int i = 0; i < advance->count; i++)
	{
		const RequestItem *item = &advance->items[i];

		if (item->status == ITEM_STAGED &&
			(item->desired != item->revision || item->planned.status != DEPLOYMENT_COMPLETED))
			return false;
	}
	return count_items(advance, BIT(ITEM_STAGED)) > 0;
}

/*
 * With the strategy all_at_once: stage all items or none, and deploy all or none
 * once all are planned, which they may have been before.
 */
static void
advance_together(Advance *advance)
{
	if (count_items(advance, BIT(ITEM_PENDING)) > 0)
	{
		if (!may_begin(advance) || !act_on_all(advance, ITEM_PENDING, &act_stage))
			return;
		read_items(advance, PART_WAVE);
	}
	if (are_all_planned(advance) && may_begin(advance) &&
			 act_on_all(advance, ITEM_STAGED, &act_deploy))
		read_items(advance, PART_WAVE);
}

/* Can moving the item begin something, rather than only find out what has become of it? */
static bool
begins(const RequestItem *item)
{
	return item->status == ITEM_PENDING || (item->status == ITEM_STAGED && !has_failed(&item->planned));
}

/*
 * Move the items of the wave.  First come those that are done and were reported
 * unhealthy since, then those that are under way, and, if none has failed, those
 * that begin something.
 */
static void
advance_wave(Advance *advance)
{
	read_items(advance, PART_RELAPSED);
	for (int i = 0; i < advance->count; i++)
		verify(advance, &advance->items[i]);
	read_items(advance, PART_WAVE);
	advance->together = is_together(advance) && count_items(advance, BIT(ITEM_PENDING)) > 0;
	if (!lock_items(advance, moves_on))
		return;
	if (is_together(advance))
		advance_together(advance);
	for (int i = 0; i < advance->count; i++)
	{
		RequestItem *item = &advance->items[i];

		CHECK_FOR_INTERRUPTS();
		if (item->status == ITEM_FAILED)
			advance->failed++;
		else if (!begins(item))
			advance_item(advance, item);
	}
	for (int i = 0; i < advance->count && advance->failed == 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (begins(&advance->items[i]))
			advance_item(advance, &advance->items[i]);
	}
}

/* Go on to the next wave that is not over; false where there is none. */
static bool
begin_next_wave(Advance *advance)
{
	static Statement read = {"SELECT t.wave FROM promote.promotion_request_item AS t WHERE " OF_REQUEST("t")
		" AND t.wave > $3 AND t.status NOT IN ('DONE', 'SKIPPED', 'ROLLED_BACK')"
		" ORDER BY t.project, t.request, t.wave LIMIT 1"};
	PromotionRequest *request = &advance->request;
	Sql			sql;
	SqlRows		rows;
	bool		found;

	sql_enter(&sql);
	rows = sql_run(&sql, &read, AS_REQUEST(request), AS_INT(request->wave));
	found = rows.count > 0;
	if (found)
		request->wave = sql_int(&rows, 0);
	sql_leave(&sql);
	return found;
}

/* Mark the items that the rollback mode says for being rolled back, and abort what no worker has begun. */
static void
begin_rollback(Advance *advance)
{
	static Statement mark = {"UPDATE promote.promotion_request_item AS t"
		" SET status = 'ROLLING_BACK', finished_at = NULL"
		" WHERE " OF_REQUEST("t") " AND (t.wave = $3 OR $4)"
		" AND t.status IN ('PENDING', 'STAGED', 'VERIFYING', 'DONE', 'FAILED') AND t.revision IS NOT NULL"};
	PromotionRequest *request = &advance->request;
	Sql			sql;

	sql_enter(&sql);
	request_abort_queued(&sql, request, psprintf("request %d is rolled back: %s", request->number, advance->failure));
	guarded_run(&sql, &mark, AS_REQUEST(request), AS_INT(request->wave),
				AS_BOOL(request->rollback_mode == ROLLBACK_ALL));
	sql_leave(&sql);
	request->rolling_back = true;
	request->reason = advance->failure;
	advance->failed = 0;
}

/* Move the items that are rolled back; returns the new status of the request. */
static RequestStatus
advance_back(Advance *advance)
{
	read_items(advance, PART_ROLLBACK);
	if (!lock_items(advance, moves_back))
		return REQUEST_ROLLING_BACK;
	for (int i = 0; i < advance->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (advance->items[i].status == ITEM_FAILED)
			advance->failed++;
		else
			advance_rollback(advance, &advance->items[i]);
	}
	if (advance->failed > 0 && advance->in_flight == 0)
		return REQUEST_FAILED;
	return count_open(advance) > 0 ? REQUEST_ROLLING_BACK : REQUEST_ROLLED_BACK;
}

/* The status of a request all of whose items are over: it has completed nothing if they were all skipped. */
static RequestStatus
how_it_ends(const Advance *advance)
{
	static Statement find = {"SELECT FROM promote.promotion_request_item AS t WHERE " OF_REQUEST("t")
		" AND t.status = 'DONE' LIMIT 1"};
	Sql			sql;
	bool		done;

	sql_enter(&sql);
	done = sql_run(&sql, &find, AS_REQUEST(&advance->request)).count > 0;
	sql_leave(&sql);
	return done ? REQUEST_COMPLETED : REQUEST_SKIPPED;
}

/* Move one wave after the other; returns the new status of the request. */
static RequestStatus
advance_waves(Advance *advance)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		advance_wave(advance);
		if (advance->failed > 0)
		{
			if (advance->request.rollback_mode == ROLLBACK_NOTHING)
				return REQUEST_FAILED;
			begin_rollback(advance);
			return advance_back(advance);
		}
		if (count_open(advance) > 0)
			return advance->in_flight > 0 ? REQUEST_RUNNING : REQUEST_BLOCKED;
	} while (begin_next_wave(advance));
	return how_it_ends(advance);
}

/* ---- beginning ---- */

/* Record the call in the audit log, with the items that have moved. */
static void
record(const Sql *sql, Advance *advance, const char *event)
{
	JsonBuilder	facts;

	request_facts(&facts, &advance->request);
	for (int i = 0; i < MOVES; i++)
		if (advance->moves[i] != NIL)
			json_build_strings(&facts, move_names[i], advance->moves[i]);
	request_record(sql, &advance->request, event, &facts);
}

/* Lines of a message: the first REQUEST_SHOWN of them, and one that says that there are others. */
typedef struct Lines
{
	StringInfoData text;
	int			count;
} Lines;

/* Add a line to a message. */
static void
add_line(Lines *lines, const char *line)
{
	if (++lines->count <= REQUEST_SHOWN)
		appendStringInfo(&lines->text, "%s%s", lines->count > 1 ? "\n" : "", line);
	else if (lines->count == REQUEST_SHOWN + 1)
		appendStringInfoString(&lines->text, "\nand others");
}

/* What is found of an item that was previewed. */
typedef struct Check
{
	const PromotionRequest *request;
	const RequestItem *item;
	bool		moved;			/* would something else be staged than was previewed? */
	char	   *other_changes;	/* in the request's memory */
} Check;

/* Compare an item with its preview.  attempt runs this. */
static void
check_item(void *state)
{
	Check	   *check = state;
	ItemProposal proposal;
	Sql			sql;

	sql_enter(&sql);
	request_propose(&sql, check->request, check->item, &proposal);
	check->moved = !request_is_as_previewed(check->request, check->item, &proposal);
	if (proposal.skip_reason == NULL)
		check->other_changes = request_copy(check->request, proposal.other_changes);
	sql_leave(&sql);
}

/* Compare all items with the preview: add lines of what has moved, and of other changes. */
static void
check_items(Advance *advance, Lines *moved, Lines *others)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "promote check of an item", ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < advance->count; i++)
	{
		Check		check = {&advance->request, &advance->items[i], false, NULL};
		Refusal		refusal;

		CHECK_FOR_INTERRUPTS();
		if (check.item->status != ITEM_PENDING)
			continue;
		MemoryContextSwitchTo(context);
		/* an item that cannot be proposed is as previewed if the preview was refused, too */
		if (!attempt(check_item, &check, &refusal))
			check.moved = !request_is_as_previewed(check.request, check.item, NULL);
		MemoryContextSwitchTo(outer);
		if (check.moved)
			add_line(moved, psprintf("\"%s\" has moved since.", advance_name_of(advance, check.item)));
		if (check.other_changes)
			add_line(others, check.other_changes);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/* Refuse to begin a request whose preview does not hold any more, or along with other changes. */
static void
check_preview(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	Lines		moved = {.count = 0};
	Lines		others = {.count = 0};

	initStringInfo(&moved.text);
	initStringInfo(&others.text);
	read_items(advance, PART_ALL);
	check_items(advance, &moved, &others);
	if (moved.count > 0)
		ereport(ERROR,
				(errcode(PM_PREVIEW_MOVED),
				 errmsg("preview %d of request %d does not hold any more", request->preview, request->number),
				 errdetail_internal("%s", moved.text.data),
				 errhint("Take another by promote.preview_request, and look at it.")));
	if (others.count > 0 && !request->include_other_changes)
		ereport(ERROR,
				(errcode(PM_OTHER_CHANGES),
				 errmsg("other changes would ride along with request %d", request->number),
				 errdetail_internal("%s", others.text.data),
				 errhint("Deploy them or go back first, or open a request with include_other_changes => true.")));
}

/* Begin the request; false: its execution window is not open. */
static bool
begin(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	Sql			sql;

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
	request->status = REQUEST_RUNNING;
	sql_enter(&sql);
	record(&sql, advance, "request.started");
	sql_leave(&sql);
	return true;
}

/* ---- the call ---- */

/* Write the new status of the request, and record the call unless nothing has happened. */
static void
finish(Advance *advance, RequestStatus was, RequestStatus status)
{
	/* by the new status; a call that leads to another one is "request.advanced" */
	static const char *const events[] = {
		[REQUEST_BLOCKED] = "request.blocked", [REQUEST_FAILED] = "request.failed",
		[REQUEST_ROLLING_BACK] = "request.rolling_back", [REQUEST_ROLLED_BACK] = "request.rolled_back",
		[REQUEST_COMPLETED] = "request.completed", [REQUEST_SKIPPED] = "request.skipped"
	};
	PromotionRequest *request = &advance->request;
	const char *reason = status == REQUEST_FAILED && advance->failure ? advance->failure :
		status == REQUEST_FAILED || request->rolling_back ? request->reason : NULL;
	Sql			sql;

	if (advance->waits > REQUEST_SHOWN)
		advance_wait_for(advance, "more", psprintf("and %d more", advance->waits - REQUEST_SHOWN));
	sql_enter(&sql);
	request_set_status(&sql, request, status, reason);
	if (advance->moved > 0 || was != status || mark_waits(request->project, request_subject(request)))
		record(&sql, advance, was != status && events[status] ? events[status] : "request.advanced");
	sql_leave(&sql);
}

/* Move a request that does not stand still. */
static void
advance_request(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	RequestStatus was = request->status;
	RequestStatus status = was;

	if (request->rolling_back)
		status = advance_back(advance);
	else if (request->started)
		status = advance_waves(advance);
	else if (begin(advance))
		status = begin_next_wave(advance) ? advance_waves(advance) : how_it_ends(advance);
	finish(advance, was, status);
}

/* Is the request one that a call does not move?  Notes why, unless it is over. */
static bool
stands_still(Advance *advance)
{
	const PromotionRequest *request = &advance->request;
	const char *reason = request->reason ? request->reason : "no reason was given";

	if (request->status == REQUEST_PAUSED)
		advance_wait_for(advance, "paused", psprintf("it is paused (%s): promote.resume_request lets it go on", reason));
	else if (request->status == REQUEST_FAILED)
		advance_wait_for(advance, "failed", psprintf("it has failed (%s): promote.resume_request lets it go on, promote.cancel_request ends it",
													 reason));
	else
		return request_is_over(request);
	return true;
}

/* promote.advance_request(project text, request integer) returns a row, see sql/request/request.sql */
Datum
promote_advance_request(PG_FUNCTION_ARGS)
{
	Advance		advance = {.moved = 0};
	PromotionRequest *request = &advance.request;
	Sql			sql;

	request_open(fcinfo, &sql, false, "deploy", request);
	sql_leave(&sql);
	if (!stands_still(&advance))
		advance_request(&advance);
	return result_row(fcinfo, AS_TEXT(request_statuses[request->status]), AS_NUMBER(request->wave),
					  AS_INT(advance.moved), AS_JSONB(request_waits(request)));
}
