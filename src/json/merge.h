/*
 * merge.h: two documents into one, by the marks or by a patch.
 */
#ifndef PROMOTE_JSON_MERGE_H
#define PROMOTE_JSON_MERGE_H

#include "postgres.h"

#include "json/marks.h"
#include "json/writer.h"

/* What a null in the patch means. */
typedef enum JsonMergeNulls
{
	JSON_NULL_IS_VALUE,			/* null replaces, like any other value */
	JSON_NULL_REMOVES			/* null removes the key: RFC 7396 */
} JsonMergeNulls;

extern Jsonb *json_merge(const Jsonb *target, const Jsonb *patch, JsonMergeNulls nulls);
extern Jsonb *json_remove_marked(const Jsonb *document, const JsonMark *marks,
								 uint32 mask);
extern Jsonb *json_overlay_marked(const Jsonb *source, const JsonMark *source_marks,
								  const Jsonb *own, const JsonMark *own_marks,
								  uint32 mask);

#endif							/* PROMOTE_JSON_MERGE_H */
