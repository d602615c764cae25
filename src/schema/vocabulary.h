/*
 * vocabulary.h: which keywords and types there are, and which keywords mean something.
 */
#ifndef PROMOTE_SCHEMA_VOCABULARY_H
#define PROMOTE_SCHEMA_VOCABULARY_H

#include "postgres.h"

#include "schema/node.h"

/* Kinds of keywords, by what they do to a node; those from KEYWORD_SCHEMA on hold subschemas. */
typedef enum SchemaKeywordKind
{
	KEYWORD_SHAPE,				/* nothing: only its type is looked at */
	KEYWORD_ID,
	KEYWORD_ANCHOR,
	KEYWORD_VOCABULARY,
	KEYWORD_REF,
	KEYWORD_DYNAMIC_REF,
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

typedef void (*SchemaChildVisitor) (void *state, const JsonbValue *value, const SchemaPlace *place);

extern const Jsonb *schema_fetch_document(Schema *schema, const SchemaText *uri);
extern SchemaDialect schema_dialect(Schema *schema, const JsonbValue *name, const SchemaPlace *place);
extern const SchemaKeyword *schema_next_keyword(const SchemaKeyword **next, const JsonbValue *name, uint8 where);
extern bool schema_is_annotation(const SchemaNode *node, const JsonbValue *name, const JsonbValue *location);
extern void schema_visit_children(const JsonbValue *object, const SchemaPlace *place, uint8 where,
								  SchemaChildVisitor visit, void *state);
extern uint8 schema_marks_said(const JsonbContainer *object);
extern uint8 schema_type_flag(const JsonbValue *name);
extern const char *schema_types_text(uint8 types);

#endif							/* PROMOTE_SCHEMA_VOCABULARY_H */
