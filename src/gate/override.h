/*
 * override.h: gates that are overridden.
 */
#ifndef PROMOTE_GATE_OVERRIDE_H
#define PROMOTE_GATE_OVERRIDE_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "grant/actor.h"

extern bool override_may(const Sql *sql, const InstanceKey *key, const char *code, const Person *person);
extern void override_apply(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_OVERRIDE_H */
