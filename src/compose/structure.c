/*
 * structure.c: whether two documents differ in kind, or in size.
 *
 * Two environments are of one shape if what is tested in the one says something of the other:
 * they have the same keys, types, switches and enumerated values, however many there are of what
 * and however large it is.  A difference is of kind or of size by the types that there are, and
 * by the mark "$md.scale" where the type does not tell: an instance class is a text like any
 * other, and a port a number.  Pure: no tables, no clock.
 */
#include "postgres.h"

#include "compose/structure.h"
#include "json/diff.h"
#include "json/path.h"
#include "json/reader.h"
#include "schema/schema.h"

const char *const difference_classes[] = {
	[DIFFERS_IN_KIND] = "structure",[DIFFERS_IN_SIZE] = "size",[DIFFERS_OTHERWISE] = "other", NULL
};

/* How far a path leads in a document. */
typedef struct Found
{
	bool		whole;			/* to its end? */
	bool		in_array;		/* if not: does it end at an index that an array has not? */
	JsonbValue	value;			/* where it ends */
	uint32		said;			/* SCHEMA_SCALE or SCHEMA_KIND, by the mark that is nearest; 0: none */
	bool		enumerated;
} Found;

/* A document with what its schema tells of its places, in the current memory context. */
Shape
shape_of(const Jsonb *document, const Jsonb *schema)
{
	return (Shape) {
		document, schema_marks(schema, document, SCHEMA_SCALE | SCHEMA_KIND | SCHEMA_ENUMERATED)
	};
}

/* Take what is told of a place, which goes before what was told of those above. */
static void
take_marks(Found *found, const JsonMark *marks)
{
	uint32		flags = json_mark_flags(marks);

	if (flags & (SCHEMA_SCALE | SCHEMA_KIND))
		found->said = flags & SCHEMA_KIND ? SCHEMA_KIND : SCHEMA_SCALE;
	found->enumerated |= (flags & SCHEMA_ENUMERATED) != 0;
}

/* Follow a path as far as it leads. */
static Found
follow(const Shape *shape, const char *path)
{
	Found		found = {.whole = true};
	const JsonMark *marks = shape->marks;
	JsonPathReader reader;
	JsonPathStep step;
	JsonbValue	child;
	uint32		index;

	json_root(shape->document, &found.value);
	take_marks(&found, marks);
	json_path_reader_init(&reader, path, strlen(path));
	while (json_path_next(&reader, &step))
	{
		if (!json_path_take(&found.value, &step, &index, &child))
		{
			found.whole = false;
			found.in_array = step.key == NULL && json_is_array(&found.value);
			return found;
		}
		found.value = child;
		marks = json_mark_child(marks, index);
		take_marks(&found, marks);
	}
	return found;
}

/* Are two values of one type, as jsonb has types? */
static bool
same_type(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	return a->type != jbvBinary || json_is_object(a) == json_is_object(b);
}

/* The class of a difference of two values that both documents have, where no mark tells it. */
static DifferenceClass
class_of_type(const Found *a, const Found *b)
{
	if (!same_type(&a->value, &b->value))
		return DIFFERS_IN_KIND;
	switch (a->value.type)
	{
		case jbvNumeric:
			return DIFFERS_IN_SIZE;
		case jbvString:
			return a->enumerated || b->enumerated ? DIFFERS_IN_KIND : DIFFERS_OTHERWISE;
		default:
			return DIFFERS_IN_KIND;
	}
}

/*
 * The class of a difference between two documents at the path of a leaf of either.  Of an array
 * that is longer the elements are more of the same; a key that is not there is another shape.
 */
DifferenceClass
shape_differs(const Shape *a, const Shape *b, const char *path)
{
	Found		one = follow(a, path);
	Found		other = follow(b, path);
	uint32		said = one.said | other.said;

	/* an empty container, in which the other has something: that is told */
	if (one.whole && other.whole && one.value.type == jbvBinary && same_type(&one.value, &other.value))
		return DIFFERS_NOT;
	if (said & SCHEMA_KIND)
		return DIFFERS_IN_KIND;
	if (said & SCHEMA_SCALE)
		return DIFFERS_IN_SIZE;
	if (one.whole && other.whole)
		return class_of_type(&one, &other);
	return one.in_array || other.in_array ? DIFFERS_IN_SIZE : DIFFERS_IN_KIND;
}

/* Documents that are compared. */
typedef struct Comparison
{
	const Shape *a;
	const Shape *b;
	List	   *paths;			/* char *, in which they differ in kind */
} Comparison;

/* Note the path of a leaf if the documents differ there in kind.  A JsonChangeCollector. */
static void
note_kind(void *state, const JsonChange *change)
{
	Comparison *comparison = state;

	if (shape_differs(comparison->a, comparison->b, change->path) == DIFFERS_IN_KIND)
		comparison->paths = lappend(comparison->paths, pstrdup(change->path));
}

/* The paths at which two documents differ in kind, char *. */
List *
shape_differences(const Shape *a, const Shape *b)
{
	Comparison	comparison = {a, b, NIL};

	json_leaf_diff(a->document, NULL, b->document, NULL, note_kind, &comparison);
	return comparison.paths;
}

/* Are two versions of different major ones?  Both are semantic versions; NULL is none. */
bool
version_differs_in_kind(const char *a, const char *b)
{
	Size		length = a ? strcspn(a, ".") : 0;

	return a == NULL || b == NULL || strcspn(b, ".") != length || strncmp(a, b, length) != 0;
}
