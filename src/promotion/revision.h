/*
 * revision.h: what is recorded when a revision is written.
 */
#ifndef PROMOTE_PROMOTION_REVISION_H
#define PROMOTE_PROMOTION_REVISION_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/proposal.h"

/* What the writer of a revision tells the trigger, and what the trigger tells the writer. */
typedef struct RevisionRecord
{
	/* a proposal that was judged already, under the instance's lock */
	ProposedRevision *judged;

	MemoryContext context;		/* where diff is allocated */
	int32		deployment;		/* the plan's number; 0: no plan */
	Jsonb	   *diff;			/* from what runs, masked */
} RevisionRecord;

extern void config_store(const Sql *sql, const char *project, const Jsonb *params);
extern void revision_record_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);

#endif							/* PROMOTE_PROMOTION_REVISION_H */
