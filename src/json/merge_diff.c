/*
 * merge_diff.c: JSON Merge Patch, RFC 7396, made of two documents.
 *
 * A merge patch says null for "remove", so that it cannot set a null in an
 * object: such a pair of documents is refused, with the place.  What is in an
 * array is set as a whole and may hold nulls.
 */
#include "postgres.h"

#include "base/errors.h"
#include "json/builder.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"

#include "fmgr.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(promote_jsonb_merge_diff);

/* An object on the way from the root, on the walker's stack. */
typedef struct Level
{
	struct Level *parent;		/* NULL at the root */
	const JsonbValue *key;		/* its own in the parent; NULL at the root */
	bool		begun;			/* does the patch have this object? */
} Level;

/* Spell the way to a level. */
static void
append_way(StringInfo path, const Level *level)
{
	check_stack_depth();
	if (level->parent == NULL)
		return;
	append_way(path, level->parent);
	json_path_add_key(path, level->key->val.string.val, level->key->val.string.len);
}

/* Raise an error if a value that is to be set is a null, or has one in an object. */
static void
refuse_nulls(const Level *level, const JsonbValue *value)
{
	StringInfoData path;
	JsonCursor	cursor;
	JsonbValue	key,
				child;
	Level		below = {(Level *) level, &key, false};

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
	{
		json_cursor_init(&cursor, value->val.binary.data);
		while (json_next_pair(&cursor, &key, &child))
			refuse_nulls(&below, &child);
	}
	if (value->type != jbvNull)
		return;
	initStringInfo(&path);
	append_way(&path, level);
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("a merge patch cannot set a null"),
			 errdetail("The null at %s would have to be set, and in a merge patch null removes.",
					   json_path_text(&path)),
			 errhint("Make a JSON Patch (RFC 6902) with jsonb_diff_patch.")));
}

/* Begin the objects of the patch down to a level. */
static void
begin_level(JsonBuilder *builder, Level *level)
{
	check_stack_depth();
	if (level->begun)
		return;
	level->begun = true;
	if (level->parent)
	{
		begin_level(builder, level->parent);
		json_build_key(builder, level->key->val.string.val, level->key->val.string.len);
	}
	json_build_begin_object(builder);
}

/* Set a key, or remove it where there is no value. */
static void
set_key(JsonBuilder *builder, Level *object, const JsonbValue *key, const JsonbValue *value)
{
	Level		level = {object, key, false};

	begin_level(builder, object);
	json_build_key(builder, key->val.string.val, key->val.string.len);
	if (value == NULL)
	{
		json_build_null(builder);
		return;
	}
	refuse_nulls(&level, value);
	json_build_value(builder, value);
}

/* Say how one object becomes the other; adds nothing where they are equal. */
static void
diff_objects(JsonBuilder *builder, Level *object, const JsonbValue *a, const JsonbValue *b,
			 Size compared)
{
	JsonJoin	join;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_same_below(a, b, &compared))
		return;
	json_join_init(&join, a, b);
	while (json_join_next(&join))
	{
		Level		level = {object, join.key, false};

		CHECK_FOR_INTERRUPTS();
		if (join.left && join.right && json_is_object(join.left) && json_is_object(join.right))
			diff_objects(builder, &level, join.left, join.right, compared);
		else if (join.left == NULL || join.right == NULL || !json_equal(join.left, join.right))
			set_key(builder, object, join.key, join.right);
		if (level.begun)
			json_build_end_object(builder);
	}
}

/* The smallest merge patch that makes b of a, in the current memory context. */
static Jsonb *
merge_diff(const Jsonb *a, const Jsonb *b)
{
	Level		root = {NULL, NULL, false};
	JsonBuilder builder;
	JsonbValue	b_view = json_view(b);
	JsonbValue	a_view = json_view(a);

	if (json_is_object(&b_view) && !json_is_object(&a_view))
		refuse_nulls(&root, &b_view);
	if (!json_is_object(&b_view) || !json_is_object(&a_view))
		return json_from_view(&b_view);
	json_builder_init(&builder);
	diff_objects(&builder, &root, &a_view, &b_view, SIZE_MAX);
	begin_level(&builder, &root);
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/* promote.jsonb_merge_diff(a jsonb, b jsonb) returns jsonb */
Datum
promote_jsonb_merge_diff(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(merge_diff(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1)));
}
