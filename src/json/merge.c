/*
 * merge.c: a patch on top of a document, and JSON Merge Patches made of two (RFC 7396).
 *
 * Objects merge key by key and everything else is replaced, unless arrays are
 * to be joined.  Of an object only the patch's keys are looked at one by one;
 * what lies between them in the target is copied as it is.
 *
 * A merge patch says null for "remove", so that it cannot set a null in an
 * object: two documents that would need that are refused, with the place.  What
 * is in an array is set as a whole and may hold nulls.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/builder.h"
#include "json/merge.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/splice.h"

PG_FUNCTION_INFO_V1(promote_jsonb_deep_merge);
PG_FUNCTION_INFO_V1(promote_jsonb_merge_patch);
PG_FUNCTION_INFO_V1(promote_jsonb_merge_diff);

/* What a null in the patch means. */
typedef enum Nulls
{
	NULL_IS_VALUE,			/* null replaces, like any other value */
	NULL_REMOVES			/* null removes the key: RFC 7396 */
} Nulls;

/* What becomes of an array where the patch has one, too. */
typedef enum Arrays
{
	ARRAYS_REPLACE,		/* the patch's takes its place */
	ARRAYS_APPEND,			/* the patch's elements come behind it */
	ARRAYS_BY_PLACE,		/* elements at the same place merge, where there are as many */
	ARRAYS_BY_KEY			/* elements of the same name merge */
} Arrays;

typedef struct Rules
{
	Nulls nulls;
	Arrays arrays;
	const char *key;			/* of ARRAYS_BY_KEY; not NUL-terminated */
	int			key_length;
} Rules;

/* One call. */
typedef struct Merge
{
	const Rules *rules;
	JsonSplices splices;
} Merge;

/* An element of an array whose elements have names. */
typedef struct Named
{
	JsonbValue	name;
	uint32		ordinal;
	bool		merged;			/* with one of the other array's */
} Named;

static void merge_value(void *state, JsonWriter *writer,
						const JsonbValue *target, uint32 target_index,
						const JsonbValue *patch, uint32 patch_index);

/*
 * Does a value of the patch become anything but itself?  found: the target
 * has something under the same key.
 */
static bool
needs_work(const Merge *merge, const JsonbValue *value, bool found)
{
	if (value->type != jbvBinary)
		return false;
	if (json_is_object(value))
		return found || merge->rules->nulls == NULL_REMOVES;
	return found && merge->rules->arrays != ARRAYS_REPLACE;
}

/* Plan what becomes of an object; target is NULL where there is none. */
static void
plan_object(const Merge *merge, JsonSplice *splice, const JsonbContainer *target,
			const JsonbContainer *patch)
{
	uint32		copied = 0;		/* of the target's pairs */
	JsonSeeker	seeker;

	json_seeker_init(&seeker, target, JsonContainerSize(patch));
	json_foreach_in(child, patch)
	{
		bool		found = json_seek(&seeker, &child.key);

		CHECK_FOR_INTERRUPTS();
		json_splice_left(splice, copied, seeker.next);
		copied = seeker.next + found;
		if (child.value.type == jbvNull && merge->rules->nulls == NULL_REMOVES)
			continue;
		if (needs_work(merge, &child.value, found))
			json_splice_work(splice, found ? seeker.next : JSON_SPLICE_NONE, child.index);
		else
			json_splice_right(splice, child.index, child.index + 1);
	}
	if (target)
		json_splice_left(splice, copied, JsonContainerSize(target));
}

/*
 * Merge two objects.  A target that is no object counts as an empty one: RFC
 * 7396 section 2, "if Target is not an Object".
 */
static void
merge_objects(Merge *merge, JsonWriter *writer, const JsonbValue *target,
			  const JsonbValue *patch)
{
	const JsonbContainer *left = target && json_is_object(target) ? target->val.binary.data : NULL;
	JsonSplice	splice;

	if (left && json_count(patch) == 0)
	{
		json_write_value(writer, target);
		return;
	}
	json_splice_begin(&splice, &merge->splices, left, patch->val.binary.data);
	plan_object(merge, &splice, left, patch->val.binary.data);
	json_splice_write(&splice, writer, true, merge_value, merge);
}

/* Order of named elements: by name. */
static int
compare_named(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return json_compare(&((const Named *) a)->name, &((const Named *) b)->name);
}

