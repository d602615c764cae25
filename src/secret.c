/*
 * secret.c: secrets of instances: setting and removing them, handing them to
 * workers, and the gate that asks for those that are missing.
 *
 * A name that the release does not declare is never shown: who has confused
 * the arguments has passed the value there.
 */
#include "postgres.h"

#include "audit.h"
#include "compat.h"
#include "deployment.h"
#include "errors.h"
#include "grants.h"
#include "json/digest.h"
#include "seal.h"
#include "secret.h"
#include "secret_row.h"
#include "stage.h"
#include "wipe.h"
#include "worker.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_set_secret);
PG_FUNCTION_INFO_V1(promote_remove_secret);
PG_FUNCTION_INFO_V1(promote_deployment_secrets);

/* ---- what is declared ---- */

/* The names, for people. */
static char *
list_names(const List *declarations)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, declarations)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", ((SecretDeclaration *) lfirst(cell))->name);
	return names.len > 0 ? names.data : "none";
}

/*
 * What is declared for an instance: by the release that its version constraint
 * stands for now, which would be deployed, and by the one that its desired
 * revision was made with, which may be planned.  Where both declare a name
 * the first counts.  Raises PM_NOT_CONFIGURED.
 */
static List *
read_declarations(const InstanceKey *key)
{
	static Statement read = {
		.text = "SELECT f.secrets, NULLIF(o.secrets, f.secrets) FROM promote.instance AS i"
		" JOIN promote.component AS c ON c.project = i.project AND c.component = i.component"
		" JOIN LATERAL (SELECT r.bundle, r.version FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "i")
		"  AND r.revision = i.revision LIMIT 1) AS r ON true"
		" LEFT JOIN promote.bundle_release AS o ON o.bundle = r.bundle AND o.version = r.version"
		" LEFT JOIN LATERAL promote.resolve_release(c.bundle, i.version_constraint, i.release_channel) AS rel ON true"
		" LEFT JOIN promote.bundle_release AS f ON f.bundle = c.bundle AND f.version = rel.version"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];
	List	   *declarations;
	ListCell   *cell;

	instance_key_values(key, values);
	statement_run(&read, values, NULL, false);
	if (SPI_processed == 0)
		refuse_unconfigured(key, "Its release says which secrets it has: give it its first revision by promote.configure_instance.");
	declarations = secret_declarations(spi_jsonb(SPI_tuptable, 0, 1));
	foreach(cell, secret_declarations(spi_jsonb(SPI_tuptable, 0, 2)))
		if (!secret_declared(declarations, ((SecretDeclaration *) lfirst(cell))->name))
			declarations = lappend(declarations, lfirst(cell));
	return declarations;
}

/* Refuse a name that is not declared, without showing it. */
static void
refuse_undeclared(const InstanceKey *key, const List *declarations)
{
	ereport(ERROR,
			(errcode(PM_UNDECLARED),
			 errmsg("the release of \"%s\" declares no secret of that name", instance_key_name(key)),
			 errdetail("It declares: %s.", list_names(declarations)),
			 errhint("The name is the second argument and the value the third. A release declares its secrets in promote.bundle_release.secrets.")));
}

/* ---- setting and removing ---- */

/* A value as it was passed. */
typedef struct Value
{
	const char *text;			/* NULL: none; not NUL-terminated */
	Size		length;
	char	   *copy;			/* to be wiped; NULL: it lies where the caller has it */
} Value;

/* Take the argument, without making another copy of it than it has to be wiped. */
static void
take_value(FunctionCallInfo fcinfo, int argument, Value *value)
{
	struct varlena *given;
	struct varlena *whole;

	*value = (Value) {NULL, 0, NULL};
	if (PG_ARGISNULL(argument))
		return;
	given = (struct varlena *) PG_GETARG_POINTER(argument);
	whole = pg_detoast_datum_packed(given);
	value->length = VARSIZE_ANY_EXHDR(whole);
	value->text = VARDATA_ANY(whole);
	if (whole == given)
		return;
	/* it came out of a table */
	value->text = value->copy = wiped_alloc(value->length);
	memcpy(value->copy, VARDATA_ANY(whole), value->length);
	explicit_bzero(whole, VARSIZE_ANY(whole));
	pfree(whole);
}

/* Forget a value that was taken. */
static void
drop_value(Value *value)
{
	if (value->copy)
		wiped_free(value->copy);
}

/* Record that a secret was set. */
static void
record_set(const InstanceKey *key, const SecretRow *row, const char *key_id, bool changed)
{
	JsonBuilder builder;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "secret", row->name);
	json_build_field(&builder, "fingerprint", audit_hex(row->fingerprint));
	json_build_field(&builder, "key_id", key_id);
	json_build_key(&builder, "changed", strlen("changed"));
	json_build_bool(&builder, changed);
	secret_record(key, "secret.set", &builder);
}

