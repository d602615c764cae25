/*
 * row.c: rows of promote.secret: reading, opening, checking and writing them.
 *
 * A value never becomes part of a statement, a row or an error.  Writers hold the instance's
 * lock.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/jsonapi.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "json/digest.h"
#include "json/limits.h"
#include "ledger/audit.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "secret/row.h"
#include "secret/seal.h"
#include "secret/secret.h"

PG_FUNCTION_INFO_V1(promote_secret_fingerprint);

/* ---- reading ---- */

static const SqlField secret_fields[] = {
	SQL_FIELD(SecretRow, name, "s.secret"),
	SQL_FIELD(SecretRow, fingerprint, "s.fingerprint"),
	SQL_FIELD(SecretRow, json, "s.format = 'json'")
};

/* The secrets of an instance: a list of SecretRow *, sorted by name. */
List *
secret_rows(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement read = SQL_ROWS(secret_fields, "SELECT $* FROM promote.secret AS s WHERE " OF_INSTANCE("s")
									 " ORDER BY s.project, s.environment, s.component, s.secret");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key));
	SecretRow	row;
	List	   *list = NIL;

	for (uint64 i = 0; sql_row(&rows, i, &row); i++)
		list = lappend(list, memcpy(palloc(sizeof(SecretRow)), &row, sizeof(SecretRow)));
	return list;
}

static const SqlField waiting_fields[] = {
	SQL_FIELD(SecretWaiting, name, "s.secret"),
	SQL_FIELDS(SecretWaiting, "s", revision, replaced)
};

/*
 * The secrets of an instance that promotions have brought since what runs was begun (DT_NOBEGIN:
 * nothing runs; then all that they have brought): a list of SecretWaiting *, sorted by name.
 */
List *
secrets_waiting(const Sql *sql, const InstanceKey *key, TimestampTz began, bool read_only)
{
	static Statement read = SQL_ROWS(waiting_fields, "SELECT $* FROM promote.secret AS s WHERE " OF_INSTANCE("s")
									 " AND s.promoted_at >= $4 ORDER BY s.project, s.environment, s.component, s.secret");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_TIME(began));

	return sql_list(&rows, sizeof(SecretWaiting));
}

