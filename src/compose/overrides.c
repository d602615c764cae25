/*
 * overrides.c: what is laid on top of a document: a merge patch or a JSON Patch.
 *
 * A merge patch says what places become, and may be laid on top as often as one
 * likes.  A JSON Patch says what is done: it is applied once, and from then on
 * the places that it has named are taken from what came out.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compose/overrides.h"
#include "json/builder.h"
#include "json/limits.h"
#include "json/merge.h"
#include "json/patch.h"
#include "json/path.h"
#include "json/places.h"
#include "json/reader.h"

/* The order of places in which what is below one follows it. */
static int
compare_places(const JsonPointer *a, const JsonPointer *b)
{
	for (int i = 0; i < a->length && i < b->length; i++)
		if (a->rest[i] != b->rest[i])
			return a->rest[i] == '/' ? -1 : b->rest[i] == '/' ? 1 : (uint8) a->rest[i] - (uint8) b->rest[i];
	return a->length - b->length;
}

/* Compare two places, for qsort. */
static int
compare_sorted(const void *a, const void *b)
{
	return compare_places(*(JsonPointer *const *) a, *(JsonPointer *const *) b);
}

/* The first place that does not come before one; NULL: there is none. */
static const JsonPointer *
first_from(const Overrides *overrides, const JsonPointer *place)
{
	int			low = 0;
	int			high = list_length(overrides->places);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_places(overrides->sorted[middle], place) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list_length(overrides->places) ? overrides->sorted[low] : NULL;
}

/* Sort the places, which may be as many as leaves. */
static void
sort_places(Overrides *overrides)
{
	int			count = 0;
	ListCell   *cell;

	if (overrides->places == NIL)
		return;
	overrides->sorted = palloc_extended(list_length(overrides->places) * sizeof(JsonPointer *), MCXT_ALLOC_HUGE);
	foreach(cell, overrides->places)
		overrides->sorted[count++] = lfirst(cell);
	qsort(overrides->sorted, count, sizeof(JsonPointer *), compare_sorted);
}

/* Read overrides, an object or an array.  Raises PM_CANNOT_PATCH for an array that is no JSON Patch. */
void
overrides_read(Overrides *overrides, const Jsonb *document)
{
	*overrides = (Overrides) {.document = document,.is_patch = json_is_patch(document)};
	if (overrides->is_patch)
		overrides->places = json_patch_places(document, &overrides->arrays);
	sort_places(overrides);
}

/* ---- what may be seen of them ---- */

/* What stands for each value in what may be seen of overrides. */
#define OVERRIDES_VALUE "(value)"

/* Write a value with all scalars hidden in it, but for nulls, which remove what they stand for. */
static void
write_shape(JsonBuilder *builder, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvNull)
		json_build_null(builder);
	else if (value->type != jbvBinary)
		json_build_string(builder, OVERRIDES_VALUE, strlen(OVERRIDES_VALUE));
	else
	{
		json_build_begin_like(builder, value);
		json_foreach(child, value)
		{
			json_build_key_of(builder, value, &child);
			write_shape(builder, &child.value);
		}
		json_build_end(builder);
	}
}

/* Write an operation of a JSON Patch: what it does and where, with its value hidden. */
static void
write_operation(JsonBuilder *builder, const JsonbValue *operation)
{
	json_build_begin_object(builder);
	json_foreach(member, operation)
	{
		json_build_key_of(builder, operation, &member);
		if (json_string_is(&member.key, "op") || json_string_is(&member.key, "path") ||
			json_string_is(&member.key, "from"))
			json_build_value(builder, &member.value);
		else
			write_shape(builder, &member.value);
	}
	json_build_end_object(builder);
}

/*
 * What may be seen of overrides by whoever sees their revision: what they say something of, and
 * not what.  Values that are short, or that the schema of another release marks, cannot be told
 * from others; and nobody needs them once the params are composed.
 */
Jsonb *
overrides_shape(const Jsonb *document)
{
	JsonBuilder builder;
	JsonbValue	root;

	if (document == NULL || JB_ROOT_COUNT(document) == 0)
		return unconstify(Jsonb *, document);
	json_root(document, &root);
	json_builder_init(&builder);
	if (!json_is_patch(document))
		write_shape(&builder, &root);
	else
	{
		json_build_begin_array(&builder);
		json_foreach(operation, &root)
			if (json_is_object(&operation.value))
				write_operation(&builder, &operation.value);
			else
				write_shape(&builder, &operation.value);
		json_build_end_array(&builder);
	}
	return json_builder_finish(&builder);
}

/* ---- what they set ---- */

/* Do the overrides say nothing? */
bool
overrides_are_empty(const Overrides *overrides)
{
	return JB_ROOT_COUNT(overrides->document) == 0;
}