/* Refuse to guess which of several elements is meant. */
static void
refuse_ambiguous(const Merge *merge)
{
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("arrays cannot be merged by a key that is not unique"),
			 errdetail("Two elements of an array have the same value of \"%.*s\".",
					   merge->rules->key_length, merge->rules->key),
			 errhint("Merge arrays by another key, or with 'append' or 'replace'.")));
}

/*
 * The elements of an array by name, for the caller to free; NULL where one of
 * them has none.  Raises where two have the same.
 */
static Named *
name_elements(const Merge *merge, const JsonbValue *array)
{
	uint32		count = json_count(array);
	Named	   *elements = palloc_extended(Max(count, 1) * sizeof(Named), MCXT_ALLOC_HUGE);

	json_foreach(item, array)
	{
		CHECK_FOR_INTERRUPTS();
		if (!json_is_object(&item.value) ||
			!getKeyJsonValueFromContainer(item.value.val.binary.data, merge->rules->key,
										  merge->rules->key_length, &elements[item.index].name))
		{
			pfree(elements);
			return NULL;
		}
		elements[item.index].ordinal = item.index;
		elements[item.index].merged = false;
	}
	qsort(elements, count, sizeof(Named), compare_named);
	for (uint32 i = 1; i < count; i++)
		if (compare_named(&elements[i - 1], &elements[i]) == 0)
			refuse_ambiguous(merge);
	return elements;
}

/*
 * For each element of the target the ordinal of the patch's element of the
 * same name, or JSON_SPLICE_NONE.  Marks those as merged.
 */
static uint32 *
match_elements(const Named *targets, uint32 target_count, Named *patches, uint32 patch_count)
{
	uint32	   *matches = palloc_extended(Max(target_count, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < target_count; i++)
	{
		Named	   *patch = bsearch(&targets[i], patches, patch_count, sizeof(Named), compare_named);

		matches[targets[i].ordinal] = patch ? patch->ordinal : JSON_SPLICE_NONE;
		if (patch)
			patch->merged = true;
	}
	return matches;
}

/* Order of named elements: as in their array. */
static int
compare_ordinals(const void *a, const void *b)
{
	uint32		left = ((const Named *) a)->ordinal;
	uint32		right = ((const Named *) b)->ordinal;

	return (left > right) - (left < right);
}

/* Plan the target's elements, each merged with its namesake, and the rest of the patch's. */
static void
plan_named(JsonSplice *splice, const Named *targets, uint32 target_count,
		   Named *patches, uint32 patch_count)
{
	uint32	   *matches = match_elements(targets, target_count, patches, patch_count);

	for (uint32 i = 0; i < target_count; i++)
	{
		if (matches[i] == JSON_SPLICE_NONE)
			json_splice_left(splice, i, i + 1);
		else
			json_splice_work(splice, i, matches[i]);
	}
	qsort(patches, patch_count, sizeof(Named), compare_ordinals);
	for (uint32 i = 0; i < patch_count; i++)
		if (!patches[i].merged)
			json_splice_right(splice, i, i + 1);
	pfree(matches);
}

/*
 * Merge two arrays whose elements are all objects with the key.  Others have
 * no names to go by, and the patch's replaces the target's.  A name that is
 * given twice is refused in either.
 */
static void
merge_named(Merge *merge, JsonWriter *writer, const JsonbValue *target, const JsonbValue *patch)
{
	Named	   *targets = name_elements(merge, target);
	Named	   *patches = name_elements(merge, patch);
	JsonSplice	splice;

	if (targets == NULL || patches == NULL)
	{
		if (targets)
			pfree(targets);
		if (patches)
			pfree(patches);
		json_write_value(writer, patch);
		return;
	}
	json_splice_begin(&splice, &merge->splices, target->val.binary.data, patch->val.binary.data);
	plan_named(&splice, targets, json_count(target), patches, json_count(patch));
	pfree(targets);
	pfree(patches);
	json_splice_write(&splice, writer, false, merge_value, merge);
}

/* Write the target's elements and those of the patch behind them. */
static void
append_array(Merge *merge, JsonWriter *writer, const JsonbValue *target, const JsonbValue *patch)
{
	JsonSplice	splice;

	json_splice_begin(&splice, &merge->splices, target->val.binary.data, patch->val.binary.data);
	json_splice_left(&splice, 0, json_count(target));
	json_splice_right(&splice, 0, json_count(patch));
	json_splice_write(&splice, writer, false, merge_value, merge);
}

/* Write each of the target's elements merged with the patch's at the same place. */
static void
merge_places(Merge *merge, JsonWriter *writer, const JsonbValue *target, const JsonbValue *patch)
{
	JsonSplice	splice;

	json_splice_begin(&splice, &merge->splices, target->val.binary.data, patch->val.binary.data);
	for (uint32 i = 0; i < json_count(target); i++)
		json_splice_work(&splice, i, i);
	json_splice_write(&splice, writer, false, merge_value, merge);
}

/* Write what patch makes of target, which may be NULL; a JsonSpliceWorker. */
static void
merge_value(void *state, JsonWriter *writer,
			const JsonbValue *target, uint32 target_index,
			const JsonbValue *patch, uint32 patch_index)
{
	Merge	   *merge = state;
	bool		both_arrays = target && json_is_array(target) && json_is_array(patch);

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(patch) &&
		(merge->rules->nulls == NULL_REMOVES || (target && json_is_object(target))))
		merge_objects(merge, writer, target, patch);
	else if (both_arrays && merge->rules->arrays == ARRAYS_APPEND)
		append_array(merge, writer, target, patch);
	else if (both_arrays && merge->rules->arrays == ARRAYS_BY_KEY)
		merge_named(merge, writer, target, patch);
	else if (both_arrays && merge->rules->arrays == ARRAYS_BY_PLACE && json_count(target) == json_count(patch))
		merge_places(merge, writer, target, patch);
	else
		json_write_value(writer, patch);
}

