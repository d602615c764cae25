/*
 * health.h: what is reported of instances, and the gates that look at it.
 */
#ifndef PROMOTE_GATE_HEALTH_H
#define PROMOTE_GATE_HEALTH_H

#include "postgres.h"

#include "gate/gate.h"

extern void gate_health(GateCase *gate);
extern void gate_soak(GateCase *gate);

#endif							/* PROMOTE_GATE_HEALTH_H */
