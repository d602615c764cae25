/*
 * request.c: the rows and states of requests, and the verbs that pause, resume and
 * cancel them.
 *
 * A request is opened in request/scope.c, previewed in request/preview.c and
 * moved in request/advance.c.  Locks: the request's row comes first, then the
 * environments', then the instances', by component.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/rel.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "request/request.h"

PG_FUNCTION_INFO_V1(promote_pause_request);
PG_FUNCTION_INFO_V1(promote_resume_request);
PG_FUNCTION_INFO_V1(promote_cancel_request);
PG_FUNCTION_INFO_V1(promote_request_evidence);

const char *const request_statuses[] = {
	[REQUEST_OPEN] = "OPEN", [REQUEST_RUNNING] = "RUNNING", [REQUEST_BLOCKED] = "BLOCKED",
	[REQUEST_PAUSED] = "PAUSED", [REQUEST_FAILED] = "FAILED", [REQUEST_ROLLING_BACK] = "ROLLING_BACK",
	[REQUEST_ROLLED_BACK] = "ROLLED_BACK", [REQUEST_COMPLETED] = "COMPLETED",
	[REQUEST_SKIPPED] = "SKIPPED", [REQUEST_CANCELLED] = "CANCELLED", NULL
};

const char *const request_strategies[] = {
	[STRATEGY_ONE_BY_ONE] = "one_by_one", [STRATEGY_WAVES] = "waves", [STRATEGY_CANARY] = "canary",
	[STRATEGY_ALL_AT_ONCE] = "all_at_once", NULL
};

const char *const rollback_modes[] = {
	[ROLLBACK_NOTHING] = "none", [ROLLBACK_WAVE] = "wave", [ROLLBACK_ALL] = "all", NULL
};

/* A copy of a text in the request's memory; NULL stays NULL. */
char *
request_copy(const PromotionRequest *request, const char *text)
{
	return text ? MemoryContextStrdup(request->context, text) : NULL;
}

/* A copy of a document in the request's memory; NULL stays NULL. */
Jsonb *
request_copy_document(const PromotionRequest *request, const Jsonb *document)
{
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	Jsonb	   *copy = document ? DatumGetJsonbPCopy(JsonbPGetDatum(document)) : NULL;

	MemoryContextSwitchTo(inner);
	return copy;
}

/* Why an item is skipped: an object with a code for programs and a message for people. */
Jsonb *
skip_reason(const char *code, const char *message)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, "code", code);
	json_build_field(&builder, "message", message);
	return json_builder_finish(&builder);
}

/* The message of such an object. */
char *
skip_message(const Jsonb *reason)
{
	JsonbValue	view;
	JsonbValue	message;

	json_root(reason, &view);
	if (!json_find(&view, "message", &message) || message.type != jbvString)
		return "no reason is known";
	return pnstrdup(message.val.string.val, message.val.string.len);
}

/* What a request waits for, as an array of objects. */
Jsonb *
request_waits(const PromotionRequest *request)
{
	JsonBuilder	builder;
	ListCell   *cell;

	json_begin_array(&builder);
	foreach(cell, request->waits)
	{
		const RequestWait *wait = lfirst(cell);

		json_build_begin_object(&builder);
		json_build_field(&builder, "code", wait->code);
		json_build_field(&builder, "message", wait->message);
		if (wait->instance)
		{
			json_build_number(&builder, "wave", wait->wave);
			json_build_field(&builder, "instance", wait->instance);
		}
		if (wait->refusal)
			json_build_field(&builder, "sqlstate", wait->refusal);
		json_build_end_object(&builder);
	}
	return json_builder_finish(&builder);
}

/*
 * Take the arguments that all verbs begin with.  What is read later lives as long
 * as the call.  A caller who sees nothing of the project is refused before anybody
 * looks whether there is such a request.
 */
void
argument_request(FunctionCallInfo fcinfo, PromotionRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->context = CurrentMemoryContext;
	request->project = argument_required(fcinfo, 0, "project");
	access_require_sight(request->project);
	request->number = argument_number(fcinfo, 1, "request");
}

/* What the audit log calls a request. */
char *
request_subject(const PromotionRequest *request)
{
	return psprintf("request %s/%d", request->project, request->number);
}

/* The destination instance of a component. */
InstanceKey
request_instance(const PromotionRequest *request, const char *component)
{
	return (InstanceKey) {request->project, request->destination_environment, (char *) component};
}

/* The name of the destination instance of a component. */
char *
request_instance_name(const PromotionRequest *request, const char *component)
{
	InstanceKey key = request_instance(request, component);

	return instance_key_name(&key);
}

