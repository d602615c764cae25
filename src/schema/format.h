/*
 * format.h: the formats of JSON Schema, as strings are checked against them.
 */
#ifndef PROMOTE_SCHEMA_FORMAT_H
#define PROMOTE_SCHEMA_FORMAT_H

#include "postgres.h"

/* The format of that name, or -1; the name need not be NUL-terminated. */
extern int	schema_format_find(const char *name, int length);

/*
 * Is the string of that format?  It is in the database's encoding and need
 * not be NUL-terminated.  Nothing that it holds raises an error.
 */
extern bool schema_format_accepts(int format, const char *string, int length);

#endif							/* PROMOTE_SCHEMA_FORMAT_H */
