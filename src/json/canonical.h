/*
 * canonical.h: a document's canonical text.
 */
#ifndef PROMOTE_JSON_CANONICAL_H
#define PROMOTE_JSON_CANONICAL_H

#include "postgres.h"

#include "utils/jsonb.h"

/*
 * Where canonical text goes, in UTF-8: a buffer, filled up to `at`.  The
 * writer calls make_room when it needs more than is left; that may take away
 * what has gathered or enlarge the buffer.
 */
typedef struct CanonicalSink
{
	char	   *start;
	char	   *at;
	char	   *end;
	void		(*make_room) (struct CanonicalSink *sink, Size room);
} CanonicalSink;

/* The most bytes that one of a string takes: as \u00xx. */
#define JSON_ESCAPE_ROOM 6

extern void json_write_canonical(CanonicalSink *sink, const Jsonb *document);
extern void json_write_canonical_string(CanonicalSink *sink, const char *text, int length);

#endif							/* PROMOTE_JSON_CANONICAL_H */
