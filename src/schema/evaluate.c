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

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "schema/format.h"
#include "schema/internal.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Arrays up to this size are checked for uniqueness on the stack. */
#define UNIQUE_STACK_ITEMS	32

/* Is there anything to find out after what was found so far? */
#define GOES_ON(evaluation, valid) ((valid) || (evaluation)->thorough)

static bool accepts_as_it_is(SchemaEvaluation *evaluation, const SchemaNode *node,
							 const SchemaFrame *at);

/* Numbers of the document against those of the schema. */
static int
compare_numbers(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/* Integral by value: 1.0 and 1e3 are. */
static bool
is_integral(Numeric number)
{
	return DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(number))) == 0;
}

/* Is the number a multiple of step, which is positive? */
static bool
is_multiple(Numeric number, Numeric step)
{
	Numeric		rest = DatumGetNumeric(DirectFunctionCall2(numeric_mod,
														   NumericGetDatum(number),
														   NumericGetDatum(step)));
	Numeric		zero = int64_to_numeric(0);
	bool		multiple = compare_numbers(rest, zero) == 0;

	pfree(zero);
	pfree(rest);
	return multiple;
}

/* The value's type as a flag; a number's is number, integral or not. */
static uint8
type_of(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return SCHEMA_TYPE_NULL;
		case jbvBool:
			return SCHEMA_TYPE_BOOLEAN;
		case jbvNumeric:
			return SCHEMA_TYPE_NUMBER;
		case jbvString:
			return SCHEMA_TYPE_STRING;
		default:
			return json_is_object(value) ? SCHEMA_TYPE_OBJECT : SCHEMA_TYPE_ARRAY;
	}
}

static bool
check_type(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	uint8		type = type_of(at->value);

	if (node->types == 0 || (node->types & type))
		return true;
	if (type == SCHEMA_TYPE_NUMBER && (node->types & SCHEMA_TYPE_INTEGER) &&
		is_integral(at->value->val.numeric))
		return true;
	if (evaluation->collect)
	{
		schema_begin_report(evaluation);
		schema_report(evaluation, node, at, "type", NULL, NULL, "expected %s, found %s",
					  schema_types_text(node->types), schema_types_text(type));
	}
	return false;
}

/* The values of "enum" as a message says them: a few, short ones. */
static const char *
enum_text(const SchemaNode *node)
{
	StringInfoData text;
	const char *value;
	uint32		i;

	if (node->value_count == 0 || node->value_count > 20)
		return "expected one of the values that the schema lists";
	initStringInfo(&text);
	appendStringInfoString(&text, node->value_count == 1 ? "expected " : "expected one of ");
	for (i = 0; i < node->value_count; i++)
	{
		value = schema_value_text(&node->values[i]);
		if (value == NULL || text.len > 500)
			return "expected one of the values that the schema lists";
		appendStringInfo(&text, i == 0 ? "%s" : ", %s", value);
	}
	return text.data;
}

static bool
check_enum(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	uint32		i;

	for (i = 0; i < node->value_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (json_equal(&node->values[i], at->value))
			return true;
	}
	if (evaluation->collect)
	{
		schema_begin_report(evaluation);
		schema_report(evaluation, node, at, "enum", NULL, NULL, "%s", enum_text(node));
	}
	return false;
}

static bool
check_const(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const char *text;

	if (json_equal(node->constant, at->value))
		return true;
	if (evaluation->collect == NULL)
		return false;
	schema_begin_report(evaluation);
	text = schema_value_text(node->constant);
	schema_report(evaluation, node, at, "const", NULL, NULL, "expected %s",
				  text ? text : "the constant that the schema gives");
	return false;
}

/* A number as messages give the schema's. */
static const char *
number_text(Numeric number)
{
	JsonbValue	value;
	const char *text;

	value.type = jbvNumeric;
	value.val.numeric = number;
	text = schema_value_text(&value);
	return text ? text : "the bound that the schema gives";
}

/* Report a bound that a number does not keep; false for the caller to return. */
static bool
refuse_number(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
			  const char *keyword, const char *expected, Numeric bound)
{
	if (evaluation->collect)
	{
		schema_begin_report(evaluation);
		schema_report(evaluation, node, at, keyword, NULL, NULL, "expected %s %s",
					  expected, number_text(bound));
	}
	return false;
}

