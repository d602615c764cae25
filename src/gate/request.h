/*
 * request.h: what a request holds is deployed by it alone.
 */
#ifndef PROMOTE_GATE_REQUEST_H
#define PROMOTE_GATE_REQUEST_H

#include "gate/gate.h"

extern void gate_request(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_REQUEST_H */
