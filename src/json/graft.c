/*
 * graft.c: what changed between two documents, carried over to a third.
 *
 * The third document is what was rendered to become the first: it has
 * placeholders where that has values, and may have moved on since.  So
 * nothing is touched but the places that are named, leaf by leaf, and what is
 * set there renders to itself.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/merge.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/render.h"

/* One call. */
typedef struct Carry
{
	JsonBuilder builder;
	StringInfoData path;		/* of the place that is looked at */
	char	  **paths;			/* leaves to carry over, sorted by their bytes */
	int			count;
} Carry;

/* The values at one place; NULL where a document has none. */
typedef struct Trio
{
	const JsonbValue *own;		/* in the document that is changed */
	const JsonbValue *before;
	const JsonbValue *after;
} Trio;

/* What becomes of the document's own value. */
typedef enum Verdict
{
	CARRY_KEEP,
	CARRY_SET,					/* to the value after */
	CARRY_DROP,
	CARRY_DESCEND
} Verdict;

static void write_children(Carry *carry, const Trio *trio);

/* Does a path that begins with the one looked at, and then that text, stand among those named? */
static bool
has_prefix(const Carry *carry, const char *more)
{
	Size		length = carry->path.len;
	Size		more_length = strlen(more);
	int			low = 0;
	int			high = carry->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = strncmp(carry->paths[middle], carry->path.data, length);

		if (order == 0)
			order = strncmp(carry->paths[middle] + length, more, more_length);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < carry->count &&
		strncmp(carry->paths[low], carry->path.data, length) == 0 &&
		strncmp(carry->paths[low] + length, more, more_length) == 0;
}

/* Is the place looked at one of those named? */
static bool
is_named(const Carry *carry)
{
	const char *path = json_path_text(&carry->path);

	return bsearch(&path, carry->paths, carry->count, sizeof(char *), pg_qsort_strcmp) != NULL;
}

/* Is it, or is one below it? */
static bool
is_wanted(const Carry *carry)
{
	return is_named(carry) || has_prefix(carry, ".") || has_prefix(carry, "[");
}

/* Are both objects, or both arrays? */
static bool
are_alike(const JsonbValue *a, const JsonbValue *b)
{
	return a && b && ((json_is_object(a) && json_is_object(b)) ||
					  (json_is_array(a) && json_is_array(b)));
}

/* Refuse where the document has moved on so far that the place is gone. */
pg_noreturn static void
refuse(const Carry *carry, const char *why)
{
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("what differs at %s cannot be set in what is desired", json_path_text(&carry->path)),
			 errdetail("%s", why),
			 errhint("Set what is wanted there by promote.configure_instance.")));
}

/* What becomes of the value at the place looked at. */
static Verdict
judge(const Carry *carry, const Trio *trio)
{
	if (!is_wanted(carry))
		return CARRY_KEEP;
	if (!are_alike(trio->before, trio->after))
		return trio->after ? CARRY_SET : CARRY_DROP;
	if (are_alike(trio->own, trio->after))
	{
		if (json_is_array(trio->own) && json_count(trio->own) != json_count(trio->before))
			refuse(carry, "The array there has another length by now, so that its elements cannot be told apart.");
		return CARRY_DESCEND;
	}
	/* a placeholder stood for all that is below */
	if (trio->own && json_is_placeholder(trio->own))
		return CARRY_SET;
	refuse(carry, "What is desired has no such object or array there any more.");
}

/* Write the value at the place looked at; not for CARRY_DROP, nor to keep what is not there. */
static void
write_verdict(Carry *carry, const Trio *trio, Verdict verdict)
{
	if (verdict == CARRY_KEEP)
		json_build_value(&carry->builder, trio->own);
	else if (verdict == CARRY_SET)
		json_build_literal(&carry->builder, trio->after);
	else
		write_children(carry, trio);
}

/* Write a pair, unless there is none. */
static void
write_pair(Carry *carry, const JsonbValue *key, const Trio *trio)
{
	int			length = carry->path.len;
	Verdict		verdict;

	json_path_add_key(&carry->path, key->val.string.val, key->val.string.len);
	verdict = judge(carry, trio);
	if (verdict != CARRY_DROP && (verdict != CARRY_KEEP || trio->own))
	{
		json_build_key(&carry->builder, key->val.string.val, key->val.string.len);
		write_verdict(carry, trio, verdict);
	}
	json_path_truncate(&carry->path, length);
}

