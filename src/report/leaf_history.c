/*
 * leaf_history.c: what became of the leaves of an instance, change by change.
 *
 * Each revision is compared with the one before it, the newest first.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "compose/entry.h"
#include "grant/grants.h"
#include "json/path.h"
#include "promotion/past.h"
#include "registry/instance.h"
#include "registry/release.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_leaf_history);

/* The places that are asked for. */
typedef struct Places
{
	char	   *params;			/* a path, spelled as diffs spell it, "" for all; NULL: none */
	const char *release;		/* a path of the release, ENTRY_RELEASE's name for all of them; NULL: none */
} Places;

/* A history that is being written. */
typedef struct History
{
	FunctionCallInfo fcinfo;
	const Sql  *sql;
	InstanceKey key;
	Places		places;
	PastConfigs configs;
	const PastRevision *now;	/* the newest one, by whose marks all are masked as well */
	Jsonb	   *now_params;
	Jsonb	   *now_schema;
	Jsonb	   *parameters;

	/* the step: a revision and the one before it, NULL: there is none */
	const PastRevision *at;
	const PastRevision *before;
	Entries		entries;
} History;

/* ---- places ---- */

/* A path as it is spelled here, without the point of the root.  Raises what json_path_next raises. */
static char *
spelled(const char *path)
{
	JsonPathReader reader;
	JsonPathStep step;
	StringInfoData text;

	initStringInfo(&text);
	json_path_reader_init(&reader, path, strlen(path));
	while (json_path_next(&reader, &step))
		if (step.key)
			json_path_add_key(&text, step.key, step.length);
		else
			json_path_add_index(&text, step.index);
	return text.data;
}

/* Refuse what is the path of no leaf. */
static void
refuse_place(const char *path)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a path of what is desired"),
			 errdetail_internal("It begins neither with a point nor with \"release\"."),
			 errhint("Paths look like .nodes[0].size, release, release constraint and release channel; leave it out for all.")));
}

/* Take the argument that names the places. */
static Places
take_places(const char *path)
{
	static const char *const release[] = {"release", "release constraint", "release channel"};

	if (path == NULL)
		return (Places) {"", release[0]};
	if (path[0] == '.')
		return (Places) {spelled(path), NULL};
	for (int i = 0; i < lengthof(release); i++)
		if (strcmp(path, release[i]) == 0)
			return (Places) {NULL, release[i]};
	refuse_place(path);
	return (Places) {NULL, NULL};
}

/* Is a leaf at that path, or below it?  "" is the root's. */
static bool
is_within(const char *leaf, const char *path)
{
	Size		length = strlen(path);

	return strncmp(leaf, path, length) == 0 &&
		(length == 0 || leaf[length] == '\0' || leaf[length] == '.' || leaf[length] == '[');
}

/* ---- a revision ---- */

/* Note that a leaf that is asked for has changed.  A JsonChangeCollector. */
static void
note_leaf(void *state, const JsonChange *change)
{
	History    *history = state;

	if (is_within(change->path, history->places.params))
		(void) entries_add(&history->entries, ENTRY_PARAM, pstrdup(change->path), change->old_value,
						   change->new_value, change->flags);
}

/* Add the parts of the release that have changed and are asked for. */
static void
add_release(History *history)
{
	const PastRevision *at = history->at;
	const PastRevision *before = history->before;
	const Carried old = {
		.version_constraint = before ? before->version_constraint : NULL,
		.release_channel = before ? before->release_channel : NULL
	};
	const Carried new = {.version_constraint = at->version_constraint,.release_channel = at->release_channel};
	Entries		all = {NULL};

	entries_add_release(&all, &old, &new);
	for (Size i = 0; i < all.count; i++)
	{
		const Entry *entry = &all.list[i];

		if (strncmp(entry->path, history->places.release, strlen(history->places.release)) == 0)
			(void) entries_add(&history->entries, entry->kind, entry->path, entry->has_old ? &entry->old_value : NULL,
							   entry->has_new ? &entry->new_value : NULL, 0);
	}
}

