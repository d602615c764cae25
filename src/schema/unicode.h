/*
 * unicode.h: Unicode's properties, by the names that ECMA-262 has for them.
 */
#ifndef PROMOTE_SCHEMA_UNICODE_H
#define PROMOTE_SCHEMA_UNICODE_H

#include "postgres.h"

typedef struct UnicodeRange
{
	uint32		first;
	uint32		last;
} UnicodeRange;

/* The longest name of a property with its value, and the end of the string. */
#define UNICODE_NAME_SPACE	80

extern bool unicode_property_known(const char *text);
extern UnicodeRange *unicode_property_ranges(const char *text, bool negated, int *count);
extern bool unicode_starts_name(uint32 code);
extern bool unicode_continues_name(uint32 code);

#endif							/* PROMOTE_SCHEMA_UNICODE_H */
