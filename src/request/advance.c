/*
 * advance.c: the motor of requests.
 *
 * A call moves what may move and says what it waits for.  An item is staged,
 * planned by a worker, deployed when its gates are open, verified, and done;
 * when all items of a wave are, the next one is begun.  What that takes is
 * request/act.c's.
 *
 * No scope of sql.h is open around items: each opens its own, so that what
 * gates run with the caller's rights is run with those, and so that the
 * memory of ten thousand items is not held together.
 */
#include "postgres.h"

#include "base/errors.h"
#include "json/digest.h"
#include "ledger/guard.h"
#include "ledger/record_mark.h"
#include "request/act.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(promote_advance_request);

static const char *const move_names[MOVES] = {
	"staged", "planned", "deploying", "deployed", "done", "skipped", "failed", "rolled_back"
};

/* ---- an item's way ---- */

/* May anything be begun now? */
static bool
may_begin(Advance *advance)
{
	if (advance->request.window_open || advance->request.rolling_back)
		return true;
	advance_wait_for(advance, advance->request.window ? advance->request.window : "the execution window is empty");
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
	Sql			sql;
	char	   *words = NULL;

	sql_enter(&sql);
	health = request_health(&sql, &advance->request, item, &words);
	sql_leave(&sql);
	if (health == REQUEST_UNHEALTHY)
		advance_fail(advance, item, words);
	else if (health == REQUEST_HEALTHY && item->soaked)
		advance_save(advance, DONE, item, "DONE");
	else
	{
		advance->in_flight++;
		if (advance_is_shown(advance))
			advance_wait_for(advance, health == REQUEST_HEALTHY ?
					 psprintf("wave %d: \"%s\" soaks until %s", item->wave, advance_name_of(advance, item), item->soaks_until) :
					 psprintf("wave %d: \"%s\" is not verified: to be reported healthy since its deployment: %s",
							  item->wave, advance_name_of(advance, item), words));
	}
}

/* Plan what is staged: what has no plan, or one that does not hold any more. */
static void
plan_again(Advance *advance, RequestItem *item)
{
	if (act_on(advance, item, act_plan))
		advance_queued(advance, item, "plan", item->rollback_revision > 0 ? item->rollback_plan : item->plan);
}

/*
 * Move what is staged: by its plan, which a worker has to make.  What is
 * desired has to be what was staged.
 */
static void
advance_staged(Advance *advance, RequestItem *item)
{
	bool		back = item->rollback_revision > 0;

	if (back && item->desired != item->rollback_revision)
		advance_fail(advance, item, psprintf("revision %d was staged there since, behind revision %d that rolls it back",
											 item->desired, item->rollback_revision));
	else if (!back && item->desired != item->revision)
		advance_block(advance, item, psprintf("revision %d was staged there since, behind this request's revision %d: take another preview by promote.preview_request",
											  item->desired, item->revision));
	else if (item->last_plan == 0)
		plan_again(advance, item);
	else if (deployment_has_failed(item->plan_status))
		advance_fail(advance, item, deployment_ending("plan", item->last_plan, item->plan_status, item->plan_reason));
	else if (strcmp(item->plan_status, "COMPLETED") != 0)
		advance_in_flight(advance, item, "plan", item->last_plan, item->plan_status, item->plan_worker);
	else if (!is_together(advance) && may_begin(advance) && act_on(advance, item, act_deploy) &&
			 strcmp(item->status, "SKIPPED") != 0)
		advance_queued(advance, item, "deployment", back ? item->rollback_deployment : item->deployment);
	else if (item->plan_moved)
		plan_again(advance, item);
}

/* Move what is queued to be deployed: true where it has come to its end. */
static bool
advance_deploying(Advance *advance, RequestItem *item)
{
	int32		deployment = item->rollback_revision > 0 ? item->rollback_deployment : item->deployment;

	if (strcmp(item->deployment_status, "COMPLETED") == 0)
		return true;
	if (deployment_has_failed(item->deployment_status))
		advance_fail(advance, item, deployment_ending("deployment", deployment, item->deployment_status,
										item->deployment_reason));
	else
		advance_in_flight(advance, item, "deployment", deployment, item->deployment_status,
				  item->deployment_worker);
	return false;
}

