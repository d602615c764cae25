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

/* The row of a deployment for row_lock. */
static RowToLock
deployment_to_lock(const InstanceKey *key, int32 deployment)
{
	return (RowToLock) {
		.key = {"deployment", "deployment_pkey", {AS_KEY(key), AS_INT(deployment)}, 4},
		.mode = LockTupleNoKeyExclusive,
		.what = psprintf("deployment %d of \"%s\"", deployment, instance_key_name(key)),
		.project = key->project
	};
}

/*
 * Lock the deployment's row without the instance.  False where the row does not exist, or the
 * transaction's snapshot does not show it.  In an emergency, raises PM_HELD where others do
 * not release the row in time.
 */
bool
deployment_lock(const Sql *sql, const InstanceKey *key, int32 deployment, bool emergency)
{
	const RowToLock row = deployment_to_lock(key, deployment);

	return emergency ? row_rescue(sql, &row, rescue_deadline()) : row_lock(&row);
}

/* Wait for those who rescue the deployment's row, before it is locked together with others. */
void
deployment_stand_behind(const InstanceKey *key, int32 deployment)
{
	const RowToLock row = deployment_to_lock(key, deployment);

	row_stand_behind(&row);
}

/* The columns of a new deployment that are given, in the order of order_values, and those that follow from these. */
#define GIVEN_COLUMNS "project, environment, component, deployment," \
	" action, status, revision, base_revision, bundle, version, previous_version," \
	" rendered_digest, diff, destructive, reverts, plan, plan_digest, message, gates, remote_references," \
	" kept_marks, base_deployment, deploy_as, actor, database_role, moved_by, moved_role"
#define INSERT_DEPLOYMENT "INSERT INTO promote.deployment AS d (" GIVEN_COLUMNS ", queued_at, due_at)"
/* when something with that status is queued, and since when it is due: if nothing else of the instance waits or runs */
#define QUEUE_COLUMNS(status, is_alone) \
	" CASE WHEN " status " = 'PENDING' THEN pg_catalog.clock_timestamp() END," \
	" CASE WHEN " status " = 'PENDING' AND " is_alone " THEN pg_catalog.clock_timestamp() END"
#define DEPLOYMENT_FACTS " RETURNING promote_internal.deployment_facts(d)"
#define COLUMNS 27				/* that are given */

/* The values of a deployment's columns that are given. */
static void
order_values(const InstanceKey *key, int32 deployment, const DeploymentOrder *order, SqlValue *values)
{
	const Carried *base = order->base;
	Asking		asked = asking();
	const SqlValue columns[COLUMNS] = {
		AS_KEY(key), AS_INT(deployment), AS_TEXT(deployment_actions[order->action]),
		AS_TEXT(deployment_statuses[order->status]), AS_INT(order->revision),
		AS_NUMBER(base ? base->revision : 0), AS_TEXT(order->bundle), AS_TEXT(order->version),
		AS_TEXT(base ? base->version : NULL), AS_BYTEA(order->rendered_digest), AS_JSONB(order->diff),
		AS_BOOL(order->destructive), AS_BOOL(order->reverts), AS_NUMBER(order->plan),
		AS_BYTEA(order->plan_digest), AS_TEXT(order->message), AS_JSONB(order->gates),
		AS_JSONB(order->references), AS_JSONB(order->kept), AS_NUMBER(base ? base->deployment : 0),
		AS_TEXT(order->deploy_as), AS_ASKING(&asked)
	};

	memcpy(values, columns, sizeof(columns));
}

/*
 * Insert a deployment under the instance's lock.  It is due at once if no other deployment of
 * the instance waits or runs.  Returns what the audit log says of it.  The caller updates the
 * counter and the log.
 */
Jsonb *
deployment_insert(const Sql *sql, const InstanceKey *key, int32 deployment, const DeploymentOrder *order)
{
	static Statement insert = {INSERT_DEPLOYMENT
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
		" $22, $23, $24, $25, $26, $27,"
		QUEUE_COLUMNS("$6", "NOT EXISTS (SELECT FROM promote.deployment AS h"
					  "  WHERE " OF_INSTANCE("h") " AND h.status IN ('PENDING', 'APPROVED', 'RUNNING'))")
		")" DEPLOYMENT_FACTS};
	SqlValue	values[COLUMNS];
	SqlRows		rows;

	order_values(key, deployment, order, values);
	rows = guarded_call(sql, &insert, values, COLUMNS);
	return sql_jsonb(&rows, 0);
}

/* Begin to gather deployments of several instances, of each at most one, which are inserted by one statement. */
void
deployment_begin_batch(Batch *batch)
{
	static const char *const columns[COLUMNS] = {
		"project", "environment", "component", "deployment", "action", "status", "revision", "base_revision",
		"bundle", "version", "previous_version", "rendered_digest", "diff", "destructive", "reverts", "plan",
		"plan_digest", "message", "gates", "remote_references", "kept_marks", "base_deployment", "deploy_as",
		"actor", "database_role", "moved_by", "moved_role"
	};

	*batch = (Batch) {.name = "new_deployment",.of = "deployment",.columns = columns};
	batch_begin(batch);
}

