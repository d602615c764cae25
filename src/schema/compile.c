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

/* An entry of the table of compiled locations. */
typedef struct CompiledEntry
{
	const JsonbContainer *container;	/* key: objects have an address of their own */
	SchemaNode *node;
} CompiledEntry;

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
	node->applied_by = applied_by;
	node->next = compiler->schema->nodes;
	compiler->schema->nodes = node;
	return node;
}

/*
 * Make value the compiler's base, if it is an object that starts a document
 * of its own, to which the references in it are relative.  Draft-07 ignores
 * $id beside $ref, and "#name" is an anchor.
 */
void
schema_enter(SchemaCompiler *compiler, const JsonbValue *value, const SchemaPlace *place)
{
	JsonbValue	id;

	if (json_is_object(value) && json_find(value, "$id", &id) &&
		id.type == jbvString && id.val.string.len > 0 &&
		id.val.string.val[0] != '#' && !json_find(value, "$ref", &id))
	{
		compiler->base = *value;
		compiler->base_place = place;
	}
}

/* Compile an object that was not met before. */
static SchemaNode *
compile_object(SchemaCompiler *compiler, const JsonbValue *object,
			   const SchemaPlace *place, const char *applied_by)
{
	JsonbValue	base = compiler->base;
	const SchemaPlace *base_place = compiler->base_place;
	CompiledEntry *entry;
	SchemaNode *node;
	bool		found;

	entry = hash_search(compiler->compiled, &object->val.binary.data, HASH_ENTER, &found);
	if (found)
		return entry->node;
	node = entry->node = make_node(compiler, place, applied_by);
	schema_enter(compiler, object, place);
	schema_compile_keywords(compiler, node, object);
	compiler->base = base;
	compiler->base_place = base_place;
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

/* The table of compiled locations; dropped with its memory context. */
static HTAB *
make_table(MemoryContext context)
{
	HASHCTL		control;

	control.keysize = sizeof(const JsonbContainer *);
	control.entrysize = sizeof(CompiledEntry);
	control.hcxt = context;
	return hash_create("promote schema locations", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Note which marks depend on more than names and positions: those that are
 * reached through a branch, a dependency or what an array contains.
 */
static void
note_varying_marks(Schema *schema)
{
	for (SchemaNode *node = schema->nodes; node; node = node->next)
	{
		const SchemaLogicRules *logic = node->logic;

		if ((logic && (logic->any.count > 0 || logic->one.count > 0 || logic->condition)) ||
			(node->array && node->array->contains) ||
			(node->object && node->object->has_dependencies))
			schema->varying |= node->reach;
	}
}

/*
 * Compile a document into the current memory context, which keeps source.
 * Raises PM_INVALID_SCHEMA, and leaves it to the caller to drop the context.
 */
Schema *
schema_build(Jsonb *source)
{
	SchemaCompiler compiler;
	MemoryContext scratch;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "promote schema compiler",
									ALLOCSET_DEFAULT_SIZES);
	compiler.schema = palloc0(sizeof(Schema));
	compiler.schema->source = source;
	compiler.compiled = make_table(scratch);
	json_root(source, &compiler.base);
	compiler.base_place = schema_place_step(NULL, NULL, 0);
	compiler.schema->root = schema_compile_node(&compiler, &compiler.base,
												compiler.base_place, "false");
	MemoryContextDelete(scratch);
	schema_refuse_circles(compiler.schema);
	schema_spread_marks(compiler.schema);
	note_varying_marks(compiler.schema);
	return compiler.schema;
}
