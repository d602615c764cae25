/*
 * completion.c: can a document still become one that satisfies a schema?
 *
 * A partial document is completed by adding to its objects, and by replacing its placeholders.
 * Each node is judged in three ways: no completion satisfies it, every one does, or that depends
 * on what is added.  Where telling would take more than one look at what is there, it depends.
 * Arrays get no items: what completes a document replaces them as a whole.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/render.h"
#include "schema/evaluate.h"
#include "schema/pattern.h"
#include "schema/value.h"
#include "schema/violation.h"

/* What of all completions satisfies a node; the worse, the lower. */
typedef enum Verdict
{
	VERDICT_NONE,
	VERDICT_SOME,				/* or that is not known */
	VERDICT_ALL
} Verdict;

static Verdict judge(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at);

/* The verdict of two that both have to be met. */
static Verdict
both(Verdict a, Verdict b)
{
	return a < b ? a : b;
}

/* The verdict on what no completion changes. */
static Verdict
settled(bool valid)
{
	return valid ? VERDICT_ALL : VERDICT_NONE;
}

/* Judge a node that need not match, and so reports nothing. */
static Verdict
judge_branch(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	SchemaCollector collect = evaluation->collect;
	Verdict		verdict;

	evaluation->collect = NULL;
	verdict = judge(evaluation, branch, at);
	evaluation->collect = collect;
	return verdict;
}

/* ---- arrays and objects ---- */

/* Is there an item that a completion may change? */
static bool
has_open_item(const JsonbValue *array)
{
	json_foreach(item, array)
		if (item.value.type == jbvBinary || json_strings_may_render(&item.value))
			return true;
	return false;
}

/* Judge how many items are what is to be contained. */
static Verdict
judge_contained(SchemaEvaluation *evaluation, const SchemaNode *node, int64 surely, int64 maybe, const SchemaFrame *at)
{
	const SchemaArrayRules *rules = node->array;
	bool		bounded = rules->max_contains != SCHEMA_UNBOUNDED;

	if (maybe < rules->min_contains || (bounded && surely > rules->max_contains))
		return settled(SCHEMA_REPORT(evaluation, node, at, maybe < rules->min_contains ? "contains" : "maxContains",
									 "expected %s items that match the schema under \"contains\"",
									 maybe < rules->min_contains ? "more" : "fewer"));
	return surely >= rules->min_contains && !(bounded && maybe > rules->max_contains) ? VERDICT_ALL : VERDICT_SOME;
}

/* Judge the items one by one. */
static Verdict
judge_items(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaArrayRules *rules = node->array;
	Verdict		verdict = rules->unevaluated ? VERDICT_SOME : VERDICT_ALL;
	int64		surely = 0;
	int64		maybe = 0;

	json_foreach(item, at->value)
	{
		SchemaFrame frame = {at, &item.value, NULL, item.index, false};
		const SchemaNode *schema = item.index < rules->tuple.count ? rules->tuple.nodes[item.index] : rules->rest;

		if (schema)
			verdict = both(verdict, judge(evaluation, schema, &frame));
		if (rules->contains)
		{
			Verdict		contained = judge_branch(evaluation, rules->contains, &frame);

			surely += contained == VERDICT_ALL;
			maybe += contained != VERDICT_NONE;
		}
	}
	return rules->contains ? both(verdict, judge_contained(evaluation, node, surely, maybe, at)) : verdict;
}

/* Judge an array. */
static Verdict
judge_array(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	static const SchemaCount words = {"minItems", "maxItems", "item", "items"};
	const SchemaArrayRules *rules = node->array;
	Verdict		verdict = settled(schema_check_count(evaluation, node, at, json_count(at->value),
													 rules->min_items, rules->max_items, &words));

	if (rules->unique)
		verdict = both(verdict, has_open_item(at->value) ? VERDICT_SOME :
					  settled(schema_check_unique(evaluation, node, at)));
	return both(verdict, judge_items(evaluation, node, at));
}