/* Move an item as far as it may. */
static void
advance_item(Advance *advance, RequestItem *item)
{
	if (strcmp(item->status, "PENDING") == 0)
	{
		if (!is_together(advance) && may_begin(advance) && act_on(advance, item, act_stage) &&
			strcmp(item->status, "STAGED") == 0)
			advance_queued(advance, item, "plan", item->last_plan);
	}
	else if (strcmp(item->status, "STAGED") == 0)
		advance_staged(advance, item);
	else if (strcmp(item->status, "DEPLOYING") == 0 && advance_deploying(advance, item))
		advance_save(advance, DEPLOYED, item, "VERIFYING");
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
		if (strcmp(item->deployment_status, "COMPLETED") != 0 && !deployment_has_failed(item->deployment_status))
		{
			advance_in_flight(advance, item, "deployment", item->deployment, item->deployment_status,
					  item->deployment_worker);
			return;
		}
		item->status = "ROLLING_BACK";
	}
	if (item->rollback_revision == 0 && item->previous_revision == 0 && request_has_run(item))
		advance_fail(advance, item, "nothing ran there before the request: it cannot be rolled back");
	else if (item->rollback_revision == 0)
	{
		if (act_on(advance, item, act_rollback) && strcmp(item->status, "ROLLED_BACK") != 0)
			advance_queued(advance, item, "plan", item->last_plan);
	}
	else if (item->rollback_deployment == 0)
		advance_staged(advance, item);
	else if (advance_deploying(advance, item))
		advance_save(advance, ROLLED_BACK, item, "ROLLED_BACK");
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
	Sql			sql;

	sql_enter(&sql);
	advance->items = request_items(&sql, &advance->request,
								   advance->request.rolling_back ? REQUEST_ROLLBACK : REQUEST_WAVE,
								   &advance->count);
	sql_leave(&sql);
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
		if (may_begin(advance) && act_on_all(advance, "PENDING", act_stage))
			read_items(advance);
	}
	else if (are_all_planned(advance) && may_begin(advance) &&
			 act_on_all(advance, "STAGED", act_deploy))
		read_items(advance);
}

/* Can moving the item begin something, instead of only finding out what has come of it? */
static bool
begins(const RequestItem *item)
{
	return strcmp(item->status, "PENDING") == 0 ||
		(strcmp(item->status, "STAGED") == 0 && (item->last_plan == 0 || !deployment_has_failed(item->plan_status)));
}

/* What was done is no longer, where it was reported unhealthy before its wave was over. */
static void
fail_relapsed(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	RequestItem *items;
	Sql			sql;
	int			count;

	sql_enter(&sql);
	items = request_items(&sql, request, REQUEST_RELAPSED, &count);
	sql_leave(&sql);
	for (int i = 0; i < count; i++)
	{
		char	   *words = NULL;

		sql_enter(&sql);
		(void) request_health(&sql, request, &items[i], &words);
		sql_leave(&sql);
		advance_fail(advance, &items[i], words);
	}
}

/*
 * Move the items of the wave: first those that are on their way, and the
 * others only if none of these has failed.
 */
