/*
 * deployment.c: attempts to plan, provision or decommission an instance: their
 * rows, for the verbs.  Which steps they take is step.c's.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "compose/mask.h"
#include "json/digest.h"
#include "json/reader.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "registry/rescue.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(promote_check_deployment);

/* Is one of these arguments NULL? */
static bool
lacks_argument(FunctionCallInfo fcinfo, const int *arguments, int count)
{
	for (int i = 0; i < count; i++)
		if (PG_ARGISNULL(arguments[i]))
			return true;
	return false;
}

const char *const deployment_actions[] = {
	[ACTION_PLAN] = "PLAN",[ACTION_PROVISION] = "PROVISION",[ACTION_DECOMMISSION] = "DECOMMISSION", NULL
};

const char *const deployment_statuses[] = {
	[DEPLOYMENT_PROPOSED] = "PROPOSED",[DEPLOYMENT_PENDING] = "PENDING",[DEPLOYMENT_APPROVED] = "APPROVED",
	[DEPLOYMENT_RUNNING] = "RUNNING",[DEPLOYMENT_REJECTED] = "REJECTED",[DEPLOYMENT_COMPLETED] = "COMPLETED",
	[DEPLOYMENT_FAILED] = "FAILED",[DEPLOYMENT_ABORTED] = "ABORTED", NULL
};

/* The action that has a name; ACTION_NONE: none has, or it is NULL. */
DeploymentAction
deployment_action_parse(const char *name)
{
	return sql_enum(deployment_actions, name);
}

/* An action's name; NULL of ACTION_NONE. */
const char *
deployment_action_name(DeploymentAction action)
{
	return deployment_actions[action];
}

/* The state that has a name; DEPLOYMENT_NONE: none has, or it is NULL. */
DeploymentStatus
deployment_status_parse(const char *name)
{
	return sql_enum(deployment_statuses, name);
}

/* A state's name; NULL of DEPLOYMENT_NONE. */
const char *
deployment_status_name(DeploymentStatus status)
{
	return deployment_statuses[status];
}

/* An argument that names an action.  Raises PM_INVALID_ARGUMENT where it names none. */
DeploymentAction
argument_action(const char *name)
{
	DeploymentAction action = deployment_action_parse(name);

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
 * integer, queued_at timestamptz, due_at timestamptz, worker text, fencing
 * integer, lost_leases integer, started_at timestamptz, finished_at
 * timestamptz, plan_digest bytea) returns boolean
 *
 * A CHECK is stored as the text of an expression, which PostgreSQL takes in
 * anew for every statement (ExecRelCheck in execMain.c), each byte of each
 * constant as a word of its own.  Written out, these cost as much as the rest
 * of an UPDATE.
 */
Datum
promote_check_deployment(PG_FUNCTION_ARGS)
{
	static const int required[] = {0, 1, 2, 7, 8};
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

	if (lacks_argument(fcinfo, required, lengthof(required)))
		PG_RETURN_BOOL(false);
	action = deployment_action_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	status = deployment_status_parse(text_to_cstring(PG_GETARG_TEXT_PP(2)));
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

/* A deployment's key as the first four parameters of a statement. */
void
deployment_values(const InstanceKey *key, int32 deployment, Datum *values)
{
	instance_key_values(key, values);
	values[3] = Int32GetDatum(deployment);
}

/* The deployment's row, as one to be locked. */
static RowToLock
row_to_lock(const InstanceKey *key, int32 deployment)
{
#define DEPLOYMENT_ROW "SELECT d.ctid FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4"
	static Statement at_once = {DEPLOYMENT_ROW " FOR NO KEY UPDATE SKIP LOCKED"};
	static Statement find = {DEPLOYMENT_ROW};

	return (RowToLock) {
		.table = "deployment",
		.what = psprintf("deployment %d of \"%s\"", deployment, instance_key_name(key)),
		.project = key->project,
		.at_once = &at_once,
		.find = &find,
		.key = {AS_KEY(key), AS_INT(deployment)},
		.columns = 4
	};
}

/*
 * Lock the deployment's row alone, not its instance.  False where there is
 * none, or none that the transaction's snapshot shows.
 */
bool
deployment_lock(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	RowToLock	row = row_to_lock(key, deployment);

	return row_lock(sql, &row);
}

/* The same in an emergency: PM_HELD where others do not let go of it in time. */
bool
deployment_rescue(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	RowToLock	row = row_to_lock(key, deployment);

	return row_rescue(sql, &row);
}

/*
 * Insert a deployment, due if nothing else of the instance waits or runs;
 * returns what the audit log says of it.  Runs inside a scope of sql.h, past
 * the guards, under the instance's lock; the counter and the log are the
 * caller's.
 */
Jsonb *
deployment_insert(const Sql *sql, const InstanceKey *key, int32 deployment, const DeploymentOrder *order)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.deployment AS d (project, environment, component, deployment,"
		" action, status, revision, base_revision, bundle, version, previous_version,"
		" rendered_digest, diff, destructive, plan, plan_digest, message, gates, remote_references,"
		" kept_marks, queued_at, due_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,"
		" CASE WHEN $6 = 'PENDING' THEN pg_catalog.clock_timestamp() END,"
		" CASE WHEN $6 = 'PENDING' AND NOT EXISTS (SELECT FROM promote.deployment AS h"
		"  WHERE " OF_INSTANCE("h") " AND h.status IN ('PENDING', 'APPROVED', 'RUNNING'))"
		"  THEN pg_catalog.clock_timestamp() END)"
		" RETURNING promote_internal.deployment_facts(d)",
		.parameters = 20,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID,
		TEXTOID, TEXTOID, BYTEAOID, JSONBOID, BOOLOID, INT4OID, BYTEAOID, TEXTOID, JSONBOID, JSONBOID, JSONBOID}
	};
	bool		nulls[20] = {
		[7] = order->base_revision == 0,
		[10] = order->previous_version == NULL,
		[14] = order->plan == 0,
		[15] = order->plan_digest == NULL,
		[16] = order->message == NULL,
		[17] = order->gates == NULL,
		[18] = order->references == NULL,
		[19] = order->kept == NULL
	};
	Datum		values[20];
	Jsonb	   *facts;

	deployment_values(key, deployment, values);
	values[4] = CStringGetTextDatum(deployment_action_name(order->action));
	values[5] = CStringGetTextDatum(deployment_status_name(order->status));
	values[6] = Int32GetDatum(order->revision);
	values[7] = Int32GetDatum(order->base_revision);
	values[8] = CStringGetTextDatum(order->bundle);
	values[9] = CStringGetTextDatum(order->version);
	values[10] = nulls[10] ? (Datum) 0 : CStringGetTextDatum(order->previous_version);
	values[11] = PointerGetDatum(order->rendered_digest);
	values[12] = JsonbPGetDatum(order->diff);
	values[13] = BoolGetDatum(order->destructive);
	values[14] = Int32GetDatum(order->plan);
	values[15] = PointerGetDatum(order->plan_digest);
	values[16] = nulls[16] ? (Datum) 0 : CStringGetTextDatum(order->message);
	values[17] = PointerGetDatum(order->gates);
	values[18] = PointerGetDatum(order->references);
	values[19] = PointerGetDatum(order->kept);
	statement_run(sql, &insert, values, nulls, false);
	facts = DatumGetJsonbPCopy(JsonbPGetDatum(spi_jsonb(SPI_tuptable, 0, 1)));
	SPI_freetuptable(SPI_tuptable);
	return facts;
}

