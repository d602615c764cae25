/*
 * memo.c: what is known already of a schema at a location.
 *
 * A schema without $ref is a tree and meets each location once per node, but
 * references can make the same node apply to the same location over and over,
 * twice as often with each level.  Once an evaluation has followed more of
 * them than any ordinary one, what a node said of a location is kept, so that
 * cost is bounded by nodes times locations.  Before that nothing is kept, for
 * a look-up costs more than most nodes do.
 *
 * With an answer is kept which children of the container were evaluated, as
 * "unevaluatedItems" and "unevaluatedProperties" mean it: a set of bits by
 * ordinal, on the stack for up to 256 children.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "schema/internal.h"

/*
 * References followed before a memo pays; and where violations are reported,
 * before those that are met over and over are reported once only.
 */
#define MEMO_THRESHOLD			20000
#define MEMO_COLLECT_THRESHOLD	1000

/* The most that is kept, so that memory is bounded: about 20 MB, and as much of sets. */
#define MEMO_MAX				250000
#define MEMO_SPACE_MAX			((Size) 20 * 1024 * 1024)

/*
 * A node and a location: a child by its ordinal in its container.  What a
 * node says also depends on which dynamic names are bound.
 */
typedef struct MemoKey
{
	const SchemaNode *node;
	const JsonbContainer *container;	/* NULL at the root */
	uint32		index;
	int			state;
} MemoKey;

typedef struct MemoEntry
{
	MemoKey		key;
	SchemaMemo	memo;
} MemoEntry;

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
	for (uint32 i = 0; i < seen->words; i++)
		seen->bits[i] |= bits[i];
}

/* Make the evaluation's table, in a context of its own. */
static void
make_memo(SchemaEvaluation *evaluation)
{
	evaluation->memo_context = AllocSetContextCreate(CurrentMemoryContext, "promote schema memo",
													 ALLOCSET_DEFAULT_SIZES);
	evaluation->memo = schema_table("promote schema memo", sizeof(MemoKey), sizeof(MemoEntry),
									evaluation->memo_context);
}

/*
 * Where the answer for a node at a location is kept, zero if there is none
 * yet; NULL where none is to be kept.  Good until the evaluation ends.
 */
SchemaMemo *
schema_memo(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	MemoKey		key = {node, NULL, 0, schema_scope_state(evaluation)};
	MemoEntry  *entry;
	bool		found;

	if (evaluation->memo == NULL &&
		++evaluation->steps < (evaluation->collect ? MEMO_COLLECT_THRESHOLD : MEMO_THRESHOLD))
		return NULL;
	if (at->is_name || key.state < 0)
		return NULL;
	if (evaluation->memo == NULL)
		make_memo(evaluation);
	if (at->parent)
	{
		key.container = at->parent->value->val.binary.data;
		key.index = at->index;
	}
	entry = hash_search(evaluation->memo, &key,
						hash_get_num_entries(evaluation->memo) < MEMO_MAX ?
						HASH_ENTER : HASH_FIND, &found);
	if (entry == NULL)
		return NULL;
	if (!found)
		memset(&entry->memo, 0, sizeof(entry->memo));
	return &entry->memo;
}

/* Keep with a node's answer which children it evaluated, while there is room. */
void
schema_memo_keep_seen(SchemaEvaluation *evaluation, SchemaMemo *memo, const SchemaSeen *seen)
{
	Size		size = sizeof(uint64) * seen->words;

	if (memo->seen || evaluation->memo_space + size > MEMO_SPACE_MAX)
		return;
	memo->seen = MemoryContextAlloc(evaluation->memo_context, Max(size, 1));
	memcpy(memo->seen, seen->bits, size);
	evaluation->memo_space += size + 16;
}
