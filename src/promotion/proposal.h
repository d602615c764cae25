/*
 * proposal.h: desired states that are proposed, read with all that they are
 * judged by.
 */
#ifndef PROMOTE_PROMOTION_PROPOSAL_H
#define PROMOTE_PROMOTION_PROPOSAL_H

#include "postgres.h"

#include "base/compat.h"
#include "base/sql.h"
#include "compose/compose.h"
#include "ledger/audit.h"
#include "parse/name.h"

/* How a revision came about. */
typedef enum RevisionOrigin
{
	ORIGIN_NONE,				/* it is not there yet, or nobody knows */
	ORIGIN_EDIT, ORIGIN_PROMOTION, ORIGIN_FORK, ORIGIN_ROLLBACK, ORIGIN_ADOPTION
} RevisionOrigin;

/* The names in SQL. */
extern const char *const revision_origins[];

/* What is proposed for an instance, and what it is judged by. */
typedef struct ProposedRevision
{
	InstanceKey key;
	Proposal	proposal;		/* its params: what the row proposes, or, of a
								 * source, what it desires */
	char	   *version_constraint; /* proposed; NULL: the source has none */
	char	   *release_channel;

	/* the instance's present state; counters of 0 are none */
	int32		current_revision;
	int32		current_deployment;
	char	   *current_constraint;
	char	   *current_channel;
	bytea	   *current_digest;
	int32		deployed_by;	/* the PROVISION that it runs by */
	char	   *current_bundle;
	char	   *current_version;
	AuditHead	head;			/* of its chain */

	/* its last plan that came to something, which the diff starts from; 0 is none */
	int32		base_revision;
	bytea	   *planned_digest; /* of what it rendered */
	char	   *previous_bundle;
	char	   *previous_version;
	bool		planned_destructive;

	/* where it comes from */
	int32		source_revision;	/* 0: it has none */
	char	   *source_bundle;	/* NULL with it, or where it is not there */
	char	   *source_version;
	char	   *source_environment;	/* may be the instance's own; NULL with it */
	bool		path_only;		/* another one must be on a path to its */

	/* of a row of revision; otherwise filled in when one is written */
	int32		revision;
	bool		plan;
	bool		fits;			/* its release, to constraint and component */
	RevisionOrigin origin;
	bytea	   *digest;			/* of the params */
	Jsonb	   *facts;			/* for the audit log */
	char	   *actor;
	char	   *database_role;
	TimestampTz created_at;

	/* what fills the slots of the release; of all NULL is none */
	Jsonb	   *slots;
	Jsonb	   *references;
	Jsonb	   *planned_references; /* as last planned */
	List	   *replaced;		/* slots in which what runs has another one: char *; see carry_judge */
	List	   *copied_secrets; /* SecretCopy *: what a promotion does to secrets */
	bool		carried;		/* it has changed references or secrets already */

	char	   *block_reason;	/* of the release; NULL: it is not blocked */
	Datum		view;			/* that it was read behind, see rule_hold.c; 0: not known */
	const char *message;		/* for the plan; NULL: none */
} ProposedRevision;

extern uint64 proposal_lock_new(const Sql *sql);
extern Portal proposal_open_new(const Sql *sql);
extern SqlRows proposal_fetch_new(Portal cursor, long count);
extern bool proposal_from(const Sql *sql, const InstanceKey *destination, const char *source_environment,
						  const char *version_constraint, const char *release_channel,
						  bool read_only, ProposedRevision *proposed);
extern bool proposal_read(const Sql *sql, SqlRows *rows, uint64 row, bool read_only, ProposedRevision *proposed);
extern List *proposal_deployed(const Sql *sql, const InstanceKey *key, int32 deployed_by, bool read_only);
extern void proposal_require_history(const ProposedRevision *proposed);
extern void proposal_require_release(const Sql *sql, const ProposedRevision *proposed);
extern bool proposal_minds_blocks(RevisionOrigin origin);
extern void proposal_require_unblocked(const ProposedRevision *proposed, RevisionOrigin origin);

#endif							/* PROMOTE_PROMOTION_PROPOSAL_H */
