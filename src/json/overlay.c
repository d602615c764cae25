/*
 * overlay.c: documents split and joined along their marks.
 *
 * A marked location belongs to its own document and never travels: it is
 * removed from what is taken from another (json_remove_marked) and stays
 * where it is when another is laid over it (json_overlay_marked).
 *
 * Elements of arrays have no name but their ordinal, unless the caller knows better.  An array with an element
 * that is marked itself stays as a whole, for taking elements out of it would
 * shift the others.  Where elements merely hold a marked value, each keeps its
 * own by ordinal; one that the other array has no counterpart of goes, for
 * half an element is no element.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/compat.h"
#include "json/overlay.h"
#include "json/reader.h"
#include "json/splice.h"

/* One side of an overlay: a value, if it is there, and its marks. */
typedef struct Side
{
	const JsonbValue *value;	/* NULL: the document has nothing here */
	const JsonMark *marks;
} Side;

/* One call. */
typedef struct Overlay
{
	JsonSplices splices;
	uint32		mask;			/* the flags that claim a location */
	bool		selects_marked; /* or what is not marked? */
	JsonElementMatcher match;	/* of arrays; NULL: by position */
	void	   *match_state;
} Overlay;

/* A container that is worked on, for what is done with its children. */
typedef struct Level
{
	Overlay    *overlay;
	const JsonMark *source;		/* marks of the containers */
	const JsonMark *own;
} Level;

static void write_selected(Overlay *overlay, JsonWriter *writer, Side side);
static void write_kept(Overlay *overlay, JsonWriter *writer, Side side);
static void write_overlay(Overlay *overlay, JsonWriter *writer, Side source, Side own);

/* Is the location itself claimed? */
static inline bool
is_marked(const Overlay *overlay, const JsonMark *marks)
{
	return (json_mark_flags(marks) & overlay->mask) != 0;
}

/* Is anything claimed here or below? */
static inline bool
has_marks(const Overlay *overlay, const JsonMark *marks)
{
	return (json_mark_within(marks) & overlay->mask) != 0;
}

/* The side of a child. */
static inline Side
child_of(const JsonMark *marks, const JsonbValue *value, uint32 index)
{
	return (Side) {value, value ? json_mark_child(marks, index) : NULL};
}

/* Start a splice of the containers of one or two sides. */
static void
begin(Overlay *overlay, JsonSplice *splice, const JsonbValue *source, const JsonbValue *own)
{
	json_splice_begin(splice, &overlay->splices, source ? source->val.binary.data : NULL,
					  own ? own->val.binary.data : NULL);
}

/* A child of which a part is marked; a JsonSpliceWorker. */
static void
work_selected(void *state, JsonWriter *writer, const JsonbValue *source, uint32 source_index,
			  const JsonbValue *own, uint32 own_index)
{
	Level	   *level = state;

	write_selected(level->overlay, writer, child_of(level->source, source, source_index));
}

/*
 * Write what of a container is marked, or what is not, as the overlay has it;
 * something in the container is marked, but not itself.
 */
static void
write_selected(Overlay *overlay, JsonWriter *writer, Side side)
{
	Level		level = {overlay, side.marks, NULL};
	uint32		count = json_count(side.value);
	JsonSplice	splice;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	begin(overlay, &splice, side.value, NULL);
	for (uint32 i = 0; i < count; i++)
	{
		const JsonMark *mark = json_mark_child(side.marks, i);

		if (!is_marked(overlay, mark) && has_marks(overlay, mark))
			json_splice_work(&splice, i, JSON_SPLICE_NONE);
		else if (is_marked(overlay, mark) == overlay->selects_marked)
			json_splice_left(&splice, i, i + 1);
	}
	json_splice_write(&splice, writer, json_is_object(side.value), work_selected, &level);
}

/* Write what of a value is not marked, which itself is not. */
static void
write_unmarked(Overlay *overlay, JsonWriter *writer, Side side)
{
	if (has_marks(overlay, side.marks))
		write_selected(overlay, writer, side);
	else
		json_write_value(writer, side.value);
}

/* Is an element of the array marked itself? */
static bool
has_marked_element(const Overlay *overlay, const JsonMark *array)
{
	if (!has_marks(overlay, array))
		return false;
	for (uint32 i = 0; i < array->count; i++)
		if (is_marked(overlay, json_mark_child(array, i)))
			return true;
	return false;
}

