/*
 * set.h: sets of instances, or of deployments, that a verb is called with.
 *
 * A verb of many takes an array of names, and arrays of the same length for what differs from one
 * element to the next.  It judges every element, and notes of each that it refuses the code and
 * the problem.  Then it either refuses the call with a list of them, or, where the caller has
 * asked for a part, goes on without them.  What is left is locked in key order, and written in
 * batches of SET_BATCH, each by the same few statements.
 */
#ifndef PROMOTE_REGISTRY_SET_H
#define PROMOTE_REGISTRY_SET_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "base/batch.h"
#include "base/sql.h"
#include "parse/name.h"

#define SET_BATCH 200			/* written at a time */

/* An element of a set. */
typedef struct Element
{
	const char *name;			/* of its instance, as it was given; NULL: as null */
	InstanceKey key;
	int32		number;			/* of its deployment; 0: none */
	int32		fencing;		/* of the claim; 0: none */
	int			sqlstate;		/* why it was refused; 0: it was not */
	const char *problem;		/* NULL with it */
	const char *action;			/* of its deployment in the end; NULL: it was refused */
	const char *status;
	bool		queued;			/* is it a new one? */
	int32		revision;		/* that it is of; 0: unknown */
	const Jsonb *diff;			/* that it carries, where the verb keeps it; NULL: unknown, or none */
	void	   *item;			/* what the verb keeps of it */
} Element;

typedef struct Set
{
	Element    *elements;		/* in the order in which they were given */
	int			count;
	Element   **left;			/* those that were not refused, in the order of locks */
	int			left_count;
	MemoryContext context;		/* of the call */
} Set;

/* The columns by which statements find elements again, and their values. */
#define SET_NAMES "place", "project", "environment", "component", "deployment"
#define SET_COLUMNS(set, element) \
	AS_INT((int32) ((element) - (set)->elements)), AS_KEY(&(element)->key), AS_INT((element)->number)

extern void set_make(Set *set, int count);
extern void set_open(FunctionCallInfo fcinfo, int argument, Set *set);
extern NullableDatum *set_numbers(FunctionCallInfo fcinfo, int argument, const char *name, bool required, Set *set);
extern void set_refuse(Set *set, Element *element, int sqlstate, const char *problem);
extern void set_judge(Set *set, void (*judge) (Element *element, void *state), void *state);
extern void set_require_access(Set *set, const char *action);
extern void set_order(Set *set);
extern void set_lock(const Sql *sql, Set *set, Element **elements, int count,
					 bool *(*lock) (const Sql *sql, const InstanceKey *keys, int count));
extern bool *set_lock_instances(const Sql *sql, const InstanceKey *keys, int count);
extern void set_require(const Set *set, bool partial);
extern void set_put(FunctionCallInfo fcinfo, const Set *set);

#endif							/* PROMOTE_REGISTRY_SET_H */
