/*
 * diff.c: two documents, leaf by leaf.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "json/diff.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"

PG_FUNCTION_INFO_V1(promote_jsonb_leaf_diff);

/* One document at the location of the walk. */
typedef struct Side
{
	const JsonbValue *value;	/* NULL: nothing here */
	const JsonMark *marks;
} Side;

typedef struct Diff
{
	StringInfoData path;
	JsonChangeCollector collect;
	void	   *state;
} Diff;

static void diff_value(Diff *diff, Side old_side, Side new_side, uint32 flags, Size compared);

/* Report a leaf. */
static void
report(Diff *diff, const JsonbValue *old_value, const JsonbValue *new_value,
	   uint32 flags)
{
	JsonChange	change;

	change.path = json_path_text(&diff->path);
	change.old_value = old_value;
	change.new_value = new_value;
	change.flags = flags;
	diff->collect(diff->state, &change);
}

/* The child of one side; a side without a value there has no marks there. */
static Side
child(const JsonbValue *value, const JsonMark *marks, uint32 index)
{
	Side		side = {value, value ? json_mark_child(marks, index) : NULL};

	return side;
}

/*
 * Need two children not be looked into, as they are the same?  compared is
 * json_same_below's, of their containers and then of them.
 */
static bool
is_same(const JsonbValue *a, const JsonbValue *b, Size *compared)
{
	if (a == NULL || b == NULL)
		return false;
	if (a->type == jbvBinary && b->type == jbvBinary)
		return json_same_below(a, b, compared);
	return json_same(a, b);
}

/* Walk the children of one or two containers of the same kind. */
static void
diff_children(Diff *diff, Side old_side, Side new_side, uint32 flags, Size compared)
{
	int			length = diff->path.len;
	JsonJoin	join;

	json_join_init(&join, old_side.value, new_side.value);
	while (json_join_next(&join))
	{
		Size		below = compared;

		CHECK_FOR_INTERRUPTS();
		if (is_same(join.left, join.right, &below))
			continue;
		if (join.key)
			json_path_add_key(&diff->path, join.key->val.string.val, join.key->val.string.len);
		else
			json_path_add_index(&diff->path, join.left ? join.left_index : join.right_index);
		diff_value(diff, child(join.left, old_side.marks, join.left_index),
				   child(join.right, new_side.marks, join.right_index), flags, below);
		json_path_truncate(&diff->path, length);
	}
}

/* Report all leaves of a value that only one document has. */
static void
diff_one_side(Diff *diff, Side old_side, Side new_side, uint32 flags)
{
	if (json_is_leaf(old_side.value ? old_side.value : new_side.value))
		report(diff, old_side.value, new_side.value, flags);
	else
		diff_children(diff, old_side, new_side, flags, SIZE_MAX);
}

/* Compare one location; at least one side is present. */
static void
diff_value(Diff *diff, Side old_side, Side new_side, uint32 flags, Size compared)
{
	const Side	absent = {NULL, NULL};
	const JsonbValue *a = old_side.value;
	const JsonbValue *b = new_side.value;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	flags |= json_mark_flags(old_side.marks) | json_mark_flags(new_side.marks);
	if (a == NULL || b == NULL)
		diff_one_side(diff, old_side, new_side, flags);
	else if (json_is_leaf(a) && json_is_leaf(b))
	{
		if (!json_equal(a, b))
			report(diff, a, b, flags);
	}
	else if (!json_is_leaf(a) && !json_is_leaf(b) && json_is_object(a) == json_is_object(b))
		diff_children(diff, old_side, new_side, flags, compared);
	else
	{
		diff_one_side(diff, old_side, absent, flags);
		diff_one_side(diff, absent, new_side, flags);
	}
}

/*
 * Report every leaf that differs between two values, in the order of their
 * keys.  An old value of NULL is one that is not there.  The marks of either
 * may be NULL; a change carries the flags of both.
 *
 * A root that is an object in both is never a leaf: it is there before and
 * after, however many keys it has.
 */
void
json_leaf_diff_values(const JsonbValue *old_value, const JsonMark *old_marks,
					  const JsonbValue *new_value, const JsonMark *new_marks,
					  JsonChangeCollector collect, void *state)
{
	Diff		diff;
	Side		old_side = {old_value, old_marks};
	Side		new_side = {new_value, new_marks};

	if (old_value && json_same(old_value, new_value))
		return;
	diff.collect = collect;
	diff.state = state;
	initStringInfo(&diff.path);
	if (json_is_object(new_value) && (!old_value || json_is_object(old_value)))
		diff_children(&diff, old_side, new_side,
					 json_mark_flags(old_marks) | json_mark_flags(new_marks), SIZE_MAX);
	else
		diff_value(&diff, old_side, new_side, 0, SIZE_MAX);
	pfree(diff.path.data);
}

/* Report the leaves in which two documents differ; an old document of NULL is one that is not there. */
void
json_leaf_diff(const Jsonb *old_document, const JsonMark *old_marks,
			   const Jsonb *new_document, const JsonMark *new_marks,
			   JsonChangeCollector collect, void *state)
{
	JsonbValue	old_value;
	JsonbValue	new_value = json_view(new_document);

	if (old_document)
		json_root(old_document, &old_value);
	json_leaf_diff_values(old_document ? &old_value : NULL, old_marks, &new_value, new_marks,
						  collect, state);
}

/* The change's kind, as users of the tables and views read it. */
const char *
json_change_name(const JsonChange *change)
{
	if (change->old_value == NULL)
		return "add";
	return change->new_value == NULL ? "remove" : "change";
}

/* Collector of jsonb_leaf_diff: one row of (path, change, old, new). */
static void
put_row(void *state, const JsonChange *change)
{
	ReturnSetInfo *result = state;
	Datum		values[4];
	bool		nulls[4] = {false, false, change->old_value == NULL, change->new_value == NULL};

	values[0] = CStringGetTextDatum(change->path);
	values[1] = CStringGetTextDatum(json_change_name(change));
	values[2] = nulls[2] ? (Datum) 0 : JsonbPGetDatum(json_from_view(change->old_value));
	values[3] = nulls[3] ? (Datum) 0 : JsonbPGetDatum(json_from_view(change->new_value));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < lengthof(values); i++)
		if (!nulls[i])
			pfree(DatumGetPointer(values[i]));
}

/*
 * promote.jsonb_leaf_diff(old_document jsonb, new_document jsonb)
 * returns table(path text, change text, old_value jsonb, new_value jsonb)
 */
Datum
promote_jsonb_leaf_diff(PG_FUNCTION_ARGS)
{
	Jsonb	   *old_document = PG_GETARG_JSONB_P(0);
	Jsonb	   *new_document = PG_GETARG_JSONB_P(1);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	/* no rows, without so much as a place to keep them */
	if (result && IsA(result, ReturnSetInfo) && json_is_copy(old_document, new_document))
	{
		result->isDone = ExprEndResult;
		PG_RETURN_NULL();
	}
	InitMaterializedSRF(fcinfo, 0);
	json_leaf_diff(old_document, NULL, new_document, NULL, put_row, fcinfo->resultinfo);
	return (Datum) 0;
}