/* Does a document keep anything here that the other one has no place for? */
static bool
keeps(const Overlay *overlay, Side side)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (is_marked(overlay, side.marks))
		return true;
	if (!has_marks(overlay, side.marks))
		return false;
	if (!json_is_object(side.value))
		return has_marked_element(overlay, side.marks);
	json_foreach(child, side.value)
		if (keeps(overlay, child_of(side.marks, &child.value, child.index)))
			return true;
	return false;
}

/* A child of which something is kept; a JsonSpliceWorker. */
static void
work_kept(void *state, JsonWriter *writer, const JsonbValue *source, uint32 source_index,
		  const JsonbValue *own, uint32 own_index)
{
	Level	   *level = state;

	write_kept(level->overlay, writer, child_of(level->own, own, own_index));
}

/* Write what of an object is kept. */
static void
write_kept_pairs(Overlay *overlay, JsonWriter *writer, Side side)
{
	Level		level = {overlay, NULL, side.marks};
	JsonSplice	splice;

	begin(overlay, &splice, NULL, side.value);
	json_foreach(child, side.value)
	{
		if (keeps(overlay, child_of(side.marks, &child.value, child.index)))
			json_splice_work(&splice, JSON_SPLICE_NONE, child.index);
	}
	json_splice_write(&splice, writer, true, work_kept, &level);
}

/* Write what the document keeps here; the caller knows that it keeps something. */
static void
write_kept(Overlay *overlay, JsonWriter *writer, Side side)
{
	check_stack_depth();
	if (is_marked(overlay, side.marks) || !json_is_object(side.value))
		json_write_value(writer, side.value);
	else
		write_kept_pairs(overlay, writer, side);
}

/* Is the location claimed by the marks of this side? */
static bool
is_claimed(const Overlay *overlay, Side side)
{
	return is_marked(overlay, side.marks) ||
		(side.value && json_is_array(side.value) && has_marked_element(overlay, side.marks));
}

/*
 * Plan one child: the source's value, but the document's own (or nothing)
 * wherever either side's marks claim it.
 */
static void
plan_child(const Overlay *overlay, JsonSplice *splice, Side source, uint32 source_index,
		   Side own, uint32 own_index)
{
	if (is_claimed(overlay, source) || is_claimed(overlay, own))
	{
		if (own.value)
			json_splice_right(splice, own_index, own_index + 1);
	}
	else if (source.value == NULL)
	{
		if (keeps(overlay, own))
			json_splice_work(splice, JSON_SPLICE_NONE, own_index);
	}
	else if (has_marks(overlay, source.marks) || has_marks(overlay, own.marks))
		json_splice_work(splice, source_index, own.value ? own_index : JSON_SPLICE_NONE);
	else
		json_splice_left(splice, source_index, source_index + 1);
}

/* Plan the elements of two arrays that are told apart otherwise than by position. */
static void
plan_matched(const Overlay *overlay, JsonSplice *splice, Side source, Side own, const uint32 *matches)
{
	JsonbValue	found;

	json_foreach(item, source.value)
	{
		uint32		match = matches[item.index];

		CHECK_FOR_INTERRUPTS();
		if (match != JSON_SPLICE_NONE)
			json_view_child(own.value->val.binary.data, match, &found);
		plan_child(overlay, splice, child_of(source.marks, &item.value, item.index), item.index,
				   child_of(own.marks, match == JSON_SPLICE_NONE ? NULL : &found, match), match);
	}
}

/* Plan two containers of one kind, side by side; for arrays see the file's comment. */
static void
plan_children(const Overlay *overlay, JsonSplice *splice, Side source, Side own)
{
	JsonJoin	join;
	uint32	   *matches = overlay->match && json_is_array(source.value) ?
		overlay->match(overlay->match_state, source.value, own.value) : NULL;

	if (matches)
	{
		plan_matched(overlay, splice, source, own, matches);
		pfree(matches);
		return;
	}
	json_join_init(&join, source.value, own.value);
	while (json_join_next(&join))
	{
		CHECK_FOR_INTERRUPTS();
		if (join.key == NULL && join.left == NULL)
			break;
		plan_child(overlay, splice,
				   child_of(source.marks, join.left, join.left_index), join.left_index,
				   child_of(own.marks, join.right, join.right_index), join.right_index);
	}
}

