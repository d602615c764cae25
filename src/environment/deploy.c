/*
 * deploy.c: planning and deploying what an environment desires.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "environment/environment.h"
#include "grant/access.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_deploy_environment);
PG_FUNCTION_INFO_V1(promote_preview_deploy_environment);
PG_FUNCTION_INFO_V1(promote_plan_environment);
PG_FUNCTION_INFO_V1(promote_preview_plan_environment);

/* The arguments. */
enum
{
	ENVIRONMENT, COMPONENTS, SELECTOR, MESSAGE, EXPECTED_REVISION, PARTIAL
};

/* Take what the call is about, which takes the grant for an action. */
static void
take_scope(FunctionCallInfo fcinfo, const char *action, bool previews, EnvironmentScope *scope)
{
	*scope = (EnvironmentScope) {.named = NIL};
	argument_environment(fcinfo, ENVIRONMENT, "environment", &scope->destination);
	scope->source = scope->destination;
	access_require_in(previews ? "view" : action, scope->source.key.project, scope->source.key.environment);
	scope_take(fcinfo, COMPONENTS, scope);
	scope_read(scope, previews);
	scope_require_any(scope);
}

/* Plan or deploy an environment, or preview that. */
static Datum
deploy_environment(FunctionCallInfo fcinfo, DeploymentAction action, bool previews)
{
	Deploying	deploying = {
		.action = action,
		.message = argument_text(fcinfo, MESSAGE),
		.previews = previews,
		.partial = argument_bool(fcinfo, PARTIAL, false)
	};
	EnvironmentScope scope;

	take_scope(fcinfo, action == ACTION_PLAN ? "plan" : "deploy", previews, &scope);
	environment_deploy(fcinfo, &scope, argument_optional_params(fcinfo, EXPECTED_REVISION, "expected_revision"),
					   &deploying);
	return (Datum) 0;
}

/*
 * promote.deploy_environment(environment text, components text[], selector jsonb, message text, expected_revision
 * jsonb, partial boolean) returns table, see sql/environment/deploy.sql
 */
Datum
promote_deploy_environment(PG_FUNCTION_ARGS)
{
	return deploy_environment(fcinfo, ACTION_PROVISION, false);
}

/* promote.preview_deploy_environment with the arguments of deploy_environment returns table */
Datum
promote_preview_deploy_environment(PG_FUNCTION_ARGS)
{
	return deploy_environment(fcinfo, ACTION_PROVISION, true);
}

/* promote.plan_environment with the same arguments returns table */
Datum
promote_plan_environment(PG_FUNCTION_ARGS)
{
	return deploy_environment(fcinfo, ACTION_PLAN, false);
}

/* promote.preview_plan_environment with the same arguments returns table */
Datum
promote_preview_plan_environment(PG_FUNCTION_ARGS)
{
	return deploy_environment(fcinfo, ACTION_PLAN, true);
}
