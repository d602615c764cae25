/*
 * static.h: gates of what stays as it is until somebody changes it.
 */
#ifndef PROMOTE_GATE_STATIC_H
#define PROMOTE_GATE_STATIC_H

#include "postgres.h"

#include "gate/gate.h"

extern void gate_path(GateCase *gate);
extern void gate_component(GateCase *gate);
extern void gate_release(GateCase *gate);
extern void gate_secrets(GateCase *gate);
extern void gate_references(GateCase *gate);

#endif							/* PROMOTE_GATE_STATIC_H */