/* A child that both sides may have a part in; a JsonSpliceWorker. */
static void
work_overlay(void *state, JsonWriter *writer, const JsonbValue *source, uint32 source_index,
			 const JsonbValue *own, uint32 own_index)
{
	Level	   *level = state;
	Side		own_side = child_of(level->own, own, own_index);

	if (source)
		write_overlay(level->overlay, writer, child_of(level->source, source, source_index),
					  own_side);
	else
		write_kept(level->overlay, writer, own_side);
}

/* Write the source with the document's own children where they are claimed. */
static void
write_overlay_children(Overlay *overlay, JsonWriter *writer, Side source, Side own)
{
	Level		level = {overlay, source.marks, own.marks};
	JsonSplice	splice;

	begin(overlay, &splice, source.value, own.value);
	plan_children(overlay, &splice, source, own);
	json_splice_write(&splice, writer, json_is_object(source.value), work_overlay, &level);
}

/* Write a location that is not claimed as a whole, and that the source has. */
static void
write_overlay(Overlay *overlay, JsonWriter *writer, Side source, Side own)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (own.value && source.value->type == jbvBinary && own.value->type == jbvBinary &&
		json_is_object(source.value) == json_is_object(own.value))
		write_overlay_children(overlay, writer, source, own);
	else
		write_unmarked(overlay, writer, source);
}

/* Start a document made of parts of others, of some size altogether. */
static void
start(Overlay *overlay, JsonWriter *writer, uint32 mask, Size size)
{
	*overlay = (Overlay) {.mask = mask};
	json_writer_init(writer, size + 64);
}

/* The finished document. */
static Jsonb *
finish(Overlay *overlay, JsonWriter *writer)
{
	if (overlay->splices.parts)
		pfree(overlay->splices.parts);
	return json_writer_finish(writer);
}

/* Write {}. */
static void
write_nothing(JsonWriter *writer)
{
	JsonWriterFrame frame;

	json_open_object(writer, &frame, 0);
	json_close(writer);
}

/* The document without its marked values; {} where the whole of it is marked. */
Jsonb *
json_remove_marked(const Jsonb *document, const JsonMark *marks, uint32 mask)
{
	Overlay		overlay;
	JsonWriter	writer;
	JsonbValue	view;

	start(&overlay, &writer, mask, VARSIZE(document));
	json_root(document, &view);
	if (is_marked(&overlay, marks))
		write_nothing(&writer);
	else
		write_unmarked(&overlay, &writer, (Side) {&view, marks});
	return finish(&overlay, &writer);
}

/*
 * The document's marked values alone, with the containers that lead to them;
 * {} where nothing is marked.
 */
Jsonb *
json_keep_marked(const Jsonb *document, const JsonMark *marks, uint32 mask)
{
	Overlay		overlay;
	JsonWriter	writer;
	JsonbValue	view;

	start(&overlay, &writer, mask, VARSIZE(document));
	overlay.selects_marked = true;
	json_root(document, &view);
	if (is_marked(&overlay, marks))
		json_write_value(&writer, &view);
	else if (has_marks(&overlay, marks))
		write_selected(&overlay, &writer, (Side) {&view, marks});
	else
		write_nothing(&writer);
	return finish(&overlay, &writer);
}

/*
 * The source, with own's values at every location that either one's marks
 * claim.  A root that is claimed is own's as a whole.  match, NULL for none,
 * tells which elements of arrays are the same.
 */
Jsonb *
json_overlay_marked(const Jsonb *source, const JsonMark *source_marks,
					const Jsonb *own, const JsonMark *own_marks, uint32 mask,
					JsonElementMatcher match, void *state)
{
	Overlay		overlay;
	JsonWriter	writer;
	JsonbValue	source_view,
				own_view;
	Side		source_side = {&source_view, source_marks};
	Side		own_side = {&own_view, own_marks};

	start(&overlay, &writer, mask, (Size) VARSIZE(source) + VARSIZE(own));
	overlay.match = match;
	overlay.match_state = state;
	json_root(source, &source_view);
	json_root(own, &own_view);
	if (is_claimed(&overlay, source_side) || is_claimed(&overlay, own_side))
		json_write_value(&writer, &own_view);
	else
		write_overlay(&overlay, &writer, source_side, own_side);
	return finish(&overlay, &writer);
}
