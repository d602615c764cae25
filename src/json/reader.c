/*
 * reader.c: walking jsonb in place.
 *
 * Knows the on-disk format of a container and nothing of what is in it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "json/reader.h"

/*
 * Fill view from the child that entry describes, whose data (with leading
 * padding, where its type is aligned) starts offset bytes after base.
 */
static void
view_child(const JsonbContainer *container, uint32 index, const char *base,
		   uint32 offset, JsonbValue *view)
{
	JEntry		entry = container->children[index];

	if (JBE_ISSTRING(entry))
	{
		view->type = jbvString;
		view->val.string.val = (char *) base + offset;
		view->val.string.len = getJsonbLength(container, index);
	}
	else if (JBE_ISNUMERIC(entry))
	{
		view->type = jbvNumeric;
		view->val.numeric = (Numeric) (base + INTALIGN(offset));
	}
	else if (JBE_ISCONTAINER(entry))
	{
		view->type = jbvBinary;
		view->val.binary.data = (JsonbContainer *) (base + INTALIGN(offset));
		view->val.binary.len = getJsonbLength(container, index) -
			(INTALIGN(offset) - offset);
	}
	else if (JBE_ISBOOL(entry))
	{
		view->type = jbvBool;
		view->val.boolean = JBE_ISBOOL_TRUE(entry);
	}
	else
		view->type = jbvNull;
}

/*
 * View a whole document.  A root scalar, which is stored as an array of one,
 * is viewed as the scalar it stands for.
 */
void
json_root(const Jsonb *document, JsonbValue *view)
{
	const JsonbContainer *root = &document->root;

	if (JsonContainerIsScalar(root))
	{
		view_child(root, 0, (const char *) &root->children[1], 0, view);
		return;
	}
	view->type = jbvBinary;
	view->val.binary.data = (JsonbContainer *) root;
	view->val.binary.len = VARSIZE(document) - VARHDRSZ;
}

/*
 * View an object's value or an array's element by its ordinal.  It is found
 * in a bounded number of steps, but a cursor is the way to see all of them.
 */
void
json_view_child(const JsonbContainer *container, uint32 ordinal, JsonbValue *view)
{
	uint32		count = JsonContainerSize(container);
	bool		object = JsonContainerIsObject(container);
	uint32		index = object ? count + ordinal : ordinal;

	view_child(container, index, (const char *) &container->children[object ? count * 2 : count],
			   getJsonbOffset(container, index), view);
}

/* View an object's key by its ordinal. */
void
json_view_key(const JsonbContainer *object, uint32 ordinal, JsonbValue *view)
{
	view_child(object, ordinal, (const char *) &object->children[JsonContainerSize(object) * 2],
			   getJsonbOffset(object, ordinal), view);
}

/* Start walking a container from its first child. */
void
json_cursor_init(JsonCursor *cursor, const JsonbContainer *container)
{
	bool		object = JsonContainerIsObject(container);

	cursor->container = container;
	cursor->count = JsonContainerSize(container);
	cursor->base = (const char *) &container->children[object ? cursor->count * 2 : cursor->count];
	cursor->next = 0;
	cursor->key_offset = 0;
	/* values follow the keys */
	cursor->value_offset = object && cursor->count > 0 ?
		getJsonbOffset(container, cursor->count) : 0;
}

/* View the next key and value of an object; false when there are no more. */
bool
json_next_pair(JsonCursor *cursor, JsonbValue *key, JsonbValue *value)
{
	const JsonbContainer *container = cursor->container;
	uint32		key_index = cursor->next;
	uint32		value_index = key_index + cursor->count;

	if (key_index >= cursor->count)
		return false;
	key->type = jbvString;
	key->val.string.val = (char *) cursor->base + cursor->key_offset;
	JBE_ADVANCE_OFFSET(cursor->key_offset, container->children[key_index]);
	key->val.string.len = cursor->base + cursor->key_offset - key->val.string.val;
	view_child(container, value_index, cursor->base, cursor->value_offset, value);
	JBE_ADVANCE_OFFSET(cursor->value_offset, container->children[value_index]);
	cursor->next++;
	return true;
}

/* View the next element of an array; false when there are no more. */
bool
json_next_element(JsonCursor *cursor, JsonbValue *element)
{
	uint32		index = cursor->next;

	if (index >= cursor->count)
		return false;
	view_child(cursor->container, index, cursor->base, cursor->value_offset, element);
	JBE_ADVANCE_OFFSET(cursor->value_offset, cursor->container->children[index]);
	cursor->next++;
	return true;
}

/* Start walking two containers of one kind; NULL is one without children. */
void
json_join_init(JsonJoin *join, const JsonbValue *left, const JsonbValue *right)
{
	const JsonbValue *sides[2] = {left, right};

	join->left = NULL;
	join->right = NULL;
	for (int side = 0; side < 2; side++)
	{
		join->more[side] = false;
		if (sides[side] == NULL)
			continue;
		join->keyed = json_is_object(sides[side]);
		join->more[side] = json_next(json_begin(&join->children[side], sides[side]->val.binary.data));
	}
}

/* Move to the next child that either has; false when there are no more. */
bool
json_join_next(JsonJoin *join)
{
	JsonChild  *children = join->children;
	int			order;

	if (join->left)
		join->more[0] = json_next(&children[0]);
	if (join->right)
		join->more[1] = json_next(&children[1]);
	if (!join->more[0] && !join->more[1])
		return false;
	if (!join->more[0] || !join->more[1])
		order = join->more[0] ? -1 : 1;
	else
		order = !join->keyed ? 0 :
			json_key_compare(children[0].key.val.string.val, children[0].key.val.string.len,
							 children[1].key.val.string.val, children[1].key.val.string.len);
	join->key = join->keyed ? &children[order <= 0 ? 0 : 1].key : NULL;
	join->left = order <= 0 ? &children[0].value : NULL;
	join->right = order >= 0 ? &children[1].value : NULL;
	join->left_index = order <= 0 ? children[0].index : 0;
	join->right_index = order >= 0 ? children[1].index : 0;
	return true;
}

