/*
 * scope.c: what a $dynamicRef means while a schema is evaluated.
 *
 * A dynamic name means what it means in the outermost resource that has it,
 * of those that evaluation came through.  So a name that is bound stays so
 * until the resource that bound it is left, and entering a resource binds
 * those of its names that are not.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/internal.h"

/* So many sets of bindings are told apart; past that the memo is not used. */
#define SCOPE_STATES_MAX	64

/* How one set of bindings came from another. */
typedef struct ScopeStep
{
	int			from;
	const SchemaResource *resource;
} ScopeStep;

struct SchemaScope
{
	const SchemaNode **bound;	/* by the name's number; NULL if it is not */
	uint32	   *trail;			/* numbers of the bound names, first first */
	uint32		count;			/* of them */
	int			state;			/* stands for the set of bindings; -1: not told apart */
	int			step_count;
	ScopeStep	steps[SCOPE_STATES_MAX];	/* the n-th led to state n + 1 */
	const SchemaFollowing *following;	/* innermost first */
};

/* Make an evaluation's scope.  Its schema has dynamic references. */
void
schema_begin_scope(SchemaEvaluation *evaluation)
{
	uint32		count = evaluation->schema->dynamic_count;

	evaluation->scope = palloc0(sizeof(SchemaScope));
	evaluation->scope->bound = schema_allocate(sizeof(SchemaNode *), count);
	evaluation->scope->trail = schema_allocate(sizeof(uint32), count);
}

/* Give it back. */
void
schema_end_scope(SchemaEvaluation *evaluation)
{
	pfree(evaluation->scope->bound);
	pfree(evaluation->scope->trail);
	pfree(evaluation->scope);
	evaluation->scope = NULL;
}

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
	scope->step_count++;
	return i + 1;
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

/* A number that stands for all that is bound, -1 if there is none. */
int
schema_scope_state(const SchemaEvaluation *evaluation)
{
	return evaluation->scope ? evaluation->scope->state : 0;
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
			SCHEMA_REFUSE(schema_place_step(node->place, "$dynamicRef", strlen("$dynamicRef")),
						  "Refer to a schema from within \"properties\" or \"items\" of it, so that"
						  " each round goes one step down.",
						  "leads round in a circle to the same place of the document.");
	}
}

/*
 * What a node's $dynamicRef means here.  frame, which is the caller's, is
 * entered until schema_unfollow; raises where that leads round in a circle.
 */
const SchemaNode *
schema_follow(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
			  SchemaFollowing *frame)
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
