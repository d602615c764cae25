/*
 * health.h: what is reported of instances, and the gates that look at it.
 */
#ifndef PROMOTE_GATE_HEALTH_H
#define PROMOTE_GATE_HEALTH_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"

extern void gate_health(const Sql *sql, GateCase *gate);
extern void gate_soak(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_HEALTH_H */
