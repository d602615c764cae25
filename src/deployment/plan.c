/*
 * plan.c: recording what a worker's terraform plan said it would do.
 *
 * terraform/document.c reads the document; here its rows get into their table, all
 * by one statement, and its digest and facts to the deployment.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "deployment/worker.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/record_rows.h"
#include "promotion/proposal.h"
#include "terraform/document.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/array.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_record_plan);
PG_FUNCTION_INFO_V1(promote_guard_stateful_type);

#define ROWS_NAME "promote_planned_rows"	/* of the rows, in the statement that inserts them */

/* The deployment that a plan is recorded for, and what its secrets are known by. */
typedef struct PlanTarget
{
	Deployment	deployment;
	DeployedParams planned;
	List	   *deployed;		/* DeployedParams *: what may run */
} PlanTarget;

/* The rows' columns. */
static const struct
{
	const char *name;
	Oid			type;
}			row_columns[PLAN_COLUMNS] = {
	[PLAN_CHANGE] = {"change", INT4OID},
	[PLAN_ORIGIN] = {"origin", TEXTOID},
	[PLAN_ADDRESS] = {"address", TEXTOID},
	[PLAN_PREVIOUS_ADDRESS] = {"previous_address", TEXTOID},
	[PLAN_DEPOSED] = {"deposed", TEXTOID},
	[PLAN_MODE] = {"mode", TEXTOID},
	[PLAN_TYPE] = {"type", TEXTOID},
	[PLAN_PROVIDER] = {"provider", TEXTOID},
	[PLAN_ACTION] = {"action", TEXTOID},
	[PLAN_CREATE_BEFORE_DESTROY] = {"create_before_destroy", BOOLOID},
	[PLAN_IMPORTING] = {"importing", BOOLOID},
	[PLAN_ACTION_REASON] = {"action_reason", TEXTOID},
	[PLAN_REPLACE_PATHS] = {"replace_paths", TEXTARRAYOID},
	[PLAN_DIFF] = {"diff", JSONBOID},
	[PLAN_FINGERPRINT] = {"fingerprint", BYTEAOID}
};

/* The type of the rows. */
static TupleDesc
make_row_type(void)
{
	TupleDesc	row_type = CreateTemplateTupleDesc(PLAN_COLUMNS);

	for (int i = 0; i < PLAN_COLUMNS; i++)
		TupleDescInitEntry(row_type, i + 1, row_columns[i].name, row_columns[i].type, -1, 0);
	TupleDescFinalize(row_type);
	return BlessTupleDesc(row_type);
}

/* Read what secrets are known by: what the deployment carries, and what may run, wholly or in part. */
static void
read_target(const Sql *sql, PlanTarget *target)
{
	static OldStatement read = {
		.text = "SELECT c.params, b.params_schema, (SELECT v.kept_marks FROM promote_internal.marked_revision AS v"
		"  WHERE " SAME_INSTANCE("v", "d") " AND v.revision = d.revision), i.deployed_by"
		" FROM promote.deployment AS d"
		" JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest"
		" JOIN promote.bundle_release AS b ON b.bundle = d.bundle AND b.version = d.version"
		" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "d")
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	SPITupleTable *rows;

	deployment_values(&target->deployment.key, target->deployment.deployment, values);
	statement_run(sql, &read, values, NULL, false);
	rows = SPI_tuptable;
	target->planned.params = spi_jsonb(rows, 0, 1);
	target->planned.schema = spi_jsonb(rows, 0, 2);
	target->planned.kept = spi_jsonb(rows, 0, 3);
	target->deployed = proposal_deployed(sql, &target->deployment.key, spi_integer(rows, 0, 4), false);
}

/* What must not be seen: what any of the releases calls sensitive, in what is planned and in what may run. */
static Secrets *
target_secrets(const PlanTarget *target)
{
	Mask	   *mask = mask_create(target->planned.schema);

	mask_add_origin(mask, target->planned.params, target->planned.kept);
	compose_add_deployed(mask, target->deployed);
	return mask_secrets(mask, SECRETS_DECLARED);
}

/* Make the rows known to statements of this scope. */
static void
register_rows(Tuplestorestate *rows, TupleDesc row_type)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = ROWS_NAME;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = row_type;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a plan");
}

/* Insert the rows; the key's domains are checked once, not row by row. */
static void
insert_rows(const Sql *sql, const Deployment *deployment, Tuplestorestate *rows, TupleDesc row_type)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.planned_change (project, environment, component, deployment,"
		" fencing, change, origin, address, previous_address, deposed, mode, type, provider,"
		" action, create_before_destroy, importing, action_reason, replace_paths, diff, fingerprint)"
		" SELECT k.project, k.environment, k.component, $4, $5, p.change, p.origin, p.address,"
		" p.previous_address, p.deposed, p.mode, p.type, p.provider, p.action,"
		" p.create_before_destroy, p.importing, p.action_reason, p.replace_paths, p.diff, p.fingerprint"
		" FROM (SELECT $1::promote.project_name AS project,"
		"  $2::promote.environment_name AS environment, $3::promote.component_name AS component"
		"  OFFSET 0) AS k"
		" CROSS JOIN " ROWS_NAME " AS p",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID}
	};
	Datum		values[5];

	register_rows(rows, row_type);
	deployment_values(&deployment->key, deployment->deployment, values);
	values[4] = Int32GetDatum(deployment->fencing);
	old_guarded_run(sql, &insert, values, NULL);
	if (SPI_processed != tuplestore_tuple_count(rows))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("not every change of the plan was recorded"),
				 errdetail("A trigger of promote.planned_change swallowed a row."),
				 errhint("Look for triggers that are not promote's.")));
}

