/*
 * limits.h: how large a configuration may be.
 */
#ifndef PROMOTE_JSON_LIMITS_H
#define PROMOTE_JSON_LIMITS_H

#include "postgres.h"

#include "utils/jsonb.h"

#define JSON_MAX_BYTES	(16 * 1024 * 1024)	/* of its stored form */
#define JSON_MAX_DEPTH	1000				/* levels of nesting */
#define JSON_MAX_DIGITS 1000				/* of one number, written out */

extern const char *json_by_number(const char *what, const char *one, const char *many);
extern void json_require_object(const Jsonb *document, const char *what);
extern void json_require_overrides(const Jsonb *document, const char *what);
extern void json_check_overrides(const Jsonb *document, const char *what);
extern void json_check_params(const Jsonb *document, const char *what);

#endif							/* PROMOTE_JSON_LIMITS_H */
