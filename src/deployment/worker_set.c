/*
 * worker_set.c: what workers that take batches report of many deployments by one call.
 *
 * Each element is judged as the verb of one judges it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/batch.h"
#include "base/errors.h"
#include "deployment/worker.h"
#include "ledger/guard.h"
#include "registry/set.h"

PG_FUNCTION_INFO_V1(promote_complete_many);
PG_FUNCTION_INFO_V1(promote_fail_many);
PG_FUNCTION_INFO_V1(promote_release_many);
PG_FUNCTION_INFO_V1(promote_heartbeat_many);

/* The elements k of a set, for statements that read the batch of take_elements. */
#define SET_ROWS "reported_element AS k"
/* The claimed deployments d of k whose claims hold at the time $1. */
#define CLAIMED " FROM " SET_ROWS " WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment AND " CLAIM_HOLDS("k.fencing", "$1")

/* What is reported of all elements. */
typedef struct Report
{
	Statement  *write;			/* reads the batch of take_elements; with the time, the text and the other time */
	DeploymentStatus status;	/* that has come about where the same was said before; NONE: it is not said twice */
	const char *text;			/* reason or message; NULL: none */
	TimestampTz at;				/* from or until when */
	bool		rows_alone;		/* lock the deployments and not their instances */
} Report;

/* An element as a statement of the report has written it. */
typedef struct Reported
{
	int32		place;
	char	   *action;
	char	   *status;
} Reported;

static const SqlField reported_fields[] = {
	SQL_FIELD(Reported, place, "k.place"), SQL_FIELD(Reported, action, "d.action"),
	SQL_FIELD(Reported, status, "d.status")
};

/* An element that was not written, as it is. */
typedef struct Unwritten
{
	int32		place;
	Deployment	deployment;		/* what judging its claim takes */
} Unwritten;

static const SqlField unwritten_fields[] = {
	SQL_FIELD(Unwritten, place, "k.place"),
	SQL_ENUM_FIELD(Unwritten, deployment.action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Unwritten, deployment.status, "d.status", deployment_statuses),
	SQL_FIELD(Unwritten, deployment.worker, "d.worker"), SQL_FIELD(Unwritten, deployment.fencing, "d.fencing"),
	SQL_FIELD(Unwritten, deployment.due_at, "d.due_at")
};

/* Take the elements that were not refused, and that are not done, as a batch. */
static void
take_elements(const Set *set, Element **elements, int count, Batch *batch)
{
	static const char *const columns[] = {SET_NAMES, "fencing"};

	*batch = (Batch) {.name = "reported_element",.columns = columns};
	batch_begin(batch);
	for (int i = 0; i < count; i++)
		if (elements[i]->sqlstate == 0 && elements[i]->action == NULL)
			batch_put(batch, SET_COLUMNS(set, elements[i]), AS_INT(elements[i]->fencing));
}

/* Note how an element came out. */
static void
note_outcome(const Set *set, int32 place, const char *action, const char *status)
{
	set->elements[place].action = MemoryContextStrdup(set->context, action);
	set->elements[place].status = MemoryContextStrdup(set->context, status);
}

/* Refuse a deployment that does not exist.  A judge of set_judge. */
static void
require_deployment(Element *element, void *state)
{
	Deployment	found;

	deployment_load(state, &element->key, element->number, &found);
}

/* Refuse a claim that does not hold. */
static void
refuse_claim(Element *element, void *state)
{
	claim_refuse(state, element->fencing);
}