static void
advance_wave(Advance *advance)
{
	fail_relapsed(advance);
	if (is_together(advance))
		advance_together(advance);
	for (int i = 0; i < advance->count; i++)
	{
		RequestItem *item = &advance->items[i];

		CHECK_FOR_INTERRUPTS();
		if (strcmp(item->status, "FAILED") == 0)
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

/* Move the items that are rolled back. */
static void
advance_back(Advance *advance)
{
	for (int i = 0; i < advance->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(advance->items[i].status, "FAILED") == 0)
			advance->failed++;
		else
			advance_rollback(advance, &advance->items[i]);
	}
}

/* Move the items that were read. */
static void
advance_items(Advance *advance)
{
	if (advance->request.rolling_back)
		advance_back(advance);
	else
		advance_wave(advance);
	advance->open = 0;
	for (int i = 0; i < advance->count; i++)
		if (!is_over(&advance->items[i]))
			advance->open++;
}

/* Go on to the next wave; false where there is none. */
static bool
begin_next_wave(Advance *advance)
{
	Sql			sql;
	int32		wave;

	sql_enter(&sql);
	wave = request_next_wave(&sql, &advance->request);
	sql_leave(&sql);
	if (wave > 0)
		advance->request.wave = wave;
	return wave > 0;
}

/* Mark what the rollback mode says for being rolled back, and stop what no worker has begun. */
static void
begin_rollback(Advance *advance)
{
	static OldStatement mark = {
		.text = "UPDATE promote.promotion_request_item AS t SET status = 'ROLLING_BACK', finished_at = NULL"
		" WHERE " OF_REQUEST("t") " AND (t.wave = $3 OR $4)"
		" AND t.status IN ('PENDING', 'STAGED', 'VERIFYING', 'DONE', 'FAILED') AND t.revision IS NOT NULL",
		.parameters = 4,
		.types = {TEXTOID, INT4OID, INT4OID, BOOLOID}
	};
	PromotionRequest *request = &advance->request;
	Datum		values[4];
	Sql			sql;

	sql_enter(&sql);
	request_abort_queued(&sql, request, psprintf("request %d is rolled back: %s", request->number, advance->failure));
	request_values(request, values);
	values[2] = Int32GetDatum(request->wave);
	values[3] = BoolGetDatum(strcmp(request->rollback_mode, "all") == 0);
	old_guarded_run(&sql, &mark, values, NULL);
	sql_leave(&sql);
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
record(const Sql *sql, Advance *advance, const char *event)
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
	request_record(sql, &advance->request, event, &facts);
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

/* Hold an item against its preview; a step of attempt. */
static void
check_item(void *state)
{
	Check	   *check = state;
	const PromotionRequest *request = &check->advance->request;
	ItemProposal proposal;
	Sql			sql;

	sql_enter(&sql);
	request_propose(&sql, request, check->item, &proposal);
	check->moved = !json_digest_equal(json_digest(request_item_document(check->item, &proposal)),
									  check->item->preview_digest);
	if (proposal.skip_reason == NULL)
		check->other_changes = request_copy(request, proposal.other_changes);
	sql_leave(&sql);
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
		if (!attempt(check_item, &check, &refusal))
			check.moved = !was_refused(check.item);
		MemoryContextSwitchTo(outer);
		if (check.moved)
			add_name(moved, ++moves, psprintf("\"%s\" has moved since.", advance_name_of(advance, check.item)));
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
	Sql			sql;

	initStringInfo(&moved);
	initStringInfo(&others);
	sql_enter(&sql);
	advance->items = request_items(&sql, request, REQUEST_ALL, &advance->count);
	sql_leave(&sql);
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
	request->status = "RUNNING";
	advance->moved++;
	sql_enter(&sql);
	record(&sql, advance, "request.started");
	sql_leave(&sql);
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
	Sql			sql;

	if (advance->waits > REQUEST_SHOWN)
		advance_wait_for(advance, psprintf("and %d more", advance->waits - REQUEST_SHOWN));
	sql_enter(&sql);
	request_set_status(&sql, request, status, reason);
	if (advance->moved > 0 || strcmp(was, status) != 0 ||
		mark_waits(request->project, request_subject(request)))
		record(&sql, advance, event_of(was, status));
	sql_leave(&sql);
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

/* Lock the request, and read it. */
static void
enter_request(Advance *advance)
{
	PromotionRequest *request = &advance->request;
	Sql			sql;

	sql_enter(&sql);
	request_lock(&sql, request);
	request_read(&sql, request);
	request_access(request, sql.user, "deploy");
	sql_leave(&sql);
}

/* promote.advance_request(project text, request integer) returns a row, see sql/request/request.sql */
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
		advance_wait_for(&advance, still);
	else if (!request_is_over(request))
		advance_request(&advance);
	nulls[1] = request->wave == 0;
	values[0] = CStringGetTextDatum(request->status);
	values[1] = Int32GetDatum(request->wave);
	values[2] = Int32GetDatum(advance.moved);
	values[3] = request_waits(request);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls));
}
