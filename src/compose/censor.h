/*
 * censor.h: values that must not be seen, found wherever they turn up.
 *
 * What a schema marks sensitive is known by its place in the params.  Tools
 * carry such values to other places, into texts and out of promote's sight;
 * there they are known by what they are.
 */
#ifndef PROMOTE_COMPOSE_CENSOR_H
#define PROMOTE_COMPOSE_CENSOR_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json/marks.h"

/* What stands for a value that must not be seen. */
#define SENSITIVE_MASK "(sensitive value)"

typedef struct Secrets Secrets;

/* How surely what is in a set is secret, and so how short a text may give it away. */
typedef enum SecretsKind
{
	SECRETS_DECLARED,			/* by people, in a schema: all of them, in all spellings */
	SECRETS_DERIVED,			/* by a tool, of whatever a secret went into */
	SECRETS_PARAMS				/* by people, and looked for beside their places: all spellings, no common words */
} SecretsKind;

extern Secrets *secrets_create(SecretsKind kind);
extern void secrets_add_marked(Secrets *secrets, const JsonbValue *value, const JsonMark *marks,
							   uint32 flag);
extern void secrets_finish(Secrets *secrets);
extern const Secrets *secrets_without(const Secrets *secrets, const Secrets *others);
extern bool secrets_hold(const Secrets *secrets, const JsonbValue *value);
extern const char *secrets_mask_text(const Secrets *secrets, const char *text, int *length);
extern const char *secrets_mask_path(const Secrets *secrets, const char *path);

#endif							/* PROMOTE_COMPOSE_CENSOR_H */
