/*
 * rollback.c: rolling an environment back to what ran there before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "deployment/rollback.h"
#include "environment/scope.h"
#include "grant/access.h"
#include "json/builder.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_rollback_environment);
PG_FUNCTION_INFO_V1(promote_preview_rollback_environment);

/* The arguments. */
enum
{
	ENVIRONMENT, AT, TO_REQUEST, TAG, COMPONENTS, SELECTOR, MESSAGE, EXPECTED_REVISION, PLAN, ALLOW_REPLACE, PARTIAL
};

/* Refuse a call that does not say what to go back to, or says it twice. */
static void
refuse_target(int count)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("it is not clear what to go back to"),
			 count == 0 ? errdetail("Neither a time, nor a request, nor a tag is named.") :
			 errdetail("%d are named of a time, a request and a tag.", count),
			 errhint("Pass one of at, to_request and tag, or write a tag or a time behind the @ of the environment.")));
}

/* When a request was over.  Refuses one that is not there, leads elsewhere, or is not over. */
static TimestampTz
request_end(const Sql *sql, const InstanceKey *key, int32 request, bool read_only)
{
	static Statement read = {"SELECT r.finished_at FROM promote.promotion_request AS r"
		" WHERE r.project = $1 AND r.destination_environment = $2 AND r.request = $3"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_ENVIRONMENT(key), AS_INT(request));

	if (rows.count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no request %d to \"%s-%s\"", request, key->project, key->environment),
				 errdetail("The argument to_request names one that leads there."),
				 errhint("promote.promotion_request lists them.")));
	if (sql_datum(&rows, 0).isnull)
		ereport(ERROR,
				(errcode(PM_REQUEST_STATE),
				 errmsg("request %d of project \"%s\" is not over", request, key->project),
				 errdetail("What ran when it was over is what would be gone back to."),
				 errhint("Finish or cancel it, or pass a time or a tag.")));
	return sql_time(&rows, 0);
}

/* Take what to go back to. */
static void
take_state(FunctionCallInfo fcinfo, bool previews, EnvironmentState *state)
{
	int			count = environment_state_is_past(state) + !PG_ARGISNULL(AT) + !PG_ARGISNULL(TO_REQUEST) +
		!PG_ARGISNULL(TAG);
	Sql			sql;

	if (count != 1)
		refuse_target(count);
	if (!PG_ARGISNULL(AT))
		state->at = argument_time(fcinfo, AT, "at");
	if (!PG_ARGISNULL(TAG))
	{
		state->tag = argument_text(fcinfo, TAG);
		tag_name_check(state->tag);
	}
	state_require_past(state);
	if (PG_ARGISNULL(TO_REQUEST))
		return;
	sql_enter(&sql);
	environment_require(&sql, &state->key, previews);
	state->at = request_end(&sql, &state->key, PG_GETARG_INT32(TO_REQUEST), previews);
	sql_leave(&sql);
}

/* Take what the call is about. */
static void
take_scope(FunctionCallInfo fcinfo, bool previews, EnvironmentScope *scope)
{
	/* what was decommissioned since ran then */
	*scope = (EnvironmentScope) {.reprovision = true};
	argument_state(fcinfo, ENVIRONMENT, "environment", &scope->source);
	access_require_in(previews ? "view" : "promote", scope->source.key.project, scope->source.key.environment);
	take_state(fcinfo, previews, &scope->source);
	scope->destination.key = scope->source.key;
	scope_take(fcinfo, COMPONENTS, scope);
	scope_read(scope, previews);
	for (int i = 0; i < scope->count; i++)
		if (scope->list[i].deployment == 0)
			scope_leave_out(scope, &scope->list[i], "ran");
	scope_require_any(scope);
}

/* Make the elements of the set, one for each component. */
static void
take_elements(PromotionSet *set, const EnvironmentScope *scope)
{
	Jsonb	   *expected = argument_optional_params(set->fcinfo, EXPECTED_REVISION, "expected_revision");

	scope_check_keys(scope, expected, "expected revisions");
	set->count = scope->count;
	set->elements = promotion_set_elements(scope->count);
	for (int i = 0; i < scope->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];
		InstanceKey key = scope_instance(&scope->source, component);

		set->elements[i] = (PromotionElement) {
			.label = component->component,
			.destination_name = instance_key_name(&key),
			.destination = key,
			.overrides = json_empty_object(),
			.expected = scope_expected(expected, component->component),
			.target = component->deployment,
			.refused = component->code != NULL,
			.code = component->code,
			.problem = component->problem
		};
	}
}

/* Roll an environment back, or preview that. */
static Datum
rollback_environment(FunctionCallInfo fcinfo, bool previews)
{
	PromotionSet set = {
		.fcinfo = fcinfo,
		.kind = &rollback_kind,
		.previews = previews,
		.plan = argument_bool(fcinfo, PLAN, true),
		.allow_replace = argument_bool(fcinfo, ALLOW_REPLACE, false),
		.message = argument_text(fcinfo, MESSAGE),
		.partial = argument_bool(fcinfo, PARTIAL, false)
	};
	EnvironmentScope scope;

	take_scope(fcinfo, previews, &scope);
	take_elements(&set, &scope);
	promotion_set_run(&set);
	return (Datum) 0;
}

/*
 * promote.rollback_environment(environment text, at timestamptz, to_request integer, tag text, components text[],
 * selector jsonb, message text, expected_revision jsonb, plan boolean, allow_replace boolean, partial boolean)
 * returns table, see sql/environment/rollback.sql
 */
Datum
promote_rollback_environment(PG_FUNCTION_ARGS)
{
	return rollback_environment(fcinfo, false);
}

/* promote.preview_rollback_environment with the arguments of rollback_environment returns table */
Datum
promote_preview_rollback_environment(PG_FUNCTION_ARGS)
{
	return rollback_environment(fcinfo, true);
}