/* The value under a key; NULL where there is none.  found is lent by the caller. */
static const JsonbValue *
find(const JsonbValue *object, const JsonbValue *key, JsonbValue *found)
{
	return json_find_key(object, key, found) ? found : NULL;
}

/* Write an object: its own pairs, and those that came to be. */
static void
write_object(Carry *carry, const Trio *trio)
{
	JsonbValue	before,
				other;

	json_build_begin_object(&carry->builder);
	json_foreach(own, trio->own)
	{
		Trio		child = {&own.value, find(trio->before, &own.key, &before), find(trio->after, &own.key, &other)};

		CHECK_FOR_INTERRUPTS();
		write_pair(carry, &own.key, &child);
	}
	json_foreach(after, trio->after)
	{
		Trio		child = {NULL, find(trio->before, &after.key, &before), &after.value};

		CHECK_FOR_INTERRUPTS();
		if (find(trio->own, &after.key, &other) == NULL)
			write_pair(carry, &after.key, &child);
	}
	json_build_end_object(&carry->builder);
}

/* Judge the element at that index. */
static Verdict
judge_element(Carry *carry, uint32 index, const Trio *trio)
{
	int			length = carry->path.len;
	Verdict		verdict;

	json_path_add_index(&carry->path, index);
	verdict = judge(carry, trio);
	json_path_truncate(&carry->path, length);
	return verdict;
}

/* Write the element at that index, which both documents have. */
static void
write_element(Carry *carry, uint32 index, const Trio *trio)
{
	int			length = carry->path.len;

	json_path_add_index(&carry->path, index);
	write_verdict(carry, trio, judge(carry, trio));
	json_path_truncate(&carry->path, length);
}

/* Is any of the elements named that one of the documents has, and the other has not? */
static bool
is_end_wanted(Carry *carry, uint32 from, uint32 to)
{
	Trio		nothing = {NULL, NULL, NULL};

	for (uint32 i = from; i < to; i++)
		if (judge_element(carry, i, &nothing) != CARRY_KEEP)
			return true;
	return false;
}

/*
 * Write an array, of as many elements as before.  What was added at its end, or
 * removed from there, is taken as one: there may be no gaps.
 */
static void
write_array(Carry *carry, const Trio *trio)
{
	uint32		before = json_count(trio->before);
	uint32		after = json_count(trio->after);
	uint32		both = Min(before, after);
	bool		end_wanted = is_end_wanted(carry, both, Max(before, after));
	JsonbValue	values[3];

	json_build_begin_array(&carry->builder);
	for (uint32 i = 0; i < both || (end_wanted ? i < after : i < before); i++)
	{
		Trio		child = {&values[0], &values[1], &values[2]};

		CHECK_FOR_INTERRUPTS();
		if (i < before)
			json_view_child(trio->own->val.binary.data, i, &values[0]);
		if (i < before)
			json_view_child(trio->before->val.binary.data, i, &values[1]);
		if (i < after)
			json_view_child(trio->after->val.binary.data, i, &values[2]);
		if (i < both)
			write_element(carry, i, &child);
		else
			write_verdict(carry, &child, end_wanted ? CARRY_SET : CARRY_KEEP);
	}
	json_build_end_array(&carry->builder);
}

/* Write a container of which something below changes. */
static void
write_children(Carry *carry, const Trio *trio)
{
	check_stack_depth();
	if (json_is_object(trio->own))
		write_object(carry, trio);
	else
		write_array(carry, trio);
}

/*
 * The document with what differs between before and after, at the paths named
 * (leaves as json_leaf_diff tells them, sorted by strcmp), set as it is after.
 * All three are objects.  Raises PM_CANNOT_PATCH where the document has no
 * place for it.
 */
Jsonb *
json_carry(const Jsonb *document, const Jsonb *before, const Jsonb *after,
		   char **paths, int count)
{
	Carry		carry = {.paths = paths,.count = count};
	JsonbValue	views[3];
	Trio		trio = {&views[0], &views[1], &views[2]};

	json_root(document, &views[0]);
	json_root(before, &views[1]);
	json_root(after, &views[2]);
	json_builder_init(&carry.builder);
	initStringInfo(&carry.path);
	write_children(&carry, &trio);
	return json_builder_finish(&carry.builder);
}
