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
#include "utils/snapmgr.h"

#include "base/sql.h"
#include "json/builder.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/audit.h"
#include "promotion/past.h"
#include "promotion/revert.h"

#define MAX_WALK 1000			/* revisions that are looked at */

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

/* A desired state: a revision, or what is proposed. */
typedef struct DesiredState
{
	PastRevision *past;			/* NULL: what is proposed, or what was read with it */
	int32		revision;
	RevisionOrigin origin;
	const Jsonb *params;
	const char *version_constraint;
	const char *release_channel;
} DesiredState;

/* The way back, with all that is looked for. */
typedef struct Walk
{
	const Sql  *sql;
	const InstanceKey *key;
	const ProposedRevision *proposed;	/* which the desired revision was read with; NULL: it was not */
	int32		opened;			/* revisions up to it are of earlier generations of the environment */
	OwnLeaf    *leaves;
	Size		count;
	Size		seeking;		/* how many are in that phase */
	Size		looking;
	int32		after;			/* promotions that are newer count */
	int32		first;			/* the instance's first promotion, PG_INT32_MAX: none; 0: not read yet */
	DesiredState later;			/* what was looked at last; its params may be gone */
	PastConfigs configs;
} Walk;

/* Does a state take what is in it from a source, one part or all? */
static bool
takes(const DesiredState *state)
{
	return state->origin == ORIGIN_PROMOTION || state->origin == ORIGIN_FORK || state->origin == ORIGIN_MERGE;
}

/* Is a state one that the source had, too, where they are the same?  A merge picks one change, for good reasons. */
static bool
settles(const DesiredState *state)
{
	return state->origin == ORIGIN_PROMOTION || state->origin == ORIGIN_FORK;
}

/*
 * Look up what params, as they are written, have at a leaf's path; false: nothing.  A placeholder may stand for all
 * that is below it.
 */
