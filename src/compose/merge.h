/*
 * merge.h: what two sides made of one document, put together again.
 *
 * compose_merge stands where compose_base does, for promotions that merge:
 *
 *	merge = compose_merge(proposal, &base, overrides, choice);
 *	merge_require(merge, merge_mask(merge, proposal, &base), proposal->instance);
 *	proposal->params = compose_overrides(proposal, merge->params, overrides);
 *
 * A preview leaves out merge_require and shows the conflicts and the problems
 * that are open.
 */
#ifndef PROMOTE_COMPOSE_MERGE_H
#define PROMOTE_COMPOSE_MERGE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "compose/compose.h"
#include "json/marks.h"

/* The documents that are merged. */
typedef enum MergeSide
{
	MERGE_BASE,					/* what both sides began with */
	MERGE_SOURCE,
	MERGE_DESTINATION
} MergeSide;

#define MERGE_SIDES 3

/* Who wins where both sides changed the same. */
typedef enum MergeChoice
{
	MERGE_CHOOSE_NONE,
	MERGE_CHOOSE_SOURCE,
	MERGE_CHOOSE_DESTINATION
} MergeChoice;

/* The names of these in SQL. */
extern const char *const merge_choices[];

/* What both sides began with. */
typedef struct MergeBase
{
	const Jsonb *params;
	const Jsonb *kept;			/* paths that keep marks in it, see mask.h; NULL: none */
	const Jsonb *schema;		/* of its release; NULL: that of the proposal */
} MergeBase;

/* A place that both sides changed, to different values. */
typedef struct MergeConflict
{
	const char *path;			/* in what comes out, before the overrides */
	const char *paths[MERGE_SIDES];	/* in each document; NULL: it has nothing there */
	const Jsonb *texts[MERGE_SIDES];	/* of a part of the release, which is in no document */
	bool		open;			/* do neither the overrides nor the choice decide it? */
} MergeConflict;

/* An array whose elements cannot be told apart. */
typedef struct MergeProblem
{
	const char *path;			/* of the array, in what comes out */
	const char *message;		/* a sentence; never a value */
} MergeProblem;

/* An array that was merged by its elements. */
typedef struct MergedArray
{
	const char *path;			/* in what comes out */
	uint32		count;			/* of its elements there */
	uint32		(*ordinals)[MERGE_SIDES];	/* of these in the documents; MERGE_NOWHERE: there is none */
} MergedArray;

#define MERGE_NOWHERE PG_UINT32_MAX

typedef struct Merge
{
	const Jsonb *documents[MERGE_SIDES];	/* base and source with the destination's own where not copyable */
	Jsonb	   *params;			/* what comes out, before the overrides */
	List	   *conflicts;		/* MergeConflict *, in the order of the places */
	List	   *problems;		/* MergeProblem *, all of them open */
	List	   *arrays;			/* MergedArray *, what is in an element behind its array */
	bool		is_marked;		/* are the marks filled in? */
	const JsonMark *marks[MERGE_SIDES]; /* SCHEMA_SENSITIVE, of the documents */
} Merge;

extern MergeChoice merge_choice(const char *on_conflict);
extern Merge *compose_merge(const Proposal *proposal, const MergeBase *base, const Jsonb *overrides,
							MergeChoice choice);
extern char *merge_path_in(const Merge *merge, const char *path, MergeSide side);
extern const char *merge_text(List **conflicts, const char *path, const char *base, const char *source,
							  const char *destination, MergeChoice choice);
extern Mask *merge_mask(const Merge *merge, const Proposal *proposal, const MergeBase *base);
extern bool merge_is_open(const Merge *merge);
extern void merge_show(Merge *merge, Mask *mask, const MergeConflict *conflict, Jsonb *shown[MERGE_SIDES]);
extern void merge_require(Merge *merge, Mask *mask, const char *instance);

#endif							/* PROMOTE_COMPOSE_MERGE_H */
