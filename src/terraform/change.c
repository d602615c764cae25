/*
 * change.c: what one planned change does to its resource, leaf by leaf.
 *
 * A plan has a resource's values before and after; what will only be known
 * after the apply is left out of the latter and noted beside it, and what is
 * sensitive is noted beside both.  Here the three become one: a diff as the
 * configurations' are, in which a value that is not known yet is shown as
 * such and a sensitive one masked.  Pure: no tables, no clock.
 */
#include "postgres.h"

#include "common/sha2.h"
#include "miscadmin.h"

#include "base/errors.h"
#include "base/grow.h"
#include "json/builder.h"
#include "json/diff.h"
#include "json/reader.h"
#include "json/writer.h"
#include "terraform/change.h"

#define MAX_PATH_BYTES (64 * 1024 * 1024)	/* of the paths of one change */

#define UNKNOWN_SHOWN "(known after apply)"

/*
 * What stands for an unknown value while two sides are compared: a string
 * that no document can hold, so that it differs from every value there was.
 */
static const JsonbValue unknown_value = {.type = jbvString,.val.string = {.len = 1,.val = ""}};

/* The object without keys, which stands for a side that is not there. */
static JsonbValue
empty_object(void)
{
	static const struct
	{
		uint32		header;
	}			empty = {JB_FOBJECT};
	JsonbValue	value;

	value.type = jbvBinary;
	value.val.binary.data = (JsonbContainer *) &empty;
	value.val.binary.len = sizeof(empty);
	return value;
}

/* Does a value stand for an unknown one? */
static bool
is_unknown(const JsonbValue *value)
{
	return value->type == jbvString && value->val.string.len == 1 &&
		*value->val.string.val == '\0';
}

/*
 * Does a note, of what is sensitive or unknown, say so of anything?  Notes
 * are true, or containers along the document; what is neither is taken for
 * true, for a doubt must not show a value.
 */
static bool
says_so(const JsonbValue *note)
{
	check_stack_depth();
	if (note->type != jbvBinary)
		return note->type != jbvNull && !(note->type == jbvBool && !note->val.boolean);
	CHECK_FOR_INTERRUPTS();
	json_foreach(child, note)
		if (says_so(&child.value))
			return true;
	return false;
}

static void build_after(JsonBuilder *builder, const JsonbValue *after, const JsonbValue *unknown);

/*
 * Build a container of what is known and what is not; in an array null stands
 * where an element is unknown, or is not there.
 */
static void
build_children(JsonBuilder *builder, const JsonbValue *after, const JsonbValue *unknown)
{
	JsonJoin	join;

	json_build_begin_like(builder, unknown);
	json_join_init(&join, after, unknown);
	while (json_join_next(&join))
	{
		CHECK_FOR_INTERRUPTS();
		/* false of a key that is not there says nothing */
		if (join.key && join.left == NULL && !says_so(join.right))
			continue;
		if (join.key)
			json_build_key(builder, join.key->val.string.val, join.key->val.string.len);
		build_after(builder, join.left, join.right);
	}
	json_build_end(builder);
}

/*
 * Build a value from what is known of it and the note of what is not; either
 * may be NULL.  Notes of a container are followed where the value is one of
 * the same kind, or nothing.
 */
static void
build_after(JsonBuilder *builder, const JsonbValue *after, const JsonbValue *unknown)
{
	check_stack_depth();
	if (after && after->type == jbvNull)
		after = NULL;
	if (unknown == NULL || !says_so(unknown))
	{
		if (after)
			json_build_value(builder, after);
		else
			json_build_null(builder);
	}
	else if (unknown->type == jbvBinary &&
			 (after == NULL || (after->type == jbvBinary && json_is_object(after) == json_is_object(unknown))))
		build_children(builder, after, unknown);
	else
		json_build_value(builder, &unknown_value);
}

/* Make of a resource what it will be, as far as that is known: in place. */
static void
fill_in_unknown(JsonbValue *after, const JsonbValue *unknown)
{
	JsonBuilder builder;

	if (!says_so(unknown))
		return;
	json_builder_init(&builder);
	build_after(&builder, after, unknown);
	json_root(json_builder_finish(&builder), after);
}

static void mark_noted(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *note);

/* Mark an object's values by a note that is an object. */
static void
mark_object(JsonMarkFrame *frame, const JsonbValue *object, const JsonbValue *note)
{
	JsonMarkFrame child = {.parent = frame};
	JsonSeeker	seeker;
	JsonbValue	value;

	json_seeker_init(&seeker, object->val.binary.data, json_count(note));
	json_foreach(each, note)
	{
		if (!json_seek(&seeker, &each.key))
			continue;
		json_view_child(object->val.binary.data, seeker.next, &value);
		child.index = seeker.next;
		child.node = NULL;
		mark_noted(&child, &value, &each.value);
	}
}

