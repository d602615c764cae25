/*
 * walk.c: which subschemas apply to which locations of a document.
 *
 * What JSON Schema calls annotation collection, for documents that need not
 * be valid.  Of branches those that match apply; where none does, all do, so
 * that a doubt never leaks a value.  What stands beside a $ref says nothing
 * of validity in draft-07, but applies all the same.
 *
 * Subschemas from which none that is wanted can be met are passed over, and
 * with them the part of the document that only they apply to.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/evaluate.h"
#include "schema/pattern.h"
#include "schema/walk.h"

static void apply(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location);

/* Is there anything to be met from the node, which may be NULL? */
static bool
is_wanted(const SchemaWalk *walk, const SchemaNode *node)
{
	return node && (walk->reach[node->number] & walk->wanted);
}

/* The location of a child; key is NULL for an item. */
static SchemaLocation
location_of(SchemaLocation *parent, const JsonChild *child, const JsonbValue *key)
{
	SchemaLocation location = {.at = {&parent->at, &child->value, key, child->index, false}};

	location.mark.parent = &parent->mark;
	location.mark.index = child->index;
	location.mark.count = child->value.type == jbvBinary ? json_count(&child->value) : 0;
	return location;
}

/* Is there from any node of the list? */
static bool
any_wanted(const SchemaWalk *walk, const SchemaList *list)
{
	for (uint32 i = 0; i < list->count; i++)
		if (is_wanted(walk, list->nodes[i]))
			return true;
	return false;
}

/* Does a walk over the object's properties pay? */
static bool
properties_wanted(const SchemaWalk *walk, const SchemaObjectRules *rules)
{
	if (is_wanted(walk, rules->additional))
		return true;
	for (uint32 i = 0; i < rules->pattern_count; i++)
		if (is_wanted(walk, rules->patterns[i].schema))
			return true;
	for (uint32 i = 0; i < rules->property_count; i++)
		if (is_wanted(walk, rules->properties[i].schema) ||
			is_wanted(walk, rules->properties[i].dependent[0]) ||
			is_wanted(walk, rules->properties[i].dependent[1]))
			return true;
	return false;
}

/* What applies to one property, and to the object since it is there. */
static void
apply_property(SchemaWalk *walk, const SchemaObjectRules *rules, const SchemaProperty *known,
			  SchemaLocation *object, SchemaLocation *property)
{
	const JsonbValue *key = property->at.key;
	bool		matched = known && known->schema;

	if (matched)
		apply(walk, known->schema, property);
	for (uint32 i = 0; i < rules->pattern_count; i++)
	{
		const SchemaPatternProperty *entry = &rules->patterns[i];

		/* one without marks matters where it keeps others from applying */
		if (!is_wanted(walk, entry->schema) && (matched || !is_wanted(walk, rules->additional)))
			continue;
		if (!schema_pattern_matches_key(entry->pattern, key))
			continue;
		matched = true;
		apply(walk, entry->schema, property);
	}
	if (!matched && rules->additional)
		apply(walk, rules->additional, property);
	for (uint32 i = 0; known && i < lengthof(known->dependent); i++)
		if (known->dependent[i])
			apply(walk, known->dependent[i], object);
}

/* What applies to the object's properties, and to it since they are there. */
static void
apply_properties(SchemaWalk *walk, const SchemaObjectRules *rules, SchemaLocation *location)
{
	const SchemaProperty *next = rules->properties;
	const SchemaProperty *end = next + rules->property_count;

	if (!properties_wanted(walk, rules))
		return;
	json_foreach(child, location->at.value)
	{
		const SchemaProperty *known = schema_next_property(&next, end, &child.key);
		SchemaLocation property = location_of(location, &child, &child.key);

		CHECK_FOR_INTERRUPTS();
		apply_property(walk, rules, known, location, &property);
	}
}

/*
 * The items that match "contains", or all of them where none does although
 * one must.
 */
static void
apply_contained(SchemaWalk *walk, const SchemaArrayRules *rules, SchemaLocation *location)
{
	const SchemaNode *contains = rules->contains;
	bool		all = false;
	bool		found = false;

	if (!is_wanted(walk, contains))
		return;
	do
	{
		json_foreach(child, location->at.value)
		{
			SchemaLocation item = location_of(location, &child, NULL);

			if (!all && !schema_accepts(&walk->evaluation, contains, &item.at))
				continue;
			found = true;
			apply(walk, contains, &item);
		}
		all = !all;
	} while (all && !found && rules->min_contains > 0);
}

/* What applies to the array's items. */
static void
apply_items(SchemaWalk *walk, const SchemaArrayRules *rules, SchemaLocation *location)
{
	const SchemaNode *rest = rules->rest;

	apply_contained(walk, rules, location);
	if (!is_wanted(walk, rest) && !any_wanted(walk, &rules->tuple))
		return;
	json_foreach(child, location->at.value)
	{
		const SchemaNode *schema = child.index < rules->tuple.count ? rules->tuple.nodes[child.index] : rest;
		SchemaLocation item;

		if (!is_wanted(walk, schema))
			continue;
		item = location_of(location, &child, NULL);
		apply(walk, schema, &item);
	}
}

/* Does a branch apply where none matches? */
static bool
is_meant(SchemaWalk *walk, const SchemaNode *branch, const SchemaLocation *location)
{
	return !walk->only_meant || !schema_is_ruled_out(&walk->evaluation, branch, &location->at);
}

