/*
 * graph.c: what is found out about a compiled schema as a whole.
 *
 * Whether evaluating it ends, and which marks can be met from each node.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/arena.h"
#include "schema/graph.h"

typedef void (*NodeVisitor) (SchemaNode *node, void *state);

/* Where a node stands in the search for circles. */
typedef enum Visit
{
	UNVISITED,
	VISITING,
	VISITED
} Visit;

/* The nodes on the way from where the search for circles started. */
typedef struct CircleFrame
{
	struct CircleFrame *parent;
	SchemaNode *node;
} CircleFrame;

/* Visit a node, if there is one. */
static void
visit(SchemaNode *node, NodeVisitor visitor, void *state)
{
	if (node)
		visitor(node, state);
}

/* Visit all nodes of a list. */
static void
visit_list(const SchemaList *list, NodeVisitor visitor, void *state)
{
	for (uint32 i = 0; i < list->count; i++)
		visitor(list->nodes[i], state);
}

/* Does the node's $dynamicRef, if it has one, always mean the same? */
static bool
is_fixed(const SchemaNode *node)
{
	return node->dynamic == NULL ||
		(node->dynamic->targets && node->dynamic->targets->next_target == NULL);
}

/*
 * The nodes that apply to the same location as node, except under "not", and
 * but for a $dynamicRef that can mean several.
 */
static void
visit_beside(const SchemaNode *node, NodeVisitor visitor, void *state)
{
	const SchemaLogicRules *logic = node->logic;

	visit(node->ref, visitor, state);
	if (is_fixed(node))
		visit(node->dynamic_ref, visitor, state);
	if (node->object && node->object->has_dependencies)
		for (uint32 i = 0; i < node->object->property_count; i++)
		{
			visit(node->object->properties[i].dependent[0], visitor, state);
			visit(node->object->properties[i].dependent[1], visitor, state);
		}
	if (logic == NULL)
		return;
	visit_list(&logic->all, visitor, state);
	visit_list(&logic->any, visitor, state);
	visit_list(&logic->one, visitor, state);
	if (logic->condition)
	{
		visit(logic->condition, visitor, state);
		visit(logic->consequence, visitor, state);
		visit(logic->alternative, visitor, state);
	}
}

/* The nodes that apply to children of the location. */
static void
visit_below(const SchemaNode *node, NodeVisitor visitor, void *state)
{
	const SchemaArrayRules *array = node->array;
	const SchemaObjectRules *object = node->object;

	if (array)
	{
		visit(array->items, visitor, state);
		visit(array->additional, visitor, state);
		visit(array->contains, visitor, state);
		visit(array->unevaluated, visitor, state);
		visit_list(&array->tuple, visitor, state);
	}
	if (object == NULL)
		return;
	for (uint32 i = 0; i < object->property_count; i++)
		visit(object->properties[i].schema, visitor, state);
	for (uint32 i = 0; i < object->pattern_count; i++)
		visit(object->patterns[i].schema, visitor, state);
	visit(object->additional, visitor, state);
	visit(object->unevaluated, visitor, state);
}

/* Refuse a circle that the reference closes which a node has under a keyword. */
void
schema_refuse_circle(const SchemaNode *node, const char *keyword)
{
	SCHEMA_REFUSE(schema_place_step(node->place, keyword, strlen(keyword)),
				  "Refer to a schema from within \"properties\" or \"items\" of it, so that"
				  " each round goes one step down.",
				  "leads round in a circle to the same place of the document.");
}

/*
 * Refuse a circle, naming the reference that closes it: a schema that is one
 * tree has none without one.
 */
static void
refuse_circle(const CircleFrame *frame)
{
	while (frame->parent && frame->node->ref == NULL && frame->node->dynamic_ref == NULL)
		frame = frame->parent;
	schema_refuse_circle(frame->node, frame->node->ref ? "$ref" : "$dynamicRef");
}

/* Depth-first search over nodes that apply to one and the same location. */
static void
search_circle(SchemaNode *node, void *state)
{
	CircleFrame frame = {state, node};

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->visit == VISITED)
		return;
	if (node->visit == VISITING)
		refuse_circle(frame.parent);
	node->visit = VISITING;
	visit_beside(node, search_circle, &frame);
	if (node->logic)
		visit(node->logic->negated, search_circle, &frame);
	node->visit = VISITED;
}

/*
 * Refuse a schema that would be evaluated for ever: one where following
 * keywords that stay at one location of the document leads back.  Where a
 * $dynamicRef can mean several, that is found out when it is evaluated.
 */
void
schema_refuse_circles(const Schema *schema)
{
	for (SchemaNode *node = schema->nodes; node; node = node->next)
		search_circle(node, NULL);
}

/*
 * The schema's edges the other way round: from which nodes a node is met.
 * Dynamic names are nodes here, with the numbers behind those of the nodes.
 */