/* How a deployment's gates were judged, for the audit log. */
Jsonb *
deployment_gates(int32 deployment, const Jsonb *gates)
{
	JsonBuilder builder;
	JsonbValue	value;

	json_root(gates, &value);
	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_number(&builder, "deployment", deployment);
	json_build_key(&builder, "gates", strlen("gates"));
	json_build_value(&builder, &value);
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/* Count a deployment at its instance. */
static void
count_deployment(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static OldStatement count = {
		.text = "UPDATE promote.instance AS i SET deployment = $4 WHERE " OF_INSTANCE("i"),
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	deployment_values(key, deployment, values);
	statement_run(sql, &count, values, NULL, false);
}

/*
 * Queue or propose a deployment, with all that belongs to it.  Runs under the instance's lock.
 */
void
deployment_queue(const Sql *sql, const InstanceKey *key, int32 deployment, AuditHead *head,
				 const DeploymentOrder *order)
{
	char	   *instance = instance_key_name(key);
	Notice		notice = {instance, 0, deployment, deployment_action_name(order->action), deployment_status_name(order->status)};
	AuditEntry	entries[2] = {
		{.event = order->status == DEPLOYMENT_PENDING ? "deployment.created" : "deployment.proposed"},
		{.event = GATES_JUDGED_EVENT}
	};
	bool		was = guard_open(true);

	PG_TRY();
	{
		entries[0].data = deployment_insert(sql, key, deployment, order);
		if (order->gates)
			entries[1].data = deployment_gates(deployment, order->gates);
		count_deployment(sql, key, deployment);
		audit_append(sql, head, key->project, instance, entries, order->gates ? 2 : 1);
	}
	PG_FINALLY();
	{
		guard_open(was);
	}
	PG_END_TRY();
	notify(&notice);
}

/* A deployment's columns. */
static const SqlField deployment_fields[] = {
	SQL_ENUM_FIELD(Deployment, action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Deployment, status, "d.status", deployment_statuses),
	SQL_FIELD(Deployment, revision, "d.revision"),
	SQL_FIELD(Deployment, version, "d.version"),
	SQL_FIELD(Deployment, rendered_digest, "d.rendered_digest"),
	SQL_FIELD(Deployment, references, "d.remote_references"),
	SQL_FIELD(Deployment, plan, "d.plan"),
	SQL_FIELD(Deployment, plan_digest, "d.plan_digest"),
	SQL_FIELD(Deployment, worker, "d.worker"),
	SQL_FIELD(Deployment, fencing, "d.fencing"),
	SQL_FIELD(Deployment, due_at, "d.due_at"),
	SQL_FIELD(Deployment, seen_change, "d.seen_change"),
	SQL_FIELD(Deployment, plan_defects, "NULLIF(pg_catalog.array_to_string(d.plan_defects, ', '), '')")
};

/* A deployment by its number; false where there is none. */
bool
deployment_find(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found)
{
	static Statement read = SQL_ROWS(deployment_fields, "SELECT $* FROM promote.deployment AS d"
									 " WHERE " OF_INSTANCE("d") " AND d.deployment = $4");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key), AS_INT(deployment));

	*found = (Deployment) {.key = *key,.deployment = deployment};
	return sql_row(&rows, 0, found);
}

