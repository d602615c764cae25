/*
 * preview.c: what a promotion or an edit would change, as rows.
 *
 * Three states are compared: what is desired now, what would be desired, and what runs.  A row
 * says what happens to what is desired, and, beside that, what waits to be deployed: the same
 * entry that the plan's diff would have.  Why it would be refused is said by rows of the kind
 * violation.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/errors.h"
#include "base/result.h"
#include "compose/entry.h"
#include "compose/overrides.h"
#include "json/path.h"
#include "json/places.h"
#include "json/reader.h"
#include "json/render.h"
#include "promotion/diff.h"
#include "promotion/preview.h"
#include "promotion/revert.h"
#include "registry/remote_reference.h"
#include "schema/schema.h"
#include "secret/secret.h"

/* Entries that are looked up by their paths. */
typedef struct EntryIndex
{
	Entries		entries;
	const Entry **sorted;
} EntryIndex;

/* What the rows of a preview are made from. */
typedef struct Preview
{
	FunctionCallInfo fcinfo;	/* the call that returns the rows */
	const Promotion *promotion;
	Overrides	overrides;
	bool		is_literal;		/* do the overrides contain no placeholders? */
	Mask	   *mask;
	Carried		own;			/* what is desired now */
	Carried		desired;		/* what would be desired */
	const Carried *runs;		/* NULL: nothing */
	Jsonb	   *base;			/* what is composed before the overrides, rendered */
	Jsonb	   *source;			/* what that is composed of, rendered */
	bool		views_only;		/* has the caller no right to promote? */
	EntryIndex		changes;		/* from own to desired */
	EntryIndex		waiting;		/* from runs to desired */
	EntryIndex		kept;			/* from the source to what is composed of it, without overrides */
	EntryIndex		kept_release;	/* from the source's release to the desired one, where that is not taken */
	EntryIndex		hidden;			/* masked leaves of any state that the overrides set */
} Preview;

/* A row; a value of NULL is not there. */
typedef struct Row
{
	EntryKind	kind;
	const char *path;
	const char *change;
	const JsonbValue *old_value;
	const JsonbValue *new_value;
	const JsonbValue *running_value;
	uint32		flags;
	int32		since;			/* 0: nothing will happen */
	const char *origin;
	const Jsonb *reverts;		/* NULL: nothing */
} Row;

/* ---- looking up ---- */

/* Compare two entries by their paths. */
static int
compare_entries(const void *a, const void *b)
{
	return strcmp((*(const Entry *const *) a)->path, (*(const Entry *const *) b)->path);
}

/* Make the entries ready to be looked up. */
static void
finish_index(EntryIndex *index)
{
	index->sorted = palloc_extended(Max(index->entries.count, 1) * sizeof(Entry *), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < index->entries.count; i++)
		index->sorted[i] = &index->entries.list[i];
	qsort(index->sorted, index->entries.count, sizeof(Entry *), compare_entries);
}

/* The entry with a path; NULL: there is none. */
static const Entry *
look_up(const EntryIndex *index, const char *path)
{
	const Entry wanted = {.path = path};
	const Entry *key = &wanted;
	const Entry **found;

	if (index->entries.count == 0)
		return NULL;
	found = bsearch(&key, index->sorted, index->entries.count, sizeof(Entry *), compare_entries);
	return found ? *found : NULL;
}

/* The leaf at a path of a document; NULL where there is none. */
static const JsonbValue *
leaf_at(const Jsonb *document, const char *path, JsonbValue *value)
{
	JsonbValue	root;

	if (document == NULL)
		return NULL;
	json_root(document, &root);
	return json_path_look_up(&root, path, strlen(path), value) && json_is_leaf(value) ? value : NULL;
}

/* Do the overrides set the value at a path, or a part of it? */
static bool
is_overridden(const Preview *preview, const char *path)
{
	return overrides_set(&preview->overrides, path);
}

/* Does the preset of an edit, which is laid on top of what is desired, set the value at a path? */
static bool
is_preset(const Preview *preview, const char *path)
{
	const Promotion *promotion = preview->promotion;
	Overrides	preset;

	if (!promotion->edits || promotion->proposed.proposal.preset == NULL)
		return false;
	overrides_read(&preset, promotion->proposed.proposal.preset);
	return overrides_set(&preset, path);
}

