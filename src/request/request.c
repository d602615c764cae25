/*
 * request.c: requests: their rows and states, and the verbs that people stop
 * them by.
 *
 * A request is opened in request/scope.c, previewed in request/preview.c and
 * moved in request/advance.c.  Locks: the request's row comes first, then the
 * environments', then the instances', by component.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "request/request.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(promote_guard_request);
PG_FUNCTION_INFO_V1(promote_pause_request);
PG_FUNCTION_INFO_V1(promote_resume_request);
PG_FUNCTION_INFO_V1(promote_cancel_request);
PG_FUNCTION_INFO_V1(promote_request_evidence);

/* A copy of a text in the request's memory; NULL stays NULL. */
char *
request_copy(const PromotionRequest *request, const char *text)
{
	return text ? MemoryContextStrdup(request->context, text) : NULL;
}

/*
 * The arguments that the verbs begin with; what is read later lives as long
 * as the call.  Who sees nothing of the project is not told what there is.
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

/*
 * Refuse a role that may not have this request moved: it takes the grant
 * promote where it leads to, with view where it comes from, and the action
 * beside it that is done there, or NULL.  The request is read.
 */
void
request_access(const PromotionRequest *request, Oid role, const char *action)
{
	access_require_of(role, "promote", request->project, request->destination_environment);
	access_require_of(role, "view", request->project, request->source_environment);
	if (action)
		access_require_of(role, action, request->project, request->destination_environment);
}

/* What its audit rows are about. */
char *
request_subject(const PromotionRequest *request)
{
	return psprintf("request %s/%d", request->project, request->number);
}

/* Its key as the first two parameters of a statement. */
void
request_values(const PromotionRequest *request, Datum *values)
{
	values[0] = CStringGetTextDatum(request->project);
	values[1] = Int32GetDatum(request->number);
}

/* The destination instance of a component. */
InstanceKey
request_instance(const PromotionRequest *request, const char *component)
{
	return (InstanceKey) {request->project, request->destination_environment, (char *) component};
}

/* Its name. */
char *
request_instance_name(const PromotionRequest *request, const char *component)
{
	InstanceKey key = request_instance(request, component);

	return instance_key_name(&key);
}

/* Refuse a request that is not there, saying how many there are; one that came after the snapshot is 40001. */
static void
refuse_unknown(const Sql *sql, const PromotionRequest *request)
{
	static OldStatement read = {
		.text = "SELECT p.request FROM promote.project AS p WHERE p.project = $1",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(request->project)};
	bool		there;

	statement_run(sql, &read, values, NULL, false);
	there = SPI_processed > 0;
	if (there && request->number > 0 && request->number <= spi_integer(SPI_tuptable, 0, 1))
		refuse_unseen();
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("there is no request %d of project \"%s\"", request->number, request->project),
			 !there ? errdetail("There is no such project.") :
			 spi_integer(SPI_tuptable, 0, 1) == 0 ? errdetail("None was opened yet.") :
			 errdetail("Requests are numbered from 1 to %d.", spi_integer(SPI_tuptable, 0, 1)),
			 errhint("promote.promotion_request lists them; promote.open_request opens one.")));
}

/* The request's row, as one to be locked. */
static RowToLock
request_row(const PromotionRequest *request)
{
#define REQUEST_ROW "SELECT r.ctid FROM promote.promotion_request AS r WHERE " OF_REQUEST("r")
	static Statement at_once = {REQUEST_ROW " FOR NO KEY UPDATE SKIP LOCKED"};
	static Statement find = {REQUEST_ROW};

	return (RowToLock) {
		.table = "promotion_request",
		.what = psprintf("request %d of project \"%s\"", request->number, request->project),
		.project = request->project,
		.at_once = &at_once,
		.find = &find,
		.key = {AS_TEXT(request->project), AS_INT(request->number)},
		.columns = 2
	};
}

/* Lock its row.  Runs inside a scope of sql.h; raises PM_NOT_FOUND. */
void
request_lock(const Sql *sql, PromotionRequest *request)
{
	RowToLock	row = request_row(request);

	if (!row_lock(sql, &row))
		refuse_unknown(sql, request);
}