/* Set a secret under the instance's lock; returns the row, and whether its value is another one than before. */
static SecretRow *
set_secret(const InstanceKey *key, const char *name, const Value *value, bool *changed)
{
	List	   *declarations = read_declarations(key);
	const SecretDeclaration *declared = secret_declared(declarations, name);
	const SecretRow *before;
	SecretRow  *row = palloc(sizeof(SecretRow));
	SecretKeys *keys;

	if (declared == NULL)
		refuse_undeclared(key, declarations);
	secret_check_value(key, declared, value->text, value->length);
	keys = secret_keys_load();
	before = secret_row_find(secret_rows(key, false), name);
	row->name = declared->name;
	row->json = declared->json;
	row->fingerprint = secret_fingerprint(key->project, value->text, value->length);
	*changed = before == NULL || !json_digest_equal(before->fingerprint, row->fingerprint);
	secret_row_write(keys, key, row, value->text, value->length);
	record_set(key, row, keys->keys[0].id, *changed);
	wiped_free(keys);
	return row;
}

/*
 * promote.set_secret(instance text, name text, value text) returns record, see
 * sql/secret.sql
 */
Datum
promote_set_secret(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	char	   *name = argument_required(fcinfo, 1, "name");
	SpiScope	scope;
	Value		value;
	TupleDesc	row_type;
	bool		nulls[2] = {false};
	Datum		values[2];
	bool		changed;
	char	   *fingerprint;

	argument_instance(fcinfo, 0, "instance", &key);
	access_require("secrets", &key);
	take_value(fcinfo, 2, &value);
	spi_enter(&scope);
	stage_lock(&key, true);
	fingerprint = audit_hex(set_secret(&key, name, &value, &changed)->fingerprint);
	fingerprint = MemoryContextStrdup(scope.caller, fingerprint);
	spi_leave(&scope);
	drop_value(&value);
	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	values[0] = CStringGetTextDatum(fingerprint);
	values[1] = BoolGetDatum(changed);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls));
}

/* promote.remove_secret(instance text, name text) returns boolean */
Datum
promote_remove_secret(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	char	   *name = argument_required(fcinfo, 1, "name");
	SpiScope	scope;
	JsonBuilder builder;
	bool		removed;

	argument_instance(fcinfo, 0, "instance", &key);
	access_require("secrets", &key);
	spi_enter(&scope);
	stage_lock(&key, true);
	removed = secret_row_delete(&key, name);
	if (removed)
	{
		json_builder_init(&builder);
		json_build_begin_object(&builder);
		json_build_field(&builder, "secret", name);
		secret_record(&key, "secret.removed", &builder);
	}
	spi_leave(&scope);
	PG_RETURN_BOOL(removed);
}

/* ---- workers ---- */

/* What the release of a deployment declares. */
static List *
deployment_declarations(const Deployment *deployment)
{
	static Statement read = {
		.text = "SELECT f.secrets FROM promote.deployment AS d"
		" JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	deployment_values(&deployment->key, deployment->deployment, values);
	statement_run(&read, values, NULL, false);
	return secret_declarations(spi_jsonb(SPI_tuptable, 0, 1));
}

/* Put a secret and its value; the row is copied, and the copy here wiped. */
static void
put_secret(ReturnSetInfo *result, const SecretDeclaration *declared, const char *value, Size length)
{
	bool		nulls[3] = {false};
	text	   *whole = wiped_alloc(VARHDRSZ + length);
	Datum		values[3] = {
		CStringGetTextDatum(declared->name),
		PointerGetDatum(whole),
		CStringGetTextDatum(declared->json ? "json" : "text")
	};

	SET_VARSIZE(whole, VARHDRSZ + length);
	memcpy(VARDATA(whole), value, length);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	wiped_free(whole);
}

/*
 * Refuse to provision without what is required: it was there when the
 * deployment was queued.
 */
static void
check_missing(const Deployment *deployment, const SecretDeclaration *declared)
{
	if (declared->required && strcmp(deployment->action, "PROVISION") == 0)
		ereport(ERROR,
				(errcode(PM_GATES_CLOSED),
				 errmsg("secret \"%s\" of \"%s\" is not set any more", declared->name,
						instance_key_name(&deployment->key)),
				 errdetail("Release %s requires it, and deployment %d cannot be carried out without.",
						   deployment->version, deployment->deployment),
				 errhint("Set it by promote.set_secret and ask again, or fail the deployment.")));
}

/* Put those of the instance's secrets that are declared; returns those that were, as a list of names. */
static List *
put_secrets(ReturnSetInfo *result, const Deployment *deployment, const List *declarations)
{
	const InstanceKey *key = &deployment->key;
	List	   *rows = secret_rows(key, false);
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
		/* without any secret no key is needed */
		if (keys == NULL)
			keys = secret_keys_load();
		value = secret_row_open(keys, key, row, false, &length);
		secret_check_value(key, declared, value, length);
		put_secret(result, declared, value, length);
		wiped_free(value);
		names = lappend(names, declared->name);
	}
	if (keys)
		wiped_free(keys);
	return names;
}

