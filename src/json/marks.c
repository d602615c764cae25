/*
 * marks.c: flags on the locations of one document.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/marks.h"
#include "json/reader.h"

/* The frame's node, made together with those that lead to it. */
static JsonMark *
materialize(JsonMarkFrame *frame)
{
	JsonMark   *parent;

	check_stack_depth();
	if (frame->node)
		return frame->node;
	if (frame->parent)
	{
		parent = materialize(frame->parent);
		if (parent->children == NULL)
		{
			parent->count = frame->parent->count;
			parent->children = palloc0_array(JsonMark *, parent->count);
		}
		if (parent->children[frame->index] == NULL)
			parent->children[frame->index] = palloc0(sizeof(JsonMark));
		frame->node = parent->children[frame->index];
	}
	else
		frame->node = palloc0(sizeof(JsonMark));
	return frame->node;
}

/* Set flags at the frame's location, in the current memory context. */
void
json_mark_set(JsonMarkFrame *frame, uint32 flags)
{
	JsonMarkFrame *up;

	materialize(frame)->flags |= flags;
	for (up = frame->parent; up; up = up->parent)
		up->node->below |= flags;
}

/*
 * Visit what two containers have in common, with the frame of the one and the
 * marks of the other; nothing where they are not of one kind.
 */
void
json_mark_visit(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other, const JsonMark *from,
				JsonMarkVisitor visit, void *state)
{
	JsonMarkFrame child = {frame, 0, 0, NULL};
	JsonJoin	join;

	frame->count = json_count(value);
	if (json_is_leaf(other) || json_is_object(value) != json_is_object(other))
		return;
	json_join_init(&join, value, other);
	while (json_join_next(&join))
	{
		if (join.left == NULL || join.right == NULL)
			continue;
		child.index = join.left_index;
		child.node = NULL;
		visit(&child, join.left, join.right, json_mark_child(from, join.right_index), state);
	}
}

/* Visitor of what is united. */
static void
unite(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other, const JsonMark *from, void *state)
{
	json_mark_unite(frame, value, other, from);
}

/*
 * Set on the marks of a value what another tree says of the same places of
 * another value, which may be the same one.  Where that has marks below and
 * this one no places, as where a placeholder became a container, they are this
 * one's.
 */
void
json_mark_unite(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other, const JsonMark *from)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_mark_within(from) == 0)
		return;
	if (json_is_leaf(value))
	{
		json_mark_set(frame, json_mark_within(from));
		return;
	}
	frame->count = json_count(value);
	if (from->flags)
		json_mark_set(frame, from->flags);
	if (from->below != 0)
		json_mark_visit(frame, value, other, from, unite, NULL);
}
