/*
 * attempt.h: running a step that may be refused.
 */
#ifndef PROMOTE_BASE_ATTEMPT_H
#define PROMOTE_BASE_ATTEMPT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/refusal.h"

/* Why something was refused. */
typedef struct Refusal
{
	int			sqlstate;
	char	   *message;		/* with its detail */
	ErrorData  *error;			/* all of it */
} Refusal;

/* Why some of a set were refused.  Memory of the set, current when it is begun, holds all of it. */
typedef struct Refusals
{
	MemoryContext context;
	uint64		count;
	int			sqlstate;		/* of the first */
	ErrorData  *first;			/* NULL: none yet, or it was no error */
	StringInfoData told;		/* a line for each that is named */
	RefusalItems items;			/* as the lines, for programs; more of them are named */
} Refusals;

extern void refusals_begin(Refusals *refusals);
extern bool refusals_attempt(void (*step) (void *state), void *state, Refusals *refusals, Refusal *refusal);
extern void refusals_add(Refusals *refusals, const char *name, const Refusal *refusal);
extern void refusals_note(Refusals *refusals, const char *name, int sqlstate, const char *message);
extern void refusals_raise(const Refusals *refusals, uint64 total, const char *what);
extern bool attempt(void (*step) (void *state), void *state, Refusal *refusal);
extern bool attempt_to_lock(void (*step) (void *state), void *state);
extern void attempt_and_undo(void (*step) (void *state), void *state);
extern bool attempt_resources(void (*step) (void *state), void *state);

#endif							/* PROMOTE_BASE_ATTEMPT_H */