/* Does the caller decide about the value at a path, by the overrides or by naming a preset? */
static bool
is_decided(const Preview *preview, const char *path)
{
	return is_overridden(preview, path) || is_preset(preview, path);
}

/*
 * Is what a merge has at the path of a leaf, or that it has nothing there, what the source has?  The
 * elements of an array may stand elsewhere there.
 */
static bool
is_merged_from_source(const Preview *preview, const char *path)
{
	const Merge *merge = preview->promotion->merging.merge;
	char	   *place = merge ? merge_path_in(merge, path, MERGE_SOURCE) : NULL;
	JsonbValue	values[2];
	const JsonbValue *own = leaf_at(preview->base, path, &values[0]);
	const JsonbValue *other = place ? leaf_at(preview->source, place, &values[1]) : NULL;

	return merge && (own && other ? json_equal(own, other) : own == other);
}

/* Where the value at the path of a leaf that is not overridden comes from, in a promotion. */
static const char *
promoted_origin(const Preview *preview, const char *path)
{
	const Jsonb *preset = preview->promotion->proposed.proposal.preset;
	JsonbValue	value;

	if (!look_up(&preview->kept, path) || is_merged_from_source(preview, path))
		return "source";
	return preset && !leaf_at(preview->own.params, path, &value) && leaf_at(preset, path, &value) ? "preset" :
		"destination";
}

/* Where the value at a leaf's path comes from. */
static const char *
leaf_origin(const Preview *preview, const char *path)
{
	JsonbValue	value;

	if (is_overridden(preview, path))
		return "override";
	if (is_preset(preview, path))
		return "preset";
	/* nothing else adds to what was composed, but for what is the destination's own */
	if (preview->promotion->choice.fill_defaults && leaf_at(preview->desired.params, path, &value) &&
		!leaf_at(preview->base, path, &value) && !leaf_at(preview->own.params, path, &value))
		return "default";
	return preview->promotion->edits ? "destination" : promoted_origin(preview, path);
}

/* ---- rows ---- */

/* Return a row, with sensitive values masked. */
static void
put_row(const Preview *preview, const Row *row)
{
	Entry		entry = {.kind = row->kind};

	result_put(preview->fcinfo, AS_TEXT(entry_kind_name(&entry)), AS_TEXT(row->path), AS_TEXT(row->change),
			   AS_JSONB(entry_shown(row->old_value, row->flags)), AS_JSONB(entry_shown(row->new_value, row->flags)),
			   AS_JSONB(entry_shown(row->running_value, row->flags)), AS_NUMBER(row->since), AS_TEXT(row->origin),
			   AS_BOOL((row->flags & SCHEMA_IMMUTABLE) != 0), AS_BOOL((row->flags & SCHEMA_SENSITIVE) != 0),
			   AS_JSONB(row->reverts), AS_JSONB(NULL), AS_TEXT(NULL));
}

/* Return why the promotion would be refused. */
static void
put_problem(const Preview *preview, const Problem *problem)
{
	result_put(preview->fcinfo, AS_TEXT("violation"), AS_TEXT(problem->path), AS_TEXT(NULL), AS_JSONB(NULL),
			   AS_JSONB(NULL), AS_JSONB(NULL), AS_NUMBER(0), AS_TEXT(NULL), AS_BOOL(problem->immutable),
			   AS_BOOL(false), AS_JSONB(NULL), AS_JSONB(NULL), AS_TEXT(problem->sentence));
}

/* The old value of an entry; NULL: there is none. */
static const JsonbValue *
old_of(const Entry *entry)
{
	return entry->has_old ? &entry->old_value : NULL;
}

/* The new value of an entry; NULL: there is none. */
static const JsonbValue *
new_of(const Entry *entry)
{
	return entry->has_new ? &entry->new_value : NULL;
}

/* The flags of a row about two entries, either of which may be NULL: masked, where either is. */
static uint32
flags_of(const Entry *change, const Entry *waiting)
{
	uint32		flags = (change ? change->flags : 0) | (waiting ? waiting->flags : 0);
	bool		both = change && waiting && (change->flags & waiting->flags & SCHEMA_SENSITIVE);

	/* sensitive for the new value alone, where that is so by both */
	if (both && !(change->flags & waiting->flags & MASK_NEW_ALONE))
		flags &= ~MASK_NEW_ALONE;
	return flags;
}

