/*
 * case.c: the case of a deployment that gates judge, read once.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/errors.h"
#include "base/row.h"
#include "gate/gate.h"
#include "registry/instance.h"

#define CONFIGURE_FIRST "Give it its first revision by promote.configure_instance."

/* What would run: a row of promote_internal.case_target, or of promote.deployment. */
static const SqlField target_fields[] = {
	SQL_ENUM_FIELD(GateCase, action, "t.action", deployment_actions),
	SQL_FIELDS(GateCase, "t", revision, bundle, version, plan, plan_digest)
};
static RowFields deployment_columns = ROW_FIELDS(target_fields);

/* What a case, which is a member of another struct, is judged by: a row of promote_internal.case_facts. */
#define FACTS_FIELDS(type, at) \
	SQL_FIELD(type, at digest, "f.digest"), SQL_FIELD(type, at source_environment, "f.source_environment"), \
	SQL_FIELD(type, at source_revision, "f.source_revision"), SQL_FIELD(type, at source_digest, "f.source_digest"), \
	SQL_FIELD(type, at attributes, "f.attributes"), SQL_FIELD(type, at path_only, "f.path_only"), \
	SQL_FIELD(type, at require_source_in_sync, "f.require_source_in_sync"), \
	SQL_FIELD(type, at require_no_drift, "f.require_no_drift"), \
	SQL_FIELD(type, at require_expected, "f.require_expected"), \
	SQL_FIELD(type, at require_proven_release, "f.require_proven_release"), \
	SQL_FIELD(type, at require_no_reverts, "f.require_no_reverts"), \
	SQL_FIELD(type, at require_artifact_digest, "f.require_artifact_digest"), \
	SQL_FIELD(type, at require_structure, "f.require_structure"), \
	SQL_FIELD(type, at separation_of_duty, "f.separation_of_duty"), \
	SQL_FIELD(type, at required_soak, "f.required_soak")

/* What the facts are made of, as columns of rows: the attributes of each. */
static const SqlField attributes_fields[] = {SQL_FIELDS(GateCase, "p", attributes)};
static RowFields project_columns = ROW_FIELDS(attributes_fields);
static RowFields component_columns = ROW_FIELDS(attributes_fields);
static RowFields instance_columns = ROW_FIELDS(attributes_fields);

/* An environment's row, and the case that its rules are read into. */
typedef struct EnvironmentRow
{
	char	   *source_policy;
	GateCase	gate;
} EnvironmentRow;

#define ENVIRONMENT_FIELD(column) SQL_FIELD(EnvironmentRow, gate.column, "e." #column)

static const SqlField environment_fields[] = {
	SQL_FIELDS(EnvironmentRow, "e", source_policy), ENVIRONMENT_FIELD(attributes),
	ENVIRONMENT_FIELD(require_source_in_sync), ENVIRONMENT_FIELD(require_no_drift),
	ENVIRONMENT_FIELD(require_expected), ENVIRONMENT_FIELD(require_proven_release),
	ENVIRONMENT_FIELD(require_no_reverts), ENVIRONMENT_FIELD(require_artifact_digest),
	ENVIRONMENT_FIELD(require_structure), ENVIRONMENT_FIELD(separation_of_duty), ENVIRONMENT_FIELD(required_soak)
};
static RowFields environment_columns = ROW_FIELDS(environment_fields);

static const SqlField revision_fields[] = {
	SQL_FIELDS(GateCase, "r", digest, source_environment, source_revision)
};
static RowFields revision_columns = ROW_FIELDS(revision_fields);

static const SqlField source_fields[] = {SQL_FIELD(GateCase, source_digest, "s.digest")};
static RowFields source_columns = ROW_FIELDS(source_fields);

/* Read the row with a key, by the active snapshot.  False: it is not there. */
static bool
take(const RowKey *key, RowFields *columns, void *into)
{
	return row_take(key, ForwardScanDirection, columns, GetActiveSnapshot(), into);
}

