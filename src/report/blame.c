/*
 * blame.c: who has set what an instance desires, leaf by leaf.
 *
 * All leaves are followed back together, through the instances that their values came through.
 * At each of these a line is walked, from revision to revision, the newest of all lines first,
 * so that each revision is looked at once.  A revision that has changed a leaf to its value
 * ends that leaf's walk, unless it took the value over from another revision: then the leaf goes
 * on there.  The walk ends with the last leaf.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/grow.h"
#include "base/result.h"
#include "compose/entry.h"
#include "compose/overrides.h"
#include "grant/grants.h"
#include "json/path.h"
#include "json/reader.h"
#include "promotion/past.h"
#include "registry/instance.h"
#include "registry/release.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_blame);

static const char override[] = "override"; /* the origin of what a promotion's overrides have set */

/* An instance that values came through. */
typedef struct Line
{
	InstanceKey key;
	const char *name;
	bool		visible;		/* may the caller view it? */
	PastRevision *at;			/* the next revision to look at; NULL: none yet */
	Size		leaves;			/* that are followed there */
} Line;

/* A revision that values came through on their way, or at which they were set. */
typedef struct Stop
{
	const struct Stop *newer;	/* the stop that it led to; NULL: none */
	const Line *line;
	int32		revision;
	char	   *actor;
	TimestampTz created_at;
	const char *origin;
	char	   *message;		/* NULL: none */
	bool		hidden;			/* was the value taken over from where the caller may not look? */
	Jsonb	   *through;		/* see write_through; NULL: it was not asked for */
} Stop;

/* A leaf that is followed. */
typedef struct Leaf
{
	EntryKind	kind;
	const char *path;
	JsonbValue	value;
	uint32		flags;
	Line	   *line;			/* where it is */
	int32		revision;		/* by which it came there: newer ones do not concern it */
	const Stop *trail;			/* the last stop on its way there; NULL: it is still where it was found */
	const Stop *set;			/* where it was set; NULL: not decided */
} Leaf;

/* A walk. */
typedef struct Blame
{
	const Sql  *sql;
	MemoryContext context;		/* of all that lasts */
	PastConfigs configs;
	List	   *lines;			/* Line * */
	Stop		nowhere;		/* the stop of leaves that came through none */
	Leaf	   *leaves;
	Size		count;
	Size		room;
	Leaf	  **by_path;		/* sorted */

	/* the step: a revision, and what of its line it has changed */
	Line	   *line;
	Leaf	  **changed;
	Size		changed_count;
	List	   *stops;			/* Stop *, made in this step */
	bool		settled;		/* was a leaf set by it? */
} Blame;

/* ---- lines ---- */

/* The line of the component's instance in an environment; it is made where there is none. */
static Line *
find_line(Blame *blame, const InstanceKey *of, char *environment)
{
	Line	   *line;
	ListCell   *cell;

	foreach(cell, blame->lines)
	{
		line = lfirst(cell);
		if (strcmp(line->key.environment, environment) == 0)
			return line;
	}
	line = palloc0(sizeof(Line));
	line->key = (InstanceKey) {of->project, pstrdup(environment), of->component};
	line->name = instance_key_name(&line->key);
	line->visible = grants_role_may(blame->sql->user, "view", of->project, environment);
	blame->lines = lappend(blame->lines, line);
	return line;
}

/* The line whose next revision is the newest, of those with leaves; NULL: no leaf is followed any more. */
static Line *
newest_line(const Blame *blame)
{
	Line	   *newest = NULL;
	ListCell   *cell;

	foreach(cell, blame->lines)
	{
		Line	   *line = lfirst(cell);

		if (line->leaves > 0 && (newest == NULL || line->at->created_at > newest->at->created_at))
			newest = line;
	}
	return newest;
}

/* Take leaves to a revision of a line, which is read or, where the line is to be walked from a newer one, freed. */
static void
visit(Line *line, PastRevision *past)
{
	if (line->at && line->at->revision >= past->revision)
	{
		past_free(past);
		return;
	}
	past_free(line->at);
	line->at = past;
}

