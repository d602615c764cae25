/*
 * splice.h: containers made of parts of two others.
 *
 * Merging, overlaying, filtering and rendering all leave most of a container
 * as it is.  A splice says how a new container follows from a left and a
 * right one: runs of children to be copied from either, and in between single
 * children that something has to be done with.  It is planned first, child by
 * child in the order of the result, and then written: an object's keys, its
 * values.
 */
#ifndef PROMOTE_JSON_SPLICE_H
#define PROMOTE_JSON_SPLICE_H

#include "postgres.h"

#include "json/writer.h"

/* No such child. */
#define JSON_SPLICE_NONE PG_UINT32_MAX

/* One part of a splice. */
typedef struct JsonPart
{
	uint32		left;			/* ordinal of the first child, or none */
	uint32		right;
	uint32		count;			/* children to copy; 0: one to work on */
} JsonPart;

/* Parts of all splices that are being written, innermost last. */
typedef struct JsonSplices
{
	JsonPart   *parts;
	Size		count;
	Size		room;
} JsonSplices;

/* One splice: the parts from first on, and what they are parts of. */
typedef struct JsonSplice
{
	JsonSplices *all;
	Size		first;
	const JsonbContainer *left;
	const JsonbContainer *right;	/* NULL where nothing is taken from it */
} JsonSplice;

/*
 * Write the value of a child to work on, given what the left and the right
 * container have there (NULL: nothing).  right_index and left_index are
 * ordinals, valid where there is a value.
 */
typedef void (*JsonSpliceWorker) (void *state, JsonWriter *writer,
								  const JsonbValue *left, uint32 left_index,
								  const JsonbValue *right, uint32 right_index);

extern void json_splice_begin(JsonSplice *splice, JsonSplices *all,
							  const JsonbContainer *left, const JsonbContainer *right);
extern void json_splice_left(JsonSplice *splice, uint32 from, uint32 to);
extern void json_splice_right(JsonSplice *splice, uint32 from, uint32 to);
extern void json_splice_work(JsonSplice *splice, uint32 left, uint32 right);
extern void json_splice_write(JsonSplice *splice, JsonWriter *writer, bool object,
							  JsonSpliceWorker work, void *state);

#endif							/* PROMOTE_JSON_SPLICE_H */