/* Read what would run by a deployment, as promote_internal.deployment_target has it.  False: it is not there. */
static bool
take_target(GateCase *gate)
{
	const RowKey key = {"deployment", "deployment_pkey", {AS_KEY(&gate->key), AS_INT(gate->deployment)}, 4};

	if (!take(&key, &deployment_columns, gate))
		return false;
	if (gate->action == ACTION_PLAN)
	{
		gate->action = ACTION_PROVISION;
		gate->plan = gate->deployment;
	}
	return true;
}

/* Read what would run by the case's deployment; 0: what would if no plan is named. */
static void
read_target(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(target_fields, "SELECT $* FROM promote_internal.case_target($1, $2, $3) AS t");
	SqlRows		rows;

	if (gate->deployment != 0)
	{
		if (!take_target(gate))
			refuse_unknown_deployment(sql, &gate->key, gate->deployment);
		return;
	}
	rows = sql_read(sql, &read, AS_KEY(&gate->key));
	if (!sql_row(&rows, 0, gate))
		require_instance(sql, &gate->key);
	if (gate->revision == 0)
		refuse_unconfigured(&gate->key, CONFIGURE_FIRST);
}

/* Complete the facts of a case as they were read. */
static void
finish_facts(GateCase *gate)
{
	gate->instance = instance_key_name(&gate->key);
	/* a DECOMMISSION has no source */
	if (gate->source_environment && gate_provisions(gate))
		return;
	gate->source_environment = NULL;
	gate->source_revision = 0;
	gate->source_digest = NULL;
}

/* Lay the attributes that were read last over others; NULL: there are none. */
static void
lay_over(GateCase *gate, const Jsonb *below)
{
	if (below)
		gate->attributes = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(below),
															  JsonbPGetDatum(gate->attributes)));
}

/* Read a row with attributes, and lay them over those that were read before. */
static bool
take_attributes(const RowKey *key, RowFields *columns, GateCase *gate)
{
	const Jsonb *below = gate->attributes;

	if (!take(key, columns, gate))
		return false;
	lay_over(gate, below);
	return true;
}

/* Read the rules of the environment, and its attributes. */
static bool
take_environment(GateCase *gate)
{
	const RowKey key = {"environment", "environment_pkey", {AS_ENVIRONMENT(&gate->key)}, 2};
	EnvironmentRow row = {.gate = *gate};
	const Jsonb *below = gate->attributes;

	if (!take(&key, &environment_columns, &row))
		return false;
	*gate = row.gate;
	gate->path_only = strcmp(row.source_policy, "path") == 0;
	lay_over(gate, below);
	return true;
}

/* Read the revision, and where it was promoted from, if that is another instance. */
static void
take_revision(GateCase *gate)
{
	const RowKey key = {"revision", "revision_pkey", {AS_KEY(&gate->key), AS_INT(gate->revision)}, 4};

	if (gate->revision == 0 || !take(&key, &revision_columns, gate))
		return;
	if (gate->source_environment && strcmp(gate->source_environment, gate->key.environment) == 0)
		gate->source_environment = NULL;
}

/* Read the configuration of the source's revision. */
static void
take_source(GateCase *gate)
{
	const RowKey key = {"revision", "revision_pkey", {
			AS_TEXT(gate->key.project), AS_TEXT(gate->source_environment), AS_TEXT(gate->key.component),
			AS_INT(gate->source_revision)
	}, 4};

	(void) take(&key, &source_columns, gate);
}

/*
 * Read all else that the case is judged by, row by row: what promote_internal.case_facts says, by which sets are read.
 * Whoever changes the one changes the other.
 */
