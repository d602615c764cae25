/*
 * structure.h: whether two documents differ in kind, or in size.
 */
#ifndef PROMOTE_COMPOSE_STRUCTURE_H
#define PROMOTE_COMPOSE_STRUCTURE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/marks.h"

/* What a difference says of two environments. */
typedef enum DifferenceClass
{
	DIFFERS_NOT,				/* nothing: another difference has said it */
	DIFFERS_IN_KIND,
	DIFFERS_IN_SIZE,
	DIFFERS_OTHERWISE			/* neither: a text, a minor version */
} DifferenceClass;

/* The names of the classes in SQL. */
extern const char *const difference_classes[];

/* A document, and what its schema tells of its places. */
typedef struct Shape
{
	const Jsonb *document;
	const JsonMark *marks;
} Shape;

extern Shape shape_of(const Jsonb *document, const Jsonb *schema);
extern DifferenceClass shape_differs(const Shape *a, const Shape *b, const char *path);
extern List *shape_differences(const Shape *a, const Shape *b);
extern bool version_differs_in_kind(const char *a, const char *b);

#endif							/* PROMOTE_COMPOSE_STRUCTURE_H */
