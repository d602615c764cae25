/*
 * digest.h: canonical JSON and its SHA-256.
 */
#ifndef PROMOTE_JSON_DIGEST_H
#define PROMOTE_JSON_DIGEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#define JSON_DIGEST_LENGTH 32	/* bytes of a SHA-256 */

extern bytea *json_digest(const Jsonb *document);
extern char *json_canonical_number(Numeric number);

#endif							/* PROMOTE_JSON_DIGEST_H */
