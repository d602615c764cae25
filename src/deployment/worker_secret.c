/*
 * worker_secret.c: handing the secrets of a deployment to the worker whose claim holds.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/wipe.h"
#include "deployment/worker.h"
#include "secret/row.h"

PG_FUNCTION_INFO_V1(promote_deployment_secrets);

/* The secrets that a deployment's release declares. */
static List *
deployment_declarations(const Sql *sql, const Deployment *deployment)
{
	static Statement read = {"SELECT f.secrets FROM promote.deployment AS d"
		" JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&deployment->key), AS_INT(deployment->deployment));

	return secret_declarations(sql_jsonb(&rows, 0));
}

/* Put a row with a secret and its value.  The row is a copy; what was made for it here is wiped. */
static void
put_secret(FunctionCallInfo fcinfo, const SecretDeclaration *declared, const char *value, Size length)
{
	text	   *whole = wiped_alloc(VARHDRSZ + length);

	SET_VARSIZE(whole, VARHDRSZ + length);
	memcpy(VARDATA(whole), value, length);
	result_put(fcinfo, AS_TEXT(declared->name), sql_pointer_value(TEXTOID, whole),
			   AS_TEXT(declared->json ? "json" : "text"));
	wiped_free(whole);
}

/*
 * Refuse to provision without a secret that is required: it was set when the
 * deployment was queued, and was removed since.
 */
static void
check_missing(const Deployment *deployment, const SecretDeclaration *declared)
{
	if (declared->required && deployment->action == ACTION_PROVISION)
		ereport(ERROR,
				(errcode(PM_GATES_CLOSED),
				 errmsg("secret \"%s\" of \"%s\" is not set any more", declared->name,
						instance_key_name(&deployment->key)),
				 errdetail("Release %s requires it, and deployment %d cannot be carried out without.",
						   deployment->version, deployment->deployment),
				 errhint("Set it by promote.set_secret and ask again, or fail the deployment.")));
}

/* Put the instance's secrets that the release declares, and return their names: char *. */
static List *
put_secrets(const Sql *sql, FunctionCallInfo fcinfo, const Deployment *deployment, const List *declarations)
{
	const InstanceKey *key = &deployment->key;
	List	   *rows = secret_rows(sql, key, false);
	List	   *names = NIL;
	SecretKeys *keys = NULL;
	ListCell   *cell;

	foreach(cell, declarations)
	{
		const SecretDeclaration *declared = lfirst(cell);
		const SecretRow *row = secret_row_find(rows, declared->name);
		Size		length;
		char	   *value;

		CHECK_FOR_INTERRUPTS();
		if (row == NULL)
		{
			check_missing(deployment, declared);
			continue;
		}
		/* keys are loaded for the first secret, as without any they need not be there */
		if (keys == NULL)
			keys = secret_keys_load();
		value = secret_row_open(sql, keys, key, row, false, &length);
		secret_check_value(key, declared, value, length);
		put_secret(fcinfo, declared, value, length);
		wiped_free(value);
		names = lappend(names, declared->name);
	}
	if (keys)
		wiped_free(keys);
	return names;
}

/*
 * Record which secrets a worker has read: in the audit log, and in the server's
 * log, as a transaction that is rolled back leaves nothing in the former.
 */
static void
record_reading(const Sql *sql, const Deployment *deployment, const List *names)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_number(&builder, "deployment", deployment->deployment);
	json_build_number(&builder, "fencing", deployment->fencing);
	json_build_field(&builder, "worker", deployment->worker);
	json_build_strings(&builder, "secrets", names);
	secret_record(sql, &deployment->key, "secrets.read", &builder);
	ereport(LOG_SERVER_ONLY,
			(errmsg_plural("%d secret of \"%s\" was read under claim %d of deployment %d",
						   "%d secrets of \"%s\" were read under claim %d of deployment %d",
						   list_length(names), list_length(names),
					instance_key_name(&deployment->key), deployment->fencing, deployment->deployment),
			 errhidestmt(true), errhidecontext(true)));
}

/* Prepare a result that is never written to a temporary file, whatever its size. */
static void
begin_result(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;

	InitMaterializedSRF(fcinfo, 0);
	tuplestore_end(result->setResult);
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, MAX_KILOBYTES);
	MemoryContextSwitchTo(caller);
}

/*
 * promote.deployment_secrets(instance text, deployment integer, fencing
 * integer) returns table, see sql/secret/secret.sql
 */
Datum
promote_deployment_secrets(PG_FUNCTION_ARGS)
{
	Sql			sql;
	Deployment	deployment;
	List	   *names;

	begin_result(fcinfo);
	claim_load(fcinfo, 2, false, &sql, &deployment);
	names = put_secrets(&sql, fcinfo, &deployment, deployment_declarations(&sql, &deployment));
	if (names)
		record_reading(&sql, &deployment, names);
	sql_leave(&sql);
	return (Datum) 0;
}
