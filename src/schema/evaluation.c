/*
 * evaluation.c: what one evaluation of a schema over a document knows.
 *
 * Which children of a container were evaluated, as "unevaluatedItems" and
 * "unevaluatedProperties" mean it: a set of bits by ordinal, on the stack for
 * up to 256 children.
 *
 * What a dynamic name means: what it means in the outermost resource that has
 * it, of those that evaluation came through.  So a name that is bound stays so
 * until the resource that bound it is left, and entering a resource binds
 * those of its names that are not.
 *
 * What is known already of a schema at a location.  A schema without $ref is a
 * tree and meets each location once per node, but references can make the
 * same node apply to the same location over and over, twice as often with each
 * level.  Once an evaluation has followed more of them than any ordinary one,
 * what a node said of a location is kept, so that cost is bounded by nodes
 * times locations.  Before that nothing is kept, for a look-up costs more than
 * most nodes do.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "schema/arena.h"
#include "schema/evaluation.h"
#include "schema/graph.h"

/* So many sets of bindings are told apart; past that the memo is not used. */
#define SCOPE_STATES_MAX	64

/*
 * References followed before a memo pays; and where violations are reported,
 * before those that are met over and over are reported once only.
 */
#define MEMO_THRESHOLD			20000
#define MEMO_COLLECT_THRESHOLD	1000

/* The most that is kept, so that memory is bounded: about 20 MB, and as much of sets. */
#define MEMO_MAX				250000
#define MEMO_SPACE_MAX			((Size) 20 * 1024 * 1024)

struct SchemaScope
{
	const SchemaNode **bound;	/* by the name's number; NULL if it is not */
	uint32	   *trail;			/* numbers of the bound names, first first */
	uint32		count;			/* of them */
	int			state;			/* stands for the set of bindings; -1: not told apart */
	int			step_count;
	struct
	{
		int			from;
		const SchemaResource *resource;
	}			steps[SCOPE_STATES_MAX];	/* how one set came from another: the n-th led to state n + 1 */
	const SchemaFollowing *following;	/* innermost first */
};

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

/* Make ready to evaluate; what is set in evaluation stays. */
void
schema_begin_evaluation(SchemaEvaluation *evaluation, const Schema *schema)
{
	evaluation->schema = schema;
	evaluation->thorough = evaluation->collect != NULL;
	if (schema->dynamic_count == 0)
		return;
	evaluation->scope = palloc0(sizeof(SchemaScope));
	evaluation->scope->bound = schema_allocate(sizeof(SchemaNode *), schema->dynamic_count);
	evaluation->scope->trail = schema_allocate(sizeof(uint32), schema->dynamic_count);
}

/* Give back what the evaluation kept. */
void
schema_end_evaluation(SchemaEvaluation *evaluation)
{
	if (evaluation->scope)
	{
		pfree(evaluation->scope->bound);
		pfree(evaluation->scope->trail);
		pfree(evaluation->scope);
	}
	if (evaluation->memo)
		MemoryContextDelete(evaluation->memo_context);
	if (evaluation->scratch)
		MemoryContextDelete(evaluation->scratch);
}

/* ---- what was evaluated ---- */

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

/* ---- dynamic names ---- */

/* The state that a resource's bindings lead to. */
static int
next_state(SchemaScope *scope, const SchemaResource *resource)
{
	int			i;

	if (scope->state < 0)
		return -1;
	for (i = 0; i < scope->step_count; i++)
		if (scope->steps[i].from == scope->state && scope->steps[i].resource == resource)
			return i + 1;
	if (i == SCOPE_STATES_MAX)
		return -1;
	scope->steps[i].from = scope->state;
	scope->steps[i].resource = resource;
	return ++scope->step_count;
}

/* Bind the resource's names; what to go back to when it is left. */
SchemaScopeMark
schema_enter_resource(SchemaEvaluation *evaluation, const SchemaResource *resource)
{
	SchemaScope *scope = evaluation->scope;
	SchemaScopeMark mark = {scope->count, scope->state};

	for (const SchemaBinding *binding = resource->bindings; binding; binding = binding->next)
	{
		uint32		number = binding->dynamic->number;

		if (scope->bound[number])
			continue;
		scope->bound[number] = binding->node;
		scope->trail[scope->count++] = number;
	}
	if (scope->count > mark.bound)
		scope->state = next_state(scope, resource);
	return mark;
}

/* Leave a resource: what it bound is bound no more. */
void
schema_leave_resource(SchemaEvaluation *evaluation, SchemaScopeMark mark)
{
	SchemaScope *scope = evaluation->scope;

	while (scope->count > mark.bound)
		scope->bound[scope->trail[--scope->count]] = NULL;
	scope->state = mark.state;
}

/*
 * Refuse to go on where the same node is under way at the same location with
 * the same names bound, for that would never end.  Bindings only become more
 * on the way in, so that their number tells them apart.
 */
static void
refuse_circle(const SchemaFollowing *frame, const SchemaNode *node)
{
	for (const SchemaFollowing *outer = frame->outer; outer && outer->at == frame->at; outer = outer->outer)
	{
		CHECK_FOR_INTERRUPTS();
		if (outer->target == frame->target && outer->bound == frame->bound)
			schema_refuse_circle(node, "$dynamicRef");
	}
}

/*
 * What a node's $dynamicRef means here.  frame, which is the caller's, is
 * entered until schema_unfollow; raises where that leads round in a circle.
 */
const SchemaNode *
schema_follow(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at, SchemaFollowing *frame)
{
	SchemaScope *scope = evaluation->scope;

	frame->target = node->dynamic_ref;
	if (node->dynamic && scope->bound[node->dynamic->number])
		frame->target = scope->bound[node->dynamic->number];
	if (scope == NULL)
		return frame->target;
	frame->at = at;
	frame->bound = scope->count;
	frame->outer = scope->following;
	refuse_circle(frame, node);
	scope->following = frame;
	return frame->target;
}

/* Leave what schema_follow entered. */
void
schema_unfollow(SchemaEvaluation *evaluation, const SchemaFollowing *frame)
{
	if (evaluation->scope)
		evaluation->scope->following = frame->outer;
}

/* ---- the memo ---- */

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
	MemoKey		key = {node, NULL, 0, evaluation->scope ? evaluation->scope->state : 0};
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
						hash_get_num_entries(evaluation->memo) < MEMO_MAX ? HASH_ENTER : HASH_FIND, &found);
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
