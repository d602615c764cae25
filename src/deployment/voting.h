/*
 * voting.h: approving and rejecting.
 */
#ifndef PROMOTE_DEPLOYMENT_VOTING_H
#define PROMOTE_DEPLOYMENT_VOTING_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/deployment.h"

extern void approval_vote_plan(const Sql *sql, const Deployment *plan, bool approved, const char *reason);
extern bool approval_vote_proposal(const Sql *sql, const Deployment *proposal, const char *message);

#endif							/* PROMOTE_DEPLOYMENT_VOTING_H */
