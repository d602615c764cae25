/*
 * splice.c: containers made of parts of two others.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/grow.h"
#include "json/reader.h"
#include "json/splice.h"

/* Start planning; right may be NULL. */
void
json_splice_begin(JsonSplice *splice, JsonSplices *all,
				  const JsonbContainer *left, const JsonbContainer *right)
{
	splice->all = all;
	splice->first = all->count;
	splice->left = left;
	splice->right = right;
}

/* Add a part. */
static void
add_part(JsonSplices *all, JsonPart part)
{
	GROW(all->parts, all->count, all->room);
	all->parts[all->count++] = part;
}

/*
 * Next come one container's children from up to to, as they are.  Behind those
 * that were copied from the same container just before, they are one part with them.
 */
static void
add_copy(JsonSplice *splice, bool left, uint32 from, uint32 to)
{
	JsonSplices *all = splice->all;
	JsonPart   *last = all->count > splice->first ? &all->parts[all->count - 1] : NULL;

	if (from >= to)
		return;
	if (last && last->count > 0 && (left ? last->left : last->right) + last->count == from &&
		(left ? last->left : last->right) != JSON_SPLICE_NONE)
		last->count += to - from;
	else
		add_part(all, (JsonPart) {left ? from : JSON_SPLICE_NONE, left ? JSON_SPLICE_NONE : from, to - from});
}

/* Next come the left container's children from up to to, as they are. */
void
json_splice_left(JsonSplice *splice, uint32 from, uint32 to)
{
	add_copy(splice, true, from, to);
}

/* Next come the right container's children from up to to, as they are. */
void
json_splice_right(JsonSplice *splice, uint32 from, uint32 to)
{
	add_copy(splice, false, from, to);
}

/* Next comes one child, made of those of both containers or of one. */
void
json_splice_work(JsonSplice *splice, uint32 left, uint32 right)
{
	add_part(splice->all, (JsonPart) {left, right, 0});
}

/* How many children the splice makes. */
static uint64
count_children(const JsonSplice *splice, Size end)
{
	uint64		count = 0;

	for (Size i = splice->first; i < end; i++)
		count += Max(splice->all->parts[i].count, 1);
	return count;
}

/* Where the writer of a splice stands in both containers. */
typedef struct Origins
{
	JsonOrigin	left;
	JsonOrigin	right;
} Origins;

/* Copy keys, or values or elements; where a child is worked on, its key. */
static void
copy_part(JsonWriter *writer, JsonOrigin *origin, uint32 ordinal, uint32 count, bool values)
{
	if (values && JsonContainerIsObject(origin->container))
		ordinal += JsonContainerSize(origin->container);
	json_write_run(writer, origin, ordinal, ordinal + Max(count, 1));
}

/* Copy the keys or the values of a part. */
static void
write_part(JsonWriter *writer, Origins *origins, const JsonPart *part, bool values)
{
	if (part->left != JSON_SPLICE_NONE)
		copy_part(writer, &origins->left, part->left, part->count, values);
	else
		copy_part(writer, &origins->right, part->right, part->count, values);
}

/* Start at the beginning of both containers. */
static void
init_origins(Origins *origins, const JsonSplice *splice)
{
	if (splice->left)
		json_origin_init(&origins->left, splice->left);
	if (splice->right)
		json_origin_init(&origins->right, splice->right);
}

/* Write what becomes of a child to work on. */
static void
work_on(const JsonSplice *splice, JsonWriter *writer, JsonPart part,
		JsonSpliceWorker work, void *state)
{
	JsonbValue	left,
				right;
	bool		has_left = part.left != JSON_SPLICE_NONE;
	bool		has_right = part.right != JSON_SPLICE_NONE;

	if (has_left)
		json_view_child(splice->left, part.left, &left);
	if (has_right)
		json_view_child(splice->right, part.right, &right);
	work(state, writer, has_left ? &left : NULL, part.left,
		 has_right ? &right : NULL, part.right);
}

/*
 * Write the container that was planned, an object or an array, and forget
 * the plan.  work may plan and write splices of its own.
 */
void
json_splice_write(JsonSplice *splice, JsonWriter *writer, bool object,
				  JsonSpliceWorker work, void *state)
{
	JsonSplices *all = splice->all;
	Size		end = all->count;
	uint64		count = Min(count_children(splice, end), PG_UINT32_MAX);
	JsonWriterFrame frame;
	Origins		origins;

	init_origins(&origins, splice);
	if (object)
	{
		json_open_object(writer, &frame, count);
		for (Size i = splice->first; i < end; i++)
			write_part(writer, &origins, &all->parts[i], false);
	}
	else
		json_open_array(writer, &frame, count);
	for (Size i = splice->first; i < end; i++)
	{
		JsonPart	part = all->parts[i];	/* work may move them */

		CHECK_FOR_INTERRUPTS();
		if (part.count == 0)
			work_on(splice, writer, part, work, state);
		else
			write_part(writer, &origins, &part, true);
	}
	json_close(writer);
	all->count = splice->first;
}
