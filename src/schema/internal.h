/*
 * internal.h: a compiled schema, and what the files of schema/ share.
 *
 * A compiled schema is a graph of nodes, one for each location that holds a
 * subschema, of the schema and of the documents that it refers to.  Nodes
 * point into the schema's own copies of these (names, numbers, constants) and
 * at each other; a $ref may lead back to a node that contains it.  Everything
 * lives in one memory context.
 */
#ifndef PROMOTE_SCHEMA_INTERNAL_H
#define PROMOTE_SCHEMA_INTERNAL_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/hsearch.h"

#include "base/errors.h"
#include "json/reader.h"
#include "schema/schema.h"

/*
 * A place in a document: the way to it from the root, last step first.  A
 * token need not be NUL-terminated and is not escaped.  That of a root is the
 * document's URI, NULL for the schema itself.
 */
typedef struct SchemaPlace
{
	const struct SchemaPlace *parent;	/* NULL at the root */
	const char *token;
	int			length;
} SchemaPlace;

/* A text that need not be NUL-terminated. */
typedef struct SchemaText
{
	const char *text;
	int			length;
} SchemaText;

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

/* Kinds of keywords, by what they do to a node; those from KEYWORD_SCHEMA on hold subschemas. */
typedef enum SchemaKeywordKind
{
	KEYWORD_SHAPE,				/* nothing: only its type is looked at */
	KEYWORD_ID,
	KEYWORD_ANCHOR,
	KEYWORD_VOCABULARY,
	KEYWORD_REF,
	KEYWORD_DYNAMIC_REF,
	KEYWORD_MARK,
	KEYWORD_MARKS,
	KEYWORD_TYPE,
	KEYWORD_ENUM,
	KEYWORD_CONST,
	KEYWORD_NUMBER,
	KEYWORD_MULTIPLE,
	KEYWORD_COUNT,
	KEYWORD_MIN_CONTAINS,
	KEYWORD_PATTERN,
	KEYWORD_FORMAT,
	KEYWORD_UNIQUE,
	KEYWORD_REQUIRED,
	KEYWORD_NEEDS,
	KEYWORD_SCHEMA,				/* it is one */
	KEYWORD_SCHEMAS,			/* its items are */
	KEYWORD_ITEMS,				/* one or a list */
	KEYWORD_DEFINITIONS,		/* from here on the values of its members are, unless arrays */
	KEYWORD_PROPERTIES,
	KEYWORD_PATTERNS,
	KEYWORD_DEPENDENCIES
} SchemaKeywordKind;

/* The groups of rules that a node can have. */
typedef enum SchemaRules
{
	SCHEMA_NO_RULES,
	SCHEMA_NUMBER_RULES,
	SCHEMA_STRING_RULES,
	SCHEMA_ARRAY_RULES,
	SCHEMA_OBJECT_RULES,
	SCHEMA_LOGIC_RULES
} SchemaRules;

typedef struct SchemaKeyword
{
	const char *name;
	uint8		where;			/* the dialects that know it, as SchemaDialect has them */
	uint8		type;			/* that its value must be of; 0 if that is not all there is to it */
	SchemaKeywordKind kind;
	SchemaRules rules;			/* that it is one of, */
	Size		field;			/* and where in them it is stored */
} SchemaKeyword;

typedef struct SchemaNode SchemaNode;
typedef struct SchemaPattern SchemaPattern;
typedef struct SchemaQuestion SchemaQuestion;
typedef struct SchemaDefaults SchemaDefaults;

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
	SchemaPattern *pattern;
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
	SchemaPattern *pattern;
	SchemaNode *schema;
} SchemaPatternProperty;

typedef struct SchemaObjectRules
{
	int64		min_properties;
	int64		max_properties;
	uint32		property_count;
	uint32		property_space;
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

/* Where a node stands in the search for circles. */
typedef enum SchemaVisit
{
	SCHEMA_UNVISITED,
	SCHEMA_VISITING,
	SCHEMA_VISITED
} SchemaVisit;

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
	uint8		visit;
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
	SchemaQuestion *questions;	/* put to it so far: see annotations.c */
	SchemaDefaults *defaults;	/* NULL before they are asked for: see defaults.c */
	SchemaDynamic *dynamics;
	uint32		dynamic_count;
	Size		pattern_space;	/* estimate of what regexes hold outside the context */
	uint8		varying;		/* marks that a document's values decide about */
	bool		is_open;		/* references to other documents lead nowhere */
	bool		uses_documents; /* was told by the document source */
};

