/*
 * proposal.h: proposals of a desired state, read with everything that they are judged by.
 */
#ifndef PROMOTE_PROMOTION_PROPOSAL_H
#define PROMOTE_PROMOTION_PROPOSAL_H

#include "postgres.h"

#include "base/compat.h"
#include "base/sql.h"
#include "compose/compose.h"
#include "ledger/audit.h"
#include "parse/name.h"

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

/* What stands for a source's revision that is desired, or runs, where one is proposed. */
#define PROPOSAL_DESIRED 0
#define PROPOSAL_RUNNING (-1)

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
	int32		current_deployment;
	char	   *current_constraint;
	char	   *current_channel;
	bytea	   *current_digest;
	int32		deployed_by;	/* the PROVISION that runs; 0: none */
	int32		changed_by;		/* the last deployment that may have changed what runs; 0: none */
	bool		decommissioned; /* and nothing was deployed since */
	char	   *current_bundle;
	char	   *current_version;
	PromotionMode promotion_mode;	/* of the instance's environment */
	AuditHead	head;			/* of the instance's chain */

	/* the last plan that came to something; no revision: there is none */
	int32		plan_revision;
	bytea	   *plan_digest;	/* of what it rendered */
	char	   *plan_version;
	char	   *plan_constraint;	/* of its revision */
	char	   *plan_channel;
	Jsonb	   *plan_params;	/* rendered; NULL: those of the desired revision, or not needed */
	Jsonb	   *plan_references;
	Jsonb	   *plan_diff;		/* NULL: not needed */
	Jsonb	   *waiting_secrets;	/* brought by promotions: [name, revision, replaced]; NULL: none */
	bool		plan_destructive;
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

	char	   *block_reason;	/* of the release; NULL: it is not blocked */
	Datum		view;			/* taken before the proposal was read, see rule_hold.c; 0: unknown */
	const char *message;		/* for the plan; NULL: none */
} ProposedRevision;

extern uint64 proposal_lock_new(const Sql *sql);
extern Portal proposal_open_new(const Sql *sql);
extern SqlRows proposal_fetch_new(Portal cursor, long count);
extern void proposal_from(const Sql *sql, const InstanceKey *destination, const char *source_environment,
						  const char *version_constraint, const char *release_channel,
						  bool read_only, ProposedRevision *proposed);
extern void proposal_from_revision(const Sql *sql, const InstanceKey *destination, const char *source_environment,
								   int32 source_revision, const char *version_constraint,
								   const char *release_channel, bool read_only, ProposedRevision *proposed);
extern bool proposal_read(const Sql *sql, SqlRows *rows, uint64 row, bool read_only, ProposedRevision *proposed);
extern void proposal_require_history(const ProposedRevision *proposed);
extern void proposal_render_references(ProposedRevision *proposed);
extern void proposal_check(ProposedRevision *proposed);
extern void proposal_require_release(const Sql *sql, const ProposedRevision *proposed);
extern bool proposal_minds_blocks(RevisionOrigin origin);
extern void proposal_require_unblocked(const ProposedRevision *proposed, RevisionOrigin origin);
extern char *proposal_would_revive(const InstanceKey *destination);
extern void proposal_require_alive(const ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_PROPOSAL_H */
