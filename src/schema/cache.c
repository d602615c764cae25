/*
 * cache.c: compiled schemas, kept for the life of the backend.
 *
 * Keyed by the schema's bytes, so that nothing has to be invalidated but what
 * was compiled with other documents, once those may have changed; bounded in
 * number and memory, least recently used first out.  A schema is compiled in
 * a context of the caller's, which is moved under the cache's only once all
 * has gone well: an error leaves nothing behind.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "schema/internal.h"

/* A backend promotes instances of a few bundles; a look through so many is cheap. */
#define CACHE_SCHEMAS_MAX	64

/* A usual schema takes 100 kB; this is as much as a session may hold of all. */
#define CACHE_SPACE_MAX		((Size) 32 * 1024 * 1024)

typedef struct CacheEntry
{
	dlist_node	node;
	MemoryContext context;		/* holds this entry, too */
	uint32		hash;
	Size		space;			/* of all that is kept */
	uint64		documents;		/* the state of documents when it was made */
	Schema	   *schema;
} CacheEntry;

static MemoryContext cache_context = NULL;
static dlist_head cache = DLIST_STATIC_INIT(cache);	/* last used first */
static int	cache_count = 0;
static Size cache_space = 0;
static uint64 documents = 0;	/* counts how often they may have changed */

/*
 * Other documents may have changed: what was compiled with them is not used
 * again.  May be called at any time; frees nothing.
 */
void
schema_forget_documents(void)
{
	documents++;
}

/* Can the entry be used, for more than to say that it is well-formed if is_open is not set? */
static bool
is_usable(const CacheEntry *entry, bool is_open)
{
	return (is_open || !entry->schema->is_open) &&
		(!entry->schema->uses_documents || entry->documents == documents);
}

/* Take an entry out of the cache, and drop it. */
static void
drop_entry(CacheEntry *entry)
{
	dlist_delete(&entry->node);
	cache_count--;
	cache_space -= entry->space;
	MemoryContextDelete(entry->context);
}

/* The entry for a document, NULL if there is none. */
static CacheEntry *
find_entry(const Jsonb *document, uint32 hash)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cache)
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, iter.cur);

		if (entry->hash == hash && json_is_copy(entry->schema->source, document))
			return entry;
	}
	return NULL;
}

/* Compile into a context of its own, below the current one. */
static CacheEntry *
make_entry(const Jsonb *document, uint32 hash, bool is_open)
{
	SchemaText	nowhere = {"", 0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote schema",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	CacheEntry *entry = palloc0(sizeof(CacheEntry));
	Jsonb	   *source = MemoryContextAllocHuge(context, VARSIZE(document));

	memcpy(source, document, VARSIZE(document));
	entry->context = context;
	entry->hash = hash;
	entry->documents = documents;
	entry->schema = schema_build(source, &nowhere, is_open);
	MemoryContextSwitchTo(caller);
	entry->space = MemoryContextMemAllocated(context, true) + entry->schema->pattern_space;
	return entry;
}

/* Drop what was not used for longest, but for the newest, to keep the bounds. */
static void
shrink_cache(void)
{
	while (cache_count > 1 &&
		   (cache_count > CACHE_SCHEMAS_MAX || cache_space > CACHE_SPACE_MAX))
		drop_entry(dlist_container(CacheEntry, node, dlist_tail_node(&cache)));
}

/* Hand an entry over to the cache; nothing here can fail. */
static void
keep_entry(CacheEntry *entry)
{
	MemoryContextSetParent(entry->context, cache_context);
	dlist_push_head(&cache, &entry->node);
	cache_count++;
	cache_space += entry->space;
	shrink_cache();
}

/* The entry for a schema that was not the last to be used. */
static CacheEntry *
look_up(const Jsonb *schema, bool is_open)
{
	CacheEntry *entry;
	uint32		hash;

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "promote schemas",
											  ALLOCSET_SMALL_SIZES);
	hash = hash_bytes((const unsigned char *) schema, (int) VARSIZE(schema));
	entry = find_entry(schema, hash);
	if (entry && is_usable(entry, is_open))
	{
		dlist_move_head(&cache, &entry->node);
		return entry;
	}
	if (entry)
		drop_entry(entry);
	entry = make_entry(schema, hash, is_open);
	keep_entry(entry);
	return entry;
}

/* The compiled form of a schema, which may be open if is_open. */
static const Schema *
compile(const Jsonb *schema, bool is_open)
{
	if (!dlist_is_empty(&cache))
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, dlist_head_node(&cache));

		if (json_is_copy(entry->schema->source, schema) && is_usable(entry, is_open))
			return entry->schema;
	}
	return look_up(schema, is_open)->schema;
}

/*
 * The compiled form of a schema, which must be detoasted.  Raises
 * PM_INVALID_SCHEMA with the place that is wrong.  The result is the cache's
 * and good until the next call.
 */
const Schema *
schema_compile(const Jsonb *schema)
{
	return compile(schema, false);
}

/*
 * Raise PM_INVALID_SCHEMA unless the schema is one, as far as it can be said
 * without looking at other documents.  What is returned may be open there, and
 * is good until the next call, too.
 */
const Schema *
schema_check(const Jsonb *schema)
{
	return compile(schema, true);
}

/* Raise PM_INVALID_SCHEMA unless a document that is registered under a URI is a schema; see schema_check. */
void
schema_check_document(const Jsonb *document, const char *uri, int length)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote schema",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	SchemaText	name = {uri, length};

	schema_build(document, &name, true);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
