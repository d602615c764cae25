/*
 * diff_patch.c: JSON Patch, RFC 6902, made of two documents.
 *
 * Objects are compared key by key.  Of arrays what they have in common at
 * either end is left alone, and what is between is compared by position.
 * Where the operations for a container would take more bytes than the
 * container, it is replaced as a whole.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/grow.h"
#include "json/pointer.h"
#include "json/reader.h"
#include "json/writer.h"

PG_FUNCTION_INFO_V1(promote_jsonb_diff_patch);

/* One token of the way to a place; the root's is empty. */
typedef struct Step
{
	uint32		parent;			/* its number; the root's is 0 */
	const char *key;			/* NULL: an element's */
	uint32		number;			/* the key's length, or the ordinal */
	Size		length;			/* of the pointer up to here */
} Step;

/* One operation. */
typedef struct Operation
{
	const char *name;
	uint32		step;
	bool		has_value;
	JsonbValue	value;
} Operation;

/* One call.  The steps are those of the walk and of the operations so far. */
typedef struct Diff
{
	Step	   *steps;
	uint32		step_count;
	Size		step_room;
	Operation  *operations;
	uint32		count;
	Size		room;
	uint64		cost;			/* about the bytes that the operations take */
	uint64		limit;			/* past this cost the innermost container is replaced */
} Diff;

static void diff_value(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b,
					   Size compared);

/* Add the step to a child; key is NULL for an element.  Returns its number. */
static uint32
add_step(Diff *diff, uint32 parent, const char *key, uint32 number)
{
	char		digits[10];
	Step	   *step;

	GROW(diff->steps, diff->step_count, diff->step_room);
	step = &diff->steps[diff->step_count];
	step->parent = parent;
	step->key = key;
	step->number = number;
	step->length = diff->steps[parent].length + 1 +
		(key ? json_token_escaped_length(key, number) : pg_ultoa_n(number, digits));
	return diff->step_count++;
}

/* The bytes of an operation: its object, and its entry in the patch. */
static uint64
operation_cost(const Diff *diff, const char *name, uint32 step, const JsonbValue *value)
{
	uint64		cost = 8 + 16 + strlen("op" "path") + strlen(name) + diff->steps[step].length;

	return value ? cost + 8 + strlen("value") + json_size(value) : cost;
}

/* Add an operation; value is NULL for a removal. */
static void
add_operation(Diff *diff, const char *name, uint32 step, const JsonbValue *value)
{
	Operation  *operation;

	CHECK_FOR_INTERRUPTS();
	GROW(diff->operations, diff->count, diff->room);
	operation = &diff->operations[diff->count++];
	operation->name = name;
	operation->step = step;
	operation->has_value = value != NULL;
	if (value)
		operation->value = *value;
	diff->cost += operation_cost(diff, name, step, value);
}

/* Forget what was added since the diff was like that. */
static void
go_back(Diff *diff, const Diff *before)
{
	diff->step_count = before->step_count;
	diff->count = before->count;
	diff->cost = before->cost;
}

/* Compare a child that both have, and forget its step if it is equal. */
static void
diff_child(Diff *diff, uint32 parent, const char *key, uint32 number,
		   const JsonbValue *a, const JsonbValue *b, Size compared)
{
	Diff		before = *diff;

	diff_value(diff, add_step(diff, parent, key, number), a, b, compared);
	if (diff->count == before.count)
		go_back(diff, &before);
}

/* Compare two objects. */
static void
diff_objects(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b, Size compared)
{
	JsonJoin	join;

	json_join_init(&join, a, b);
	while (diff->cost <= diff->limit && json_join_next(&join))
	{
		const char *key = join.key->val.string.val;
		int			length = join.key->val.string.len;

		if (join.left && join.right)
			diff_child(diff, step, key, length, join.left, join.right, compared);
		else
			add_operation(diff, join.left ? "remove" : "add",
						  add_step(diff, step, key, length), join.right);
	}
}

/* How many elements at the end of two arrays are equal, up to a limit. */
static uint32
count_common_end(const JsonbValue *a, const JsonbValue *b, uint32 limit)
{
	JsonbValue	a_element,
				b_element;

	for (uint32 i = 1; i <= limit; i++)
	{
		CHECK_FOR_INTERRUPTS();
		json_view_child(a->val.binary.data, json_count(a) - i, &a_element);
		json_view_child(b->val.binary.data, json_count(b) - i, &b_element);
		if (!json_equal(&a_element, &b_element))
			return i - 1;
	}
	return limit;
}

/*
 * Compare elements by position up to where the end begins that the arrays have
 * in common, and return where that is in the shorter one.
 *
 * The ends are looked for when a difference is found, and if nothing is left
 * between them that both have, the difference was none.  No element is
 * compared with more than two others, so that nested arrays are compared in
 * linear time.
 */
