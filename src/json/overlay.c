/*
 * overlay.c: documents split and joined along their marks.
 *
 * A marked location belongs to its own document and never travels: it is
 * removed from what is taken from another (json_remove_marked) and stays
 * where it is when another is laid over it (json_overlay_marked).
 *
 * Elements of arrays have no name but their ordinal.  An array with an element
 * that is marked itself stays as a whole, for taking elements out of it would
 * shift the others.  Where elements merely hold a marked value, each keeps its
 * own by ordinal; one that the other array has no counterpart of goes, for
 * half an element is no element.
 */
#include "postgres.h"

#include "json/overlay.h"
#include "json/reader.h"
#include "json/writer.h"

#include "miscadmin.h"

/* One side of an overlay: a value, if it is there, and its marks. */
typedef struct Side
{
	const JsonbValue *value;	/* NULL: the document has nothing here */
	const JsonMark *marks;
} Side;

static bool write_unmarked(JsonWriter *writer, const JsonbValue *value,
						   const JsonMark *marks, uint32 mask);
static void write_overlay(JsonWriter *writer, Side source, Side own, uint32 mask,
						  const JsonbValue *key);

/* Write the key, where the value that follows is a pair's. */
static void
write_optional_key(JsonWriter *writer, const JsonbValue *key)
{
	if (key)
		json_write_key(writer, key->val.string.val, key->val.string.len);
}

/* Write an object's pairs that are not marked themselves. */
static void
write_unmarked_pairs(JsonWriter *writer, const JsonbValue *object,
					 const JsonMark *marks, uint32 mask)
{
	JsonCursor	cursor;
	JsonbValue	key,
				value;

	json_cursor_init(&cursor, object->val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		const JsonMark *mark = json_mark_child(marks, cursor.next - 1);

		if (json_mark_flags(mark) & mask)
			continue;
		write_optional_key(writer, &key);
		write_unmarked(writer, &value, mark, mask);
	}
}

/*
 * Write what of value is not marked; false, and nothing written, where the
 * whole of it is.
 */
static bool
write_unmarked(JsonWriter *writer, const JsonbValue *value, const JsonMark *marks,
			   uint32 mask)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_mark_flags(marks) & mask)
		return false;
	if (!(json_mark_within(marks) & mask))
		json_write_value(writer, value);
	else if (json_is_object(value))
	{
		json_write_begin_object(writer);
		write_unmarked_pairs(writer, value, marks, mask);
		json_write_end_object(writer);
	}
	else
	{
		JsonCursor	cursor;
		JsonbValue	element;

		json_write_begin_array(writer);
		json_cursor_init(&cursor, value->val.binary.data);
		while (json_next_element(&cursor, &element))
			write_unmarked(writer, &element, json_mark_child(marks, cursor.next - 1), mask);
		json_write_end_array(writer);
	}
	return true;
}

/* Is an element of the array marked itself? */
static bool
has_marked_element(const JsonMark *array, uint32 mask)
{
	if (!(json_mark_within(array) & mask))
		return false;
	for (uint32 i = 0; i < array->count; i++)
		if (json_mark_flags(json_mark_child(array, i)) & mask)
			return true;
	return false;
}

/* Does a document keep anything here that the other one has no place for? */
static bool
keeps(const JsonbValue *value, const JsonMark *marks, uint32 mask)
{
	bool		found = false;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_mark_flags(marks) & mask)
		return true;
	if (!(json_mark_within(marks) & mask))
		return false;
	if (json_is_object(value))
	{
		JsonCursor	cursor;
		JsonbValue	key,
					child;

		json_cursor_init(&cursor, value->val.binary.data);
		while (!found && json_next_pair(&cursor, &key, &child))
			found = keeps(&child, json_mark_child(marks, cursor.next - 1), mask);
	}
	else
		found = has_marked_element(marks, mask);
	return found;
}

/* Write what the document keeps here; the caller knows that it keeps something. */
static void
write_kept(JsonWriter *writer, const JsonbValue *value, const JsonMark *marks,
		   uint32 mask)
{
	check_stack_depth();
	if (json_mark_flags(marks) & mask)
		json_write_value(writer, value);
	else if (json_is_object(value))
	{
		JsonCursor	cursor;
		JsonbValue	key,
					child;

		json_write_begin_object(writer);
		json_cursor_init(&cursor, value->val.binary.data);
		while (json_next_pair(&cursor, &key, &child))
			if (keeps(&child, json_mark_child(marks, cursor.next - 1), mask))
			{
				write_optional_key(writer, &key);
				write_kept(writer, &child, json_mark_child(marks, cursor.next - 1), mask);
			}
		json_write_end_object(writer);
	}
	else
		json_write_value(writer, value);
}

