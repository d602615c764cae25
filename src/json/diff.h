/*
 * diff.h: two documents, leaf by leaf.
 *
 * A document is seen as the map from its leaves' paths to their values, where
 * leaves are scalars and empty containers.  A change is a path that only one
 * of the maps has, or that has another value in each.
 */
#ifndef PROMOTE_JSON_DIFF_H
#define PROMOTE_JSON_DIFF_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json/marks.h"

typedef struct JsonChange
{
	const char *path;			/* jq style, lives until the collector returns */
	const JsonbValue *old_value;	/* NULL: added */
	const JsonbValue *new_value;	/* NULL: removed */
	uint32		flags;			/* marks of the location and of all above it */
} JsonChange;

typedef void (*JsonChangeCollector) (void *state, const JsonChange *change);

extern void json_leaf_diff_values(const JsonbValue *old_value, const JsonMark *old_marks,
								  const JsonbValue *new_value, const JsonMark *new_marks,
								  JsonChangeCollector collect, void *state);
extern void json_leaf_diff(const Jsonb *old_document, const JsonMark *old_marks,
						   const Jsonb *new_document, const JsonMark *new_marks,
						   JsonChangeCollector collect, void *state);
extern const char *json_change_name(const JsonChange *change);

#endif							/* PROMOTE_JSON_DIFF_H */
