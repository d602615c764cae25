/*
 * deployment.c: the rows of deployments, which plan, provision or decommission an instance.
 * The steps between their states are in deployment/step.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/datum.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "registry/rescue.h"

PG_FUNCTION_INFO_V1(promote_check_deployment);

const char *const deployment_actions[] = {
	[ACTION_PLAN] = "PLAN",[ACTION_PROVISION] = "PROVISION",[ACTION_DECOMMISSION] = "DECOMMISSION", NULL
};

const char *const deployment_statuses[] = {
	[DEPLOYMENT_PROPOSED] = "PROPOSED",[DEPLOYMENT_PENDING] = "PENDING",[DEPLOYMENT_APPROVED] = "APPROVED",
	[DEPLOYMENT_RUNNING] = "RUNNING",[DEPLOYMENT_REJECTED] = "REJECTED",[DEPLOYMENT_COMPLETED] = "COMPLETED",
	[DEPLOYMENT_FAILED] = "FAILED",[DEPLOYMENT_ABORTED] = "ABORTED", NULL
};

/* An argument that names an action.  Raises PM_INVALID_ARGUMENT for other names. */
DeploymentAction
argument_action(const char *name)
{
	DeploymentAction action = sql_enum(deployment_actions, name);

	if (action == ACTION_NONE)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is not an action of deployments", name),
				 errdetail("Actions are PLAN, PROVISION and DECOMMISSION."),
				 errhint("Write it in capitals.")));
	return action;
}

/*
 * promote_internal.check_deployment(deployment integer, action text, status text, plan
 * integer, queued_at timestamptz, due_at timestamptz, worker text, fencing integer,
 * lost_leases integer, started_at timestamptz, finished_at timestamptz, plan_digest bytea)
 * returns boolean
 *
 * One function checks all columns for speed.  PostgreSQL stores a CHECK as the text of an
 * expression tree and parses it for every statement (ExecRelCheck in execMain.c), where each
 * byte of a constant is a word.  Separate CHECKs cost as much as the rest of an UPDATE.
 */
Datum
promote_check_deployment(PG_FUNCTION_ARGS)
{
	int32		number = PG_GETARG_INT32(0);
	bool		follows = !PG_ARGISNULL(3);
	bool		queued = !PG_ARGISNULL(4);
	bool		due = !PG_ARGISNULL(5);
	bool		claimed = PG_GETARG_INT32(7) > 0;
	int32		lost = PG_GETARG_INT32(8);
	DeploymentAction action;
	DeploymentStatus status;
	bool		runs,
				waits,
				ended;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(7) || PG_ARGISNULL(8))
		PG_RETURN_BOOL(false);
	action = sql_enum(deployment_actions, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	status = sql_enum(deployment_statuses, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	runs = status == DEPLOYMENT_RUNNING;
	waits = status == DEPLOYMENT_PENDING || status == DEPLOYMENT_APPROVED;
	ended = status >= DEPLOYMENT_REJECTED;
	PG_RETURN_BOOL(number > 0 && action != ACTION_NONE && status != DEPLOYMENT_NONE &&
				   (!follows || (PG_GETARG_INT32(3) < number && action == ACTION_PROVISION)) &&
				   (queued || !(runs || waits)) &&
				   (runs ? due : waits || !due) &&
				   claimed == !PG_ARGISNULL(6) && claimed == !PG_ARGISNULL(9) &&
				   (claimed || !(runs || status == DEPLOYMENT_COMPLETED || status == DEPLOYMENT_FAILED)) &&
				   lost >= 0 && lost <= PG_GETARG_INT32(7) &&
				   ended == !PG_ARGISNULL(10) &&
				   (PG_ARGISNULL(11) ||
					VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(11)) == JSON_DIGEST_LENGTH));
}

/*
 * Lock the deployment's row without the instance.  False where the row does not exist, or the
 * transaction's snapshot does not show it.  In an emergency, raises PM_HELD where others do
 * not release the row in time.
 */
bool
deployment_lock(const Sql *sql, const InstanceKey *key, int32 deployment, bool emergency)
{
#define DEPLOYMENT_ROW "SELECT d.ctid FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
	static Statement at_once = {DEPLOYMENT_ROW " FOR NO KEY UPDATE SKIP LOCKED"};
	static Statement find = {DEPLOYMENT_ROW};
	const RowToLock row = {
		.table = "deployment",
		.what = psprintf("deployment %d of \"%s\"", deployment, instance_key_name(key)),
		.project = key->project,
		.at_once = &at_once,
		.find = &find,
		.key = {AS_KEY(key), AS_INT(deployment)},
		.columns = 4
	};

	return emergency ? row_rescue(sql, &row) : row_lock(sql, &row);
}

