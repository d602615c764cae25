/*
 * case.c: the case of a deployment that gates judge, read once.
 */
#include "postgres.h"

#include "gate/gate.h"
#include "registry/instance.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* What would run if deploy_instance were called without naming a plan. */
static void
target_desired(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT i.revision, c.bundle::pg_catalog.text, rel.version, p.deployment, p.plan_digest"
		" FROM promote.instance AS i"
		" JOIN promote.component AS c ON c.project = i.project AND c.component = i.component"
		" LEFT JOIN LATERAL promote.resolve_release(c.bundle, i.version_constraint, i.release_channel) AS rel ON true"
		" LEFT JOIN LATERAL (SELECT d.deployment, d.plan_digest FROM promote.deployment AS d"
		"  WHERE " SAME_INSTANCE("d", "i") " AND d.action = 'PLAN' AND d.revision = i.revision"
		"  AND d.status = 'COMPLETED' ORDER BY d.deployment DESC LIMIT 1) AS p ON true"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(&gate->key, values);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		require_instance(sql, &gate->key);
	gate->action = "PROVISION";
	gate->revision = spi_integer(SPI_tuptable, 0, 1);
	gate->bundle = spi_text(SPI_tuptable, 0, 2);
	gate->version = spi_text(SPI_tuptable, 0, 3);
	gate->plan = spi_integer(SPI_tuptable, 0, 4);
	gate->plan_digest = spi_bytea(SPI_tuptable, 0, 5);
	if (gate->revision == 0)
		refuse_unconfigured(&gate->key, "Give it its first revision by promote.configure_instance.");
}

/* What would run by a deployment that there is. */
static void
target_deployment(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT d.action, d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text, d.plan,"
		" d.plan_digest FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	bool		is_plan;

	deployment_values(&gate->key, gate->deployment, values);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		refuse_unknown_deployment(sql, &gate->key, gate->deployment);
	gate->action = spi_text(SPI_tuptable, 0, 1);
	is_plan = strcmp(gate->action, "PLAN") == 0;
	gate->revision = spi_integer(SPI_tuptable, 0, 2);
	gate->bundle = spi_text(SPI_tuptable, 0, 3);
	gate->version = spi_text(SPI_tuptable, 0, 4);
	gate->plan = is_plan ? gate->deployment : spi_integer(SPI_tuptable, 0, 5);
	gate->plan_digest = spi_bytea(SPI_tuptable, 0, 6);
	if (is_plan)
		gate->action = "PROVISION";
}

/* Read all else that the case is judged by. */
static void
read_facts(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT r.origin, r.digest, NULLIF(r.source_environment, r.environment)::pg_catalog.text,"
		" r.source_revision, s.digest, r.created_at,"
		" promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes), e.source_policy = 'path',"
		" e.require_source_in_sync, e.require_no_drift, e.require_expected, e.separation_of_duty, e.required_soak"
		" FROM promote.instance AS i"
		" JOIN promote.project AS p ON p.project = i.project"
		" JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment"
		" JOIN promote.component AS c ON c.project = i.project AND c.component = i.component"
		" LEFT JOIN LATERAL (SELECT r.* FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "i")
		"  AND r.revision = $4 LIMIT 1) AS r ON true"
		" LEFT JOIN LATERAL (SELECT s.digest FROM promote.revision AS s WHERE s.project = i.project"
		"  AND s.environment = r.source_environment AND s.component = i.component"
		"  AND s.revision = r.source_revision LIMIT 1) AS s ON true"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	bool		isnull;

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->revision);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		require_instance(sql, &gate->key);
	gate->instance = instance_key_name(&gate->key);
	gate->origin = spi_text(SPI_tuptable, 0, 1);
	gate->digest = spi_bytea(SPI_tuptable, 0, 2);
	/* what is taken away comes from nowhere */
	if (strcmp(gate->action, "PROVISION") == 0)
		gate->source_environment = spi_text(SPI_tuptable, 0, 3);
	if (gate->source_environment)
	{
		gate->source_revision = spi_integer(SPI_tuptable, 0, 4);
		gate->source_digest = spi_bytea(SPI_tuptable, 0, 5);
	}
	gate->revised_at = DatumGetTimestampTz(spi_value(SPI_tuptable, 0, 6, &isnull));
	gate->attributes = spi_jsonb(SPI_tuptable, 0, 7);
	gate->path_only = spi_bool(SPI_tuptable, 0, 8);
	gate->require_source_in_sync = spi_bool(SPI_tuptable, 0, 9);
	gate->require_no_drift = spi_bool(SPI_tuptable, 0, 10);
	gate->require_expected = spi_bool(SPI_tuptable, 0, 11);
	gate->separation_of_duty = spi_bool(SPI_tuptable, 0, 12);
	gate->required_soak = DatumGetIntervalP(spi_value(SPI_tuptable, 0, 13, &isnull));
}

/*
 * Read the case of a deployment, or (0) of what would be deployed if nothing
 * is named; to be judged for a time.  Raises
 * PM_NOT_FOUND and PM_NOT_CONFIGURED.
 */
void
gate_open(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at, GateCase *gate)
{
	*gate = (GateCase) {.key = *key,.deployment = deployment,.at = at,.now = GetCurrentTimestamp()};
	sql_push_latest();
	if (deployment == 0)
		target_desired(sql, gate);
	else
		target_deployment(sql, gate);
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
		.action = deployment_action_name(order->action),
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
