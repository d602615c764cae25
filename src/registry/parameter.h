/*
 * parameter.h: what placeholders of an environment are rendered with.
 */
#ifndef PROMOTE_REGISTRY_PARAMETER_H
#define PROMOTE_REGISTRY_PARAMETER_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"

extern Jsonb *parameters_marked(Jsonb *parameters, const ArrayType *sensitive);
extern Jsonb *parameters_of(const char *project, const char *environment, Snapshot snapshot);

#endif							/* PROMOTE_REGISTRY_PARAMETER_H */
