/*
 * digest.h: the SHA-256 of canonical JSON.
 */
#ifndef PROMOTE_JSON_DIGEST_H
#define PROMOTE_JSON_DIGEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#define JSON_DIGEST_LENGTH 32	/* bytes of a SHA-256 */

extern bytea *json_digest(const Jsonb *document);

#endif							/* PROMOTE_JSON_DIGEST_H */
