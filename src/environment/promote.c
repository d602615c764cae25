/*
 * promote.c: promoting one environment to another.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "environment/scope.h"
#include "grant/access.h"
#include "promotion/promotion_set.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_promote_environment);
PG_FUNCTION_INFO_V1(promote_preview_promote_environment);

/* The arguments before those that promotion_set_options takes. */
enum
{
	SOURCE, DESTINATION, OVERRIDES, COMPONENTS, SELECTOR, OPTIONS,
	EXPECTED_REVISION = OPTIONS + 4, PIN = OPTIONS + 6, REPROVISION, SOURCE_STATE = OPTIONS + 9
};

/* Refuse two environments that do not fit each other. */
static void
check_pair(const EnvironmentScope *scope)
{
	const InstanceKey *source = &scope->source.key;
	const InstanceKey *destination = &scope->destination.key;

	if (strcmp(source->project, destination->project) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("cannot promote \"%s\" to \"%s\"", environment_state_name(&scope->source),
						environment_state_name(&scope->destination)),
				 errdetail("The source is of project \"%s\", the destination of project \"%s\".", source->project,
						   destination->project),
				 errhint("Promote between environments of one project.")));
	if (strcmp(source->environment, destination->environment) == 0)
		ereport(ERROR,
				(errcode(PM_SAME_INSTANCE),
				 errmsg("cannot promote \"%s\" to itself", environment_state_name(&scope->source)),
				 errdetail("The source and the destination are the same environment."),
				 errhint("Name another destination; promote.rollback_environment goes back to what was.")));
}

/* Take what the call is about. */
static void
take_scope(FunctionCallInfo fcinfo, bool previews, EnvironmentScope *scope)
{
	*scope = (EnvironmentScope) {.reprovision = argument_bool(fcinfo, REPROVISION, false)};
	argument_state(fcinfo, SOURCE, "source", &scope->source);
	argument_environment(fcinfo, DESTINATION, "destination", &scope->destination);
	check_pair(scope);
	access_require_in("view", scope->source.key.project, scope->source.key.environment);
	access_require_in(previews ? "view" : "promote", scope->destination.key.project,
					  scope->destination.key.environment);
	scope_take(fcinfo, COMPONENTS, scope);
	scope_read(scope, previews);
}

/* Make the elements of the set, one for each component. */
static void
take_elements(PromotionSet *set, const EnvironmentScope *scope)
{
	FunctionCallInfo fcinfo = set->fcinfo;
	Jsonb	   *overrides = argument_optional_params(fcinfo, OVERRIDES, "overrides");
	Jsonb	   *expected = argument_optional_params(fcinfo, EXPECTED_REVISION, "expected_revision");

	scope_check_keys(scope, overrides, "overrides");
	scope_check_keys(scope, expected, "expected revisions");
	set->count = scope->count;
	set->elements = promotion_set_elements(scope->count);
	for (int i = 0; i < scope->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];
		InstanceKey destination = scope_instance(&scope->destination, component);

		set->elements[i] = (PromotionElement) {
			.label = component->component,
			.destination_name = instance_key_name(&destination),
			.source = scope_instance(&scope->source, component),
			.destination = destination,
			.overrides = scope_overrides(overrides, component->component),
			.expected = scope_expected(expected, component->component),
			.source_revision = component->revision,
			.source_version = component->version,
			.refused = component->code != NULL,
			.code = component->code,
			.problem = component->problem
		};
	}
}

/* Promote an environment, or preview that. */
static Datum
promote_environment(FunctionCallInfo fcinfo, bool previews)
{
	PromotionSet set = {.fcinfo = fcinfo,.kind = &promotion_kind,.options = OPTIONS,.previews = previews};
	EnvironmentScope scope;

	take_scope(fcinfo, previews, &scope);
	scope_take_past(&scope, argument_text(fcinfo, SOURCE_STATE), argument_bool(fcinfo, PIN, false));
	scope_require_any(&scope);
	promotion_set_options(&set);
	take_elements(&set, &scope);
	promotion_set_run(&set);
	return (Datum) 0;
}

/*
 * promote.promote_environment(src text, dst text, overrides jsonb, components text[], selector jsonb, and the
 * options of promotion_set_options) returns table, see sql/environment/promote.sql
 */
Datum
promote_promote_environment(PG_FUNCTION_ARGS)
{
	return promote_environment(fcinfo, false);
}

/* promote.preview_promote_environment with the arguments of promote_environment returns table */
Datum
promote_preview_promote_environment(PG_FUNCTION_ARGS)
{
	return promote_environment(fcinfo, true);
}
