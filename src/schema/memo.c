/*
 * memo.c: what is known already of a schema at a location.
 *
 * A schema without $ref is a tree and meets each location once per node, but
 * references can make the same node apply to the same location over and over,
 * twice as often with each level.  Once an evaluation has followed more of
 * them than any ordinary one, what a node said of a location is kept, so that
 * cost is bounded by nodes times locations.  Before that nothing is kept, for
 * a look-up costs more than most nodes do.
 */
#include "postgres.h"

#include "schema/internal.h"
#include "utils/memutils.h"

/*
 * References followed before a memo pays; and where violations are reported,
 * before those that are met over and over are reported once only.
 */
#define MEMO_THRESHOLD			20000
#define MEMO_COLLECT_THRESHOLD	1000

/* The most that is kept, so that memory is bounded: about 20 MB. */
#define MEMO_MAX				250000

/* A node and a location: a child by its ordinal in its container. */
typedef struct MemoKey
{
	const SchemaNode *node;
	const JsonbContainer *container;	/* NULL at the root */
	uint64		index;
} MemoKey;

typedef struct MemoEntry
{
	MemoKey		key;
	uint8		answer;
} MemoEntry;

/* The evaluation's table, in the current memory context. */
static HTAB *
make_memo(void)
{
	HASHCTL		control;

	control.keysize = sizeof(MemoKey);
	control.entrysize = sizeof(MemoEntry);
	control.hcxt = CurrentMemoryContext;
	return hash_create("promote schema memo", 1024, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Where the answer for a node at a location is kept, zero if there is none
 * yet; NULL where none is to be kept.  Good until the evaluation ends.
 */
uint8 *
schema_memo(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	MemoKey		key = {node, NULL, 0};
	MemoEntry  *entry;
	bool		found;

	if (evaluation->memo == NULL &&
		++evaluation->steps < (evaluation->collect ? MEMO_COLLECT_THRESHOLD : MEMO_THRESHOLD))
		return NULL;
	if (at->is_name)
		return NULL;
	if (evaluation->memo == NULL)
		evaluation->memo = make_memo();
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
		entry->answer = 0;
	return &entry->answer;
}

/* Give back what the evaluation kept. */
void
schema_end_evaluation(SchemaEvaluation *evaluation)
{
	if (evaluation->memo)
		hash_destroy(evaluation->memo);
	if (evaluation->scratch)
		MemoryContextDelete(evaluation->scratch);
}
