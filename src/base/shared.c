/*
 * shared.c: values that many rows hold, kept once.
 *
 * Rows that are read together often have the same documents: the schema of a release, a configuration that thousands of
 * instances get.  A value is looked up by its bytes as they are stored, compressed or as a pointer to where it lies, so
 * that one that is stored once is fetched and decompressed once, and then by the bytes that it stands for.  Values that
 * are the same bytes are one pointer.
 */
#include "postgres.h"

#include "fmgr.h"
#include "port/pg_crc32c.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/shared.h"

/* Bytes by which a value is looked up. */
typedef struct SharedKey
{
	const char *bytes;
	Size		size;
} SharedKey;

typedef struct SharedEntry
{
	SharedKey	key;
	void	   *value;
} SharedEntry;

struct Shared
{
	MemoryContext context;		/* of all but this struct */
	HTAB	   *entries;		/* NULL: none yet */
};

/* Hash the bytes: whole documents, so that a checksum that processors compute is used.  A HashValueFunc. */
static uint32
hash_key(const void *key, Size size)
{
	const SharedKey *sought = key;
	pg_crc32c	hash;

	INIT_CRC32C(hash);
	COMP_CRC32C(hash, sought->bytes, sought->size);
	FIN_CRC32C(hash);
	return hash;
}

/* Compare all bytes; 0 if they are equal.  A HashCompareFunc. */
static int
match_key(const void *a, const void *b, Size size)
{
	const SharedKey *one = a;
	const SharedKey *other = b;

	return one->size != other->size || memcmp(one->bytes, other->bytes, one->size) != 0;
}

/* Make a store of values, as long as the parent lives. */
Shared *
shared_create(MemoryContext parent)
{
	Shared	   *shared = MemoryContextAllocZero(parent, sizeof(Shared));

	shared->context = AllocSetContextCreate(parent, "promote shared values", ALLOCSET_DEFAULT_SIZES);
	return shared;
}

/* The entry of the bytes, which is made where there is none; then its value is NULL. */
static SharedEntry *
find_entry(Shared *shared, const void *bytes, Size size)
{
	SharedKey	key = {bytes, size};
	SharedEntry *entry;
	char	   *copy;
	bool		found;

	if (shared->entries == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(SharedKey),.entrysize = sizeof(SharedEntry),
			.hash = hash_key,.match = match_key,.hcxt = shared->context
		};

		shared->entries = hash_create("promote shared values", 64, &control,
									  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	entry = hash_search(shared->entries, &key, HASH_FIND, NULL);
	if (entry)
		return entry;
	copy = MemoryContextAllocHuge(shared->context, size);
	memcpy(copy, bytes, size);
	key.bytes = copy;
	entry = hash_search(shared->entries, &key, HASH_ENTER, &found);
	entry->value = NULL;
	return entry;
}

/* A value of a type of variable length, detoasted: the same pointer for the same bytes, however they are stored. */
void *
shared_value(Shared *shared, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	SharedEntry *entry = find_entry(shared, stored, VARSIZE_ANY(stored));
	struct varlena *plain;

	if (entry->value)
		return entry->value;
	plain = PG_DETOAST_DATUM(value);
	if (plain == stored)
		entry->value = unconstify(char *, entry->key.bytes);
	else
	{
		entry->value = unconstify(char *, find_entry(shared, plain, VARSIZE(plain))->key.bytes);
		pfree(plain);
	}
	return entry->value;
}

/* A text, for comparing by its pointer; NULL stays NULL. */
const char *
shared_text(Shared *shared, const char *text)
{
	return text ? find_entry(shared, text, strlen(text) + 1)->key.bytes : NULL;
}

/* How many bytes the values take. */
Size
shared_size(const Shared *shared)
{
	return MemoryContextMemAllocated(shared->context, true);
}

/* Forget all values. */
void
shared_reset(Shared *shared)
{
	MemoryContextReset(shared->context);
	shared->entries = NULL;
}
