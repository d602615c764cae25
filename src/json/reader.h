/*
 * reader.h: walking jsonb in place.
 *
 * A view is a JsonbValue that points into the document: strings and numbers
 * point at their bytes, arrays and objects are jbvBinary.  Nothing here
 * allocates, and a view lives as long as its document.
 *
 * The on-disk format is described in PostgreSQL's src/include/utils/jsonb.h;
 * that every object's keys are sorted (by length, then bytes) and unique is
 * what lets two objects be walked side by side.
 */
#ifndef PROMOTE_JSON_READER_H
#define PROMOTE_JSON_READER_H

#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/jsonb.h"

#include "base/compat.h"

/* Where a walk over the children of one container stands. */
typedef struct JsonCursor
{
	const JsonbContainer *container;
	const char *base;			/* the first child's data */
	uint32		count;			/* elements, or key/value pairs */
	uint32		next;			/* ordinal of the child to come */
	uint32		key_offset;		/* of the key to come, from base */
	uint32		value_offset;	/* of the value to come, from base */
} JsonCursor;

/* A child of an array or object, on a walk over all of them: see json_foreach. */
typedef struct JsonChild
{
	JsonbValue	key;			/* an object's; of an array there is none */
	JsonbValue	value;
	uint32		index;			/* its ordinal */
	JsonCursor	cursor;
} JsonChild;

/*
 * A walk over two containers of one kind side by side, one child of either or
 * both at a time: objects' by key, in key order, arrays' by position.
 */
typedef struct JsonJoin
{
	/* the current child; a value of NULL: that container lacks it */
	const JsonbValue *key;		/* NULL in arrays */
	const JsonbValue *left;
	const JsonbValue *right;
	uint32		left_index;		/* ordinals, where there is a value */
	uint32		right_index;

	/* where the walk is */
	JsonChild	children[2];
	bool		more[2];
	bool		keyed;
} JsonJoin;

/* A search for keys of one object that are asked for in their order. */
typedef struct JsonSeeker
{
	const JsonbContainer *object;	/* NULL: one without keys */
	uint32		count;
	uint32		next;			/* ordinal of the first key not before the last asked for */
	uint32		offset;			/* of that key's text; kept where keys are walked */
	bool		walks;			/* key by key, or by halving? */
} JsonSeeker;

extern void json_root(const Jsonb *document, JsonbValue *view);
extern void json_view_child(const JsonbContainer *container, uint32 ordinal, JsonbValue *view);
extern void json_view_key(const JsonbContainer *object, uint32 ordinal, JsonbValue *view);
extern void json_cursor_init(JsonCursor *cursor, const JsonbContainer *container);
extern bool json_next_pair(JsonCursor *cursor, JsonbValue *key, JsonbValue *value);
extern bool json_next_element(JsonCursor *cursor, JsonbValue *element);
extern void json_join_init(JsonJoin *join, const JsonbValue *left, const JsonbValue *right);
extern bool json_join_next(JsonJoin *join);
extern void json_seeker_init(JsonSeeker *seeker, const JsonbContainer *object, uint32 questions);
extern bool json_seek(JsonSeeker *seeker, const JsonbValue *key);
extern bool json_find_ordinal(const JsonbValue *object, const char *key, int length, uint32 *ordinal);
extern int	json_number_compare(Numeric a, Numeric b);
extern int	json_compare(const JsonbValue *a, const JsonbValue *b);
extern bool json_same(const JsonbValue *a, const JsonbValue *b);
extern bool json_equal(const JsonbValue *a, const JsonbValue *b);
extern bool json_same_below(const JsonbValue *a, const JsonbValue *b, Size *compared);

/* Is the view an object? */
static inline bool
json_is_object(const JsonbValue *view)
{
	return view->type == jbvBinary && JsonContainerIsObject(view->val.binary.data);
}

/* Is the view an array?  (A root scalar is unwrapped by json_root.) */
static inline bool
json_is_array(const JsonbValue *view)
{
	return view->type == jbvBinary && JsonContainerIsArray(view->val.binary.data);
}

/* Number of elements of an array or of keys of an object. */
static inline uint32
json_count(const JsonbValue *container)
{
	return JsonContainerSize(container->val.binary.data);
}

