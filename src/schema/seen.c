/*
 * seen.c: which children of an array or object were evaluated.
 *
 * A set of bits by ordinal, on the stack for up to 256 children.
 */
#include "postgres.h"

#include "schema/internal.h"

/* An empty set for a container's children. */
void
schema_seen_init(SchemaSeen *seen, const JsonbValue *container)
{
	seen->words = (json_count(container) + 63) / 64;
	seen->bits = seen->buffer;
	memset(seen->buffer, 0, sizeof(seen->buffer));
	if (seen->words > lengthof(seen->buffer))
		seen->bits = schema_allocate(sizeof(uint64), seen->words);
}

/* Give back what it took. */
void
schema_seen_free(SchemaSeen *seen)
{
	if (seen->bits != seen->buffer)
		pfree(seen->bits);
}

/* Add what is in another set of the same container's. */
void
schema_seen_merge(SchemaSeen *seen, const uint64 *bits)
{
	uint32		i;

	for (i = 0; i < seen->words; i++)
		seen->bits[i] |= bits[i];
}
