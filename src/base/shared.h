/*
 * shared.h: values that many rows hold, kept once.
 */
#ifndef PROMOTE_BASE_SHARED_H
#define PROMOTE_BASE_SHARED_H

#include "postgres.h"

typedef struct Shared Shared;

extern Shared *shared_create(MemoryContext parent);
extern void *shared_value(Shared *shared, Datum value);
extern const char *shared_text(Shared *shared, const char *text);
extern Size shared_size(const Shared *shared);
extern void shared_reset(Shared *shared);

#endif							/* PROMOTE_BASE_SHARED_H */
