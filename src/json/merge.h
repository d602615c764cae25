/*
 * merge.h: a patch on top of a document.
 */
#ifndef PROMOTE_JSON_MERGE_H
#define PROMOTE_JSON_MERGE_H

#include "postgres.h"

#include "json/writer.h"

/* What a null in the patch means. */
typedef enum JsonMergeNulls
{
	JSON_NULL_IS_VALUE,			/* null replaces, like any other value */
	JSON_NULL_REMOVES			/* null removes the key: RFC 7396 */
} JsonMergeNulls;

extern Jsonb *json_merge(const Jsonb *target, const Jsonb *patch, JsonMergeNulls nulls);

#endif							/* PROMOTE_JSON_MERGE_H */