static bool
check_number(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaNumberRules *rules = node->number_rules;
	Numeric		number = at->value->val.numeric;
	bool		valid = true;

	if (rules->minimum && compare_numbers(number, rules->minimum) < 0)
		valid = refuse_number(evaluation, node, at, "minimum", "at least", rules->minimum);
	if (rules->maximum && compare_numbers(number, rules->maximum) > 0)
		valid = refuse_number(evaluation, node, at, "maximum", "at most", rules->maximum);
	if (rules->exclusive_minimum && compare_numbers(number, rules->exclusive_minimum) <= 0)
		valid = refuse_number(evaluation, node, at, "exclusiveMinimum", "more than",
							  rules->exclusive_minimum);
	if (rules->exclusive_maximum && compare_numbers(number, rules->exclusive_maximum) >= 0)
		valid = refuse_number(evaluation, node, at, "exclusiveMaximum", "less than",
							  rules->exclusive_maximum);
	if (rules->multiple_of && GOES_ON(evaluation, valid) &&
		!is_multiple(number, rules->multiple_of))
		valid = refuse_number(evaluation, node, at, "multipleOf", "a multiple of",
							  rules->multiple_of);
	return valid;
}

/* Report a count out of bounds: "expected at least 3 items". */
static bool
refuse_count(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
			 const char *keyword, int64 bound, const char *one, const char *many)
{
	if (evaluation->collect)
		schema_report(evaluation, node, at, keyword, NULL, NULL, "expected at %s " INT64_FORMAT " %s",
					  strncmp(keyword, "min", 3) == 0 ? "least" : "most",
					  bound, bound == 1 ? one : many);
	return false;
}

/*
 * Length in characters.  They are counted only where the length in bytes
 * does not decide: a character has at least one byte.
 */
static bool
check_length(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaStringRules *rules = node->string;
	const JsonbValue *string = at->value;
	int64		length = string->val.string.len;
	bool		valid = true;

	if (rules->min_length > 0 ||
		(rules->max_length != SCHEMA_UNBOUNDED && length > rules->max_length))
		length = pg_mbstrlen_with_len(string->val.string.val, string->val.string.len);
	if (length < rules->min_length)
		valid = refuse_count(evaluation, node, at, "minLength", rules->min_length,
							 "character", "characters");
	if (rules->max_length != SCHEMA_UNBOUNDED && length > rules->max_length)
		valid = refuse_count(evaluation, node, at, "maxLength", rules->max_length,
							 "character", "characters");
	return valid;
}

static bool
check_pattern(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaPattern *pattern = node->string->pattern;
	const char *source;
	int			length;

	if (schema_pattern_matches(pattern, at->value->val.string.val, at->value->val.string.len))
		return true;
	source = schema_pattern_source(pattern, &length);
	schema_report(evaluation, node, at, "pattern", NULL, NULL,
				  "expected a string that matches %.*s", length, source);
	return false;
}

/* A format, where it is asserted at all. */
static bool
check_format(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaStringRules *rules = node->string;
	JsonbValue	name;

	if (!(rules->asserts_format || evaluation->asserts_formats) ||
		schema_format_accepts(rules->format, at->value->val.string.val, at->value->val.string.len))
		return true;
	if (evaluation->collect == NULL)
		return false;
	schema_begin_report(evaluation);
	getKeyJsonValueFromContainer((JsonbContainer *) node->keywords, "format", strlen("format"),
								 &name);
	schema_report(evaluation, node, at, "format", NULL, NULL,
				  "expected a string of the format %s", schema_value_text(&name));
	return false;
}

static bool
check_string(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid = check_length(evaluation, node, at);

	if (node->string->pattern && GOES_ON(evaluation, valid))
		valid &= check_pattern(evaluation, node, at);
	if (node->string->format != SCHEMA_NO_FORMAT && GOES_ON(evaluation, valid))
		valid &= check_format(evaluation, node, at);
	return valid;
}

/*
 * An order in which equal items are neighbours: by type, strings as keys are
 * ordered, containers as jsonb's own order has them.
 */
static int
compare_items(const void *x, const void *y)
{
	const JsonbValue *a = x;
	const JsonbValue *b = y;

	CHECK_FOR_INTERRUPTS();
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch (a->type)
	{
		case jbvBool:
			return (int) a->val.boolean - (int) b->val.boolean;
		case jbvNumeric:
			return compare_numbers(a->val.numeric, b->val.numeric);
		case jbvString:
			return json_key_compare(a->val.string.val, a->val.string.len,
									b->val.string.val, b->val.string.len);
		case jbvBinary:
			return compareJsonbContainers(a->val.binary.data, b->val.binary.data);
		default:
			return 0;
	}
}

/*
 * Are all items different?  Sorts views of them, at n log n.  Not inlined, so
 * that the buffer is not on the stack of those who call themselves.
 */