/* Mark an array's elements by a note that is an array. */
static void
mark_array(JsonMarkFrame *frame, const JsonbValue *array, const JsonbValue *note)
{
	JsonMarkFrame child = {.parent = frame};
	JsonJoin	join;

	json_join_init(&join, array, note);
	while (json_join_next(&join) && join.left && join.right)
	{
		child.index = join.left_index;
		child.node = NULL;
		mark_noted(&child, join.left, join.right);
	}
}

/*
 * Mark what a note says of a value.  Where their shapes differ, all of the
 * value is marked, if the note says so of anything.
 */
static void
mark_noted(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *note)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	frame->count = value->type == jbvBinary ? json_count(value) : 0;
	if (json_is_object(note) && json_is_object(value))
		mark_object(frame, value, note);
	else if (json_is_array(note) && json_is_array(value))
		mark_array(frame, value, note);
	else if (says_so(note))
		json_mark_set(frame, PLAN_SENSITIVE);
}

/*
 * The marks of a value by one or two notes of what is sensitive, in the
 * current memory context; NULL where there are none.  The second may be NULL.
 */
JsonMark *
plan_marks(const JsonbValue *value, const JsonbValue *note, const JsonbValue *other_note)
{
	JsonMarkFrame root = {NULL, 0, 0, NULL};

	mark_noted(&root, value, note);
	if (other_note)
		mark_noted(&root, value, other_note);
	return root.node;
}

/* The value of a key; jbvNull where it is not there. */
static void
get_value(const JsonbValue *object, const char *key, JsonbValue *value)
{
	if (!json_find(object, key, value))
		value->type = jbvNull;
}

/* Read what a change, an object, has of a resource or an output. */
void
plan_sides_read(const JsonbValue *change, PlanSides *sides)
{
	get_value(change, "before", &sides->before);
	get_value(change, "after", &sides->after);
	get_value(change, "after_unknown", &sides->after_unknown);
	get_value(change, "before_sensitive", &sides->before_sensitive);
	get_value(change, "after_sensitive", &sides->after_sensitive);
}

/* Refuse a change that says too much. */
static void
check_size(const PlanLeaves *found)
{
	if (found->path_bytes > MAX_PATH_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("a planned change is too large"),
				 errdetail("The paths of its leaves take more than %d bytes.", MAX_PATH_BYTES),
				 errhint("Its values are nested too deeply, or there are too many of them.")));
}

/* Collector of changes: keeps what each is of. */
static void
keep_leaf(void *state, const JsonChange *change)
{
	PlanLeaves *found = state;
	PlanLeaf   *leaf;

	GROW(found->leaves, found->count, found->room);
	leaf = &found->leaves[found->count++];
	leaf->path = pstrdup(change->path);
	leaf->old_value.type = leaf->new_value.type = jbvObject;
	if (change->old_value)
		leaf->old_value = *change->old_value;
	if (change->new_value)
		leaf->new_value = *change->new_value;
	leaf->sensitive = (change->flags & PLAN_SENSITIVE) != 0;
	leaf->unknown = change->new_value && is_unknown(change->new_value);
	found->path_bytes += strlen(leaf->path);
	check_size(found);
}

/* Mark the leaves that hold a secret, and mask their paths where those do. */
static void
apply_secrets(PlanLeaves *found, const Secrets *declared, const Secrets *derived)
{
	for (uint32 i = 0; i < found->count; i++)
	{
		PlanLeaf   *leaf = &found->leaves[i];

		CHECK_FOR_INTERRUPTS();
		leaf->path = secrets_mask_path(derived, secrets_mask_path(declared, leaf->path));
		leaf->sensitive = leaf->sensitive ||
			secrets_hold(declared, &leaf->old_value) ||
			secrets_hold(declared, &leaf->new_value) ||
			secrets_hold(derived, &leaf->old_value) ||
			secrets_hold(derived, &leaf->new_value);
	}
}

/*
 * Find the leaves that change.  What is sensitive by the notes of either side,
 * or holds a secret of either set (each may be NULL), is marked.
 */