/* ---- leaves ---- */

/* Add a leaf that is to be followed. */
static void
add_leaf(Blame *blame, EntryKind kind, const char *path, const JsonbValue *value, uint32 flags)
{
	GROW(blame->leaves, blame->count, blame->room);
	blame->leaves[blame->count++] = (Leaf) {
		.kind = kind,.path = path,.value = *value,.flags = flags,.line = blame->line,
		.revision = blame->line->at->revision
	};
}

/* Add a leaf of the params.  A JsonChangeCollector. */
static void
add_param(void *state, const JsonChange *leaf)
{
	add_leaf(state, ENTRY_PARAM, pstrdup(leaf->path), leaf->new_value, leaf->flags);
}

/* Compare two leaves by their paths. */
static int
compare_leaves(const void *a, const void *b)
{
	return strcmp((*(Leaf *const *) a)->path, (*(Leaf *const *) b)->path);
}

/* Make the leaves ready to be looked up. */
static void
sort_leaves(Blame *blame)
{
	Size		size = Max(blame->count, 1) * sizeof(Leaf *);

	blame->by_path = palloc_extended(size, MCXT_ALLOC_HUGE);
	blame->changed = palloc_extended(size, MCXT_ALLOC_HUGE);
	for (Size i = 0; i < blame->count; i++)
		blame->by_path[i] = &blame->leaves[i];
	qsort(blame->by_path, blame->count, sizeof(Leaf *), compare_leaves);
	blame->line->leaves = blame->count;
}

/* The leaf at a path; NULL: there is none. */
static Leaf *
find_leaf(const Blame *blame, const char *path)
{
	Leaf		wanted = {.path = path};
	Leaf	   *key = &wanted;
	Leaf	  **found = bsearch(&key, blame->by_path, blame->count, sizeof(Leaf *), compare_leaves);

	return found ? *found : NULL;
}

/* Note that the revision of the step has changed the leaf at a path, if that is followed there. */
static void
note_change(Blame *blame, const char *path)
{
	Leaf	   *leaf = find_leaf(blame, path);

	if (leaf && leaf->set == NULL && leaf->line == blame->line && leaf->revision >= blame->line->at->revision)
		blame->changed[blame->changed_count++] = leaf;
}

/* Note what has changed in the params.  A JsonChangeCollector. */
static void
note_param(void *state, const JsonChange *change)
{
	if (change->new_value)
		note_change(state, change->path);
}

/* Note what the revision of the step has changed; before is the one before it, NULL: there is none. */
static void
note_changes(Blame *blame, const PastRevision *before)
{
	const PastRevision *at = blame->line->at;
	const Jsonb *params = past_params(&blame->configs, at);
	const Carried old = {
		.version_constraint = before ? before->version_constraint : NULL,
		.release_channel = before ? before->release_channel : NULL
	};
	const Carried new = {.version_constraint = at->version_constraint,.release_channel = at->release_channel};
	Entries		release = {NULL};

	blame->changed_count = 0;
	json_leaf_diff(before ? past_params(&blame->configs, before) : NULL, NULL, params, NULL,
				   note_param, blame);
	entries_add_release(&release, &old, &new);
	for (Size i = 0; i < release.count; i++)
		note_change(blame, release.list[i].path);
}

/* ---- stops ---- */

/* The stop that this revision is on the way of a leaf; made once for all leaves that came the same way. */
static Stop *
stop_at(Blame *blame, const Leaf *leaf, const char *origin, bool hidden)
{
	const PastRevision *at = blame->line->at;
	MemoryContext outer;
	Stop	   *stop;
	ListCell   *cell;

	foreach(cell, blame->stops)
	{
		stop = lfirst(cell);
		if (stop->newer == leaf->trail && stop->origin == origin && stop->hidden == hidden)
			return stop;
	}
	outer = MemoryContextSwitchTo(blame->context);
	stop = palloc0(sizeof(Stop));
	*stop = (Stop) {
		.newer = leaf->trail,.line = blame->line,.revision = at->revision,.actor = pstrdup(at->actor),
		.created_at = at->created_at,.origin = origin,.message = at->message ? pstrdup(at->message) : NULL,
		.hidden = hidden
	};
	MemoryContextSwitchTo(outer);
	blame->stops = lappend(blame->stops, stop);
	return stop;
}