/* Lock it in an emergency: PM_HELD where others do not let go of it in time. */
static void
request_rescue(const Sql *sql, PromotionRequest *request)
{
	RowToLock	row = request_row(request);

	if (!row_rescue(sql, &row))
		refuse_unknown(sql, request);
}

#define AT(time) "pg_catalog.to_char((" time ") AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')"

/* Take the columns of a row into the request's memory. */
static void
take_row(PromotionRequest *request, SPITupleTable *row)
{
	MemoryContext inner = MemoryContextSwitchTo(request->context);

	request->source_environment = spi_text(row, 0, 1);
	request->destination_environment = spi_text(row, 0, 2);
	request->selector = spi_jsonb(row, 0, 3);
	if (request->selector)
		request->selector = DatumGetJsonbPCopy(JsonbPGetDatum(request->selector));
	request->overrides = DatumGetJsonbPCopy(JsonbPGetDatum(spi_jsonb(row, 0, 4)));
	request->strategy = spi_text(row, 0, 5);
	request->rollback_mode = spi_text(row, 0, 6);
	request->message = spi_text(row, 0, 7);
	request->actor = spi_text(row, 0, 8);
	request->include_other_changes = spi_bool(row, 0, 9);
	request->window_open = spi_bool(row, 0, 10);
	request->window = spi_text(row, 0, 11);
	request->status = spi_text(row, 0, 12);
	request->wave = spi_integer(row, 0, 13);
	request->started = spi_bool(row, 0, 14);
	request->rolling_back = spi_bool(row, 0, 15);
	request->reason = spi_text(row, 0, 16);
	request->preview = spi_integer(row, 0, 17);
	request->carry = (Carry) {spi_bool(row, 0, 18), spi_bool(row, 0, 19)};
	MemoryContextSwitchTo(inner);
}

/*
 * Read its row and the head of its chain, after it was locked.
 */
void
request_read(const Sql *sql, PromotionRequest *request)
{
	static OldStatement read = {
		.text = "SELECT r.source_environment::pg_catalog.text, r.destination_environment::pg_catalog.text,"
		" NULLIF(r.scope -> 'selector', '{}'), r.overrides, r.strategy, r.rollback_mode, r.message,"
		" r.actor, r.include_other_changes, COALESCE(r.execution_window @> t.now, true),"
		" CASE WHEN pg_catalog.lower(r.execution_window) > t.now"
		"  THEN 'the execution window opens at ' || " AT("pg_catalog.lower(r.execution_window)")
		"  WHEN NOT r.execution_window @> t.now"
		"  THEN 'the execution window closed at ' || " AT("pg_catalog.upper(r.execution_window)") " END,"
		" r.status, r.wave, r.started_at IS NOT NULL, r.rolling_back, r.reason, r.preview,"
		" r.copy_secrets, r.copy_remote_references"
		" FROM promote.promotion_request AS r, pg_catalog.clock_timestamp() AS t (now)"
		" WHERE " OF_REQUEST("r"),
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2];
	MemoryContext inner;

	request_values(request, values);
	statement_run(sql, &read, values, NULL, false);
	if (SPI_processed == 0)
		refuse_unknown(sql, request);
	take_row(request, SPI_tuptable);
	audit_read_head(sql, request->project, request_subject(request), &request->head);
	inner = MemoryContextSwitchTo(request->context);
	if (request->head.hash)
		request->head.hash = DatumGetByteaPCopy(PointerGetDatum(request->head.hash));
	MemoryContextSwitchTo(inner);
}

/* Is it over, so that nothing of it will ever move again? */
bool
request_is_over(const PromotionRequest *request)
{
	return strcmp(request->status, "COMPLETED") == 0 ||
		strcmp(request->status, "ROLLED_BACK") == 0 || strcmp(request->status, "CANCELLED") == 0;
}

/* What can be done with a request, for a hint. */
static const char *
way_out(const PromotionRequest *request)
{
	if (request_is_over(request))
		return "It is over: open another one by promote.open_request.";
	if (strcmp(request->status, "PAUSED") == 0 || strcmp(request->status, "FAILED") == 0)
		return "promote.resume_request lets it go on, promote.cancel_request ends it.";
	return "promote.advance_request moves it, promote.pause_request stops it.";
}

