/*
 * indented.c: a document as text for people, in one way: what differs in text differs in meaning.
 *
 * jsonb has the shorter keys first, and shows a number as it was written.  Here keys are in the order of
 * their bytes, and numbers in their canonical spelling, so that a line moves only where something was changed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "json/number.h"
#include "json/ordered.h"
#include "json/reader.h"

PG_FUNCTION_INFO_V1(promote_jsonb_indented);

/* qsort callback: by the bytes of the keys, the shorter one first where it begins the longer. */
static int
compare_pairs(const void *a, const void *b)
{
	const JsonbValue *one = &((const JsonOrderedPair *) a)->key;
	const JsonbValue *other = &((const JsonOrderedPair *) b)->key;
	int			order = memcmp(one->val.string.val, other->val.string.val,
							   Min(one->val.string.len, other->val.string.len));

	return order != 0 ? order : one->val.string.len - other->val.string.len;
}

/* The pairs of an object by their keys' bytes, in the current memory context; json_count says how many. */
JsonOrderedPair *
json_ordered_pairs(const JsonbValue *object)
{
	JsonOrderedPair *pairs = palloc_extended(Max(json_count(object), 1) * sizeof(JsonOrderedPair),
											 MCXT_ALLOC_HUGE);

	json_foreach(child, object)
		pairs[child.index] = (JsonOrderedPair) {child.key, child.value};
	qsort(pairs, json_count(object), sizeof(JsonOrderedPair), compare_pairs);
	return pairs;
}

/* Append a number in its canonical spelling. */
void
json_append_number(StringInfo to, Numeric number)
{
	char	   *end;

	enlargeStringInfo(to, (int) json_number_room(number));
	end = json_write_number(to->data + to->len, number);
	to->len = end - to->data;
	*end = '\0';
}

/* Append a string in quotes. */
static void
append_string(StringInfo to, const JsonbValue *string)
{
	char	   *text = pnstrdup(string->val.string.val, string->val.string.len);

	escape_json(to, text);
	pfree(text);
}

/* Append a scalar. */
static void
append_scalar(StringInfo to, const JsonbValue *value)
{
	if (value->type == jbvString)
		append_string(to, value);
	else if (value->type == jbvNumeric)
		json_append_number(to, value->val.numeric);
	else if (value->type == jbvBool)
		appendStringInfoString(to, value->val.boolean ? "true" : "false");
	else
		appendStringInfoString(to, "null");
}

/* Begin the line of a child. */
static void
begin_line(StringInfo to, uint32 index, int level)
{
	appendStringInfoString(to, index > 0 ? ",\n" : "\n");
	appendStringInfoSpaces(to, level * 2);
}

static void append_value(StringInfo to, const JsonbValue *value, int level);

/* Append the pairs of an object. */
static void
append_pairs(StringInfo to, const JsonbValue *object, int level)
{
	JsonOrderedPair *pairs = json_ordered_pairs(object);

	for (uint32 i = 0; i < json_count(object); i++)
	{
		begin_line(to, i, level);
		append_string(to, &pairs[i].key);
		appendStringInfoString(to, ": ");
		append_value(to, &pairs[i].value, level);
	}
	pfree(pairs);
}

/* Append a value on a level of nesting. */
static void
append_value(StringInfo to, const JsonbValue *value, int level)
{
	bool		is_object = json_is_object(value);

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_leaf(value))
	{
		if (value->type == jbvBinary)
			appendStringInfoString(to, is_object ? "{}" : "[]");
		else
			append_scalar(to, value);
		return;
	}
	appendStringInfoChar(to, is_object ? '{' : '[');
	if (is_object)
		append_pairs(to, value, level + 1);
	else
		json_foreach(child, value)
		{
			begin_line(to, child.index, level + 1);
			append_value(to, &child.value, level + 1);
		}
	appendStringInfoChar(to, '\n');
	appendStringInfoSpaces(to, level * 2);
	appendStringInfoChar(to, is_object ? '}' : ']');
}

/* A document as indented JSON. */
text *
json_indented(const Jsonb *document)
{
	JsonbValue	view = json_view(document);
	StringInfoData indented;

	initStringInfo(&indented);
	append_value(&indented, &view, 0);
	appendStringInfoChar(&indented, '\n');
	return cstring_to_text_with_len(indented.data, indented.len);
}

/* promote.jsonb_indented(document jsonb) returns text */
Datum
promote_jsonb_indented(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(json_indented(PG_GETARG_JSONB_P(0)));
}
