/*
 * history.h: letting what records past the guards.
 */
#ifndef PROMOTE_HISTORY_H
#define PROMOTE_HISTORY_H

#include "postgres.h"

extern bool guard_open(bool open);

#endif							/* PROMOTE_HISTORY_H */