/* What of a component's source is taken: what is chosen for it, on top of what is chosen for all. */
void
request_choice(const PromotionRequest *request, const char *component, Choice *choice)
{
	StringInfoData problems;
	JsonbValue	own;

	*choice = (Choice) {.source_state = SOURCE_DESIRED};
	initStringInfo(&problems);
	choice_read(request->choice, "all", choice, &problems);
	if (json_find_in(request->choices, component, &own))
		choice_read(json_from_view(&own), component, choice, &problems);
	choice_require_read(&problems);
}

/* What of a component's source is taken, as an object: an empty one for all that it desires. */
Jsonb *
request_choice_document(const PromotionRequest *request, const char *component)
{
	JsonbValue	own;
	Choice		choice;

	if (!json_find_in(request->choices, component, &own))
		return request->choice;
	request_choice(request, component, &choice);
	return choice_document(&choice);
}

/* Refuse a request that does not exist, saying how many do; 40001 if it came after the snapshot. */
static void
refuse_unknown(const Sql *sql, const PromotionRequest *request)
{
	static Statement read = {"SELECT p.request FROM promote.project AS p WHERE p.project = $1"};
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(request->project));
	int32		last = rows.count > 0 ? sql_int(&rows, 0) : 0;

	if (request->number > 0 && request->number <= last)
		refuse_unseen();
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("there is no request %d of project \"%s\"", request->number, request->project),
			 rows.count == 0 ? errdetail("There is no such project.") :
			 last == 0 ? errdetail("None was opened yet.") :
			 errdetail("Requests are numbered from 1 to %d.", last),
			 errhint("promote.promotion_request lists them; promote.open_request opens one.")));
}

/* Lock the request's row.  Raises PM_NOT_FOUND, and in an emergency PM_HELD if others do not release it in time. */
static void
lock_request(const Sql *sql, const PromotionRequest *request, bool emergency)
{
	const RowToLock row = {
		.key = {"promotion_request", "promotion_request_pkey", {AS_REQUEST(request)}, 2},
		.mode = LockTupleNoKeyExclusive,
		.what = psprintf("request %d of project \"%s\"", request->number, request->project),
		.project = request->project
	};

	if (!(emergency ? row_rescue(sql, &row, rescue_deadline()) : row_lock(&row)))
		refuse_unknown(sql, request);
}

/* The columns of promote_internal.request_now AS r. */
static const SqlField request_fields[] = {
	SQL_FIELDS(PromotionRequest, "r", source_environment, destination_environment, selector, overrides, choice,
			   choices),
	SQL_ENUM_FIELD(PromotionRequest, strategy, "r.strategy", request_strategies),
	SQL_ENUM_FIELD(PromotionRequest, rollback_mode, "r.rollback_mode", rollback_modes),
	SQL_FIELDS(PromotionRequest, "r", message, include_other_changes, reprovision),
	SQL_FIELD(PromotionRequest, carry.secrets, "r.copy_secrets"),
	SQL_FIELD(PromotionRequest, carry.references, "r.copy_remote_references"),
	SQL_FIELD(PromotionRequest, pin, "r.pin"),
	SQL_FIELD(PromotionRequest, window_open, "r.window_open"),
	SQL_FIELD(PromotionRequest, window, "r.window_words"),
	SQL_ENUM_FIELD(PromotionRequest, status, "r.status", request_statuses),
	SQL_FIELDS(PromotionRequest, "r", wave, started, rolling_back, reason, preview),
	SQL_FIELD(PromotionRequest, opener.actor, "r.actor"),
	SQL_FIELD(PromotionRequest, opener.database_role, "r.database_role")
};

/* Read the request's row and the head of its chain; the verbs that move it have locked it. */
void
request_read(const Sql *sql, PromotionRequest *request)
{
	static Statement read = SQL_ROWS(request_fields, "SELECT $* FROM promote_internal.request_now AS r"
									 " WHERE " OF_REQUEST("r"));
	SqlRows		rows = sql_run(sql, &read, AS_REQUEST(request));
	MemoryContext inner;

	if (rows.count == 0)
		refuse_unknown(sql, request);
	audit_read_head(request->project, request_subject(request), &request->head);
	inner = MemoryContextSwitchTo(request->context);
	(void) sql_row(&rows, 0, request);
	if (request->selector)
		request->selector = DatumGetJsonbPCopy(JsonbPGetDatum(request->selector));
	request->overrides = DatumGetJsonbPCopy(JsonbPGetDatum(request->overrides));
	request->choice = DatumGetJsonbPCopy(JsonbPGetDatum(request->choice));
	request->choices = DatumGetJsonbPCopy(JsonbPGetDatum(request->choices));
	if (request->head.hash)
		request->head.hash = DatumGetByteaPCopy(PointerGetDatum(request->head.hash));
	MemoryContextSwitchTo(inner);
}

