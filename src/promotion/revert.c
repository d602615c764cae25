/*
 * revert.c: what of a promotion undoes that its destination has set itself.
 *
 * A leaf is the destination's own where a revision of it gave it the value that it has, and no promotion
 * since brought the same value from its source: an edit, an adoption, a rollback, a merge or the overrides
 * of a promotion did.  A promotion that changes such a leaf undoes that, and whoever looks at it is told which
 * revision it was.  What an instance was given before its first promotion is its own from the start, and no
 * change of it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/sql.h"
#include "json/builder.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/audit.h"
#include "promotion/revert.h"

#define MAX_WALK 1000			/* revisions that are looked at */

/* A desired state of an instance, with the state of its source, if it was promoted. */
typedef struct DesiredState
{
	int32		revision;
	char	   *actor;
	char	   *message;		/* NULL: none */
	TimestampTz created_at;
	bool		promoted;		/* from the source below */
	Jsonb	   *params;
	char	   *version_constraint;
	char	   *release_channel;
	Jsonb	   *source_params;	/* NULL: it has no source, or that is gone */
	char	   *source_constraint;
	char	   *source_channel;
} DesiredState;

static const SqlField state_fields[] = {
	SQL_FIELDS(DesiredState, "f", revision, actor, message, created_at, promoted, params, version_constraint,
			   release_channel, source_params, source_constraint, source_channel)
};

/* What is looked for, of a leaf or a part of the release. */
typedef enum OwnPhase
{
	OWN_LOOKING,				/* a promotion that changed it */
	OWN_SEEKING,				/* the revision that gave it the value that a promotion changed */
	OWN_TOLD
} OwnPhase;

/* A leaf, or a part of the release, on the way back through the revisions. */
typedef struct OwnLeaf
{
	Entry	   *entry;
	OwnPhase	phase;
	Jsonb	   *value;			/* in the revision that was looked at last; NULL: none */
} OwnLeaf;

/* All of them. */
typedef struct Walk
{
	OwnLeaf    *leaves;
	Size		count;
	Size		seeking;		/* how many are in that phase */
	Size		looking;
	int32		after;			/* promotions that are newer count */
	bool		promoted;		/* was a promotion among what was looked at, but for the newest revision? */
	DesiredState later;			/* what was looked at last, without its documents */
	MemoryContext context;		/* of what outlives a look */
} Walk;

/*
 * Look up what params, as they are written, have at a leaf's path; false: nothing.  A placeholder may stand for all that
 * is below it.
 */
static bool
look_up_leaf(const Jsonb *params, const char *path, JsonbValue *value)
{
	JsonPathReader reader;
	JsonPathStep step;
	JsonbValue	from;

	if (params == NULL)
		return false;
	json_root(params, value);
	json_path_reader_init(&reader, path, strlen(path));
	while (!json_is_leaf(value) && json_path_next(&reader, &step))
	{
		from = *value;
		if (!json_path_take(&from, &step, value))
			return false;
	}
	return value->type == jbvString || (json_is_leaf(value) && !json_path_next(&reader, &step));
}

/* Look up what a state has at an entry's path; false: nothing. */
static bool
look_up(const Entry *entry, const Jsonb *params, const char *version_constraint, const char *release_channel,
		JsonbValue *value)
{
	const char *text;

	if (entry->kind != ENTRY_RELEASE)
		return look_up_leaf(params, entry->path, value);
	text = strcmp(entry_name(entry), "channel") == 0 ? release_channel : version_constraint;
	*value = json_string(text ? text : "", text ? strlen(text) : 0);
	return text != NULL;
}

/* What a state has at an entry's path, in the context of the walk; NULL: nothing. */
static Jsonb *
value_in(const Walk *walk, const Entry *entry, const DesiredState *state)
{
	JsonbValue	value;
	MemoryContext outer;
	Jsonb	   *copy;

	if (!look_up(entry, state->params, state->version_constraint, state->release_channel, &value))
		return NULL;
	outer = MemoryContextSwitchTo(walk->context);
	copy = json_from_view(&value);
	MemoryContextSwitchTo(outer);
	return copy;
}

