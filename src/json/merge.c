/*
 * merge.c: a patch on top of a document.
 *
 * One walk over two sorted key lists serves both meanings of null.  Objects
 * merge; everything else, arrays too, is replaced whole.
 */
#include "postgres.h"

#include "json/merge.h"
#include "json/reader.h"

#include "fmgr.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(promote_jsonb_deep_merge);
PG_FUNCTION_INFO_V1(promote_jsonb_merge_patch);

static void merge_value(JsonWriter *writer, const JsonbValue *target,
						const JsonbValue *patch, JsonMergeNulls nulls);

/*
 * Merge two objects key by key.  A target that is no object counts as an
 * empty one: RFC 7396 section 2, "if Target is not an Object".
 */
static void
merge_objects(JsonWriter *writer, const JsonbValue *target, const JsonbValue *patch,
			  JsonMergeNulls nulls)
{
	JsonJoin	join;

	json_join_init(&join, target && json_is_object(target) ? target : NULL, patch);
	json_write_begin_object(writer);
	while (json_join_next(&join))
	{
		CHECK_FOR_INTERRUPTS();
		if (join.right && join.right->type == jbvNull && nulls == JSON_NULL_REMOVES)
			continue;
		json_write_key(writer, join.key->val.string.val, join.key->val.string.len);
		if (join.right)
			merge_value(writer, join.left, join.right, nulls);
		else
			json_write_value(writer, join.left);
	}
	json_write_end_object(writer);
}

/* Write what patch makes of target; a target of NULL is a missing one. */
static void
merge_value(JsonWriter *writer, const JsonbValue *target, const JsonbValue *patch,
			JsonMergeNulls nulls)
{
	check_stack_depth();
	if (json_is_object(patch))
		merge_objects(writer, target, patch, nulls);
	else
		json_write_value(writer, patch);
}

/*
 * The document that patch makes of target, in the current memory context.
 */
Jsonb *
json_merge(const Jsonb *target, const Jsonb *patch, JsonMergeNulls nulls)
{
	JsonWriter	writer;
	JsonbValue	target_view,
				patch_view;

	json_root(target, &target_view);
	json_root(patch, &patch_view);
	json_writer_init(&writer);
	merge_value(&writer, &target_view, &patch_view, nulls);
	return json_writer_finish(&writer);
}

/* promote.jsonb_deep_merge(target jsonb, patch jsonb) returns jsonb */
Datum
promote_jsonb_deep_merge(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_merge(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1),
								 JSON_NULL_IS_VALUE));
}

/* promote.jsonb_merge_patch(target jsonb, patch jsonb) returns jsonb */
Datum
promote_jsonb_merge_patch(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_merge(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1),
								 JSON_NULL_REMOVES));
}