/* The row with that name; NULL: none. */
const SecretRow *
secret_row_find(const List *rows, const char *name)
{
	ListCell   *cell;

	foreach(cell, rows)
		if (strcmp(((SecretRow *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

/* A secret's ciphertext, as a copy that the caller frees. */
static bytea *
read_sealed(const Sql *sql, const InstanceKey *key, const char *name, bool read_only)
{
	static Statement read = {"SELECT s.ciphertext FROM promote.secret AS s WHERE " OF_INSTANCE("s") " AND s.secret = $4"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_TEXT(name));

	return DatumGetByteaPCopy(sql_datum(&rows, 0).value);
}

/*
 * A value's fingerprint in a project, in the current memory context: a digest by the project's
 * key in a domain of its own.  Because of the domain, nobody can confirm a guess by having a
 * document digested or a digest keyed.
 */
bytea *
secret_fingerprint(const char *project, const char *value, Size length)
{
	bytea	   *digest = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	SET_VARSIZE(digest, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) value, length) < 0 ||
		pg_cryptohash_final(hash, (uint8 *) VARDATA(digest), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
	return config_digest_apart(project, "secret:", digest);
}

/* promote.secret_fingerprint(project text, value text) returns bytea */
Datum
promote_secret_fingerprint(PG_FUNCTION_ARGS)
{
	char	   *project = text_to_cstring(PG_GETARG_TEXT_PP(0));
	text	   *value = PG_GETARG_TEXT_PP(1);

	PG_RETURN_BYTEA_P(secret_fingerprint(project, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
}

/* Refuse an opened value that does not have the fingerprint of its row. */
void
secret_check_opened(const InstanceKey *key, const char *name, const bytea *fingerprint,
					const char *value, Size length)
{
	if (!json_digest_equal(secret_fingerprint(key->project, value, length), fingerprint))
		ereport(ERROR,
				(errcode(PM_SECRET_SEALED),
				 errmsg("secret \"%s\" of \"%s\" is not the one that its fingerprint is of", name,
						instance_key_name(key)),
				 errdetail("Its row was changed, in part, by something else than promote."),
				 errhint("Set it again by promote.set_secret.")));
}

/*
 * A secret's value, with a NUL behind it, which the caller frees by wiped_free.  Raises
 * PM_SECRET_SEALED, and PM_UNUSABLE_SECRET_KEY where its key is missing.
 */
char *
secret_row_open(const Sql *sql, const SecretKeys *keys, const InstanceKey *key, const SecretRow *row,
				bool read_only, Size *length)
{
	SealOwner	owner = {key, row->name};
	bytea	   *sealed = read_sealed(sql, key, row->name, read_only);
	char	   *value = seal_open(keys, &owner, sealed, length);

	secret_check_opened(key, row->name, row->fingerprint, value, *length);
	pfree(sealed);
	return value;
}

/* ---- writing ---- */

/*
 * Write a secret: the name, fingerprint and format of the row, and the value, sealed with the first
 * key.  By a promotion it waits since the revision of the row, until something runs that was begun
 * later; 0: nobody promotes it.
 */
void
secret_row_write(const Sql *sql, const SecretKeys *keys, const InstanceKey *key, const SecretRow *row,
				 const char *value, Size length)
{
	static Statement write = {"INSERT INTO promote.secret AS s (project, environment, component, secret, ciphertext,"
		" fingerprint, format, promoted_at, revision, replaced) VALUES ($1, $2, $3, $4, $5, $6, $7,"
		" CASE WHEN $8 IS NOT NULL THEN pg_catalog.clock_timestamp() END, $8, CASE WHEN $8 IS NOT NULL THEN false END)"
		" ON CONFLICT ON CONSTRAINT secret_pkey DO UPDATE SET ciphertext = EXCLUDED.ciphertext,"
		" fingerprint = EXCLUDED.fingerprint, format = EXCLUDED.format, set_at = EXCLUDED.set_at,"
		" actor = EXCLUDED.actor, database_role = EXCLUDED.database_role,"
		" promoted_at = COALESCE(EXCLUDED.promoted_at, s.promoted_at), revision = COALESCE(EXCLUDED.revision, s.revision),"
		" replaced = CASE WHEN EXCLUDED.replaced IS NULL OR s.promoted_at >= $9 THEN s.replaced ELSE true END"};
	SealOwner	owner = {key, row->name};
	bytea	   *sealed = seal(&keys->keys[0], &owner, value, length);

	guarded_run(sql, &write, AS_KEY(key), AS_TEXT(row->name), AS_BYTEA(sealed), AS_BYTEA(row->fingerprint),
				AS_TEXT(row->json ? "json" : "text"), AS_NUMBER(row->revision), AS_TIME(row->began));
	pfree(sealed);
}

/* Delete a secret, and note with the instance when that was; false: it did not exist. */
bool
secret_row_delete(const Sql *sql, const InstanceKey *key, const char *name)
{
	static Statement delete = {"WITH s AS (DELETE FROM promote.secret AS s WHERE " OF_INSTANCE("s") " AND s.secret = $4 RETURNING s.secret)"
		" UPDATE promote.instance AS i SET removed_secrets = COALESCE(i.removed_secrets, '{}')"
		" || pg_catalog.jsonb_build_object(s.secret, pg_catalog.clock_timestamp()) FROM s WHERE " OF_INSTANCE("i")};

	return guarded_run(sql, &delete, AS_KEY(key), AS_TEXT(name)).count > 0;
}

/* Append an event about secrets to the instance's chain; data is an object. */
void
secret_record(const Sql *sql, const InstanceKey *key, const char *event, JsonBuilder *data)
{
	audit_note_facts(sql, key->project, instance_key_name(key), event, data);
}

/* ---- checking values ---- */

/* Does the text nest no deeper than documents may?  The JSON parser recurses. */
static bool
nests_little(const char *text, Size length)
{
	bool		in_string = false;
	int			depth = 0;

	for (Size i = 0; i < length; i++)
	{
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '[' || text[i] == '{') && ++depth > JSON_MAX_DEPTH)
			return false;
		else if (!in_string && (text[i] == ']' || text[i] == '}'))
			depth--;
	}
	return true;
}

/* Is the text JSON?  The check raises no errors, because they would show some of it, and copies no strings. */
static bool
is_json(const char *text, Size length)
{
	return nests_little(text, length) &&
		pg_parse_json(json_lexer(text, length, GetDatabaseEncoding()), &nullSemAction) == JSON_SUCCESS;
}

/* Refuse a value. */
static void
refuse_value(const InstanceKey *key, const SecretDeclaration *declared, const char *detail,
			 const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_SECRET),
			 errmsg("not a value for secret \"%s\" of \"%s\"", declared->name, instance_key_name(key)),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* Refuse a value that does not fit its declaration; NULL is no value.  The error shows nothing of the value. */
void
secret_check_value(const InstanceKey *key, const SecretDeclaration *declared, const char *value,
				   Size length)
{
	if (value == NULL || length == 0)
		refuse_value(key, declared, "It is null or empty.",
					 "Pass it as the third argument; promote.remove_secret takes one away.");
	if (length > SECRET_MAX_BYTES)
		refuse_value(key, declared,
					 psprintf("It has %zu bytes, and may have %d.", length, SECRET_MAX_BYTES),
					 "Keep documents elsewhere, and here what opens them.");
	if (declared->json && !is_json(value, length))
		refuse_value(key, declared, "The release declares it as JSON, and it is none.",
					 "Pass a whole JSON document; a string is one in double quotes.");
}

/* ---- the guard ---- */

/*
 * promote_internal.guard_secret() returns trigger
 *
 * BEFORE INSERT, UPDATE, DELETE or TRUNCATE of secret: only the verbs write these rows, or the
 * tables' owner loads them as they are from a dump.
 */
Datum
TRIGGER_FUNCTION(promote_guard_secret)
{
	bool		truncate = CALLED_AS_TRIGGER(fcinfo) &&
		TRIGGER_FIRED_BY_TRUNCATE(((TriggerData *) fcinfo->context)->tg_event);
	TriggerData *data = trigger_data(fcinfo, "secret", TRIGGER_EVENT_BEFORE | (truncate ? 0 : TRIGGER_EVENT_ROW));

	return guard_written(data, TRIGGER_FIRED_BY_INSERT(data->tg_event) && loading_rows(),
						 "What is in them is sealed for the instance and the name that they have.",
						 "Use the verbs: promote.set_secret, promote.remove_secret, promote.rotate_secrets.");
}
