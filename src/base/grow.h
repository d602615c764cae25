/*
 * grow.h: arrays that grow.
 */
#ifndef PROMOTE_BASE_GROW_H
#define PROMOTE_BASE_GROW_H

#include "postgres.h"

#include "utils/memutils.h"

/*
 * Make room for the given number of further elements of that width.  The array starts as NULL,
 * lives in the current memory context, and may move.
 */
static inline void *
grow(void *array, Size count, Size more, Size *room, Size width)
{
	if (likely(*room - count >= more))
		return array;
	*room = Max(*room * 2, count + Max(more, 8));
	return array ? repalloc_huge(array, *room * width) :
		MemoryContextAllocHuge(CurrentMemoryContext, *room * width);
}

/* Make room for one more element, to be added at array[count]. */
#define GROW(array, count, room) \
	((array) = grow((array), (count), 1, &(room), sizeof(*(array))))

#endif							/* PROMOTE_BASE_GROW_H */