/* Number of the instance's last deployment, 0 for none.  Raises PM_NOT_FOUND. */
int32
deployment_last(const Sql *sql, const InstanceKey *key)
{
	static OldStatement read = {
		.text = "SELECT i.deployment FROM promote.instance AS i WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(key, values);
	statement_run(sql, &read, values, NULL, true);
	if (SPI_processed == 0)
		require_instance(sql, key);
	return spi_integer(SPI_tuptable, 0, 1);
}

/* Refuse a deployment that is not there; 0 is the last one. */
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

/* A deployment by its number.  Raises PM_NOT_FOUND where there is none. */
void
deployment_load(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found)
{
	if (!deployment_find(sql, key, deployment, found))
		refuse_unknown_deployment(sql, key, deployment);
}

/*
 * What a deployment carries, with its configuration and its release's schema.
 * False where there is no such deployment.  Who has waited for a lock does not
 * read by the snapshot from before, read_only.
 */
bool
deployment_carries(const Sql *sql, const InstanceKey *key, int32 deployment, bool read_only, Carried *carried)
{
	static OldStatement read = {
		.text = "SELECT d.revision, d.bundle::pg_catalog.text, d.version::pg_catalog.text,"
		" d.rendered_digest, c.params, f.params_schema, f.slots, d.remote_references,"
		" (SELECT " KEPT_OF("r") " FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "d")
		"  AND r.revision = d.revision) FROM promote.deployment AS d"
		" CROSS JOIN LATERAL (SELECT c.params FROM promote.config AS c"
		"  WHERE c.project = d.project AND c.digest = d.rendered_digest LIMIT 1) AS c"
		" CROSS JOIN LATERAL (SELECT f.params_schema, NULLIF(f.remote_references, '{}') AS slots FROM promote.bundle_release AS f"
		"  WHERE f.bundle = d.bundle AND f.version = d.version LIMIT 1) AS f"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	deployment_values(key, deployment, values);
	statement_run(sql, &read, values, NULL, read_only);
	if (SPI_processed == 0)
		return false;
	carried->revision = spi_integer(SPI_tuptable, 0, 1);
	carried->bundle = spi_text(SPI_tuptable, 0, 2);
	carried->version = spi_text(SPI_tuptable, 0, 3);
	carried->rendered_digest = spi_bytea(SPI_tuptable, 0, 4);
	carried->params = spi_jsonb(SPI_tuptable, 0, 5);
	carried->schema = spi_jsonb(SPI_tuptable, 0, 6);
	carried->slots = spi_jsonb(SPI_tuptable, 0, 7);
	carried->references = spi_jsonb(SPI_tuptable, 0, 8);
	carried->kept = spi_jsonb(SPI_tuptable, 0, 9);
	return true;
}

/*
 * Take a step, saying why; returns the deployment's row, in SPI's memory.
 * Runs under the instance's lock.
 */
Datum
deployment_step(const Sql *sql, const Deployment *deployment, DeploymentStatus status, const char *reason)
{
	static OldStatement step = {
		.text = "UPDATE promote.deployment AS d SET status = $5, reason = $6 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4 RETURNING d",
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID}
	};
	bool		nulls[6] = {[5] = reason == NULL};
	Datum		values[6];
	bool		isnull;

	deployment_values(&deployment->key, deployment->deployment, values);
	values[4] = CStringGetTextDatum(deployment_status_name(status));
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(reason);
	old_guarded_run(sql, &step, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "deployment %d was not updated", deployment->deployment);
	return spi_value(SPI_tuptable, 0, 1, &isnull);
}

/* The whole row of a deployment, in SPI's memory. */
Datum
deployment_row(const Sql *sql, const InstanceKey *key, int32 deployment)
{
	static OldStatement read = {
		.text = "SELECT d FROM promote.deployment AS d WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	bool		isnull;

	deployment_values(key, deployment, values);
	statement_run(sql, &read, values, NULL, false);
	if (SPI_processed == 0)
		elog(ERROR, "deployment %d is not there", deployment);
	return spi_value(SPI_tuptable, 0, 1, &isnull);
}

/* A row as the result of a verb: leaves the scope with a copy of it. */
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
 * What is voted on where something is to be taken away: it, and which
 * deployment has brought it about.  No plan has that digest, and none after
 * another deployment.
 */
bytea *
decommission_digest(const bytea *rendered_digest, int32 changed_by)
{
	JsonBuilder builder;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "decommission", audit_hex(rendered_digest));
	json_build_number(&builder, "changed_by", changed_by);
	json_build_end_object(&builder);
	return json_digest(json_builder_finish(&builder));
}
