/*
 * decommission.c: decommissioning what runs in an environment.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "environment/environment.h"
#include "grant/access.h"
#include "json/builder.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_decommission_environment);
PG_FUNCTION_INFO_V1(promote_preview_decommission_environment);

/* The arguments. */
enum
{
	ENVIRONMENT, COMPONENTS, SELECTOR, MESSAGE, PARTIAL
};

static const SqlField component_fields[] = {
	SQL_FIELDS(ScopeComponent, "c", component, code, problem, rank)
};

/* Compare two components for qsort: what depends on others comes before these. */
static int
compare_backwards(const void *a, const void *b)
{
	const ScopeComponent *one = a;
	const ScopeComponent *other = b;

	return one->rank != other->rank ? other->rank - one->rank : strcmp(other->component, one->component);
}

/* Read the components, in the order in which they are decommissioned. */
static void
read_scope(EnvironmentScope *scope, bool previews)
{
	static Statement read = SQL_ROWS(component_fields, "SELECT $*"
		" FROM promote_internal.decommissionable($1, $2, $3, $4) AS c ORDER BY c.component COLLATE \"C\"");
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	environment_require(&sql, &scope->source.key, previews);
	rows = sql_read_if(&sql, previews, &read, AS_ENVIRONMENT(&scope->source.key), AS_TEXTS(scope_names(scope)),
					   AS_JSONB(scope->selector));
	scope_fill(&sql, scope, &rows);
	sql_leave(&sql);
	qsort(scope->list, scope->count, sizeof(ScopeComponent), compare_backwards);
}

/* Decommission an environment, or preview that. */
static Datum
decommission_environment(FunctionCallInfo fcinfo, bool previews)
{
	Deploying	deploying = {
		.action = ACTION_DECOMMISSION,
		.message = argument_text(fcinfo, MESSAGE),
		.previews = previews,
		.partial = argument_bool(fcinfo, PARTIAL, false)
	};
	EnvironmentScope scope = {.named = NIL};

	argument_environment(fcinfo, ENVIRONMENT, "environment", &scope.source);
	access_require_in(previews ? "view" : "decommission", scope.source.key.project, scope.source.key.environment);
	scope_take(fcinfo, COMPONENTS, &scope);
	read_scope(&scope, previews);
	environment_deploy(fcinfo, &scope, json_empty_object(), &deploying);
	return (Datum) 0;
}

/* promote.decommission_environment(environment text, ...) returns table, see sql/environment/decommission.sql */
Datum
promote_decommission_environment(PG_FUNCTION_ARGS)
{
	return decommission_environment(fcinfo, false);
}

/* promote.preview_decommission_environment with the arguments of decommission_environment returns table */
Datum
promote_preview_decommission_environment(PG_FUNCTION_ARGS)
{
	return decommission_environment(fcinfo, true);
}
