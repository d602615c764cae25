/*
 * unmet.c: marks that say nothing.
 *
 * A keyword that the schema's dialect does not know is passed over, with all
 * that is in it, and so is a mark below it: "prefixItems" where nothing says
 * that the schema is 2020-12.  No error tells, for schemas may hold anything;
 * but what was meant to be masked is shown.
 *
 * A mark counts where a walk over a document (walk.c) can meet the schema
 * that it stands in.  Definitions may wait for somebody to refer to them.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "schema/arena.h"
#include "schema/graph.h"
#include "schema/vocabulary.h"

/* The search through a schema's document. */
typedef struct Search
{
	const JsonbContainer **met; /* the schemas that a walk meets, sorted */
	uint32		count;
	SchemaUnmetCollector collect;
	void	   *state;
} Search;

static void search_value(Search *search, const JsonbValue *value, const SchemaPlace *place,
						 const JsonbValue *culprit, bool is_map);

/* The order of addresses. */
static int
compare_addresses(const void *a, const void *b)
{
	const char *left = *(const char *const *) a;
	const char *right = *(const char *const *) b;

	return (left > right) - (left < right);
}

/* Is the object a schema that a walk meets? */
static bool
is_met(const Search *search, const JsonbValue *object)
{
	const JsonbContainer *container = object->val.binary.data;

	return search->count > 0 &&
		bsearch(&container, search->met, search->count, sizeof(*search->met), compare_addresses) != NULL;
}

/* Is the key one of a list of names? */
static bool
is_one_of(const JsonbValue *key, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (json_string_is(key, names[i]))
			return true;
	return false;
}

/*
 * Search what a keyword holds.  culprit is the first keyword on the way there
 * that keeps walks away, NULL if they get as far as this object.
 */
static void
search_keyword(Search *search, const JsonbValue *key, const JsonbValue *value,
			   const SchemaPlace *place, const JsonbValue *culprit)
{
	static const char *const data[] = {"enum", "const", "default", "examples", "$md", "$comment"};
	static const char *const maps[] = {"properties", "patternProperties", "dependencies", "dependentSchemas",
	"definitions", "$defs"};
	static const JsonbValue nobody = {.type = jbvNull};

	if (value->type != jbvBinary || is_one_of(key, data, lengthof(data)))
		return;
	/* definitions keep nobody away: they are there to be referred to */
	if (culprit == NULL)
		culprit = is_one_of(key, maps + 4, 2) ? &nobody : key;
	search_value(search, value, place, culprit, is_one_of(key, maps, lengthof(maps)));
}

/* Search an object: a schema, or one whose members are schemas. */
static void
search_object(Search *search, const JsonbValue *object, const SchemaPlace *place,
			  const JsonbValue *culprit, bool is_map)
{
	if (is_met(search, object))
		culprit = NULL;
	if (culprit && culprit->type == jbvString && !is_map && schema_marks_said(object->val.binary.data))
		search->collect(search->state, schema_place_text(place),
						pnstrdup(culprit->val.string.val, culprit->val.string.len));
	json_foreach(child, object)
	{
		SchemaPlace step = {place, child.key.val.string.val, child.key.val.string.len};

		if (is_map)
			search_value(search, &child.value, &step, culprit, false);
		else
			search_keyword(search, &child.key, &child.value, &step, culprit);
	}
}

/* Search any value below a keyword. */
static void
search_value(Search *search, const JsonbValue *value, const SchemaPlace *place,
			 const JsonbValue *culprit, bool is_map)
{
	char		index[12];

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		search_object(search, value, place, culprit, is_map);
	if (!json_is_array(value))
		return;
	json_foreach(item, value)
	{
		SchemaPlace step = {place, index, sprintf(index, "%u", item.index)};

		search_value(search, &item.value, &step, culprit, false);
	}
}

/*
 * Tell of each mark in a compiled schema's own document that no walk meets,
 * with the keyword that keeps them away.
 */
void
schema_find_unmet(const Schema *schema, SchemaUnmetCollector collect, void *state)
{
	Search		search = {.collect = collect,.state = state};
	SchemaPlace root = {NULL, NULL, 0};
	bool	   *met = schema_reached(schema);
	JsonbValue	document = json_view(schema->source);

	search.met = schema_allocate(sizeof(*search.met), Max(schema->node_count, 1));
	for (const SchemaNode *node = schema->nodes; node; node = node->next)
		if (met[node->number] && node->keywords)
			search.met[search.count++] = node->keywords;
	qsort(search.met, search.count, sizeof(*search.met), compare_addresses);
	search_value(&search, &document, &root, NULL, false);
	pfree(search.met);
	pfree(met);
}
