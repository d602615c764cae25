/*
 * uri.h: URIs and references to them (RFC 3986).
 */
#ifndef PROMOTE_SCHEMA_URI_H
#define PROMOTE_SCHEMA_URI_H

#include "postgres.h"

#include "base/ascii.h"

/* A text that need not be NUL-terminated. */
typedef struct SchemaText
{
	const char *text;
	int			length;
} SchemaText;

/* No longer ones are taken, so that many relative to a long one stay within bounds. */
#define SCHEMA_URI_LENGTH_MAX	2048

extern SchemaText schema_uri_resolve(const SchemaText *base, SchemaText reference, SchemaText *fragment);
extern int	schema_uri_scheme_length(const char *text, int length);

/* Does a text begin with that prefix? */
static inline bool
schema_text_begins(const SchemaText *text, const char *prefix)
{
	return text->length >= (int) strlen(prefix) && memcmp(text->text, prefix, strlen(prefix)) == 0;
}

/* Does the URI begin with a scheme? */
static inline bool
schema_uri_is_absolute(const SchemaText *uri)
{
	return schema_uri_scheme_length(uri->text, uri->length) > 0;
}

/* Do a percent sign and two hexadecimal digits come (section 2.1)? */
static inline bool
schema_uri_is_encoded(const char *text, Size length)
{
	return length >= 3 && text[0] == '%' && ascii_hex_value(text[1]) >= 0 && ascii_hex_value(text[2]) >= 0;
}

#endif							/* PROMOTE_SCHEMA_URI_H */