/* The names of what keeps the plan from being deployed, as an array. */
static Datum
defects_array(const PlanSummary *summary)
{
	Datum		defects[3];
	int			count = 0;

	if (summary->errored)
		defects[count++] = CStringGetTextDatum("errored");
	if (summary->incomplete)
		defects[count++] = CStringGetTextDatum("incomplete");
	if (summary->deferred)
		defects[count++] = CStringGetTextDatum("deferred");
	return PointerGetDatum(construct_array(defects, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Put the digest and what the document says of itself to the deployment; returns its row. */
static Datum
update_deployment(const Sql *sql, const Deployment *deployment, bytea *digest, const PlanSummary *summary)
{
	static OldStatement update = {
		.text = "UPDATE promote.deployment AS d SET plan_digest = $5, plan_facts = $6, plan_defects = $7"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
		" RETURNING d",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID, JSONBOID, TEXTARRAYOID}
	};
	Datum		values[7];
	bool		isnull;

	deployment_values(&deployment->key, deployment->deployment, values);
	values[4] = PointerGetDatum(digest);
	values[5] = JsonbPGetDatum(summary->facts);
	values[6] = defects_array(summary);
	old_guarded_run(sql, &update, values, NULL);
	return spi_value(SPI_tuptable, 0, 1, &isnull);
}

/* Read the document and write all that is recorded of it; returns the deployment's row. */
static Datum
write_plan(const Sql *sql, PlanTarget *target, const Jsonb *plan, bytea *digest)
{
	TupleDesc	row_type = make_row_type();
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	PlanSummary summary;

	read_target(sql, target);
	plan_document_read(plan, target_secrets(target), rows, row_type, &summary);
	insert_rows(sql, &target->deployment, rows, row_type);
	tuplestore_end(rows);
	record_plan_changes(sql, &target->deployment.key, target->deployment.deployment, target->deployment.fencing);
	return update_deployment(sql, &target->deployment, digest, &summary);
}

/* Refuse a plan for what is none. */
static void
require_plan_action(const Deployment *deployment)
{
	if (deployment->action == ACTION_PLAN)
		return;
	ereport(ERROR,
			(errcode(PM_ILLEGAL_STEP),
			 errmsg("deployment %d of \"%s\" is not a PLAN", deployment->deployment,
					instance_key_name(&deployment->key)),
			 errdetail("It is a %s, and carries out what was planned before.",
					   deployment_action_name(deployment->action)),
			 errhint("Record the plan for the PLAN deployment that was claimed.")));
}

/* Is the document the one that is recorded already?  Another one is refused. */
static bool
is_recorded(const Deployment *deployment, const bytea *digest)
{
	if (deployment->plan_digest == NULL)
		return false;
	if (json_digest_equal(deployment->plan_digest, digest))
		return true;
	ereport(ERROR,
			(errcode(PM_OTHER_PLAN),
			 errmsg("another plan is recorded for deployment %d of \"%s\" already",
					deployment->deployment, instance_key_name(&deployment->key)),
			 errdetail("The document has another digest."),
			 errhint("A claim records one plan, which is then reviewed: complete the deployment, or release it and plan again.")));
}

/* The document, which must not be NULL. */
static Jsonb *
argument_plan(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(PM_NOT_A_PLAN),
				 errmsg("not the JSON of a plan"),
				 errdetail("The document is null."),
				 errhint("Pass what `terraform show -json` or `tofu show -json` prints of a plan file.")));
	return PG_GETARG_JSONB_P(argument);
}

/*
 * promote.record_plan(instance text, deployment integer, plan jsonb, fencing
 * integer) returns promote.deployment
 */
Datum
promote_record_plan(PG_FUNCTION_ARGS)
{
	Jsonb	   *plan = argument_plan(fcinfo, 2);
	PlanTarget	target;
	Sql			sql;
	bytea	   *digest;

	claim_load(fcinfo, 3, &sql, &target.deployment);
	require_plan_action(&target.deployment);
	digest = config_digest(target.deployment.key.project, plan);
	if (is_recorded(&target.deployment, digest))
		return deployment_result(&sql, deployment_row(&sql, &target.deployment.key,
														target.deployment.deployment));
	return deployment_result(&sql, write_plan(&sql, &target, plan, digest));
}

/* Is a row of promote.stateful_type one that came with promote? */
static bool
is_builtin(TriggerData *data, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	bool		isnull;

	return DatumGetBool(SPI_getbinval(row, row_type, SPI_fnumber(row_type, "builtin"), &isnull)) &&
		!isnull;
}

/*
 * promote_internal.guard_stateful_type() returns trigger
 *
 * BEFORE INSERT, UPDATE OR DELETE of stateful_type, for each row: what comes
 * with promote is not dumped, so that it must stay what it is.
 */
Datum
promote_guard_stateful_type(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_stateful_type", "stateful_type",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;

	if (!creating_extension && (is_builtin(data, data->tg_trigtuple) || is_builtin(data, row)))
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("the rows that come with promote stay what they are"),
				 errdetail("They are not dumped: a restored database would not know of the change."),
				 errhint("Add rows of your own, with builtin left out.")));
	return PointerGetDatum(row);
}