/* The document that patch makes of target, in the current memory context. */
static Jsonb *
merge(const Jsonb *target, const Jsonb *patch, const Rules *rules)
{
	Merge		merge = {.rules = rules};
	JsonWriter	writer;
	JsonbValue	patch_view = json_view(patch);
	JsonbValue	target_view = json_view(target);

	json_writer_init(&writer, (Size) VARSIZE(target) + VARSIZE(patch) + 64);
	merge_value(&merge, &writer, &target_view, 0, &patch_view, 0);
	if (merge.splices.parts)
		pfree(merge.splices.parts);
	return json_writer_finish(&writer);
}

/* The document that a JSON Merge Patch (RFC 7396) makes of target, in the current memory context. */
Jsonb *
json_merge_patch(const Jsonb *target, const Jsonb *patch)
{
	static const Rules rules = {NULL_REMOVES, ARRAYS_REPLACE, NULL, 0};

	return merge(target, patch, &rules);
}

/* One document's objects merged over another's, in the current memory context; null is a value like any other. */
Jsonb *
json_lay_over(const Jsonb *below, const Jsonb *above)
{
	static const Rules rules = {NULL_IS_VALUE, ARRAYS_REPLACE, NULL, 0};

	return merge(below, above, &rules);
}

/* Lay a document over what was made of it by adding to its objects, also to those in arrays: null is a value. */
Jsonb *
json_lay_within(const Jsonb *below, const Jsonb *above)
{
	static const Rules rules = {NULL_IS_VALUE, ARRAYS_BY_PLACE, NULL, 0};

	return merge(below, above, &rules);
}

/* Does a merge patch make an object where target, which may be NULL, has none? */
static bool
makes_objects(const JsonbValue *target, const JsonbValue *patch)
{
	JsonbValue	own;

	check_stack_depth();
	if (!json_is_object(patch))
		return false;
	if (target == NULL || !json_is_object(target))
		return true;
	json_foreach(child, patch)
	{
		CHECK_FOR_INTERRUPTS();
		if (json_is_object(&child.value) &&
			makes_objects(json_find_key(target, &child.key, &own) ? &own : NULL, &child.value))
			return true;
	}
	return false;
}

/* Does a merge patch make an object where the target document has none? */
bool
json_patch_makes_objects(const Jsonb *target, const Jsonb *patch)
{
	JsonbValue	patch_view = json_view(patch);
	JsonbValue	target_view = json_view(target);

	return makes_objects(&target_view, &patch_view);
}

/* ---- making a merge patch ---- */

/* An object on the way from the root, on the walker's stack. */
typedef struct Level
{
	JsonWay		way;
	struct Level *parent;		/* NULL at the root */
	const JsonbValue *key;		/* its own in the parent; NULL at the root */
	bool		begun;			/* does the patch have this object? */
} Level;