/*
 * Record which secrets a worker has read; also in the server's log, for a
 * transaction that reads and is rolled back leaves no row.
 */
static void
record_reading(const Deployment *deployment, List *names)
{
	JsonBuilder builder;
	ListCell   *cell;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_number(&builder, "deployment", deployment->deployment);
	json_build_number(&builder, "fencing", deployment->fencing);
	json_build_field(&builder, "worker", deployment->worker);
	json_build_key(&builder, "secrets", strlen("secrets"));
	json_build_begin_array(&builder);
	foreach(cell, names)
		json_build_string(&builder, lfirst(cell), strlen(lfirst(cell)));
	json_build_end_array(&builder);
	secret_record(&deployment->key, "secrets.read", &builder);
	ereport(LOG_SERVER_ONLY,
			(errmsg_plural("%d secret of \"%s\" was read under claim %d of deployment %d",
						   "%d secrets of \"%s\" were read under claim %d of deployment %d",
						   list_length(names), list_length(names),
					instance_key_name(&deployment->key), deployment->fencing, deployment->deployment),
			 errhidestmt(true), errhidecontext(true)));
}

/* Prepare a result that is never written to a temporary file, however large it becomes. */
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
 * integer) returns table, see sql/secret.sql
 */
Datum
promote_deployment_secrets(PG_FUNCTION_ARGS)
{
	SpiScope	scope;
	Deployment	deployment;
	List	   *names;

	argument_instance(fcinfo, 0, "instance", &deployment.key);
	access_require("work", &deployment.key);
	begin_result(fcinfo);
	claim_load(fcinfo, 2, &scope, &deployment);
	names = put_secrets((ReturnSetInfo *) fcinfo->resultinfo, &deployment,
						deployment_declarations(&deployment));
	if (names)
		record_reading(&deployment, names);
	spi_leave(&scope);
	return (Datum) 0;
}

/* ---- the gate ---- */

/* What a release declares. */
static List *
release_declarations(const char *bundle, const char *version)
{
	static Statement read = {
		.text = "SELECT f.secrets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"
		" AND f.secrets <> '{}'",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(bundle), CStringGetTextDatum(version)};

	statement_run(&read, values, NULL, true);
	return SPI_processed > 0 ? secret_declarations(spi_jsonb(SPI_tuptable, 0, 1)) : NIL;
}

/* Add a reason that is about one secret. */
static void
block(GateCase *gate, const SecretDeclaration *declared, const char *message)
{
	gate_block(gate, "secrets", false, GATE_NO_TIME, GATE_NO_TIME, "whoever may set secrets", message);
	gate_about(gate, declared->name);
}

/* Would a promotion bring the secret first? */
static bool
would_come(const GateCase *gate, const char *name)
{
	ListCell   *cell;

	foreach(cell, gate->secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (strcmp(copy->name, name) == 0)
			return copy->change == SECRET_SET || copy->change == SECRET_REPLACED;
	}
	return false;
}

/* Gate "secrets": what the release that would be deployed requires has to be set, and JSON where it says so. */
void
gate_secrets(GateCase *gate)
{
	List	   *declarations;
	List	   *rows;
	ListCell   *cell;

	if (gate->version == NULL)
		return;
	declarations = release_declarations(gate->bundle, gate->version);
	if (declarations == NIL)
		return;
	rows = secret_rows(&gate->key, true);
	foreach(cell, declarations)
	{
		const SecretDeclaration *declared = lfirst(cell);
		const SecretRow *row = secret_row_find(rows, declared->name);

		if (would_come(gate, declared->name))
			continue;
		if (row == NULL && declared->required)
			block(gate, declared, psprintf("secret \"%s\", which release %s requires, is not set", declared->name,
										   gate->version));
		else if (row && declared->json && !row->json)
			block(gate, declared, psprintf("secret \"%s\" was set as text, and release %s declares it as JSON",
										   declared->name, gate->version));
	}
}

/*
 * Does a PROVISION that waits lack what its release requires?  It was there
 * when that was queued, and may have been removed since.  Runs inside a scope
 * of spi.h, under the instance's lock, which whoever removes it takes as well.
 */
bool
secret_is_lacking(const InstanceKey *key, int32 deployment)
{
	static Statement read = {
		.text = "SELECT EXISTS (SELECT FROM promote.deployment AS d"
		" JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version"
		" CROSS JOIN LATERAL pg_catalog.jsonb_each(f.secrets) AS k (name, declaration)"
		" LEFT JOIN promote.secret AS s ON " SAME_INSTANCE("s", "d") " AND s.secret = k.name"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 AND d.action = 'PROVISION'"
		" AND CASE WHEN s.secret IS NULL THEN NOT k.declaration @> '{\"required\": false}'"
		"  ELSE k.declaration @> '{\"format\": \"json\"}' AND s.format <> 'json' END)",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	deployment_values(key, deployment, values);
	statement_run(&read, values, NULL, false);
	return spi_bool(SPI_tuptable, 0, 1);
}
