/*
 * request_gate.h: what a request holds is deployed by it alone.
 */
#ifndef PROMOTE_REQUEST_GATE_H
#define PROMOTE_REQUEST_GATE_H

#include "gate.h"

extern void gate_request(GateCase *gate);

#endif							/* PROMOTE_REQUEST_GATE_H */
