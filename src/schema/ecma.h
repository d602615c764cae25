/*
 * ecma.h: regular expressions of ECMA-262.
 */
#ifndef PROMOTE_SCHEMA_ECMA_H
#define PROMOTE_SCHEMA_ECMA_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "schema/place.h"

#define SCHEMA_PATTERN_HINT \
	"Patterns are ECMA-262's, as in JavaScript with the flag \"u\"."

extern uint64 schema_translate_pattern(const char *source, int length, const SchemaPlace *place, StringInfo out);
extern bool schema_pattern_well_formed(const char *source, int length);

#endif							/* PROMOTE_SCHEMA_ECMA_H */
