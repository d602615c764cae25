/*
 * step.h: refusing steps of deployments, and making them due.
 */
#ifndef PROMOTE_DEPLOYMENT_STEP_H
#define PROMOTE_DEPLOYMENT_STEP_H

#include "postgres.h"

#include "base/compat.h"
#include "base/sql.h"
#include "promotion/deployment.h"

pg_noreturn extern void refuse_step(const InstanceKey *key, int32 deployment, DeploymentStatus from, const char *to);
extern void set_due(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz due_at);

#endif							/* PROMOTE_DEPLOYMENT_STEP_H */
