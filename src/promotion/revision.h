/*
 * revision.h: what writing a revision records.
 */
#ifndef PROMOTE_PROMOTION_REVISION_H
#define PROMOTE_PROMOTION_REVISION_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/proposal.h"

/*
 * What whoever writes a revision tells the trigger, and what the trigger
 * tells back.
 */
typedef struct RevisionRecord
{
	/* a proposal that is judged already, under the instance's lock */
	ProposedRevision *judged;

	MemoryContext context;		/* where diff goes */
	int32		deployment;		/* number of the plan; 0: none was made */
	Jsonb	   *diff;			/* masked leaf diff of the rendered params */
} RevisionRecord;

extern void config_store(const Sql *sql, const char *project, const Jsonb *params);
extern void revision_plan_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);
extern void revision_tell(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);

#endif							/* PROMOTE_PROMOTION_REVISION_H */
