/*
 * compile.c: from a schema's document to its graph of nodes.
 *
 * Indexes the document, compiles it from its root on (keywords.c), then all
 * that dynamic references could lead to, and finds out what holds of the graph
 * as a whole (graph.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "schema/internal.h"

/* Note what a dynamic name means in the resource of one of its anchors. */
static void
bind_name(SchemaCompiler *compiler, SchemaName *name, SchemaDynamic *dynamic)
{
	SchemaResource *owner = (SchemaResource *) name->owner;
	SchemaTarget target = {owner, name->target, name->place, name};
	SchemaBinding *binding = palloc0(sizeof(SchemaBinding));

	name->is_bound = true;
	binding->dynamic = dynamic;
	binding->node = schema_compile_target(compiler, &target, "$dynamicRef");
	binding->next = owner->bindings;
	owner->bindings = binding;
	binding->next_target = dynamic->targets;
	dynamic->targets = binding;
}

/*
 * Compile all that the schema's dynamic references could lead to.  That may
 * bring more of them, so it goes on until there is nothing new.
 */
static void
bind_dynamics(SchemaCompiler *compiler)
{
	bool		changed = true;

	while (changed)
	{
		changed = false;
		for (SchemaName *name = compiler->dynamic_names; name; name = name->next_dynamic)
		{
			SchemaDynamic *wanted = name->is_bound ? NULL : schema_find_dynamic(compiler, &name->text);

			CHECK_FOR_INTERRUPTS();
			if (wanted == NULL)
				continue;
			bind_name(compiler, name, wanted);
			changed = true;
		}
	}
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
	bind_dynamics(&compiler);
	MemoryContextDelete(scratch);
	schema_refuse_circles(compiler.schema);
	schema_spread_marks(compiler.schema);
	note_varying_marks(compiler.schema);
	note_care(compiler.schema);
	return compiler.schema;
}
