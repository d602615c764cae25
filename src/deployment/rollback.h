/*
 * rollback.h: rollbacks, of one instance and of many.
 */
#ifndef PROMOTE_DEPLOYMENT_ROLLBACK_H
#define PROMOTE_DEPLOYMENT_ROLLBACK_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/compose.h"
#include "parse/name.h"
#include "promotion/promotion_set.h"
#include "promotion/proposal.h"

/* A rollback as it is asked for, and what is read for it. */
typedef struct Rollback
{
	InstanceKey key;
	int32		wanted;			/* revision that is asked for; 0: the last one deployed that is not desired */
	int32		desired;		/* the instance's revision; 0: none */

	/* where it leads to; 0 and NULL: to nothing that ran */
	int32		revision;
	char	   *bundle;
	const char *version;		/* release that ran */
	bool		is_desired;		/* the desired revision, by the release that its constraint selects now */
	char	   *block_reason;	/* NULL: the release may be deployed */
	char	   *channel;
	char	   *judged_version; /* release that the revision was judged by */
	Jsonb	   *judged_schema;	/* schema of judged_version; NULL: that is the release that ran */
	Jsonb	   *params;
	Jsonb	   *kept;			/* paths of the revision that keep marks; NULL: none */

	int32		place;			/* among those that are read together */
	ProposedRevision proposed;
	List	   *obstacles;		/* Obstacle * */
} Rollback;

/* The columns of promote_internal.rollback_target AS t. */
#define ROLLBACK_TARGET_FIELDS \
	SQL_FIELDS(Rollback, "t", desired, revision, bundle, version, is_desired, block_reason), \
	SQL_FIELD(Rollback, channel, "t.release_channel"), \
	SQL_FIELDS(Rollback, "t", judged_version, judged_schema, params), \
	SQL_FIELD(Rollback, kept, "t.kept_marks")

/* deployment/rollback.c */
extern ReleaseWish rollback_release(const Rollback *rollback);
extern void rollback_adopt(Rollback *rollback);
extern void rollback_judge(const Sql *sql, Rollback *rollback, bool allow_replace);
extern void rollback_require(const Rollback *rollback);

/* deployment/rollback_set.c */
extern const PromotionKind rollback_kind;

#endif							/* PROMOTE_DEPLOYMENT_ROLLBACK_H */
