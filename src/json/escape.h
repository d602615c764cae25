/*
 * escape.h: the characters of a string in canonical JSON.
 */
#ifndef PROMOTE_JSON_ESCAPE_H
#define PROMOTE_JSON_ESCAPE_H

#include "postgres.h"

#define JSON_ESCAPE_ROOM 6		/* bytes that one byte can become */

extern char *json_write_escaped(char *to, const char *from, int length);

#endif							/* PROMOTE_JSON_ESCAPE_H */
