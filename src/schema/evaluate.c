/*
 * evaluate.c: does a document satisfy a schema?
 *
 * One pass over the document per node that applies, side by side with the
 * node's sorted properties.  The walk keeps a frame per level on the stack,
 * from which a path is made only when a violation is reported; a valid
 * document allocates nothing that is not given back at once.
 *
 * With a collector every violation is reported, but for those in branches
 * that need not match; without one the first decides.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/evaluate.h"
#include "schema/pattern.h"
#include "schema/value.h"
#include "schema/violation.h"

static bool accepts_branch(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at);

/* ---- arrays and objects ---- */

/* Are there as many items as "contains" wants?  found of them match it. */
static bool
check_contained(SchemaEvaluation *evaluation, const SchemaNode *node, int64 found, const SchemaFrame *at)
{
	static const SchemaCount words = {
		"minContains", "maxContains", "item that matches the schema under \"contains\"",
		"items that match the schema under \"contains\""
	};
	const SchemaArrayRules *rules = node->array;
	bool		too_few = found < rules->min_contains;

	if (!too_few || rules->says_min_contains)
		return schema_check_count(evaluation, node, at, found, rules->min_contains,
								  too_few ? SCHEMA_UNBOUNDED : rules->max_contains, &words);
	return SCHEMA_REPORT(evaluation, node, at, "contains",
						 "expected an item that matches the schema under \"contains\"");
}

/* Does it matter whether one more item is what is to be contained? */
static bool
counts_on(const SchemaArrayRules *rules, int64 found, const SchemaSeen *seen)
{
	return rules->contains &&
		(found < rules->min_contains || seen ||
		 (rules->max_contains != SCHEMA_UNBOUNDED && found <= rules->max_contains));
}

/* The items one by one, and how many of them are what is to be contained. */
static bool
check_items(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaArrayRules *rules = node->array;
	SchemaSeen *seen = evaluation->seen;
	int64		found = 0;
	bool		valid = true;
	JsonCursor	cursor;
	JsonbValue	item;
	SchemaFrame frame = {at, &item, NULL, 0, false};

	evaluation->seen = NULL;
	json_cursor_init(&cursor, at->value->val.binary.data);
	while (GOES_ON(evaluation, valid) && json_next_element(&cursor, &item))
	{
		uint32		index = frame.index = cursor.next - 1;
		const SchemaNode *schema = index < rules->tuple.count ? rules->tuple.nodes[index] : rules->rest;

		if (schema)
		{
			schema_seen_add(seen, index);
			valid &= schema_evaluate(evaluation, schema, &frame);
		}
		if (counts_on(rules, found, seen) && schema_accepts(evaluation, rules->contains, &frame))
		{
			/* in draft-07 there is no "unevaluatedItems" that could ask */
			schema_seen_add(seen, index);
			found++;
		}
	}
	evaluation->seen = seen;
	if (rules->contains && GOES_ON(evaluation, valid))
		valid &= check_contained(evaluation, node, found, at);
	return valid;
}

/* The array by itself, and its items. */
static bool
check_array(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	static const SchemaCount words = {"minItems", "maxItems", "item", "items"};
	const SchemaArrayRules *rules = node->array;
	bool		valid = schema_check_count(evaluation, node, at, json_count(at->value),
										   rules->min_items, rules->max_items, &words);

	if (GOES_ON(evaluation, valid) && rules->unique)
		valid &= schema_check_unique(evaluation, node, at);
	if (GOES_ON(evaluation, valid) && (rules->rest || rules->tuple.count > 0 || rules->contains))
		valid &= check_items(evaluation, node, at);
	return valid;
}

/* Names that must be there since property is; keyword is 0 for "dependencies". */
static bool
check_needs(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaProperty *property, int keyword,
			const SchemaFrame *at)
{
	bool		valid = true;
	JsonChild	name;
	JsonbValue	value;

	json_begin(&name, property->needs[keyword]);
	while (GOES_ON(evaluation, valid) && json_next(&name))
		if (!json_find_key(at->value, &name.value, &value))
			valid = SCHEMA_REPORT_PART(evaluation, node, at, keyword == 0 ? "dependencies" : "dependentRequired",
									   property, &name.value,
									   "property \"%.*s\" is required where \"%.*s\" is present",
									   name.value.val.string.len, name.value.val.string.val,
									   property->length, property->name);
	return valid;
}

