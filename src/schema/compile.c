/*
 * compile.c: compiled schemas, made of documents and kept for the life of the backend.
 *
 * A document is indexed and compiled from its root on (keywords.c); then all
 * that dynamic references could lead to, and what holds of the graph as a
 * whole is found out (graph.c).
 *
 * What is kept is keyed by the schema's bytes, so that nothing has to be
 * invalidated but what was compiled with other documents, once those may have
 * changed; bounded in number and memory, least recently used first out.  A
 * schema is compiled in a context of the caller's, which is moved under the
 * cache's only once all has gone well: an error leaves nothing behind.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "schema/graph.h"
#include "schema/keywords.h"

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

/* ---- compiling ---- */

/* Note what a dynamic name means in the resource of one of its anchors. */
static void
bind_name(SchemaCompiler *compiler, SchemaName *name, SchemaDynamic *dynamic)
{
	SchemaResource *owner = (SchemaResource *) name->owner;
	SchemaTarget target = {owner, name->target, name->place, name};
	SchemaBinding *binding = palloc0(sizeof(SchemaBinding));

	name->is_bound = true;
	binding->dynamic = dynamic;
	binding->node = schema_compile_target(compiler, &target, "$dynamicRef");
	binding->next = owner->bindings;
	owner->bindings = binding;
	binding->next_target = dynamic->targets;
	dynamic->targets = binding;
}

/*
 * Compile all that the schema's dynamic references could lead to.  That may
 * bring more of them, so it goes on until there is nothing new.
 */
static void
bind_dynamics(SchemaCompiler *compiler)
{
	bool		changed = true;

	while (changed)
	{
		changed = false;
		for (SchemaName *name = compiler->dynamic_names; name; name = name->next_dynamic)
		{
			SchemaDynamic *wanted = name->is_bound ? NULL : schema_find_dynamic(compiler, &name->text);

			CHECK_FOR_INTERRUPTS();
			if (wanted == NULL)
				continue;
			bind_name(compiler, name, wanted);
			changed = true;
		}
	}
}

/*
 * Note of each node whether it is not just to be evaluated as it is; and which
 * marks depend on more than names and positions: those that are reached
 * through a branch, a dependency, what an array contains or what nothing else
 * evaluated.
 */
static void
note_care(Schema *schema)
{
	for (SchemaNode *node = schema->nodes; node; node = node->next)
	{
		const SchemaLogicRules *logic = node->logic;

		node->careful = node->shared || node->unevaluated || node->resource->bindings != NULL;
		node->refers = !node->only_ref && (node->ref || node->dynamic_ref);
		if ((logic && (logic->any.count > 0 || logic->one.count > 0 || logic->condition)) ||
			(node->array && node->array->contains) || node->unevaluated ||
			(node->object && node->object->has_dependencies))
			schema->varying |= schema->reach[node->number];
	}
}

/*
 * Compile a document into the current memory context, which keeps source; uri
 * is what it is registered as, empty if it is not.  If is_open, references to
 * other documents are left open, and the schema can only be said to be
 * well-formed.  Raises PM_INVALID_SCHEMA, and leaves it to the
 * caller to drop the context.
 */
static Schema *
build(const Jsonb *source, SchemaText uri, bool is_open)
{
	/*
	 * A schema that does not say what it is is draft-07; and what it refers to
	 * then is of its own dialect.  A document by itself may come to be of any.
	 */
	SchemaCompiler compiler = {.unsaid.keywords = uri.length > 0 ? SCHEMA_ALL : SCHEMA_DRAFT_07};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "promote schema compiler",
												  ALLOCSET_DEFAULT_SIZES);

	compiler.schema = palloc0(sizeof(Schema));
	compiler.schema->source = source;
	compiler.schema->may_be_open = is_open;
	schema_resources_init(&compiler, scratch);
	compiler.resource = schema_add_document(&compiler, source, &uri);
	compiler.unsaid = compiler.resource->dialect;
	compiler.schema->root = schema_compile_node(&compiler, &compiler.resource->root,
												compiler.resource->place, "false");
	bind_dynamics(&compiler);
	MemoryContextDelete(scratch);
	schema_refuse_circles(compiler.schema);
	schema_spread_marks(compiler.schema);
	note_care(compiler.schema);
	return compiler.schema;
}

/* ---- keeping ---- */

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
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "promote schema",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	CacheEntry *entry = palloc0(sizeof(CacheEntry));
	Jsonb	   *source = MemoryContextAllocHuge(context, VARSIZE(document));

	memcpy(source, document, VARSIZE(document));
	entry->context = context;
	entry->hash = hash;
	entry->documents = documents;
	entry->schema = build(source, (SchemaText) {"", 0}, is_open);
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

	build(document, (SchemaText) {uri, length}, true);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
