/*
 * rotate.c: sealing secrets again with the first of the configured keys.
 *
 * Each call handles one batch, found by the index on key ids, and the next call goes on from
 * there.  Rows that another session has locked are skipped until a later call, so rotating
 * waits for nobody and causes no deadlock.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/wipe.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "secret/row.h"
#include "secret/seal.h"

PG_FUNCTION_INFO_V1(promote_rotate_secrets);

#define BATCH_MAX 100000

/* A secret to seal again. */
typedef struct Sealed
{
	InstanceKey key;
	char	   *name;
	bytea	   *ciphertext;
	bytea	   *fingerprint;
} Sealed;

static const SqlField sealed_fields[] = {
	SQL_FIELD(Sealed, key.project, "s.project"),
	SQL_FIELD(Sealed, key.environment, "s.environment"),
	SQL_FIELD(Sealed, key.component, "s.component"),
	SQL_FIELD(Sealed, name, "s.secret"),
	SQL_FIELDS(Sealed, "s", ciphertext, fingerprint)
};

/* The secrets of one instance that were sealed again. */
typedef struct Turned
{
	InstanceKey key;
	List	   *names;
} Turned;

/* The id after the given one ("": the first) of the keys that seal something, except the current key. */
static char *
next_old_key(const Sql *sql, const char *current, const char *after)
{
	static Statement read = {"SELECT COALESCE((SELECT s.key_id FROM promote.secret AS s WHERE s.key_id > $2 AND s.key_id < $1"
		"  ORDER BY s.key_id LIMIT 1), (SELECT s.key_id FROM promote.secret AS s"
		"  WHERE s.key_id > $2 AND s.key_id > $1 ORDER BY s.key_id LIMIT 1))"};
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(current), AS_TEXT(after));

	return sql_text(&rows, 0);
}

/* Write a secret's new ciphertext.  Who set it and when stays. */
static void
write_sealed(const Sql *sql, const SealOwner *owner, const bytea *sealed)
{
	static Statement write = {"UPDATE promote.secret AS s SET ciphertext = $5 WHERE " OF_INSTANCE("s") " AND s.secret = $4"};

	guarded_run(sql, &write, AS_KEY(owner->instance), AS_TEXT(owner->name), AS_BYTEA(sealed));
}

/* Open a secret and seal it again with the first key. */
static void
turn(const Sql *sql, const SecretKeys *keys, const Sealed *secret)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "promote rotation", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(own);
	SealOwner	owner = {&secret->key, secret->name};
	Size		length;
	char	   *value = seal_open(keys, &owner, secret->ciphertext, &length);

	secret_check_opened(&secret->key, secret->name, secret->fingerprint, value, length);
	write_sealed(sql, &owner, seal(&keys->keys[0], &owner, value, length));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(own);
}

/* Record for an instance which secrets were sealed again. */
static void
record_turned(const Sql *sql, const Turned *turned, const char *id)
{
	JsonBuilder builder;

	if (turned->names == NIL)
		return;
	json_begin_object(&builder);
	json_build_field(&builder, "key_id", id);
	json_build_strings(&builder, "secrets", turned->names);
	secret_record(sql, &turned->key, "secrets.rotated", &builder);
}

/*
 * Seal again what one key has sealed, at most the given number, in the order of instances and
 * with their rows locked in that order.  Returns how many were sealed.
 */
static int32
turn_batch(const Sql *sql, const SecretKeys *keys, const char *id, int32 most)
{
	static Statement pick = SQL_ROWS(sealed_fields, "SELECT $* FROM promote.secret AS s"
									 " JOIN promote.instance AS i ON " SAME_INSTANCE("i", "s") " WHERE s.key_id = $1"
									 " ORDER BY s.key_id, s.project, s.environment, s.component, s.secret LIMIT $2"
									 " FOR NO KEY UPDATE OF i, s SKIP LOCKED");
	SqlRows		rows = sql_run(sql, &pick, AS_TEXT(id), AS_INT(most));
	Turned		turned = {.names = NIL};
	Sealed		secret;

	for (uint64 i = 0; sql_row(&rows, i, &secret); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (turned.names != NIL && instance_key_compare(&turned.key, &secret.key) != 0)
		{
			record_turned(sql, &turned, keys->keys[0].id);
			turned.names = NIL;
		}
		turn(sql, keys, &secret);
		turned.key = secret.key;
		turned.names = lappend(turned.names, secret.name);
	}
	record_turned(sql, &turned, keys->keys[0].id);
	return rows.count;
}

/* How many secrets are sealed with another key than the current one. */
static int64
count_old(const Sql *sql, const char *current)
{
	static Statement count = {"SELECT (SELECT pg_catalog.count(*) FROM promote.secret AS s WHERE s.key_id < $1)"
		" + (SELECT pg_catalog.count(*) FROM promote.secret AS s WHERE s.key_id > $1)"};
	SqlRows		rows = sql_run(sql, &count, AS_TEXT(current));

	return sql_wide(&rows, 0);
}

/* The argument that limits how many secrets one call seals again. */
static int32
argument_batch(FunctionCallInfo fcinfo)
{
	int32		batch = argument_number(fcinfo, 0, "batch");

	if (batch < 1 || batch > BATCH_MAX)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the batch is out of bounds"),
				 errdetail("It is between 1 and %d secrets.", BATCH_MAX),
				 errhint("A thousand is usual: their instances are locked until the transaction ends.")));
	return batch;
}

/*
 * promote.rotate_secrets(batch integer) returns record, see sql/secret/secret.sql
 */
Datum
promote_rotate_secrets(PG_FUNCTION_ARGS)
{
	int32		batch = argument_batch(fcinfo);
	Sql			sql;
	SecretKeys *keys;
	int32		rotated = 0;
	int64		remaining;

	access_require_in("admin", NULL, NULL);
	sql_enter(&sql);
	keys = secret_keys_load();
	for (char *id = ""; rotated < batch && (id = next_old_key(&sql, keys->keys[0].id, id)) != NULL;)
		rotated += turn_batch(&sql, keys, id, batch - rotated);
	remaining = count_old(&sql, keys->keys[0].id);
	wiped_free(keys);
	sql_leave(&sql);
	return result_row(fcinfo, AS_INT(rotated), AS_BIGINT(remaining));
}
