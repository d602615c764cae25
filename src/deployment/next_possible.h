/*
 * next_possible.h: when something may begin.
 */
#ifndef PROMOTE_DEPLOYMENT_NEXT_POSSIBLE_H
#define PROMOTE_DEPLOYMENT_NEXT_POSSIBLE_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "utils/timestamp.h"

extern bool secret_is_lacking(const Sql *sql, const InstanceKey *key, int32 deployment);
extern bool window_holds(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at,
						 TimestampTz *until);

#endif							/* PROMOTE_DEPLOYMENT_NEXT_POSSIBLE_H */
