/*
 * logic.c: keywords that combine subschemas for one and the same value.
 */
#include "postgres.h"

#include "schema/internal.h"

/* "allOf" */
static bool
check_all(SchemaEvaluation *evaluation, const SchemaList *all, const SchemaFrame *at)
{
	bool		valid = true;
	uint32		i;

	for (i = 0; i < all->count && GOES_ON(evaluation, valid); i++)
		valid &= schema_evaluate(evaluation, all->nodes[i], at);
	return valid;
}

/*
 * How many branches accept the value, counting no further than limit, unless
 * it matters what they evaluate.
 */
static uint32
count_accepting(SchemaEvaluation *evaluation, const SchemaList *branches,
				const SchemaFrame *at, uint32 limit)
{
	uint32		accepting = 0;
	uint32		i;

	for (i = 0; i < branches->count && (accepting < limit || evaluation->seen); i++)
		accepting += schema_accepts_branch(evaluation, branches->nodes[i], at);
	return accepting;
}

/*
 * Can the branch not be meant?  So it is if it names a constant that the
 * object has another value for, which is how schemas tell their branches
 * apart, or if it knows nothing of objects.
 */
bool
schema_is_ruled_out(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	const SchemaProperty *property;
	uint32		i;

	while (branch->ref && (branch->only_ref || branch->object == NULL))
		branch = branch->ref;
	if (branch->object == NULL || !json_is_object(at->value))
		return true;
	for (i = 0; i < branch->object->property_count; i++)
	{
		JsonbValue	value;
		SchemaFrame frame = {at, &value, NULL, 0, true};

		property = &branch->object->properties[i];
		if (property->schema && (property->schema->constant || property->schema->enumerated) &&
			getKeyJsonValueFromContainer(at->value->val.binary.data, property->name,
										 property->length, &value) &&
			!schema_accepts(evaluation, property->schema, &frame))
			return true;
	}
	return false;
}

/*
 * Where no branch accepts the value, but constants leave only one that could
 * be meant, report what keeps the value from that.
 */
static void
report_likely(SchemaEvaluation *evaluation, const SchemaList *branches, const SchemaFrame *at)
{
	const SchemaNode *likely = NULL;
	uint32		i;

	for (i = 0; i < branches->count; i++)
	{
		if (schema_is_ruled_out(evaluation, branches->nodes[i], at))
			continue;
		if (likely)
			return;
		likely = branches->nodes[i];
	}
	if (likely)
		schema_evaluate(evaluation, likely, at);
}

/* "anyOf" */
static bool
check_any(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *any = &node->logic->any;

	if (any->count == 0 || count_accepting(evaluation, any, at, 1) > 0)
		return true;
	if (evaluation->collect == NULL)
		return false;
	schema_report(evaluation, node, at, "anyOf", NULL, NULL,
				  "expected at least one of %u alternative%s to match, and none does",
				  any->count, any->count == 1 ? "" : "s");
	report_likely(evaluation, any, at);
	return false;
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
	if (accepting == 1)
		return true;
	if (evaluation->collect == NULL)
		return false;
	if (accepting > 0)
		schema_report(evaluation, node, at, "oneOf", NULL, NULL,
					  "expected exactly one of %u alternatives to match, and %u do",
					  one->count, accepting);
	else
	{
		schema_report(evaluation, node, at, "oneOf", NULL, NULL,
					  "expected exactly one of %u alternative%s to match, and none does",
					  one->count, one->count == 1 ? "" : "s");
		report_likely(evaluation, one, at);
	}
	return false;
}

/* "if" decides which of "then" and "else" must hold. */
static bool
check_condition(SchemaEvaluation *evaluation, const SchemaLogicRules *logic,
				const SchemaFrame *at)
{
	const SchemaNode *chosen;

	if (logic->condition == NULL ||
		(logic->consequence == NULL && logic->alternative == NULL && evaluation->seen == NULL))
		return true;
	chosen = schema_accepts_branch(evaluation, logic->condition, at) ?
		logic->consequence : logic->alternative;
	return chosen == NULL || schema_evaluate(evaluation, chosen, at);
}

/* What the keywords of logic say together. */
bool
schema_check_logic(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaLogicRules *logic = node->logic;
	bool		valid = check_all(evaluation, &logic->all, at);

	if (GOES_ON(evaluation, valid))
		valid &= check_any(evaluation, node, at);
	if (GOES_ON(evaluation, valid))
		valid &= check_one(evaluation, node, at);
	if (GOES_ON(evaluation, valid) && logic->negated &&
		schema_accepts(evaluation, logic->negated, at))
	{
		schema_report(evaluation, node, at, "not", NULL, NULL,
					  "expected a value that does not match the schema under \"not\"");
		valid = false;
	}
	if (GOES_ON(evaluation, valid))
		valid &= check_condition(evaluation, logic, at);
	return valid;
}
