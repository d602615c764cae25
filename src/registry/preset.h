/*
 * preset.h: named params that a release brings along.
 */
#ifndef PROMOTE_REGISTRY_PRESET_H
#define PROMOTE_REGISTRY_PRESET_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/sql.h"

extern Jsonb *preset_read(const Sql *sql, const char *bundle, const char *version, const char *name, bool read_only);

#endif							/* PROMOTE_REGISTRY_PRESET_H */