/* Refuse a verb unless the request's status is one of these, which end with NULL. */
void
request_require_status(const PromotionRequest *request, const char *const *allowed,
					   const char *verb)
{
	for (int i = 0; allowed[i]; i++)
		if (strcmp(request->status, allowed[i]) == 0)
			return;
	ereport(ERROR,
			(errcode(PM_REQUEST_STATE),
			 errmsg("request %d of project \"%s\" cannot be %s", request->number,
					request->project, verb),
			 request->reason ?
			 errdetail("It is %s: %s", request->status, request->reason) :
			 errdetail("It is %s.", request->status),
			 errhint("%s", way_out(request))));
}

/* Begin what the audit log says of it: who says it, and how it stands. */
void
request_facts(JsonBuilder *facts, const PromotionRequest *request)
{
	audit_begin(facts);
	json_build_field(facts, "status", request->status);
	json_build_number(facts, "wave", request->wave);
	if (request->reason)
		json_build_field(facts, "reason", request->reason);
}

/*
 * End the facts, append them to the request's chain and notify.  Runs under the request's lock.
 */
void
request_record(const Sql *sql, PromotionRequest *request, const char *event, JsonBuilder *facts)
{
	AuditEntry	entry = {event};
	Notice		notice = {
		.action = event,
		.status = request->status,
		.project = request->project,
		.request = request->number
	};
	MemoryContext inner = MemoryContextSwitchTo(request->context);

	json_build_end_object(facts);
	entry.data = json_builder_finish(facts);
	audit_append(sql, &request->head, request->project, request_subject(request), &entry, 1);
	MemoryContextSwitchTo(inner);
	notify(&notice);
}

/* Let the instances go. */
static void
release_items(const Sql *sql, const PromotionRequest *request)
{
	static OldStatement release = {
		.text = "UPDATE promote.promotion_request_item AS t SET holds = false WHERE " OF_REQUEST("t")
		" AND t.holds",
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2];

	request_values(request, values);
	old_guarded_run(sql, &release, values, NULL);
}

/* What it waits for, as an array of texts. */
Datum
request_waits(const PromotionRequest *request)
{
	int			count = list_length(request->waits);
	Datum	   *values = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(list_nth(request->waits, i));
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Write another status with its reason, what it waits for, and how far it has
 * come; what is over holds nothing any more.  Where nothing is another, nothing
 * is written.  Runs under its lock.
 */
void
request_set_status(const Sql *sql, PromotionRequest *request, const char *status, const char *reason)
{
	static OldStatement write = {
		.text = "UPDATE promote.promotion_request AS r SET status = $3, reason = $4, wave = $5,"
		" rolling_back = $6, started_at = CASE WHEN $7 THEN COALESCE(r.started_at, t.now) END,"
		" finished_at = CASE WHEN $8 THEN t.now END, waits_for = $9"
		" FROM pg_catalog.clock_timestamp() AS t (now) WHERE " OF_REQUEST("r")
		" AND (r.status, r.reason, r.wave, r.rolling_back, r.started_at IS NOT NULL, r.waits_for)"
		"  IS DISTINCT FROM ($3, $4, $5, $6, $7, $9)",
		.parameters = 9,
		.types = {TEXTOID, INT4OID, TEXTOID, TEXTOID, INT4OID, BOOLOID, BOOLOID, BOOLOID, TEXTARRAYOID}
	};
	bool		nulls[9] = {[3] = reason == NULL};
	Datum		values[9];

	request->status = request_copy(request, status);
	request->reason = request_copy(request, reason);
	if (request_is_over(request))
		request->waits = NIL;
	request_values(request, values);
	values[2] = CStringGetTextDatum(status);
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(reason);
	values[4] = Int32GetDatum(request->wave);
	values[5] = BoolGetDatum(request->rolling_back);
	values[6] = BoolGetDatum(request->started);
	values[7] = BoolGetDatum(request_is_over(request));
	values[8] = request_waits(request);
	old_guarded_run(sql, &write, values, nulls);
	if (request_is_over(request))
		release_items(sql, request);
}

/*
 * The request's row, as the result of a verb: leaves the scope with a copy of
 * it.  Overrides may be sensitive, and who may call a verb need not be who gave
 * them: they are there by their digests.
 */
Datum
request_result(Sql *scope, const PromotionRequest *request)
{
	static OldStatement read = {
		.text = "SELECT pg_catalog.jsonb_populate_record(r, pg_catalog.jsonb_build_object('overrides',"
		" (SELECT COALESCE(pg_catalog.jsonb_object_agg(o.component, pg_catalog.encode(promote.config_digest(r.project, o.patch), 'hex')), '{}')"
		"  FROM pg_catalog.jsonb_each(r.overrides) AS o (component, patch))))"
		" FROM promote.promotion_request AS r WHERE " OF_REQUEST("r"),
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2];
	bool		isnull;

	request_values(request, values);
	statement_run(scope, &read, values, NULL, false);
	return deployment_result(scope, spi_value(SPI_tuptable, 0, 1, &isnull));
}

/*
 * promote_internal.guard_request() returns trigger
 *
 * BEFORE UPDATE of a request and of its items, for each row: the columns that
 * are the trigger's arguments are never changed, all others by promote.
 */
Datum
promote_guard_request(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_request", NULL,
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	const Trigger *trigger = data->tg_trigger;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	for (int i = 0; i < trigger->tgnargs; i++)
		if (column_differs(data, trigger->tgargs[i]))
			ereport(ERROR,
					(errcode(PM_APPEND_ONLY),
					 errmsg("\"%s\" of \"%s\" is never changed", trigger->tgargs[i],
							RelationGetRelationName(data->tg_relation)),
					 errdetail("It is what was asked for, and what was previewed and approved."),
					 errhint("Cancel the request by promote.cancel_request, and open another one.")));
	if (!guard_is_open())
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("rows of \"%s\" are kept by promote", RelationGetRelationName(data->tg_relation)),
				 errdetail("They say how far a request has come, and move with it."),
				 errhint("Use the verbs: promote.advance_request, promote.pause_request and others.")));
	return PointerGetDatum(data->tg_newtuple);
}

