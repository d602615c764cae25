/*
 * annotate.c: which locations of a document the schema marks.
 *
 * What JSON Schema calls annotation collection: a location is marked if any
 * subschema that applies to it says so.  Of branches those that match apply;
 * where none does, all do, so that a doubt never leaks a value.  What stands
 * beside a $ref says nothing of validity in draft-07, but marks all the same.
 *
 * Subschemas from which no wanted mark can be met are passed over, and with
 * them the part of the document that only they apply to.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/internal.h"

typedef struct MarkWalk
{
	SchemaEvaluation evaluation;	/* of branches; collects nothing */
	uint8		wanted;
} MarkWalk;

/* A location, for the mark tree and for the evaluator. */
typedef struct MarkFrame
{
	JsonMarkFrame mark;
	SchemaFrame at;
} MarkFrame;

static void collect_marks(MarkWalk *walk, const SchemaNode *node, MarkFrame *frame);

/* Is there anything to be met from the node, which may be NULL? */
static bool
is_wanted(const MarkWalk *walk, const SchemaNode *node)
{
	return node && (node->reach & walk->wanted);
}

/* Make child the frame of the child of frame whose view and key it has. */
static void
enter_child(MarkFrame *child, MarkFrame *frame, uint32 index)
{
	child->mark.parent = &frame->mark;
	child->mark.index = child->at.index = index;
	child->mark.count = child->at.value->type == jbvBinary ? json_count(child->at.value) : 0;
	child->mark.node = NULL;
}

static bool
any_wanted(const MarkWalk *walk, const SchemaList *list)
{
	uint32		i;

	for (i = 0; i < list->count; i++)
		if (is_wanted(walk, list->nodes[i]))
			return true;
	return false;
}

/* Does a walk over the object's properties pay? */
static bool
properties_wanted(const MarkWalk *walk, const SchemaObjectRules *rules)
{
	uint32		i;

	if (is_wanted(walk, rules->additional))
		return true;
	for (i = 0; i < rules->pattern_count; i++)
		if (is_wanted(walk, rules->patterns[i].schema))
			return true;
	for (i = 0; i < rules->property_count; i++)
		if (is_wanted(walk, rules->properties[i].schema) ||
			is_wanted(walk, rules->properties[i].dependent))
			return true;
	return false;
}

/* What applies to one property, and to the object since it is there. */
static void
mark_property(MarkWalk *walk, const SchemaObjectRules *rules, const SchemaProperty *known,
			  MarkFrame *object, MarkFrame *property)
{
	const JsonbValue *key = property->at.key;
	bool		matched = known && known->schema;
	uint32		i;

	if (matched)
		collect_marks(walk, known->schema, property);
	for (i = 0; i < rules->pattern_count; i++)
	{
		const SchemaPatternProperty *entry = &rules->patterns[i];

		/* one without marks matters where it keeps others from applying */
		if (!is_wanted(walk, entry->schema) &&
			(matched || !is_wanted(walk, rules->additional)))
			continue;
		if (!schema_pattern_matches(entry->pattern, key->val.string.val, key->val.string.len))
			continue;
		matched = true;
		collect_marks(walk, entry->schema, property);
	}
	if (!matched && rules->additional)
		collect_marks(walk, rules->additional, property);
	if (known && known->dependent)
		collect_marks(walk, known->dependent, object);
}

static void
mark_properties(MarkWalk *walk, const SchemaObjectRules *rules, MarkFrame *frame)
{
	const SchemaProperty *next = rules->properties;
	const SchemaProperty *end = next + rules->property_count;
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;
	MarkFrame	child = {.at = {&frame->at, &value, &key, 0, false}};

	if (!properties_wanted(walk, rules))
		return;
	json_cursor_init(&cursor, frame->at.value->val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		const SchemaProperty *known = schema_next_property(&next, end, &key);

		CHECK_FOR_INTERRUPTS();
		enter_child(&child, frame, cursor.next - 1);
		mark_property(walk, rules, known, frame, &child);
	}
}

/*
 * The items that match "contains", or all of them where none does.
 */
static void
mark_contained(MarkWalk *walk, const SchemaNode *contains, MarkFrame *frame)
{
	JsonCursor	cursor;
	JsonbValue	item;
	MarkFrame	child = {.at = {&frame->at, &item, NULL, 0, false}};
	bool		all = false;
	bool		found = false;

	if (!is_wanted(walk, contains))
		return;
	do
	{
		json_cursor_init(&cursor, frame->at.value->val.binary.data);
		while (json_next_element(&cursor, &item))
		{
			enter_child(&child, frame, cursor.next - 1);
			if (!all && !schema_accepts(&walk->evaluation, contains, &child.at))
				continue;
			found = true;
			collect_marks(walk, contains, &child);
		}
		all = !all;
	} while (all && !found);
}