/* Does a merge patch set the value at a path? */
static bool
merge_patch_sets(const JsonbValue *patch, const char *path)
{
	JsonbValue	at = *patch;
	JsonbValue	below;
	JsonPathReader reader;
	JsonPathStep step;

	json_path_reader_init(&reader, path, strlen(path));
	/* a value that is no object replaces everything below it */
	while (json_is_object(&at) && json_path_next(&reader, &step))
	{
		if (step.key == NULL ||
			!getKeyJsonValueFromContainer(at.val.binary.data, step.key, step.length, &below))
			return false;
		at = below;
	}
	return true;
}

/*
 * Do the overrides set the value at a path, or a part of it?  Only the overrides decide that.  If
 * the answer depended on the present value, it would tell a caller who may not see that value.
 */
bool
overrides_set(const Overrides *overrides, const char *path)
{
	const JsonbValue patch = json_view(overrides->document);
	const JsonPointer *found;
	JsonPointer place;

	if (!overrides->is_patch)
		return merge_patch_sets(&patch, path);
	if (overrides->places == NIL)
		return false;
	json_place_of_path(path, strlen(path), &place);
	/* the place, or the first below it; then what is around it */
	found = first_from(overrides, &place);
	if (found && json_pointer_covers(&place, found))
		return true;
	while (place.length > 0)
	{
		while (place.rest[--place.length] != '/');
		found = first_from(overrides, &place);
		if (found && compare_places(found, &place) == 0)
			return true;
	}
	return false;
}

/* Does a merge patch decide what is at a path, see overrides_decide? */
static bool
merge_patch_decides(const JsonbValue *patch, const char *path, bool has_object)
{
	JsonbValue	at = *patch;
	JsonbValue	below;
	JsonPathReader reader;
	JsonPathStep step;

	json_path_reader_init(&reader, path, strlen(path));
	while (json_path_next(&reader, &step))
	{
		if (step.key == NULL || !json_is_object(&at) ||
			!getKeyJsonValueFromContainer(at.val.binary.data, step.key, step.length, &below))
			return false;
		/* a value that is no object replaces everything below it */
		if (!json_is_object(&below))
			return true;
		at = below;
	}
	return !has_object;
}

/*
 * Do the overrides decide what is at a path, whatever is there before them?  A merge patch that only says something of
 * what is in it does where that is no object, of which nothing is left.  A JSON Patch that adds, removes or moves
 * elements of an array decides nothing of the array, nor of the elements that were there.
 */
bool
overrides_decide(const Overrides *overrides, const char *path, bool has_object)
{
	const JsonbValue patch = json_view(overrides->document);
	const JsonPointer *decided = NULL;
	JsonPointer place;
	ListCell   *cell;

	if (!overrides->is_patch)
		return merge_patch_decides(&patch, path, has_object);
	if (overrides->places == NIL)
		return false;
	json_place_of_path(path, strlen(path), &place);
	foreach(cell, overrides->places)
		if (json_pointer_covers(lfirst(cell), &place) && !list_member_ptr(overrides->arrays, lfirst(cell)) &&
			(decided == NULL || ((JsonPointer *) lfirst(cell))->length < decided->length))
			decided = lfirst(cell);
	/* where elements were shifted, what is below is not named by its ordinal any more */
	foreach(cell, overrides->arrays)
		if (decided && json_pointer_covers(lfirst(cell), &place) &&
			((JsonPointer *) lfirst(cell))->length < decided->length)
			return false;
	return decided != NULL;
}

/* May the overrides make objects, with places that the base has none of? */
bool
overrides_make_objects(const Overrides *overrides, const Jsonb *base)
{
	return overrides->is_patch ? overrides->places != NIL : json_patch_makes_objects(base, overrides->document);
}

/* What the overrides make of a document.  Raises PM_CANNOT_PATCH, or PM_NOT_AN_OBJECT where no object is left. */
Jsonb *
overrides_apply(const Overrides *overrides, const Jsonb *base)
{
	Jsonb	   *result;

	if (overrides_are_empty(overrides))
		return unconstify(Jsonb *, base);
	if (!overrides->is_patch)
		return json_merge_patch(base, overrides->document);
	result = json_apply_patch(base, overrides->document);
	json_check_params(result, "params");
	return result;
}

/* A document that was made of the result of overrides, with their last word. */
Jsonb *
overrides_apply_again(const Overrides *overrides, const Jsonb *changed, const Jsonb *result)
{
	if (overrides_are_empty(overrides))
		return unconstify(Jsonb *, changed);
	if (!overrides->is_patch)
		return json_merge_patch(changed, overrides->document);
	return json_take_places(changed, result, overrides->places);
}

/* Fetch overrides, an object or an array within the limits; NULL changes nothing. */
Jsonb *
overrides_argument(FunctionCallInfo fcinfo, int argument)
{
	Jsonb	   *overrides;

	if (PG_ARGISNULL(argument))
		return json_empty_object();
	overrides = PG_GETARG_JSONB_P(argument);
	json_check_overrides(overrides, "overrides");
	return overrides;
}
