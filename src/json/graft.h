/*
 * graft.h: what changed between two documents, carried over to a third.
 */
#ifndef PROMOTE_JSON_GRAFT_H
#define PROMOTE_JSON_GRAFT_H

#include "postgres.h"

#include "utils/jsonb.h"

extern Jsonb *json_carry(const Jsonb *document, const Jsonb *before, const Jsonb *after,
						 char **paths, int count);

#endif							/* PROMOTE_JSON_GRAFT_H */