/*
 * Insert a deployment under the instance's lock.  It is due at once if no other deployment of
 * the instance waits or runs.  Returns what the audit log says of it.  The caller updates the
 * counter and the log.
 */
Jsonb *
deployment_insert(const Sql *sql, const InstanceKey *key, int32 deployment, const DeploymentOrder *order)
{
	static Statement insert = {"INSERT INTO promote.deployment AS d (project, environment, component, deployment,"
		" action, status, revision, base_revision, bundle, version, previous_version,"
		" rendered_digest, diff, destructive, reverts, plan, plan_digest, message, gates, remote_references,"
		" kept_marks, base_deployment, deploy_as, actor, database_role, moved_by, moved_role, queued_at, due_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
		" $22, $23, $24, $25, $26, $27,"
		" CASE WHEN $6 = 'PENDING' THEN pg_catalog.clock_timestamp() END,"
		" CASE WHEN $6 = 'PENDING' AND NOT EXISTS (SELECT FROM promote.deployment AS h"
		"  WHERE " OF_INSTANCE("h") " AND h.status IN ('PENDING', 'APPROVED', 'RUNNING'))"
		"  THEN pg_catalog.clock_timestamp() END)"
		" RETURNING promote_internal.deployment_facts(d)"};
	Asking		asked = asking();
	const Carried *base = order->base;
	SqlRows		rows = guarded_run(sql, &insert, AS_KEY(key), AS_INT(deployment),
							   AS_TEXT(deployment_actions[order->action]),
							   AS_TEXT(deployment_statuses[order->status]), AS_INT(order->revision),
							   AS_NUMBER(base ? base->revision : 0), AS_TEXT(order->bundle), AS_TEXT(order->version),
							   AS_TEXT(base ? base->version : NULL), AS_BYTEA(order->rendered_digest),
							   AS_JSONB(order->diff), AS_BOOL(order->destructive),
							   AS_BOOL(order->reverts), AS_NUMBER(order->plan),
							   AS_BYTEA(order->plan_digest), AS_TEXT(order->message), AS_JSONB(order->gates),
							   AS_JSONB(order->references), AS_JSONB(order->kept),
							   AS_NUMBER(base ? base->deployment : 0), AS_TEXT(order->deploy_as), AS_ASKING(&asked));

	return sql_jsonb(&rows, 0);
}

/* How a deployment's gates were judged, for the audit log. */
Jsonb *
deployment_gates(int32 deployment, const Jsonb *gates)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_number(&builder, "deployment", deployment);
	json_build_document(&builder, "gates", gates);
	return json_builder_finish(&builder);
}

/* Queue or propose a deployment, with its counter and its events, under the instance's lock. */
void
deployment_queue(const Sql *sql, const InstanceKey *key, int32 deployment, AuditHead *head,
				 const DeploymentOrder *order)
{
	static Statement count = {"UPDATE promote.instance AS i SET deployment = $4 WHERE " OF_INSTANCE("i")};
	char	   *instance = instance_key_name(key);
	AuditEntry	entries[2] = {
		{.event = order->status == DEPLOYMENT_PENDING ? "deployment.created" : "deployment.proposed"},
		{.event = GATES_JUDGED_EVENT}
	};

	entries[0].data = deployment_insert(sql, key, deployment, order);
	if (order->gates)
		entries[1].data = deployment_gates(deployment, order->gates);
	guarded_run(sql, &count, AS_KEY(key), AS_INT(deployment));
	audit_append(sql, head, key->project, instance, entries, order->gates ? 2 : 1);
	notify(&(Notice) {
		.instance = instance,
		.deployment = deployment,
		.action = deployment_actions[order->action],
		.status = deployment_statuses[order->status]
	});
}

/* The columns of a deployment. */
static const SqlField deployment_fields[] = {
	SQL_ENUM_FIELD(Deployment, action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Deployment, status, "d.status", deployment_statuses),
	SQL_FIELDS(Deployment, "d", revision, version, rendered_digest),
	SQL_FIELD(Deployment, references, "d.remote_references"),
	SQL_FIELDS(Deployment, "d", plan, plan_digest, approved_by, deploy_as, worker, fencing, due_at, seen_change),
	SQL_FIELD(Deployment, plan_defects, "NULLIF(pg_catalog.array_to_string(d.plan_defects, ', '), '')")
};

/* Find a deployment by number; false where it does not exist. */
bool
deployment_find(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found)
{
	static Statement read = SQL_ROWS(deployment_fields, "SELECT $* FROM promote.deployment AS d"
									 " WHERE " OF_INSTANCE("d") " AND d.deployment = $4");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));

	*found = (Deployment) {.key = *key,.deployment = deployment};
	return sql_row(&rows, 0, found);
}