/* The row about a path, of which one of the entries may be NULL. */
static Row
row_of(const Entry *change, const Entry *waiting)
{
	const Entry *entry = change ? change : waiting;

	return (Row) {
		.kind = waiting ? waiting->kind : change->kind,
		.path = entry->path,
		.change = change ? entry_change(change) : "none",
		.old_value = change ? old_of(change) : new_of(waiting),
		.new_value = new_of(entry),
		.running_value = waiting ? old_of(waiting) : new_of(change),
		.flags = flags_of(change, waiting),
		.since = waiting ? waiting->since : 0,
		.reverts = change && change->reverts ? change->reverts : waiting ? waiting->reverts : NULL
	};
}

/* ---- leaves ---- */

/* Is a leaf set by the overrides and masked in its old state? */
static bool
is_hidden(uint32 flags, bool overridden)
{
	return overridden && (flags & SCHEMA_SENSITIVE) && !(flags & MASK_NEW_ALONE);
}

/* The flags of a leaf: masked, where its value is that is desired now or runs, whatever the new one is. */
static uint32
hidden_flags(const Preview *preview, const char *path, uint32 flags)
{
	JsonbValue	values[2];

	if (mask_holds(preview->mask, leaf_at(preview->own.params, path, &values[0])) ||
		mask_holds(preview->mask, leaf_at(preview->runs ? preview->runs->params : NULL, path, &values[1])))
		flags = (flags | SCHEMA_SENSITIVE) & ~MASK_NEW_ALONE;
	return flags;
}

/*
 * Does a leaf that the overrides set have the value that they give?  A JSON Patch may also copy, move
 * and shift what is sensitive.
 */
static bool
is_given(const Preview *preview, const char *path)
{
	const Jsonb *tried = preview->promotion->proposed.proposal.tried;
	JsonbValue	value;

	return preview->is_literal && !(leaf_at(tried, path, &value) && json_string_is(&value, SENSITIVE_MASK));
}

/* Return a leaf that changes or waits. */
static void
put_leaf(const Preview *preview, const Entry *change, const Entry *waiting)
{
	Row			row = row_of(change, waiting);
	bool		overridden = is_overridden(preview, row.path);
	JsonbValue	value;

	/* what does not wait runs as it would be rendered; what waits is shown as it would run */
	if (waiting == NULL)
		row.running_value = leaf_at(preview->desired.params, row.path, &value);
	else
		row.new_value = new_of(waiting);
	/* put_hidden returns its row, whether the override changes the value or not */
	if (look_up(&preview->hidden, row.path))
		return;
	/* masked, it would show that the override equals a masked value */
	if (overridden && is_given(preview, row.path) && !is_hidden(hidden_flags(preview, row.path, row.flags), overridden))
		row.flags &= ~(SCHEMA_SENSITIVE | MASK_NEW_ALONE);
	row.origin = leaf_origin(preview, row.path);
	put_row(preview, &row);
}

/* A state whose masked leaves are visited. */
typedef struct HiddenWalk
{
	const Preview *preview;
	Entries		found;
} HiddenWalk;

/* Note a masked leaf that the overrides set, unless a state before has it as well.  A JsonChangeCollector. */
static void
note_hidden(void *state, const JsonChange *leaf)
{
	HiddenWalk *walk = state;
	uint32		flags = hidden_flags(walk->preview, leaf->path, leaf->flags);

	if (is_hidden(flags, is_decided(walk->preview, leaf->path)) && !look_up(&walk->preview->hidden, leaf->path))
		(void) entries_add(&walk->found, ENTRY_PARAM, pstrdup(leaf->path), NULL, NULL, flags);
}

/*
 * Find the masked leaves that the overrides set, each once, in an order that does not show which of
 * them change.
 */
static void
find_hidden(Preview *preview)
{
	const Carried *states[] = {&preview->desired, &preview->own, preview->runs};

	if (overrides_are_empty(&preview->overrides) && !(preview->promotion->edits && preview->promotion->choice.preset))
		return;
	for (int i = 0; i < lengthof(states); i++)
	{
		HiddenWalk	walk = {.preview = preview};

		if (states[i] == NULL || states[i]->params == NULL)
			continue;
		mask_leaf_diff(preview->mask, NULL, states[i]->params, note_hidden, &walk);
		for (Size j = 0; j < walk.found.count; j++)
			(void) entries_add(&preview->hidden.entries, ENTRY_PARAM, walk.found.list[j].path, NULL, NULL,
							   walk.found.list[j].flags);
		finish_index(&preview->hidden);
	}
}