/*
 * Start looking for keys in an object, NULL for one without any.  Walking
 * costs a step for each key of the object, halving some twenty for each key
 * asked for; what is cheaper is done.
 */
void
json_seeker_init(JsonSeeker *seeker, const JsonbContainer *object, uint32 questions)
{
	seeker->object = object;
	seeker->count = object ? JsonContainerSize(object) : 0;
	seeker->next = 0;
	seeker->offset = 0;
	seeker->walks = seeker->count / 20 < questions;
}

/* Compare the object's key that lies at offset with key. */
static inline int
compare_key_at(const JsonSeeker *seeker, uint32 offset, uint32 length, const JsonbValue *key)
{
	const char *text = (const char *) &seeker->object->children[seeker->count * 2] + offset;

	return json_key_compare(text, length, key->val.string.val, key->val.string.len);
}

/* Move key by key up to the first that is not before key. */
static bool
seek_walking(JsonSeeker *seeker, const JsonbValue *key)
{
	while (seeker->next < seeker->count)
	{
		uint32		end = seeker->offset;
		int			order;

		JBE_ADVANCE_OFFSET(end, seeker->object->children[seeker->next]);
		order = compare_key_at(seeker, seeker->offset, end - seeker->offset, key);
		if (order >= 0)
			return order == 0;
		seeker->next++;
		seeker->offset = end;
	}
	return false;
}

/* Move to the first key that is not before key by halving what is left. */
static bool
seek_halving(JsonSeeker *seeker, const JsonbValue *key)
{
	uint32		high = seeker->count;
	bool		found = false;

	while (seeker->next < high)
	{
		uint32		middle = seeker->next + (high - seeker->next) / 2;
		int			order = compare_key_at(seeker, getJsonbOffset(seeker->object, middle),
										   getJsonbLength(seeker->object, middle), key);

		if (order < 0)
			seeker->next = middle + 1;
		else
			high = middle;
		found |= order == 0;
	}
	return found;
}

/*
 * Is the key there?  seeker->next becomes its ordinal, or that of the first
 * key behind it.  Keys must be asked for in ascending order.
 */
bool
json_seek(JsonSeeker *seeker, const JsonbValue *key)
{
	return seeker->walks ? seek_walking(seeker, key) : seek_halving(seeker, key);
}

/* The ordinal of an object's value by its key; false where it has no such key. */
bool
json_find_ordinal(const JsonbValue *object, const char *key, int length, uint32 *ordinal)
{
	const JsonbValue wanted = json_string(key, length);
	JsonSeeker	seeker;

	json_seeker_init(&seeker, object->val.binary.data, 1);
	if (!json_seek(&seeker, &wanted))
		return false;
	*ordinal = seeker.next;
	return true;
}

/* The order of two numbers by value. */
int
json_number_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/*
 * A total order of values in which equal ones are neighbours: by type, strings
 * as keys are ordered, containers as jsonb's own order has them.
 */
int
json_compare(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch (a->type)
	{
		case jbvBool:
			return (int) a->val.boolean - (int) b->val.boolean;
		case jbvNumeric:
			return json_number_compare(a->val.numeric, b->val.numeric);
		case jbvString:
			return json_key_compare(a->val.string.val, a->val.string.len,
									b->val.string.val, b->val.string.len);
		case jbvBinary:
			return compareJsonbContainers(a->val.binary.data, b->val.binary.data);
		default:
			return 0;
	}
}

/* Are these bytes the same? */
static inline bool
same_bytes(const void *a, Size a_length, const void *b, Size b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/*
 * Are two values the same bytes?  Then they are equal; equal ones may differ
 * in their bytes if they hold numbers (1.0 and 1.00).
 */
bool
json_same(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvString:
			return same_bytes(a->val.string.val, a->val.string.len,
							  b->val.string.val, b->val.string.len);
		case jbvNumeric:
			return same_bytes(a->val.numeric, VARSIZE_ANY(a->val.numeric),
							  b->val.numeric, VARSIZE_ANY(b->val.numeric));
		case jbvBinary:
			return same_bytes(a->val.binary.data, a->val.binary.len,
							  b->val.binary.data, b->val.binary.len);
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) a->type);
	}
	return false;
}

/* Equality as jsonb's own = defines it: numbers by value (1.0 = 1.00). */
bool
json_equal(const JsonbValue *a, const JsonbValue *b)
{
	if (json_same(a, b))
		return true;
	if (a->type != b->type)
		return false;
	if (a->type == jbvNumeric)
		return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a->val.numeric),
												NumericGetDatum(b->val.numeric)));
	return a->type == jbvBinary &&
		compareJsonbContainers(a->val.binary.data, b->val.binary.data) == 0;
}

/*
 * Do two containers have the same bytes?  For walks down two documents that
 * skip what is equal: *compared is how many bytes around these were compared
 * in vain, SIZE_MAX at the root.  A child that is most of its parent is not
 * compared again, but its children are; so walking a document of n bytes
 * compares each no more than log2 n times, however deep it is nested.
 */
bool
json_same_below(const JsonbValue *a, const JsonbValue *b, Size *compared)
{
	Size		length = a->val.binary.len;

	if (length != b->val.binary.len || length > *compared / 2)
		return false;
	if (memcmp(a->val.binary.data, b->val.binary.data, length) == 0)
		return true;
	*compared = length;
	return false;
}
