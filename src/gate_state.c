/*
 * gate_state.c: gates about what the source and the destination are, and what
 * the plan would do.
 *
 * They ask the views that people look at, so that what blocks can be seen
 * there: instance_status, drift, plan_changes, config_changes.
 */
#include "postgres.h"

#include "gate_state.h"
#include "stage.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#define NAMES_SHOWN 5			/* in a message, of what may be many */

/*
 * Would something be deployed that was promoted from another instance?  What
 * is decommissioned has to be neither in sync nor expected.
 */
bool
gate_has_source(const GateCase *gate)
{
	return gate->source_environment && gate->source_digest && strcmp(gate->action, "DECOMMISSION") != 0;
}

/* Name of the instance that the revision was promoted from. */
char *
gate_source_name(const GateCase *gate)
{
	InstanceKey source = gate->key;

	source.environment = (char *) gate->source_environment;
	return instance_key_name(&source);
}

/* A time of the result in SPI_tuptable. */
static TimestampTz
result_time(int column)
{
	bool		isnull;
	Datum		value = spi_value(SPI_tuptable, 0, column, &isnull);

	return isnull ? GATE_NO_TIME : DatumGetTimestampTz(value);
}

/*
 * Gate "source_in_sync": where the environment asks for it, the source has to
 * be in sync, and run the configuration and the release that were promoted.
 */
void
gate_source_in_sync(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT v.status, v.since, v.deployed_revision, v.deployed_version,"
		" v.deployed_digest IS NOT DISTINCT FROM $2 FROM promote.instance_status AS v WHERE v.instance = $1",
		.parameters = 2,
		.types = {TEXTOID, BYTEAOID}
	};
	Datum		values[2];
	char	   *source;
	char	   *status;
	char	   *version;
	char	   *problem;

	if (!gate->require_source_in_sync || !gate_has_source(gate))
		return;
	source = gate_source_name(gate);
	values[0] = CStringGetTextDatum(source);
	values[1] = PointerGetDatum(gate->source_digest);
	statement_run(&read, values, NULL, true);
	if (SPI_processed == 0)
		return;
	status = spi_text(SPI_tuptable, 0, 1);
	version = spi_text(SPI_tuptable, 0, 4);
	if (strcmp(status, "in_sync") != 0)
		problem = psprintf("the source \"%s\" is %s, not in_sync", source, status);
	else if (!spi_bool(SPI_tuptable, 0, 5))
		problem = psprintf("the source \"%s\" runs revision %d, not the configuration of revision %d that was promoted",
						   source, spi_integer(SPI_tuptable, 0, 3), gate->source_revision);
	else if (gate->version && version && strcmp(gate->version, version) != 0)
		problem = psprintf("the source \"%s\" runs release %s, not %s", source, version, gate->version);
	else
		return;
	gate_block(gate, "source_in_sync", true, result_time(2), GATE_NO_TIME,
			   psprintf("whoever deploys \"%s\", or promotes what it runs", source), problem);
}

/* The first few texts of a column of the result, and how many more there are. */
static char *
result_names(int column)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint64 i = 0; i < SPI_processed && i < NAMES_SHOWN; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", spi_text(SPI_tuptable, i, column));
	if (SPI_processed > NAMES_SHOWN)
		appendStringInfo(&names, " and " UINT64_FORMAT " more", SPI_processed - NAMES_SHOWN);
	return names.data;
}

/*
 * Gate "drift": where the environment asks for it, nothing may be open that
 * differs at the destination from what was deployed there.  What was dismissed
 * is not, nor what the revision adopts.  Nor does it block to deploy once more
 * what was deployed, for that puts it right.
 */
void
gate_drift(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT v.path, pg_catalog.min(v.since) OVER () FROM promote.drift AS v"
		" WHERE v.instance = $4 AND NOT v.dismissed AND v.adopted_revision IS DISTINCT FROM $5"
		" AND NOT EXISTS (SELECT FROM promote.instance AS i, promote.deployment AS d, promote.revision AS r"
		"  WHERE " OF_INSTANCE("i") " AND " OF_INSTANCE("d") " AND d.deployment = i.deployed_by"
		"  AND " OF_INSTANCE("r") " AND r.revision = i.deployed_revision AND r.digest = $6 AND d.version = $7"
		"  AND (SELECT p.rendered_digest FROM promote.deployment AS p WHERE " OF_INSTANCE("p")
		"       AND p.deployment = $8) IS NOT DISTINCT FROM d.rendered_digest)"
		" ORDER BY v.path",
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID, TEXTOID, INT4OID}
	};
	Datum		values[8];
	bool		nulls[8] = {[5] = gate->digest == NULL,[6] = gate->version == NULL};

	if (!gate->require_no_drift || strcmp(gate->action, "DECOMMISSION") == 0)
		return;
	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->instance);
	values[4] = Int32GetDatum(gate->revision);
	values[5] = PointerGetDatum(gate->digest);
	values[6] = gate->version ? CStringGetTextDatum(gate->version) : (Datum) 0;
	values[7] = Int32GetDatum(gate->plan);
	statement_run(&read, values, nulls, true);
	if (SPI_processed > 0)
		gate_block(gate, "drift", true, result_time(2), GATE_NO_TIME, "whoever adopts or dismisses it",
				   psprintf("\"%s\" differs from what was deployed: %s", gate->instance, result_names(1)));
}