/* What the presence of a property demands of the object. */
static bool
check_dependencies(SchemaEvaluation *evaluation, const SchemaNode *node,
				   const SchemaProperty *known, const SchemaFrame *at)
{
	bool		valid = true;

	for (int i = 0; i < lengthof(known->needs); i++)
	{
		if (known->needs[i] && GOES_ON(evaluation, valid))
			valid &= check_needs(evaluation, node, known, i, at);
		if (known->dependent[i] && GOES_ON(evaluation, valid))
			valid &= schema_evaluate(evaluation, known->dependent[i], at);
	}
	return valid;
}

/* The property's name, as a string of its own. */
static bool
check_name(SchemaEvaluation *evaluation, const SchemaNode *names, const SchemaFrame *property)
{
	SchemaFrame frame = *property;

	frame.value = property->key;
	frame.is_name = true;
	return schema_evaluate(evaluation, names, &frame);
}

/*
 * One property of an object: what its name, a pattern, or else
 * "additionalProperties" says of its value.  Notes in seen, unless NULL, that
 * one of them did.
 */
static bool
check_property(SchemaEvaluation *evaluation, const SchemaNode *node,
			   const SchemaProperty *known, const SchemaFrame *at, SchemaSeen *seen)
{
	const SchemaObjectRules *rules = node->object;
	bool		matched = known && known->schema;
	bool		valid = true;

	if (rules->names)
		valid &= check_name(evaluation, rules->names, at);
	if (matched && GOES_ON(evaluation, valid))
		valid &= schema_evaluate(evaluation, known->schema, at);
	for (uint32 i = 0; i < rules->pattern_count && GOES_ON(evaluation, valid); i++)
	{
		const SchemaPatternProperty *entry = &rules->patterns[i];

		if (!schema_pattern_matches_key(entry->pattern, at->key))
			continue;
		matched = true;
		valid &= schema_evaluate(evaluation, entry->schema, at);
	}
	if (rules->additional && !matched && GOES_ON(evaluation, valid))
	{
		matched = true;
		valid &= schema_evaluate(evaluation, rules->additional, at);
	}
	if (matched)
		schema_seen_add(seen, at->index);
	return valid;
}

/* Can nothing be meant by a node but an object? */
static bool
means_object(const SchemaNode *node)
{
	while (node->only_ref)
		node = node->ref;
	return node->types == SCHEMA_TYPE_OBJECT || (node->types == 0 && node->object);
}

/*
 * Report what a property that is missing would lack in turn, as an empty object.  The bound is for
 * schemas that contain themselves.
 */
static void
tell_within(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaProperty *property,
			const JsonbValue *name, const SchemaFrame *at)
{
	static const JsonbContainer nothing = {JB_FOBJECT};
	const int	max_depth = 20;
	JsonbValue	value = {.type = jbvBinary};
	/* no child that is there has that number, by which the memo tells places apart */
	SchemaFrame frame = {at, &value, name, json_count(at->value) + (property - node->object->properties), false};
	SchemaSeen *seen = evaluation->seen;

	if (evaluation->within == max_depth || property->schema == NULL || !means_object(property->schema))
		return;
	value.val.binary.data = unconstify(JsonbContainer *, &nothing);
	value.val.binary.len = sizeof(nothing.header);
	evaluation->seen = NULL;
	evaluation->within++;
	(void) schema_evaluate(evaluation, property->schema, &frame);
	evaluation->within--;
	evaluation->seen = seen;
}

