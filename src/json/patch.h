/*
 * patch.h: JSON Patch, RFC 6902, applied to documents.
 */
#ifndef PROMOTE_JSON_PATCH_H
#define PROMOTE_JSON_PATCH_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

extern Jsonb *json_apply_patch(const Jsonb *document, const Jsonb *patch);
extern Jsonb *json_try_patch(const Jsonb *document, const Jsonb *patch, const char *blind);
extern List *json_patch_places(const Jsonb *patch, List **arrays);

/* Is a document an array, as a JSON Patch is and a merge patch is not? */
static inline bool
json_is_patch(const Jsonb *document)
{
	return JB_ROOT_IS_ARRAY(document) && !JB_ROOT_IS_SCALAR(document);
}

#endif							/* PROMOTE_JSON_PATCH_H */
