/*
 * stage.h: what verbs that give an instance a new desired state have in common, and what is
 * recorded of it.
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
	const char *mode;			/* of a promotion; NULL: it is none */
	Datum		only;			/* what is taken alone, text[]; 0: everything */
	const char *pinned_version; /* that a promotion took; NULL: none */
	bool		moves_base;		/* is it a revision also where nothing changes, since later merges start from it? */
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

/* What the writer of a revision tells the trigger, and what the trigger tells the writer. */
typedef struct RevisionRecord
{
	/* a proposal that was judged already, under the instance's lock */
	ProposedRevision *judged;

	MemoryContext context;		/* where diff is allocated */
	int32		deployment;		/* the plan's number; 0: no plan */
	Jsonb	   *diff;			/* from what runs, masked */
} RevisionRecord;

/* promotion/stage.c */
extern void stage_check_revision(FunctionCallInfo fcinfo, int argument,
								 const ProposedRevision *proposed);
extern bool stage_is_unchanged(const ProposedRevision *proposed);
extern void stage_number(ProposedRevision *proposed);
extern void stage_write(const Sql *sql, const Staging *staging, ProposedRevision *proposed,
						MemoryContext caller, Staged *staged);
extern Datum stage_result(FunctionCallInfo fcinfo, const Staged *staged);

/* promotion/revision.c */
extern void config_store(const Sql *sql, const char *project, const Jsonb *params);
extern void revision_record_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);

#endif							/* PROMOTE_PROMOTION_STAGE_H */