/* Return the masked leaves that the overrides set.  What a row says follows from which states have such a leaf. */
static void
put_hidden(const Preview *preview)
{
	for (Size i = 0; i < preview->hidden.entries.count; i++)
	{
		const Entry *hidden = &preview->hidden.entries.list[i];
		JsonbValue	values[3];
		const JsonbValue *old_value = leaf_at(preview->own.params, hidden->path, &values[0]);
		const JsonbValue *new_value = leaf_at(preview->desired.params, hidden->path, &values[1]);
		const JsonbValue *running_value = leaf_at(preview->runs ? preview->runs->params : NULL, hidden->path,
												  &values[2]);

		put_row(preview, &(Row) {
				.kind = ENTRY_PARAM,.path = hidden->path,
				.change = !old_value ? (new_value ? "add" : "none") : new_value ? "change" : "remove",
				.old_value = old_value,.new_value = new_value,
				.running_value = running_value,.flags = hidden->flags,.since = preview->desired.revision,
				.origin = leaf_origin(preview, hidden->path),.reverts = hidden->reverts});
		/* whether an immutable value changes would tell what it is */
		if (preview->views_only && (hidden->flags & SCHEMA_IMMUTABLE) && running_value)
			put_problem(preview, &(Problem) {.path = hidden->path,.sentence = COMPOSE_IMMUTABLE,.immutable = true});
	}
}

/*
 * Does the destination keep its own leaf at a path, or none, where the source has another, so that
 * the promotion leaves it alone?
 */
static bool
is_kept(const Preview *preview, const char *path)
{
	return !is_overridden(preview, path) && look_up(&preview->kept, path) && !look_up(&preview->changes, path) &&
		!is_merged_from_source(preview, path);
}

/* Return the leaves that the destination keeps; one that is not configured yet keeps nothing. */
static void
put_kept(const Preview *preview)
{
	if (preview->own.params == NULL)
		return;
	for (Size i = 0; i < preview->kept.entries.count; i++)
	{
		const Entry *kept = &preview->kept.entries.list[i];
		const Entry *waiting = look_up(&preview->waiting, kept->path);

		if (is_kept(preview, kept->path))
			put_row(preview, &(Row) {
					.kind = waiting ? waiting->kind : ENTRY_PARAM,.path = kept->path,.change = "keep",
					.old_value = new_of(kept),.new_value = new_of(kept),
					.running_value = waiting ? old_of(waiting) : new_of(kept),
					.flags = flags_of(kept, waiting),.since = waiting ? waiting->since : 0,
					.origin = "destination"});
	}
}

/* Is the entry about a leaf? */
static bool
is_leaf(const Entry *entry)
{
	return entry->kind == ENTRY_PARAM || entry->kind == ENTRY_PARAMETER;
}

/* Return all leaves. */
static void
put_leaves(const Preview *preview)
{
	const Entries *changes = &preview->changes.entries;
	const Entries *waiting = &preview->waiting.entries;

	for (Size i = 0; i < changes->count; i++)
		if (is_leaf(&changes->list[i]))
			put_leaf(preview, &changes->list[i], look_up(&preview->waiting, changes->list[i].path));
	for (Size i = 0; i < waiting->count; i++)
		if (is_leaf(&waiting->list[i]) && !look_up(&preview->changes, waiting->list[i].path) &&
			!is_kept(preview, waiting->list[i].path))
			put_leaf(preview, NULL, &waiting->list[i]);
	put_hidden(preview);
	put_kept(preview);
}

/* ---- what is no leaf ---- */

/* Does a merge leave a part of the release the destination's, where the source has another? */
static bool
is_release_kept(const Promotion *promotion)
{
	const ProposedRevision *proposed = &promotion->proposed;
	const ReleaseWish *wish = &promotion->wish;

	return promotion->mode == MODE_MERGE && choice_has_release(&promotion->choice) &&
		(strcmp(wish->constraint, proposed->version_constraint) != 0 ||
		 strcmp(wish->channel, proposed->release_channel) != 0);
}

/* Where a part of the release comes from. */
static const char *
release_origin(const Preview *preview, const char *path)
{
	const Promotion *promotion = preview->promotion;

	if (promotion->edits)
		return promotion->edit_constraint ? "override" : "destination";
	if (!choice_has_release(&promotion->choice))
		return "destination";
	return is_release_kept(promotion) && look_up(&preview->kept_release, path) ? "destination" : "source";
}

