/*
 * merging.h: putting together what source and destination have changed since they had the same.
 */
#ifndef PROMOTE_PROMOTION_MERGING_H
#define PROMOTE_PROMOTION_MERGING_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/merge.h"
#include "compose/only.h"
#include "promotion/proposal.h"

/* What an instance desires of a release. */
typedef struct ReleaseWish
{
	const char *constraint;
	const char *channel;
} ReleaseWish;

/* A merge: what it starts from, and what comes out. */
typedef struct Merging
{
	MergeBase	base;			/* filled in by merging_params where there are exchanges */
	List	   *exchanges;		/* that it is put together from: Exchange * */
	List	   *bases;			/* what these had: MergeBase * */
	ReleaseWish had;			/* what the destination had of the release; NULL members: nothing */
	ReleaseWish gave;			/* what the source had of it then */
	const char *pinned;			/* the version for which that was given; NULL: for none */
	MergeChoice choice;
	List	   *conflicts;		/* of the release: MergeConflict * */
	Merge	   *merge;
	bool		is_moved;		/* has the source changed anything since? */
} Merging;

extern void merging_read(const Sql *sql, const InstanceKey *source, const ProposedRevision *proposed, bool read_only,
						 Merging *merging);
extern ReleaseWish merging_release(Merging *merging, const ReleaseWish *source, const ProposedRevision *proposed);
extern void merging_begin(const Sql *sql, const InstanceKey *source, const ProposedRevision *proposed, bool read_only,
						  Merging *merging);
extern Jsonb *merging_params(Merging *merging, const Proposal *proposal, const Jsonb *overrides, Only *only);
extern Mask *merging_mask(const Merging *merging, const Proposal *proposal);
extern void merging_require(const Merging *merging, const Proposal *proposal);

#endif							/* PROMOTE_PROMOTION_MERGING_H */