void
plan_leaves_find(const PlanSides *sides, const Secrets *declared, const Secrets *derived,
				 PlanLeaves *found)
{
	JsonbValue	before = sides->before;
	JsonbValue	after = sides->after;

	memset(found, 0, sizeof(*found));
	fill_in_unknown(&after, &sides->after_unknown);
	if (json_same(&before, &after))
		return;
	if (before.type == jbvNull)
		before = empty_object();
	if (after.type == jbvNull)
		after = empty_object();
	json_leaf_diff_values(&before,
						  plan_marks(&before, &sides->before_sensitive, &sides->after_sensitive),
						  &after,
						  plan_marks(&after, &sides->before_sensitive, &sides->after_sensitive),
						  keep_leaf, found);
	apply_secrets(found, declared, derived);
}

/* Write a string value. */
static void
write_string(JsonWriter *writer, const char *text)
{
	JsonbValue	value = json_string(text, strlen(text));

	json_write_value(writer, &value);
}

/* Write one side of a leaf as it may be seen. */
static void
write_side(JsonWriter *writer, const PlanLeaf *leaf, const JsonbValue *value)
{
	if (is_unknown(value))
		write_string(writer, UNKNOWN_SHOWN);
	else if (leaf->sensitive)
		write_string(writer, SENSITIVE_MASK);
	else
		json_write_value(writer, value);
}

/* Write a leaf: an object, its keys in jsonb's order. */
static void
write_leaf(JsonWriter *writer, const PlanLeaf *leaf)
{
	JsonWriterFrame frame;
	bool		has_old = leaf->old_value.type != jbvObject;
	bool		has_new = leaf->new_value.type != jbvObject;
	JsonbValue	is_true = {.type = jbvBool, .val.boolean = true};

	json_open_object(writer, &frame, 2 + has_old + has_new + leaf->unknown + leaf->sensitive);
	if (has_new)
		json_write_key(writer, "new", strlen("new"));
	if (has_old)
		json_write_key(writer, "old", strlen("old"));
	json_write_key(writer, "path", strlen("path"));
	json_write_key(writer, "change", strlen("change"));
	if (leaf->unknown)
		json_write_key(writer, "unknown", strlen("unknown"));
	if (leaf->sensitive)
		json_write_key(writer, "sensitive", strlen("sensitive"));
	if (has_new)
		write_side(writer, leaf, &leaf->new_value);
	if (has_old)
		write_side(writer, leaf, &leaf->old_value);
	write_string(writer, leaf->path);
	write_string(writer, !has_old ? "add" : has_new ? "change" : "remove");
	if (leaf->unknown)
		json_write_value(writer, &is_true);
	if (leaf->sensitive)
		json_write_value(writer, &is_true);
	json_close(writer);
}

/*
 * The leaves as a diff, in the current memory context: an array of objects
 * with path, change, old, new, and, where true, sensitive and unknown.
 */
Jsonb *
plan_leaves_diff(const PlanLeaves *found)
{
	JsonWriter	writer;
	JsonWriterFrame frame;

	json_writer_init(&writer, found->path_bytes + found->count * 64);
	json_open_array(&writer, &frame, found->count);
	for (uint32 i = 0; i < found->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_leaf(&writer, &found->leaves[i]);
	}
	json_close(&writer);
	return json_writer_finish(&writer);
}

/* The leaves' paths in an order that depends on nothing else. */
static const char **
sorted_paths(const PlanLeaves *found)
{
	const char **paths = MemoryContextAllocHuge(CurrentMemoryContext,
												Max(found->count, 1) * sizeof(char *));

	for (uint32 i = 0; i < found->count; i++)
		paths[i] = found->leaves[i].path;
	qsort(paths, found->count, sizeof(char *), pg_qsort_strcmp);
	return paths;
}

/* Hash some texts, each with its NUL. */
static void
hash_texts(pg_cryptohash_ctx *hash, const char *const *texts, uint32 count)
{
	for (uint32 i = 0; i < count; i++)
		if (pg_cryptohash_update(hash, (const uint8 *) texts[i], strlen(texts[i]) + 1) < 0)
			elog(ERROR, "could not compute a SHA-256: %s", pg_cryptohash_error(hash));
}

/*
 * What tells changes apart, whatever the values: some words, of which none is
 * NULL, and the set of paths.  Made of what may be seen only.  The hash is
 * one of SHA-256, which is started here: making it costs more than using it.
 */
void
plan_fingerprint(pg_cryptohash_ctx *hash, const char *const *words, int count,
				 const PlanLeaves *found, uint8 *fingerprint)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not start a SHA-256: %s", pg_cryptohash_error(hash));
	hash_texts(hash, words, count);
	hash_texts(hash, sorted_paths(found), found->count);
	if (pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish a SHA-256: %s", pg_cryptohash_error(hash));
	memcpy(fingerprint, digest, PLAN_FINGERPRINT_LENGTH);
}