/* Judge the properties from first up to end, which the object lacks: anything may be added. */
static Verdict
judge_absent(const SchemaProperty *first, const SchemaProperty *end)
{
	for (; first < end; first++)
		if (first->required || first->schema || first->dependent[0] || first->dependent[1] ||
			first->needs[0] || first->needs[1])
			return VERDICT_SOME;
	return VERDICT_ALL;
}

/* Judge what the presence of a property demands of the object. */
static Verdict
judge_dependencies(SchemaEvaluation *evaluation, const SchemaProperty *known, const SchemaFrame *at)
{
	Verdict		verdict = VERDICT_ALL;
	JsonbValue	value;

	for (int i = 0; i < lengthof(known->needs); i++)
	{
		if (known->needs[i])
			json_foreach_in(name, known->needs[i])
				if (!json_find_key(at->value, &name.value, &value))
					verdict = both(verdict, VERDICT_SOME);
		if (known->dependent[i])
			verdict = both(verdict, judge(evaluation, known->dependent[i], at));
	}
	return verdict;
}

/* Judge one property by all that applies to it. */
static Verdict
judge_property(SchemaEvaluation *evaluation, const SchemaObjectRules *rules, const SchemaProperty *known,
			   const SchemaFrame *at)
{
	bool		matched = known && known->schema;
	SchemaFrame name = *at;
	Verdict		verdict = VERDICT_ALL;

	name.value = at->key;
	name.is_name = true;
	if (rules->names)
		verdict = both(verdict, settled(schema_evaluate(evaluation, rules->names, &name)));
	if (matched)
		verdict = both(verdict, judge(evaluation, known->schema, at));
	for (uint32 i = 0; i < rules->pattern_count; i++)
		if (schema_pattern_matches_key(rules->patterns[i].pattern, at->key))
		{
			matched = true;
			verdict = both(verdict, judge(evaluation, rules->patterns[i].schema, at));
		}
	if (rules->additional && !matched)
		verdict = both(verdict, judge(evaluation, rules->additional, at));
	return verdict;
}

/* Judge the properties, side by side with those that the schema knows. */
static Verdict
judge_properties(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaProperty *next = node->object->properties;
	const SchemaProperty *end = next + node->object->property_count;
	Verdict		verdict = VERDICT_ALL;

	json_foreach(child, at->value)
	{
		SchemaFrame frame = {at, &child.value, &child.key, child.index, false};
		const SchemaProperty *passed = next;
		const SchemaProperty *known = schema_next_property(&next, end, &child.key);

		verdict = both(verdict, judge_absent(passed, known ? known : next));
		verdict = both(verdict, judge_property(evaluation, node->object, known, &frame));
		if (known)
			verdict = both(verdict, judge_dependencies(evaluation, known, at));
	}
	return both(verdict, judge_absent(next, end));
}

/* Judge an object, to which anything may be added. */
static Verdict
judge_object(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	static const SchemaCount words = {"minProperties", "maxProperties", "property", "properties"};
	const SchemaObjectRules *rules = node->object;
	bool		open = rules->max_properties != SCHEMA_UNBOUNDED || rules->pattern_count > 0 || rules->additional ||
		rules->names || rules->unevaluated || json_count(at->value) < rules->min_properties;
	Verdict		verdict = settled(schema_check_count(evaluation, node, at, json_count(at->value), 0,
													 rules->max_properties, &words));

	if (open)
		verdict = both(verdict, VERDICT_SOME);
	return both(verdict, judge_properties(evaluation, node, at));
}

/* ---- combinations of schemas ---- */

/*
 * Report that no branch is left; and where constants leave only one that could be meant, what
 * keeps the value from that.
 */
static Verdict
refuse_branches(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaList *branches, const char *keyword,
				const SchemaFrame *at)
{
	const SchemaNode *likely = NULL;
	int			possible = 0;

	if (evaluation->collect == NULL)
		return VERDICT_NONE;
	(void) SCHEMA_REPORT(evaluation, node, at, keyword, "none of %u alternatives can match, whatever is added",
						 branches->count);
	for (uint32 i = 0; i < branches->count; i++)
		if (!schema_is_ruled_out(evaluation, branches->nodes[i], at))
		{
			likely = branches->nodes[i];
			possible++;
		}
	if (possible == 1)
		(void) judge(evaluation, likely, at);
	return VERDICT_NONE;
}

