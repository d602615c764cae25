/*
 * rollback.h: going back to what ran before, for verbs that roll back several
 * instances.
 */
#ifndef PROMOTE_DEPLOYMENT_ROLLBACK_H
#define PROMOTE_DEPLOYMENT_ROLLBACK_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/stage.h"

extern void rollback_stage(const Sql *sql, const InstanceKey *key, int32 revision, const char *message,
						   MemoryContext caller, Staged *staged);

#endif							/* PROMOTE_DEPLOYMENT_ROLLBACK_H */
