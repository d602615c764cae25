/*
 * resource.c: which schema resources there are, and what their names are.
 *
 * Before a document is compiled it is indexed: each object that a keyword
 * says is a schema is entered, with the resource that it belongs to.  An
 * "$id" starts a resource; anchors are names within one.  What no keyword
 * leads to, such as a constant, is no schema and names nothing, unless a
 * reference leads there.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "schema/arena.h"
#include "schema/resource.h"
#include "schema/vocabulary.h"

/* What the URIs of one schema's resources may take together. */
#define URI_SPACE_MAX	((Size) 64 * 1024 * 1024)

/* The owner of the names that dynamic references look for. */
static const SchemaResource dynamic_owner;

/* Names are hashed by owner and text, */
static uint32
hash_name(const void *key, Size size)
{
	const SchemaName *name = key;

	return hash_combine(hash_bytes((const unsigned char *) name->text.text, name->text.length),
						hash_bytes((const unsigned char *) &name->owner, sizeof(name->owner)));
}

/* and compared by them. */
static int
match_name(const void *a, const void *b, Size size)
{
	const SchemaName *x = a;
	const SchemaName *y = b;

	return x->owner != y->owner || x->text.length != y->text.length ||
		memcmp(x->text.text, y->text.text, x->text.length) != 0;
}

