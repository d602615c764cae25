/*
 * abort.c: ending what waits in the queues of an environment, as a pipeline does that is cancelled.
 *
 * What runs is left to its worker, and what is proposed to those who decide it: the rows name both.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/result.h"
#include "environment/environment.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/instance.h"
#include "registry/rescue.h"

PG_FUNCTION_INFO_V1(promote_abort_environment);
PG_FUNCTION_INFO_V1(promote_preview_abort_environment);

/* The arguments. */
enum
{
	ENVIRONMENT, REASON, COMPONENTS, SELECTOR
};

/* A component has as many rows in the scope as it has deployments that are not over, and one if there is none. */
static const SqlField component_fields[] = {
	SQL_FIELDS(ScopeComponent, "c", component, code, problem, revision, deployment)
};

/* Read the deployments. */
static void
read_scope(const Sql *sql, EnvironmentScope *scope, bool previews)
{
	static Statement read = SQL_ROWS(component_fields, "SELECT $*"
									 " FROM promote_internal.abortable($1, $2, $3, $4) AS c"
									 " ORDER BY c.component COLLATE \"C\", c.deployment");
	SqlRows		rows;

	environment_require(sql, &scope->source.key, previews);
	rows = sql_read_if(sql, previews, &read, AS_ENVIRONMENT(&scope->source.key), AS_TEXTS(scope_names(scope)),
					   AS_JSONB(scope->selector));
	scope_fill(sql, scope, &rows);
}

/*
 * Lock the instances of what waits, in key order and ahead of others, but for a while only.  Returns their components,
 * as a scope.
 */
static EnvironmentScope
lock_instances(const Sql *sql, const EnvironmentScope *scope)
{
	TimestampTz end = rescue_deadline();
	EnvironmentScope locked = {.list = palloc_extended((scope->count + 1) * sizeof(ScopeComponent), MCXT_ALLOC_HUGE)};

	for (int i = 0; i < scope->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];
		InstanceKey key = scope_instance(&scope->source, component);

		if (component->code ||
			(locked.count > 0 && strcmp(locked.list[locked.count - 1].component, component->component) == 0))
			continue;
		instance_rescue(sql, &key, end);
		locked.list[locked.count++] = *component;
	}
	return locked;
}

/* Leave alone what waits of other instances: it was queued behind the call, which saw nothing that waits there. */
static void
keep_locked(EnvironmentScope *scope, const EnvironmentScope *locked)
{
	int			count = 0;

	for (int i = 0; i < scope->count; i++)
	{
		ScopeComponent component = scope->list[i];

		if (component.code == NULL && scope_find(locked, component.component) == NULL)
		{
			if (count > 0 && strcmp(scope->list[count - 1].component, component.component) == 0)
				continue;
			component = (ScopeComponent) {
				.component = component.component,.code = "nothing_waits",.problem = "nothing of it waits"
			};
		}
		scope->list[count++] = component;
	}
	scope->count = count;
}

/* Abort what waits. */
static void
abort_waiting(const Sql *sql, const EnvironmentScope *scope, const char *reason)
{
	static Statement step = {"UPDATE promote.deployment AS d SET status = 'ABORTED', reason = $1 FROM waiting_deployment AS k"
		" WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment RETURNING d.deployment"};
	static const char *const columns[] = {"project", "environment", "component", "deployment"};
	Batch		batch = {.name = "waiting_deployment",.columns = columns};

	batch_begin(&batch);
	for (int i = 0; i < scope->count; i++)
	{
		InstanceKey key = scope_instance(&scope->source, &scope->list[i]);

		if (scope->list[i].code == NULL)
			batch_put(&batch, AS_KEY(&key), AS_INT(scope->list[i].deployment));
	}
	if (batch.count > 0)
	{
		batch_open(&batch);
		if (guarded_run(sql, &step, AS_TEXT(reason)).count != batch.count)
			elog(ERROR, "not all deployments were aborted that wait");
	}
	batch_end(&batch);
}

/* Lock what waits, look again, as some of it may not wait any more by then, and abort the rest. */
static void
abort_locked(const Sql *sql, EnvironmentScope *scope, const char *reason)
{
	EnvironmentScope locked = lock_instances(sql, scope);

	if (locked.count == 0)
		return;
	read_scope(sql, scope, false);
	keep_locked(scope, &locked);
	abort_waiting(sql, scope, reason);
}

/* Abort what waits in an environment, or preview that, and put a row for each deployment. */
static Datum
abort_environment(FunctionCallInfo fcinfo, bool previews)
{
	EnvironmentScope scope = {.named = NIL};
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	argument_environment(fcinfo, ENVIRONMENT, "environment", &scope.source);
	access_require_in(previews ? "view" : "deploy", scope.source.key.project, scope.source.key.environment);
	scope_take(fcinfo, COMPONENTS, &scope);
	sql_enter(&sql);
	read_scope(&sql, &scope, previews);
	if (!previews)
		abort_locked(&sql, &scope, argument_text(fcinfo, REASON));
	for (int i = 0; i < scope.count; i++)
	{
		const ScopeComponent *component = &scope.list[i];

		result_put(fcinfo, AS_TEXT(component->component), AS_BOOL(component->code == NULL),
				   AS_NUMBER(component->revision), AS_NUMBER(component->deployment), AS_JSONB(NULL),
				   AS_TEXT(component->code), AS_TEXT(component->problem));
	}
	sql_leave(&sql);
	return (Datum) 0;
}

/*
 * promote.abort_environment(environment text, reason text, components text[], selector jsonb) returns table, see
 * sql/environment/abort.sql
 */
Datum
promote_abort_environment(PG_FUNCTION_ARGS)
{
	return abort_environment(fcinfo, false);
}

/* promote.preview_abort_environment with the arguments of abort_environment returns table */
Datum
promote_preview_abort_environment(PG_FUNCTION_ARGS)
{
	return abort_environment(fcinfo, true);
}