/* The number of the instance's last deployment; 0: none.  Raises PM_NOT_FOUND. */
int32
deployment_last(const Sql *sql, const InstanceKey *key)
{
	static Statement read = {"SELECT i.deployment FROM promote.instance AS i WHERE " OF_INSTANCE("i")};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key));

	if (rows.count == 0)
		require_instance(sql, key);
	return sql_int(&rows, 0);
}

/* Refuse a deployment that does not exist; 0 stands for the last one. */
void
refuse_unknown_deployment(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	int32		last = deployment_last(sql, key);

	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 deployment == 0 ?
			 errmsg("\"%s\" has no deployment", instance_key_name(key)) :
			 errmsg("\"%s\" has no deployment %d", instance_key_name(key), deployment),
			 last == 0 ?
			 errdetail("Nothing was planned for it yet.") :
			 errdetail("Its deployments are numbered from 1 to %d.", last),
			 errhint("The numbers are in promote.deployment and in promote.promotion_history.")));
}

/* Find a deployment by number.  Raises PM_NOT_FOUND where it does not exist. */
void
deployment_load(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found)
{
	if (!deployment_find(sql, key, deployment, found))
		refuse_unknown_deployment(sql, key, deployment);
}

static const SqlField carried_fields[] = {
	SQL_FIELDS(Carried, "d", deployment, revision, bundle, version, version_constraint, release_channel,
			   rendered_digest, params, template, slots, started_at),
	SQL_FIELD(Carried, schema, "d.params_schema"),
	SQL_FIELD(Carried, kept, "d.kept_marks"),
	SQL_FIELD(Carried, references, "d.remote_references")
};

/*
 * What a deployment carries, with its configuration and its release's schema.  False where the
 * deployment does not exist.  A caller that waited for a lock passes read_only as false,
 * because the active snapshot may be from before the wait.
 */
bool
deployment_carries(const Sql *sql, const InstanceKey *key, int32 deployment, bool read_only, Carried *carried)
{
	static Statement read = SQL_ROWS(carried_fields, "SELECT $* FROM promote_internal.carried AS d"
									 " WHERE " OF_INSTANCE("d") " AND d.deployment = $4");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_INT(deployment));

	return sql_row(&rows, 0, carried);
}

/*
 * All that may run, a list of Carried *: the last PROVISION, and every one that began after it
 * and did not complete.  Where nothing was provisioned (0), those that began after the last
 * DECOMMISSION.
 */
List *
deployments_running(const Sql *sql, const InstanceKey *key, int32 deployed_by, bool read_only)
{
	static Statement read = SQL_ROWS(carried_fields, "SELECT $* FROM promote_internal.may_run($1, $2, $3, $4) AS d");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_INT(deployed_by));

	return sql_list(&rows, sizeof(Carried));
}

/* What runs, of what may run; NULL: nothing. */
const Carried *
deployment_running(const List *deployed, int32 deployed_by)
{
	ListCell   *cell;

	foreach(cell, deployed)
	{
		const Carried *runs = lfirst(cell);

		if (runs->deployment == deployed_by)
			return runs;
	}
	return NULL;
}

/*
 * Take a step under the instance's lock, with a message that says why.  Returns the
 * deployment's row, which is valid until the scope is left.
 */
Datum
deployment_step(const Sql *sql, const Deployment *deployment, DeploymentStatus status, const char *reason)
{
	static Statement step = {"UPDATE promote.deployment AS d SET status = $5, reason = $6 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 RETURNING d"};
	SqlRows		rows = guarded_run(sql, &step, AS_KEY(&deployment->key), AS_INT(deployment->deployment),
								   AS_TEXT(deployment_statuses[status]), AS_TEXT(reason));

	if (rows.count != 1)
		elog(ERROR, "deployment %d was not updated", deployment->deployment);
	return sql_datum(&rows, 0).value;
}

/* The whole row of a deployment, valid until the scope is left. */
Datum
deployment_row(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static Statement read = {"SELECT d FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));

	if (rows.count == 0)
		elog(ERROR, "deployment %d is not there", deployment);
	return sql_datum(&rows, 0).value;
}

/* Return a row from a verb: leaves the scope with a copy of the row. */
Datum
deployment_result(Sql *scope, Datum row)
{
	MemoryContext inner = MemoryContextSwitchTo(scope->caller);
	Datum		result = datumCopy(row, false, -1);

	MemoryContextSwitchTo(inner);
	sql_leave(scope);
	return result;
}

/*
 * The digest that people vote on when something is to be decommissioned, made of what runs and
 * of the deployment that brought it about.  No plan has this digest, and another deployment
 * changes it.
 */
bytea *
decommission_digest(const bytea *rendered_digest, int32 changed_by)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_field(&builder, "decommission", audit_hex(rendered_digest));
	json_build_number(&builder, "changed_by", changed_by);
	return json_digest(json_builder_finish(&builder));
}