/* Return a row about the release. */
static void
put_release(const Preview *preview, const Entry *change, const Entry *waiting)
{
	Row			row = row_of(change, waiting);

	row.origin = release_origin(preview, row.path);
	if (change == NULL && look_up(&preview->kept_release, row.path))
		row.change = "keep";
	put_row(preview, &row);
}

/* Return the parts of the release that the destination keeps and runs, where the source has others. */
static void
put_kept_release(const Preview *preview)
{
	const Entries *kept = &preview->kept_release.entries;

	for (Size i = 0; i < kept->count; i++)
	{
		const Entry *entry = &kept->list[i];

		if (!look_up(&preview->changes, entry->path) && !look_up(&preview->waiting, entry->path))
			put_row(preview, &(Row) {
					.kind = ENTRY_RELEASE,.path = entry->path,.change = "keep",.old_value = new_of(entry),
					.new_value = new_of(entry),.running_value = new_of(entry),.origin = "destination"});
	}
}

/* The reference of that name; NULL: there is none. */
static const JsonbValue *
reference_at(const Jsonb *references, const char *name, JsonbValue *value)
{
	return references && json_find_in(references, name, value) ? value : NULL;
}

/* Has the source a reference of that name, which is carried? */
static bool
is_from_source(const Preview *preview, const char *name)
{
	JsonbValue	value;

	return reference_at(preview->promotion->carry.source_references, name, &value);
}

/* Return a row about a remote reference. */
static void
put_reference(const Preview *preview, const Entry *change, const Entry *waiting)
{
	Row			row = row_of(change, waiting);
	const char *name = entry_name(change ? change : waiting);
	bool		from_source = is_from_source(preview, name);
	JsonbValue	value;

	/* as with leaves, what is written otherwise and rendered the same runs as it is rendered */
	if (waiting == NULL)
		row.running_value = reference_at(preview->desired.references, name, &value);
	else
		row.new_value = new_of(waiting);
	if (change == NULL && preview->promotion->carry.references && !from_source && row.new_value)
		row.change = "keep";
	row.origin = from_source ? "source" : "destination";
	put_row(preview, &row);
}

/* Return the remote references that the destination keeps and runs, where the source has none. */
static void
put_kept_references(const Preview *preview)
{
	Entries		all = {NULL};

	if (!preview->promotion->carry.references)
		return;
	entries_add_references(&all, NULL, preview->desired.references, NIL);
	for (Size i = 0; i < all.count; i++)
	{
		const Entry *entry = &all.list[i];

		if (!is_from_source(preview, entry_name(entry)) && !look_up(&preview->changes, entry->path) &&
			!look_up(&preview->waiting, entry->path))
			put_row(preview, &(Row) {
					.kind = ENTRY_REFERENCE,.path = entry->path,.change = "keep",.old_value = new_of(entry),
					.new_value = new_of(entry),.running_value = new_of(entry),.origin = "destination"});
	}
}

typedef void (*RowMaker) (const Preview *preview, const Entry *change, const Entry *waiting);

/* Return the rows of a kind that is no leaf: what changes, then what waits beside that. */
static void
put_kind(const Preview *preview, EntryKind kind, RowMaker put)
{
	const Entries *changes = &preview->changes.entries;
	const Entries *waiting = &preview->waiting.entries;

	for (Size i = 0; i < changes->count; i++)
		if (changes->list[i].kind == kind)
			put(preview, &changes->list[i], look_up(&preview->waiting, changes->list[i].path));
	for (Size i = 0; i < waiting->count; i++)
		if (waiting->list[i].kind == kind && !look_up(&preview->changes, waiting->list[i].path))
			put(preview, NULL, &waiting->list[i]);
}

/* Return a secret that is copied, kept, or waits. */
static void
put_secret(const Preview *preview, const char *name, const char *change)
{
	const Entry *waiting = look_up(&preview->waiting, entry_path(ENTRY_SECRET, name));
	JsonbValue	mask = json_string(SENSITIVE_MASK, strlen(SENSITIVE_MASK));
	bool		is_new = strcmp(change, "add") == 0;
	bool		stays = strcmp(change, "keep") == 0 || strcmp(change, "none") == 0;

	put_row(preview, &(Row) {
			.kind = ENTRY_SECRET,.path = entry_path(ENTRY_SECRET, name),.change = change,
			.old_value = is_new ? NULL : &mask,.new_value = &mask,
			.running_value = waiting && !waiting->has_old ? NULL : &mask,
			.flags = SCHEMA_SENSITIVE,.since = waiting ? waiting->since : 0,
			.origin = stays ? "destination" : "source"});
}

