/*
 * state.h: gates about what the source and the destination are, and what
 * the plan would do.
 */
#ifndef PROMOTE_GATE_STATE_H
#define PROMOTE_GATE_STATE_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"

extern char *gate_source_name(const GateCase *gate);
extern bool gate_has_source(const GateCase *gate);
extern void gate_source_in_sync(const Sql *sql, GateCase *gate);
extern void gate_drift(const Sql *sql, GateCase *gate);
extern void gate_destructive(const Sql *sql, GateCase *gate);
extern void gate_unexpected(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_STATE_H */
