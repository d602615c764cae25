/*
 * approval.h: who has to agree to what is planned, and who has.
 */
#ifndef PROMOTE_GATE_APPROVAL_H
#define PROMOTE_GATE_APPROVAL_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "grant/actor.h"
#include "json/builder.h"
#include "promotion/deployment.h"

extern bool approval_votes_on(const Deployment *deployment);
extern bool approval_is_own(const Sql *sql, const GateCase *gate, const Person *person);
extern int32 approval_vote(const Sql *sql, const GateCase *gate, bool approved, const char *reason, StringInfo refused);
extern void approval_check_own(const Sql *sql, const GateCase *gate);
extern void approvals_counted(const Sql *sql, const GateCase *gate, JsonBuilder *builder);

#endif							/* PROMOTE_GATE_APPROVAL_H */
