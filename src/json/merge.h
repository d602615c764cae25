/*
 * merge.h: a patch on top of a document, and what changed between two carried over to a third.
 */
#ifndef PROMOTE_JSON_MERGE_H
#define PROMOTE_JSON_MERGE_H

#include "postgres.h"

#include "utils/jsonb.h"

extern bool json_patch_makes_objects(const Jsonb *target, const Jsonb *patch);
extern Jsonb *json_merge_patch(const Jsonb *target, const Jsonb *patch);
extern Jsonb *json_lay_over(const Jsonb *below, const Jsonb *above);
extern Jsonb *json_lay_within(const Jsonb *below, const Jsonb *above);
extern Jsonb *json_carry(const Jsonb *document, const Jsonb *before, const Jsonb *after,
						 char **paths, int count);

#endif							/* PROMOTE_JSON_MERGE_H */