/* Say that a leaf was set by the revision of the step. */
static void
settle(Blame *blame, Leaf *leaf, const char *origin, bool hidden)
{
	leaf->set = stop_at(blame, leaf, origin, hidden);
	leaf->line->leaves--;
	blame->settled = true;
}

/* Let a leaf go on at the revision that it was taken over from. */
static void
follow(Leaf *leaf, const Stop *stop, Line *line, int32 revision)
{
	leaf->line->leaves--;
	line->leaves++;
	leaf->trail = stop;
	leaf->line = line;
	leaf->revision = revision;
}

/* ---- sources ---- */

/* What the revision of the step has taken values over from. */
typedef struct Source
{
	Line	   *line;			/* NULL: nothing */
	PastRevision *past;			/* NULL: the caller may not view it, or it is missing */
	const Jsonb *params;
	Overrides	overrides;		/* that were laid on top; no document: none */
	bool		leads_on;		/* has a leaf gone on there? */
} Source;

/* Find that source.  Edits and adoptions set all that they change. */
static void
find_source(Blame *blame, Source *source)
{
	const PastRevision *at = blame->line->at;
	MemoryContext outer;
	Jsonb	   *overrides;

	*source = (Source) {NULL};
	if (at->source_environment == NULL || at->origin == ORIGIN_EDIT || at->origin == ORIGIN_ADOPTION)
		return;
	overrides = past_overrides(&blame->line->key, at);
	if (overrides)
		overrides_read(&source->overrides, overrides);
	outer = MemoryContextSwitchTo(blame->context);
	source->line = find_line(blame, &blame->line->key, at->source_environment);
	if (source->line->visible)
		source->past = past_read(blame->sql, &source->line->key, at->source_revision);
	MemoryContextSwitchTo(outer);
	if (source->past && source->past->revision != at->source_revision)
	{
		past_free(source->past);
		source->past = NULL;
	}
	if (source->past)
		source->params = past_params(&blame->configs, source->past);
}

/* Has the source the value of a leaf, at its path? */
static bool
has_value(const Source *source, const Leaf *leaf)
{
	JsonbValue	value;
	JsonbValue	root;

	if (leaf->kind == ENTRY_RELEASE)
		return json_string_is(&leaf->value, strcmp(leaf->path, "release channel") == 0 ?
							  source->past->release_channel : source->past->version_constraint);
	json_root(source->params, &root);
	return json_path_look_up(&root, leaf->path, strlen(leaf->path), &value) && json_is_leaf(&value) &&
		json_equal(&value, &leaf->value);
}

/*
 * May the walk go on at a source?  A revision takes values over from what was there before, so
 * that a way leads to an instance the second time at an older revision.  A history that was
 * tampered with may say otherwise, and is not followed round and round.
 */
static bool
leads_back(const Stop *trail, const Source *source)
{
	for (; trail; trail = trail->newer)
		if (trail->line == source->line && trail->revision <= source->past->revision)
			return false;
	return true;
}

/* Do the overrides of the step's revision set a leaf, or a part of it? */
static bool
is_overridden(const Source *source, const Leaf *leaf)
{
	return source->overrides.document && leaf->kind == ENTRY_PARAM && overrides_set(&source->overrides, leaf->path);
}

/* Say where a leaf that the revision of the step has changed comes from. */
static void
trace(Blame *blame, Source *source, Leaf *leaf)
{
	const char *origin = revision_origins[blame->line->at->origin];
	const Stop *stop;

	if (is_overridden(source, leaf))
	{
		settle(blame, leaf, override, false);
		return;
	}
	stop = stop_at(blame, leaf, origin, source->line && !source->line->visible);
	if (source->past && has_value(source, leaf) && leads_back(stop, source))
	{
		source->leads_on = true;
		follow(leaf, stop, source->line, source->past->revision);
	}
	else
		settle(blame, leaf, origin, stop->hidden);
}

