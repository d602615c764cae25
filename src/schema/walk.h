/*
 * walk.h: which subschemas apply to which locations of a document.
 */
#ifndef PROMOTE_SCHEMA_WALK_H
#define PROMOTE_SCHEMA_WALK_H

#include "postgres.h"

#include "json/marks.h"
#include "schema/evaluation.h"

/* A location of the document, for the walk, the evaluator and a mark tree. */
typedef struct SchemaLocation
{
	JsonMarkFrame mark;
	SchemaFrame at;
} SchemaLocation;

/* A visit of all nodes that apply to the locations of a document. */
typedef struct SchemaWalk
{
	SchemaEvaluation evaluation;	/* of branches; collects nothing */
	const uint8 *reach;			/* what can be met from each node, by its number */
	uint8		wanted;			/* where none of these can be is passed over */
	bool		only_meant;		/* pass over branches that cannot be meant */
	void		(*visit) (struct SchemaWalk *walk, const SchemaNode *node,
						  SchemaLocation *location);
	void	   *state;			/* the visitor's */
} SchemaWalk;

extern JsonMark *schema_walk(SchemaWalk *walk, const Schema *schema, const Jsonb *document);

#endif							/* PROMOTE_SCHEMA_WALK_H */
