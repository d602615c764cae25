/*
 * policy.h: gates that users write, as SQL functions.
 */
#ifndef PROMOTE_POLICY_H
#define PROMOTE_POLICY_H

#include "postgres.h"

#include "gate.h"

extern void gate_policies(GateCase *gate);
extern bool policy_is_asked(void);

#endif							/* PROMOTE_POLICY_H */