/* Judge the elements that were not written: what was reported before stands, and the others are refused. */
static void
judge_unwritten(const Sql *sql, Set *set, Element **elements, int count, const Report *report)
{
	static Statement read = SQL_ROWS(unwritten_fields, "SELECT $* FROM " SET_ROWS " JOIN promote.deployment AS d"
									 " ON " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment");
	Set			missing = {.context = set->context,.left = elements,.left_count = count};
	Batch		batch;
	SqlRows		rows;
	Unwritten	unwritten;

	take_elements(set, elements, count, &batch);
	if (batch.count == 0)
		return;
	set_judge(&missing, require_deployment, unconstify(Sql *, sql));
	rows = batch_run(sql, &read, &batch);
	batch_end(&batch);
	for (uint64 i = 0; sql_row(&rows, i, &unwritten); i++)
	{
		Element    *element = &set->elements[unwritten.place];
		Set			one = {.context = set->context,.left = &element,.left_count = 1};

		unwritten.deployment.key = element->key;
		unwritten.deployment.deployment = element->number;
		if (report->status != DEPLOYMENT_NONE && unwritten.deployment.status == report->status &&
			unwritten.deployment.fencing == element->fencing)
			note_outcome(set, unwritten.place, deployment_actions[unwritten.deployment.action],
						 deployment_statuses[unwritten.deployment.status]);
		else
			set_judge(&one, refuse_claim, &unwritten.deployment);
	}
}

/* Lock the deployments alone, in the order of the set, as a heartbeat waits for nobody who changes the instance. */
static void
lock_rows(const Sql *sql, const Set *set, Element **elements, int count)
{
	static Statement lock = {"SELECT FROM " SET_ROWS " JOIN promote.deployment AS d"
		" ON " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment"
		" ORDER BY d.project, d.environment, d.component, d.deployment FOR NO KEY UPDATE OF d"};
	Batch		batch;

	for (int i = 0; i < count; i++)
		deployment_stand_behind(&elements[i]->key, elements[i]->number);
	take_elements(set, elements, count, &batch);
	(void) batch_call(sql, &lock, SQL_LOCK, &batch, NULL, 0);
	batch_end(&batch);
}

/* Lock, write and judge a part of the set, in a scope of its own. */
static void
report_part(Set *set, Element **elements, int count, const Report *report)
{
	Batch		batch;
	Reported	reported;
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	if (report->rows_alone)
		lock_rows(&sql, set, elements, count);
	else
		set_lock(&sql, set, elements, count, set_lock_instances);
	take_elements(set, elements, count, &batch);
	if (batch.count > 0)
	{
		batch_open(&batch);
		rows = guarded_run(&sql, report->write, AS_TIME(GetCurrentTimestamp()), AS_TEXT(report->text),
						   AS_TIME(report->at));
		batch_end(&batch);
		for (uint64 i = 0; sql_row(&rows, i, &reported); i++)
			note_outcome(set, reported.place, reported.action, reported.status);
		judge_unwritten(&sql, set, elements, count, report);
	}
	sql_leave(&sql);
}

/*
 * Report of all deployments that the arguments instances, deployments and fencings name, of which the last has that
 * place.  Puts a row for each.
 */
static Datum
report_all(FunctionCallInfo fcinfo, int fencings, int partial, const Report *report)
{
	Set			set;
	NullableDatum *numbers;
	NullableDatum *claims;

	InitMaterializedSRF(fcinfo, 0);
	set_open(fcinfo, 0, &set);
	numbers = set_numbers(fcinfo, 1, "deployments", true, &set);
	claims = set_numbers(fcinfo, fencings, "fencing numbers", true, &set);
	for (int i = 0; i < set.count; i++)
	{
		set.elements[i].number = value_int(numbers[i]);
		set.elements[i].fencing = value_int(claims[i]);
	}
	set_require_access(&set, "work");
	set_order(&set);
	for (int first = 0; first < set.left_count; first += SET_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		report_part(&set, set.left + first, Min(SET_BATCH, set.left_count - first), report);
	}
	set_require(&set, argument_bool(fcinfo, partial, false));
	set_put(fcinfo, &set);
	return (Datum) 0;
}

/*
 * promote.complete_many(instances text[], deployments integer[], fencings integer[], message text, partial
 * boolean) returns table, see sql/deployment/worker_set.sql
 */
Datum
promote_complete_many(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(reported_fields, "UPDATE promote.deployment AS d SET status = 'COMPLETED', reason = $2"
									  CLAIMED " RETURNING $*");

	return report_all(fcinfo, 2, 4, &(Report) {&write, DEPLOYMENT_COMPLETED, argument_text(fcinfo, 3), DT_NOEND});
}

/*
 * promote.fail_many(instances text[], deployments integer[], reason text, fencings integer[], partial boolean)
 * returns table
 */
Datum
promote_fail_many(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(reported_fields, "UPDATE promote.deployment AS d SET status = 'FAILED', reason = $2"
									  CLAIMED " RETURNING $*");

	return report_all(fcinfo, 3, 4, &(Report) {&write, DEPLOYMENT_FAILED, argument_required(fcinfo, 2, "reason"), DT_NOEND});
}

/*
 * promote.release_many(instances text[], deployments integer[], fencings integer[], reason text, delay
 * interval, partial boolean) returns table
 */
Datum
promote_release_many(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(reported_fields, "UPDATE promote.deployment AS d SET reason = $2, due_at = $3,"
									  " status = CASE WHEN d.approved_by IS NULL THEN 'PENDING' ELSE 'APPROVED' END"
									  CLAIMED " RETURNING $*");

	return report_all(fcinfo, 2, 5, &(Report) {&write, DEPLOYMENT_NONE, argument_text(fcinfo, 3),
					  time_ahead(fcinfo, 4, "delay", 0, 0)});
}

/*
 * promote.heartbeat_many(instances text[], deployments integer[], fencings integer[], lease interval, partial
 * boolean) returns table
 */
Datum
promote_heartbeat_many(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(reported_fields, "UPDATE promote.deployment AS d SET due_at = $3"
									  CLAIMED " RETURNING $*");

	return report_all(fcinfo, 2, 4, &(Report) {&write, DEPLOYMENT_NONE, NULL, time_ahead(fcinfo, 3, "lease", 1000, LEASE),
					  .rows_alone = true});
}
