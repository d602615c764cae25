/*
 * compile.c: from a schema's document to its graph of nodes.
 *
 * Each location is compiled once, whether it is met on the way down or as
 * the target of a $ref; so what is recursive in the schema is a circle in
 * the graph.  What is said by the keywords is in keywords.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "schema/internal.h"
#include "utils/memutils.h"

/* A zeroed array in the current memory context; raises on overflow. */
void *
schema_allocate(Size size, Size count)
{
	if (count > MaxAllocHugeSize / size)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("JSON Schema is too large"),
				 errdetail("A keyword has %zu entries.", count),
				 errhint("Split the schema.")));
	return MemoryContextAllocExtended(CurrentMemoryContext, size * count,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* A new node, entered in the schema's list. */
static SchemaNode *
make_node(SchemaCompiler *compiler, const SchemaPlace *place, const char *applied_by)
{
	SchemaNode *node = palloc0(sizeof(SchemaNode));

	node->place = place;
	node->resource = compiler->resource;
	node->applied_by = applied_by;
	node->number = compiler->schema->node_count++;
	node->next = compiler->schema->nodes;
	compiler->schema->nodes = node;
	return node;
}

/* Compile an object that was not met before. */
static SchemaNode *
compile_object(SchemaCompiler *compiler, const JsonbValue *object,
			   const SchemaPlace *place, const char *applied_by)
{
	SchemaResource *resource = compiler->resource;
	SchemaEntry *entry = schema_index(compiler, object, place, resource);
	SchemaNode *node = entry->node;

	if (node)
		return node;
	compiler->resource = entry->resource;
	node = entry->node = make_node(compiler, place, applied_by);
	node->keywords = object->val.binary.data;
	schema_compile_keywords(compiler, node, object);
	compiler->resource = resource;
	return node;
}

/*
 * The node of the schema that value holds; raises if it holds none.  The
 * node may still be under way if it is met again from below.
 */
SchemaNode *
schema_compile_node(SchemaCompiler *compiler, const JsonbValue *value,
					const SchemaPlace *place, const char *applied_by)
{
	SchemaNode *node;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		return compile_object(compiler, value, place, applied_by);
	if (value->type != jbvBool)
		SCHEMA_REFUSE(place, "A schema is an object of keywords, true or false.",
					  "must be a schema: an object or a boolean.");
	node = make_node(compiler, place, applied_by);
	node->never = !value->val.boolean;
	return node;
}

/*
 * Note which marks depend on more than names and positions: those that are
 * reached through a branch, a dependency, what an array contains or what
 * nothing else evaluated.
 */
static void
note_varying_marks(Schema *schema)
{
	for (SchemaNode *node = schema->nodes; node; node = node->next)
	{
		const SchemaLogicRules *logic = node->logic;

		if ((logic && (logic->any.count > 0 || logic->one.count > 0 || logic->condition)) ||
			(node->array && node->array->contains) || node->unevaluated ||
			(node->object && node->object->has_dependencies))
			schema->varying |= schema->reach[node->number];
	}
}

/* Note which nodes are not just to be evaluated as they are. */
static void
note_care(Schema *schema)
{
	for (SchemaNode *node = schema->nodes; node; node = node->next)
	{
		node->careful = node->shared || node->unevaluated || node->resource->bindings != NULL;
		node->refers = !node->only_ref && (node->ref || node->dynamic_ref);
	}
}

/*
 * What a schema is that does not say: draft-07; and what it refers to then is
 * of its own dialect.  A document by itself may come to be of any.
 */
static SchemaDialect
unsaid_dialect(const SchemaText *uri)
{
	return (SchemaDialect) {uri->length > 0 ? SCHEMA_ALL : SCHEMA_DRAFT_07, false};
}

/*
 * Compile a document into the current memory context, which keeps source; uri
 * is what it is registered as, empty if it is not.  If is_open, references to
 * other documents are left open, and the schema can only be said to be
 * well-formed.  Raises PM_INVALID_SCHEMA, and leaves it to the
 * caller to drop the context.
 */
Schema *
schema_build(const Jsonb *source, const SchemaText *uri, bool is_open)
{
	SchemaCompiler compiler = {.is_open = is_open, .unsaid = unsaid_dialect(uri)};
	MemoryContext scratch;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "promote schema compiler",
									ALLOCSET_DEFAULT_SIZES);
	compiler.schema = palloc0(sizeof(Schema));
	compiler.schema->source = source;
	schema_resources_init(&compiler, scratch);
	compiler.resource = schema_add_document(&compiler, source, uri);
	compiler.unsaid = compiler.resource->dialect;
	compiler.schema->root = schema_compile_node(&compiler, &compiler.resource->root,
												compiler.resource->place, "false");
	schema_bind_dynamics(&compiler);
	MemoryContextDelete(scratch);
	schema_refuse_circles(compiler.schema);
	schema_spread_marks(compiler.schema);
	note_varying_marks(compiler.schema);
	note_care(compiler.schema);
	return compiler.schema;
}
