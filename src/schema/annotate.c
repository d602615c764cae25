/*
 * annotate.c: which locations of a document the schema marks.
 *
 * A location is marked if any subschema that applies to it says so; which
 * those are is the business of walk.c.
 */
#include "postgres.h"

#include "schema/internal.h"

/* Set the marks that a node says of the location that it applies to. */
static void
set_marks(SchemaWalk *walk, const SchemaNode *node, SchemaLocation *location)
{
	if (node->marks & walk->wanted)
		json_mark_set(&location->mark, node->marks & walk->wanted);
}

/*
 * Can two documents with values at the same places have these marks at
 * different ones?  If not, a place is marked or not whatever is in it.
 */
bool
schema_marks_vary(const Schema *schema, uint32 wanted)
{
	return (schema->varying & wanted) != 0;
}

/*
 * The marks that a schema puts on a document, of those that are wanted
 * (SCHEMA_NONCOPYABLE and so on): a tree in the current memory context, NULL
 * where there are none.  The document need not be valid.
 */
JsonMark *
schema_marks(const Jsonb *schema, const Jsonb *document, uint32 wanted)
{
	const Schema *compiled = schema_compile(schema);
	SchemaWalk	walk = {.reach = compiled->reach, .wanted = (uint8) wanted, .visit = set_marks};
	JsonbValue	view;
	SchemaLocation root;

	json_root(document, &view);
	root = schema_root_location(&view);
	schema_walk(&walk, compiled, &root);
	return root.mark.node;
}
