/*
 * config_digest.c: the keyed digests of configurations.
 *
 * Somebody who knows a document except for one value could try values until a plain SHA-256
 * matches.  So promote shows the HMAC-SHA256 of the document's digest (json/digest.h) under a
 * key of the project, which only the owner of the tables can read.  Within a project,
 * documents are equal if and only if their digests are.
 *
 * Keys are cached until the transaction writes something, because the transaction may change
 * the project itself, and another one may until something refers to it.  A key that a verb has read
 * with a locked instance is held: others cannot delete that, and so not the project, and neither can
 * the transaction, since the instance has a revision by the end of the verb.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/row.h"
#include "base/trigger.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"

PG_FUNCTION_INFO_V1(promote_config_digest);
PG_FUNCTION_INFO_V1(promote_config_params);

/* a key is as long as a digest */
#define KEY_LENGTH JSON_DIGEST_LENGTH

/* A cached key. */
typedef struct ProjectKey
{
	char		project[NAMEDATALEN];
	CommandId	read_at;		/* the transaction's command when the key was read */
	bool		held;			/* does it stay the project's? */
	uint8		key[KEY_LENGTH];
} ProjectKey;

/* The cache, by project, in memory of the transaction; NULL: nothing was read. */
static HTAB *keys = NULL;

/* ---- keys ---- */

/* The cached key, if it is held, or the transaction has written nothing since; NULL: the key must be read. */
static const uint8 *
kept_key(const char *project)
{
	ProjectKey *kept = keys ? hash_search(keys, project, HASH_FIND, NULL) : NULL;

	return kept && (kept->held || kept->read_at == GetCurrentCommandId(false)) ? kept->key : NULL;
}

/* Cache a key. */
static const uint8 *
keep_key(const char *project, const bytea *key, bool held)
{
	HASHCTL		control = {.keysize = NAMEDATALEN,.entrysize = sizeof(ProjectKey),.hcxt = TopTransactionContext};
	ProjectKey *kept;

	if (VARSIZE_ANY_EXHDR(key) != KEY_LENGTH)
		elog(ERROR, "the digest key of \"%s\" has another length", project);
	if (keys == NULL)
		keys = hash_create("promote digest keys", 16, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	kept = hash_search(keys, project, HASH_ENTER, NULL);
	kept->read_at = GetCurrentCommandId(false);
	kept->held = held;
	memcpy(kept->key, VARDATA_ANY(key), KEY_LENGTH);
	return kept->key;
}

/* Read a project's key as it is now, whatever the transaction's snapshot shows; NULL: no such project. */
static const uint8 *
read_key(const char *project)
{
	const RowKey row = {"project_key", "project_key_pkey", {AS_TEXT(project)}, 1};
	NullableDatum key;

	sql_push_latest();
	key = row_column(&row, "digest_key", GetActiveSnapshot());
	PopActiveSnapshot();
	return key.isnull ? NULL : keep_key(project, value_bytea(key), false);
}

/*
 * Hold a project's key, which was read with one of its instances, under its lock, by a verb that has
 * given it a revision when it returns, or fails.
 */
void
config_digest_hold(const char *project, const bytea *key)
{
	(void) keep_key(project, key, true);
}

/* The key of a project; NULL: no such project. */
static const uint8 *
find_key(const char *project)
{
	const uint8 *key;

	/* no project has a longer name */
	if (strlen(project) >= NAMEDATALEN)
		return NULL;
	key = kept_key(project);
	return key ? key : read_key(project);
}

/* Does the project exist, with its key? */
bool
config_digest_has_key(const char *project)
{
	return find_key(project) != NULL;
}

/* The key of a project.  Raises PM_NOT_FOUND where there is no such project. */
static const uint8 *
require_key(const char *project)
{
	const uint8 *key = find_key(project);

	if (key == NULL)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("project \"%s\" does not exist", project),
				 errdetail("Digests of configurations are made with a key of their project."),
				 errhint("Insert the project first.")));
	return key;
}

/* Empty the cache when a transaction ends. */
static void
at_end(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE && event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		keys = NULL;
}

/* Empty the cache when a subtransaction is rolled back, because its changes to projects are undone. */
static void
at_subend(SubXactEvent event, SubTransactionId subtransaction, SubTransactionId parent, void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB || keys == NULL)
		return;
	hash_destroy(keys);
	keys = NULL;
}

/* Register for the ends of transactions.  Called when the library is loaded. */
void
config_digest_init(void)
{
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_subend, NULL);
}

/* ---- digests ---- */

/*
 * HMAC-SHA256 of a digest, in the current memory context.  The domain keeps keyed digests of
 * one kind apart from all others; it is "" for documents.
 */
static bytea *
keyed(const uint8 *key, const char *domain, const bytea *digest)
{
	bytea	   *result = palloc(VARHDRSZ + JSON_DIGEST_LENGTH);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	SET_VARSIZE(result, VARHDRSZ + JSON_DIGEST_LENGTH);
	if (hmac == NULL || pg_hmac_init(hmac, key, KEY_LENGTH) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) domain, strlen(domain)) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest)) < 0 ||
		pg_hmac_final(hmac, (uint8 *) VARDATA(result), JSON_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute an HMAC: %s", hmac ? pg_hmac_error(hmac) : "out of memory");
	pg_hmac_free(hmac);
	return result;
}

/*
 * A document's keyed digest, in the current memory context.  Raises PM_NOT_FOUND where the
 * project does not exist.
 */
bytea *
config_digest(const char *project, const Jsonb *document)
{
	return keyed(require_key(project), "", json_digest(document));
}

