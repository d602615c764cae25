/*
 * merge.h: a patch on top of a document.
 */
#ifndef PROMOTE_JSON_MERGE_H
#define PROMOTE_JSON_MERGE_H

#include "postgres.h"

#include "utils/jsonb.h"

/* What a null in the patch means. */
typedef enum JsonMergeNulls
{
	JSON_NULL_IS_VALUE,			/* null replaces, like any other value */
	JSON_NULL_REMOVES			/* null removes the key: RFC 7396 */
} JsonMergeNulls;

/* What becomes of an array where the patch has one, too. */
typedef enum JsonMergeArrays
{
	JSON_ARRAYS_REPLACE,		/* the patch's takes its place */
	JSON_ARRAYS_APPEND,			/* the patch's elements come behind it */
	JSON_ARRAYS_BY_KEY			/* elements of the same name merge */
} JsonMergeArrays;

typedef struct JsonMergeRules
{
	JsonMergeNulls nulls;
	JsonMergeArrays arrays;
	const char *key;			/* of JSON_ARRAYS_BY_KEY; not NUL-terminated */
	int			key_length;
} JsonMergeRules;

extern Jsonb *json_merge(const Jsonb *target, const Jsonb *patch, const JsonMergeRules *rules);
extern bool json_patch_makes_objects(const Jsonb *target, const Jsonb *patch);
extern Jsonb *json_merge_patch(const Jsonb *target, const Jsonb *patch);

#endif							/* PROMOTE_JSON_MERGE_H */
