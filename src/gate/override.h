/*
 * override.h: gates that are overridden.
 */
#ifndef PROMOTE_GATE_OVERRIDE_H
#define PROMOTE_GATE_OVERRIDE_H

#include "postgres.h"

#include "gate/gate.h"
#include "grant/actor.h"

extern bool override_may(const InstanceKey *key, const char *code, const Person *person);
extern void override_apply(GateCase *gate);

#endif							/* PROMOTE_GATE_OVERRIDE_H */
