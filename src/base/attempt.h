/*
 * attempt.h: running a step that may be refused.
 */
#ifndef PROMOTE_BASE_ATTEMPT_H
#define PROMOTE_BASE_ATTEMPT_H

#include "postgres.h"

/* Why something was refused. */
typedef struct Refusal
{
	int			sqlstate;
	char	   *message;		/* with its detail */
} Refusal;

extern bool attempt(void (*step) (void *state), void *state, Refusal *refusal);
extern bool attempt_to_lock(void (*step) (void *state), void *state);

#endif							/* PROMOTE_BASE_ATTEMPT_H */
