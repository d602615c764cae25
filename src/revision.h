/*
 * revision.h: what writing a revision records.
 */
#ifndef PROMOTE_REVISION_H
#define PROMOTE_REVISION_H

#include "postgres.h"

#include "name.h"
#include "utils/jsonb.h"

/* What was recorded of one revision, for whoever caused it. */
typedef struct RevisionRecord
{
	MemoryContext context;		/* where diff goes */
	int32		deployment;		/* number of the plan; 0: none was made */
	Jsonb	   *diff;			/* masked leaf diff of the rendered params */
} RevisionRecord;

extern RevisionRecord *revision_record_to(RevisionRecord *record);
extern void revision_plan_desired(const InstanceKey *key, RevisionRecord *record);

#endif							/* PROMOTE_REVISION_H */