static bool
look_up_leaf(const Jsonb *params, const char *path, JsonbValue *value)
{
	JsonPathReader reader;
	JsonPathStep step;
	JsonbValue	from;
	uint32		index;

	if (params == NULL)
		return false;
	json_root(params, value);
	json_path_reader_init(&reader, path, strlen(path));
	while (!json_is_leaf(value) && json_path_next(&reader, &step))
	{
		from = *value;
		if (!json_path_take(&from, &step, &index, value))
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

/* What a state has at an entry's path, as a document of its own; NULL: nothing. */
static Jsonb *
value_in(const Entry *entry, const DesiredState *state)
{
	JsonbValue	value;

	if (!look_up(entry, state->params, state->version_constraint, state->release_channel, &value))
		return NULL;
	return json_from_view(&value);
}

/* Has a state another value than a leaf? */
static bool
differs(const OwnLeaf *leaf, const DesiredState *state)
{
	JsonbValue	value;
	JsonbValue	own;

	if (!look_up(leaf->entry, state->params, state->version_constraint, state->release_channel, &value))
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

/* Was a state there before anything was promoted to the instance?  What it has set then is no change of that. */
static bool
is_from_before(Walk *walk, const DesiredState *state)
{
	static Statement read = {"SELECT r.revision FROM promote_internal.first_promotion($1, $2, $3) AS r"};
	SqlRows		rows;

	/* a promotion is no earlier than the first */
	if (settles(state))
		return false;
	if (walk->first == 0)
	{
		rows = sql_read(walk->sql, &read, AS_KEY(walk->key));
		walk->first = rows.count > 0 ? sql_int(&rows, 0) : PG_INT32_MAX;
	}
	return state->revision < walk->first;
}

/* Has the state that was looked at last taken the release from its source, be it as a version that runs there? */
static bool
is_taken(const Walk *walk, const OwnLeaf *leaf)
{
	return leaf->entry->kind == ENTRY_RELEASE && settles(&walk->later);
}

/* The state that was looked at last gave a leaf its value: tell that. */
static void
tell_setter(Walk *walk, OwnLeaf *leaf)
{
	const PastRevision *setter;
	JsonBuilder builder;

	enter_phase(walk, leaf, OWN_TOLD);
	if (is_from_before(walk, &walk->later))
		return;
	if (walk->later.past == NULL)
		walk->later.past = past_read(walk->sql, walk->key, walk->later.revision);
	setter = walk->later.past;
	json_begin_object(&builder);
	json_build_number(&builder, "revision", setter->revision);
	json_build_field(&builder, "actor", setter->actor);
	json_build_field(&builder, "message", setter->message);
	json_build_field(&builder, "at", audit_time(setter->created_at));
	leaf->entry->reverts = json_builder_finish(&builder);
}

/* Look at one leaf in the state before the one that was looked at last, whose source may be NULL. */
static void
look_at_leaf(Walk *walk, OwnLeaf *leaf, const DesiredState *state, const DesiredState *source)
{
	bool		changed;

	if (leaf->phase == OWN_TOLD)
		return;
	changed = differs(leaf, state);
	if (changed && leaf->phase == OWN_SEEKING && !is_taken(walk, leaf))
		tell_setter(walk, leaf);
	else if (changed)
		enter_phase(walk, leaf, takes(&walk->later) && walk->later.revision > walk->after ? OWN_SEEKING : OWN_LOOKING);
	if (changed && leaf->phase != OWN_TOLD)
		leaf->value = value_in(leaf->entry, state);
	/* what its source had as well is not the instance's own */
	if (leaf->phase == OWN_SEEKING && source && !differs(leaf, source))
		enter_phase(walk, leaf, OWN_LOOKING);
}

/* Read the newest revision of an instance up to a number; false: there is none. */
static bool
read_state(Walk *walk, const InstanceKey *key, int32 at_most, DesiredState *state)
{
	PastRevision *past = past_read(walk->sql, key, at_most);

	if (past == NULL)
		return false;
	*state = (DesiredState) {
		.past = past,.revision = past->revision,.origin = past->origin,
		.params = past_params(&walk->configs, past),
		.version_constraint = past->version_constraint,.release_channel = past->release_channel
	};
	return true;
}

/* Read what a state was promoted from; false: it was not. */
static bool
read_source(Walk *walk, const DesiredState *state, DesiredState *source)
{
	InstanceKey key = *walk->key;

	if (!settles(state) || state->past->source_environment == NULL)
		return false;
	key.environment = state->past->source_environment;
	return read_state(walk, &key, state->past->source_revision, source);
}

/* The desired revision and what it was promoted from, where both were read with a proposal; false: that is not so. */
static bool
take_read(const ProposedRevision *proposed, DesiredState *state, DesiredState *source)
{
	*state = (DesiredState) {
		.revision = proposed->current_revision,
		.origin = proposed->own_origin,
		.params = proposed->proposal.own_params,
		.version_constraint = proposed->current_constraint,
		.release_channel = proposed->current_channel
	};
	*source = (DesiredState) {
		.params = proposed->own_source_params ? proposed->own_source_params : proposed->proposal.own_params,
		.version_constraint = proposed->own_source_constraint,
		.release_channel = proposed->own_source_channel
	};
	return !proposal_is_fresh(proposed) && state->params && (source->version_constraint || !settles(state));
}

/* Look at the state before the one that was looked at last; false: there is none. */
static bool
look_before(Walk *walk)
{
	DesiredState state;
	DesiredState source;
	bool		has_source;

	CHECK_FOR_INTERRUPTS();
	if (walk->proposed && walk->later.revision == walk->proposed->current_revision + 1 &&
		take_read(walk->proposed, &state, &source))
		has_source = settles(&state);
	else if (read_state(walk, walk->key, walk->later.revision - 1, &state))
		has_source = read_source(walk, &state, &source);
	else
		return false;
	for (Size i = 0; i < walk->count; i++)
		look_at_leaf(walk, &walk->leaves[i], &state, has_source ? &source : NULL);
	if (has_source)
		past_free(source.past);
	past_free(walk->later.past);
	walk->later = state;
	return true;
}

/* Walk back until all is told. */
static void
walk_back(Walk *walk)
{
	int32		last = Max(walk->later.revision - MAX_WALK, walk->opened + 1);

	while (walk->later.revision > last &&
		   (walk->seeking > 0 || (walk->looking > 0 && walk->later.revision > walk->after)) && look_before(walk));
	/* what is older than anybody wants to look at was set by the oldest that was looked at */
	for (Size i = 0; i < walk->count; i++)
		if (walk->leaves[i].phase == OWN_SEEKING && walk->leaves[i].value && !is_taken(walk, &walk->leaves[i]))
			tell_setter(walk, &walk->leaves[i]);
}

/* The newest state: what is proposed or, where that is the desired revision, this one; false: it is gone. */
static bool
read_newest(Walk *walk, const ProposedRevision *proposed, DesiredState *state)
{
	if (proposed->revision <= proposed->current_revision)
		return read_state(walk, walk->key, proposed->revision, state);
	*state = (DesiredState) {
		.revision = proposed->revision,
		.origin = proposed->origin,
		.params = proposed->proposal.params,
		.version_constraint = proposed->version_constraint,
		.release_channel = proposed->release_channel
	};
	walk->proposed = proposed;
	return true;
}

/* Can an entry be about what an instance has of its own?  A version follows from the rest of the release. */
static bool
is_own_kind(const Entry *entry)
{
	return entry->kind == ENTRY_PARAM || entry->kind == ENTRY_PARAMETER ||
		(entry->kind == ENTRY_RELEASE && strcmp(entry_name(entry), "version") != 0);
}

/* Take the entries that can be about something own and do not tell yet, with the values that a state has. */
static void
take_leaves(Walk *walk, const DesiredState *state, OwnPhase phase, Entries *entries)
{
	walk->leaves = palloc_extended(entries->count * sizeof(OwnLeaf), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < entries->count; i++)
	{
		Entry	   *entry = &entries->list[i];

		if (is_own_kind(entry) && entry->reverts == NULL)
			walk->leaves[walk->count++] = (OwnLeaf) {entry, phase, value_in(entry, state)};
	}
	*(phase == OWN_LOOKING ? &walk->looking : &walk->seeking) = walk->count;
}

/*
 * Tell of the entries, which lead to what a proposal makes desired, which undo what the instance had set itself: by
 * promotions that are newer than a revision, the proposal among them.  What tells it already stays.
 */
void
reverts_find(const Sql *sql, const ProposedRevision *proposed, int32 after, bool read_only, Entries *entries)
{
	Walk		walk = {.sql = sql,.key = &proposed->key,.opened = proposed->opened_revision,.after = after};
	const DesiredState newest = {.origin = proposed->origin};

	/* nothing is the instance's own before its first revision, or of what a promotion has composed without overrides */
	if (entries->count == 0 || proposed->revision <= Max(after, proposed->opened_revision + 1) ||
		(after >= proposed->current_revision && (proposed->current_taken || !takes(&newest))))
		return;
	walk.configs = (PastConfigs) {proposed->key.project, CurrentMemoryContext};
	/* verbs look at what is committed now, as at all that they judge by */
	if (!read_only)
		sql_push_latest();
	if (read_newest(&walk, proposed, &walk.later))
	{
		take_leaves(&walk, &walk.later, OWN_LOOKING, entries);
		walk_back(&walk);
	}
	if (!read_only)
		PopActiveSnapshot();
}

/* Tell of leaves which the instance has set itself, as if a promotion that is only looked at changed all of them. */
void
reverts_assume(const Sql *sql, const ProposedRevision *proposed, Entries *entries)
{
	Walk		walk = {
		.sql = sql,.key = &proposed->key,.proposed = proposed,.opened = proposed->opened_revision,
		.after = proposed->current_revision
	};
	const DesiredState own = {
		.params = proposed->proposal.own_params,
		.version_constraint = proposed->current_constraint,
		.release_channel = proposed->current_channel
	};

	walk.later = (DesiredState) {.revision = proposed->current_revision + 1,.origin = proposed->origin};
	if (entries->count == 0 || proposed->current_taken || !takes(&walk.later))
		return;
	walk.configs = (PastConfigs) {proposed->key.project, CurrentMemoryContext};
	take_leaves(&walk, &own, OWN_SEEKING, entries);
	walk_back(&walk);
}