static void
read_facts(const Sql *sql, GateCase *gate)
{
	const RowKey project = {"project", "project_pkey", {AS_TEXT(gate->key.project)}, 1};
	const RowKey component = {"component", "component_pkey", {AS_TEXT(gate->key.project), AS_TEXT(gate->key.component)}, 2};
	const RowKey instance = {"instance", "instance_pkey", {AS_KEY(&gate->key)}, 3};

	gate->attributes = NULL;
	if (!take_attributes(&project, &project_columns, gate) || !take_environment(gate) ||
		!take_attributes(&component, &component_columns, gate) || !take_attributes(&instance, &instance_columns, gate))
		require_instance(sql, &gate->key);
	take_revision(gate);
	finish_facts(gate);
	if (gate->source_environment)
		take_source(gate);
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

/* A case that was read among others. */
typedef struct PlacedCase
{
	int32		place;
	GateCase	gate;
} PlacedCase;

static const SqlField placed_fields[] = {
	SQL_FIELD(PlacedCase, place, "k.place"),
	SQL_ENUM_FIELD(PlacedCase, gate.action, "t.action", deployment_actions),
	SQL_FIELD(PlacedCase, gate.revision, "t.revision"), SQL_FIELD(PlacedCase, gate.bundle, "t.bundle"),
	SQL_FIELD(PlacedCase, gate.version, "t.version"), SQL_FIELD(PlacedCase, gate.plan, "t.plan"),
	SQL_FIELD(PlacedCase, gate.plan_digest, "t.plan_digest"),
	FACTS_FIELDS(PlacedCase, gate.)
};

/*
 * Read the cases of many deployments that exist, to be judged for now, as gate_open does of one: of
 * each the key and the deployment are set, and nothing else.
 */
void
gate_open_all(const Sql *sql, GateCase *gates, int count)
{
	static Statement read = SQL_ROWS(placed_fields, "SELECT $* FROM opened_case AS k"
									 " CROSS JOIN LATERAL (SELECT t.* FROM promote_internal.deployment_target(k.project, k.environment,"
									 "  k.component, k.deployment) AS t LIMIT 1) AS t"
									 " CROSS JOIN LATERAL (SELECT f.* FROM promote_internal.case_facts(k.project, k.environment,"
									 "  k.component, t.revision) AS f LIMIT 1) AS f");
	static const char *const columns[] = {"place", "project", "environment", "component", "deployment"};
	Batch		batch = {.name = "opened_case",.columns = columns};
	TimestampTz now = GetCurrentTimestamp();
	PlacedCase	placed;
	SqlRows		rows;

	if (count == 1)
	{
		gate_open(sql, &gates->key, gates->deployment, now, gates);
		return;
	}
	batch_begin(&batch);
	for (int i = 0; i < count; i++)
		batch_put(&batch, AS_INT(i), AS_KEY(&gates[i].key), AS_INT(gates[i].deployment));
	sql_push_latest();
	rows = batch_call(sql, &read, SQL_READ, &batch, NULL, 0);
	PopActiveSnapshot();
	batch_end(&batch);
	if (rows.count != count)
		elog(ERROR, "the cases of %d deployments were not all read", count);
	for (uint64 i = 0; i < rows.count; i++)
	{
		GateCase   *gate;

		placed.gate = (GateCase) {.at = now,.now = now};
		(void) sql_row(&rows, i, &placed);
		gate = &gates[placed.place];
		placed.gate.key = gate->key;
		placed.gate.deployment = gate->deployment;
		*gate = placed.gate;
		finish_facts(gate);
	}
}

/* Give a case the facts that were read into another one. */
static void
take_facts(const GateCase *facts, GateCase *gate)
{
	GateCase	whole = *facts;

	whole.key = gate->key;
	whole.action = gate->action;
	whole.plan = gate->plan;
	whole.plan_digest = gate->plan_digest;
	whole.revision = gate->revision;
	whole.bundle = gate->bundle;
	whole.version = gate->version;
	whole.at = gate->at;
	whole.now = gate->now;
	*gate = whole;
}

/* Begin the case of an order that is to be queued now. */
static void
begin_order(const InstanceKey *key, const DeploymentOrder *order, GateCase *gate)
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
}