/* Properties from first up to end that the object lacks. */
static bool
check_missing(SchemaEvaluation *evaluation, const SchemaNode *node,
			  const SchemaProperty *first, const SchemaProperty *end, const SchemaFrame *at)
{
	bool		valid = true;

	for (; first < end && GOES_ON(evaluation, valid); first++)
	{
		JsonbValue	name = json_string(first->name, first->length);

		if (first->required)
			valid = SCHEMA_REPORT_PART(evaluation, node, at, "required", NULL, &name,
									   "required property \"%.*s\" is missing", first->length, first->name);
		if (first->required && evaluation->goes_within && evaluation->collect)
			tell_within(evaluation, node, first, &name, at);
	}
	return valid;
}

/* The object's properties, side by side with those that the schema knows. */
static bool
check_properties(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaProperty *next = node->object->properties;
	const SchemaProperty *end = next + node->object->property_count;
	SchemaSeen *seen = evaluation->seen;
	bool		valid = true;
	JsonChild	child;
	SchemaFrame frame = {at, &child.value, &child.key, 0, false};

	evaluation->seen = NULL;
	json_begin(&child, at->value->val.binary.data);
	while (GOES_ON(evaluation, valid) && json_next_pair(&child.cursor, &child.key, &child.value))
	{
		const SchemaProperty *passed = next;
		const SchemaProperty *known = schema_next_property(&next, end, &child.key);

		CHECK_FOR_INTERRUPTS();
		frame.index = child.cursor.next - 1;
		valid &= check_missing(evaluation, node, passed, known ? known : next, at);
		if (!GOES_ON(evaluation, valid))
			break;
		valid &= check_property(evaluation, node, known, &frame, seen);
		if (known && node->object->has_dependencies && GOES_ON(evaluation, valid))
		{
			evaluation->seen = seen;
			valid &= check_dependencies(evaluation, node, known, at);
			evaluation->seen = NULL;
		}
	}
	evaluation->seen = seen;
	if (GOES_ON(evaluation, valid))
		valid &= check_missing(evaluation, node, next, end, at);
	return valid;
}

/* The object by itself, and its properties. */
static bool
check_object(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	static const SchemaCount words = {"minProperties", "maxProperties", "property", "properties"};
	const SchemaObjectRules *rules = node->object;
	bool		valid = schema_check_count(evaluation, node, at, json_count(at->value),
										   rules->min_properties, rules->max_properties, &words);

	if (GOES_ON(evaluation, valid))
		valid &= check_properties(evaluation, node, at);
	return valid;
}

/* The schema false, worded after what it stands under. */
static bool
refuse_value(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const char *message = "no value is allowed here";

	if (strcmp(node->applied_by, "additionalProperties") == 0 ||
		strcmp(node->applied_by, "unevaluatedProperties") == 0)
		message = "the schema does not know this property";
	else if (strcmp(node->applied_by, "additionalItems") == 0 ||
			 strcmp(node->applied_by, "unevaluatedItems") == 0)
		message = "the schema does not know this item";
	return SCHEMA_REPORT(evaluation, node, at, node->applied_by, "%s", message);
}

/* The rules for the value's own type. */
static bool
check_by_type(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	switch (at->value->type)
	{
		case jbvNumeric:
			return node->number_rules == NULL || schema_check_number(evaluation, node, at);
		case jbvString:
			return node->string == NULL || schema_check_string(evaluation, node, at);
		case jbvBinary:
			if (json_is_object(at->value))
				return node->object == NULL || check_object(evaluation, node, at);
			return node->array == NULL || check_array(evaluation, node, at);
		default:
			return true;
	}
}

/* ---- combinations of schemas ---- */

/* "allOf" */
static bool
check_all(SchemaEvaluation *evaluation, const SchemaList *all, const SchemaFrame *at)
{
	bool		valid = true;

	for (uint32 i = 0; i < all->count && GOES_ON(evaluation, valid); i++)
		valid &= schema_evaluate(evaluation, all->nodes[i], at);
	return valid;
}

/*
 * How many branches accept the value, counting no further than limit, unless
 * it matters what they evaluate.
 */
