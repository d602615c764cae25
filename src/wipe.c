/*
 * wipe.c: memory that is overwritten before it is given back.
 *
 * What is in use is in a list.  It leaves the list when its memory context
 * goes, and is overwritten then; and when a transaction or subtransaction is
 * aborted what was allocated in it is overwritten at once, for its memory may
 * stay until somebody says ROLLBACK.
 */
#include "postgres.h"

#include "wipe.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

/* What stands before the memory that is handed out. */
typedef struct WipedHeader
{
	dlist_node	node;
	MemoryContextCallback callback;
	MemoryContext context;		/* of its own, which goes with it */
	SubTransactionId made_in;
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

/* Overwrite all that was allocated in that subtransaction or since. */
static void
wipe_since(SubTransactionId first)
{
	dlist_iter	iter;

	dlist_foreach(iter, &in_use)
	{
		WipedHeader *header = dlist_container(WipedHeader, node, iter.cur);

		if (header->made_in >= first)
			wipe(header);
	}
}

/* A transaction ends. */
static void
at_end(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_ABORT)
		wipe_since(TopSubTransactionId);
}

/* A subtransaction begins or ends. */
static void
at_end_of_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		wipe_since(mine);
}

/* Be told when transactions are aborted. */
void
wipe_init(void)
{
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_end_of_part, NULL);
}

/* Zeroed memory that lives as long as the current memory context, at most, and is wiped at its end. */
void *
wiped_alloc(Size size)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote secret",
												  ALLOCSET_SMALL_SIZES);
	WipedHeader *header = MemoryContextAllocZero(context, HEADER_ROOM + size);

	header->context = context;
	header->made_in = GetCurrentSubTransactionId();
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
