/*
 * value.c: what a value must be by itself: keywords without subschemas.
 *
 * Nothing here goes down into the document but to compare it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "schema/arena.h"
#include "schema/format.h"
#include "schema/pattern.h"
#include "schema/value.h"
#include "schema/violation.h"
#include "schema/vocabulary.h"

/* Arrays up to this size are checked for uniqueness on the stack. */
#define UNIQUE_STACK_ITEMS	32

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
	bool		multiple = json_number_compare(rest, zero) == 0;

	pfree(zero);
	pfree(rest);
	return multiple;
}

/* "type", of a node that says it. */
bool
schema_check_type(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	uint8		type = schema_type_of(at->value);

	if (node->types & type)
		return true;
	if (type == SCHEMA_TYPE_NUMBER && (node->types & SCHEMA_TYPE_INTEGER) &&
		is_integral(at->value->val.numeric))
		return true;
	return SCHEMA_REPORT(evaluation, node, at, "type", "expected %s, found %s",
						 schema_types_text(node->types), schema_types_text(type));
}

/*
 * A value of the schema (not of the document!) for a message, in the current
 * memory context; NULL if it would be too long.
 */
static const char *
value_text(const JsonbValue *value)
{
	StringInfoData text;

	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		case jbvNumeric:
			if (VARSIZE_ANY(value->val.numeric) > 64)
				return NULL;
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvString:
			if (value->val.string.len > 200)
				return NULL;
			initStringInfo(&text);
			escape_json(&text, pnstrdup(value->val.string.val, value->val.string.len));
			return text.data;
		default:
			return NULL;
	}
}

/* The values of "enum" as a message says them: a few, short ones. */
static const char *
enum_text(const SchemaNode *node)
{
	StringInfoData text;
	const char *value;

	if (node->value_count == 0 || node->value_count > 20)
		return "expected one of the values that the schema lists";
	initStringInfo(&text);
	appendStringInfoString(&text, node->value_count == 1 ? "expected " : "expected one of ");
	for (uint32 i = 0; i < node->value_count; i++)
	{
		value = value_text(&node->values[i]);
		if (value == NULL || text.len > 500)
			return "expected one of the values that the schema lists";
		appendStringInfo(&text, i == 0 ? "%s" : ", %s", value);
	}
	return text.data;
}

/* "enum" */
bool
schema_check_enum(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	for (uint32 i = 0; i < node->value_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (json_equal(&node->values[i], at->value))
			return true;
	}
	return SCHEMA_REPORT(evaluation, node, at, "enum", "%s", enum_text(node));
}

/* A value of the schema as messages give it, or what they say where it is too long. */
static const char *
text_or(const JsonbValue *value, const char *otherwise)
{
	const char *text = value_text(value);

	return text ? text : otherwise;
}

/* "const" */
bool
schema_check_const(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	return json_equal(node->constant, at->value) ||
		SCHEMA_REPORT(evaluation, node, at, "const", "expected %s",
					  text_or(node->constant, "the constant that the schema gives"));
}

/* Report a bound that a number does not keep; false for the caller to return. */
static bool
refuse_number(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
			  const char *keyword, const char *expected, Numeric bound)
{
	JsonbValue	value = {.type = jbvNumeric, .val.numeric = bound};

	return SCHEMA_REPORT(evaluation, node, at, keyword, "expected %s %s",
						 expected, text_or(&value, "the bound that the schema gives"));
}

/* The bounds of a number, and "multipleOf". */
bool
schema_check_number(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaNumberRules *rules = node->number_rules;
	Numeric		number = at->value->val.numeric;
	bool		valid = true;

	if (rules->minimum && json_number_compare(number, rules->minimum) < 0)
		valid = refuse_number(evaluation, node, at, "minimum", "at least", rules->minimum);
	if (rules->maximum && json_number_compare(number, rules->maximum) > 0)
		valid = refuse_number(evaluation, node, at, "maximum", "at most", rules->maximum);
	if (rules->exclusive_minimum && json_number_compare(number, rules->exclusive_minimum) <= 0)
		valid = refuse_number(evaluation, node, at, "exclusiveMinimum", "more than", rules->exclusive_minimum);
	if (rules->exclusive_maximum && json_number_compare(number, rules->exclusive_maximum) >= 0)
		valid = refuse_number(evaluation, node, at, "exclusiveMaximum", "less than", rules->exclusive_maximum);
	if (rules->multiple_of && GOES_ON(evaluation, valid) && !is_multiple(number, rules->multiple_of))
		valid = refuse_number(evaluation, node, at, "multipleOf", "a multiple of", rules->multiple_of);
	return valid;
}

