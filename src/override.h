/*
 * override.h: gates that are overridden.
 */
#ifndef PROMOTE_OVERRIDE_H
#define PROMOTE_OVERRIDE_H

#include "postgres.h"

#include "gate.h"

extern void override_apply(GateCase *gate);

#endif							/* PROMOTE_OVERRIDE_H */
