/*
 * element.c: elements of arrays, told apart by the key that a schema gives the array.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compose/element.h"
#include "json/reader.h"
#include "json/splice.h"

/*
 * The key that an array has by what the schema says of it in any of the
 * documents, of which each has it as arrays says (NULL: not at all); NULL: it
 * has none.  other is a second one, NULL if there is none.
 */
const char *
element_key(ElementKeys *keys, const JsonbValue *const *arrays, const char **other)
{
	const char *key = NULL;

	*other = NULL;
	for (int i = 0; i < ELEMENT_DOCUMENTS && keys->documents[i]; i++)
	{
		const SchemaKey *said = NULL;

		if (keys->keys[i] == NULL)
			keys->keys[i] = schema_keys(keys->schema, keys->documents[i]);
		while (arrays[i] && (said = schema_next_key(keys->keys[i], arrays[i]->val.binary.data, said)) != NULL)
		{
			if (key && strcmp(key, said->name) != 0)
				*other = said->name;
			else
				key = said->name;
		}
	}
	return key;
}

/* The name of an element, the value of its key, which is a string, a number or a boolean; false if it has none. */
bool
element_name(const JsonbValue *element, const char *key, JsonbValue *name)
{
	return json_is_object(element) && json_find(element, key, name) &&
		name->type != jbvNull && name->type != jbvBinary;
}

/* The order of named elements: by name, then by document, then as they stand there; for qsort. */
int
element_compare(const void *a, const void *b)
{
	const NamedElement *left = a;
	const NamedElement *right = b;
	int			order = json_compare(&left->name, &right->name);

	CHECK_FOR_INTERRUPTS();
	if (order == 0)
		order = left->document - right->document;
	return order != 0 ? order : (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

/* Add the elements of an array to others; false where one has no name. */
static bool
add_elements(NamedElement *elements, Size *count, const JsonbValue *array, const char *key, int document)
{
	json_foreach(item, array)
	{
		NamedElement *next = &elements[*count];

		CHECK_FOR_INTERRUPTS();
		next->document = document;
		next->ordinal = item.index;
		if (!element_name(&item.value, key, &next->name))
			return false;
		(*count)++;
	}
	return true;
}

/* For each element of the first array the ordinal of the second's of the same name; false where one is there twice. */
static bool
match_named(const NamedElement *elements, Size count, uint32 *matches)
{
	for (Size i = 1; i < count; i++)
	{
		if (json_compare(&elements[i - 1].name, &elements[i].name) != 0)
			continue;
		if (elements[i - 1].document == elements[i].document)
			return false;
		matches[elements[i - 1].ordinal] = elements[i].ordinal;
	}
	return true;
}

/*
 * A JsonElementMatcher, with the keys of two documents: elements are the same
 * if they have the same key, and by their position where these do not tell all
 * of them apart.
 */
uint32 *
element_match(void *keys, const JsonbValue *source, const JsonbValue *own)
{
	const JsonbValue *arrays[ELEMENT_DOCUMENTS] = {source, own};
	const char *other;
	const char *key = element_key(keys, arrays, &other);
	Size		total = (Size) json_count(source) + json_count(own);
	Size		count = 0;
	NamedElement *elements;
	uint32	   *matches;
	bool		matched;

	if (key == NULL || other)
		return NULL;
	elements = palloc_extended(Max(total, 1) * sizeof(NamedElement), MCXT_ALLOC_HUGE);
	matches = palloc_extended(Max(total, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	memset(matches, 0xff, total * sizeof(uint32));	/* JSON_SPLICE_NONE */
	matched = add_elements(elements, &count, source, key, 0) && add_elements(elements, &count, own, key, 1);
	if (matched && count > 1)
		qsort(elements, count, sizeof(NamedElement), element_compare);
	matched = matched && match_named(elements, count, matches);
	pfree(elements);
	if (matched)
		return matches;
	pfree(matches);
	return NULL;
}
