/*
 * proposal.h: desired states that are proposed, read with all that they are
 * judged by.
 */
#ifndef PROMOTE_PROPOSAL_H
#define PROMOTE_PROPOSAL_H

#include "postgres.h"

#include "compat.h"
#include "audit.h"
#include "compose.h"
#include "name.h"
#include "spi.h"

/* One row of the proposing SELECT. */
typedef struct ProposedRevision
{
	InstanceKey key;
	Proposal	proposal;
	int32		current_revision;	/* the instance's counters: 0 is none */
	int32		current_deployment;
	int32		revision;		/* proposed; 0 in a preview */
	int32		base_revision;	/* where the diff starts; 0: nowhere */
	char	   *previous_version;	/* NULL: never planned */
	bool		plan;
	bytea	   *digest;			/* of the params; NULL in a preview */
	Jsonb	   *facts;			/* for the audit log; NULL in a preview */
	char	   *actor;			/* as the row says; NULL in a preview */
	char	   *database_role;
	TimestampTz created_at;
	AuditHead	head;			/* of the instance's chain */
} ProposedRevision;

extern Portal proposal_open_new(void);
extern Portal proposal_open_desired(const InstanceKey *key);
extern Portal proposal_open_preview(const InstanceKey *key, const Jsonb *params,
									const char *version_constraint,
									const char *release_channel);
extern void proposal_read(SPITupleTable *rows, uint64 row, ProposedRevision *proposed);
extern void refuse_no_release(const char *bundle, const char *version_constraint,
							  const char *release_channel) pg_attribute_noreturn();

#endif							/* PROMOTE_PROPOSAL_H */