/*
 * What the verbs that move a request begin with: take the arguments, enter the scope, lock the
 * request and read it.  Moving it takes the grant promote at the destination, view at the
 * source, and at the destination the grant action, unless that is NULL.
 */
void
request_open(FunctionCallInfo fcinfo, Sql *scope, bool emergency, const char *action, PromotionRequest *request)
{
	require_primary();
	argument_request(fcinfo, request);
	sql_enter(scope);
	lock_request(scope, request, emergency);
	request_read(scope, request);
	access_require_of(scope->user, "promote", request->project, request->destination_environment);
	access_require_of(scope->user, "view", request->project, request->source_environment);
	if (action)
		access_require_of(scope->user, action, request->project, request->destination_environment);
}

/* What asking about a request begins with on a standby, where nothing is locked: the same for who could move it. */
void
request_look(FunctionCallInfo fcinfo, Sql *scope, PromotionRequest *request)
{
	argument_request(fcinfo, request);
	sql_enter(scope);
	request_read(scope, request);
	sql_leave(scope);
	access_require_to_read("promote", request->project, request->destination_environment);
	access_require_to_read("view", request->project, request->source_environment);
	sql_enter(scope);
}

/* Is the request over, so that nothing of it will ever move again? */
bool
request_is_over(const PromotionRequest *request)
{
	return request->status == REQUEST_COMPLETED || request->status == REQUEST_ROLLED_BACK ||
		request->status == REQUEST_SKIPPED || request->status == REQUEST_CANCELLED;
}

/* What can be done with a request, for a hint. */
static const char *
way_out(const PromotionRequest *request)
{
	if (request_is_over(request))
		return "It is over: open another one by promote.open_request.";
	if (request->status == REQUEST_PAUSED || request->status == REQUEST_FAILED)
		return "promote.resume_request lets it go on, promote.cancel_request ends it.";
	return "promote.advance_request moves it, promote.pause_request stops it.";
}

/* Refuse a verb unless the request's status is one of a set, by BIT. */
void
request_require_status(const PromotionRequest *request, int allowed, const char *verb)
{
	const char *status = request_statuses[request->status];

	if (allowed & BIT(request->status))
		return;
	ereport(ERROR,
			(errcode(PM_REQUEST_STATE),
			 errmsg("request %d of project \"%s\" cannot be %s", request->number,
					request->project, verb),
			 request->reason ?
			 errdetail("It is %s: %s", status, request->reason) :
			 errdetail("It is %s.", status),
			 errhint("%s", way_out(request))));
}

/* Begin the facts for the audit log: who acts, and the request's status. */
void
request_facts(JsonBuilder *facts, const PromotionRequest *request)
{
	audit_begin(facts);
	json_build_field(facts, "status", request_statuses[request->status]);
	json_build_number(facts, "wave", request->wave);
	if (request->reason)
		json_build_field(facts, "reason", request->reason);
}

/*
 * End the facts, append them to the request's chain, and tell listeners.  The
 * request is locked.
 */
void
request_record(const Sql *sql, PromotionRequest *request, const char *event, JsonBuilder *facts)
{
	AuditEntry	entry = {event};
	Notice		notice = {
		.action = event,
		.status = request_statuses[request->status],
		.project = request->project,
		.request = request->number
	};
	MemoryContext inner = MemoryContextSwitchTo(request->context);

	entry.data = json_builder_finish(facts);
	audit_append(sql, &request->head, request->project, request_subject(request), &entry, 1);
	MemoryContextSwitchTo(inner);
	notify(&notice);
}

/*
 * Write the status with its reason, what the request waits for, and how far it has
 * come.  Nothing is written if nothing has changed.  A request that is over holds
 * its instances no longer.  The request is locked.
 */