static uint32
count_accepting(SchemaEvaluation *evaluation, const SchemaList *branches, const SchemaFrame *at, uint32 limit)
{
	uint32		accepting = 0;

	for (uint32 i = 0; i < branches->count && (accepting < limit || evaluation->seen); i++)
		accepting += accepts_branch(evaluation, branches->nodes[i], at);
	return accepting;
}

/*
 * Is it impossible that the branch is meant?  It is where the branch names a
 * constant that the object has another value for, which is how schemas tell
 * their branches apart, and where it knows nothing of objects.
 */
bool
schema_is_ruled_out(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	while (branch->ref && (branch->only_ref || branch->object == NULL))
		branch = branch->ref;
	if (branch->object == NULL || !json_is_object(at->value))
		return true;
	for (uint32 i = 0; i < branch->object->property_count; i++)
	{
		const SchemaProperty *property = &branch->object->properties[i];
		JsonbValue	value;
		SchemaFrame frame = {at, &value, NULL, 0, true};

		if (property->schema && (property->schema->constant || property->schema->enumerated) &&
			getKeyJsonValueFromContainer(at->value->val.binary.data, property->name, property->length, &value) &&
			!schema_accepts(evaluation, property->schema, &frame))
			return true;
	}
	return false;
}

/*
 * Report that no branch accepts the value; and where constants leave only one
 * that could be meant, what keeps the value from that.  False for the caller
 * to return.
 */
static bool
refuse_all(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaList *branches, const SchemaFrame *at,
		   const char *keyword, const char *wanted)
{
	const SchemaNode *likely = NULL;

	if (evaluation->collect == NULL)
		return false;
	(void) SCHEMA_REPORT(evaluation, node, at, keyword, "expected %s one of %u alternative%s to match, and none does",
						 wanted, branches->count, branches->count == 1 ? "" : "s");
	for (uint32 i = 0; i < branches->count; i++)
	{
		if (schema_is_ruled_out(evaluation, branches->nodes[i], at))
			continue;
		if (likely)
			return false;
		likely = branches->nodes[i];
	}
	if (likely)
		schema_evaluate(evaluation, likely, at);
	return false;
}

/* "anyOf" */
static bool
check_any(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *any = &node->logic->any;

	return any->count == 0 || count_accepting(evaluation, any, at, 1) > 0 ||
		refuse_all(evaluation, node, any, at, "anyOf", "at least");
}

/* "oneOf" */
static bool
check_one(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *one = &node->logic->one;
	uint32		accepting;

	if (one->count == 0)
		return true;
	accepting = count_accepting(evaluation, one, at, evaluation->collect ? one->count : 2);
	if (accepting == 0)
		return refuse_all(evaluation, node, one, at, "oneOf", "exactly");
	return accepting == 1 ||
		SCHEMA_REPORT(evaluation, node, at, "oneOf", "expected exactly one of %u alternatives to match, and %u do",
					  one->count, accepting);
}

/* "if" decides which of "then" and "else" must hold. */
static bool
check_condition(SchemaEvaluation *evaluation, const SchemaLogicRules *logic, const SchemaFrame *at)
{
	const SchemaNode *chosen;

	if (logic->condition == NULL ||
		(logic->consequence == NULL && logic->alternative == NULL && evaluation->seen == NULL))
		return true;
	chosen = accepts_branch(evaluation, logic->condition, at) ? logic->consequence : logic->alternative;
	return chosen == NULL || schema_evaluate(evaluation, chosen, at);
}

/* What the keywords of logic say together. */
static bool
check_logic(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaLogicRules *logic = node->logic;
	bool		valid = check_all(evaluation, &logic->all, at);

	if (GOES_ON(evaluation, valid))
		valid &= check_any(evaluation, node, at);
	if (GOES_ON(evaluation, valid))
		valid &= check_one(evaluation, node, at);
	if (GOES_ON(evaluation, valid) && logic->negated && schema_accepts(evaluation, logic->negated, at))
		valid = SCHEMA_REPORT(evaluation, node, at, "not",
							  "expected a value that does not match the schema under \"not\"");
	if (GOES_ON(evaluation, valid))
		valid &= check_condition(evaluation, logic, at);
	return valid;
}

