/*
 * diff.h: what would run against what runs, and since when each difference waits.
 */
#ifndef PROMOTE_PROMOTION_DIFF_H
#define PROMOTE_PROMOTION_DIFF_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/entry.h"
#include "promotion/proposal.h"

/* A plan whose diff is made anew, because something else runs by now. */
typedef struct Rebase
{
	const Carried *runs;		/* NULL: nothing */
	bool		destructive;
	bool		reverts;
	Jsonb	   *diff;
} Rebase;

extern void proposal_carried(const ProposedRevision *proposed, Carried *desired);
extern void proposal_entries(const Sql *sql, const ProposedRevision *proposed, bool read_only, Mask *mask,
							 Entries *entries);
extern Jsonb *proposal_diff(const Sql *sql, ProposedRevision *proposed, bool read_only);
extern void proposal_decide(const Sql *sql, ProposedRevision *proposed);
extern Jsonb *proposal_plan_kept(const ProposedRevision *proposed);
extern bool proposal_waits(const ProposedRevision *proposed);
extern bool plan_rebase(const Sql *sql, const InstanceKey *key, int32 deployment, Rebase *rebase);

#endif							/* PROMOTE_PROMOTION_DIFF_H */
