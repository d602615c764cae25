/*
 * mask.h: what of documents must not be seen, by where their values come from.
 */
#ifndef PROMOTE_COMPOSE_MASK_H
#define PROMOTE_COMPOSE_MASK_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "compose/censor.h"
#include "json/diff.h"

/*
 * A flag of a change beside those of schemas: it is sensitive for the new value
 * alone, which is one that is marked elsewhere.
 */
#define MASK_NEW_ALONE	0x0100

typedef struct Mask Mask;

extern Mask *mask_create(const Jsonb *schema);
extern void mask_add_schema(Mask *mask, const Jsonb *schema);
extern void mask_add_origin(Mask *mask, const Jsonb *document, const Jsonb *kept);
extern void mask_add_pair(Mask *mask, const Jsonb *params, const Jsonb *rendered, const Jsonb *kept);
extern void mask_add_rendered(Mask *mask, const Jsonb *params, const Jsonb *rendered, const Jsonb *parameters,
							  const Jsonb *kept);
extern void mask_add_both(Mask *mask, const Jsonb *params, const Jsonb *parameters, const Jsonb *kept);
extern Secrets *mask_secrets(Mask *mask, SecretsKind kind);
extern bool mask_holds(Mask *mask, const JsonbValue *value);
extern void mask_leaf_diff(Mask *mask, const Jsonb *old_document, const Jsonb *new_document,
						   JsonChangeCollector collect, void *state);
extern JsonMark *mask_marks(const Mask *mask, const Jsonb *document);
extern bool mask_find(const Jsonb *document, const JsonMark *marks, const char *path, JsonbValue *value,
					  const JsonMark **found, uint32 *flags);
extern Jsonb *mask_value(Mask *mask, const JsonbValue *value, const JsonMark *marks);
extern Jsonb *mask_document(Mask *mask, const Jsonb *document);
extern Jsonb *mask_leaves(Mask *mask, const Jsonb *document);
extern Jsonb *mask_kept(Mask *mask, const Jsonb *schema, const Jsonb *params, const Jsonb *rendered,
						const Jsonb *known);
extern const JsonbValue *mask_shown(const JsonbValue *value, uint32 flags, JsonbValue *mask);

#endif							/* PROMOTE_COMPOSE_MASK_H */
