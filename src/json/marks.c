/*
 * marks.c: flags on the locations of one document.
 */
#include "postgres.h"

#include "json/marks.h"

#include "miscadmin.h"

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
