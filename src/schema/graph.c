/*
 * graph.c: what is found out about a compiled schema as a whole.
 *
 * Whether evaluating it ends, and which marks can be met from each node.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/internal.h"

typedef void (*NodeVisitor) (SchemaNode *node, void *state);

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
	uint32		i;

	for (i = 0; i < list->count; i++)
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
	uint32		i;

	visit(node->ref, visitor, state);
	if (is_fixed(node))
		visit(node->dynamic_ref, visitor, state);
	if (node->object && node->object->has_dependencies)
		for (i = 0; i < node->object->property_count; i++)
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
	uint32		i;

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
	for (i = 0; i < object->property_count; i++)
		visit(object->properties[i].schema, visitor, state);
	for (i = 0; i < object->pattern_count; i++)
		visit(object->patterns[i].schema, visitor, state);
	visit(object->additional, visitor, state);
	visit(object->unevaluated, visitor, state);
}

/*
 * Refuse a circle, naming the reference that closes it: a schema that is one
 * tree has none without one.
 */
static void
refuse_circle(const CircleFrame *frame)
{
	const char *keyword;

	while (frame->parent && frame->node->ref == NULL && frame->node->dynamic_ref == NULL)
		frame = frame->parent;
	keyword = frame->node->ref ? "$ref" : "$dynamicRef";
	SCHEMA_REFUSE(schema_place_step(frame->node->place, keyword, strlen(keyword)),
				  "Refer to a schema from within \"properties\" or \"items\" of it, so that"
				  " each round goes one step down.",
				  "leads round in a circle to the same place of the document.");
}

/* Depth-first search over nodes that apply to one and the same location. */
static void
search_circle(SchemaNode *node, void *state)
{
	CircleFrame frame = {state, node};

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->visit == SCHEMA_VISITED)
		return;
	if (node->visit == SCHEMA_VISITING)
		refuse_circle(frame.parent);
	node->visit = SCHEMA_VISITING;
	visit_beside(node, search_circle, &frame);
	if (node->logic)
		visit(node->logic->negated, search_circle, &frame);
	node->visit = SCHEMA_VISITED;
}

/*
 * Refuse a schema that would be evaluated for ever: one where following
 * keywords that stay at one location of the document leads back.  Where a
 * $dynamicRef can mean several, that is found out when it is evaluated.
 */
void
schema_refuse_circles(const Schema *schema)
{
	SchemaNode *node;

	for (node = schema->nodes; node; node = node->next)
		search_circle(node, NULL);
}

/* What is being spread, for one node at a time. */
typedef struct Spread
{
	const uint8 *reach;			/* by the node's number */
	uint8		sum;
} Spread;

/* Add a child's reach to that of its parent. */
static void
add_reach(SchemaNode *node, void *state)
{
	Spread	   *spread = state;

	spread->sum |= spread->reach[node->number];
}

/* What can be met by each dynamic name, which may be any of its targets. */
static void
spread_dynamics(const Schema *schema, const uint8 *reach, uint8 *dynamics)
{
	const SchemaDynamic *dynamic;
	const SchemaBinding *target;

	for (dynamic = schema->dynamics; dynamic; dynamic = dynamic->next)
		for (target = dynamic->targets; target; target = target->next_target)
			dynamics[dynamic->number] |= reach[target->node->number];
}

/*
 * Make of flags of each node, by its number, those of all nodes that can be
 * met from it.  Nodes come children first, so one round is enough but for
 * what references close: rounds go on while anything changes.
 */
void
schema_spread(const Schema *schema, uint8 *reach)
{
	uint8	   *dynamics = schema_allocate(1, Max(schema->dynamic_count, 1));
	Spread		spread = {reach, 0};
	bool		changed = true;

	while (changed)
	{
		changed = false;
		CHECK_FOR_INTERRUPTS();
		spread_dynamics(schema, reach, dynamics);
		for (SchemaNode *node = schema->nodes; node; node = node->next)
		{
			spread.sum = reach[node->number];
			visit_beside(node, add_reach, &spread);
			visit_below(node, add_reach, &spread);
			if (node->dynamic)
				spread.sum |= dynamics[node->dynamic->number];
			changed |= spread.sum != reach[node->number];
			reach[node->number] = spread.sum;
		}
	}
	pfree(dynamics);
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
