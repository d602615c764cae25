/*
 * policy.h: gates that users write, as SQL functions.
 */
#ifndef PROMOTE_POLICY_H
#define PROMOTE_POLICY_H

#include "postgres.h"

#include "gate.h"

extern void gate_policies(GateCase *gate);

#endif							/* PROMOTE_POLICY_H */
