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

static void
visit(SchemaNode *node, NodeVisitor visitor, void *state)
{
	if (node)
		visitor(node, state);
}

static void
visit_list(const SchemaList *list, NodeVisitor visitor, void *state)
{
	uint32		i;

	for (i = 0; i < list->count; i++)
		visitor(list->nodes[i], state);
}

/* The nodes that apply to the same location as node, except under "not". */
static void
visit_beside(const SchemaNode *node, NodeVisitor visitor, void *state)
{
	const SchemaLogicRules *logic = node->logic;
	uint32		i;

	visit(node->ref, visitor, state);
	if (node->object && node->object->has_dependencies)
		for (i = 0; i < node->object->property_count; i++)
			visit(node->object->properties[i].dependent, visitor, state);
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
		visit_list(&array->tuple, visitor, state);
	}
	if (object == NULL)
		return;
	for (i = 0; i < object->property_count; i++)
		visit(object->properties[i].schema, visitor, state);
	for (i = 0; i < object->pattern_count; i++)
		visit(object->patterns[i].schema, visitor, state);
	visit(object->additional, visitor, state);
}

/*
 * Refuse a circle, naming the $ref that closes it: a schema that is one tree
 * has none without a $ref.
 */
static void
refuse_circle(const CircleFrame *frame)
{
	const SchemaNode *node;

	while (frame->parent && frame->node->ref == NULL)
		frame = frame->parent;
	node = frame->node;
	SCHEMA_REFUSE(schema_place_step(node->place, "$ref", strlen("$ref")),
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
 * keywords that stay at one location of the document leads back.
 */
void
schema_refuse_circles(const Schema *schema)
{
	SchemaNode *node;

	for (node = schema->nodes; node; node = node->next)
		search_circle(node, NULL);
}

/* Add a child's reach to that of its parent, which state points to. */
static void
add_reach(SchemaNode *node, void *state)
{
	*(uint8 *) state |= node->reach;
}

/*
 * Fill in which marks can be met from each node.  Nodes come children first,
 * so one round is enough but for what references close: rounds go on while
 * anything changes.
 */
void
schema_spread_marks(const Schema *schema)
{
	SchemaNode *node;
	bool		changed = true;

	while (changed)
	{
		changed = false;
		CHECK_FOR_INTERRUPTS();
		for (node = schema->nodes; node; node = node->next)
		{
			uint8		reach = node->reach | node->marks;

			visit_beside(node, add_reach, &reach);
			visit_below(node, add_reach, &reach);
			changed |= reach != node->reach;
			node->reach = reach;
		}
	}
}
