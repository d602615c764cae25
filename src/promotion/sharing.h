/*
 * sharing.h: proposals with equal inputs are validated, rendered and compared once.
 */
#ifndef PROMOTE_PROMOTION_SHARING_H
#define PROMOTE_PROMOTION_SHARING_H

#include "postgres.h"

#include "base/shared.h"
#include "base/sql.h"
#include "promotion/proposal.h"

typedef struct Sharing Sharing;

extern Sharing *sharing_create(MemoryContext parent);
extern Shared *sharing_values(Sharing *sharing);
extern void sharing_trim(Sharing *sharing);
extern int	sharing_page_size(const Sharing *sharing);
extern void sharing_measure(Sharing *sharing);
extern void sharing_begin(Sharing *sharing);
extern bool sharing_compose(Sharing *sharing, Proposal *proposal, const Jsonb *overrides);
extern void sharing_judge(const Sql *sql, Sharing *sharing, ProposedRevision *proposed);
extern void sharing_judge_again(const Sql *sql, Sharing *sharing, ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_SHARING_H */