/* Judge "anyOf". */
static Verdict
judge_any(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *any = &node->logic->any;
	Verdict		verdict = VERDICT_NONE;

	for (uint32 i = 0; i < any->count && verdict < VERDICT_ALL; i++)
	{
		Verdict		branch = judge_branch(evaluation, any->nodes[i], at);

		verdict = Max(verdict, branch);
	}
	return any->count == 0 ? VERDICT_ALL :
		verdict == VERDICT_NONE ? refuse_branches(evaluation, node, any, "anyOf", at) : verdict;
}

/* Judge "oneOf". */
static Verdict
judge_one(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *one = &node->logic->one;
	uint32		surely = 0;
	uint32		maybe = 0;

	for (uint32 i = 0; i < one->count; i++)
	{
		Verdict		verdict = judge_branch(evaluation, one->nodes[i], at);

		surely += verdict == VERDICT_ALL;
		maybe += verdict != VERDICT_NONE;
	}
	if (one->count > 0 && maybe == 0)
		return refuse_branches(evaluation, node, one, "oneOf", at);
	if (surely > 1)
		return settled(SCHEMA_REPORT(evaluation, node, at, "oneOf",
									 "expected exactly one of %u alternatives to match, and %u do", one->count, surely));
	return one->count == 0 || (surely == 1 && maybe == 1) ? VERDICT_ALL : VERDICT_SOME;
}

/* Judge "not". */
static Verdict
judge_negated(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	Verdict		negated = node->logic->negated ? judge_branch(evaluation, node->logic->negated, at) : VERDICT_NONE;

	if (negated == VERDICT_ALL)
		return settled(SCHEMA_REPORT(evaluation, node, at, "not",
									 "expected a value that does not match the schema under \"not\""));
	return negated == VERDICT_NONE ? VERDICT_ALL : VERDICT_SOME;
}

/* Judge "if" with what it decides about. */
static Verdict
judge_condition(SchemaEvaluation *evaluation, const SchemaLogicRules *logic, const SchemaFrame *at)
{
	Verdict		condition = logic->condition ? judge_branch(evaluation, logic->condition, at) : VERDICT_NONE;
	Verdict		verdicts[2] = {VERDICT_ALL, VERDICT_ALL};

	if (logic->condition == NULL)
		return VERDICT_ALL;
	if (condition != VERDICT_SOME)
	{
		const SchemaNode *chosen = condition == VERDICT_ALL ? logic->consequence : logic->alternative;

		return chosen ? judge(evaluation, chosen, at) : VERDICT_ALL;
	}
	if (logic->consequence)
		verdicts[0] = judge_branch(evaluation, logic->consequence, at);
	if (logic->alternative)
		verdicts[1] = judge_branch(evaluation, logic->alternative, at);
	if (verdicts[0] == VERDICT_NONE && verdicts[1] == VERDICT_NONE)
		return judge(evaluation, logic->consequence, at);
	return both(VERDICT_SOME, Max(verdicts[0], verdicts[1]));
}

/* Judge what the keywords of logic say together. */
static Verdict
judge_logic(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaLogicRules *logic = node->logic;
	Verdict		verdict = VERDICT_ALL;

	for (uint32 i = 0; i < logic->all.count; i++)
		verdict = both(verdict, judge(evaluation, logic->all.nodes[i], at));
	verdict = both(verdict, judge_any(evaluation, node, at));
	verdict = both(verdict, judge_one(evaluation, node, at));
	verdict = both(verdict, judge_negated(evaluation, node, at));
	return both(verdict, judge_condition(evaluation, logic, at));
}

/* Judge what applies to the same location by reference. */
static Verdict
judge_references(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	Verdict		verdict = node->ref ? judge(evaluation, node->ref, at) : VERDICT_ALL;
	SchemaFollowing frame;

	if (node->dynamic_ref)
	{
		verdict = both(verdict, judge(evaluation, schema_follow(evaluation, node, at, &frame), at));
		schema_unfollow(evaluation, &frame);
	}
	return verdict;
}

