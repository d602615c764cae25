/*
 * builder.c: making documents of which nothing is known before.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/grow.h"
#include "json/builder.h"
#include "json/reader.h"
#include "json/writer.h"

/* No container is open. */
#define NONE ((Size) -1)

/*
 * A key, a value, or a container (jbvArray, jbvObject) that is followed by
 * the notes of all that is in it.
 */
struct JsonNote
{
	JsonbValue	value;
	Size		end;			/* behind the last note in it; while it is open,
								 * the container it is in */
	uint32		children;		/* elements, or keys; the same key may come twice */
};

static void write_note(JsonWriter *writer, const JsonNote *note, const JsonNote *all);

/* Start a document; notes are kept in the current memory context. */
void
json_builder_init(JsonBuilder *builder)
{
	*builder = (JsonBuilder) {.open = NONE};
}

/* Add a note. */
static JsonNote *
add_note(JsonBuilder *builder)
{
	JsonNote   *note;

	GROW(builder->notes, builder->count, builder->room);
	note = &builder->notes[builder->count++];
	note->end = builder->count;
	note->children = 0;
	return note;
}

/* Count a key, or an element; an object's values go with their keys. */
static void
count_child(JsonBuilder *builder, bool is_key)
{
	JsonNote   *container;

	if (builder->open == NONE)
		return;
	container = &builder->notes[builder->open];
	if ((container->value.type == jbvObject) == is_key)
		container->children++;
}

/* Open a container. */
static void
begin(JsonBuilder *builder, enum jbvType type)
{
	JsonNote   *note;

	count_child(builder, false);
	note = add_note(builder);
	note->value.type = type;
	note->end = builder->open;
	builder->open = builder->count - 1;
}

/* Open an object. */
void
json_build_begin_object(JsonBuilder *builder)
{
	begin(builder, jbvObject);
}

/* Open an array. */
void
json_build_begin_array(JsonBuilder *builder)
{
	begin(builder, jbvArray);
}

/* Open a container of the same kind as another one. */
void
json_build_begin_like(JsonBuilder *builder, const JsonbValue *container)
{
	begin(builder, json_is_object(container) ? jbvObject : jbvArray);
}

/* Close the innermost open container. */
void
json_build_end(JsonBuilder *builder)
{
	JsonNote   *note = &builder->notes[builder->open];

	builder->open = note->end;
	note->end = builder->count;
}

/* The key of the value that comes next; only inside an object. */
void
json_build_key(JsonBuilder *builder, const char *key, int length)
{
	JsonNote   *note;

	count_child(builder, true);
	note = add_note(builder);
	note->value = json_string(key, length);
}

/* A value of any kind: scalar or view of a container. */
void
json_build_value(JsonBuilder *builder, const JsonbValue *value)
{
	count_child(builder, false);
	add_note(builder)->value = *value;
}

/* A string; the bytes must live until the document is finished. */
void
json_build_string(JsonBuilder *builder, const char *string, int length)
{
	JsonbValue	value = json_string(string, length);

	json_build_value(builder, &value);
}

/* A whole number. */
void
json_build_integer(JsonBuilder *builder, int64 integer)
{
	JsonbValue	value = {.type = jbvNumeric, .val.numeric = int64_to_numeric(integer)};

	json_build_value(builder, &value);
}

/* true or false. */
void
json_build_bool(JsonBuilder *builder, bool boolean)
{
	JsonbValue	value = {.type = jbvBool, .val.boolean = boolean};

	json_build_value(builder, &value);
}

/* null. */
void
json_build_null(JsonBuilder *builder)
{
	JsonbValue	value = {.type = jbvNull};

	json_build_value(builder, &value);
}

/* The order of two keys. */
static inline int
compare_keys(const JsonNote *a, const JsonNote *b)
{
	return json_key_compare(a->value.val.string.val, a->value.val.string.len,
							b->value.val.string.val, b->value.val.string.len);
}

/* The order in which keys are sorted: of equal ones the later comes first. */
static int
compare_pairs(const void *a, const void *b)
{
	const JsonNote *left = *(const JsonNote *const *) a;
	const JsonNote *right = *(const JsonNote *const *) b;
	int			order = compare_keys(left, right);

	CHECK_FOR_INTERRUPTS();
	if (order != 0)
		return order;
	return left > right ? -1 : 1;
}

/* Are the keys in order already, each there once? */
static bool
is_sorted(const JsonNote *const *keys, uint32 count)
{
	for (uint32 i = 1; i < count; i++)
		if (compare_keys(keys[i - 1], keys[i]) >= 0)
			return false;
	return true;
}

/* Put the keys into jsonb's order and drop all but the last of equal ones. */
static uint32
sort_keys(const JsonNote **keys, uint32 count)
{
	uint32		kept = 0;

	if (is_sorted(keys, count))
		return count;
	qsort(keys, count, sizeof(*keys), compare_pairs);
	for (uint32 i = 0; i < count; i++)
		if (kept == 0 || compare_keys(keys[kept - 1], keys[i]) != 0)
			keys[kept++] = keys[i];
	return kept;
}

/* Write an object, its pairs in order; a key's note is followed by its value's. */
static void
write_object(JsonWriter *writer, const JsonNote *object, const JsonNote *all)
{
	uint32		count = object->children;
	const JsonNote **keys = MemoryContextAllocHuge(CurrentMemoryContext,
												   Max(count, 1) * sizeof(*keys));
	const JsonNote *next = object + 1;
	JsonWriterFrame frame;

	for (uint32 i = 0; i < count; i++)
	{
		keys[i] = next;
		next = all + next[1].end;
	}
	count = sort_keys(keys, count);
	json_open_object(writer, &frame, count);
	for (uint32 i = 0; i < count; i++)
		json_write_key(writer, keys[i]->value.val.string.val, keys[i]->value.val.string.len);
	for (uint32 i = 0; i < count; i++)
		write_note(writer, keys[i] + 1, all);
	json_close(writer);
	pfree(keys);
}

/* Write an array. */
static void
write_array(JsonWriter *writer, const JsonNote *array, const JsonNote *all)
{
	const JsonNote *next = array + 1;
	JsonWriterFrame frame;

	json_open_array(writer, &frame, array->children);
	for (uint32 i = 0; i < array->children; i++)
	{
		write_note(writer, next, all);
		next = all + next->end;
	}
	json_close(writer);
}

/* Write what a note and those in it stand for. */
static void
write_note(JsonWriter *writer, const JsonNote *note, const JsonNote *all)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (note->value.type == jbvObject)
		write_object(writer, note, all);
	else if (note->value.type == jbvArray)
		write_array(writer, note, all);
	else
		json_write_value(writer, &note->value);
}

/*
 * The finished document, in the current memory context; what is open ends
 * here.  Raises PostgreSQL's own errors where the format's limits are exceeded.
 */
Jsonb *
json_builder_finish(JsonBuilder *builder)
{
	JsonWriter	writer;

	Assert(builder->count > 0);
	while (builder->open != NONE)
		json_build_end(builder);
	json_writer_init(&writer, 0);
	write_note(&writer, builder->notes, builder->notes);
	pfree(builder->notes);
	return json_writer_finish(&writer);
}
