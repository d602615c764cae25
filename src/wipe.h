/*
 * wipe.h: memory that is overwritten before it is given back.
 *
 * For keys and for what they open.  However the memory goes, by wiped_free or
 * with its memory context after an error, nothing of what was in it stays.
 */
#ifndef PROMOTE_WIPE_H
#define PROMOTE_WIPE_H

#include "postgres.h"

extern void *wiped_alloc(Size size);
extern void wiped_free(void *memory);

#endif							/* PROMOTE_WIPE_H */
