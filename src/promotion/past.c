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
#include "ledger/config_digest.h"
#include "promotion/past.h"
#include "registry/instance.h"
#include "registry/parameter.h"

PG_FUNCTION_INFO_V1(promote_has_kept_marks);

static const SqlField past_fields[] = {
	SQL_FIELDS(PastRevision, "r", revision, digest, version_constraint, release_channel, bundle, version,
			   source_environment, source_revision, actor, created_at, message),
	SQL_FIELD(PastRevision, kept, "r.kept_marks"),
	SQL_ENUM_FIELD(PastRevision, origin, "r.origin", revision_origins)
};
static RowFields past_columns = ROW_FIELDS(past_fields);

/* A copy of a value that may point into a row; NULL stays NULL. */
static void *
copied(const void *value)
{
	return value ? DatumGetPointer(datumCopy(PointerGetDatum(value), false, -1)) : NULL;
}

/* Have deployments of a revision marks that are kept, as the active snapshot shows them? */
static bool
has_kept_marks(Datum project, Datum environment, Datum component, int32 revision)
{
	const RowKey key = {"deployment", "deployment_kept_idx",
		{sql_value(TEXTOID, false, project), sql_value(TEXTOID, false, environment),
		sql_value(TEXTOID, false, component), AS_INT(revision)}, 4};

	return row_is_shown(&key, GetActiveSnapshot());
}

/* The marks that are kept in a revision's params: its own ones, which are given, and those of its deployments. */
Jsonb *
past_kept_marks(const Sql *sql, const InstanceKey *key, int32 revision, Jsonb *own)
{
	static Statement read = {"SELECT promote_internal.all_kept_marks($1, $2, $3, $4, $5)"};
	SqlRows		rows;

	if (!has_kept_marks(CStringGetTextDatum(key->project), CStringGetTextDatum(key->environment),
						CStringGetTextDatum(key->component), revision))
		return own;
	rows = sql_read(sql, &read, AS_KEY(key), AS_INT(revision), AS_JSONB(own));
	own = copied(sql_jsonb(&rows, 0));
	SPI_freetuptable(rows.table);
	return own;
}

/*
 * The newest revision of an instance up to a number; NULL: there is none.  It lives until
 * past_free, or as long as the memory context that is current.
 */
PastRevision *
past_read(const Sql *sql, const InstanceKey *key, int32 at_most)
{
	const RowKey row = {"revision", "revision_pkey", {AS_KEY(key)}, 3, {{BTLessEqualStrategyNumber, AS_INT(at_most)}}};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote past revision", ALLOCSET_SMALL_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	PastRevision *past = palloc0(sizeof(PastRevision));
	bool		found = row_take(&row, BackwardScanDirection, &past_columns, GetActiveSnapshot(), past);

	past->context = context;
	if (found)
		past->kept = past_kept_marks(sql, key, past->revision, past->kept);
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
past_params_kept(const char *project, const PastRevision *past)
{
	Jsonb	   *params = value_jsonb(config_take(CStringGetTextDatum(project), PointerGetDatum(past->digest),
												 GetActiveSnapshot()));

	if (params == NULL)
		elog(ERROR, "the configuration of revision %d is missing", past->revision);
	return params;
}

/* Such params, which live until others were asked for PAST_CONFIGS times. */
const Jsonb *
past_params(PastConfigs *configs, const PastRevision *past)
{
	PastConfig *config = find_config(configs, past->digest);
	MemoryContext outer;

	config->used = ++configs->questions;
	if (config->context)
		return config->params;
	config->context = AllocSetContextCreate(configs->context, "promote past configuration", ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(config->context);
	config->digest = copied(past->digest);
	config->params = past_params_kept(configs->project, past);
	MemoryContextSwitchTo(outer);
	return config->params;
}

/* The parameters of an instance's environment, in the current memory context. */
Jsonb *
past_parameters(const InstanceKey *key)
{
	return parameters_of(key->project, key->environment, GetActiveSnapshot());
}

/* The overrides of a revision, in the current memory context; NULL: none. */
Jsonb *
past_overrides(const InstanceKey *key, const PastRevision *past)
{
	const RowKey row = {"revision", "revision_pkey", {AS_KEY(key), AS_INT(past->revision)}, 4};

	return value_jsonb(row_column(&row, "overrides", GetActiveSnapshot()));
}

/*
 * promote_internal.has_kept_marks(project text, environment text, component text, revision
 * integer) returns boolean, strict
 */
Datum
promote_has_kept_marks(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_kept_marks(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_INT32(3)));
}
