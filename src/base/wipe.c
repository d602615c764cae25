/*
 * wipe.c: memory that is overwritten before it is given back.
 *
 * What is in use is in a list.  It leaves the list when its memory context
 * goes, and is overwritten then.  PostgreSQL frees what a failed
 * subtransaction leaves at once, but that of a transaction may stay until
 * somebody says ROLLBACK: so when one is aborted all is overwritten.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#include "base/wipe.h"

/* What stands before the memory that is handed out. */
typedef struct WipedHeader
{
	dlist_node	node;
	MemoryContextCallback callback;
	MemoryContext context;		/* of its own, which goes with it */
	Size		size;			/* of what follows */
} WipedHeader;

#define HEADER_ROOM MAXALIGN(sizeof(WipedHeader))

static dlist_head in_use = DLIST_STATIC_INIT(in_use);

/* Overwrite the memory. */
static void
wipe(WipedHeader *header)
{
	explicit_bzero((char *) header + HEADER_ROOM, header->size);
}

/* Overwrite it and take it from the list; called before its context is deleted. */
static void
wipe_finally(void *argument)
{
	WipedHeader *header = argument;

	wipe(header);
	dlist_delete(&header->node);
}

/* A transaction ends: where it is aborted, overwrite all. */
static void
at_end(XactEvent event, void *argument)
{
	dlist_iter	iter;

	if (event == XACT_EVENT_ABORT)
		dlist_foreach(iter, &in_use)
			wipe(dlist_container(WipedHeader, node, iter.cur));
}

/* Be told when transactions are aborted. */
void
wipe_init(void)
{
	RegisterXactCallback(at_end, NULL);
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
	header->callback.func = wipe_finally;
	header->callback.arg = header;
	dlist_push_head(&in_use, &header->node);
	MemoryContextRegisterResetCallback(context, &header->callback);
	return (char *) header + HEADER_ROOM;
}

/* Wipe and free what wiped_alloc gave. */
void
wiped_free(void *memory)
{
	MemoryContextDelete(((WipedHeader *) ((char *) memory - HEADER_ROOM))->context);
}
