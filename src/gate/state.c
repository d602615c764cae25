/*
 * state.c: gates about what the source and the destination are, and what
 * the plan would do.
 *
 * What blocks can be seen in the views instance_status, drift_status, resource_changes and
 * config_changes.  Where these would be read by joins, whose order depends on
 * what the tables held when the plan was made, the same is asked here by
 * whole keys; the tests hold the one against the other.
 */
#include "postgres.h"

#include "gate/state.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#define NAMES_SHOWN 5			/* in a message, of what may be many */

/* Would something be deployed that was promoted from another instance, whose revision is there? */
bool
gate_has_source(const GateCase *gate)
{
	return gate->source_environment && gate->source_digest;
}

/* Name of the instance that the revision was promoted from. */
char *
gate_source_name(const GateCase *gate)
{
	InstanceKey source = gate->key;

	source.environment = (char *) gate->source_environment;
	return instance_key_name(&source);
}

/*
 * Gate "source_in_sync": where the environment asks for it, the source has to
 * be in sync, and run the configuration and the release that were promoted.
 */
void
gate_source_in_sync(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT v.status, v.since, v.deployed_revision, v.deployed_version,"
		" v.deployed_digest IS NOT DISTINCT FROM $2 FROM promote.instance_status AS v WHERE v.instance = $1",
		.parameters = 2,
		.types = {TEXTOID, BYTEAOID}
	};
	Datum		values[2];
	char	   *source;
	char	   *status;
	char	   *version;
	const char *subject = "release";
	char	   *problem;

	if (!gate->require_source_in_sync || !gate_has_source(gate))
		return;
	source = gate_source_name(gate);
	values[0] = CStringGetTextDatum(source);
	values[1] = PointerGetDatum(gate->source_digest);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		return;
	status = spi_text(SPI_tuptable, 0, 1);
	version = spi_text(SPI_tuptable, 0, 4);
	if (strcmp(status, "in_sync") != 0)
	{
		subject = status;
		problem = psprintf("the source \"%s\" is %s, not in_sync", source, status);
	}
	else if (!spi_bool(SPI_tuptable, 0, 5))
	{
		subject = "configuration";
		problem = psprintf("the source \"%s\" runs revision %d, not the configuration of revision %d that was promoted",
						   source, spi_integer(SPI_tuptable, 0, 3), gate->source_revision);
	}
	else if (gate->version && version && strcmp(gate->version, version) != 0)
		problem = psprintf("the source \"%s\" runs release %s, not %s", source, version, gate->version);
	else
		return;
	gate_block(gate, "source_in_sync", true, spi_time(SPI_tuptable, 0, 2), GATE_NO_TIME,
			   psprintf("whoever deploys \"%s\", or promotes what it runs", source), problem);
	gate_about(gate, subject);
}

/* The first few texts of the result's first column, and how many more there are. */
static char *
result_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint64 i = 0; i < SPI_processed && i < NAMES_SHOWN; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", spi_text(SPI_tuptable, i, 1));
	if (SPI_processed > NAMES_SHOWN)
		appendStringInfo(&names, " and " UINT64_FORMAT " more", SPI_processed - NAMES_SHOWN);
	return names.data;
}

/* All texts of a column of the result: what an override of them covers. */
static char *
all_names(int column)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", spi_text(SPI_tuptable, i, column));
	return names.data;
}

/* What gate_drift looks at. */
typedef struct Drift
{
	bool		reported;		/* by whoever looked */
	bool		found;			/* by the last plan */
	bool		repaired;		/* what would be deployed is what was */
} Drift;

