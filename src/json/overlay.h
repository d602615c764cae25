/*
 * overlay.h: documents split and joined along their marks.
 */
#ifndef PROMOTE_JSON_OVERLAY_H
#define PROMOTE_JSON_OVERLAY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json/marks.h"

/*
 * For each element of source the ordinal of the one of own that is the same,
 * or JSON_SPLICE_NONE, for the caller to free; NULL: they are told apart by
 * their position.
 */
typedef uint32 *(*JsonElementMatcher) (void *state, const JsonbValue *source, const JsonbValue *own);

extern Jsonb *json_remove_marked(const Jsonb *document, const JsonMark *marks,
								 uint32 mask);
extern Jsonb *json_keep_marked(const Jsonb *document, const JsonMark *marks, uint32 mask);
extern Jsonb *json_overlay_marked(const Jsonb *source, const JsonMark *source_marks,
								  const Jsonb *own, const JsonMark *own_marks,
								  uint32 mask, JsonElementMatcher match, void *state);

#endif							/* PROMOTE_JSON_OVERLAY_H */