/* What applies to the same location by reference. */
static bool
check_references(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid = true;
	SchemaFollowing frame;

	if (node->ref)
		valid = schema_evaluate(evaluation, node->ref, at);
	if (node->dynamic_ref && GOES_ON(evaluation, valid))
	{
		valid &= schema_evaluate(evaluation, schema_follow(evaluation, node, at, &frame), at);
		schema_unfollow(evaluation, &frame);
	}
	return valid;
}

/* ---- nodes ---- */

/* A node's own keywords, but for what they leave unevaluated. */
static bool
evaluate_node(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid;

	if (node->only_ref)
		return schema_evaluate(evaluation, node->ref, at);
	if (node->never)
		return refuse_value(evaluation, node, at);
	valid = node->types == 0 || (node->types & schema_type_of(at->value)) ||
		schema_check_type(evaluation, node, at);
	if (node->constant && GOES_ON(evaluation, valid))
		valid &= schema_check_const(evaluation, node, at);
	if (node->enumerated && GOES_ON(evaluation, valid))
		valid &= schema_check_enum(evaluation, node, at);
	if (GOES_ON(evaluation, valid))
		valid &= check_by_type(evaluation, node, at);
	if (node->logic && GOES_ON(evaluation, valid))
		valid &= check_logic(evaluation, node, at);
	if (node->refers && GOES_ON(evaluation, valid))
		valid &= check_references(evaluation, node, at);
	return valid;
}

/* Every child that is not in seen must satisfy the schema; all are then. */
static bool
check_unevaluated(SchemaEvaluation *evaluation, const SchemaNode *schema, const SchemaFrame *at, SchemaSeen *seen)
{
	bool		is_object = json_is_object(at->value);
	bool		valid = true;
	JsonChild	child;
	SchemaFrame frame = {at, &child.value, is_object ? &child.key : NULL, 0, false};

	evaluation->seen = NULL;
	json_begin(&child, at->value->val.binary.data);
	while (GOES_ON(evaluation, valid) && json_next(&child))
	{
		CHECK_FOR_INTERRUPTS();
		frame.index = child.index;
		if (schema_seen_has(seen, frame.index))
			continue;
		schema_seen_add(seen, frame.index);
		valid &= schema_evaluate(evaluation, schema, &frame);
	}
	evaluation->seen = seen;
	return valid;
}

/* What a node says of the children that nothing else evaluated; NULL for nothing. */
static const SchemaNode *
unevaluated_schema(const SchemaNode *node, const JsonbValue *value)
{
	if (json_is_object(value))
		return node->object ? node->object->unevaluated : NULL;
	return json_is_array(value) && node->array ? node->array->unevaluated : NULL;
}

/* A node with a word about what is left unevaluated. */
static pg_noinline bool
evaluate_rest(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaNode *rest = unevaluated_schema(node, at->value);
	SchemaSeen *outer = evaluation->seen;
	SchemaSeen	own;
	bool		valid;

	if (rest == NULL)
		return evaluate_node(evaluation, node, at);
	schema_seen_init(&own, at->value);
	evaluation->seen = &own;
	valid = evaluate_node(evaluation, node, at);
	if (GOES_ON(evaluation, valid))
		valid &= check_unevaluated(evaluation, rest, at, &own);
	evaluation->seen = outer;
	if (outer)
		schema_seen_merge(outer, own.bits);
	schema_seen_free(&own);
	return valid;
}

/* A node that is not to be looked up in the memo, or was not found there. */
static bool
evaluate_whole(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	return node->unevaluated ? evaluate_rest(evaluation, node, at) : evaluate_node(evaluation, node, at);
}

/* A node that is evaluated for the memo together with what it evaluates. */
static pg_noinline bool
evaluate_for_memo(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at, SchemaMemo *memo)
{
	SchemaSeen *outer = evaluation->seen;
	SchemaSeen	own;
	bool		valid;

	schema_seen_init(&own, at->value);
	evaluation->seen = &own;
	valid = evaluate_whole(evaluation, node, at);
	evaluation->seen = outer;
	if (valid)
		schema_memo_keep_seen(evaluation, memo, &own);
	schema_seen_merge(outer, own.bits);
	schema_seen_free(&own);
	return valid;
}

