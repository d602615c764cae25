/*
 * begin.h: when a deployment may begin.
 */
#ifndef PROMOTE_DEPLOYMENT_BEGIN_H
#define PROMOTE_DEPLOYMENT_BEGIN_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/deployment.h"

extern void begin_hold(const InstanceKey *key, DeploymentAction action, const char *bundle, const char *version);
extern bool begin_is_held(const Sql *sql, const InstanceKey *key, int32 deployment, DeploymentAction action,
						  TimestampTz *until);

#endif							/* PROMOTE_DEPLOYMENT_BEGIN_H */
