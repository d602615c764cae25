/*
 * past.c: reading what instances desired, revision by revision.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/row.h"
#include "json/digest.h"
#include "promotion/past.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_has_kept_marks);

static const SqlField past_fields[] = {
	SQL_FIELDS(PastRevision, "r", revision, digest, version_constraint, release_channel, bundle, version,
			   source_environment, source_revision, actor, created_at, message),
	SQL_FIELD(PastRevision, kept, "r.kept_marks"),
	SQL_ENUM_FIELD(PastRevision, origin, "r.origin", revision_origins)
};

/* A copy of a value that may point into a row; NULL stays NULL. */
static void *
copied(const void *value)
{
	return value ? DatumGetPointer(datumCopy(PointerGetDatum(value), false, -1)) : NULL;
}

/* The only jsonb of rows that are read and freed, in the current memory context; NULL: there is none. */
static Jsonb *
take_document(const SqlRows *rows)
{
	Jsonb	   *document = rows->count > 0 ? copied(sql_jsonb(rows, 0)) : NULL;

	SPI_freetuptable(rows->table);
	return document;
}

/*
 * The newest revision of an instance up to a number; NULL: there is none.  It lives until
 * past_free, or as long as the memory context that is current.
 */
PastRevision *
past_read(const Sql *sql, const InstanceKey *key, int32 at_most)
{
	static Statement read = SQL_ROWS(past_fields, "SELECT $* FROM promote_internal.past_revision($1, $2, $3, $4) AS r");
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote past revision", ALLOCSET_SMALL_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	PastRevision *past = palloc0(sizeof(PastRevision));
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key), AS_INT(at_most));
	bool		found = sql_row(&rows, 0, past);

	past->context = context;
	past->digest = copied(past->digest);
	past->kept = copied(past->kept);
	SPI_freetuptable(rows.table);
	MemoryContextSwitchTo(outer);
	if (found)
		return past;
	MemoryContextDelete(context);
	return NULL;
}

/*
 * The revision that a number followed, as past_read; NULL: it is the first one of its environment's
 * generation.  Opening another one takes a number that no revision has.
 */
PastRevision *
past_before(const Sql *sql, const InstanceKey *key, int32 revision)
{
	PastRevision *before = past_read(sql, key, revision - 1);

	if (before == NULL || before->revision == revision - 1)
		return before;
	past_free(before);
	return NULL;
}

/* The newest revision of an instance.  Raises PM_NOT_FOUND and PM_NOT_CONFIGURED. */
PastRevision *
past_newest(const Sql *sql, const InstanceKey *key)
{
	PastRevision *newest = past_read(sql, key, PG_INT32_MAX);

	if (newest == NULL)
	{
		require_instance(sql, key);
		refuse_unconfigured(key, "Configure it first, with promote.configure_instance.");
	}
	return newest;
}

/* The revision of that number.  Raises PM_NOT_FOUND and PM_NOT_CONFIGURED. */
PastRevision *
past_require(const Sql *sql, const InstanceKey *key, int32 revision)
{
	PastRevision *past = past_read(sql, key, revision);

	if (past && past->revision == revision)
		return past;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("\"%s\" has no revision %d", instance_key_name(key), revision),
			 errdetail("Its revisions are numbered from 1 to %d.", past_newest(sql, key)->revision),
			 errhint("promote.revision lists them.")));
}

/* Free a revision; NULL is none. */
void
past_free(PastRevision *past)
{
	if (past)
		MemoryContextDelete(past->context);
}

/* The configuration with a digest, if it is kept, or else the place of the one that was not asked for longest. */
static PastConfig *
find_config(PastConfigs *configs, const bytea *digest)
{
	PastConfig *oldest = &configs->kept[0];

	for (int i = 0; i < PAST_CONFIGS; i++)
	{
		PastConfig *config = &configs->kept[i];

		if (config->context && json_digest_equal(config->digest, digest))
			return config;
		if (config->used < oldest->used)
			oldest = config;
	}
	if (oldest->context)
		MemoryContextDelete(oldest->context);
	oldest->context = NULL;
	return oldest;
}

/* The params of a revision, as they were written, in the current memory context. */
Jsonb *
past_params_kept(const Sql *sql, const char *project, const PastRevision *past)
{
	static Statement read = {"SELECT c.params FROM promote.config AS c WHERE c.project = $1 AND c.digest = $2"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project), AS_BYTEA(past->digest));
	Jsonb	   *params = take_document(&rows);

	if (params == NULL)
		elog(ERROR, "the configuration of revision %d is missing", past->revision);
	return params;
}

/* Such params, which live until others were asked for PAST_CONFIGS times. */
const Jsonb *
past_params(const Sql *sql, PastConfigs *configs, const PastRevision *past)
{
	PastConfig *config = find_config(configs, past->digest);
	MemoryContext outer;

	config->used = ++configs->questions;
	if (config->context)
		return config->params;
	config->context = AllocSetContextCreate(configs->context, "promote past configuration", ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(config->context);
	config->digest = copied(past->digest);
	config->params = past_params_kept(sql, configs->project, past);
	MemoryContextSwitchTo(outer);
	return config->params;
}

/* The parameters of an instance's environment, in the current memory context. */
Jsonb *
past_parameters(const Sql *sql, const InstanceKey *key)
{
	static Statement read = {"SELECT promote_internal.parameters_of($1, $2)"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(key->project), AS_TEXT(key->environment));

	return take_document(&rows);
}

/* The overrides of a revision, in the current memory context; NULL: none. */
Jsonb *
past_overrides(const Sql *sql, const InstanceKey *key, const PastRevision *past)
{
	static Statement read = {"SELECT r.overrides FROM promote.revision AS r"
		" WHERE " OF_INSTANCE("r") " AND r.revision = $4"};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key), AS_INT(past->revision));

	return take_document(&rows);
}

/*
 * promote_internal.has_kept_marks(project text, environment text, component text, revision
 * integer) returns boolean, strict
 */
Datum
promote_has_kept_marks(PG_FUNCTION_ARGS)
{
	const RowKey key = {"deployment", "deployment_kept_idx",
		{sql_value(TEXTOID, false, PG_GETARG_DATUM(0)), sql_value(TEXTOID, false, PG_GETARG_DATUM(1)),
		sql_value(TEXTOID, false, PG_GETARG_DATUM(2)), sql_value(INT4OID, false, PG_GETARG_DATUM(3))}, 4};

	PG_RETURN_BOOL(row_is_shown(&key, GetActiveSnapshot()));
}
