/*
 * node.h: a compiled schema.
 *
 * It is a graph of nodes, one for each location that holds a subschema, of
 * the schema and of the documents that it refers to.  Nodes point into the
 * schema's own copies of these (names, numbers, constants) and at each other;
 * a $ref may lead back to a node that contains it.  Everything lives in one
 * memory context.
 */
#ifndef PROMOTE_SCHEMA_NODE_H
#define PROMOTE_SCHEMA_NODE_H

#include "postgres.h"

#include "json/reader.h"
#include "schema/place.h"
#include "schema/schema.h"
#include "schema/uri.h"

/*
 * Which keywords mean something, as flags: those of draft-07, or those of the
 * vocabularies of 2020-12.
 */
#define SCHEMA_DRAFT_07			0x01
#define SCHEMA_CORE				0x02
#define SCHEMA_APPLICATOR		0x04
#define SCHEMA_UNEVALUATED		0x08
#define SCHEMA_VALIDATION		0x10
#define SCHEMA_META_DATA		0x20
#define SCHEMA_FORMAT			0x40
#define SCHEMA_CONTENT			0x80
#define SCHEMA_ALL_2020_12		0xfe
#define SCHEMA_ALL				0xff

/* What "$schema" decides. */
typedef struct SchemaDialect
{
	uint8		keywords;		/* the flags above; none if unknown as yet */
	bool		asserts_formats;	/* by a vocabulary of its metaschema */
} SchemaDialect;

/* The types of JSON Schema, as flags. */
#define SCHEMA_TYPE_NULL	0x01
#define SCHEMA_TYPE_BOOLEAN	0x02
#define SCHEMA_TYPE_OBJECT	0x04
#define SCHEMA_TYPE_ARRAY	0x08
#define SCHEMA_TYPE_NUMBER	0x10
#define SCHEMA_TYPE_STRING	0x20
#define SCHEMA_TYPE_INTEGER	0x40

/* No upper bound on a count. */
#define SCHEMA_UNBOUNDED	(-1)

/* Not a format that is known. */
#define SCHEMA_NO_FORMAT	(-1)

typedef struct SchemaNode SchemaNode;

/*
 * A name of "$dynamicAnchor" that a "$dynamicRef" looks for when it is
 * evaluated.  It knows all it could find.
 */
typedef struct SchemaDynamic
{
	struct SchemaDynamic *next;
	uint32		number;			/* counted from 0 */
	struct SchemaBinding *targets;
} SchemaDynamic;

/* What a dynamic name means where a resource is the outermost that has it. */
typedef struct SchemaBinding
{
	struct SchemaBinding *next; /* of the same resource */
	struct SchemaBinding *next_target;	/* of the same name */
	const SchemaDynamic *dynamic;
	SchemaNode *node;
} SchemaBinding;

/*
 * A schema resource: a document, or a part of one that has an "$id".
 * References in it are relative to its URI, "#" is its root.
 */
typedef struct SchemaResource
{
	SchemaText	uri;			/* without a fragment; empty if it has none */
	JsonbValue	root;
	const SchemaPlace *place;
	SchemaDialect dialect;
	SchemaBinding *bindings;
} SchemaResource;

typedef struct SchemaList
{
	uint32		count;
	SchemaNode **nodes;
} SchemaList;

typedef struct SchemaNumberRules
{
	Numeric		minimum;		/* each NULL if absent */
	Numeric		maximum;
	Numeric		exclusive_minimum;
	Numeric		exclusive_maximum;
	Numeric		multiple_of;
} SchemaNumberRules;

typedef struct SchemaStringRules
{
	int64		min_length;
	int64		max_length;
	struct SchemaPattern *pattern;
	int			format;			/* of format.h, or SCHEMA_NO_FORMAT */
	bool		asserts_format; /* whether or not the caller asks for it */
} SchemaStringRules;

typedef struct SchemaArrayRules
{
	int64		min_items;
	int64		max_items;
	bool		unique;
	int64		min_contains;	/* 1 unless it is said */
	int64		max_contains;
	bool		says_min_contains;
	SchemaNode *items;			/* of every item, or NULL */
	SchemaNode *additional;		/* of the items past the tuple */
	SchemaNode *contains;
	SchemaNode *unevaluated;
	SchemaList	tuple;			/* of the items by position */
	SchemaNode *rest;			/* of the items past those, or NULL */
	bool		is_tuple;		/* "items" is an array */
} SchemaArrayRules;