void
request_set_status(const Sql *sql, PromotionRequest *request, RequestStatus status, const char *reason)
{
	static Statement write = {"UPDATE promote.promotion_request AS r SET status = $3, reason = $4, wave = $5,"
		" rolling_back = $6, started_at = CASE WHEN $7 THEN COALESCE(r.started_at, t.now) END,"
		" finished_at = CASE WHEN $8 THEN t.now END, waits_for = $9"
		" FROM pg_catalog.clock_timestamp() AS t (now) WHERE " OF_REQUEST("r")
		" AND (r.status, r.reason, r.wave, r.rolling_back, r.started_at IS NOT NULL, r.waits_for)"
		"  IS DISTINCT FROM ($3, $4, $5, $6, $7, $9)"};
	static Statement release = {"UPDATE promote.promotion_request_item AS t SET holds = false"
		" WHERE " OF_REQUEST("t") " AND t.holds"};

	request->status = status;
	request->reason = request_copy(request, reason);
	if (request_is_over(request))
		request->waits = NIL;
	guarded_run(sql, &write, AS_REQUEST(request), AS_TEXT(request_statuses[status]), AS_TEXT(reason),
				AS_INT(request->wave), AS_BOOL(request->rolling_back), AS_BOOL(request->started),
				AS_BOOL(request_is_over(request)), AS_JSONB(request_waits(request)));
	if (request_is_over(request))
		guarded_run(sql, &release, AS_REQUEST(request));
}

/*
 * Leave the scope with a copy of the request's row, the result of a verb.
 */
Datum
request_result(Sql *scope, const PromotionRequest *request)
{
	static Statement read = {"SELECT r FROM promote.promotion_request AS r WHERE " OF_REQUEST("r")};
	SqlRows		rows = sql_run(scope, &read, AS_REQUEST(request));

	return deployment_result(scope, sql_datum(&rows, 0).value);
}

/*
 * promote_internal.guard_request() returns trigger
 *
 * BEFORE UPDATE of a request and of its items, for each row: the columns that
 * are the trigger's arguments are never changed, and only promote changes others.
 */
Datum
TRIGGER_FUNCTION(promote_guard_request)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	const Trigger *trigger = data->tg_trigger;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	for (int i = 0; i < trigger->tgnargs; i++)
		if (trigger_differs(data, trigger->tgargs[i]))
			ereport(ERROR,
					(errcode(PM_APPEND_ONLY),
					 errmsg("\"%s\" of \"%s\" is never changed", trigger->tgargs[i],
							RelationGetRelationName(data->tg_relation)),
					 errdetail("It is what was asked for, and what was previewed and approved."),
					 errhint("Cancel the request by promote.cancel_request, and open another one.")));
	if (!errand()->records)
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("rows of \"%s\" are kept by promote", RelationGetRelationName(data->tg_relation)),
				 errdetail("They say how far a request has come, and move with it."),
				 errhint("Use the verbs: promote.advance_request, promote.pause_request and others.")));
	return PointerGetDatum(data->tg_newtuple);
}

/* What pausing, resuming and cancelling end with: write the new status, and record it. */
static Datum
close_verb(Sql *scope, PromotionRequest *request, RequestStatus status, const char *reason, const char *event)
{
	JsonBuilder	facts;

	request_set_status(scope, request, status, reason);
	request_facts(&facts, request);
	request_record(scope, request, event, &facts);
	return request_result(scope, request);
}

/* promote.pause_request(project text, request integer, reason text) returns promote.promotion_request */
Datum
promote_pause_request(PG_FUNCTION_ARGS)
{
	char	   *reason = argument_text(fcinfo, 2);
	PromotionRequest request;
	Sql			sql;

	request_open(fcinfo, &sql, true, NULL, &request);
	request_require_status(&request, BIT(REQUEST_OPEN) | BIT(REQUEST_RUNNING) | BIT(REQUEST_BLOCKED) |
						   BIT(REQUEST_ROLLING_BACK) | BIT(REQUEST_PAUSED), "paused");
	if (request.status == REQUEST_PAUSED)
		return request_result(&sql, &request);
	return close_verb(&sql, &request, REQUEST_PAUSED, reason, "request.paused");
}

/*
 * Let failed items go on where they stood.  Items that failed before they were
 * deployed, or while they were, are planned again.  Those that were deployed are
 * verified from now on.  Those that could not be rolled back are rolled back again.
 */
static void
reset_failed(const Sql *sql, const PromotionRequest *request)
{
	static Statement reset = {"UPDATE promote.promotion_request_item AS t SET"
		" status = CASE WHEN $3 THEN 'ROLLING_BACK' WHEN t.revision IS NULL THEN 'PENDING'"
		"  WHEN t.verified_from IS NOT NULL THEN 'VERIFYING' ELSE 'STAGED' END,"
		" plan = CASE WHEN $3 OR t.verified_from IS NOT NULL THEN t.plan END,"
		" deployment = CASE WHEN $3 OR t.verified_from IS NOT NULL THEN t.deployment END,"
		" verified_from = CASE WHEN t.verified_from IS NOT NULL THEN pg_catalog.clock_timestamp() END,"
		" rollback_revision = NULL, rollback_plan = NULL, rollback_deployment = NULL, reason = NULL"
		" WHERE " OF_REQUEST("t") " AND t.status = 'FAILED'"};

	guarded_run(sql, &reset, AS_REQUEST(request), AS_BOOL(request->rolling_back));
}

