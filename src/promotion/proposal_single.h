/*
 * proposal_single.h: one proposal, read row by row.
 */
#ifndef PROMOTE_PROMOTION_PROPOSAL_SINGLE_H
#define PROMOTE_PROMOTION_PROPOSAL_SINGLE_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/proposal.h"

extern void proposal_from(const Sql *sql, const InstanceKey *destination, const char *source_environment,
						  const char *version_constraint, const char *release_channel,
						  bool read_only, ProposedRevision *proposed);
extern void proposal_from_revision(const Sql *sql, const InstanceKey *destination, const char *source_environment,
								   int32 source_revision, const char *version_constraint,
								   const char *release_channel, bool read_only, ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_PROPOSAL_SINGLE_H */
