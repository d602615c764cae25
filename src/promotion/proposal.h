/*
 * proposal.h: proposals of a desired state, read with everything that they are judged by.
 */
#ifndef PROMOTE_PROMOTION_PROPOSAL_H
#define PROMOTE_PROMOTION_PROPOSAL_H

#include "postgres.h"

#include "base/batch.h"
#include "base/compat.h"
#include "base/sql.h"
#include "compose/compose.h"
#include "ledger/audit.h"
#include "parse/name.h"
#include "registry/path.h"

/* The origins of revisions. */
typedef enum RevisionOrigin
{
	ORIGIN_NONE,				/* no revision yet, or unknown */
	ORIGIN_EDIT, ORIGIN_PROMOTION, ORIGIN_FORK, ORIGIN_ROLLBACK, ORIGIN_ADOPTION, ORIGIN_MERGE
} RevisionOrigin;

/* The names of origins in SQL. */
extern const char *const revision_origins[];

/* What a promotion does with what the destination has changed itself. */
typedef enum PromotionMode
{
	MODE_UNKNOWN,				/* or none that was asked for */
	MODE_REPLACE,				/* it goes */
	MODE_MERGE					/* it stays */
} PromotionMode;

/* The names of modes in SQL. */
extern const char *const promotion_modes[];

/* What stands for the version that the source runs, where a version constraint is proposed. */
#define PROPOSAL_PINNED "pinned"

/* What stands for a source's revision that is desired, runs, or is not read, where one is proposed. */
#define PROPOSAL_DESIRED 0
#define PROPOSAL_RUNNING (-1)
#define PROPOSAL_SUPPOSED (-2)	/* see promotion_suppose */

/* A proposal for an instance, and what it is judged by. */
typedef struct ProposedRevision
{
	InstanceKey key;
	Proposal	proposal;		/* its params: what the row proposes, or, of a
								 * source, what it desires */
	char	   *version_constraint; /* the proposed one; NULL: the source has none */
	char	   *release_channel;
	bool		pinned;			/* to what the source runs; then no constraint where it runs nothing */

	/* the instance's present state; counters of 0 mean none */
	int32		current_revision;
	int32		opened_revision;	/* the same where nothing is desired yet, see proposal_is_fresh */
	bool		archived;		/* is the instance's environment? */
	int32		current_deployment;
	char	   *current_constraint;
	char	   *current_channel;
	bytea	   *current_digest;
	bool		current_taken;	/* is it as a promotion has composed it, without overrides? */
	RevisionOrigin own_origin;	/* of the desired revision */
	Jsonb	   *own_source_params;	/* of what it was promoted from; NULL: the same, or there is no such */
	char	   *own_source_constraint;	/* of that; NULL: there is no such */
	char	   *own_source_channel;
	int32		deployed_by;	/* the PROVISION that runs; 0: none */
	int32		changed_by;		/* the last deployment that may have changed what runs; 0: none */
	bool		decommissioned; /* and nothing was deployed since */
	char	   *current_bundle;
	char	   *current_version;
	PromotionMode promotion_mode;	/* of the instance's environment */
	const char *version_policy; /* of promotions to that from others */
	AuditHead	head;			/* of the instance's chain */
	bytea	   *digest_key;		/* of the project */
	Carried		running;		/* what runs; no bundle: nothing */
	bool		runs_alone;		/* has no other PROVISION begun since that may run? */

	/* the last plan that came to something; no revision: there is none */
	int32		plan_revision;
	bytea	   *plan_digest;	/* of what it rendered */
	char	   *plan_version;
	Jsonb	   *plan_params;	/* rendered; NULL: those of the desired revision, or not needed */
	Jsonb	   *plan_references;
	Jsonb	   *plan_diff;		/* NULL: not needed */
	bool		has_secrets;	/* has a promotion brought any? */
	List	   *waiting_secrets;	/* brought by promotions: SecretWaiting * */
	bool		plan_destructive;
	bool		plan_reverts;	/* does its diff undo what the instance had set itself? */
	int32		plan_base;		/* the PROVISION that its diff starts from; 0: none */
	bool		plan_stands;	/* is that what runs, and nothing has changed it since? */

	/* the source of the proposal */
	int32		source_revision;	/* 0: no source */
	char	   *source_bundle;	/* NULL: no source, or it does not exist */
	char	   *source_version;
	char	   *source_constraint;	/* of that revision, as is source_channel; NULL with it */
	char	   *source_channel;
	char	   *source_environment;	/* may be the instance's own; NULL: no source */
	bool		path_only;		/* another environment must have a path to the instance's own */
	PathSeen   *path_seen;		/* of proposals that are judged together; NULL: it is judged alone */

	/* read from a row of revision; filled in when a verb writes one */
	int32		revision;
	bool		plan;
	bool		fits;			/* does the release fit constraint and component? */
	RevisionOrigin origin;
	bytea	   *digest;			/* of the params */
	Jsonb	   *facts;			/* for the audit log */
	char	   *actor;
	char	   *database_role;
	TimestampTz created_at;

	/* remote references, and the slots of releases that they fill; NULL members mean none */
	Jsonb	   *slots;
	Jsonb	   *own_slots;		/* of the release that is desired until now */
	Jsonb	   *set_references; /* all that are set, as they are written, whatever release declares their slots */
	Jsonb	   *written_references; /* that would fill the slots, as they are written */

	/* filled in by proposal_render_references */
	Jsonb	   *present_references; /* all that are set, rendered */
	Jsonb	   *own_references; /* as they are desired until now */
	Jsonb	   *references;		/* as they would be deployed */
	List	   *reference_problems; /* why some cannot be deployed: ReferenceProblem * */
	List	   *replaced;		/* slots in which another reference runs: char *; see carry_judge */
	List	   *copied_secrets; /* what a promotion does to secrets: SecretCopy * */
	bool		carried;		/* references or secrets were changed already */

	Jsonb	   *diff;			/* from what runs, see proposal_diff; NULL: not made yet */
	Jsonb	   *packed_diff;	/* the same as it is stored, compressed; NULL: not made, for it is no set */
	bool		reverts;		/* does it undo what the instance had set itself? */
	bool		is_staged;		/* by a verb, which shows the diff also where there is no plan */
	bool		asks_plan;		/* of a verb: what the row says in the place of plan */

	/* of a plan in a set; the paths are NULL for none */
	bytea	   *rendered_digest;	/* where the rendered params are not the revision's own */
	bool		rendered_known;	/* are they gathered already, for another instance? */
	const Jsonb *plan_kept;		/* paths that stay marked in what it renders, except those of the revision */
	const Jsonb *staged_kept;	/* those of a revision that a verb stages */

	char	   *block_reason;	/* of the release; NULL: it is not blocked */
	int32		place;			/* among those that are read together */
	Datum		view;			/* taken before the proposal was read, see rule_hold.c; 0: unknown */
	const char *message;		/* for the plan; NULL: none */
} ProposedRevision;

