/*
 * wipe.h: memory that is overwritten before it is freed.
 *
 * It is for keys and for the values that they decrypt.  Nothing of its content remains after
 * wiped_free, nor after an error, even while the failed transaction waits for its ROLLBACK.
 */
#ifndef PROMOTE_BASE_WIPE_H
#define PROMOTE_BASE_WIPE_H

#include "postgres.h"

extern void wipe_init(void);
extern void *wiped_alloc(Size size);
extern void wiped_free(void *memory);

#endif							/* PROMOTE_BASE_WIPE_H */
