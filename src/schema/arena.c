/*
 * arena.c: memory of compiled schemas, and of what is found out about them.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/errors.h"
#include "schema/arena.h"

/* A zeroed array in the current memory context; raises on overflow. */
void *
schema_allocate(Size size, Size count)
{
	if (count > MaxAllocHugeSize / size)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("JSON Schema is too large"),
				 errdetail("A keyword has %zu entries.", count),
				 errhint("Split the schema.")));
	return MemoryContextAllocExtended(CurrentMemoryContext, size * count,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* A hash table of entries that begin with their key, compared byte by byte. */
HTAB *
schema_table(const char *name, Size key, Size entry, MemoryContext context)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = context};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Switch to a memory context for something that is to be remembered with a
 * schema; the one before is returned.  An error leaves nothing behind.
 */
MemoryContext
schema_begin_keeping(void)
{
	return MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext, "promote schema findings",
													   ALLOCSET_SMALL_SIZES));
}

/* What was allocated since then lives as long as the schema; go back to the context before. */
void
schema_keep(const Schema *schema, MemoryContext caller)
{
	MemoryContextSetParent(MemoryContextSwitchTo(caller), GetMemoryChunkContext(unconstify(Schema *, schema)));
}
