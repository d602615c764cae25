/*
 * pointer.h: JSON Pointers, RFC 6901.
 *
 * A pointer is walked token by token where it stands; only a token with an
 * escape in it is copied.
 */
#ifndef PROMOTE_JSON_POINTER_H
#define PROMOTE_JSON_POINTER_H

#include "postgres.h"

/* What of a pointer is still to be walked: nothing, or "/token...". */
typedef struct JsonPointer
{
	const char *rest;			/* not NUL-terminated */
	int			length;
} JsonPointer;

/* One token, unescaped; not NUL-terminated. */
typedef struct JsonToken
{
	const char *text;
	int			length;
} JsonToken;

extern bool json_pointer_init(JsonPointer *pointer, const char *text, int length);
extern bool json_pointer_next(JsonPointer *pointer, JsonToken *token);
extern bool json_pointer_covers(const JsonPointer *prefix, const JsonPointer *pointer);
extern bool json_token_index(const JsonToken *token, uint32 count, uint32 *index);
extern int	json_token_escaped_length(const char *key, int length);
extern void json_token_escape(char *place, const char *key, int length);

#endif							/* PROMOTE_JSON_POINTER_H */
