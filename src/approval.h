/*
 * approval.h: who has to agree to what is planned, and who has.
 */
#ifndef PROMOTE_APPROVAL_H
#define PROMOTE_APPROVAL_H

#include "postgres.h"

#include "actor.h"
#include "deployment.h"
#include "gate.h"
#include "json/builder.h"

extern bool approval_votes_on(const Deployment *deployment);
extern void approval_vote_plan(const Deployment *plan, bool approved, const char *reason);
extern bool approval_vote_proposal(const Deployment *proposal, const char *message);
extern bool approval_is_own(const GateCase *gate, const Person *person);
extern void approval_check_own(const GateCase *gate);
extern bytea *approval_decommission_digest(const bytea *rendered_digest, int32 changed_by);

extern void gate_approval(GateCase *gate);
extern void approvals_counted(const GateCase *gate, JsonBuilder *builder);

#endif							/* PROMOTE_APPROVAL_H */
