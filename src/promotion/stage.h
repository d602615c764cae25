/*
 * stage.h: what verbs that give an instance a new desired state have in common.
 */
#ifndef PROMOTE_PROMOTION_STAGE_H
#define PROMOTE_PROMOTION_STAGE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/sql.h"
#include "parse/name.h"
#include "promotion/proposal.h"

/* How a new desired state is recorded. */
typedef struct Staging
{
	RevisionOrigin origin;
	const char *source_environment; /* NULL: from the instance's own state */
	const Jsonb *overrides;		/* NULL: the verb has none */
	const char *message;		/* NULL: none */
} Staging;

/* The result: the row that the verbs return. */
typedef struct Staged
{
	const char *destination;
	int32		old_revision;	/* 0: none */
	int32		new_revision;
	int32		deployment;		/* 0: none was queued */
	bool		changed;
	Jsonb	   *diff;			/* in the caller's memory context */
} Staged;

extern void stage_read(const Sql *sql, const InstanceKey *destination, const char *source_environment,
					   const char *version_constraint, const char *release_channel,
					   bool read_only, ProposedRevision *proposed);
extern void stage_check_revision(FunctionCallInfo fcinfo, int argument,
								 const ProposedRevision *proposed);
extern bool stage_is_unchanged(const ProposedRevision *proposed);
extern void stage_write(const Sql *sql, const Staging *staging, ProposedRevision *proposed,
						MemoryContext caller, Staged *staged);
extern Datum stage_result(FunctionCallInfo fcinfo, const Staged *staged);

#endif							/* PROMOTE_PROMOTION_STAGE_H */