/* The deployment whose changes are judged: the plan, or what was asked for; 0: none. */
static int32
judged_deployment(const GateCase *gate)
{
	return gate->plan != 0 ? gate->plan : gate->deployment;
}

/* Gate "destructive": the plan must not delete or replace what holds data. */
void
gate_destructive(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT c.address FROM promote.plan_changes AS c"
		" WHERE c.instance = $1 AND c.deployment = $2 AND c.destructive AND c.stateful ORDER BY c.change",
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2];

	if (gate->plan == 0 || strcmp(gate->action, "DECOMMISSION") == 0)
		return;
	values[0] = CStringGetTextDatum(gate->instance);
	values[1] = Int32GetDatum(gate->plan);
	statement_run(&read, values, NULL, true);
	if (SPI_processed > 0)
		gate_block(gate, "destructive", true, GATE_NO_TIME, GATE_NO_TIME, "whoever changes what is desired, so that another plan does not",
				   psprintf("plan %d deletes or replaces resources that hold data: %s", gate->plan, result_names(1)));
}

/* Block because of changes, in the result, that the source never had. */
static void
block_unexpected(GateCase *gate, const char *what)
{
	if (SPI_processed == 0)
		return;
	gate_block(gate, "unexpected", true, GATE_NO_TIME, GATE_NO_TIME,
			   psprintf("whoever deploys it at \"%s\" first", gate_source_name(gate)),
			   psprintf("%s that \"%s\" never had: %s", what, gate_source_name(gate), result_names(1)));
}

/*
 * Block where the configuration gets a value from the source that it has
 * never run with.  What the destination has for itself, overrides gave it, or
 * its environment's parameters, is meant.  Where nothing ever ran at the
 * source there is nothing to compare with.
 */
static void
judge_config(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT c.path FROM promote.config_changes AS c, promote.config AS own, promote.config AS theirs"
		" WHERE c.instance = $5 AND c.deployment = $6 AND c.unexpected"
		" AND own.project = $1 AND own.digest = $7 AND theirs.project = $1 AND theirs.digest = $8"
		" AND CASE c.change WHEN 'remove' THEN promote.jsonb_at_path(theirs.params, c.path) IS NULL"
		"  ELSE promote.jsonb_at_path(theirs.params, c.path) = promote.jsonb_at_path(own.params, c.path) END"
		" AND EXISTS (SELECT FROM promote.deployment AS u WHERE u.project = $1 AND u.environment = $4"
		"  AND u.component = $3 AND u.action = 'PROVISION' AND u.status = 'COMPLETED'"
		"  AND u.started_at IS NOT NULL AND u.environment <> $2)"
		" ORDER BY c.leaf",
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID, BYTEAOID}
	};
	Datum		values[8];

	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->source_environment);
	values[4] = CStringGetTextDatum(gate->instance);
	values[5] = Int32GetDatum(judged_deployment(gate));
	values[6] = PointerGetDatum(gate->digest);
	values[7] = PointerGetDatum(gate->source_digest);
	statement_run(&read, values, NULL, true);
	block_unexpected(gate, "the configuration gets values");
}

/*
 * Block where the plan does what no plan of the source did, if any was
 * recorded.  Where overrides were given the source's resources have not been
 * updated in the same way: there only what is made or taken away counts.
 */
static void
judge_plan(GateCase *gate)
{
	static Statement read = {
		.text = "SELECT c.address FROM promote.plan_changes AS c"
		" WHERE c.instance = $5 AND c.deployment = $6 AND c.unexpected"
		" AND (c.action <> 'update' OR EXISTS (SELECT FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		"  AND r.revision = $7 AND (r.overrides = '{}') IS NOT FALSE))"
		" AND EXISTS (SELECT FROM promote.deployment AS u WHERE u.project = $1 AND u.environment = $4"
		"  AND u.component = $3 AND u.action = 'PLAN' AND u.plan_facts IS NOT NULL)"
		" ORDER BY c.change",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID}
	};
	Datum		values[7];

	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->source_environment);
	values[4] = CStringGetTextDatum(gate->instance);
	values[5] = Int32GetDatum(gate->plan);
	values[6] = Int32GetDatum(gate->revision);
	statement_run(&read, values, NULL, true);
	block_unexpected(gate, psprintf("plan %d makes changes", gate->plan));
}

/*
 * Gate "unexpected": where the environment asks for it, what was promoted may
 * bring nothing that its source has not been through.
 */
void
gate_unexpected(GateCase *gate)
{
	if (!gate->require_expected || !gate_has_source(gate) || judged_deployment(gate) == 0)
		return;
	judge_config(gate);
	if (gate->plan != 0)
		judge_plan(gate);
}
