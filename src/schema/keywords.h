/*
 * keywords.h: from objects of keywords to nodes.
 */
#ifndef PROMOTE_SCHEMA_KEYWORDS_H
#define PROMOTE_SCHEMA_KEYWORDS_H

#include "postgres.h"

#include "schema/reference.h"

extern SchemaNode *schema_compile_node(SchemaCompiler *compiler, const JsonbValue *value, const SchemaPlace *place,
									   const char *applied_by);
extern SchemaNode *schema_compile_target(SchemaCompiler *compiler, const SchemaTarget *target, const char *keyword);

#endif							/* PROMOTE_SCHEMA_KEYWORDS_H */