/* promote.resume_request(project text, request integer, reason text) returns promote.promotion_request */
Datum
promote_resume_request(PG_FUNCTION_ARGS)
{
	const int	stopped = BIT(REQUEST_PAUSED) | BIT(REQUEST_BLOCKED) | BIT(REQUEST_FAILED);
	char	   *reason = argument_text(fcinfo, 2);
	PromotionRequest request;
	Sql			sql;

	request_open(fcinfo, &sql, true, "deploy", &request);
	request_require_status(&request, stopped | BIT(REQUEST_OPEN) | BIT(REQUEST_RUNNING) | BIT(REQUEST_ROLLING_BACK),
						   "resumed");
	if (!(stopped & BIT(request.status)))
		return request_result(&sql, &request);
	reset_failed(&sql, &request);
	return close_verb(&sql, &request, request.rolling_back ? REQUEST_ROLLING_BACK :
					  request.started ? REQUEST_RUNNING : REQUEST_OPEN, reason, "request.resumed");
}

/* A deployment that a request has queued. */
typedef struct Queued
{
	char	   *component;
	int32		deployment;
} Queued;

/*
 * Abort what the request has queued and no worker has begun.  The instances are
 * locked by component, each before its deployment.
 */
void
request_abort_queued(const Sql *sql, const PromotionRequest *request, const char *reason)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Queued, "q", component, deployment)
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote_internal.request_queued AS q"
									 " WHERE " OF_REQUEST("q") " ORDER BY q.component, q.deployment");
	SqlRows		rows = sql_run(sql, &read, AS_REQUEST(request));
	Queued		queued;
	TimestampTz end = rescue_deadline();

	for (uint64 i = 0; sql_row(&rows, i, &queued); i++)
	{
		InstanceKey key = request_instance(request, queued.component);
		Sql			own;
		Deployment	deployment;

		CHECK_FOR_INTERRUPTS();
		sql_enter(&own);
		instance_rescue(&own, &key, end);
		deployment_load(&own, &key, queued.deployment, &deployment);
		if (deployment.status == DEPLOYMENT_PENDING || deployment.status == DEPLOYMENT_APPROVED)
			deployment_step(&own, &deployment, DEPLOYMENT_ABORTED, reason);
		sql_leave(&own);
	}
}

/* promote.cancel_request(project text, request integer, reason text) returns promote.promotion_request */
Datum
promote_cancel_request(PG_FUNCTION_ARGS)
{
	const int	over = BIT(REQUEST_COMPLETED) | BIT(REQUEST_SKIPPED) | BIT(REQUEST_ROLLED_BACK);
	char	   *reason = argument_required(fcinfo, 2, "reason");
	PromotionRequest request;
	Sql			sql;

	request_open(fcinfo, &sql, true, "deploy", &request);
	request_require_status(&request, ~over, "cancelled");
	if (request.status == REQUEST_CANCELLED)
		return request_result(&sql, &request);
	request_abort_queued(&sql, &request, psprintf("request %d is cancelled: %s", request.number, reason));
	return close_verb(&sql, &request, REQUEST_CANCELLED, reason, "request.cancelled");
}

/* promote.request_evidence(project text, request integer) returns jsonb; NULL: there is no such request */
Datum
promote_request_evidence(PG_FUNCTION_ARGS)
{
	static Statement where = {"SELECT r.destination_environment FROM promote.promotion_request AS r"
		" WHERE " OF_REQUEST("r")};
	static Statement read = {"SELECT promote_internal.request_document($1, $2)"};
	char	   *project = argument_text(fcinfo, 0);
	int32		number = value_int(fcinfo->args[1]);
	NullableDatum document = {.isnull = true};
	Sql			sql;
	SqlRows		rows;

	access_require_sight(project);
	sql_enter(&sql);
	rows = sql_read(&sql, &where, AS_TEXT(project), AS_INT(number));
	if (rows.count > 0)
	{
		access_require_of(sql.user, GRANTS_ROWS, project, sql_text(&rows, 0));
		rows = sql_read(&sql, &read, AS_TEXT(project), AS_INT(number));
		document = sql_datum(&rows, 0);
		document.value = SPI_datumTransfer(document.value, false, -1);
	}
	sql_leave(&sql);
	fcinfo->isnull = document.isnull;
	return document.value;
}