/* Report the bounds that a count does not keep, "expected at least 3 items"; false for the caller to return. */
bool
schema_refuse_count(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
					int64 count, int64 least, int64 most, const SchemaCount *words)
{
	if (count < least)
		(void) SCHEMA_REPORT(evaluation, node, at, words->least, "expected at least " INT64_FORMAT " %s",
							 least, least == 1 ? words->one : words->many);
	if (most != SCHEMA_UNBOUNDED && count > most)
		(void) SCHEMA_REPORT(evaluation, node, at, words->most, "expected at most " INT64_FORMAT " %s",
							 most, most == 1 ? words->one : words->many);
	return false;
}

/*
 * Length in characters.  They are counted only where the length in bytes
 * does not decide: a character has at least one byte.
 */
static bool
check_length(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	static const SchemaCount words = {"minLength", "maxLength", "character", "characters"};
	const SchemaStringRules *rules = node->string;
	const JsonbValue *string = at->value;
	int64		length = string->val.string.len;

	if (rules->min_length > 0 ||
		(rules->max_length != SCHEMA_UNBOUNDED && length > rules->max_length))
		length = pg_mbstrlen_with_len(string->val.string.val, string->val.string.len);
	return schema_check_count(evaluation, node, at, length, rules->min_length, rules->max_length, &words);
}

/* What a node says under a keyword. */
static JsonbValue
said(const SchemaNode *node, const char *keyword)
{
	JsonbValue	value;

	getKeyJsonValueFromContainer(unconstify(JsonbContainer *, node->keywords), keyword, strlen(keyword), &value);
	return value;
}

/* "pattern" */
static bool
check_pattern(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	JsonbValue	pattern;

	if (schema_pattern_matches(node->string->pattern, at->value->val.string.val, at->value->val.string.len))
		return true;
	pattern = said(node, "pattern");
	return SCHEMA_REPORT(evaluation, node, at, "pattern", "expected a string that matches %.*s",
						 pattern.val.string.len, pattern.val.string.val);
}

/* A format, where it is asserted at all. */
static bool
check_format(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	const SchemaStringRules *rules = node->string;
	JsonbValue	format;

	if (!(rules->asserts_format || evaluation->asserts_formats) ||
		schema_format_accepts(rules->format, at->value->val.string.val, at->value->val.string.len))
		return true;
	format = said(node, "format");
	return SCHEMA_REPORT(evaluation, node, at, "format", "expected a string of the format %s", value_text(&format));
}

/* The length of a string, "pattern" and "format". */
bool
schema_check_string(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	bool		valid = check_length(evaluation, node, at);

	if (node->string->pattern && GOES_ON(evaluation, valid))
		valid &= check_pattern(evaluation, node, at);
	if (node->string->format != SCHEMA_NO_FORMAT && GOES_ON(evaluation, valid))
		valid &= check_format(evaluation, node, at);
	return valid;
}

/* Order of items: one in which equal ones are neighbours. */
static int
compare_items(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return json_compare(a, b);
}

/* "uniqueItems": sorts views of the items, at n log n. */
bool
schema_check_unique(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at)
{
	JsonbValue	buffer[UNIQUE_STACK_ITEMS];
	JsonbValue *items = buffer;
	uint32		count = json_count(at->value);
	bool		unique = true;

	if (count > UNIQUE_STACK_ITEMS)
		items = schema_allocate(sizeof(JsonbValue), count);
	json_foreach(item, at->value)
		items[item.index] = item.value;
	qsort(items, count, sizeof(JsonbValue), compare_items);
	for (uint32 i = 1; i < count && unique; i++)
		unique = compare_items(&items[i - 1], &items[i]) != 0;
	if (items != buffer)
		pfree(items);
	return unique ||
		SCHEMA_REPORT(evaluation, node, at, "uniqueItems", "expected items that are all different");
}
