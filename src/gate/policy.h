/*
 * policy.h: gates that users write, as SQL functions.
 */
#ifndef PROMOTE_GATE_POLICY_H
#define PROMOTE_GATE_POLICY_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"

extern void gate_policies(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_POLICY_H */