/* Has a state another value than a leaf? */
static bool
differs(const OwnLeaf *leaf, const Jsonb *params, const char *version_constraint, const char *release_channel)
{
	JsonbValue	value;
	JsonbValue	own;

	if (!look_up(leaf->entry, params, version_constraint, release_channel, &value))
		return leaf->value != NULL;
	if (leaf->value == NULL)
		return true;
	own = json_view(leaf->value);
	return !json_equal(&value, &own);
}

/* Change what is looked for. */
static void
enter_phase(Walk *walk, OwnLeaf *leaf, OwnPhase phase)
{
	walk->seeking -= leaf->phase == OWN_SEEKING;
	walk->looking -= leaf->phase == OWN_LOOKING;
	walk->seeking += phase == OWN_SEEKING;
	walk->looking += phase == OWN_LOOKING;
	leaf->phase = phase;
}

/*
 * The revision that was looked at last gave a leaf its value: tell that, unless it took the release from its source,
 * which it may have as an exact version that runs there, too.
 */
static void
tell_setter(Walk *walk, OwnLeaf *leaf)
{
	const DesiredState *setter = &walk->later;
	MemoryContext outer;
	JsonBuilder builder;

	if (setter->promoted && leaf->entry->kind == ENTRY_RELEASE)
	{
		enter_phase(walk, leaf, OWN_LOOKING);
		return;
	}
	enter_phase(walk, leaf, OWN_TOLD);
	outer = MemoryContextSwitchTo(walk->context);
	json_begin_object(&builder);
	json_build_number(&builder, "revision", setter->revision);
	json_build_field(&builder, "actor", setter->actor);
	json_build_field(&builder, "message", setter->message);
	json_build_field(&builder, "at", audit_time(setter->created_at));
	leaf->entry->reverts = json_builder_finish(&builder);
	MemoryContextSwitchTo(outer);
}

/* Look at one leaf in the revision before the one that was looked at last. */
static void
look_at_leaf(Walk *walk, OwnLeaf *leaf, const DesiredState *state)
{
	bool		changed = differs(leaf, state->params, state->version_constraint, state->release_channel);

	if (leaf->phase == OWN_SEEKING && changed)
		tell_setter(walk, leaf);
	if (leaf->phase == OWN_TOLD)
		return;
	if (leaf->phase == OWN_LOOKING && changed && walk->later.promoted && walk->later.revision > walk->after)
		enter_phase(walk, leaf, OWN_SEEKING);
	if (changed)
		leaf->value = value_in(walk, leaf->entry, state);
	/* what its source had as well is not the instance's own */
	if (leaf->phase == OWN_SEEKING && state->promoted &&
		!differs(leaf, state->source_params, state->source_constraint, state->source_channel))
		enter_phase(walk, leaf, OWN_LOOKING);
}

/* Keep what is needed of a state when the one before it is looked at. */
static void
keep_later(Walk *walk, const DesiredState *state)
{
	MemoryContext outer = MemoryContextSwitchTo(walk->context);

	walk->later = (DesiredState) {
		.revision = state->revision,.actor = pstrdup(state->actor),
		.message = state->message ? pstrdup(state->message) : NULL,
		.created_at = state->created_at,.promoted = state->promoted
	};
	MemoryContextSwitchTo(outer);
}

/* Read a revision; false: it is gone. */
static bool
read_state(const Sql *sql, const InstanceKey *key, int32 revision, bool read_only, DesiredState *state)
{
	static Statement read = SQL_ROWS(state_fields, "SELECT $* FROM promote_internal.desired_state($1, $2, $3, $4) AS f");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_INT(revision));

	return sql_row(&rows, 0, state);
}

