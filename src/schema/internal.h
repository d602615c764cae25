/*
 * internal.h: a compiled schema, and what the files of schema/ share.
 *
 * A compiled schema is a graph of nodes, one for each location of the schema
 * that holds a subschema.  Nodes point into the schema's own copy of its
 * document (names, numbers, constants) and at each other; a $ref may lead
 * back to a node that contains it.  Everything lives in one memory context.
 */
#ifndef PROMOTE_SCHEMA_INTERNAL_H
#define PROMOTE_SCHEMA_INTERNAL_H

#include "postgres.h"

#include "errors.h"
#include "json/reader.h"
#include "lib/stringinfo.h"
#include "schema/schema.h"
#include "utils/hsearch.h"

/*
 * A place in the schema's document: the way to it from the root, last step
 * first.  A token need not be NUL-terminated and is not escaped.
 */
typedef struct SchemaPlace
{
	const struct SchemaPlace *parent;	/* NULL at the root */
	const char *token;
	int			length;
} SchemaPlace;

/* The types of draft-07, as flags. */
#define SCHEMA_TYPE_NULL	0x01
#define SCHEMA_TYPE_BOOLEAN	0x02
#define SCHEMA_TYPE_OBJECT	0x04
#define SCHEMA_TYPE_ARRAY	0x08
#define SCHEMA_TYPE_NUMBER	0x10
#define SCHEMA_TYPE_STRING	0x20
#define SCHEMA_TYPE_INTEGER	0x40

/* No upper bound on a count. */
#define SCHEMA_UNBOUNDED	(-1)

typedef struct SchemaNode SchemaNode;
typedef struct SchemaPattern SchemaPattern;

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
} SchemaStringRules;

typedef struct SchemaArrayRules
{
	int64		min_items;
	int64		max_items;
	bool		unique;
	SchemaNode *items;			/* of every item, or NULL */
	SchemaNode *additional;		/* of the items past the tuple */
	SchemaNode *contains;
	SchemaList	tuple;			/* of the items by position */
	bool		is_tuple;
} SchemaArrayRules;

/* All that is said of one property by its name. */
typedef struct SchemaProperty
{
	const char *name;			/* not NUL-terminated */
	int			length;
	bool		required;
	SchemaNode *schema;			/* under "properties" */
	SchemaNode *dependent;		/* under "dependencies": a schema, */
	const JsonbContainer *needs;	/* or an array of names */
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
	const char *applied_by;		/* the keyword that holds this schema */
	SchemaNode *next;			/* all nodes of a schema, newest first */
	SchemaNode *ref;			/* if set, nothing else asserts */
	uint8		types;			/* 0 is any */
	uint8		marks;			/* said here */
	uint8		reach;			/* said here or by what applies below */
	uint8		visit;
	bool		never;			/* the schema false */
	bool		shared;			/* the target of a $ref */
	bool		enumerated;		/* has "enum" */
	uint32		value_count;
	JsonbValue *values;			/* of "enum" */
	JsonbValue *constant;		/* of "const", or NULL */
	SchemaNumberRules *number;	/* each group NULL if nothing is in it */
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
	Size		pattern_space;	/* estimate of what regexes hold outside the context */
	uint8		varying;		/* marks that a document's values decide about */
};

/* What one compilation knows; current memory context is the schema's. */
typedef struct SchemaCompiler
{
	Schema	   *schema;
	HTAB	   *compiled;		/* container's address -> node */
	JsonbValue	base;			/* what "#" refers to: the nearest $id, or the root */
	const SchemaPlace *base_place;
} SchemaCompiler;

/* One step of the way from the instance's root; lives on the walker's stack. */
typedef struct SchemaFrame
{
	const struct SchemaFrame *parent;	/* NULL at the root */
	const JsonbValue *value;
	const JsonbValue *key;		/* NULL for an item */
	uint32		index;			/* ordinal in the parent's container */
	bool		is_name;		/* the property's name itself */
} SchemaFrame;

/* What one evaluation knows. */
typedef struct SchemaEvaluation
{
	SchemaCollector collect;	/* NULL: the first violation decides */
	void	   *state;
	uint32		steps;			/* $refs followed so far */
	HTAB	   *memo;			/* see memo.c; NULL while it does not pay */
	MemoryContext scratch;		/* of a report; NULL before the first */
	MemoryContext caller;		/* to go back to from scratch */
} SchemaEvaluation;

/* The memo's answers, as flags. */
#define SCHEMA_MEMO_VALID	0x01
#define SCHEMA_MEMO_INVALID	0x02
#define SCHEMA_MEMO_REPORTED	0x04	/* with all violations collected */
#define SCHEMA_MEMO_MARKED	0x08	/* marks below were collected */

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

/* compile.c */
extern Schema *schema_build(Jsonb *source);
extern SchemaNode *schema_compile_node(SchemaCompiler *compiler, const JsonbValue *value,
									   const SchemaPlace *place, const char *applied_by);
extern void schema_enter(SchemaCompiler *compiler, const JsonbValue *value,
						 const SchemaPlace *place);
extern void *schema_allocate(Size size, Size count);

/* keywords.c */
extern void schema_compile_keywords(SchemaCompiler *compiler, SchemaNode *node,
									const JsonbValue *object);

/* reference.c */
extern SchemaNode *schema_resolve(SchemaCompiler *compiler, const JsonbValue *reference,
								  const SchemaPlace *place);

/* graph.c */
extern void schema_refuse_circles(const Schema *schema);
extern void schema_spread_marks(const Schema *schema);

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

extern void schema_end_evaluation(SchemaEvaluation *evaluation);

/* violation.c */
extern void schema_begin_report(SchemaEvaluation *evaluation);
extern void schema_report(SchemaEvaluation *evaluation, const SchemaNode *node,
						  const SchemaFrame *at, const char *keyword,
						  const SchemaProperty *property,
						  const char *format,...) pg_attribute_printf(6, 7);
extern const char *schema_value_text(const JsonbValue *value);
extern const char *schema_types_text(uint8 types);

/* memo.c */
extern uint8 *schema_memo(SchemaEvaluation *evaluation, const SchemaNode *node,
						  const SchemaFrame *at);

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
