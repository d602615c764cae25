/*
 * static.h: gates of what stays as it is until somebody changes it.
 */
#ifndef PROMOTE_GATE_STATIC_H
#define PROMOTE_GATE_STATIC_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"

extern void gate_path(const Sql *sql, GateCase *gate);
extern void gate_component(const Sql *sql, GateCase *gate);
extern void gate_release(const Sql *sql, GateCase *gate);
extern void gate_secrets(const Sql *sql, GateCase *gate);
extern void gate_references(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_STATIC_H */