/* Read whether anything may differ, and whether it would be put right. */
static void
read_drift(const Sql *sql, const GateCase *gate, Drift *drift)
{
	static OldStatement read = {
		.text = "SELECT EXISTS (SELECT FROM promote.drift_item AS x WHERE " OF_INSTANCE("x") " AND x.closed_at IS NULL"
		"  AND x.kind <> 'resource' AND x.changed_by = i.changed_by AND x.dismissed_at IS NULL"
		"  AND x.adopted_revision IS DISTINCT FROM $4),"
		" EXISTS (SELECT FROM promote.planned_change AS c WHERE " OF_INSTANCE("c") " AND c.deployment = p.deployment"
		"  AND c.fencing = p.fencing AND c.origin = 'drift' AND c.action <> 'no-op'),"
		" EXISTS (SELECT FROM (SELECT d.version, d.rendered_digest FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		"   AND d.deployment = i.deployed_by LIMIT 1) AS run"
		"  WHERE run.version = $6 AND (SELECT r.digest FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		"   AND r.revision = i.deployed_revision) = $5"
		"  AND ($7 = 0 OR run.rendered_digest = (SELECT d.rendered_digest FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		"   AND d.deployment = $7)))"
		" FROM promote.instance AS i"
		" LEFT JOIN LATERAL (SELECT d.deployment, d.fencing FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		"  AND d.action = 'PLAN' AND d.plan_facts IS NOT NULL AND d.seen_change = i.changed_by"
		"  ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.seen_change DESC, d.started_at DESC"
		"  LIMIT 1) AS p ON true WHERE " OF_INSTANCE("i") " AND i.deployed_by IS NOT NULL",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID, TEXTOID, INT4OID}
	};
	bool		nulls[7] = {[4] = gate->digest == NULL,[5] = gate->version == NULL};
	Datum		values[7];

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->revision);
	values[4] = PointerGetDatum(gate->digest);
	values[5] = gate->version ? CStringGetTextDatum(gate->version) : (Datum) 0;
	values[6] = Int32GetDatum(gate->plan);
	*drift = (Drift) {false, false, false};
	statement_run(sql, &read, values, nulls, true);
	if (SPI_processed == 0)
		return;
	drift->reported = spi_bool(SPI_tuptable, 0, 1);
	drift->found = spi_bool(SPI_tuptable, 0, 2);
	drift->repaired = spi_bool(SPI_tuptable, 0, 3);
}

/*
 * Gate "drift": where the environment asks for it, nothing may be open that
 * differs at the destination from what was deployed there.  What was dismissed
 * is not, nor what the revision adopts.  Nor does it block to deploy once more
 * what was deployed, for that puts it right.
 */
void
gate_drift(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		/* the same path that has drifted anew, or on, is another reason */
		.text = "SELECT y.path, pg_catalog.min(y.since) OVER (), pg_catalog.concat(y.path, ' since ', pg_catalog.to_char(y.since AT TIME ZONE 'UTC',"
		"  'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')), (SELECT pg_catalog.left(pg_catalog.encode(o.digest, 'hex'), 16)"
		"  FROM promote.observation AS o WHERE " OF_INSTANCE("o") ") FROM"
		" (SELECT x.path, x.since FROM promote.instance AS i CROSS JOIN LATERAL"
		"  (SELECT x.path, x.since FROM promote.drift_item AS x WHERE " OF_INSTANCE("x") " AND x.closed_at IS NULL"
		"   AND x.kind <> 'resource' AND x.changed_by = i.changed_by AND x.dismissed_at IS NULL"
		"   AND x.adopted_revision IS DISTINCT FROM $4 OFFSET 0) AS x WHERE " OF_INSTANCE("i")
		"  UNION ALL SELECT v.path, v.since FROM promote.drift_status AS v"
		"  WHERE v.instance = $5 AND v.kind = 'resource' AND NOT v.dismissed AND $6) AS y ORDER BY y.path",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, BOOLOID}
	};
	Drift		drift;
	Datum		values[6];
	char	   *names;
	char	   *observed;		/* keyed digest of all that was reported; NULL: nothing was */

	if (!gate->require_no_drift)
		return;
	read_drift(sql, gate, &drift);
	if (drift.repaired || !(drift.reported || drift.found))
		return;
	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->revision);
	values[4] = CStringGetTextDatum(gate->instance);
	values[5] = BoolGetDatum(drift.found);
	statement_run(sql, &read, values, NULL, true);
	/* all that a plan has found may be dismissed */
	if (SPI_processed == 0)
		return;
	names = result_names();
	gate_block(gate, "drift", true, spi_time(SPI_tuptable, 0, 2), GATE_NO_TIME, "whoever adopts or dismisses it",
			   psprintf("\"%s\" differs from what was deployed: %s", gate->instance, names));
	observed = spi_text(SPI_tuptable, 0, 4);
	gate_about(gate, psprintf("%s%s%s", all_names(3), observed ? ", as observed by " : "", observed ? observed : ""));
}