/* Raise an error if a value that is to be set is a null, or has one in an object. */
static void
refuse_nulls(const JsonWay *way, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		json_foreach(child, value)
		{
			JsonWay		below = {way, value->val.binary.data, child.index};

			refuse_nulls(&below, &child.value);
		}
	if (value->type != jbvNull)
		return;
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("a merge patch cannot set a null"),
			 errdetail("The null at %s would have to be set, and in a merge patch null removes.",
					   json_way_text(way)),
			 errhint("Make a JSON Patch (RFC 6902) with jsonb_diff_patch.")));
}

/* Begin the objects of the patch down to a level. */
static void
begin_level(JsonBuilder *builder, Level *level)
{
	check_stack_depth();
	if (level->begun)
		return;
	level->begun = true;
	if (level->parent)
	{
		begin_level(builder, level->parent);
		json_build_key(builder, level->key->val.string.val, level->key->val.string.len);
	}
	json_build_begin_object(builder);
}

/* Set a key, or remove it where there is no value. */
static void
set_key(JsonBuilder *builder, const Level *level, const JsonbValue *value)
{
	begin_level(builder, level->parent);
	json_build_key(builder, level->key->val.string.val, level->key->val.string.len);
	if (value == NULL)
	{
		json_build_null(builder);
		return;
	}
	refuse_nulls(&level->way, value);
	json_build_value(builder, value);
}

/* Say how one object becomes the other; adds nothing where they are equal. */
static void
diff_levels(JsonBuilder *builder, Level *object, const JsonbValue *a, const JsonbValue *b,
			 Size compared)
{
	JsonJoin	join;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_same_below(a, b, &compared))
		return;
	json_join_init(&join, a, b);
	while (json_join_next(&join))
	{
		Level		level = {{&object->way, b->val.binary.data, join.right_index}, object, join.key, false};

		CHECK_FOR_INTERRUPTS();
		if (join.left && join.right && json_is_object(join.left) && json_is_object(join.right))
			diff_levels(builder, &level, join.left, join.right, compared);
		else if (join.left == NULL || join.right == NULL || !json_equal(join.left, join.right))
			set_key(builder, &level, join.right);
		if (level.begun)
			json_build_end_object(builder);
	}
}

/* The smallest merge patch that makes b of a, in the current memory context. */
static Jsonb *
merge_diff(const Jsonb *a, const Jsonb *b)
{
	Level		root = {{NULL}};
	JsonBuilder builder;
	JsonbValue	b_view = json_view(b);
	JsonbValue	a_view = json_view(a);

	if (json_is_object(&b_view) && !json_is_object(&a_view))
		refuse_nulls(&root.way, &b_view);
	if (!json_is_object(&b_view) || !json_is_object(&a_view))
		return json_from_view(&b_view);
	json_builder_init(&builder);
	diff_levels(&builder, &root, &a_view, &b_view, SIZE_MAX);
	begin_level(&builder, &root);
	return json_builder_finish(&builder);
}

/* ---- functions ---- */

/* Take the rule for arrays: 'replace', 'append', or the name of a key. */
static void
read_rule(const text *arrays, Rules *rules)
{
	rules->key = VARDATA_ANY(arrays);
	rules->key_length = VARSIZE_ANY_EXHDR(arrays);
	if (rules->key_length == 7 && memcmp(rules->key, "replace", 7) == 0)
		rules->arrays = ARRAYS_REPLACE;
	else if (rules->key_length == 6 && memcmp(rules->key, "append", 6) == 0)
		rules->arrays = ARRAYS_APPEND;
	else
		rules->arrays = ARRAYS_BY_KEY;
}

/*
 * promote.jsonb_deep_merge(target jsonb, patch jsonb, arrays text) returns
 * jsonb, and promote_internal.jsonb_deep_merge_transition with and without the last argument.
 */
Datum
promote_jsonb_deep_merge(PG_FUNCTION_ARGS)
{
	Rules rules = {NULL_IS_VALUE, ARRAYS_REPLACE, NULL, 0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_NARGS() > 2 && !PG_ARGISNULL(2))
		read_rule(PG_GETARG_TEXT_PP(2), &rules);
	PG_RETURN_JSONB_P(merge(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1), &rules));
}

/* promote.jsonb_merge_patch(target jsonb, patch jsonb) returns jsonb */
Datum
promote_jsonb_merge_patch(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_merge_patch(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1)));
}

/* promote.jsonb_merge_diff(a jsonb, b jsonb) returns jsonb */
Datum
promote_jsonb_merge_diff(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(merge_diff(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1)));
}
