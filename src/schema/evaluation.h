/*
 * evaluation.h: what one evaluation of a schema over a document knows.
 */
#ifndef PROMOTE_SCHEMA_EVALUATION_H
#define PROMOTE_SCHEMA_EVALUATION_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "schema/node.h"

/* One step of the way from the instance's root; lives on the walker's stack. */
typedef struct SchemaFrame
{
	const struct SchemaFrame *parent;	/* NULL at the root */
	const JsonbValue *value;
	const JsonbValue *key;		/* NULL for an item */
	uint32		index;			/* ordinal in the parent's container */
	bool		is_name;		/* the property's name itself */
} SchemaFrame;

/*
 * Which children of one container were evaluated, as "unevaluatedItems" and
 * "unevaluatedProperties" mean it.  Lives on the walker's stack.
 */
typedef struct SchemaSeen
{
	uint32		words;
	uint64	   *bits;			/* buffer, unless there are too many */
	uint64		buffer[4];
} SchemaSeen;

/* The names that are bound while a schema is evaluated. */
typedef struct SchemaScope SchemaScope;

typedef struct SchemaScopeMark
{
	uint32		bound;			/* how many were bound */
	int			state;
} SchemaScopeMark;

/* A $dynamicRef that is being followed; lives on the walker's stack. */
typedef struct SchemaFollowing
{
	const struct SchemaFollowing *outer;
	const SchemaNode *target;
	const SchemaFrame *at;
	uint32		bound;			/* how many names were bound */
} SchemaFollowing;

/* What one evaluation knows. */
typedef struct SchemaEvaluation
{
	const Schema *schema;
	SchemaCollector collect;	/* NULL: nobody is told */
	void	   *state;
	bool		thorough;		/* go on after the first violation */
	bool		asserts_formats;
	bool		goes_within;	/* into what is missing, to tell what would be missing there */
	int			within;			/* in so many missing objects */
	SchemaSeen *seen;			/* of the location that is evaluated; NULL: nobody asks */
	SchemaScope *scope;			/* NULL without dynamic references */
	uint32		steps;			/* references followed so far */
	HTAB	   *memo;			/* of answers; NULL while it does not pay */
	MemoryContext memo_context;
	Size		memo_space;		/* what its entries refer to */
	MemoryContext scratch;		/* of a report; NULL before the first */
	MemoryContext caller;		/* to go back to from scratch */
} SchemaEvaluation;

/* Is there anything to find out after what was found so far? */
#define GOES_ON(evaluation, valid) ((valid) || (evaluation)->thorough)

/* What the memo knows of a node at a location. */
typedef struct SchemaMemo
{
	uint8		answer;			/* the flags below */
	uint64	   *seen;			/* what was evaluated, if that was asked */
} SchemaMemo;

/* The memo's answers, as flags. */
#define SCHEMA_MEMO_VALID	0x01
#define SCHEMA_MEMO_INVALID	0x02
#define SCHEMA_MEMO_REPORTED	0x04	/* with all violations collected */
#define SCHEMA_MEMO_WALKED	0x08	/* the walk was there */

extern void schema_begin_evaluation(SchemaEvaluation *evaluation, const Schema *schema);
extern void schema_end_evaluation(SchemaEvaluation *evaluation);
extern void schema_seen_init(SchemaSeen *seen, const JsonbValue *container);
extern void schema_seen_free(SchemaSeen *seen);
extern void schema_seen_merge(SchemaSeen *seen, const uint64 *bits);
extern SchemaScopeMark schema_enter_resource(SchemaEvaluation *evaluation, const SchemaResource *resource);
extern void schema_leave_resource(SchemaEvaluation *evaluation, SchemaScopeMark mark);
extern const SchemaNode *schema_follow(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
									   SchemaFollowing *frame);
extern void schema_unfollow(SchemaEvaluation *evaluation, const SchemaFollowing *frame);
extern SchemaMemo *schema_memo(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at);
extern void schema_memo_keep_seen(SchemaEvaluation *evaluation, SchemaMemo *memo, const SchemaSeen *seen);

/* Note that the child of that ordinal was evaluated, if anybody asks. */
static inline void
schema_seen_add(SchemaSeen *seen, uint32 index)
{
	if (seen)
		seen->bits[index / 64] |= UINT64CONST(1) << (index % 64);
}

/* Was the child of that ordinal evaluated? */
static inline bool
schema_seen_has(const SchemaSeen *seen, uint32 index)
{
	return (seen->bits[index / 64] >> (index % 64)) & 1;
}

#endif							/* PROMOTE_SCHEMA_EVALUATION_H */