/* What a promotion does to a secret of the destination, as a row says it; NULL: no row says anything. */
static const char *
secret_row_change(const SecretCopy *copy)
{
	return copy->change == SECRET_SET ? "add" : copy->change == SECRET_REPLACED ? "change" :
		copy->change == SECRET_KEPT ? "keep" : NULL;
}

/* Return all secrets. */
static void
put_secrets(const Preview *preview)
{
	const Entries *waiting = &preview->waiting.entries;
	List	   *shown = NIL;
	ListCell   *cell;

	foreach(cell, preview->promotion->proposed.copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (secret_row_change(copy) == NULL)
			continue;
		put_secret(preview, copy->name, secret_row_change(copy));
		shown = lappend(shown, unconstify(char *, copy->name));
	}
	for (Size i = 0; i < waiting->count; i++)
		if (waiting->list[i].kind == ENTRY_SECRET && !names_hold(shown, entry_name(&waiting->list[i])))
			put_secret(preview, entry_name(&waiting->list[i]), "none");
}

/* ---- all ---- */

/* Is a path the same in what is desired now and what would be desired, as they are rendered? */
static bool
is_rendered_same(const Preview *preview, const char *path)
{
	JsonbValue	roots[] = {json_view(preview->own.params), json_view(preview->desired.params)};
	JsonbValue	values[2];

	for (int i = 0; i < lengthof(roots); i++)
		if (!json_path_look_up(&roots[i], path, strlen(path), &values[i]))
			return false;
	return json_equal(&values[0], &values[1]);
}

/*
 * Add the leaves that change and are rendered the same, such as a value for a placeholder that
 * stands for it: as they are written.
 */
static void
add_written(Preview *preview)
{
	const Proposal *proposal = &preview->promotion->proposed.proposal;
	const Carried own = {.params = proposal->own_params};
	const Carried desired = {.params = proposal->params};
	Entries		written = {NULL};

	if (proposal->own_params == NULL)
		return;
	entries_add_leaves(&written, preview->mask, &own, &desired);
	for (Size i = 0; i < written.count; i++)
	{
		const Entry *entry = &written.list[i];

		if (is_rendered_same(preview, entry->path))
			(void) entries_add(&preview->changes.entries, entry->kind, entry->path, old_of(entry), new_of(entry),
							   entry->flags);
	}
}

/* Add the references that change and are rendered the same: as they are written. */
static void
add_written_references(Preview *preview)
{
	const ProposedRevision *proposed = &preview->promotion->proposed;
	const List *rendered = differing_references(preview->own.references, preview->desired.references);
	Entries		written = {NULL};

	entries_add_references(&written, reference_declared(proposed->set_references, proposed->own_slots),
						   proposed->written_references, NIL);
	for (Size i = 0; i < written.count; i++)
		if (!names_hold(rendered, entry_name(&written.list[i])))
			(void) entries_add(&preview->changes.entries, ENTRY_REFERENCE, written.list[i].path,
							   old_of(&written.list[i]), new_of(&written.list[i]), 0);
}

/*
 * Take the three states.  Where the overrides say something of a masked leaf, the revision is a new
 * one for those who may only view, as if that changed: the number of the desired one would confirm a
 * guess, in any row that has it.
 */
static void
take_states(Preview *preview, ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	preview->runs = proposal->runs;
	preview->own = (Carried) {
		.version = proposed->current_version,
		.version_constraint = proposed->current_constraint,
		.release_channel = proposed->current_channel,
		.params = proposal->own_params ? json_render(proposal->own_params, proposal->parameters, true) : NULL,
		.references = proposed->own_references
	};
	proposal_carried(proposed, &preview->desired);
	find_hidden(preview);
	if (preview->views_only && preview->hidden.entries.count > 0)
		preview->desired.revision = proposed->revision = proposed->current_revision + 1;
}