static void
mark_items(MarkWalk *walk, const SchemaArrayRules *rules, MarkFrame *frame)
{
	JsonCursor	cursor;
	JsonbValue	item;
	MarkFrame	child = {.at = {&frame->at, &item, NULL, 0, false}};
	const SchemaNode *rest = rules->is_tuple ? rules->additional : rules->items;

	mark_contained(walk, rules->contains, frame);
	if (!is_wanted(walk, rest) && !any_wanted(walk, &rules->tuple))
		return;
	json_cursor_init(&cursor, frame->at.value->val.binary.data);
	while (json_next_element(&cursor, &item))
	{
		uint32		index = cursor.next - 1;
		const SchemaNode *schema = index < rules->tuple.count ? rules->tuple.nodes[index] : rest;

		if (!is_wanted(walk, schema))
			continue;
		enter_child(&child, frame, index);
		collect_marks(walk, schema, &child);
	}
}

/* The branches that match, or all of them where none does. */
static void
mark_branches(MarkWalk *walk, const SchemaList *branches, MarkFrame *frame)
{
	bool		matched = false;
	uint32		i;

	if (!any_wanted(walk, branches))
		return;
	for (i = 0; i < branches->count; i++)
	{
		if (!schema_accepts(&walk->evaluation, branches->nodes[i], &frame->at))
			continue;
		matched = true;
		collect_marks(walk, branches->nodes[i], frame);
	}
	for (i = 0; i < branches->count && !matched; i++)
		collect_marks(walk, branches->nodes[i], frame);
}

/* "if" and "then" where "if" holds, "else" where it does not. */
static void
mark_condition(MarkWalk *walk, const SchemaLogicRules *logic, MarkFrame *frame)
{
	if (!is_wanted(walk, logic->condition) && !is_wanted(walk, logic->consequence) &&
		!is_wanted(walk, logic->alternative))
		return;
	if (schema_accepts(&walk->evaluation, logic->condition, &frame->at))
	{
		collect_marks(walk, logic->condition, frame);
		if (logic->consequence)
			collect_marks(walk, logic->consequence, frame);
	}
	else if (logic->alternative)
		collect_marks(walk, logic->alternative, frame);
}

static void
mark_logic(MarkWalk *walk, const SchemaLogicRules *logic, MarkFrame *frame)
{
	uint32		i;

	for (i = 0; i < logic->all.count; i++)
		collect_marks(walk, logic->all.nodes[i], frame);
	mark_branches(walk, &logic->any, frame);
	mark_branches(walk, &logic->one, frame);
	if (logic->condition)
		mark_condition(walk, logic, frame);
}

/* Was all of this done before, on another way to the same location? */
static bool
is_known(MarkWalk *walk, const SchemaNode *node, const MarkFrame *frame)
{
	uint8	   *memo = node->shared ? schema_memo(&walk->evaluation, node, &frame->at) : NULL;

	if (memo == NULL)
		return false;
	if (*memo & SCHEMA_MEMO_MARKED)
		return true;
	*memo |= SCHEMA_MEMO_MARKED;
	return false;
}

/* Set the marks that the node means for the frame's location and below. */
static void
collect_marks(MarkWalk *walk, const SchemaNode *node, MarkFrame *frame)
{
	const JsonbValue *value = frame->at.value;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!is_wanted(walk, node) || is_known(walk, node, frame))
		return;
	if (node->marks & walk->wanted)
		json_mark_set(&frame->mark, node->marks & walk->wanted);
	if (node->ref)
		collect_marks(walk, node->ref, frame);
	if (node->object && json_is_object(value))
		mark_properties(walk, node->object, frame);
	if (node->array && json_is_array(value))
		mark_items(walk, node->array, frame);
	if (node->logic)
		mark_logic(walk, node->logic, frame);
}

/*
 * Can two documents with values at the same places have these marks at
 * different ones?  If not, a place is marked or not whatever is in it.
 */
bool
schema_marks_vary(const Schema *schema, uint32 wanted)
{
	return (schema->varying & wanted) != 0;
}

/*
 * The marks of a document, of those that are wanted (SCHEMA_NONCOPYABLE and
 * so on): a tree in the current memory context, NULL where there are none.
 * The document need not be valid.
 */
JsonMark *
schema_marks(const Schema *schema, const JsonbValue *document, uint32 wanted)
{
	MarkWalk	walk = {.wanted = (uint8) wanted};
	MarkFrame	root = {.at = {NULL, document, NULL, 0, false}};

	root.mark.count = document->type == jbvBinary ? json_count(document) : 0;
	collect_marks(&walk, schema->root, &root);
	schema_end_evaluation(&walk.evaluation);
	return root.mark.node;
}
