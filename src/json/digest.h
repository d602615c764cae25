/*
 * digest.h: the SHA-256 of canonical JSON.
 */
#ifndef PROMOTE_JSON_DIGEST_H
#define PROMOTE_JSON_DIGEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/compat.h"

#define JSON_DIGEST_LENGTH 32	/* bytes of a SHA-256 */

extern bytea *json_digest(const Jsonb *document);

/* Are two digests the same?  NULL is none, and the same as nothing. */
static inline bool
json_digest_equal(const bytea *a, const bytea *b)
{
	return a && b && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), JSON_DIGEST_LENGTH) == 0;
}

#endif							/* PROMOTE_JSON_DIGEST_H */