/* What one compilation knows; current memory context is the schema's. */
typedef struct SchemaCompiler
{
	Schema	   *schema;
	bool		is_open;		/* leave references to other documents open */
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

/* What a reference leads to. */
typedef struct SchemaTarget
{
	SchemaResource *resource;	/* NULL: it is left open */
	JsonbValue	value;
	const SchemaPlace *place;	/* NULL: there is nothing */
	const SchemaName *anchor;	/* that it was found by, or NULL */
} SchemaTarget;

/* One step of the way from the instance's root; lives on the walker's stack. */
typedef struct SchemaFrame
{
	const struct SchemaFrame *parent;	/* NULL at the root */
	const JsonbValue *value;
	const JsonbValue *key;		/* NULL for an item */
	uint32		index;			/* ordinal in the parent's container */
	bool		is_name;		/* the property's name itself */
} SchemaFrame;

/*
 * Which children of one container were evaluated, as "unevaluatedItems" and
 * "unevaluatedProperties" mean it.  Lives on the walker's stack.
 */
typedef struct SchemaSeen
{
	uint32		words;
	uint64	   *bits;			/* buffer, unless there are too many */
	uint64		buffer[4];
} SchemaSeen;

/* The names that are bound while a schema is evaluated; see scope.c. */
typedef struct SchemaScope SchemaScope;

typedef struct SchemaScopeMark
{
	uint32		bound;			/* how many were bound */
	int			state;
} SchemaScopeMark;

/* A $dynamicRef that is being followed; lives on the walker's stack. */
typedef struct SchemaFollowing
{
	const struct SchemaFollowing *outer;
	const SchemaNode *target;
	const SchemaFrame *at;
	uint32		bound;			/* how many names were bound */
} SchemaFollowing;

/* What one evaluation knows. */
typedef struct SchemaEvaluation
{
	const Schema *schema;
	SchemaCollector collect;	/* NULL: nobody is told */
	void	   *state;
	bool		thorough;		/* go on after the first violation */
	bool		asserts_formats;
	SchemaSeen *seen;			/* of the location that is evaluated; NULL: nobody asks */
	SchemaScope *scope;			/* NULL without dynamic references */
	uint32		steps;			/* references followed so far */
	HTAB	   *memo;			/* see memo.c; NULL while it does not pay */
	MemoryContext memo_context;
	Size		memo_space;		/* what its entries refer to */
	MemoryContext scratch;		/* of a report; NULL before the first */
	MemoryContext caller;		/* to go back to from scratch */
} SchemaEvaluation;

/* How bounds of a count are spelled, and what is counted. */
typedef struct SchemaCount
{
	const char *least;			/* keywords */
	const char *most;
	const char *one;
	const char *many;
} SchemaCount;

/* Is there anything to find out after what was found so far? */
#define GOES_ON(evaluation, valid) ((valid) || (evaluation)->thorough)

/* What the memo knows of a node at a location. */
typedef struct SchemaMemo
{
	uint8		answer;			/* the flags below */
	uint64	   *seen;			/* what was evaluated, if that was asked */
} SchemaMemo;

/* The memo's answers, as flags. */
#define SCHEMA_MEMO_VALID	0x01
#define SCHEMA_MEMO_INVALID	0x02
#define SCHEMA_MEMO_REPORTED	0x04	/* with all violations collected */
#define SCHEMA_MEMO_WALKED	0x08	/* the walk was there */

/* A location of the document, for the walk, the evaluator and a mark tree. */
typedef struct SchemaLocation
{
	JsonMarkFrame mark;
	SchemaFrame at;
} SchemaLocation;

/* A visit of all nodes that apply to the locations of a document; see walk.c. */
typedef struct SchemaWalk
{
	SchemaEvaluation evaluation;	/* of branches; collects nothing */
	const uint8 *reach;			/* what can be met from each node, by its number */
	uint8		wanted;			/* where none of these can be is passed over */
	bool		only_meant;		/* pass over branches that cannot be meant */
	void		(*visit) (struct SchemaWalk *walk, const SchemaNode *node,
						  SchemaLocation *location);
	void	   *state;			/* the visitor's */
} SchemaWalk;

/* Refuse the schema for what is at place: "<place> <complaint>". */
#define SCHEMA_REFUSE(place, hint, ...) \
	ereport(ERROR, \
			(errcode(PM_INVALID_SCHEMA), \
			 errmsg("invalid JSON Schema"), \
			 errdetail("%s %s", schema_place_text(place), psprintf(__VA_ARGS__)), \
			 errhint("%s", hint)))

#define SCHEMA_PATTERN_HINT \
	"Patterns are ECMA-262's, as in JavaScript with the flag \"u\"."

/* place.c */
extern const SchemaPlace *schema_place_step(const SchemaPlace *parent,
											const char *token, int length);
extern const SchemaPlace *schema_place_item(const SchemaPlace *parent, uint32 index);
extern const char *schema_place_text(const SchemaPlace *place);

/* walk.c */
extern JsonMark *schema_walk(SchemaWalk *walk, const Schema *schema, const Jsonb *document);

/* uri.c */
extern SchemaText schema_uri_resolve(const SchemaText *base, const char *reference, int length,
									 SchemaText *fragment);
extern bool schema_uri_is_absolute(const SchemaText *uri);

/* No longer ones are taken, so that many relative to a long one stay within bounds. */
#define SCHEMA_URI_LENGTH_MAX	2048

/* arena.c */
extern void *schema_allocate(Size size, Size count);
extern HTAB *schema_table(const char *name, Size key, Size entry, MemoryContext context);
extern MemoryContext schema_begin_keeping(void);
extern void schema_keep(const Schema *schema, MemoryContext caller);

/* vocabulary.c */
typedef void (*SchemaChildVisitor) (SchemaCompiler *compiler, const JsonbValue *value,
									const SchemaPlace *place, void *state);
extern const Jsonb *schema_fetch_document(SchemaCompiler *compiler, const SchemaText *uri);
extern SchemaDialect schema_dialect(SchemaCompiler *compiler, const JsonbValue *uri,
									const SchemaPlace *place);
extern const SchemaKeyword *schema_next_keyword(const SchemaKeyword **next, const JsonbValue *name,
												uint8 where);
extern bool schema_is_annotation(const SchemaNode *node, const JsonbValue *name,
								 const JsonbValue *location);
extern void schema_visit_children(SchemaCompiler *compiler, const JsonbValue *object,
								  const SchemaPlace *place, uint8 where,
								  SchemaChildVisitor visit, void *state);

/* resource.c */
extern void schema_resources_init(SchemaCompiler *compiler, MemoryContext scratch);
extern SchemaResource *schema_add_document(SchemaCompiler *compiler, const Jsonb *document,
										   const SchemaText *uri);
extern SchemaEntry *schema_find_entry(SchemaCompiler *compiler, const JsonbValue *object);
extern SchemaEntry *schema_index(SchemaCompiler *compiler, const JsonbValue *object,
								 const SchemaPlace *place, SchemaResource *resource);
extern SchemaName *schema_find_name(SchemaCompiler *compiler, const SchemaResource *owner,
									const SchemaText *text);
extern SchemaDynamic *schema_find_dynamic(SchemaCompiler *compiler, const SchemaText *text);
extern SchemaDynamic *schema_want_dynamic(SchemaCompiler *compiler, const SchemaText *text);
extern SchemaText schema_resolve_uri(const SchemaResource *resource, const SchemaText *reference,
									 const SchemaPlace *place, SchemaText *fragment);

/* reference.c */
extern SchemaTarget schema_find_target(SchemaCompiler *compiler, const JsonbValue *reference,
									   const SchemaPlace *place);

/* keywords.c */
extern SchemaNode *schema_compile_node(SchemaCompiler *compiler, const JsonbValue *value,
									   const SchemaPlace *place, const char *applied_by);
extern SchemaNode *schema_compile_target(SchemaCompiler *compiler, const SchemaTarget *target,
										 const char *keyword);

/* compile.c */
extern Schema *schema_build(const Jsonb *source, const SchemaText *uri, bool is_open);

/* graph.c */
extern void schema_refuse_circles(const Schema *schema);
extern void schema_spread(const Schema *schema, uint8 *reach);
extern void schema_spread_marks(Schema *schema);
extern bool *schema_reached(const Schema *schema);

/* ecma.c */
extern uint64 schema_translate_pattern(const char *source, int length,
									   const SchemaPlace *place, StringInfo out);
extern bool schema_pattern_well_formed(const char *source, int length);

/* pattern.c */
extern SchemaPattern *schema_pattern_compile(const char *source, int length,
											 const SchemaPlace *place, Size *space);
extern bool schema_pattern_matches(const SchemaPattern *pattern,
								   const char *string, int length);
extern const char *schema_pattern_source(const SchemaPattern *pattern, int *length);

/* evaluate.c */
extern bool schema_evaluate(SchemaEvaluation *evaluation, const SchemaNode *node,
							const SchemaFrame *at);
extern bool schema_accepts(SchemaEvaluation *evaluation, const SchemaNode *node,
						   const SchemaFrame *at);
extern bool schema_is_ruled_out(SchemaEvaluation *evaluation, const SchemaNode *branch,
								const SchemaFrame *at);
extern void schema_find_seen(SchemaEvaluation *evaluation, const SchemaNode *node,
							 const SchemaFrame *at, SchemaSeen *seen);
extern void schema_begin_evaluation(SchemaEvaluation *evaluation, const Schema *schema);
extern void schema_end_evaluation(SchemaEvaluation *evaluation);

/* value.c */
extern bool schema_check_type(SchemaEvaluation *evaluation, const SchemaNode *node,
							  const SchemaFrame *at);
extern bool schema_check_enum(SchemaEvaluation *evaluation, const SchemaNode *node,
							  const SchemaFrame *at);
extern bool schema_check_const(SchemaEvaluation *evaluation, const SchemaNode *node,
							   const SchemaFrame *at);
extern bool schema_check_number(SchemaEvaluation *evaluation, const SchemaNode *node,
								const SchemaFrame *at);
extern bool schema_check_string(SchemaEvaluation *evaluation, const SchemaNode *node,
								const SchemaFrame *at);
extern bool schema_refuse_count(SchemaEvaluation *evaluation, const SchemaNode *node,
								const SchemaFrame *at, int64 count, int64 least, int64 most,
								const SchemaCount *words);
extern bool schema_all_unique(const JsonbValue *array);

/* scope.c */
extern void schema_begin_scope(SchemaEvaluation *evaluation);
extern void schema_end_scope(SchemaEvaluation *evaluation);
extern SchemaScopeMark schema_enter_resource(SchemaEvaluation *evaluation,
											 const SchemaResource *resource);
extern void schema_leave_resource(SchemaEvaluation *evaluation, SchemaScopeMark mark);
extern int	schema_scope_state(const SchemaEvaluation *evaluation);
extern const SchemaNode *schema_follow(SchemaEvaluation *evaluation, const SchemaNode *node,
									   const SchemaFrame *at, SchemaFollowing *frame);
extern void schema_unfollow(SchemaEvaluation *evaluation, const SchemaFollowing *frame);

/* violation.c */
extern void schema_begin_report(SchemaEvaluation *evaluation);
extern void schema_report(SchemaEvaluation *evaluation, const SchemaNode *node,
						  const SchemaFrame *at, const char *keyword,
						  const SchemaProperty *property, const JsonbValue *expected,
						  const char *format,...) pg_attribute_printf(7, 8);
extern const char *schema_instance_path(const SchemaFrame *at);
extern const char *schema_value_text(const JsonbValue *value);
extern uint8 schema_type_flag(const JsonbValue *name);
extern const char *schema_types_text(uint8 types);

/* memo.c */
extern void schema_seen_init(SchemaSeen *seen, const JsonbValue *container);
extern void schema_seen_free(SchemaSeen *seen);
extern void schema_seen_merge(SchemaSeen *seen, const uint64 *bits);
extern SchemaMemo *schema_memo(SchemaEvaluation *evaluation, const SchemaNode *node,
							   const SchemaFrame *at);
extern void schema_memo_keep_seen(SchemaEvaluation *evaluation, SchemaMemo *memo,
								  const SchemaSeen *seen);

/* Is a count within its bounds?  Reports those that it does not keep. */
static inline bool
schema_check_count(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
				   int64 count, int64 least, int64 most, const SchemaCount *words)
{
	return (count >= least && (most == SCHEMA_UNBOUNDED || count <= most)) ||
		schema_refuse_count(evaluation, node, at, count, least, most, words);
}

/* Note that the child of that ordinal was evaluated, if anybody asks. */
static inline void
schema_seen_add(SchemaSeen *seen, uint32 index)
{
	if (seen)
		seen->bits[index / 64] |= UINT64CONST(1) << (index % 64);
}

/* Was the child of that ordinal evaluated? */
static inline bool
schema_seen_has(const SchemaSeen *seen, uint32 index)
{
	return (seen->bits[index / 64] >> (index % 64)) & 1;
}

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
schema_next_property(const SchemaProperty **next, const SchemaProperty *end,
					 const JsonbValue *key)
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

#endif							/* PROMOTE_SCHEMA_INTERNAL_H */
