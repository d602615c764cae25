/*
 * violation.c: telling the collector what is wrong, and where.
 *
 * Paths are made here, from the frames of the walk, so that a valid document
 * costs none.  Messages say what the schema expects, never what is there.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "json/path.h"
#include "schema/violation.h"

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

/* Make what is allocated up to schema_end_report last as long as that; false if nobody is told. */
bool
schema_begin_report(SchemaEvaluation *evaluation)
{
	if (evaluation->collect == NULL)
		return false;
	if (evaluation->scratch == NULL)
		evaluation->scratch = AllocSetContextCreate(CurrentMemoryContext,
													"promote schema violation", ALLOCSET_SMALL_SIZES);
	evaluation->caller = MemoryContextSwitchTo(evaluation->scratch);
	return true;
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
	else if (!getKeyJsonValueFromContainer((JsonbContainer *) node->keywords, keyword, strlen(keyword), value))
		return NULL;
	return json_size(value) <= EXPECTED_SIZE_MAX ? value : NULL;
}

/* Tell the collector of a violation; see SCHEMA_REPORT_PART. */
bool
schema_end_report(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at, const char *keyword,
				  const SchemaProperty *property, const JsonbValue *expected, const char *message)
{
	SchemaViolation violation;
	JsonbValue	value;

	violation.instance_path = schema_instance_path(at);
	violation.schema_path = schema_place_text(violated_place(node, keyword, property));
	violation.keyword = keyword;
	violation.expected = expected ? expected : expected_value(node, keyword, &value);
	violation.message = message;
	MemoryContextSwitchTo(evaluation->caller);
	evaluation->collect(evaluation->state, &violation);
	MemoryContextReset(evaluation->scratch);
	return false;
}
