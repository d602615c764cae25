/*
 * format.h: the formats of JSON Schema, as strings are checked against them.
 */
#ifndef PROMOTE_SCHEMA_FORMAT_H
#define PROMOTE_SCHEMA_FORMAT_H

#include "postgres.h"

#include "base/ascii.h"

extern int	schema_format_find(const char *name, int length);
extern bool schema_format_accepts(int format, const char *string, int length);

/* What is told to the checks of several formats. */
#define FORMAT_WIDE			0x01	/* the string is UTF-8, and may have characters beyond ASCII */
#define FORMAT_REFERENCE	0x02	/* of a URI or IRI, which may be relative */
#define FORMAT_DATE			0x04	/* parts of a date-time */
#define FORMAT_TIME			0x08
#define FORMAT_IPV6			0x10	/* of the two families of addresses */

/*
 * What decides about a format: takes the string from its first byte up to end,
 * in one pass from left to right, and neither allocates nor raises unless it
 * says so.
 */
typedef bool (*FormatCheck) (const char *string, const char *end, int flags);

/* format_time.c */
extern bool format_date_time(const char *string, const char *end, int flags);
extern bool format_duration(const char *string, const char *end, int flags);

/* format_host.c */
extern bool format_address(const char *string, const char *end, int flags);
extern bool format_hostname(const char *string, const char *end, int flags);
extern bool format_idn_hostname(const char *string, const char *end, int flags);
extern bool format_email(const char *string, const char *end, int flags);

/* format_uri.c */
extern bool format_uri(const char *string, const char *end, int flags);
extern bool format_uri_template(const char *string, const char *end, int flags);

/* Move past the character c if it is what comes. */
static inline bool
format_skip(const char **next, const char *end, char c)
{
	if (*next >= end || **next != c)
		return false;
	(*next)++;
	return true;
}

/* Move past digits; returns how many there are. */
static inline int
format_skip_digits(const char **next, const char *end)
{
	const char *start = *next;

	while (*next < end && ascii_is_digit(**next))
		(*next)++;
	return *next - start;
}

#endif							/* PROMOTE_SCHEMA_FORMAT_H */