/* All that is said of one property by its name. */
typedef struct SchemaProperty
{
	const char *name;			/* not NUL-terminated */
	int			length;
	bool		required;
	SchemaNode *schema;			/* under "properties" */
	/* by "dependencies", and by "dependentSchemas" and "dependentRequired": */
	SchemaNode *dependent[2];	/* a schema */
	const JsonbContainer *needs[2]; /* an array of names */
} SchemaProperty;

typedef struct SchemaPatternProperty
{
	struct SchemaPattern *pattern;
	SchemaNode *schema;
} SchemaPatternProperty;

typedef struct SchemaObjectRules
{
	int64		min_properties;
	int64		max_properties;
	uint32		property_count;
	SchemaProperty *properties; /* in the order of jsonb's keys */
	uint32		pattern_count;
	SchemaPatternProperty *patterns;
	SchemaNode *additional;
	SchemaNode *names;
	SchemaNode *unevaluated;
	bool		has_dependencies;
} SchemaObjectRules;

typedef struct SchemaLogicRules
{
	SchemaList	all;
	SchemaList	any;
	SchemaList	one;
	SchemaNode *negated;
	SchemaNode *condition;
	SchemaNode *consequence;
	SchemaNode *alternative;
} SchemaLogicRules;

struct SchemaNode
{
	const SchemaPlace *place;
	const SchemaResource *resource;
	const JsonbContainer *keywords; /* its own object; NULL for true and false */
	const char *applied_by;		/* the keyword that holds this schema */
	SchemaNode *next;			/* all nodes of a schema, newest first */
	uint32		number;			/* counted from 0 */
	SchemaNode *ref;
	SchemaNode *dynamic_ref;	/* what it means where nothing is bound */
	const SchemaDynamic *dynamic;	/* NULL if dynamic_ref is always meant */
	uint8		types;			/* 0 is any */
	uint8		marks;			/* said here */
	uint8		visit;			/* how far the search for circles is: see graph.c */
	bool		never;			/* the schema false */
	bool		only_ref;		/* nothing beside ref asserts */
	bool		shared;			/* the target of a reference */
	bool		unevaluated;	/* has "unevaluatedItems" or "unevaluatedProperties" */
	bool		careful;		/* not to be evaluated just as it is */
	bool		refers;			/* to what applies besides its own keywords */
	bool		enumerated;		/* has "enum" */
	uint32		value_count;
	JsonbValue *values;			/* of "enum" */
	JsonbValue *constant;		/* of "const", or NULL */
	SchemaNumberRules *number_rules;	/* each group NULL if nothing is in it */
	SchemaStringRules *string;
	SchemaArrayRules *array;
	SchemaObjectRules *object;
	SchemaLogicRules *logic;
};

struct Schema
{
	const Jsonb *source;
	SchemaNode *root;
	SchemaNode *nodes;			/* newest first */
	uint32		node_count;
	uint8	   *reach;			/* marks that can be met, by the node's number */
	struct SchemaQuestion *questions;	/* put to it so far: see annotations.c */
	struct SchemaDefaults *defaults;	/* NULL before they are asked for: see defaults.c */
	SchemaDynamic *dynamics;
	uint32		dynamic_count;
	Size		pattern_space;	/* estimate of what regexes hold outside the context */
	uint8		varying;		/* marks that a document's values decide about */
	bool		may_be_open;	/* references to other documents are left open, */
	bool		is_open;		/* and there are any */
	bool		uses_documents; /* was told by the document source */
};

/* The value's type as a flag; a number's is number, integral or not. */
static inline uint8
schema_type_of(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return SCHEMA_TYPE_NULL;
		case jbvBool:
			return SCHEMA_TYPE_BOOLEAN;
		case jbvNumeric:
			return SCHEMA_TYPE_NUMBER;
		case jbvString:
			return SCHEMA_TYPE_STRING;
		default:
			return json_is_object(value) ? SCHEMA_TYPE_OBJECT : SCHEMA_TYPE_ARRAY;
	}
}

/*
 * The property of that name, of those in order from *next on, which is moved
 * past all that sort before it.  For a walk over an object's sorted keys.
 */
static inline const SchemaProperty *
schema_next_property(const SchemaProperty **next, const SchemaProperty *end, const JsonbValue *key)
{
	while (*next < end)
	{
		int			order = json_key_compare((*next)->name, (*next)->length,
											 key->val.string.val, key->val.string.len);

		if (order > 0)
			return NULL;
		if (order == 0)
			return (*next)++;
		(*next)++;
	}
	return NULL;
}

#endif							/* PROMOTE_SCHEMA_NODE_H */
