/*
 * prune.h: retention: old rows of a chain make way for a checkpoint.
 */
#ifndef PROMOTE_PRUNE_H
#define PROMOTE_PRUNE_H

#include "postgres.h"

extern bool prune_is_at_work(void);

#endif							/* PROMOTE_PRUNE_H */
