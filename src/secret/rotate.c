/*
 * rotate.c: sealing secrets again with the key that counts now.
 *
 * A batch at a time, by the index of keys: whatever has come to its end is
 * committed, and a call goes on where the one before stopped.  What another
 * session has locked is passed over and comes with the next call, so that this
 * waits for nobody and is in no deadlock.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/wipe.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "secret/row.h"
#include "secret/seal.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(promote_rotate_secrets);

#define BATCH_MAX 100000

/* The secrets of one instance that were sealed again. */
typedef struct Turned
{
	InstanceKey key;
	List	   *names;
} Turned;

/* The next of the keys that something is sealed with and that is not the one that counts, after another ("": the first). */
static char *
next_old_key(const Sql *sql, const char *current, const char *after)
{
	static OldStatement read = {
		.text = "SELECT COALESCE((SELECT s.key_id FROM promote.secret AS s WHERE s.key_id > $2 AND s.key_id < $1"
		"  ORDER BY s.key_id LIMIT 1), (SELECT s.key_id FROM promote.secret AS s"
		"  WHERE s.key_id > $2 AND s.key_id > $1 ORDER BY s.key_id LIMIT 1))",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(current), CStringGetTextDatum(after)};

	statement_run(sql, &read, values, NULL, false);
	return spi_text(SPI_tuptable, 0, 1);
}

/* Lock secrets that are sealed with a key, and their instances, in key order. */
static SPITupleTable *
pick(const Sql *sql, const char *id, int32 most)
{
	static OldStatement read = {
		.text = "SELECT s.project::pg_catalog.text, s.environment::pg_catalog.text, s.component::pg_catalog.text,"
		" s.secret, s.ciphertext, s.fingerprint FROM promote.secret AS s"
		" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "s") " WHERE s.key_id = $1"
		" ORDER BY s.key_id, s.project, s.environment, s.component, s.secret LIMIT $2"
		" FOR NO KEY UPDATE OF i, s SKIP LOCKED",
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2] = {CStringGetTextDatum(id), Int32GetDatum(most)};

	statement_run(sql, &read, values, NULL, false);
	return SPI_tuptable;
}

/* Write what was sealed again; who set it, and when, stays. */
static void
write_sealed(const Sql *sql, const SealOwner *owner, const bytea *sealed)
{
	static OldStatement write = {
		.text = "UPDATE promote.secret AS s SET ciphertext = $5 WHERE " OF_INSTANCE("s") " AND s.secret = $4",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID}
	};
	Datum		values[5];

	instance_key_values(owner->instance, values);
	values[3] = CStringGetTextDatum(owner->name);
	values[4] = PointerGetDatum(sealed);
	old_guarded_run(sql, &write, values, NULL);
}

/* Open a row of a batch and seal it again. */
static void
turn(const Sql *sql, const SecretKeys *keys, const SealOwner *owner, SPITupleTable *rows, uint64 row)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "promote rotation", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(own);
	Size		length;
	char	   *value = seal_open(keys, owner, spi_bytea(rows, row, 5), &length);

	secret_check_opened(owner->instance, owner->name, spi_bytea(rows, row, 6), value, length);
	write_sealed(sql, owner, seal(&keys->keys[0], owner, value, length));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(own);
}

/* Record what was done to the secrets of an instance. */
static void
record_turned(const Sql *sql, const Turned *turned, const char *id)
{
	JsonBuilder builder;
	ListCell   *cell;

	if (turned->names == NIL)
		return;
	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "key_id", id);
	json_build_key(&builder, "secrets", strlen("secrets"));
	json_build_begin_array(&builder);
	foreach(cell, turned->names)
		json_build_string(&builder, lfirst(cell), strlen(lfirst(cell)));
	json_build_end_array(&builder);
	secret_record(sql, &turned->key, "secrets.rotated", &builder);
}

/* Seal a batch again, one instance after the other; returns how many they were. */
static int32
turn_batch(const Sql *sql, const SecretKeys *keys, SPITupleTable *rows)
{
	Turned		turned = {.names = NIL};

	for (uint64 i = 0; i < rows->numvals; i++)
	{
		InstanceKey key = {spi_text(rows, i, 1), spi_text(rows, i, 2), spi_text(rows, i, 3)};
		SealOwner	owner = {&key, spi_text(rows, i, 4)};

		CHECK_FOR_INTERRUPTS();
		if (turned.names != NIL && instance_key_compare(&turned.key, &key) != 0)
		{
			record_turned(sql, &turned, keys->keys[0].id);
			turned.names = NIL;
		}
		turn(sql, keys, &owner, rows, i);
		turned.key = key;
		turned.names = lappend(turned.names, unconstify(char *, owner.name));
	}
	record_turned(sql, &turned, keys->keys[0].id);
	return rows->numvals;
}

/* How many are sealed with another key. */
static int64
count_old(const Sql *sql, const char *current)
{
	static OldStatement count = {
		.text = "SELECT (SELECT pg_catalog.count(*) FROM promote.secret AS s WHERE s.key_id < $1)"
		" + (SELECT pg_catalog.count(*) FROM promote.secret AS s WHERE s.key_id > $1)",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(current)};
	bool		isnull;

	statement_run(sql, &count, values, NULL, false);
	return DatumGetInt64(spi_value(SPI_tuptable, 0, 1, &isnull));
}

/* How many a call may seal again. */
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
	TupleDesc	row_type;
	bool		nulls[2] = {false};
	Datum		values[2];
	int32		rotated = 0;
	int64		remaining;

	access_require_in("admin", NULL, NULL);
	sql_enter(&sql);
	keys = secret_keys_load();
	for (char *id = ""; rotated < batch && (id = next_old_key(&sql, keys->keys[0].id, id)) != NULL;)
		rotated += turn_batch(&sql, keys, pick(&sql, id, batch - rotated));
	remaining = count_old(&sql, keys->keys[0].id);
	wiped_free(keys);
	sql_leave(&sql);
	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	values[0] = Int32GetDatum(rotated);
	values[1] = Int64GetDatum(remaining);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls));
}
