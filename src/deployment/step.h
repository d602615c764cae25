/*
 * step.h: when a deployment may begin, refusing its steps, and making it due.
 */
#ifndef PROMOTE_DEPLOYMENT_STEP_H
#define PROMOTE_DEPLOYMENT_STEP_H

#include "postgres.h"

#include "base/compat.h"
#include "base/sql.h"
#include "promotion/deployment.h"

/* deployment/step.c */
pg_noreturn extern void refuse_step(const InstanceKey *key, int32 deployment, DeploymentStatus from, const char *to);
extern void set_due(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz due_at);

/* deployment/begin.c */
extern void begin_hold(const InstanceKey *key, DeploymentAction action, const char *bundle, const char *version);
extern bool begin_is_held(const Sql *sql, const InstanceKey *key, int32 deployment, DeploymentAction action,
						  TimestampTz *until);

#endif							/* PROMOTE_DEPLOYMENT_STEP_H */