/* Read the case of an order that is to be queued now. */
void
gate_open_order(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order, GateCase *gate)
{
	begin_order(key, order, gate);
	sql_push_latest();
	read_facts(sql, gate);
	PopActiveSnapshot();
}

/* A case that was read among others. */
typedef struct OrderFacts
{
	int32		place;
	GateCase	gate;
	GateKnown	known;
} OrderFacts;

static const SqlField order_fields[] = {
	SQL_FIELD(OrderFacts, place, "k.place"),
	FACTS_FIELDS(OrderFacts, gate.),
	SQL_FIELD(OrderFacts, known.of_bundle, "g.of_bundle"), SQL_FIELD(OrderFacts, known.blocked, "g.blocked"),
	SQL_FIELD(OrderFacts, known.declares, "g.declares"), SQL_FIELD(OrderFacts, known.digested, "g.digested"),
	SQL_FIELD(OrderFacts, known.checks, "g.checks"), SQL_FIELD(OrderFacts, known.differs, "g.differs"),
	SQL_FIELD(OrderFacts, known.held, "g.held"), SQL_FIELD(OrderFacts, known.proven, "g.proven"),
	SQL_FIELD(OrderFacts, known.recorded, "g.recorded"), SQL_FIELD(OrderFacts, known.policies, "g.policies"),
	SQL_FIELD(OrderFacts, known.rules, "g.rules")
};

/*
 * Read the cases of orders to provision that are to be queued now, by one statement, with what says that gates have
 * nothing to look at.  The instances exist.
 */
void
gate_open_orders(const Sql *sql, GateOrder *orders, int count)
{
	static Statement read = SQL_ROWS(order_fields, "SELECT $* FROM gate_order AS k"
									 " CROSS JOIN LATERAL (SELECT f.* FROM promote_internal.case_facts(k.project, k.environment,"
									 "  k.component, k.revision) AS f LIMIT 1) AS f"
									 " CROSS JOIN LATERAL (SELECT g.* FROM promote_internal.known_gates(k.project, k.environment,"
									 "  k.component, k.revision, k.bundle, k.version, k.plan) AS g LIMIT 1) AS g");
	static const char *const columns[] = {
		"place", "project", "environment", "component", "revision", "bundle", "version", "plan"
	};
	Batch		batch = {.name = "gate_order",.columns = columns};
	OrderFacts	facts;
	SqlRows		rows;

	if (count == 0)
		return;
	batch_begin(&batch);
	for (int i = 0; i < count; i++)
	{
		const DeploymentOrder *order = orders[i].order;

		begin_order(orders[i].key, order, &orders[i].gate);
		batch_put(&batch, AS_INT(i), AS_KEY(orders[i].key), AS_INT(order->revision), AS_TEXT(order->bundle),
				  AS_TEXT(order->version), AS_NUMBER(order->plan));
	}
	sql_push_latest();
	rows = batch_call(sql, &read, SQL_READ, &batch, NULL, 0);
	PopActiveSnapshot();
	batch_end(&batch);
	for (uint64 i = 0; i < rows.count; i++)
	{
		GateOrder  *order;

		facts = (OrderFacts) {.place = 0};
		(void) sql_row(&rows, i, &facts);
		order = &orders[facts.place];
		take_facts(&facts.gate, &order->gate);
		finish_facts(&order->gate);
		order->known = facts.known;
		order->known.staged = true;
		order->known.source = NULL;
		order->gate.known = &order->known;
	}
}

/*
 * Read the case of decommissioning what the last change of the instance has left there,
 * to be judged for a time.  Where it has left nothing, review.c says so.
 */
static void
open_decommission(const Sql *sql, const InstanceKey *key, TimestampTz at, GateCase *gate)
{
	static Statement read = {"SELECT i.changed_by FROM promote.instance AS i WHERE " OF_INSTANCE("i")
		" AND i.revision > i.opened_revision"};
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
