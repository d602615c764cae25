/*
 * review.h: what was reviewed is what runs.
 */
#ifndef PROMOTE_REVIEW_H
#define PROMOTE_REVIEW_H

#include "postgres.h"

#include "deployment.h"
#include "name.h"
#include "proposal.h"

/* What would be deployed of an instance now, and by which rules. */
typedef struct Review
{
	ProposedRevision proposed;	/* judged, so that it is rendered */
	bytea	   *rendered_digest;
	char	   *status;			/* the instance's */
	int32		deployed_by;	/* 0: it is not provisioned */
	int32		changed_by;		/* 0: nothing has run yet */
	bool		require_plan;
	bool		protected;		/* from being decommissioned */
} Review;

#define SAME_KEY(a, b) a ".project = " b ".project AND " a ".environment = " b ".environment" \
	" AND " a ".component = " b ".component"

/*
 * SQL for why what waits must not be begun any more, where d is the
 * deployment and i its instance: what was reviewed, or allowed, when it was
 * queued is so no longer.  NULL: it may be.
 */
#define OUTDATED \
	"CASE WHEN d.plan IS NOT NULL AND (SELECT p.seen_change FROM promote.deployment AS p" \
	"  WHERE " SAME_KEY("p", "d") " AND p.deployment = d.plan) <> i.changed_by" \
	" THEN pg_catalog.concat('deployment ', i.changed_by, ' has changed the instance since it was planned')" \
	" WHEN d.action = 'PROVISION' THEN (SELECT pg_catalog.concat('release ', f.version, ' is blocked: ', f.block_reason)" \
	"  FROM promote.bundle_release AS f WHERE f.bundle = d.bundle AND f.version = d.version" \
	"  AND f.block_reason IS NOT NULL)" \
	" WHEN d.action = 'DECOMMISSION' AND (SELECT e.decommission_protection FROM promote.environment AS e" \
	"  WHERE e.project = d.project AND e.environment = d.environment)" \
	" THEN 'the instance is protected from being decommissioned by now'" \
	" WHEN d.action = 'DECOMMISSION' AND (SELECT p.rendered_digest <> d.rendered_digest OR p.version <> d.version" \
	"  FROM promote.deployment AS p WHERE " SAME_KEY("p", "d") " AND p.deployment = i.changed_by)" \
	" THEN pg_catalog.concat('deployment ', i.changed_by, ' has changed the instance since it was queued')" \
	" END"

extern void release_require_unblocked(const char *bundle, const char *version);
extern void review_open(const InstanceKey *key, Review *review);
extern void review_judge(Review *review);
extern int32 review_last_plan(const Review *review);
extern void review_find_plan(const Review *review, int32 named, Deployment *plan);
extern void review_decommission(const Review *review);
extern void review_proposal(const InstanceKey *key, int32 deployment);
extern char *review_replaces(const InstanceKey *key, int32 deployment);

#endif							/* PROMOTE_REVIEW_H */
