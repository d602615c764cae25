/*
 * policy.h: gates that users write, as SQL functions.
 */
#ifndef PROMOTE_GATE_POLICY_H
#define PROMOTE_GATE_POLICY_H

#include "postgres.h"

#include "gate/gate.h"

extern void gate_policies(GateCase *gate);

#endif							/* PROMOTE_GATE_POLICY_H */
