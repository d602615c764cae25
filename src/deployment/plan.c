/*
 * plan.c: recording what a worker's terraform plan would do.
 *
 * terraform/document.c reads the document.  This file writes its changes to
 * planned_change by one statement, and its digest and facts to the deployment.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "deployment/worker.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/record.h"
#include "promotion/proposal.h"
#include "terraform/document.h"

PG_FUNCTION_INFO_V1(promote_record_plan);
PG_FUNCTION_INFO_V1(promote_guard_stateful_type);

#define ROWS_NAME "promote_planned_rows"	/* of the rows, in the statement that inserts them */

/* The columns of the rows that terraform/document.c puts. */
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

/*
 * The values that the recorded plan must not show: those that the releases call
 * sensitive, in what the deployment carries and in what runs or has run in part.
 */
static Secrets *
plan_secrets(const Sql *sql, const Deployment *deployment)
{
	static Statement read = {"SELECT i.deployed_by FROM promote.instance AS i WHERE " OF_INSTANCE("i")};
	const InstanceKey *key = &deployment->key;
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));
	Carried		planned;
	Mask	   *mask;

	if (!deployment_carries(sql, key, deployment->deployment, false, &planned))
		elog(ERROR, "deployment %d is not there", deployment->deployment);
	mask = mask_create(planned.schema);
	mask_add_origin(mask, planned.params, planned.kept);
	compose_add_deployed(mask, deployments_running(sql, key, sql_int(&rows, 0), false));
	return mask_secrets(mask, SECRETS_DECLARED);
}

/* Make the rows a relation that statements of this scope can read. */
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

/* Insert the rows.  The subquery with OFFSET 0 checks the key's domains once, not row by row. */
static void
insert_rows(const Sql *sql, const Deployment *deployment, Tuplestorestate *rows, TupleDesc row_type)
{
	static Statement insert = {"INSERT INTO promote.planned_change (project, environment, component, deployment,"
		" fencing, change, origin, address, previous_address, deposed, mode, type, provider,"
		" action, create_before_destroy, importing, action_reason, replace_paths, diff, fingerprint)"
		" SELECT k.project, k.environment, k.component, $4, $5, p.*"
		" FROM (SELECT $1::promote.project_name AS project,"
		"  $2::promote.environment_name AS environment, $3::promote.component_name AS component"
		"  OFFSET 0) AS k CROSS JOIN " ROWS_NAME " AS p"};
	SqlRows		inserted;

	register_rows(rows, row_type);
	inserted = guarded_run(sql, &insert, AS_KEY(&deployment->key), AS_INT(deployment->deployment),
						   AS_INT(deployment->fencing));
	if (inserted.count != tuplestore_tuple_count(rows))
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
	List	   *defects = NIL;

	if (summary->errored)
		defects = lappend(defects, "errored");
	if (summary->incomplete)
		defects = lappend(defects, "incomplete");
	if (summary->deferred)
		defects = lappend(defects, "deferred");
	return names_array(defects);
}

/* Put the digest and what the document says of itself to the deployment; returns its row. */
static Datum
update_deployment(const Sql *sql, const Deployment *deployment, bytea *digest, const PlanSummary *summary)
{
	static Statement update = {"UPDATE promote.deployment AS d SET plan_digest = $5, plan_facts = $6, plan_defects = $7"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 RETURNING d"};
	SqlRows		rows = guarded_run(sql, &update, AS_KEY(&deployment->key), AS_INT(deployment->deployment),
								   AS_BYTEA(digest), AS_JSONB(summary->facts), AS_TEXTS(defects_array(summary)));

	return sql_datum(&rows, 0).value;
}

/* Read the document and write all that is recorded of it; returns the deployment's row. */
static Datum
write_plan(const Sql *sql, const Deployment *deployment, const Jsonb *plan, bytea *digest)
{
	TupleDesc	row_type = make_row_type();
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	PlanSummary summary;

	plan_document_read(plan, plan_secrets(sql, deployment), rows, row_type, &summary);
	insert_rows(sql, deployment, rows, row_type);
	tuplestore_end(rows);
	record_plan_changes(sql, &deployment->key, deployment->deployment, deployment->fencing);
	return update_deployment(sql, deployment, digest, &summary);
}

/* Refuse to record a plan for a deployment that is no PLAN. */
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
					   deployment_actions[deployment->action]),
			 errhint("Record the plan for the PLAN deployment that was claimed.")));
}

/* Is this document recorded already?  Refuses it if another one is. */
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
	Deployment	deployment;
	Sql			sql;
	bytea	   *digest;

	claim_load(fcinfo, 3, false, &sql, &deployment);
	require_plan_action(&deployment);
	digest = config_digest(deployment.key.project, plan);
	return deployment_result(&sql, is_recorded(&deployment, digest) ?
							 deployment_row(&sql, &deployment.key, deployment.deployment) :
							 write_plan(&sql, &deployment, plan, digest));
}

/*
 * promote_internal.guard_stateful_type() returns trigger
 *
 * BEFORE INSERT, UPDATE OR DELETE of stateful_type, for each row: refuses to change
 * rows that come with promote, as these are not dumped.  A subscription skips them, for they are
 * there.
 */
Datum
promote_guard_stateful_type(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "stateful_type", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	bool		is_builtin = trigger_bool(data, data->tg_trigtuple, "builtin") || trigger_bool(data, row, "builtin");

	if (trigger_is_applied(fcinfo))
		return is_builtin ? PointerGetDatum(NULL) : trigger_pass(fcinfo);
	if (!creating_extension && is_builtin)
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("the rows that come with promote stay what they are"),
				 errdetail("They are not dumped: a restored database would not know of the change."),
				 errhint("Add rows of your own, with builtin left out.")));
	return PointerGetDatum(row);
}
