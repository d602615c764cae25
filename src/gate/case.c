/*
 * case.c: the case of a deployment that gates judge, read once.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "gate/gate.h"
#include "registry/instance.h"

/* What would run: a row of promote_internal.case_target. */
static const SqlField target_fields[] = {
	SQL_ENUM_FIELD(GateCase, action, "t.action", deployment_actions),
	SQL_FIELDS(GateCase, "t", revision, bundle, version, plan, plan_digest)
};

/* What the case is judged by: a row of promote_internal.case_facts. */
static const SqlField facts_fields[] = {
	SQL_FIELDS(GateCase, "f", digest, source_environment, source_revision, source_digest, attributes,
				   path_only, require_source_in_sync, require_no_drift, require_expected,
				   require_proven_release, require_artifact_digest, separation_of_duty, required_soak)
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
		refuse_unconfigured(&gate->key, "Give it its first revision by promote.configure_instance.");
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
