/*
 * report.c: questions about one instance that refuse a wrong name instead of
 * answering with nothing.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "compose/mask.h"
#include "grant/grants.h"
#include "promotion/deployment.h"
#include "registry/instance.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_plan_text);
PG_FUNCTION_INFO_V1(promote_config_as_of);

/*
 * The deployment's diff, with a flag where upstream never ran with that value.
 * Where it never ran at all, that would be said of everything, and tell nothing.
 */
#define MARKED_DIFF \
	"COALESCE((SELECT pg_catalog.jsonb_agg(CASE WHEN u.leaf IS NULL THEN e.value" \
	"   ELSE e.value || '{\"unexpected\": true}' END ORDER BY e.ordinality)" \
	"  FROM pg_catalog.jsonb_array_elements(d.diff) WITH ORDINALITY AS e" \
	"  LEFT JOIN (SELECT c.leaf FROM promote.config_changes AS c" \
	"   WHERE c.instance = $5 AND c.deployment = $4 AND c.unexpected" \
	"   AND EXISTS (SELECT FROM promote.revision AS r JOIN promote.deployment AS p" \
	"    ON p.project = r.project AND p.environment = r.source_environment" \
	"    AND p.component = r.component WHERE r.project = d.project" \
	"    AND r.environment = d.environment AND r.component = d.component" \
	"    AND r.revision = d.revision AND p.action = 'PROVISION' AND p.status = 'COMPLETED')" \
	"  ) AS u ON u.leaf = e.ordinality), d.diff)"

/*
 * Where what runs is neither what the diff starts from nor what it leads to:
 * what that is, and what shows the rest; NULL: it is one of them.
 */
#define RUNNING \
	"(SELECT E'\\nWhat runs is revision ' || i.deployed_revision || ', ' || run.bundle || ' ' || run.version" \
	"  || E': promote.compare_deployments(\\'' || $5 || '/' || run.deployment || E'\\', \\'' || $5 || '/'" \
	"  || d.deployment || E'\\') shows all that would change.'" \
	"  FROM promote.instance AS i JOIN promote.deployment AS run ON run.project = i.project" \
	"  AND run.environment = i.environment AND run.component = i.component" \
	"  AND run.deployment = i.deployed_by" \
	"  WHERE i.project = d.project AND i.environment = d.environment AND i.component = d.component" \
	"  AND d.deployment > run.deployment AND d.revision <> run.revision" \
	"  AND d.base_revision IS DISTINCT FROM run.revision)"

/* What a worker recorded of the plan, or of the one that a PROVISION follows; NULL: nothing. */
#define RECORDED_PLAN \
	"(SELECT E'\\n\\n' || promote.format_plan_changes((SELECT COALESCE(pg_catalog.jsonb_agg(" \
	"   pg_catalog.to_jsonb(c) ORDER BY c.change), '[]') FROM promote.resource_changes AS c" \
	"   WHERE c.instance = $5 AND c.deployment = p.deployment))" \
	"  || COALESCE(E'\\nIt cannot be deployed: ' || NULLIF(pg_catalog.array_to_string(p.plan_defects, ', '), '') || '.', '')" \
	"  FROM promote.deployment AS p WHERE p.project = d.project AND p.environment = d.environment" \
	"  AND p.component = d.component AND p.deployment = COALESCE(d.plan, d.deployment)" \
	"  AND p.plan_facts IS NOT NULL)"

/* Gates that were overridden for it, or for the plan that it follows; NULL: none. */
#define OVERRIDDEN \
	"(SELECT E'\\n' || pg_catalog.string_agg(pg_catalog.format(E'\\nOverridden by %s, gate %s (%s): %s', o.actor, o.code," \
	"   pg_catalog.array_to_string(o.messages, '; '), o.reason), '' ORDER BY o.created_at)" \
	"  FROM promote.gate_override AS o WHERE o.project = d.project AND o.environment = d.environment" \
	"  AND o.component = d.component AND o.deployment IN (d.deployment, d.plan))"

/*
 * promote.plan_text(instance text, deployment integer) returns text; without
 * a deployment, that of the last one
 */