/* The deployment whose changes are judged: the plan, or what was asked for; 0: there is none yet. */
static int32
judged_deployment(const GateCase *gate)
{
	return gate->plan != 0 ? gate->plan : gate->deployment;
}

/* Changes c of the recorded plan that is deployment $4 of the instance of the first three parameters. */
#define CHANGES_OF_PLAN \
	"(SELECT d.deployment, d.fencing, d.bundle, d.version FROM promote.deployment AS d WHERE " OF_INSTANCE("d") \
	" AND d.deployment = $4 AND d.plan_facts IS NOT NULL LIMIT 1) AS p" \
	" CROSS JOIN LATERAL (SELECT c.change, c.address, c.type, c.action, c.origin, c.mode, c.fingerprint" \
	"  FROM promote.planned_change AS c WHERE " OF_INSTANCE("c") \
	"  AND c.deployment = p.deployment AND c.fencing = p.fencing OFFSET 0) AS c"

/* Gate "destructive": the plan must not delete or replace what holds data. */
void
gate_destructive(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT c.address FROM " CHANGES_OF_PLAN
		" WHERE c.origin <> 'drift' AND c.action IN ('delete', 'replace') AND COALESCE(c.mode, 'managed') = 'managed'"
		" AND (EXISTS (SELECT FROM promote.stateful_type AS s WHERE s.pattern = c.type)"
		"  OR EXISTS (SELECT FROM promote.stateful_type AS s WHERE pg_catalog.strpos(s.pattern, '*') > 0"
		"   AND c.type LIKE s.like_pattern)"
		"  OR EXISTS (SELECT FROM pg_catalog.unnest((SELECT b.stateful_types FROM promote.bundle_release AS b"
		"   WHERE b.bundle = p.bundle AND b.version = p.version)) AS own (pattern)"
		"   WHERE c.type LIKE promote_internal.type_pattern(own.pattern))) ORDER BY c.change",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	char	   *names;

	if (gate->plan == 0)
		return;
	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->plan);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		return;
	names = result_names();
	gate_block(gate, "destructive", true, GATE_NO_TIME, GATE_NO_TIME,
			   "whoever changes what is desired, so that another plan does not",
			   psprintf("plan %d deletes or replaces resources that hold data: %s", gate->plan, names));
	gate_about(gate, all_names(1));
}

/* Block because of changes, in the result, that the source never had. */
static void
block_unexpected(GateCase *gate, const char *what)
{
	char	   *names;

	if (SPI_processed == 0)
		return;
	names = result_names();
	gate_block(gate, "unexpected", true, GATE_NO_TIME, GATE_NO_TIME,
			   psprintf("whoever deploys it at \"%s\" first", gate_source_name(gate)),
			   psprintf("%s that \"%s\" never had: %s", what, gate_source_name(gate), names));
	gate_about(gate, all_names(1));
}

/*
 * Block where the configuration gets a value from the source that it has
 * never run with.  What the destination has for itself, overrides gave it, or
 * its environment's parameters, is meant.  Where nothing ever ran at the
 * source there is nothing to compare with.  The source's last runs are looked
 * at first: mostly they have it.  Where nothing was planned, what is desired is
 * held against what was deployed.
 */
