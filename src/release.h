/*
 * release.h: releases that are taken out of use.
 */
#ifndef PROMOTE_RELEASE_H
#define PROMOTE_RELEASE_H

#include "postgres.h"

#include "compat.h"
#include "gate.h"

pg_noreturn extern void refuse_blocked_release(const char *bundle, const char *version, const char *reason);
extern void release_require_unblocked(const char *bundle, const char *version);
extern void gate_release(GateCase *gate);

#endif							/* PROMOTE_RELEASE_H */