/* A node that references lead to, which may have been asked before. */
static bool
evaluate_shared(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaMemo *memo = schema_memo(evaluation, node, at);
	bool		valid;

	if (memo == NULL)
		return evaluate_whole(evaluation, node, at);
	if ((memo->answer & SCHEMA_MEMO_VALID) && (evaluation->seen == NULL || memo->seen))
	{
		if (evaluation->seen)
			schema_seen_merge(evaluation->seen, memo->seen);
		return true;
	}
	if (memo->answer & (evaluation->thorough ? SCHEMA_MEMO_REPORTED : SCHEMA_MEMO_INVALID))
		return false;
	valid = evaluation->seen ? evaluate_for_memo(evaluation, node, at, memo) :
		evaluate_whole(evaluation, node, at);
	memo->answer |= valid ? SCHEMA_MEMO_VALID :
		SCHEMA_MEMO_INVALID | (evaluation->thorough ? SCHEMA_MEMO_REPORTED : 0);
	return valid;
}

/* A node for which more has to be done than to look at its keywords. */
static bool
evaluate_carefully(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaScopeMark mark;
	bool		valid;

	if (node->resource->bindings == NULL)
		return node->shared ? evaluate_shared(evaluation, node, at) :
			evaluate_rest(evaluation, node, at);
	mark = schema_enter_resource(evaluation, node->resource);
	valid = node->shared ? evaluate_shared(evaluation, node, at) :
		evaluate_whole(evaluation, node, at);
	schema_leave_resource(evaluation, mark);
	return valid;
}

/*
 * Does the value at that frame satisfy the node?  Reports what does not, if
 * the evaluation collects.
 */
bool
schema_evaluate(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->careful)
		return evaluate_carefully(evaluation, node, at);
	return evaluate_node(evaluation, node, at);
}

/*
 * Does the value satisfy a node that need not match, and so reports nothing?
 * Notes in seen, unless NULL, what it evaluates.
 */
static bool
accepts(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at, SchemaSeen *seen)
{
	SchemaCollector collect = evaluation->collect;
	bool		thorough = evaluation->thorough;
	SchemaSeen *outer = evaluation->seen;
	bool		valid;

	evaluation->collect = NULL;
	evaluation->thorough = false;
	evaluation->seen = seen;
	valid = schema_evaluate(evaluation, node, at);
	evaluation->collect = collect;
	evaluation->thorough = thorough;
	evaluation->seen = outer;
	return valid;
}

/* Does the node accept the value?  What it evaluates does not count. */
bool
schema_accepts(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	return accepts(evaluation, node, at, NULL);
}

/* Does a branch accept the value?  What it evaluated counts only if it does. */
static pg_noinline bool
accepts_tracking(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	SchemaSeen	own;
	bool		valid;

	schema_seen_init(&own, at->value);
	valid = accepts(evaluation, branch, at, &own);
	if (valid)
		schema_seen_merge(evaluation->seen, own.bits);
	schema_seen_free(&own);
	return valid;
}

/*
 * Does a branch that applies to the same location accept the value?  If it
 * does, what it evaluates counts.
 */
static bool
accepts_branch(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	if (evaluation->seen)
		return accepts_tracking(evaluation, branch, at);
	return evaluation->thorough ? accepts(evaluation, branch, at, NULL) : schema_evaluate(evaluation, branch, at);
}

/*
 * Which children of the value the node evaluates, besides what it says of
 * those that nothing else does.  The value need not be valid: only branches
 * that do not match count for nothing.
 */
void
schema_find_seen(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at, SchemaSeen *seen)
{
	evaluation->seen = seen;
	evaluation->thorough = true;
	evaluate_node(evaluation, node, at);
	evaluation->thorough = false;
	evaluation->seen = NULL;
}