/* Look at the revision before the one that was looked at last; false: it is gone. */
static bool
look_before(const InstanceKey *key, bool read_only, Walk *walk)
{
	Sql			scope;
	DesiredState state;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	sql_enter(&scope);
	found = read_state(&scope, key, walk->later.revision - 1, read_only, &state);
	if (found)
	{
		for (Size i = 0; i < walk->count; i++)
			look_at_leaf(walk, &walk->leaves[i], &state);
		walk->promoted |= state.promoted;
		keep_later(walk, &state);
	}
	sql_leave(&scope);
	return found;
}

/* Was anything promoted to the instance before a revision? */
static bool
was_promoted(const Sql *sql, const InstanceKey *key, int32 revision, bool read_only)
{
	static Statement read = {"SELECT FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		" AND r.revision < $4 AND r.origin IN ('promotion', 'fork') LIMIT 1"};

	return sql_read_if(sql, read_only, &read, AS_KEY(key), AS_INT(revision)).count > 0;
}

/* Walk back until all is told. */
static void
walk_back(const Sql *sql, const InstanceKey *key, bool read_only, Walk *walk)
{
	int32		last = Max(walk->later.revision - MAX_WALK, 1);

	while (walk->later.revision > last &&
		   (walk->seeking > 0 || (walk->looking > 0 && walk->later.revision > walk->after)) &&
		   look_before(key, read_only, walk));
	/* what is older than anybody wants to look at was set by the oldest that was looked at */
	for (Size i = 0; i < walk->count; i++)
		if (walk->leaves[i].phase == OWN_SEEKING && walk->leaves[i].value)
			tell_setter(walk, &walk->leaves[i]);
	if (!walk->promoted && !was_promoted(sql, key, walk->later.revision, read_only))
		for (Size i = 0; i < walk->count; i++)
			walk->leaves[i].entry->reverts = NULL;
}

/* The newest state: what is proposed or, where that is the desired revision, this one; false: it is gone. */
static bool
read_newest(const Sql *sql, const ProposedRevision *proposed, bool read_only, DesiredState *state)
{
	if (proposed->revision <= proposed->current_revision)
		return read_state(sql, &proposed->key, proposed->revision, read_only, state);
	*state = (DesiredState) {
		.revision = proposed->revision,
		.actor = "",
		.promoted = proposed->origin == ORIGIN_PROMOTION,
		.params = proposed->proposal.params,
		.version_constraint = proposed->version_constraint,
		.release_channel = proposed->release_channel
	};
	return true;
}

/* Can an entry be about what an instance has of its own?  A version follows from the rest of the release. */
static bool
is_own_kind(const Entry *entry)
{
	return entry->kind == ENTRY_PARAM || entry->kind == ENTRY_PARAMETER ||
		(entry->kind == ENTRY_RELEASE && strcmp(entry_name(entry), "version") != 0);
}

/*
 * Tell of the entries, which lead to what a proposal makes desired, which undo what the instance had set itself: by
 * promotions that are newer than a revision, the proposal among them.  Those that tell it already are left alone.
 */
void
reverts_find(const Sql *sql, const ProposedRevision *proposed, int32 after, bool read_only, Entries *entries)
{
	Walk		walk = {.after = after,.context = CurrentMemoryContext};
	DesiredState newest;

	/* nothing is the instance's own of what a promotion has composed without overrides */
	if (entries->count == 0 || proposed->revision <= after ||
		(after >= proposed->current_revision && (proposed->current_taken || proposed->origin != ORIGIN_PROMOTION)) ||
		!read_newest(sql, proposed, read_only, &newest))
		return;
	walk.leaves = palloc_extended(entries->count * sizeof(OwnLeaf), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < entries->count; i++)
	{
		Entry	   *entry = &entries->list[i];

		if (!is_own_kind(entry) || entry->reverts)
			continue;
		walk.leaves[walk.count] = (OwnLeaf) {entry, OWN_LOOKING, value_in(&walk, entry, &newest)};
		walk.count++;
	}
	walk.looking = walk.count;
	keep_later(&walk, &newest);
	walk_back(sql, &proposed->key, read_only, &walk);
}