/* Compare the three states, and the source with what is composed of it. */
static void
compare(const Sql *sql, Preview *preview)
{
	const Promotion *promotion = preview->promotion;
	const ProposedRevision *proposed = &promotion->proposed;
	const Carried source = {
		.version = promotion->pinned_version ? unconstify(char *, promotion->pinned_version) : proposed->source_version,
		.version_constraint = promotion->pinned_version ? unconstify(char *, promotion->pinned_version) :
			proposed->source_constraint,
		.release_channel = proposed->source_channel,
		.params = preview->source
	};
	const Carried base = {.params = preview->base};

	entries_add_release(&preview->changes.entries, &preview->own, &preview->desired);
	entries_add_leaves(&preview->changes.entries, preview->mask, &preview->own, &preview->desired);
	add_written(preview);
	entries_add_references(&preview->changes.entries, preview->own.references, preview->desired.references,
						   proposed->replaced);
	add_written_references(preview);
	proposal_entries(sql, proposed, true, preview->mask, &preview->waiting.entries);
	entries_add_leaves(&preview->kept.entries, preview->mask, &source, &base);
	if (!choice_has_release(&promotion->choice) || is_release_kept(promotion))
		entries_add_release(&preview->kept_release.entries, &source, &preview->desired);
	reverts_find(sql, proposed, proposed->current_revision, true, &preview->changes.entries);
	/* whether these change would tell what they are */
	reverts_assume(sql, proposed, &preview->hidden.entries);
	finish_index(&preview->changes);
	finish_index(&preview->waiting);
	finish_index(&preview->kept);
	finish_index(&preview->kept_release);
}

/* Note why a promotion would be refused.  An ObstacleCollector; the state is the promotion. */
static void
note_obstacle(void *state, const Obstacle *obstacle)
{
	Promotion  *promotion = state;
	Problem    *problem = palloc(sizeof(Problem));

	*problem = (Problem) {
		.path = obstacle->path ? pstrdup(obstacle->path) : NULL,
		.sentence = pstrdup(obstacle->message),
		.immutable = obstacle->sqlstate == PM_IMMUTABLE
	};
	promotion->problems = lappend(promotion->problems, problem);
}

/* Note what is wrong with the remote references that would fill the destination's slots. */
static void
note_references(Promotion *promotion)
{
	ListCell   *cell;

	foreach(cell, promotion->proposed.reference_problems)
	{
		const ReferenceProblem *problem = lfirst(cell);

		note_obstacle(promotion, &(Obstacle) {problem->sqlstate, NULL, problem->message});
	}
	foreach(cell, promotion->carry.refused)
		note_obstacle(promotion, &(Obstacle) {PM_REFERENCE_FIXED, entry_path(ENTRY_REFERENCE, lfirst(cell)),
				"what runs has another one"});
}

/* Note the arrays of a merge whose elements cannot be told apart. */
static void
note_merge(Promotion *promotion)
{
	ListCell   *cell;

	if (promotion->mode != MODE_MERGE)
		return;
	foreach(cell, promotion->merging.merge->problems)
	{
		const MergeProblem *problem = lfirst(cell);

		note_obstacle(promotion, &(Obstacle) {PM_CANNOT_PATCH, problem->path, problem->message});
	}
}

/* Judge a promotion that was read, and note what promoting would refuse of it. */
void
preview_judge(const Sql *sql, Promotion *promotion)
{
	ProposedRevision *proposed = &promotion->proposed;

	if (promotion->edits)
		proposed->origin = ORIGIN_EDIT;
	note_merge(promotion);
	compose_obstacles(&proposed->proposal, note_obstacle, promotion);
	carry_take(sql, &promotion->carry, &promotion->source, proposed, false);
	proposal_render_references(proposed);
	note_references(promotion);
	carry_judge(sql, proposed, true);
	stage_number(proposed);
}

/* Is a value a mask, or does it hold one? */
static bool
holds_mask(const JsonbValue *value)
{
	check_stack_depth();
	if (value->type != jbvBinary)
		return json_string_is(value, SENSITIVE_MASK);
	json_foreach(child, value)
	{
		CHECK_FOR_INTERRUPTS();
		if (holds_mask(&child.value))
			return true;
	}
	return false;
}

/*
 * Might a violation at a path say what a masked value is?  A JSON Patch carries such values to places of the caller's
 * choice, which may have an enum or a pattern, and puts guesses beside them in arrays whose items have to be all
 * different.
 */
