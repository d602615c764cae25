/*
 * violation.c: telling the collector what is wrong, and where.
 *
 * Paths are made here, from the frames of the walk, so that a valid document
 * costs none.  Messages say what the schema expects, never what is there.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "json/path.h"
#include "schema/internal.h"

/* The steps from the instance's root to at. */
static void
append_path(StringInfo path, const SchemaFrame *at)
{
	check_stack_depth();
	if (at->parent == NULL)
		return;
	append_path(path, at->parent);
	if (at->key)
		json_path_add_key(path, at->key->val.string.val, at->key->val.string.len);
	else
		json_path_add_index(path, at->index);
}

/* .nodes[0].size, in the current memory context. */
const char *
schema_instance_path(const SchemaFrame *at)
{
	StringInfoData path;

	initStringInfo(&path);
	append_path(&path, at);
	return json_path_text(&path);
}

/*
 * The place that is reported: the keyword's, and within it that of a
 * property; without a keyword of its own (the schema false) the node's.
 */
static const SchemaPlace *
violated_place(const SchemaNode *node, const char *keyword, const SchemaProperty *property)
{
	const SchemaPlace *place = node->place;

	if (!node->never)
		place = schema_place_step(place, keyword, strlen(keyword));
	if (property)
		place = schema_place_step(place, property->name, property->length);
	return place;
}

/*
 * Make what is allocated up to the end of schema_report last as long as that.
 * For parts of a message; a report without any need not be begun.
 */
void
schema_begin_report(SchemaEvaluation *evaluation)
{
	if (evaluation->scratch == NULL)
		evaluation->scratch = AllocSetContextCreate(CurrentMemoryContext,
													"promote schema violation",
													ALLOCSET_SMALL_SIZES);
	if (CurrentMemoryContext != evaluation->scratch)
		evaluation->caller = MemoryContextSwitchTo(evaluation->scratch);
}

static const char *format_message(const char *format, va_list arguments)
pg_attribute_printf(1, 0);

/* The message, in the current memory context. */
static const char *
format_message(const char *format, va_list arguments)
{
	StringInfoData message;
	va_list		again;
	int			needed;

	initStringInfo(&message);
	do
	{
		va_copy(again, arguments);
		needed = appendStringInfoVA(&message, format, again);
		va_end(again);
		if (needed > 0)
			enlargeStringInfo(&message, needed);
	} while (needed > 0);
	return message.data;
}

/* How large a value that is told as expected may be, in bytes. */
#define EXPECTED_SIZE_MAX	4096

/* What the keyword expects: its value, in *value; NULL if that is large. */
static const JsonbValue *
expected_value(const SchemaNode *node, const char *keyword, JsonbValue *value)
{
	if (node->never)
	{
		value->type = jbvBool;
		value->val.boolean = false;
	}
	else if (!getKeyJsonValueFromContainer((JsonbContainer *) node->keywords, keyword,
										   strlen(keyword), value))
		return NULL;
	return json_size(value) <= EXPECTED_SIZE_MAX ? value : NULL;
}

/*
 * Report a violation, if violations are collected at all.  property is given
 * where the keyword's value has an entry for it that is violated, and
 * expected where that is not the keyword's value as a whole.
 */
void
schema_report(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
			  const char *keyword, const SchemaProperty *property,
			  const JsonbValue *expected, const char *format,...)
{
	SchemaViolation violation;
	JsonbValue	value;
	va_list		arguments;

	if (evaluation->collect == NULL)
		return;
	schema_begin_report(evaluation);
	violation.instance_path = schema_instance_path(at);
	violation.schema_path = schema_place_text(violated_place(node, keyword, property));
	violation.keyword = keyword;
	violation.expected = expected ? expected : expected_value(node, keyword, &value);
	va_start(arguments, format);
	violation.message = format_message(format, arguments);
	va_end(arguments);
	MemoryContextSwitchTo(evaluation->caller);
	evaluation->collect(evaluation->state, &violation);
	MemoryContextReset(evaluation->scratch);
}

/*
 * A value of the schema (not of the document!) for a message, in the current
 * memory context; NULL if it would be too long.
 */
const char *
schema_value_text(const JsonbValue *value)
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
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
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

/* The types' names, in the order of their flags. */
static const char *const type_names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

/* The flag of a type's name, a view; 0 if it is none of the seven. */
uint8
schema_type_flag(const JsonbValue *name)
{
	for (int i = 0; i < lengthof(type_names); i++)
		if (json_string_is(name, type_names[i]))
			return 1 << i;
	return 0;
}

/* "integer", "string or null", "string, number or null", in the current memory context. */
const char *
schema_types_text(uint8 types)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = lengthof(type_names) - 1; i >= 0; i--)
	{
		uint8		rest = types & ((1 << i) - 1);

		if ((types & (1 << i)) == 0)
			continue;
		appendStringInfoString(&text, type_names[i]);
		if (rest != 0)
			appendStringInfoString(&text, (rest & (rest - 1)) == 0 ? " or " : ", ");
	}
	return text.data;
}
