/*
 * guard.h: letting the recording triggers past the guard of the instances.
 */
#ifndef PROMOTE_GUARD_H
#define PROMOTE_GUARD_H

#include "postgres.h"

extern bool guard_open(bool open);

#endif							/* PROMOTE_GUARD_H */