/* Add a deployment, as deployment_insert. */
void
deployment_put(Batch *batch, const InstanceKey *key, int32 deployment, const DeploymentOrder *order)
{
	SqlValue	values[COLUMNS];

	order_values(key, deployment, order, values);
	batch_put_values(batch, values, COLUMNS);
}

/*
 * Insert all deployments that were gathered, and end the batch.  Returns what the audit log says of each, in the order
 * in which they were added.  By its OFFSET what waits is looked up for each row, and not all of it hashed first.
 */
SqlRows
deployment_write(const Sql *sql, Batch *batch)
{
	static Statement insert = {INSERT_DEPLOYMENT " SELECT " GIVEN_COLUMNS ","
		QUEUE_COLUMNS("b.status", "NOT EXISTS (SELECT FROM promote.deployment AS h"
					  "  WHERE " SAME_INSTANCE("h", "b") " AND h.status IN ('PENDING', 'APPROVED', 'RUNNING') OFFSET 0)")
		" FROM new_deployment AS b" DEPLOYMENT_FACTS};
	SqlRows		rows = {NULL};

	if (batch->count > 0)
	{
		batch_open(batch);
		rows = guarded_run(sql, &insert);
		if (rows.count != batch->count)
			elog(ERROR, "the deployments of a set were not all written");
	}
	batch_end(batch);
	return rows;
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

/* Count deployments of many instances, of each one. */
static void
count_all(const Sql *sql, const QueuedOrder *orders, int count)
{
	static Statement write = {"UPDATE promote.instance AS i SET deployment = k.deployment"
		" FROM counted_instance AS k WHERE " SAME_INSTANCE("i", "k")};
	static const char *const columns[] = {"project", "environment", "component", "deployment"};
	Batch		batch = {.name = "counted_instance",.columns = columns};

	batch_begin(&batch);
	for (int i = 0; i < count; i++)
		batch_put(&batch, AS_KEY(orders[i].key), AS_INT(orders[i].deployment));
	if (guarded_rows(sql, &write, &batch).count != count)
		elog(ERROR, "not all of %d instances were moved", count);
	batch_end(&batch);
}

/* Queue deployments of several instances, of each at most one, as deployment_queue, by one statement for each table. */
void
deployment_queue_all(const Sql *sql, const QueuedOrder *orders, int count)
{
	Batch		batch;
	SqlRows		facts;

	if (count == 0)
		return;
	deployment_begin_batch(&batch);
	for (int i = 0; i < count; i++)
		deployment_put(&batch, orders[i].key, orders[i].deployment, orders[i].order);
	facts = deployment_write(sql, &batch);
	count_all(sql, orders, count);
	audit_begin_batch(&batch);
	for (int i = 0; i < count; i++)
	{
		AuditEntry	entries[2] = {{"deployment.created", sql_jsonb(&facts, i)}, {.event = GATES_JUDGED_EVENT}};

		if (orders[i].order->gates)
			entries[1].data = deployment_gates(orders[i].deployment, orders[i].order->gates);
		audit_put(&batch, orders[i].head, orders[i].key->project, instance_key_name(orders[i].key), entries,
				  orders[i].order->gates ? 2 : 1);
	}
	audit_write(sql, &batch);
	for (int i = 0; i < count; i++)
		notify(&(Notice) {
			.instance = instance_key_name(orders[i].key),
			.deployment = orders[i].deployment,
			.action = deployment_actions[orders[i].order->action],
			.status = deployment_statuses[orders[i].order->status]
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

#define CARRIED_FIELDS \
	SQL_FIELDS(Carried, "d", deployment, revision, bundle, version, version_constraint, release_channel, \
			   rendered_digest, params, template, slots, started_at), \
	SQL_FIELD(Carried, schema, "d.params_schema"), \
	SQL_FIELD(Carried, kept, "d.kept_marks"), \
	SQL_FIELD(Carried, references, "d.remote_references")

static const SqlField carried_fields[] = {CARRIED_FIELDS};

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

/* What may run of one of several instances. */
typedef struct CarriedOf
{
	Carried		carried;		/* the first member, whose fields are those of carried */
	int32		place;
} CarriedOf;

/*
 * As deployments_running, of several instances: rows with the columns project, environment, component, deployed_by and
 * place, which are those of running that get their lists.  Ends the batch.  Documents are shared.
 */
void
deployments_running_of(const Sql *sql, Batch *instances, Shared *shared, List **running)
{
	static const SqlField fields[] = {CARRIED_FIELDS, SQL_FIELD(CarriedOf, place, "k.place")};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM running_instance AS k, LATERAL"
									 " promote_internal.may_run(k.project, k.environment, k.component, k.deployed_by) AS d");
	SqlRows		rows = {NULL};

	if (instances->count > 0)
	{
		batch_open(instances);
		rows = sql_run(sql, &read);
		rows.shared = shared;
	}
	batch_end(instances);
	for (uint64 i = 0; i < rows.count; i++)
	{
		CarriedOf  *of = palloc(sizeof(CarriedOf));

		(void) sql_row(&rows, i, of);
		running[of->place] = lappend(running[of->place], &of->carried);
	}
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