static pg_noinline bool
all_unique(const JsonbValue *array)
{
	JsonbValue	buffer[UNIQUE_STACK_ITEMS];
	JsonbValue *items = buffer;
	JsonCursor	cursor;
	uint32		count = json_count(array);
	bool		unique = true;
	uint32		i = 0;

	if (count > UNIQUE_STACK_ITEMS)
		items = schema_allocate(sizeof(JsonbValue), count);
	json_cursor_init(&cursor, array->val.binary.data);
	while (i < count && json_next_element(&cursor, &items[i]))
		i++;
	qsort(items, count, sizeof(JsonbValue), compare_items);
	for (i = 1; i < count && unique; i++)
		unique = compare_items(&items[i - 1], &items[i]) != 0;
	if (items != buffer)
		pfree(items);
	return unique;
}

/* Are there as many items as "contains" wants?  found of them match it. */
static bool
check_contained(SchemaEvaluation *evaluation, const SchemaNode *node, int64 found,
				const SchemaFrame *at)
{
	const SchemaArrayRules *rules = node->array;

	if (found < rules->min_contains && !rules->says_min_contains)
		schema_report(evaluation, node, at, "contains", NULL, NULL,
					  "expected an item that matches the schema under \"contains\"");
	else if (found < rules->min_contains)
		refuse_count(evaluation, node, at, "minContains", rules->min_contains,
					 "item that matches the schema under \"contains\"",
					 "items that match the schema under \"contains\"");
	else if (rules->max_contains != SCHEMA_UNBOUNDED && found > rules->max_contains)
		refuse_count(evaluation, node, at, "maxContains", rules->max_contains,
					 "item that matches the schema under \"contains\"",
					 "items that match the schema under \"contains\"");
	else
		return true;
	return false;
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
		const SchemaNode *schema = index < rules->tuple.count ? rules->tuple.nodes[index] :
			rules->rest;

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

static bool
check_array(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaArrayRules *rules = node->array;
	int64		count = json_count(at->value);
	bool		valid = true;

	if (count < rules->min_items)
		valid = refuse_count(evaluation, node, at, "minItems", rules->min_items,
							 "item", "items");
	if (rules->max_items != SCHEMA_UNBOUNDED && count > rules->max_items)
		valid = refuse_count(evaluation, node, at, "maxItems", rules->max_items,
							 "item", "items");
	if (GOES_ON(evaluation, valid) && rules->unique && !all_unique(at->value))
	{
		schema_report(evaluation, node, at, "uniqueItems", NULL, NULL,
					  "expected items that are all different");
		valid = false;
	}
	if (GOES_ON(evaluation, valid) &&
		(rules->rest || rules->tuple.count > 0 || rules->contains))
		valid &= check_items(evaluation, node, at);
	return valid;
}

/* Names that must be there since property is; keyword is 0 for "dependencies". */
static bool
check_needs(SchemaEvaluation *evaluation, const SchemaNode *node,
			const SchemaProperty *property, int keyword, const SchemaFrame *at)
{
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	value;
	bool		valid = true;

	json_cursor_init(&cursor, property->needs[keyword]);
	while (GOES_ON(evaluation, valid) && json_next_element(&cursor, &name))
	{
		if (getKeyJsonValueFromContainer(at->value->val.binary.data, name.val.string.val,
										 name.val.string.len, &value))
			continue;
		schema_report(evaluation, node, at, keyword == 0 ? "dependencies" : "dependentRequired",
					  property, &name, "property \"%.*s\" is required where \"%.*s\" is present",
					  name.val.string.len, name.val.string.val,
					  property->length, property->name);
		valid = false;
	}
	return valid;
}

/* What the presence of a property demands of the object. */
static bool
check_dependencies(SchemaEvaluation *evaluation, const SchemaNode *node,
				   const SchemaProperty *known, const SchemaFrame *at)
{
	bool		valid = true;
	int			i;

	for (i = 0; i < lengthof(known->needs); i++)
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
	uint32		i;

	if (rules->names)
		valid &= check_name(evaluation, rules->names, at);
	if (matched && GOES_ON(evaluation, valid))
		valid &= schema_evaluate(evaluation, known->schema, at);
	for (i = 0; i < rules->pattern_count && GOES_ON(evaluation, valid); i++)
	{
		const SchemaPatternProperty *entry = &rules->patterns[i];

		if (!schema_pattern_matches(entry->pattern, at->key->val.string.val,
									at->key->val.string.len))
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

/* Properties from first up to end that the object lacks. */
static bool
check_missing(SchemaEvaluation *evaluation, const SchemaNode *node,
			  const SchemaProperty *first, const SchemaProperty *end, const SchemaFrame *at)
{
	bool		valid = true;

	for (; first < end && GOES_ON(evaluation, valid); first++)
	{
		JsonbValue	name;

		if (!first->required)
			continue;
		name.type = jbvString;
		name.val.string.val = (char *) first->name;
		name.val.string.len = first->length;
		schema_report(evaluation, node, at, "required", NULL, &name,
					  "required property \"%.*s\" is missing", first->length, first->name);
		valid = false;
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
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;
	SchemaFrame frame = {at, &value, &key, 0, false};

	json_cursor_init(&cursor, at->value->val.binary.data);
	while (GOES_ON(evaluation, valid) && json_next_pair(&cursor, &key, &value))
	{
		const SchemaProperty *passed = next;
		const SchemaProperty *known = schema_next_property(&next, end, &key);

		CHECK_FOR_INTERRUPTS();
		frame.index = cursor.next - 1;
		valid &= check_missing(evaluation, node, passed, known ? known : next, at);
		if (!GOES_ON(evaluation, valid))
			break;
		evaluation->seen = NULL;
		valid &= check_property(evaluation, node, known, &frame, seen);
		evaluation->seen = seen;
		if (known && node->object->has_dependencies && GOES_ON(evaluation, valid))
			valid &= check_dependencies(evaluation, node, known, at);
	}
	if (GOES_ON(evaluation, valid))
		valid &= check_missing(evaluation, node, next, end, at);
	return valid;
}

static bool
check_object(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaObjectRules *rules = node->object;
	int64		count = json_count(at->value);
	bool		valid = true;

	if (count < rules->min_properties)
		valid = refuse_count(evaluation, node, at, "minProperties", rules->min_properties,
							 "property", "properties");
	if (rules->max_properties != SCHEMA_UNBOUNDED && count > rules->max_properties)
		valid = refuse_count(evaluation, node, at, "maxProperties", rules->max_properties,
							 "property", "properties");
	if (GOES_ON(evaluation, valid))
		valid &= check_properties(evaluation, node, at);
	return valid;
}

static bool
check_all(SchemaEvaluation *evaluation, const SchemaList *all, const SchemaFrame *at)
{
	bool		valid = true;
	uint32		i;

	for (i = 0; i < all->count && GOES_ON(evaluation, valid); i++)
		valid &= schema_evaluate(evaluation, all->nodes[i], at);
	return valid;
}

/* Does a branch accept the value?  What it evaluated counts only if it does. */
static pg_noinline bool
accepts_tracking(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	SchemaSeen *outer = evaluation->seen;
	SchemaSeen	own;
	bool		accepts;

	schema_seen_init(&own, at->value);
	evaluation->seen = &own;
	accepts = accepts_as_it_is(evaluation, branch, at);
	evaluation->seen = outer;
	if (accepts)
		schema_seen_merge(outer, own.bits);
	schema_seen_free(&own);
	return accepts;
}

/* Does a branch that applies to the same location accept the value? */
static bool
accepts_branch(SchemaEvaluation *evaluation, const SchemaNode *branch, const SchemaFrame *at)
{
	if (evaluation->seen)
		return accepts_tracking(evaluation, branch, at);
	return accepts_as_it_is(evaluation, branch, at);
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
		accepting += accepts_branch(evaluation, branches->nodes[i], at);
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

static bool
check_any(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaList *any = &node->logic->any;

	if (any->count == 0 || count_accepting(evaluation, any, at, 1) > 0)
		return true;
	if (evaluation->collect == NULL)
		return false;
	schema_report(evaluation, node, at, "anyOf", NULL, NULL,
				  "expected at least one of %u alternatives to match, and none does",
				  any->count);
	report_likely(evaluation, any, at);
	return false;
}

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
					  "expected exactly one of %u alternatives to match, and none does",
					  one->count);
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
	chosen = accepts_branch(evaluation, logic->condition, at) ?
		logic->consequence : logic->alternative;
	return chosen == NULL || schema_evaluate(evaluation, chosen, at);
}

static bool
check_logic(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
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
	schema_report(evaluation, node, at, node->applied_by, NULL, NULL, "%s", message);
	return false;
}

/* The rules for the value's own type. */
static bool
check_by_type(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	switch (at->value->type)
	{
		case jbvNumeric:
			return node->number_rules == NULL || check_number(evaluation, node, at);
		case jbvString:
			return node->string == NULL || check_string(evaluation, node, at);
		case jbvBinary:
			if (json_is_object(at->value))
				return node->object == NULL || check_object(evaluation, node, at);
			return node->array == NULL || check_array(evaluation, node, at);
		default:
			return true;
	}
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

/* A node's own keywords, but for what they leave unevaluated. */
static bool
evaluate_node(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid;

	if (node->only_ref)
		return schema_evaluate(evaluation, node->ref, at);
	if (node->never)
		return refuse_value(evaluation, node, at);
	valid = check_type(evaluation, node, at);
	if (node->constant && GOES_ON(evaluation, valid))
		valid &= check_const(evaluation, node, at);
	if (node->enumerated && GOES_ON(evaluation, valid))
		valid &= check_enum(evaluation, node, at);
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
check_unevaluated(SchemaEvaluation *evaluation, const SchemaNode *schema,
				  const SchemaFrame *at, SchemaSeen *seen)
{
	bool		is_object = json_is_object(at->value);
	bool		valid = true;
	JsonCursor	cursor;
	JsonbValue	key;
	JsonbValue	value;
	SchemaFrame frame = {at, &value, is_object ? &key : NULL, 0, false};

	evaluation->seen = NULL;
	json_cursor_init(&cursor, at->value->val.binary.data);
	while (GOES_ON(evaluation, valid) &&
		   (is_object ? json_next_pair(&cursor, &key, &value) : json_next_element(&cursor, &value)))
	{
		CHECK_FOR_INTERRUPTS();
		frame.index = cursor.next - 1;
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
	return node->unevaluated ? evaluate_rest(evaluation, node, at) :
		evaluate_node(evaluation, node, at);
}

/* A node that is evaluated for the memo together with what it evaluates. */
static pg_noinline bool
evaluate_for_memo(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
				  SchemaMemo *memo)
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

/* The same without a report, for branches that need not match. */
static bool
accepts_as_it_is(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaCollector collect = evaluation->collect;
	bool		thorough = evaluation->thorough;
	bool		accepts;

	evaluation->collect = NULL;
	evaluation->thorough = false;
	accepts = schema_evaluate(evaluation, node, at);
	evaluation->collect = collect;
	evaluation->thorough = thorough;
	return accepts;
}

/* Does the node accept the value?  What it evaluates does not count. */
bool
schema_accepts(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	SchemaSeen *seen = evaluation->seen;
	bool		accepts;

	evaluation->seen = NULL;
	accepts = accepts_as_it_is(evaluation, node, at);
	evaluation->seen = seen;
	return accepts;
}

/*
 * Which children of the value the node evaluates, besides what it says of
 * those that nothing else does.  The value need not be valid: only branches
 * that do not match count for nothing.
 */
void
schema_find_seen(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
				 SchemaSeen *seen)
{
	evaluation->seen = seen;
	evaluation->thorough = true;
	evaluate_node(evaluation, node, at);
	evaluation->thorough = false;
	evaluation->seen = NULL;
}

/* Make ready to evaluate; what is set in evaluation stays. */
void
schema_begin_evaluation(SchemaEvaluation *evaluation, const Schema *schema)
{
	evaluation->schema = schema;
	evaluation->thorough = evaluation->collect != NULL;
	schema_begin_scope(evaluation);
}

/* Give back what the evaluation kept. */
void
schema_end_evaluation(SchemaEvaluation *evaluation)
{
	schema_end_scope(evaluation);
	if (evaluation->memo)
		MemoryContextDelete(evaluation->memo_context);
	if (evaluation->scratch)
		MemoryContextDelete(evaluation->scratch);
}

/* Validate, with formats asserted or not. */
static bool
validate(SchemaEvaluation *evaluation, const Schema *schema, const JsonbValue *document)
{
	SchemaFrame root = {NULL, document, NULL, 0, false};
	bool		valid;

	schema_begin_evaluation(evaluation, schema);
	valid = schema_evaluate(evaluation, schema->root, &root);
	schema_end_evaluation(evaluation);
	return valid;
}

/*
 * Is the document valid?  With collect every violation is handed to it, in
 * the order of the document's keys; without it the first one decides.
 */
bool
schema_validate(const Schema *schema, const JsonbValue *document,
				SchemaCollector collect, void *state)
{
	SchemaEvaluation evaluation = {.collect = collect, .state = state};

	return validate(&evaluation, schema, document);
}

/* The same, where strings must also be of the format that the schema names. */
bool
schema_validate_formats(const Schema *schema, const JsonbValue *document,
						SchemaCollector collect, void *state)
{
	SchemaEvaluation evaluation = {.collect = collect, .state = state, .asserts_formats = true};

	return validate(&evaluation, schema, document);
}