/* The branches that match, or all of them where none does. */
static void
apply_branches(SchemaWalk *walk, const SchemaList *branches, SchemaLocation *location)
{
	bool		matched = false;

	if (!any_wanted(walk, branches))
		return;
	for (uint32 i = 0; i < branches->count; i++)
	{
		if (!schema_accepts(&walk->evaluation, branches->nodes[i], &location->at))
			continue;
		matched = true;
		apply(walk, branches->nodes[i], location);
	}
	for (uint32 i = 0; i < branches->count && !matched; i++)
		if (is_meant(walk, branches->nodes[i], location))
			apply(walk, branches->nodes[i], location);
}

/* "if" and "then" where "if" holds, "else" where it does not. */
static void
apply_condition(SchemaWalk *walk, const SchemaLogicRules *logic, SchemaLocation *location)
{
	if (!is_wanted(walk, logic->condition) && !is_wanted(walk, logic->consequence) &&
		!is_wanted(walk, logic->alternative))
		return;
	if (schema_accepts(&walk->evaluation, logic->condition, &location->at))
	{
		apply(walk, logic->condition, location);
		if (logic->consequence)
			apply(walk, logic->consequence, location);
	}
	else if (logic->alternative)
		apply(walk, logic->alternative, location);
}

/* What the keywords of logic make apply to the same location. */
static void
apply_logic(SchemaWalk *walk, const SchemaLogicRules *logic, SchemaLocation *location)
{
	for (uint32 i = 0; i < logic->all.count; i++)
		apply(walk, logic->all.nodes[i], location);
	apply_branches(walk, &logic->any, location);
	apply_branches(walk, &logic->one, location);
	if (logic->condition)
		apply_condition(walk, logic, location);
}

/* What is said of the children that the node evaluates in no other way. */
static void
apply_unevaluated(SchemaWalk *walk, const SchemaNode *node, const SchemaNode *rest, SchemaLocation *location)
{
	bool		is_object = json_is_object(location->at.value);
	SchemaSeen	seen;

	if (!is_wanted(walk, rest))
		return;
	schema_seen_init(&seen, location->at.value);
	schema_find_seen(&walk->evaluation, node, &location->at, &seen);
	json_foreach(child, location->at.value)
	{
		SchemaLocation unseen;

		if (schema_seen_has(&seen, child.index))
			continue;
		unseen = location_of(location, &child, is_object ? &child.key : NULL);
		apply(walk, rest, &unseen);
	}
	schema_seen_free(&seen);
}

/* What applies to the same location by reference. */
static void
apply_references(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	SchemaFollowing following;

	if (node->ref)
		apply(walk, node->ref, location);
	if (node->dynamic_ref == NULL)
		return;
	apply(walk, schema_follow(&walk->evaluation, node, &location->at, &following), location);
	schema_unfollow(&walk->evaluation, &following);
}

/* Was all of this done before, on another way to the same location? */
static bool
is_known(SchemaWalk *walk, const SchemaNode *node, const SchemaLocation *location)
{
	SchemaMemo *memo = node->shared ? schema_memo(&walk->evaluation, node, &location->at) : NULL;

	if (memo == NULL)
		return false;
	if (memo->answer & SCHEMA_MEMO_WALKED)
		return true;
	memo->answer |= SCHEMA_MEMO_WALKED;
	return false;
}

/* All that the node's keywords make apply, to its location and below. */
static void
apply_keywords(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	const JsonbValue *value = location->at.value;

	apply_references(walk, node, location);
	if (node->object && json_is_object(value))
	{
		apply_properties(walk, node->object, location);
		apply_unevaluated(walk, node, node->object->unevaluated, location);
	}
	if (node->array && json_is_array(value))
	{
		apply_items(walk, node->array, location);
		apply_unevaluated(walk, node, node->array->unevaluated, location);
	}
	if (node->logic)
		apply_logic(walk, node->logic, location);
}

/* Visit the node at a location, and whatever it makes apply there and below. */
static void
apply(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	SchemaScopeMark mark;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!is_wanted(walk, node))
		return;
	if (node->resource->bindings)
		mark = schema_enter_resource(&walk->evaluation, node->resource);
	if (!is_known(walk, node, location))
	{
		walk->visit(walk, node, location);
		apply_keywords(walk, node, location);
	}
	if (node->resource->bindings)
		schema_leave_resource(&walk->evaluation, mark);
}

/*
 * Visit every node that applies to a location of the document, with that
 * location, once for each way that leads there or more rarely.  Only nodes
 * are visited from which one that is wanted can be met: walk says by reach,
 * which schema_spread fills in, and wanted which those are.  Returns the marks
 * that visits set, in the current memory context; NULL for none.
 */
JsonMark *
schema_walk(SchemaWalk *walk, const Schema *schema, const Jsonb *document)
{
	JsonbValue	view = json_view(document);
	SchemaLocation root = {.at = {NULL, &view, NULL, 0, false}};

	root.mark.count = view.type == jbvBinary ? json_count(&view) : 0;
	schema_begin_evaluation(&walk->evaluation, schema);
	apply(walk, schema->root, &root);
	schema_end_evaluation(&walk->evaluation);
	return root.mark.node;
}