typedef struct Reversal
{
	uint32	   *first;			/* where a node's sources begin; those of the next are their end */
	uint32	   *sources;		/* NULL while they are counted */
	uint32		source;			/* whose edges are visited */
} Reversal;

/* Count an edge to the node of that number, or enter it: from the last place to the first. */
static void
note_edge(Reversal *reversal, uint32 target)
{
	if (reversal->sources)
		reversal->sources[--reversal->first[target]] = reversal->source;
	else
		reversal->first[target]++;
}

/* Note an edge to a node; a NodeVisitor. */
static void
note_target(SchemaNode *node, void *state)
{
	note_edge(state, node->number);
}

/* Note all edges.  A dynamic name may be any of its targets. */
static void
note_edges(const Schema *schema, Reversal *reversal)
{
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
	{
		CHECK_FOR_INTERRUPTS();
		reversal->source = node->number;
		visit_beside(node, note_target, reversal);
		visit_below(node, note_target, reversal);
		if (node->dynamic)
			note_edge(reversal, schema->node_count + node->dynamic->number);
	}
	for (const SchemaDynamic *dynamic = schema->dynamics; dynamic; dynamic = dynamic->next)
	{
		reversal->source = schema->node_count + dynamic->number;
		for (const SchemaBinding *target = dynamic->targets; target; target = target->next_target)
			note_target(target->node, reversal);
	}
}

/* Turn the edges round, in the current memory context. */
static void
reverse_edges(const Schema *schema, Reversal *reversal, uint32 count)
{
	reversal->first = schema_allocate(sizeof(uint32), (Size) count + 1);
	reversal->sources = NULL;
	note_edges(schema, reversal);
	for (uint32 i = 1; i <= count; i++)
		reversal->first[i] += reversal->first[i - 1];
	reversal->sources = schema_allocate(sizeof(uint32), Max(reversal->first[count], 1));
	note_edges(schema, reversal);
}

/* Spread flags along the edges; each node is looked at again only when it has a new one. */
static void
spread_back(const Reversal *reversal, uint8 *flags, uint32 count)
{
	uint32	   *waiting = schema_allocate(sizeof(uint32), count);
	bool	   *is_waiting = schema_allocate(sizeof(bool), count);
	uint32		length = 0;

	for (uint32 i = 0; i < count; i++)
		if ((is_waiting[i] = flags[i] != 0))
			waiting[length++] = i;
	while (length > 0)
	{
		uint32		target = waiting[--length];

		CHECK_FOR_INTERRUPTS();
		is_waiting[target] = false;
		for (uint32 i = reversal->first[target]; i < reversal->first[target + 1]; i++)
		{
			uint32		source = reversal->sources[i];

			if ((flags[target] & ~flags[source]) == 0)
				continue;
			flags[source] |= flags[target];
			if (!is_waiting[source])
				waiting[length++] = source;
			is_waiting[source] = true;
		}
	}
	pfree(is_waiting);
	pfree(waiting);
}

/*
 * Make of flags of each node, by its number, those of all nodes that can be
 * met from it.  The work is in proportion to the schema, whatever refers to
 * what in which order.
 */
void
schema_spread(const Schema *schema, uint8 *reach)
{
	uint32		count = schema->node_count + schema->dynamic_count;
	uint8	   *flags;
	Reversal	reversal;
	uint32		i = 0;

	while (i < schema->node_count && reach[i] == 0)
		i++;
	if (i == schema->node_count)
		return;
	flags = schema_allocate(1, count);
	memcpy(flags, reach, schema->node_count);
	reverse_edges(schema, &reversal, count);
	spread_back(&reversal, flags, count);
	memcpy(reach, flags, schema->node_count);
	pfree(reversal.sources);
	pfree(reversal.first);
	pfree(flags);
}

/* Note that a walk meets a node, and all that it leads to. */
static void
reach(SchemaNode *node, void *state)
{
	bool	   *met = state;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (met[node->number])
		return;
	met[node->number] = true;
	visit_beside(node, reach, met);
	visit_below(node, reach, met);
	if (node->dynamic)
		for (const SchemaBinding *target = node->dynamic->targets; target; target = target->next_target)
			reach(target->node, met);
}

/* Which nodes a walk from the root can meet, by their numbers, in the current memory context. */
bool *
schema_reached(const Schema *schema)
{
	bool	   *met = schema_allocate(sizeof(bool), Max(schema->node_count, 1));

	reach(schema->root, met);
	return met;
}

/* Fill in which marks can be met from each node. */
void
schema_spread_marks(Schema *schema)
{
	schema->reach = schema_allocate(1, schema->node_count);
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
		schema->reach[node->number] = node->marks;
	schema_spread(schema, schema->reach);
}