/* What must not be seen of a step: by the release of either revision, and by the one that is desired now. */
static Mask *
step_mask(const History *history, const Jsonb *old, const Jsonb *new)
{
	Mask	   *mask = mask_create(release_schema(history->sql, history->at->bundle, history->at->version, true));

	if (history->before)
		mask_add_schema(mask, release_schema(history->sql, history->before->bundle, history->before->version, true));
	mask_add_schema(mask, history->now_schema);
	mask_add_both(mask, new, history->parameters, history->at->kept);
	mask_add_both(mask, old, history->parameters, history->before ? history->before->kept : NULL);
	mask_add_both(mask, history->now_params, history->parameters, history->now->kept);
	return mask;
}

/* Add the leaves that have changed and are asked for.  They are looked at under a mask only where there are some. */
static void
add_leaves(History *history)
{
	Entries    *entries = &history->entries;
	Size		others = entries->count;
	const Jsonb *new = past_params(&history->configs, history->at);
	const Jsonb *old = history->before ? past_params(&history->configs, history->before) : NULL;

	json_leaf_diff(old, NULL, new, NULL, note_leaf, history);
	if (entries->count == others)
		return;
	entries->count = others;
	mask_leaf_diff(step_mask(history, old, new), old, new, note_leaf, history);
}

/* The name of the source of the step's revision; NULL: it has none, or the caller may not view that. */
static const char *
source_name(const History *history)
{
	InstanceKey source = history->key;

	source.environment = history->at->source_environment;
	if (source.environment == NULL ||
		!grants_role_may(history->sql->user, "view", source.project, source.environment))
		return NULL;
	return instance_key_name(&source);
}

/* Return a row for each entry of the step. */
static void
put_entries(const History *history)
{
	const PastRevision *at = history->at;
	const char *source = source_name(history);

	for (Size i = 0; i < history->entries.count; i++)
	{
		const Entry *entry = &history->entries.list[i];

		result_put(history->fcinfo, AS_TEXT(entry->path), AS_INT(at->revision), AS_TEXT(entry_change(entry)),
				   AS_JSONB(entry_old(entry)), AS_JSONB(entry_new(entry)),
				   AS_BOOL((entry->flags & SCHEMA_SENSITIVE) != 0), AS_TEXT(at->actor), AS_TIME(at->created_at),
				   AS_TEXT(revision_origins[at->origin]), AS_TEXT(source),
				   AS_NUMBER(source ? at->source_revision : 0), AS_TEXT(at->message));
	}
}

/* Return what a revision has changed, compared with the one before it. */
static void
put_step(History *history)
{
	history->entries = (Entries) {NULL};
	if (history->places.release)
		add_release(history);
	if (history->places.params)
		add_leaves(history);
	put_entries(history);
}

/* ---- all revisions ---- */

/* Return the changes of all revisions, each in memory that is freed behind it. */
static void
put_history(History *history)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext step = AllocSetContextCreate(outer, "promote leaf history", ALLOCSET_DEFAULT_SIZES);
	PastRevision *at = unconstify(PastRevision *, history->now);

	while (at)
	{
		PastRevision *older = past_read(history->sql, &history->key, at->revision - 1);

		CHECK_FOR_INTERRUPTS();
		history->at = at;
		/* an earlier generation of the environment is no beginning of the next one, which takes a number itself */
		history->before = older && older->revision == at->revision - 1 ? older : NULL;
		MemoryContextSwitchTo(step);
		put_step(history);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(step);
		if (at != history->now)
			past_free(at);
		at = older;
	}
}

/* promote.leaf_history(instance text, at_path text) returns table, see sql/report/blame.sql */
Datum
promote_leaf_history(PG_FUNCTION_ARGS)
{
	History		history = {.fcinfo = fcinfo};
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &history.key);
	history.places = take_places(argument_text(fcinfo, 1));
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	history.sql = &sql;
	history.configs = (PastConfigs) {history.key.project, CurrentMemoryContext};
	history.now = past_newest(&sql, &history.key);
	history.now_params = past_params_kept(history.key.project, history.now);
	history.now_schema = release_schema(&sql, history.now->bundle, history.now->version, true);
	history.parameters = past_parameters(&history.key);
	put_history(&history);
	sql_leave(&sql);
	return (Datum) 0;
}