/* ---- masks ---- */

/* What must not be seen of params, by the release that they were judged by. */
static Mask *
mask_of(const Blame *blame, const PastRevision *past, const Jsonb *params, const InstanceKey *key)
{
	Mask	   *mask = mask_create(release_schema(blame->sql, past->bundle, past->version, true));

	mask_add_both(mask, params, past_parameters(key), past->kept);
	return mask;
}

/* Mark a leaf that was set in this step, if it was sensitive then.  A JsonChangeCollector. */
static void
mark_leaf(void *state, const JsonChange *change)
{
	Blame	   *blame = state;
	Leaf	   *leaf = change->new_value ? find_leaf(blame, change->path) : NULL;

	if (leaf && leaf->set && list_member_ptr(blame->stops, leaf->set))
		leaf->flags |= change->flags & SCHEMA_SENSITIVE;
}

/*
 * Mark the leaves that the revision of the step has set and that are sensitive by the release of
 * then.  The verbs write down what keeps such a mark, but revisions are written by hand as well.
 */
static void
mark_set(Blame *blame, const PastRevision *before)
{
	const PastRevision *at = blame->line->at;
	const Jsonb *params = past_params(&blame->configs, at);

	mask_leaf_diff(mask_of(blame, at, params, &blame->line->key),
				   before ? past_params(&blame->configs, before) : NULL, params, mark_leaf, blame);
}

/* ---- the walk ---- */

/* Look at the next revision of the step's line; before is the one before it, NULL: there is none. */
static void
step(Blame *blame, const PastRevision *before)
{
	Source		source;

	note_changes(blame, before);
	if (blame->changed_count == 0)
		return;
	blame->stops = NIL;
	blame->settled = false;
	find_source(blame, &source);
	for (Size i = 0; i < blame->changed_count; i++)
		trace(blame, &source, blame->changed[i]);
	if (blame->settled)
		mark_set(blame, before);
	/* what a line has taken over from itself is met further down */
	if (source.leads_on && source.line != blame->line)
		visit(source.line, source.past);
	else
		past_free(source.past);
}

/* Walk until every leaf is decided; what a step needs is freed behind it. */
static void
walk(Blame *blame)
{
	MemoryContext scratch = AllocSetContextCreate(blame->context, "promote blame", ALLOCSET_DEFAULT_SIZES);
	Line	   *line;

	while ((line = newest_line(blame)))
	{
		PastRevision *before = past_before(blame->sql, &line->key, line->at->revision);

		CHECK_FOR_INTERRUPTS();
		blame->line = line;
		MemoryContextSwitchTo(scratch);
		step(blame, before);
		MemoryContextSwitchTo(blame->context);
		MemoryContextReset(scratch);
		past_free(line->at);
		line->at = before;
		if (before == NULL && line->leaves > 0)
			elog(ERROR, "the history of \"%s\" has no beginning", line->name);
	}
}

/* ---- rows ---- */

/* Write a stop into the array that is open. */
static void
write_stop(JsonBuilder *builder, const Stop *stop)
{
	char		time[MAXDATELEN + 1];

	JsonEncodeDateTime(time, TimestampTzGetDatum(stop->created_at), TIMESTAMPTZOID, NULL);
	json_build_begin_object(builder);
	json_build_field(builder, "instance", stop->line->name);
	json_build_number(builder, "revision", stop->revision);
	json_build_field(builder, "actor", stop->actor);
	json_build_field(builder, "created_at", pstrdup(time));
	json_build_end_object(builder);
}