/* Overlay two objects, side by side in key order. */
static void
write_overlay_objects(JsonWriter *writer, Side source, Side own, uint32 mask)
{
	JsonJoin	join;

	json_join_init(&join, source.value, own.value);
	json_write_begin_object(writer);
	while (json_join_next(&join))
	{
		Side		source_side = {join.left, NULL};
		Side		own_side = {join.right, NULL};

		if (join.left)
			source_side.marks = json_mark_child(source.marks, join.left_index);
		if (join.right)
			own_side.marks = json_mark_child(own.marks, join.right_index);
		write_overlay(writer, source_side, own_side, mask, join.key);
	}
	json_write_end_object(writer);
}

/* Is the location claimed by the marks of this side? */
static bool
is_claimed(Side side, uint32 mask)
{
	return (json_mark_flags(side.marks) & mask) != 0 ||
		(side.value && json_is_array(side.value) && has_marked_element(side.marks, mask));
}

/* Overlay two arrays, element by element; see the file's comment. */
static void
write_overlay_arrays(JsonWriter *writer, Side source, Side own, uint32 mask)
{
	JsonCursor	left,
				right;
	JsonbValue	left_value,
				right_value;

	json_cursor_init(&left, source.value->val.binary.data);
	json_cursor_init(&right, own.value->val.binary.data);
	json_write_begin_array(writer);
	while (json_next_element(&left, &left_value))
	{
		uint32		ordinal = left.next - 1;
		Side		source_side = {&left_value, json_mark_child(source.marks, ordinal)};
		Side		own_side = {NULL, json_mark_child(own.marks, ordinal)};

		if (json_next_element(&right, &right_value))
			own_side.value = &right_value;
		write_overlay(writer, source_side, own_side, mask, NULL);
	}
	json_write_end_array(writer);
}

/*
 * Write one location: the source's value, but the document's own (or nothing)
 * wherever either side's marks claim it.  key is NULL for elements and at the
 * root.
 */
static void
write_overlay(JsonWriter *writer, Side source, Side own, uint32 mask,
			  const JsonbValue *key)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (is_claimed(source, mask) || is_claimed(own, mask))
	{
		if (own.value)
		{
			write_optional_key(writer, key);
			json_write_value(writer, own.value);
		}
	}
	else if (source.value == NULL)
	{
		if (keeps(own.value, own.marks, mask))
		{
			write_optional_key(writer, key);
			write_kept(writer, own.value, own.marks, mask);
		}
	}
	else
	{
		write_optional_key(writer, key);
		if (own.value && json_is_object(source.value) && json_is_object(own.value))
			write_overlay_objects(writer, source, own, mask);
		else if (own.value && json_is_array(source.value) && json_is_array(own.value))
			write_overlay_arrays(writer, source, own, mask);
		else
			write_unmarked(writer, source.value, source.marks, mask);
	}
}

/* The document without its marked values; {} where the whole of it is marked. */
Jsonb *
json_remove_marked(const Jsonb *document, const JsonMark *marks, uint32 mask)
{
	JsonWriter	writer;
	JsonbValue	view;

	json_root(document, &view);
	json_writer_init(&writer);
	if (!write_unmarked(&writer, &view, marks, mask))
	{
		json_write_begin_object(&writer);
		json_write_end_object(&writer);
	}
	return json_writer_finish(&writer);
}

/*
 * The source, with own's values at every location that either one's marks
 * claim.  A root that is marked is own's as a whole.
 */
Jsonb *
json_overlay_marked(const Jsonb *source, const JsonMark *source_marks,
					const Jsonb *own, const JsonMark *own_marks, uint32 mask)
{
	JsonWriter	writer;
	JsonbValue	source_view,
				own_view;

	json_root(source, &source_view);
	json_root(own, &own_view);
	json_writer_init(&writer);
	write_overlay(&writer, (Side) {&source_view, source_marks},
				  (Side) {&own_view, own_marks}, mask, NULL);
	return json_writer_finish(&writer);
}
