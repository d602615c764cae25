/*
 * secret.c: setting and removing the secrets of instances.
 *
 * Errors never show a name that the release does not declare, because a caller who mixed up
 * the arguments has passed the value as the name.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "base/wipe.h"
#include "grant/access.h"
#include "json/digest.h"
#include "ledger/audit.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "secret/row.h"
#include "secret/secret.h"

PG_FUNCTION_INFO_V1(promote_set_secret);
PG_FUNCTION_INFO_V1(promote_remove_secret);

/* ---- what is declared ---- */

/* The declared names, for a message. */
static char *
declared_names(const List *declarations)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, declarations)
		names = lappend(names, ((SecretDeclaration *) lfirst(cell))->name);
	return names == NIL ? "none" : names_joined(names);
}

/* The secrets that two releases declare; NULL: none, or no such release. */
typedef struct Declared
{
	Jsonb	   *next;			/* by the release that the version constraint selects now */
	Jsonb	   *desired;		/* by the release of the desired revision, if it declares others */
} Declared;

static const SqlField declared_fields[] = {
	SQL_FIELD(Declared, next, "f.secrets"),
	SQL_FIELD(Declared, desired, "NULLIF(o.secrets, f.secrets)")
};

/*
 * What is declared for an instance: by the release that the version constraint selects now,
 * which a new revision would get, and by the release of the desired revision, which may be
 * planned.  Where both declare a name, the former counts.  Raises PM_NOT_CONFIGURED.
 */
static List *
read_declarations(const Sql *sql, const InstanceKey *key)
{
	static Statement read = SQL_ROWS(declared_fields, "SELECT $* FROM promote_internal.instance_release AS i"
									 " JOIN promote.revision AS r ON " SAME_INSTANCE("r", "i") " AND r.revision = i.revision"
									 " LEFT JOIN promote.bundle_release AS o ON o.bundle = r.bundle AND o.version = r.version"
									 " LEFT JOIN promote.bundle_release AS f ON f.bundle = i.bundle AND f.version = i.version"
									 " WHERE " OF_INSTANCE("i"));
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));
	Declared	declared;
	List	   *declarations;
	ListCell   *cell;

	if (!sql_row(&rows, 0, &declared))
		refuse_unconfigured(key, "Its release says which secrets it has: give it its first revision by promote.configure_instance.");
	declarations = secret_declarations(declared.next);
	foreach(cell, secret_declarations(declared.desired))
		if (!secret_declared(declarations, ((SecretDeclaration *) lfirst(cell))->name))
			declarations = lappend(declarations, lfirst(cell));
	return declarations;
}

/* Refuse an undeclared name, without showing it. */
static void
refuse_undeclared(const InstanceKey *key, const List *declarations)
{
	ereport(ERROR,
			(errcode(PM_UNDECLARED),
			 errmsg("the release of \"%s\" declares no secret of that name", instance_key_name(key)),
			 errdetail("It declares: %s.", declared_names(declarations)),
			 errhint("The name is the second argument and the value the third. A release declares its secrets in promote.bundle_release.secrets.")));
}

/* ---- setting and removing ---- */

/* A value as the caller passed it. */
typedef struct Value
{
	const char *text;			/* not NUL-terminated; NULL: no value */
	Size		length;
	char	   *copy;			/* must be wiped; NULL: text points into the argument itself */
} Value;

/* Take the argument, without leaving a copy of it that is not wiped. */
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
	/* the value came out of a table, so that detoasting copied it */
	value->text = value->copy = wiped_alloc(value->length);
	memcpy(value->copy, VARDATA_ANY(whole), value->length);
	explicit_bzero(whole, VARSIZE_ANY(whole));
	pfree(whole);
}

/* Record that a secret was set. */
static void
record_set(const Sql *sql, const InstanceKey *key, const SecretRow *row, const char *key_id, bool changed)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_field(&builder, "secret", row->name);
	json_build_field(&builder, "fingerprint", audit_hex(row->fingerprint));
	json_build_field(&builder, "key_id", key_id);
	json_build_flag(&builder, "changed", changed);
	secret_record(sql, key, "secret.set", &builder);
}

/*
 * Set a secret under the instance's lock.  Returns the row; changed says whether the value
 * differs from the one before.
 */
static SecretRow *
set_secret(const Sql *sql, const InstanceKey *key, const char *name, const Value *value, bool *changed)
{
	List	   *declarations = read_declarations(sql, key);
	const SecretDeclaration *declared = secret_declared(declarations, name);
	const SecretRow *before;
	SecretRow  *row = palloc(sizeof(SecretRow));
	SecretKeys *keys;

	if (declared == NULL)
		refuse_undeclared(key, declarations);
	secret_check_value(key, declared, value->text, value->length);
	keys = secret_keys_load();
	before = secret_row_find(secret_rows(sql, key, false), name);
	row->name = declared->name;
	row->json = declared->json;
	row->revision = 0;
	row->fingerprint = secret_fingerprint(key->project, value->text, value->length);
	*changed = before == NULL || !json_digest_equal(before->fingerprint, row->fingerprint);
	secret_row_write(sql, keys, key, row, value->text, value->length);
	record_set(sql, key, row, keys->keys[0].id, *changed);
	wiped_free(keys);
	return row;
}

/*
 * promote.set_secret(instance text, name text, value text) returns record, see
 * sql/secret/secret.sql
 */
Datum
promote_set_secret(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	char	   *name = argument_required(fcinfo, 1, "name");
	Sql			sql;
	Value		value;
	bool		changed;
	char	   *fingerprint;

	argument_instance(fcinfo, 0, "instance", &key);
	access_require("secrets", &key);
	require_in_use(&key);
	take_value(fcinfo, 2, &value);
	sql_enter(&sql);
	instance_lock(&sql, &key, true);
	fingerprint = audit_hex(set_secret(&sql, &key, name, &value, &changed)->fingerprint);
	fingerprint = MemoryContextStrdup(sql.caller, fingerprint);
	sql_leave(&sql);
	if (value.copy)
		wiped_free(value.copy);
	return result_row(fcinfo, AS_TEXT(fingerprint), AS_BOOL(changed));
}

/* promote.remove_secret(instance text, name text) returns boolean */
Datum
promote_remove_secret(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	char	   *name = argument_required(fcinfo, 1, "name");
	Sql			sql;
	JsonBuilder builder;
	bool		removed;

	argument_instance(fcinfo, 0, "instance", &key);
	access_require("secrets", &key);
	require_in_use(&key);
	sql_enter(&sql);
	instance_lock(&sql, &key, true);
	removed = secret_row_delete(&sql, &key, name);
	if (removed)
	{
		json_begin_object(&builder);
		json_build_field(&builder, "secret", name);
		secret_record(&sql, &key, "secret.removed", &builder);
	}
	sql_leave(&sql);
	PG_RETURN_BOOL(removed);
}

