/*
 * resource.h: the resources of a schema that is being compiled, and their names.
 */
#ifndef PROMOTE_SCHEMA_RESOURCE_H
#define PROMOTE_SCHEMA_RESOURCE_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "schema/node.h"

/* What one compilation knows; current memory context is the schema's. */
typedef struct SchemaCompiler
{
	Schema	   *schema;
	HTAB	   *places;			/* container's address -> SchemaEntry */
	HTAB	   *names;			/* URIs and anchors: see resource.c */
	struct SchemaName *dynamic_names;	/* that have a "$dynamicAnchor" */
	SchemaResource *resource;	/* that is being compiled */
	SchemaDialect unsaid;		/* of documents that say nothing */
	Size		uri_space;		/* what the resources' URIs take */
} SchemaCompiler;

/* What is known of an object that is a schema. */
typedef struct SchemaEntry
{
	const JsonbContainer *container;	/* key: objects have an address of their own */
	SchemaResource *resource;
	SchemaNode *node;			/* NULL before it is compiled */
} SchemaEntry;

/* What a URI or an anchor stands for. */
typedef struct SchemaName
{
	const SchemaResource *owner;	/* key: NULL for a URI */
	SchemaText	text;			/* key */
	SchemaResource *resource;	/* of a URI */
	JsonbValue	target;			/* of an anchor */
	const SchemaPlace *place;
	bool		is_dynamic;
	bool		is_ambiguous;	/* stands for several */
	bool		is_bound;		/* dynamic, and a reference looks for it */
	struct SchemaName *next_dynamic;
	SchemaDynamic *dynamic;		/* of a name that is looked for */
} SchemaName;

extern void schema_resources_init(SchemaCompiler *compiler, MemoryContext scratch);
extern SchemaResource *schema_add_document(SchemaCompiler *compiler, const Jsonb *document, const SchemaText *uri);
extern SchemaEntry *schema_find_entry(SchemaCompiler *compiler, const JsonbValue *object);
extern SchemaEntry *schema_index(SchemaCompiler *compiler, const JsonbValue *object, const SchemaPlace *place,
								 SchemaResource *resource);
extern SchemaName *schema_find_name(SchemaCompiler *compiler, const SchemaResource *owner, const SchemaText *text);
extern SchemaDynamic *schema_find_dynamic(SchemaCompiler *compiler, const SchemaText *text);
extern SchemaDynamic *schema_want_dynamic(SchemaCompiler *compiler, const SchemaText *text);
extern SchemaText schema_resolve_uri(const SchemaResource *resource, const SchemaText *reference,
									 const SchemaPlace *place, SchemaText *fragment);

#endif							/* PROMOTE_SCHEMA_RESOURCE_H */
