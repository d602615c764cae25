/*
 * marks.h: flags on the locations of one document.
 *
 * A mark tree runs parallel to the document it was made for: the n-th child
 * of a node belongs to the n-th element or pair of the container there.  It
 * has nodes only where a flag is, or leads to one; NULL is a tree without
 * marks.  What the flags mean is the business of who sets them (see
 * schema/schema.h); a flag on a container covers all that is below it.
 */
#ifndef PROMOTE_JSON_MARKS_H
#define PROMOTE_JSON_MARKS_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct JsonMark
{
	uint32		flags;			/* of this very location */
	uint32		below;			/* of all locations below it */
	uint32		count;			/* children the container has */
	struct JsonMark **children; /* NULL, or count pointers, each may be NULL */
} JsonMark;

/*
 * One step of the way from the root to the location a walk is at.  Lives on
 * the walker's stack; its node is made when a flag is set there or below.
 */
typedef struct JsonMarkFrame
{
	struct JsonMarkFrame *parent;	/* NULL at the root */
	uint32		index;			/* ordinal in the parent's container */
	uint32		count;			/* children of the container here */
	JsonMark   *node;
} JsonMarkFrame;

/* What is done at a place that two documents have: with the frame of the one's, and the marks of the other's. */
typedef void (*JsonMarkVisitor) (JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other,
								 const JsonMark *from, void *state);

extern void json_mark_set(JsonMarkFrame *frame, uint32 flags);
extern void json_mark_visit(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other,
							const JsonMark *from, JsonMarkVisitor visit, void *state);
extern void json_mark_unite(JsonMarkFrame *frame, const JsonbValue *value,
							const JsonbValue *other, const JsonMark *from);

/* The node of the n-th child; NULL where there is none. */
static inline const JsonMark *
json_mark_child(const JsonMark *mark, uint32 index)
{
	return mark && mark->children && index < mark->count ? mark->children[index] : NULL;
}

/* Flags of this very location. */
static inline uint32
json_mark_flags(const JsonMark *mark)
{
	return mark ? mark->flags : 0;
}

/* Flags of this location and of all below it. */
static inline uint32
json_mark_within(const JsonMark *mark)
{
	return mark ? mark->flags | mark->below : 0;
}

#endif							/* PROMOTE_JSON_MARKS_H */
