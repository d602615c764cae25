/*
 * revert.h: what of a promotion undoes that its destination has set itself.
 */
#ifndef PROMOTE_PROMOTION_REVERT_H
#define PROMOTE_PROMOTION_REVERT_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/entry.h"
#include "promotion/proposal.h"

extern void reverts_find(const Sql *sql, const ProposedRevision *proposed, int32 after, bool read_only,
						 Entries *entries);
extern void reverts_assume(const Sql *sql, const ProposedRevision *proposed, Entries *entries);

#endif							/* PROMOTE_PROMOTION_REVERT_H */