extern uint64 proposal_lock_new(const Sql *sql);
extern Portal proposal_open_new(const Sql *sql);
extern SqlRows proposal_fetch_new(Portal cursor, long count);
extern void proposal_begin_asked(Batch *asked);
extern void proposal_ask(Batch *asked, const InstanceKey *destination, const char *source_environment,
						 int32 source_revision, const char *version_constraint, const char *release_channel);
extern ProposedRevision **proposal_read_asked(const Sql *sql, Batch *asked, Shared *shared);
extern ProposedRevision **proposal_read_fresh(const Sql *sql, Batch *asked, const Jsonb *parameters, Shared *shared);
extern void proposal_require_source(const Sql *sql, ProposedRevision *proposed, Datum view, bool read_only);
extern ProposedRevision *proposal_read_all(const Sql *sql, SqlRows *rows);
extern ProposedRevision *proposals_own(const Sql *sql, const Batch *instances, Shared *shared, uint64 *count);
extern void proposal_read_rest(const Sql *sql, bool read_only, ProposedRevision *proposed);
extern bool proposal_is_fresh(const ProposedRevision *proposed);
extern int32 proposal_desired(const ProposedRevision *proposed);
extern bool proposal_is_by(const Proposal *proposal, const char *bundle, const char *version);
extern void proposal_require_history(const ProposedRevision *proposed);
extern void proposal_render_references(ProposedRevision *proposed);
extern void proposal_check(ProposedRevision *proposed);
extern void proposal_require_release(const Sql *sql, const ProposedRevision *proposed);
extern bool proposal_minds_blocks(RevisionOrigin origin);
extern void proposal_require_unblocked(const ProposedRevision *proposed, RevisionOrigin origin);
extern char *proposal_would_revive(const InstanceKey *destination);
extern void proposal_require_alive(const ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_PROPOSAL_H */
