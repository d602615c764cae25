/*
 * wipe.c: memory that is overwritten before it is freed.
 *
 * A list holds all such memory.  An entry leaves the list, overwritten, when its memory
 * context is deleted.  PostgreSQL deletes the contexts of a failed subtransaction at once, but
 * may keep those of a failed transaction until the client sends ROLLBACK.  So this file
 * overwrites everything as soon as a transaction aborts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#include "base/wipe.h"

/* The header in front of the memory that a caller gets. */
typedef struct WipedHeader
{
	dlist_node	node;
	MemoryContextCallback callback;
	MemoryContext context;		/* the chunk's own context, deleted with it */
	Size		size;			/* of the memory behind the header */
} WipedHeader;

#define HEADER_ROOM MAXALIGN(sizeof(WipedHeader))

static dlist_head in_use = DLIST_STATIC_INIT(in_use);

/* Overwrite the memory. */
static void
wipe(WipedHeader *header)
{
	explicit_bzero((char *) header + HEADER_ROOM, header->size);
}

/* Overwrite a chunk and take it off the list; PostgreSQL calls this before it deletes the context. */
static void
wipe_finally(void *argument)
{
	WipedHeader *header = argument;

	wipe(header);
	dlist_delete(&header->node);
}

/* Overwrite everything when a transaction aborts. */
static void
at_end(XactEvent event, void *argument)
{
	dlist_iter	iter;

	if (event == XACT_EVENT_ABORT)
		dlist_foreach(iter, &in_use)
			wipe(dlist_container(WipedHeader, node, iter.cur));
}

/* Register for the ends of transactions. */
void
wipe_init(void)
{
	RegisterXactCallback(at_end, NULL);
}

/* Zeroed memory that is overwritten at its end, which is at the latest that of the current memory context. */
void *
wiped_alloc(Size size)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote secret",
												  ALLOCSET_SMALL_SIZES);
	WipedHeader *header = MemoryContextAllocZero(context, HEADER_ROOM + size);

	header->context = context;
	header->size = size;
	header->callback.func = wipe_finally;
	header->callback.arg = header;
	dlist_push_head(&in_use, &header->node);
	MemoryContextRegisterResetCallback(context, &header->callback);
	return (char *) header + HEADER_ROOM;
}

/* Overwrite and free memory of wiped_alloc. */
void
wiped_free(void *memory)
{
	MemoryContextDelete(((WipedHeader *) ((char *) memory - HEADER_ROOM))->context);
}