/*
 * What a verb that people stop a request by begins with: its arguments, lock
 * and row; action is what it takes beside promote, or NULL.
 */
static void
open_verb(FunctionCallInfo fcinfo, Sql *scope, const char *action, PromotionRequest *request)
{
	argument_request(fcinfo, request);
	sql_enter(scope);
	request_rescue(scope, request);
	request_read(scope, request);
	request_access(request, scope->user, action);
}

/* What it ends with: another status, which is recorded. */
static Datum
close_verb(Sql *scope, PromotionRequest *request, const char *status, const char *reason,
		   const char *event)
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
	static const char *const allowed[] = {"OPEN", "RUNNING", "BLOCKED", "ROLLING_BACK", "PAUSED", NULL};
	char	   *reason = argument_text(fcinfo, 2);
	PromotionRequest request;
	Sql			sql;

	open_verb(fcinfo, &sql, NULL, &request);
	request_require_status(&request, allowed, "paused");
	if (strcmp(request.status, "PAUSED") == 0)
		return request_result(&sql, &request);
	return close_verb(&sql, &request, "PAUSED", reason, "request.paused");
}

/*
 * Let what failed go on where it stood: what failed before it was deployed, or
 * while it was, is planned again; what was deployed is verified from now on;
 * what could not be rolled back is rolled back again.
 */
static void
reset_failed(const Sql *sql, const PromotionRequest *request)
{
	static OldStatement reset = {
		.text = "UPDATE promote.promotion_request_item AS t SET"
		" status = CASE WHEN $3 THEN 'ROLLING_BACK' WHEN t.revision IS NULL THEN 'PENDING'"
		"  WHEN t.verified_from IS NOT NULL THEN 'VERIFYING' ELSE 'STAGED' END,"
		" plan = CASE WHEN $3 OR t.verified_from IS NOT NULL THEN t.plan END,"
		" deployment = CASE WHEN $3 OR t.verified_from IS NOT NULL THEN t.deployment END,"
		" verified_from = CASE WHEN t.verified_from IS NOT NULL THEN pg_catalog.clock_timestamp() END,"
		" rollback_revision = NULL, rollback_plan = NULL, rollback_deployment = NULL, reason = NULL"
		" WHERE " OF_REQUEST("t") " AND t.status = 'FAILED'",
		.parameters = 3,
		.types = {TEXTOID, INT4OID, BOOLOID}
	};
	Datum		values[3];

	request_values(request, values);
	values[2] = BoolGetDatum(request->rolling_back);
	old_guarded_run(sql, &reset, values, NULL);
}

