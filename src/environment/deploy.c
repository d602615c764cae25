/*
 * deploy.c: deploying what an environment desires.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "environment/environment.h"
#include "grant/access.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_deploy_environment);
PG_FUNCTION_INFO_V1(promote_preview_deploy_environment);

/* The arguments. */
enum
{
	ENVIRONMENT, COMPONENTS, SELECTOR, MESSAGE, EXPECTED_REVISION, PARTIAL
};

/* Take what the call is about. */
static void
take_scope(FunctionCallInfo fcinfo, bool previews, EnvironmentScope *scope)
{
	*scope = (EnvironmentScope) {.named = NIL};
	argument_environment(fcinfo, ENVIRONMENT, "environment", &scope->destination);
	scope->source = scope->destination;
	access_require_in(previews ? "view" : "deploy", scope->source.key.project, scope->source.key.environment);
	scope_take(fcinfo, COMPONENTS, scope);
	scope_read(scope, previews);
	scope_require_any(scope);
}

/* Deploy an environment, or preview that. */
static Datum
deploy_environment(FunctionCallInfo fcinfo, bool previews)
{
	Deploying	deploying = {
		.action = ACTION_PROVISION,
		.message = argument_text(fcinfo, MESSAGE),
		.previews = previews,
		.partial = argument_bool(fcinfo, PARTIAL, false)
	};
	EnvironmentScope scope;

	take_scope(fcinfo, previews, &scope);
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
	return deploy_environment(fcinfo, false);
}

/* promote.preview_deploy_environment with the arguments of deploy_environment returns table */
Datum
promote_preview_deploy_environment(PG_FUNCTION_ARGS)
{
	return deploy_environment(fcinfo, true);
}
