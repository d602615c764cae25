/*
 * promotion_path.h: which environments lead to which.
 */
#ifndef PROMOTE_PROMOTION_PATH_H
#define PROMOTE_PROMOTION_PATH_H

#include "postgres.h"

#include "gate.h"
#include "name.h"
#include "proposal.h"

extern void path_require(const ProposedRevision *proposed, bool read_only);
extern void gate_path(GateCase *gate);
extern char *path_next(const InstanceKey *source);

#endif							/* PROMOTE_PROMOTION_PATH_H */