/* promote.resume_request(project text, request integer, reason text) returns promote.promotion_request */
Datum
promote_resume_request(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"PAUSED", "BLOCKED", "FAILED", "OPEN", "RUNNING", "ROLLING_BACK", NULL};
	char	   *reason = argument_text(fcinfo, 2);
	PromotionRequest request;
	Sql			sql;

	open_verb(fcinfo, &sql, "deploy", &request);
	request_require_status(&request, allowed, "resumed");
	if (strcmp(request.status, "PAUSED") != 0 && strcmp(request.status, "BLOCKED") != 0 &&
		strcmp(request.status, "FAILED") != 0)
		return request_result(&sql, &request);
	reset_failed(&sql, &request);
	return close_verb(&sql, &request, request.rolling_back ? "ROLLING_BACK" :
					  request.started ? "RUNNING" : "OPEN", reason, "request.resumed");
}

/*
 * Abort what the request has queued and no worker has begun.  The instances
 * are locked in order before their deployments.
 */
void
request_abort_queued(const Sql *sql, const PromotionRequest *request, const char *reason)
{
	static OldStatement read = {
		.text = "SELECT t.component::pg_catalog.text, d.deployment FROM promote.promotion_request_item AS t"
		" CROSS JOIN LATERAL (SELECT d.deployment FROM promote.deployment AS d"
		"  WHERE d.project = t.project AND d.environment = t.destination_environment"
		"  AND d.component = t.component AND d.status IN ('PENDING', 'APPROVED')"
		"  AND d.deployment IN (t.plan, t.deployment, t.rollback_plan, t.rollback_deployment)) AS d"
		" WHERE " OF_REQUEST("t") " ORDER BY t.component, d.deployment",
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2];
	SPITupleTable *rows;
	uint64		count;

	request_values(request, values);
	statement_run(sql, &read, values, NULL, false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		InstanceKey key = request_instance(request, spi_text(rows, i, 1));
		Sql			own;
		Deployment	queued;

		CHECK_FOR_INTERRUPTS();
		sql_enter(&own);
		instance_rescue(&own, &key);
		deployment_load(&own, &key, spi_integer(rows, i, 2), &queued);
		if (queued.status == DEPLOYMENT_PENDING || queued.status == DEPLOYMENT_APPROVED)
			deployment_step(&own, &queued, DEPLOYMENT_ABORTED, reason);
		sql_leave(&own);
	}
}

/* promote.cancel_request(project text, request integer, reason text) returns promote.promotion_request */
Datum
promote_cancel_request(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"OPEN", "RUNNING", "BLOCKED", "PAUSED", "FAILED", "ROLLING_BACK", "CANCELLED", NULL};
	char	   *reason = argument_required(fcinfo, 2, "reason");
	PromotionRequest request;
	Sql			sql;

	open_verb(fcinfo, &sql, "deploy", &request);
	request_require_status(&request, allowed, "cancelled");
	if (strcmp(request.status, "CANCELLED") == 0)
		return request_result(&sql, &request);
	request_abort_queued(&sql, &request, psprintf("request %d is cancelled: %s", request.number, reason));
	return close_verb(&sql, &request, "CANCELLED", reason, "request.cancelled");
}

/* promote.request_evidence(project text, request integer) returns jsonb; NULL: there is no such request */
Datum
promote_request_evidence(PG_FUNCTION_ARGS)
{
	static OldStatement read = {
		.text = "SELECT r.destination_environment::pg_catalog.text, promote_internal.request_document($1, $2)"
		" FROM promote.promotion_request AS r WHERE " OF_REQUEST("r"),
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	char	   *project = argument_text(fcinfo, 0);
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Sql			sql;
	Datum		document = (Datum) 0;
	bool		isnull;

	access_require_sight(project);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	sql_enter(&sql);
	statement_run(&sql, &read, values, NULL, true);
	if (SPI_processed > 0)
	{
		access_require_of(sql.user, ACCESS_ROWS, project, spi_text(SPI_tuptable, 0, 1));
		document = SPI_datumTransfer(spi_value(SPI_tuptable, 0, 2, &isnull), false, -1);
	}
	sql_leave(&sql);
	if (document == (Datum) 0)
		PG_RETURN_NULL();
	return document;
}
