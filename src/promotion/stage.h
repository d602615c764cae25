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

#include "base/batch.h"
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
	Jsonb	   *diff;			/* from what runs, masked; a value to be returned, which may be compressed */
} RevisionRecord;

/* Those of all revisions that one statement writes, in key order. */
typedef struct RevisionRecords
{
	RevisionRecord *list;
	int			count;
} RevisionRecords;

/* Revisions that a verb has judged, and writes together. */
typedef struct StagedSet
{
	Batch		rows;
	List	   *records;		/* RevisionRecord * of each */
} StagedSet;

/* promotion/stage.c */
extern void stage_check_revision(NullableDatum argument, const ProposedRevision *proposed);
extern bool stage_is_unchanged(const ProposedRevision *proposed);
extern void stage_number(ProposedRevision *proposed);
extern bool stage_begin(const Sql *sql, const Staging *staging, ProposedRevision *proposed, MemoryContext caller,
						Staged *staged);
extern void stage_look_again(const Sql *sql, ProposedRevision *proposed);
extern void stage_decide_again(ProposedRevision *proposed);
extern void stage_judge_again(const Sql *sql, ProposedRevision *proposed);
extern void stage_begin_batch(StagedSet *set);
extern void stage_put(StagedSet *set, const Staging *staging, ProposedRevision *proposed, RevisionRecord *record);
extern void stage_write_batch(const Sql *sql, StagedSet *set);
extern void stage_write(const Sql *sql, const Staging *staging, ProposedRevision *proposed,
						MemoryContext caller, Staged *staged);
extern Datum stage_result(FunctionCallInfo fcinfo, const Staged *staged);

/* promotion/recording.c */
extern void revision_record_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);

#endif							/* PROMOTE_PROMOTION_STAGE_H */