/* The stops of a trail, the newest first, as a document; made once for all leaves that came that way. */
static const Jsonb *
through(Blame *blame, const Stop *trail)
{
	Stop	   *last = trail ? unconstify(Stop *, trail) : &blame->nowhere;
	List	   *stops = NIL;
	JsonBuilder builder;
	ListCell   *cell;

	if (last->through)
		return last->through;
	for (; trail; trail = trail->newer)
		stops = lcons(unconstify(Stop *, trail), stops);
	json_begin_array(&builder);
	foreach(cell, stops)
		write_stop(&builder, lfirst(cell));
	last->through = json_builder_finish(&builder);
	list_free(stops);
	return last->through;
}

/* Return a row for each leaf. */
static void
put_leaves(FunctionCallInfo fcinfo, Blame *blame)
{
	for (Size i = 0; i < blame->count; i++)
	{
		const Leaf *leaf = &blame->leaves[i];
		const Stop *set = leaf->set;

		CHECK_FOR_INTERRUPTS();
		result_put(fcinfo, AS_TEXT(leaf->path), AS_JSONB(entry_shown(&leaf->value, leaf->flags)),
				   AS_TEXT(set->line->name), AS_INT(set->revision), AS_TEXT(set->actor), AS_TIME(set->created_at),
				   AS_TEXT(set->origin), AS_TEXT(set->message), AS_BOOL((leaf->flags & SCHEMA_SENSITIVE) != 0),
				   AS_BOOL(set->hidden), AS_JSONB(through(blame, set->newer)));
	}
}

/* ---- all ---- */

/*
 * Take the leaves of a revision, masked by its release and by the one that is desired now.  The
 * views into the params are used to the end.
 */
static void
take_leaves(Blame *blame, const PastRevision *now)
{
	const PastRevision *at = blame->line->at;
	const InstanceKey *key = &blame->line->key;
	Jsonb	   *params = past_params_kept(key->project, at);
	Jsonb	   *now_params = past_params_kept(key->project, now);
	Mask	   *mask = mask_of(blame, at, params, key);
	JsonbValue	release[2];

	mask_add_schema(mask, release_schema(blame->sql, now->bundle, now->version, true));
	mask_add_both(mask, now_params, past_parameters(key), now->kept);
	release[0] = json_string(pstrdup(at->version_constraint), strlen(at->version_constraint));
	release[1] = json_string(pstrdup(at->release_channel), strlen(at->release_channel));
	add_leaf(blame, ENTRY_RELEASE, entry_path(ENTRY_RELEASE, "constraint"), &release[0], 0);
	add_leaf(blame, ENTRY_RELEASE, entry_path(ENTRY_RELEASE, "channel"), &release[1], 0);
	mask_leaf_diff(mask, NULL, params, add_param, blame);
	sort_leaves(blame);
}

/* Refuse an instance that desires nothing, though it did in an earlier generation of its environment. */
static void
require_desired(const Sql *sql, const InstanceKey *key, const PastRevision *now)
{
	static Statement read = {"SELECT i.revision FROM promote.instance AS i WHERE " OF_INSTANCE("i")};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key));

	if (rows.count > 0 && sql_int(&rows, 0) > now->revision)
		refuse_unconfigured(key, "Name a revision of before, or configure it, with promote.configure_instance.");
}

/* promote.blame(instance text, revision integer) returns table, see sql/report/blame.sql */
Datum
promote_blame(PG_FUNCTION_ARGS)
{
	Blame		blame = {NULL};
	InstanceKey key;
	PastRevision *now;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	blame.sql = &sql;
	blame.context = CurrentMemoryContext;
	blame.configs = (PastConfigs) {key.project, CurrentMemoryContext};
	now = past_newest(&sql, &key);
	if (PG_ARGISNULL(1))
		require_desired(&sql, &key, now);
	blame.line = find_line(&blame, &key, key.environment);
	visit(blame.line, past_require(&sql, &key, PG_ARGISNULL(1) ? now->revision : PG_GETARG_INT32(1)));
	take_leaves(&blame, now);
	walk(&blame);
	put_leaves(fcinfo, &blame);
	sql_leave(&sql);
	return (Datum) 0;
}