/* Make a compiler's tables, in a context that is dropped when it has done. */
void
schema_resources_init(SchemaCompiler *compiler, MemoryContext scratch)
{
	HASHCTL		control = {.hcxt = scratch, .hash = hash_name, .match = match_name,
	.keysize = offsetof(SchemaName, resource), .entrysize = sizeof(SchemaName)};

	compiler->places = schema_table("promote schema locations", sizeof(const JsonbContainer *),
									sizeof(SchemaEntry), scratch);
	compiler->names = hash_create("promote schema names", 16, &control,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* The entry of a name, NULL if it is not known; owner is NULL for a URI. */
SchemaName *
schema_find_name(SchemaCompiler *compiler, const SchemaResource *owner, const SchemaText *text)
{
	SchemaName	key = {.owner = owner, .text = *text};

	return hash_search(compiler->names, &key, HASH_FIND, NULL);
}

/* The entry of a name, made if it is new; the text must last. */
static SchemaName *
enter_name(SchemaCompiler *compiler, const SchemaResource *owner, const SchemaText *text, bool *found)
{
	SchemaName	key = {.owner = owner, .text = *text};
	SchemaName *name = hash_search(compiler->names, &key, HASH_ENTER, found);

	if (!*found)
		memset((char *) name + offsetof(SchemaName, resource), 0,
			   sizeof(SchemaName) - offsetof(SchemaName, resource));
	return name;
}

/* The name that dynamic references look for by that text; NULL if none does. */
SchemaDynamic *
schema_find_dynamic(SchemaCompiler *compiler, const SchemaText *text)
{
	const SchemaName *name = schema_find_name(compiler, &dynamic_owner, text);

	return name ? name->dynamic : NULL;
}

/* The name that one more dynamic reference looks for, made if it is new. */
SchemaDynamic *
schema_want_dynamic(SchemaCompiler *compiler, const SchemaText *text)
{
	Schema	   *schema = compiler->schema;
	bool		found;
	SchemaName *name = enter_name(compiler, &dynamic_owner, text, &found);

	if (found)
		return name->dynamic;
	name->dynamic = palloc0(sizeof(SchemaDynamic));
	name->dynamic->number = schema->dynamic_count++;
	name->dynamic->next = schema->dynamics;
	schema->dynamics = name->dynamic;
	return name->dynamic;
}

/* Enter a resource under a URI; one that two have can be referred to no more. */
static void
name_resource(SchemaCompiler *compiler, SchemaResource *resource, const SchemaText *uri)
{
	SchemaName *name;
	bool		found;

	if (uri->length == 0)
		return;
	name = enter_name(compiler, NULL, uri, &found);
	if (!found)
		name->resource = resource;
	else if (name->resource != resource)
		name->is_ambiguous = true;
}

/* A place whose steps are on the stack, kept. */
static const SchemaPlace *
keep_way(const SchemaPlace *place)
{
	const SchemaPlace *parent;

	check_stack_depth();
	if (place == NULL || place->parent == NULL)
		return place;
	parent = keep_way(place->parent);
	return schema_place_step(parent, pnstrdup(place->token, place->length), place->length);
}

/* Enter an anchor of a resource. */
static void
name_anchor(SchemaCompiler *compiler, SchemaResource *resource, const SchemaText *text,
			const JsonbValue *target, const SchemaPlace *place, bool is_dynamic)
{
	bool		found;
	SchemaName *name = enter_name(compiler, resource, text, &found);

	if (found && name->target.val.binary.data != target->val.binary.data)
	{
		name->is_ambiguous = true;
		return;
	}
	name->target = *target;
	name->place = keep_way(place);
	if (is_dynamic && !name->is_dynamic)
	{
		name->is_dynamic = true;
		name->next_dynamic = compiler->dynamic_names;
		compiler->dynamic_names = name;
	}
}

/* The string under a key, if there is one. */
static bool
find_text(const JsonbValue *object, const char *key, SchemaText *text)
{
	JsonbValue	value;

	if (!json_find(object, key, &value) || value.type != jbvString)
		return false;
	text->text = value.val.string.val;
	text->length = value.val.string.len;
	return true;
}

/* The dialect of an object that starts a resource: as it says, or the inherited one. */
static SchemaDialect
dialect_of(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place, SchemaDialect inherited)
{
	SchemaPlace step = {place, "$schema", strlen("$schema")};
	JsonbValue	said;

	return json_find(object, "$schema", &said) ?
		schema_dialect(compiler->schema, &said, &step) : inherited;
}

/* A new resource. */
static SchemaResource *
make_resource(SchemaCompiler *compiler, const JsonbValue *root, const SchemaPlace *place,
			  SchemaDialect dialect, SchemaText uri)
{
	SchemaResource *resource = palloc0(sizeof(SchemaResource));

	compiler->uri_space += uri.length;
	if (compiler->uri_space > URI_SPACE_MAX)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("JSON Schema is too large"),
				 errdetail("The URIs of its parts take more than %zu MB.", URI_SPACE_MAX >> 20),
				 errhint("Give fewer parts an \"$id\", or shorter ones.")));
	resource->root = *root;
	resource->place = place;
	resource->dialect = dialect;
	resource->uri = uri;
	name_resource(compiler, resource, &uri);
	return resource;
}

/*
 * The URI that a reference at a place of a resource means, and its fragment;
 * see schema_uri_resolve.
 */
SchemaText
schema_resolve_uri(const SchemaResource *resource, const SchemaText *reference,
				   const SchemaPlace *place, SchemaText *fragment)
{
	if (resource->uri.length + reference->length > SCHEMA_URI_LENGTH_MAX)
		SCHEMA_REFUSE(place, "Use shorter URIs.", "makes a URI of more than %d bytes.",
					  SCHEMA_URI_LENGTH_MAX);
	return schema_uri_resolve(&resource->uri, *reference, fragment);
}

/* An object's "$id", if it has one that means something; draft-07 ignores one beside a $ref. */
static bool
find_id(const JsonbValue *object, SchemaDialect dialect, SchemaText *id)
{
	JsonbValue	reference;

	return find_text(object, "$id", id) &&
		!((dialect.keywords & SCHEMA_DRAFT_07) && json_find(object, "$ref", &reference));
}

/*
 * The resource that an object's "$id" starts, or the one that it is in.
 * Draft-07 has anchors in it.
 */