static bool
tells_masked(const Preview *preview, const char *path)
{
	const Jsonb *tried = preview->promotion->proposed.proposal.tried;
	const Overrides *overrides = &preview->overrides;
	JsonPointer place;
	JsonbValue	root;
	JsonbValue	value;
	ListCell   *cell;

	if (!preview->views_only || tried == NULL || !overrides_set(overrides, path))
		return false;
	json_root(tried, &root);
	json_place_of_path(path, strlen(path), &place);
	/* what is compared with each other is in an array */
	if (json_place_look_up(&root, place, &value) && json_is_array(&value) && holds_mask(&value))
		return true;
	foreach(cell, overrides->places)
	{
		const JsonPointer *set = lfirst(cell);

		if (json_pointer_covers(&place, set) ? json_place_look_up(&root, *set, &value) && holds_mask(&value) :
			json_pointer_covers(set, &place) && json_place_look_up(&root, place, &value) && holds_mask(&value))
			return true;
	}
	return false;
}

/* Return why the promotion would be refused, but for what is said with the hidden leaves. */
static void
put_problems(const Preview *preview)
{
	ListCell   *cell;

	foreach(cell, preview->promotion->problems)
	{
		const Problem *problem = lfirst(cell);

		if (problem->immutable ? !preview->views_only || !look_up(&preview->hidden, problem->path) :
			problem->path == NULL || !tells_masked(preview, problem->path))
			put_problem(preview, problem);
	}
}

/* Return a conflict with its three values. */
static void
put_conflict(const Preview *preview, Mask *mask, const MergeConflict *conflict)
{
	Jsonb	   *shown[MERGE_SIDES];
	bool		is_masked = false;

	merge_show(preview->promotion->merging.merge, mask, conflict, shown);
	for (int i = 0; i < MERGE_SIDES; i++)
	{
		JsonbValue	value;

		if (shown[i] == NULL)
			continue;
		json_root(shown[i], &value);
		is_masked = is_masked || json_string_is(&value, SENSITIVE_MASK);
	}
	result_put(preview->fcinfo, AS_TEXT("conflict"), AS_TEXT(conflict->path), AS_TEXT(NULL),
			   AS_JSONB(shown[MERGE_DESTINATION]), AS_JSONB(shown[MERGE_SOURCE]), AS_JSONB(NULL), AS_NUMBER(0),
			   AS_TEXT(NULL), AS_BOOL(false), AS_BOOL(is_masked), AS_JSONB(NULL), AS_JSONB(shown[MERGE_BASE]),
			   AS_TEXT(NULL));
}

/* Return what both have changed and nobody has decided. */
static void
put_conflicts(const Preview *preview)
{
	const Promotion *promotion = preview->promotion;
	Mask	   *mask = NULL;
	ListCell   *cell;

	if (promotion->mode != MODE_MERGE)
		return;
	foreach(cell, promotion->merging.merge->conflicts)
	{
		const MergeConflict *conflict = lfirst(cell);

		if (!conflict->open)
			continue;
		if (mask == NULL)
			mask = merging_mask(&promotion->merging, &promotion->proposed.proposal);
		put_conflict(preview, mask, conflict);
	}
}

/* Return all rows of a promotion whose proposal is judged and numbered, to a caller who may promote or only view. */
void
preview_put(const Sql *sql, FunctionCallInfo fcinfo, Promotion *promotion, bool views_only)
{
	Preview		preview = {.fcinfo = fcinfo,.promotion = promotion,.views_only = views_only};
	const JsonbValue overrides = json_view(promotion->overrides);

	overrides_read(&preview.overrides, promotion->overrides);
	preview.is_literal = !json_strings_may_render(&overrides);
	preview.mask = compose_mask(&promotion->proposed.proposal);
	preview.base = json_render(promotion->base, promotion->proposed.proposal.parameters, true);
	preview.source = json_render(promotion->source_params, promotion->proposed.proposal.parameters, true);
	take_states(&preview, &promotion->proposed);
	compare(sql, &preview);
	put_problems(&preview);
	put_conflicts(&preview);
	put_kind(&preview, ENTRY_RELEASE, put_release);
	put_kept_release(&preview);
	put_leaves(&preview);
	put_kind(&preview, ENTRY_REFERENCE, put_reference);
	put_kept_references(&preview);
	put_secrets(&preview);
}
