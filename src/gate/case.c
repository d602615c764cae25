/*
 * case.c: the case of a deployment that gates judge, read once.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "gate/gate.h"
#include "registry/instance.h"

#define CONFIGURE_FIRST "Give it its first revision by promote.configure_instance."

/* What would run: a row of promote_internal.case_target. */
static const SqlField target_fields[] = {
	SQL_ENUM_FIELD(GateCase, action, "t.action", deployment_actions),
	SQL_FIELDS(GateCase, "t", revision, bundle, version, plan, plan_digest)
};

/* What the case is judged by: a row of promote_internal.case_facts. */
static const SqlField facts_fields[] = {
	SQL_FIELDS(GateCase, "f", digest, source_environment, source_revision, source_digest, attributes,
				   path_only, require_source_in_sync, require_no_drift, require_expected,
				   require_proven_release, require_no_reverts, require_artifact_digest, separation_of_duty,
				   required_soak)
};

/* Read what would run by the case's deployment; 0: what would if no plan is named. */
static void
read_target(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(target_fields, "SELECT $* FROM promote_internal.case_target($1, $2, $3, $4) AS t");
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->deployment));

	if (!sql_row(&rows, 0, gate))
	{
		if (gate->deployment != 0)
			refuse_unknown_deployment(sql, &gate->key, gate->deployment);
		require_instance(sql, &gate->key);
	}
	if (gate->deployment == 0 && gate->revision == 0)
		refuse_unconfigured(&gate->key, CONFIGURE_FIRST);
}

/* Read all else that the case is judged by. */
static void
read_facts(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(facts_fields, "SELECT $* FROM promote_internal.case_facts($1, $2, $3, $4) AS f");
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision));

	if (!sql_row(&rows, 0, gate))
		require_instance(sql, &gate->key);
	gate->instance = instance_key_name(&gate->key);
	/* a DECOMMISSION has no source */
	if (gate->source_environment && gate_provisions(gate))
		return;
	gate->source_environment = NULL;
	gate->source_revision = 0;
	gate->source_digest = NULL;
}

/*
 * Read the case of a deployment, to be judged for a time.  Deployment 0 stands
 * for what would be deployed if no plan is named.  Raises PM_NOT_FOUND and
 * PM_NOT_CONFIGURED.
 */
void
gate_open(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at, GateCase *gate)
{
	*gate = (GateCase) {.key = *key, .deployment = deployment, .at = at, .now = GetCurrentTimestamp()};
	sql_push_latest();
	read_target(sql, gate);
	read_facts(sql, gate);
	PopActiveSnapshot();
}

/* Read the case of an order that is to be queued now. */
void
gate_open_order(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order, GateCase *gate)
{
	TimestampTz now = GetCurrentTimestamp();

	*gate = (GateCase) {
		.key = *key,
		.action = order->action,
		.plan = order->plan,
		.plan_digest = order->plan_digest,
		.revision = order->revision,
		.bundle = order->bundle,
		.version = order->version,
		.at = now,
		.now = now
	};
	sql_push_latest();
	read_facts(sql, gate);
	PopActiveSnapshot();
}

/*
 * Read the case of decommissioning what the last change of the instance has left there,
 * to be judged for a time.  Where it has left nothing, review.c says so.
 */
static void
open_decommission(const Sql *sql, const InstanceKey *key, TimestampTz at, GateCase *gate)
{
	static Statement read = {"SELECT i.changed_by FROM promote.instance AS i WHERE " OF_INSTANCE("i")
		" AND i.revision > 0"};
	DeploymentOrder order = {.action = ACTION_DECOMMISSION};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key));
	Carried		runs;

	if (rows.count == 0)
	{
		require_instance(sql, key);
		refuse_unconfigured(key, CONFIGURE_FIRST);
	}
	if (deployment_carries(sql, key, sql_int(&rows, 0), true, &runs))
	{
		order.revision = runs.revision;
		order.bundle = runs.bundle;
		order.version = runs.version;
		order.plan_digest = decommission_digest(runs.rendered_digest, sql_int(&rows, 0));
	}
	gate_open_order(sql, key, &order, gate);
	gate->at = at;
}

/* Refuse an action that is not what would run by a deployment, or that passes no gates. */
static void
check_action(const GateCase *gate, DeploymentAction action)
{
	if (action == ACTION_NONE || action == gate->action)
		return;
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("no gates judge a %s here", deployment_actions[action]),
			 action == ACTION_PLAN ? errdetail("A PLAN passes no gates.") :
			 errdetail("What would run by deployment %d of \"%s\" is a %s.", gate->deployment, gate->instance,
					   deployment_actions[gate->action]),
			 errhint("Leave the action out, or the deployment.")));
}

/*
 * Read the case that a caller asks for by the arguments instance, deployment, at and
 * action, of which the key was taken already.  Raises PM_INVALID_ARGUMENT where action
 * and deployment do not fit each other, and what gate_open raises.
 */
void
gate_open_asked(FunctionCallInfo fcinfo, const Sql *sql, const InstanceKey *key, GateCase *gate)
{
	int32		deployment = value_int(fcinfo->args[1]);
	TimestampTz at = argument_time(fcinfo, 2, "at");
	DeploymentAction action = PG_ARGISNULL(3) ? ACTION_NONE : argument_action(argument_text(fcinfo, 3));

	if (deployment == 0 && action == ACTION_DECOMMISSION)
		open_decommission(sql, key, at, gate);
	else
		gate_open(sql, key, deployment, at, gate);
	check_action(gate, action);
}
