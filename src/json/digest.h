/*
 * digest.h: the SHA-256 of canonical JSON.
 */
#ifndef PROMOTE_JSON_DIGEST_H
#define PROMOTE_JSON_DIGEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/compat.h"

#define JSON_DIGEST_LENGTH 32	/* bytes of a SHA-256 */

/* A digest of an object that is made field by field, in the canonical order of their names. */
typedef struct JsonDigest JsonDigest;

extern bytea *json_digest(const Jsonb *document);
extern JsonDigest *json_digest_begin(void);
extern void json_digest_string(JsonDigest *digest, const char *name, const char *text);
extern void json_digest_number(JsonDigest *digest, const char *name, int64 number);
extern void json_digest_document(JsonDigest *digest, const char *name, const Jsonb *document);
extern bytea *json_digest_end(JsonDigest *digest);

/* Are two digests the same?  NULL is none, and the same as nothing. */
static inline bool
json_digest_equal(const bytea *a, const bytea *b)
{
	return a && b && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), JSON_DIGEST_LENGTH) == 0;
}

#endif							/* PROMOTE_JSON_DIGEST_H */
