/*
 * pattern.h: matching strings with the patterns of schemas.
 */
#ifndef PROMOTE_SCHEMA_PATTERN_H
#define PROMOTE_SCHEMA_PATTERN_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "schema/place.h"

typedef struct SchemaPattern SchemaPattern;

extern SchemaPattern *schema_pattern_compile(const char *source, int length, const SchemaPlace *place, Size *space);
extern bool schema_pattern_matches(const SchemaPattern *pattern, const char *string, int length);
extern bool schema_pattern_matches_key(SchemaPattern *pattern, const JsonbValue *key);

#endif							/* PROMOTE_SCHEMA_PATTERN_H */
