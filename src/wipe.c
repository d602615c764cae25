/*
 * wipe.c: memory that is overwritten before it is given back.
 */
#include "postgres.h"

#include "wipe.h"

#include "utils/memutils.h"

/* What stands before the memory that is handed out. */
typedef struct WipedHeader
{
	MemoryContextCallback callback;
	MemoryContext context;		/* of its own, which goes with it */
	Size		size;			/* of what follows */
} WipedHeader;

#define HEADER_ROOM MAXALIGN(sizeof(WipedHeader))

/* Overwrite the memory; called before its context is deleted. */
static void
wipe(void *argument)
{
	WipedHeader *header = argument;

	explicit_bzero((char *) header + HEADER_ROOM, header->size);
}

/* Zeroed memory that lives as long as the current memory context, at most, and is wiped at its end. */
void *
wiped_alloc(Size size)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote secret",
												  ALLOCSET_SMALL_SIZES);
	WipedHeader *header = MemoryContextAllocZero(context, HEADER_ROOM + size);

	header->context = context;
	header->size = size;
	header->callback.func = wipe;
	header->callback.arg = header;
	MemoryContextRegisterResetCallback(context, &header->callback);
	return (char *) header + HEADER_ROOM;
}

/* Wipe and free what wiped_alloc gave. */
void
wiped_free(void *memory)
{
	MemoryContextDelete(((WipedHeader *) ((char *) memory - HEADER_ROOM))->context);
}