static uint32
diff_pairs(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b, Size compared)
{
	uint32		limit = Min(json_count(a), json_count(b));
	bool		end_is_known = json_count(a) == json_count(b);
	Diff		before = *diff;
	JsonCursor	cursors[2];
	JsonbValue	a_element,
				b_element;

	json_cursor_init(&cursors[0], a->val.binary.data);
	json_cursor_init(&cursors[1], b->val.binary.data);
	for (uint32 i = 0; i < limit && diff->cost <= diff->limit; i++)
	{
		json_next_element(&cursors[0], &a_element);
		json_next_element(&cursors[1], &b_element);
		diff_child(diff, step, NULL, i, &a_element, &b_element, compared);
		if (end_is_known || diff->count == before.count)
			continue;
		end_is_known = true;
		limit -= count_common_end(a, b, limit - i);
		if (limit == i)
			go_back(diff, &before);
	}
	return limit;
}

/* Compare two arrays. */
static void
diff_arrays(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b, Size compared)
{
	uint32		a_count = json_count(a);
	uint32		b_count = json_count(b);
	uint32		from = diff_pairs(diff, step, a, b, compared);

	for (uint32 more = a_count; more > b_count && diff->cost <= diff->limit; more--)
		add_operation(diff, "remove", add_step(diff, step, NULL, from + (more - b_count) - 1), NULL);
	for (uint32 less = a_count; less < b_count && diff->cost <= diff->limit; less++)
	{
		JsonbValue	element;

		json_view_child(b->val.binary.data, from + (less - a_count), &element);
		add_operation(diff, "add", add_step(diff, step, NULL, from + (less - a_count)), &element);
	}
}

/* Compare two containers of the same kind. */
static void
diff_containers(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b, Size compared)
{
	Diff		before = *diff;
	bool		is_smaller;

	if (json_same_below(a, b, &compared))
		return;
	diff->limit = diff->cost + operation_cost(diff, "replace", step, b);
	if (json_is_object(a))
		diff_objects(diff, step, a, b, compared);
	else
		diff_arrays(diff, step, a, b, compared);
	is_smaller = diff->cost <= diff->limit;
	diff->limit = before.limit;
	if (is_smaller)
		return;
	go_back(diff, &before);
	add_operation(diff, "replace", step, b);
}

/* Compare two values; adds no operation where they are equal. */
static void
diff_value(Diff *diff, uint32 step, const JsonbValue *a, const JsonbValue *b, Size compared)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (a->type == jbvBinary && b->type == jbvBinary && json_is_object(a) == json_is_object(b))
		diff_containers(diff, step, a, b, compared);
	else if (!json_equal(a, b))
		add_operation(diff, "replace", step, b);
}

/* Spell a step's pointer into a buffer with room for it, from its end. */
static void
spell(const Diff *diff, uint32 number, char *buffer)
{
	while (number != 0)
	{
		const Step *step = &diff->steps[number];
		char	   *token = buffer + diff->steps[step->parent].length;

		*token++ = '/';
		if (step->key)
			json_token_escape(token, step->key, step->number);
		else
			(void) pg_ultoa_n(step->number, token);
		number = step->parent;
	}
}

/* Write a string as a value. */
static void
write_string(JsonWriter *writer, const char *text, int length)
{
	JsonbValue	string = json_string(text, length);

	json_write_value(writer, &string);
}

/* Write an operation. */
static void
write_operation(JsonWriter *writer, const Diff *diff, const Operation *operation)
{
	Size		length = diff->steps[operation->step].length;
	char	   *path = MemoryContextAllocHuge(CurrentMemoryContext, length + 1);
	JsonWriterFrame frame;

	spell(diff, operation->step, path);
	json_open_object(writer, &frame, operation->has_value ? 3 : 2);
	json_write_key(writer, "op", 2);
	json_write_key(writer, "path", 4);
	if (operation->has_value)
		json_write_key(writer, "value", 5);
	write_string(writer, operation->name, strlen(operation->name));
	write_string(writer, path, length);
	if (operation->has_value)
		json_write_value(writer, &operation->value);
	json_close(writer);
	pfree(path);
}

/* The patch that makes b of a, in the current memory context. */
static Jsonb *
diff_patch(const Jsonb *a, const Jsonb *b)
{
	Diff		diff = {0};
	JsonWriter	writer;
	JsonWriterFrame frame;
	JsonbValue	a_view,
				b_view;

	GROW(diff.steps, 0, diff.step_room);
	diff.steps[diff.step_count++] = (Step) {0, NULL, 0, 0};
	json_root(a, &a_view);
	json_root(b, &b_view);
	diff_value(&diff, 0, &a_view, &b_view, SIZE_MAX);
	json_writer_init(&writer, diff.cost + 64);
	json_open_array(&writer, &frame, diff.count);
	for (uint32 i = 0; i < diff.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_operation(&writer, &diff, &diff.operations[i]);
	}
	json_close(&writer);
	return json_writer_finish(&writer);
}

/* promote.jsonb_diff_patch(a jsonb, b jsonb) returns jsonb */
Datum
promote_jsonb_diff_patch(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(diff_patch(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1)));
}