/* As config_digest; NULL where the project does not exist any more. */
bytea *
config_digest_if_any(const char *project, const Jsonb *document)
{
	const uint8 *key = find_key(project);

	return key ? keyed(key, "", json_digest(document)) : NULL;
}

/* As config_digest, for a document of which only promote.jsonb_digest is known. */
bytea *
config_digest_of(const char *project, const bytea *digest)
{
	return keyed(require_key(project), "", digest);
}

/*
 * As config_digest, for other things than documents, in a domain of their own.  Without the
 * domain, somebody who reports an observation by its digest could have any digest keyed as
 * that of a document.
 */
bytea *
config_digest_apart(const char *project, const char *domain, const bytea *digest)
{
	return keyed(require_key(project), domain, digest);
}

/* promote.config_digest(project text, params jsonb) returns bytea */
Datum
promote_config_digest(PG_FUNCTION_ARGS)
{
	char	   *project = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BYTEA_P(config_digest(project, PG_GETARG_JSONB_P(1)));
}

/* The configuration of a project with a digest, as a snapshot shows it; NULL: there is none. */
NullableDatum
config_take(Datum project, Datum digest, Snapshot snapshot)
{
	const RowKey key = {"config", "config_pkey",
		{sql_value(TEXTOID, false, project), sql_value(BYTEAOID, false, digest)}, 2};

	return row_column(&key, "params", snapshot);
}

/* promote_internal.config_params(project text, digest bytea) returns jsonb, strict */
Datum
promote_config_params(PG_FUNCTION_ARGS)
{
	NullableDatum params = config_take(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), GetActiveSnapshot());

	if (params.isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(params.value);
}

/* Refuse a digest that is given and differs from the row's own. */
static void
require_digest(Datum given, const bytea *digest)
{
	/* check the length first: a value of another length may be too long to fetch */
	if (toast_raw_datum_size(given) != VARSIZE(digest) || !json_digest_equal(DatumGetByteaPP(given), digest))
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("column \"digest\" of \"config\" is kept by promote"),
				 errdetail("It is the digest of the params by the key of the project."),
				 errhint("Leave it out.")));
}

/*
 * promote_internal.digest_config() returns trigger
 *
 * BEFORE INSERT of config, for each row: fills in the digest.  Rows that a dump loads keep
 * theirs, because the dump's tables come in any order and the key may follow; so do those that
 * promote writes in sets, which it has digested already.
 */
Datum
TRIGGER_FUNCTION(promote_digest_config)
{
	TriggerData *data = trigger_data(fcinfo, "config", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = data->tg_trigtuple;
	char	   *project = trigger_text(data, row, "project");
	NullableDatum given = trigger_value(data, row, "digest");
	bool		is_known = !given.isnull && (errand()->records || loading_rows());
	Jsonb	   *params = is_known ? NULL : trigger_jsonb(data, row, "params");
	bytea	   *digest;

	/* the table's own constraints refuse what is missing */
	if (project == NULL || params == NULL)
		return PointerGetDatum(row);
	digest = config_digest(project, params);
	if (!given.isnull)
		require_digest(given.value, digest);
	return PointerGetDatum(trigger_with(data, row, "digest", PointerGetDatum(digest)));
}

/* Make a key. */
static bytea *
make_key(void)
{
	bytea	   *key = palloc(VARHDRSZ + KEY_LENGTH);

	SET_VARSIZE(key, VARHDRSZ + KEY_LENGTH);
	if (!pg_strong_random(VARDATA(key), KEY_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	return key;
}

/*
 * promote_internal.keep_digest_key() returns trigger
 *
 * BEFORE INSERT or UPDATE of the name of project, for each row: makes a key, unless ON CONFLICT
 * finds the project there, or gives a new name the same.  A dump has the keys: it loads them first,
 * but for several jobs, which load tables in any order.
 */
Datum
TRIGGER_FUNCTION(promote_keep_digest_key)
{
	static Statement insert = {"INSERT INTO promote.project_key (project, digest_key) VALUES ($1, $2)"
		" ON CONFLICT ON CONSTRAINT project_key_pkey DO NOTHING"};
	static Statement copy = {"INSERT INTO promote.project_key (project, digest_key)"
		" SELECT $2, k.digest_key FROM promote.project_key AS k WHERE k.project = $1"};
	TriggerData *data = trigger_data(fcinfo, "project", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	char	   *project = trigger_text(data, trigger_row(data), "project");
	char	   *old = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
		trigger_text(data, data->tg_trigtuple, "project") : NULL;
	Sql			sql;

	if (!loading_rows() || SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
	{
		sql_enter(&sql);
		if (!old)
			guarded_run(&sql, &insert, AS_TEXT(project), AS_BYTEA(make_key()));
		else if (strcmp(old, project) != 0)
			guarded_run(&sql, &copy, AS_TEXT(old), AS_TEXT(project));
		sql_leave(&sql);
	}
	return PointerGetDatum(trigger_row(data));
}

/*
 * promote_internal.drop_digest_key() returns trigger
 *
 * AFTER DELETE or UPDATE of the name of project, for each row: the key of a name that is no more
 * goes, when no project refers to it any longer.
 */
Datum
TRIGGER_FUNCTION(promote_drop_digest_key)
{
	static Statement drop = {"DELETE FROM promote.project_key AS k WHERE k.project = $1"};
	TriggerData *data = trigger_data(fcinfo, "project", TRIGGER_EVENT_ROW);
	char	   *old = trigger_text(data, data->tg_trigtuple, "project");
	Sql			sql;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event) ||
		strcmp(old, trigger_text(data, data->tg_newtuple, "project")) != 0)
	{
		sql_enter(&sql);
		guarded_run(&sql, &drop, AS_TEXT(old));
		sql_leave(&sql);
	}
	return PointerGetDatum(NULL);
}