Datum
promote_plan_text(PG_FUNCTION_ARGS)
{
	static OldStatement read = {
		.text = "SELECT $5 || ', ' || pg_catalog.lower(d.action) || ' ' || d.deployment || ': revision '"
		" || COALESCE(d.base_revision || ' -> ', '') || d.revision || ', ' || d.bundle || ' '"
		" || COALESCE(NULLIF(d.previous_version, d.version) || ' -> ', '') || d.version"
		" || CASE WHEN d.destructive THEN E'\\nWhat runs would be replaced: an immutable value of it changes.' ELSE '' END"
		" || COALESCE(" RUNNING ", '')"
		" || E'\\n\\n' || promote.format_diff(" MARKED_DIFF ", d.destructive)"
		" || COALESCE(" RECORDED_PLAN ", '')"
		" || COALESCE(" OVERRIDDEN ", '')"
		" FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID}
	};
	InstanceKey key;
	Sql			sql;
	int32		deployment;
	Datum		values[5];
	text	   *result;
	MemoryContext inner;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	sql_enter(&sql);
	deployment = PG_ARGISNULL(1) ? deployment_last(&sql, &key) : PG_GETARG_INT32(1);
	values[0] = CStringGetTextDatum(key.project);
	values[1] = CStringGetTextDatum(key.environment);
	values[2] = CStringGetTextDatum(key.component);
	values[3] = Int32GetDatum(deployment);
	values[4] = CStringGetTextDatum(instance_key_name(&key));
	statement_run(&sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		refuse_unknown_deployment(&sql, &key, deployment);
	inner = MemoryContextSwitchTo(sql.caller);
	result = cstring_to_text(spi_text(SPI_tuptable, 0, 1));
	MemoryContextSwitchTo(inner);
	sql_leave(&sql);
	PG_RETURN_TEXT_P(result);
}

/*
 * Put the row that was read.  What is sensitive in the params is masked,
 * unless the caller gets it anyway: by claiming deployments.  The columns behind
 * those of the result say what is: the release's schema, what keeps marks, and
 * the parameters that render params which are not rendered yet.
 */
static void
put_config(ReturnSetInfo *result, bool shown)
{
	Jsonb	   *params = spi_jsonb(SPI_tuptable, 0, 2);
	Mask	   *mask = mask_create(spi_jsonb(SPI_tuptable, 0, 9));
	Datum		values[8];
	bool		nulls[8];

	for (int i = 0; i < 8; i++)
		values[i] = spi_value(SPI_tuptable, 0, i + 1, &nulls[i]);
	mask_add_both(mask, params, spi_jsonb(SPI_tuptable, 0, 11), spi_jsonb(SPI_tuptable, 0, 10));
	if (!shown)
		values[1] = JsonbPGetDatum(mask_document(mask, params));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* What an instance desired at a moment, by the revision that was its last. */
#define DESIRED \
	"SELECT r.revision, c.params, r.version_constraint::pg_catalog.text," \
	" r.release_channel, r.created_at, r.actor, r.version::pg_catalog.text, NULL::integer, f.params_schema," \
	" " KEPT_OF("r") "," \
	" (SELECT e.parameters FROM promote.environment AS e WHERE e.project = r.project" \
	"  AND e.environment = r.environment)" \
	" FROM promote.revision AS r" \
	" JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest" \
	" JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version" \
	" WHERE " OF_INSTANCE("r") \
	" AND r.created_at <= $4" \
	" ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.revision DESC LIMIT 1"

/*
 * What it ran: by the PROVISION that was its last completed change, unless that
 * was a DECOMMISSION.
 */
#define RUNNING_THEN \
	"SELECT d.revision, c.params, r.version_constraint::pg_catalog.text," \
	" r.release_channel, d.finished_at, d.actor, d.version::pg_catalog.text, d.deployment, f.params_schema," \
	" " KEPT_OF("r") ", NULL::jsonb" \
	" FROM (SELECT d.* FROM promote.deployment AS d WHERE " OF_INSTANCE("d") \
	"  AND d.action <> 'PLAN' AND d.status = 'COMPLETED' AND d.finished_at <= $4" \
	"  ORDER BY d.finished_at DESC, d.deployment DESC LIMIT 1) AS d" \
	" JOIN promote.revision AS r ON " SAME_INSTANCE("r", "d") " AND r.revision = d.revision" \
	" JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest" \
	" JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version" \
	" WHERE d.action = 'PROVISION'"

/* Is a state the one that ran?  Refuses words that name none. */
static bool
is_running(FunctionCallInfo fcinfo, int argument)
{
	char	   *state = argument_text(fcinfo, argument);

	if (state && strcmp(state, "running") == 0)
		return true;
	if (state == NULL || strcmp(state, "desired") != 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 state ? errmsg("\"%s\" is not a state of configurations", state) :
				 errmsg("the state is missing"),
				 errdetail("States are desired and running."),
				 errhint("Leave it out for what was desired; pass state => 'running' for what ran.")));
	return false;
}

/*
 * promote.config_as_of(instance text, at timestamptz, state text) returns
 * table, see sql/report/report.sql; no row where the instance had no revision yet, or
 * ran nothing
 */
Datum
promote_config_as_of(PG_FUNCTION_ARGS)
{
#define STATE_STATEMENT(query) {.text = query,.parameters = 4,.types = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}}
	static OldStatement reads[] = {STATE_STATEMENT(DESIRED), STATE_STATEMENT(RUNNING_THEN)};
	ReturnSetInfo *result;
	InstanceKey key;
	Sql			sql;
	Datum		values[4];
	bool		shown;
	bool		running;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	running = is_running(fcinfo, 2);
	shown = access_allowed("work", key.project, key.environment);
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	sql_enter(&sql);
	(void) deployment_last(&sql, &key);
	instance_key_values(&key, values);
	values[3] = TimestampTzGetDatum(PG_ARGISNULL(1) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(1));
	statement_run(&sql, &reads[running], values, NULL, true);
	if (SPI_processed > 0)
		put_config(result, shown);
	sql_leave(&sql);
	return (Datum) 0;
}
