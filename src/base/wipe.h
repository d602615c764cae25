/*
 * wipe.h: memory that is overwritten before it is given back.
 *
 * For keys and for what they open.  However the memory goes, nothing of what
 * was in it stays: not after wiped_free, and not after an error, even where
 * the transaction is not rolled back yet.
 */
#ifndef PROMOTE_BASE_WIPE_H
#define PROMOTE_BASE_WIPE_H

#include "postgres.h"

extern void wipe_init(void);
extern void *wiped_alloc(Size size);
extern void wiped_free(void *memory);

#endif							/* PROMOTE_BASE_WIPE_H */
