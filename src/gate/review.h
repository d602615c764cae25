/*
 * review.h: only what was reviewed may run.
 */
#ifndef PROMOTE_GATE_REVIEW_H
#define PROMOTE_GATE_REVIEW_H

#include "postgres.h"

#include "base/batch.h"
#include "base/sql.h"
#include "parse/name.h"
#include "promotion/deployment.h"
#include "promotion/proposal.h"
#include "registry/release.h"

/* What was read for the review of an instance, of many at once. */
typedef struct ReviewKnown
{
	bool		in_sync;
	int32		carried_plan;	/* that the last change of the instance followed, where it is in sync; 0: none */
	int32		last_plan;		/* the last completed plan of the desired revision; 0: none */
	Deployment	plan;			/* that would be followed: the one that is named, or the last; deployment 0: none */
	int32		newer_plan;		/* a later one with another result; 0: none */
	char	   *change_before;	/* see add_change_before; NULL: nothing */
	ReleaseSeen *seen;			/* of all that are reviewed together */
} ReviewKnown;

/* What would be deployed of an instance now, and by which rules. */
typedef struct Review
{
	ProposedRevision proposed;	/* judged, so that it is rendered */
	bytea	   *rendered_digest;
	int32		deployed_by;	/* 0: it is not provisioned */
	int32		changed_by;		/* 0: nothing has run yet */
	bool		require_plan;	/* by its environment, or as it was decommissioned */
	bool		protected;		/* from being decommissioned */
	bool		asking;			/* lock nothing, and leave the release to its gate */
	const ReviewKnown *known;	/* NULL: nothing was read before */
} Review;

/* A review of many. */
typedef struct ReviewOrder
{
	int32		named;			/* the plan; 0: none is */
	Review		review;
	ReviewKnown known;
} ReviewOrder;

extern void review_open(const Sql *sql, const InstanceKey *key, Review *review);
extern void review_begin_batch(Batch *instances);
extern void review_open_all(const Sql *sql, Batch *instances, Shared *shared, ReviewOrder *orders);
extern void review_require(const Review *review);
extern void review_judge(const Sql *sql, Review *review);
extern int32 revision_last_plan(const Sql *sql, const InstanceKey *key, int32 revision, bool completed);
extern bool review_is_carried_out(const Sql *sql, const Review *review, int32 named);
extern bool review_plan_holds(const Sql *sql, const Review *review, const Deployment *plan);
extern void review_find_plan(const Sql *sql, const Review *review, int32 named, Deployment *plan);
extern void review_decommission(const Review *review);
extern void review_proposal(const InstanceKey *key, int32 deployment);
extern void review_deployment(const Sql *sql, const Deployment *deployment);
extern void review_require_current(const Sql *sql, const InstanceKey *key, int32 deployment);
extern char *review_replaces(const Sql *sql, const InstanceKey *key, int32 deployment);
extern char *review_outdated(const Sql *sql, const InstanceKey *key, int32 deployment);

#endif							/* PROMOTE_GATE_REVIEW_H */