static SchemaResource *
enter_resource(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place,
			   SchemaResource *resource)
{
	SchemaDialect dialect;
	SchemaText	id;
	SchemaText	uri;
	SchemaText	fragment = {NULL, 0};
	SchemaPlace step = {place, "$id", strlen("$id")};

	if (!find_text(object, "$id", &id) || id.length == 0)
		return resource;
	dialect = id.text[0] == '#' ? resource->dialect : dialect_of(compiler, object, place, resource->dialect);
	if (!find_id(object, dialect, &id))
		return resource;
	/* that of a document's root was looked at before */
	if (resource->root.val.binary.data == object->val.binary.data)
		schema_uri_resolve(NULL, id, &fragment);
	else
	{
		uri = schema_resolve_uri(resource, &id, &step, &fragment);
		if (id.text[0] != '#')
			resource = make_resource(compiler, object, keep_way(place), dialect, uri);
	}
	if ((dialect.keywords & SCHEMA_DRAFT_07) && fragment.length > 0 && fragment.text[0] != '/')
		name_anchor(compiler, resource, &fragment, object, place, false);
	return resource;
}

/* Enter the anchors that the keywords of 2020-12 give an object. */
static void
enter_anchors(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place,
			  SchemaResource *resource)
{
	SchemaText	name;

	if ((resource->dialect.keywords & SCHEMA_CORE) == 0)
		return;
	if (find_text(object, "$anchor", &name))
		name_anchor(compiler, resource, &name, object, place, false);
	if (find_text(object, "$dynamicAnchor", &name))
		name_anchor(compiler, resource, &name, object, place, true);
}

/* An object whose subschemas are indexed. */
typedef struct Indexing
{
	SchemaCompiler *compiler;
	SchemaResource *resource;
} Indexing;

/* Index a subschema; a SchemaChildVisitor. */
static void
index_child(void *state, const JsonbValue *value, const SchemaPlace *place)
{
	const Indexing *parent = state;

	if (json_is_object(value))
		schema_index(parent->compiler, value, place, parent->resource);
}

/* The entry of an object that is a schema, NULL if it is not known as one. */
SchemaEntry *
schema_find_entry(SchemaCompiler *compiler, const JsonbValue *object)
{
	return hash_search(compiler->places, &object->val.binary.data, HASH_FIND, NULL);
}

/*
 * Enter an object that is a schema in a resource, and all schemas in it.
 * The steps of place need not last.
 */
SchemaEntry *
schema_index(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place, SchemaResource *resource)
{
	SchemaEntry *entry;
	Indexing	indexing;
	bool		found;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	entry = hash_search(compiler->places, &object->val.binary.data, HASH_ENTER, &found);
	if (found)
		return entry;
	entry->node = NULL;
	entry->resource = resource = enter_resource(compiler, object, place, resource);
	enter_anchors(compiler, object, place, resource);
	indexing = (Indexing) {compiler, resource};
	schema_visit_children(object, place, resource->dialect.keywords, index_child, &indexing);
	return entry;
}

/*
 * Index a document, which must last; uri is where it was got from, empty for
 * the schema itself.  The resource that is its root.
 */
SchemaResource *
schema_add_document(SchemaCompiler *compiler, const Jsonb *document, const SchemaText *uri)
{
	const SchemaPlace *place = schema_place_step(NULL, uri->length > 0 ? uri->text : NULL,
												 uri->length);
	SchemaDialect dialect;
	SchemaPlace step = {place, "$id", strlen("$id")};
	SchemaResource *resource;
	SchemaText	id;
	JsonbValue	root = json_view(document);

	if (!json_is_object(&root))
		return make_resource(compiler, &root, place, compiler->unsaid, *uri);
	dialect = dialect_of(compiler, &root, place, compiler->unsaid);
	resource = make_resource(compiler, &root, place, dialect, *uri);
	if (find_id(&root, dialect, &id))
	{
		resource->uri = schema_resolve_uri(resource, &id, &step, NULL);
		name_resource(compiler, resource, &resource->uri);
	}
	schema_index(compiler, &root, place, resource);
	return resource;
}