/* ---- nodes ---- */

/* Judge a value by the rules for its own type. */
static Verdict
judge_by_type(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	switch (at->value->type)
	{
		case jbvNumeric:
			return settled(node->number_rules == NULL || schema_check_number(evaluation, node, at));
		case jbvString:
			return settled(node->string == NULL || schema_check_string(evaluation, node, at));
		case jbvBinary:
			if (json_is_object(at->value))
				return node->object ? judge_object(evaluation, node, at) : VERDICT_ALL;
			return node->array ? judge_array(evaluation, node, at) : VERDICT_ALL;
		default:
			return VERDICT_ALL;
	}
}

/* Judge a value by "type", "const" and "enum". */
static Verdict
judge_value(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid = node->types == 0 || (node->types & schema_type_of(at->value)) ||
		schema_check_type(evaluation, node, at);

	/* a container may become equal, or cease to be */
	if (at->value->type == jbvBinary)
		return both(settled(valid), node->constant || node->enumerated ? VERDICT_SOME : VERDICT_ALL);
	if (node->constant)
		valid &= schema_check_const(evaluation, node, at);
	if (node->enumerated)
		valid &= schema_check_enum(evaluation, node, at);
	return settled(valid);
}

/* Judge by a node's own keywords. */
static Verdict
judge_node(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	Verdict		verdict;

	if (node->only_ref)
		return judge(evaluation, node->ref, at);
	if (node->never)
		return settled(SCHEMA_REPORT(evaluation, node, at, node->applied_by,
									 "the schema does not know this property, or allows no value"));
	verdict = both(judge_value(evaluation, node, at), judge_by_type(evaluation, node, at));
	if (node->logic)
		verdict = both(verdict, judge_logic(evaluation, node, at));
	return node->refers ? both(verdict, judge_references(evaluation, node, at)) : verdict;
}

/* Judge by a node with the names that its resource binds. */
static Verdict
judge_bound(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaScopeMark mark;
	Verdict		verdict;

	if (node->resource->bindings == NULL)
		return judge_node(evaluation, node, at);
	mark = schema_enter_resource(evaluation, node->resource);
	verdict = judge_node(evaluation, node, at);
	schema_leave_resource(evaluation, mark);
	return verdict;
}

/* In the memo: a verdict, from 1 on, and whether what refuses all was reported. */
#define MEMO_VERDICT	0x03
#define MEMO_REPORTED	0x04

/*
 * What of all completions of the value at that frame satisfies the node?  Reports what refuses
 * all of them, if that is collected.
 */
static Verdict
judge(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaMemo *memo;
	Verdict		verdict;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (at->value->type == jbvString && json_strings_may_render(at->value))
		return VERDICT_SOME;
	memo = node->shared ? schema_memo(evaluation, node, at) : NULL;
	if (memo && memo->answer)
	{
		verdict = (memo->answer & MEMO_VERDICT) - 1;
		if (verdict != VERDICT_NONE || evaluation->collect == NULL || (memo->answer & MEMO_REPORTED))
			return verdict;
	}
	verdict = judge_bound(evaluation, node, at);
	if (memo)
		memo->answer = (verdict + 1) | (evaluation->collect ? MEMO_REPORTED : 0);
	return verdict;
}

/*
 * May a document become valid by what is added to its objects, and by values for its placeholders?
 * With collect, what rules that out is handed to it.
 */
bool
schema_may_complete(const Schema *schema, const JsonbValue *document, SchemaCollector collect, void *state)
{
	SchemaEvaluation evaluation = {.collect = collect, .state = state};
	SchemaFrame root = {NULL, document, NULL, 0, false};
	Verdict		verdict;

	schema_begin_evaluation(&evaluation, schema);
	verdict = judge(&evaluation, schema->root, &root);
	schema_end_evaluation(&evaluation);
	return verdict != VERDICT_NONE;
}