static void
judge_config(const Sql *sql, GateCase *gate)
{
#define RUNS_OF_SOURCE \
	"(SELECT u.revision, u.rendered_digest FROM promote.deployment AS u WHERE u.project = $1" \
	" AND u.environment = $5 AND u.component = $3 AND u.action = 'PROVISION' AND u.status = 'COMPLETED'" \
	" AND u.started_at IS NOT NULL" \
	" ORDER BY u.project DESC, u.environment DESC, u.component DESC, u.started_at DESC) AS u"
#define CONFIG(digest_of) "(SELECT k.params FROM promote.config AS k WHERE k.project = $1 AND k.digest = " digest_of ")"
#define AT(document) "promote.jsonb_at_path(" document ", l.path)"
	static OldStatement read = {
		.text = "SELECT l.path FROM (SELECT " CONFIG("$6") " AS own, " CONFIG("$7") " AS theirs OFFSET 0) AS c"
		" CROSS JOIN LATERAL (SELECT x.value ->> 'path' AS path, x.value ->> 'change' AS change, x.value -> 'new' AS new_value,"
		"  x.value ? 'sensitive' AS sensitive, x.place FROM pg_catalog.jsonb_array_elements("
		"  (SELECT d.diff FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4))"
		"  WITH ORDINALITY AS x (value, place) WHERE NOT x.value ? 'kind'"
		" UNION ALL SELECT f.path, f.change, NULL, false, f.place FROM promote.jsonb_leaf_diff("
		"  COALESCE(" CONFIG("(SELECT r.digest FROM promote.revision AS r WHERE " OF_INSTANCE("r") " AND r.revision ="
							  " (SELECT i.deployed_revision FROM promote.instance AS i WHERE " OF_INSTANCE("i") "))") ", '{}'), c.own)"
		"  WITH ORDINALITY AS f (path, change, old_value, new_value, place) WHERE $4 = 0) AS l"
		" WHERE CASE l.change WHEN 'remove' THEN " AT("c.theirs") " IS NULL ELSE " AT("c.theirs") " = " AT("c.own") " END"
		" AND EXISTS (SELECT FROM " RUNS_OF_SOURCE ")"
		" AND NOT EXISTS (SELECT FROM " RUNS_OF_SOURCE " WHERE CASE"
		"  WHEN l.change = 'remove' THEN " AT(CONFIG("u.rendered_digest")) " IS NULL"
		"  WHEN l.sensitive THEN " AT(CONFIG("u.rendered_digest")) " IS NOT NULL"
		"  ELSE " AT(CONFIG("(SELECT r.digest FROM promote.revision AS r WHERE r.project = $1 AND r.environment = $5"
						   " AND r.component = $3 AND r.revision = u.revision)")) " = " AT("c.own")
		"   OR " AT(CONFIG("u.rendered_digest")) " = l.new_value END)"
		" ORDER BY l.place",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID, BYTEAOID}
	};
	Datum		values[7];

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(judged_deployment(gate));
	values[4] = CStringGetTextDatum(gate->source_environment);
	values[5] = PointerGetDatum(gate->digest);
	values[6] = PointerGetDatum(gate->source_digest);
	statement_run(sql, &read, values, NULL, true);
	block_unexpected(gate, "the configuration gets values");
}

/*
 * Block where the plan does what no plan of the source did, if any was
 * recorded.  Where overrides were given the source's resources have not been
 * updated in the same way: there only what is made or taken away counts.
 */
static void
judge_plan(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT c.address FROM " CHANGES_OF_PLAN
		" WHERE c.origin = 'change' AND c.fingerprint IS NOT NULL"
		" AND (c.action <> 'update' OR EXISTS (SELECT FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		"  AND r.revision = $6 AND (r.overrides = '{}') IS NOT FALSE))"
		" AND EXISTS (SELECT FROM promote.deployment AS u WHERE u.project = $1 AND u.environment = $5"
		"  AND u.component = $3 AND u.action = 'PLAN' AND u.plan_facts IS NOT NULL)"
		" AND NOT EXISTS (SELECT FROM (SELECT u.deployment, u.fencing FROM promote.planned_change AS u"
		"  WHERE u.project = $1 AND u.environment = $5 AND u.component = $3 AND u.fingerprint = c.fingerprint OFFSET 0) AS u"
		"  WHERE (SELECT o.fencing FROM promote.deployment AS o WHERE o.project = $1 AND o.environment = $5"
		"   AND o.component = $3 AND o.deployment = u.deployment AND o.plan_facts IS NOT NULL) = u.fencing)"
		" ORDER BY c.change",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, INT4OID}
	};
	Datum		values[6];

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(gate->plan);
	values[4] = CStringGetTextDatum(gate->source_environment);
	values[5] = Int32GetDatum(gate->revision);
	statement_run(sql, &read, values, NULL, true);
	block_unexpected(gate, psprintf("plan %d makes changes", gate->plan));
}

/*
 * Gate "unexpected": where the environment asks for it, what was promoted may
 * bring nothing that its source has not been through.
 */
void
gate_unexpected(const Sql *sql, GateCase *gate)
{
	if (!gate->require_expected || !gate_has_source(gate))
		return;
	judge_config(sql, gate);
	if (gate->plan != 0)
		judge_plan(sql, gate);
}