/* An array or object without children, which counts as a leaf. */
static inline bool
json_is_leaf(const JsonbValue *view)
{
	return view->type != jbvBinary || json_count(view) == 0;
}

/* How many bytes a string, number or container takes, without padding; 0 for others. */
static inline Size
json_size(const JsonbValue *view)
{
	if (view->type == jbvString)
		return view->val.string.len;
	if (view->type == jbvNumeric)
		return VARSIZE_ANY(view->val.numeric);
	return view->type == jbvBinary ? view->val.binary.len : 0;
}

/* A string's view of a text, which need not be NUL-terminated. */
static inline JsonbValue
json_string(const char *text, int length)
{
	JsonbValue	string;

	string.type = jbvString;
	string.val.string.val = unconstify(char *, text);
	string.val.string.len = length;
	return string;
}

/* Are two documents the same bytes, and so the same? */
static inline bool
json_is_copy(const Jsonb *a, const Jsonb *b)
{
	return a == b || (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0);
}

/* The view of a whole document. */
static inline JsonbValue
json_view(const Jsonb *document)
{
	JsonbValue	view;

	json_root(document, &view);
	return view;
}

/* Stand before the first child of a container; returns child. */
static inline JsonChild *
json_begin(JsonChild *child, const JsonbContainer *container)
{
	json_cursor_init(&child->cursor, container);
	return child;
}

/* Move to the next child; false when there are no more. */
static inline bool
json_next(JsonChild *child)
{
	child->index = child->cursor.next;
	return JsonContainerIsObject(child->cursor.container) ?
		json_next_pair(&child->cursor, &child->key, &child->value) :
		json_next_element(&child->cursor, &child->value);
}

/* For each child of a container; nothing of child is copied or cleared. */
#define json_foreach_in(child, container) \
	for (JsonChild child, *child##_next = json_begin(&child, (container)); json_next(child##_next);)

/* For each child of an array or object. */
#define json_foreach(child, view) json_foreach_in(child, (view)->val.binary.data)

/* The order of two words of eight bytes, as memcmp has it; 0 if they are equal. */
static inline int
json_word_compare(const char *a, const char *b)
{
	uint64		left,
				right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	if (left == right)
		return 0;
	return pg_ntoh64(left) < pg_ntoh64(right) ? -1 : 1;
}

/*
 * The order of keys in an object: shorter first, then by bytes.  Keys are
 * compared more often than anything else, and mostly short: the last word
 * overlaps with the one before, which is known to be equal.
 */
static inline int
json_key_compare(const char *a, int a_length, const char *b, int b_length)
{
	int			order;

	if (a_length != b_length)
		return a_length > b_length ? 1 : -1;
	if (a_length < 8)
		return memcmp(a, b, a_length);
	for (int i = 0; i + 8 < a_length; i += 8)
		if ((order = json_word_compare(a + i, b + i)) != 0)
			return order;
	return json_word_compare(a + a_length - 8, b + a_length - 8);
}

/* The value under a key given as a C string; false if there is none. */
static inline bool
json_find(const JsonbValue *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, key,
										strlen(key), value) != NULL;
}

/* The value under a key of a document that is an object; false if there is none. */
static inline bool
json_find_in(const Jsonb *document, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &document->root), key, strlen(key), value) != NULL;
}

/* The value under a key that is a view; false if there is none. */
static inline bool
json_find_key(const JsonbValue *object, const JsonbValue *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, key->val.string.val,
										key->val.string.len, value) != NULL;
}

/* Is there such a key, and true? */
static inline bool
json_flag(const JsonbValue *object, const char *key)
{
	JsonbValue	flag;

	return json_find(object, key, &flag) && flag.type == jbvBool && flag.val.boolean;
}

/* Does a string view hold exactly this text? */
static inline bool
json_string_is(const JsonbValue *string, const char *text)
{
	return string->type == jbvString &&
		string->val.string.len == (int) strlen(text) &&
		memcmp(string->val.string.val, text, string->val.string.len) == 0;
}

#endif							/* PROMOTE_JSON_READER_H */
