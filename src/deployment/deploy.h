/*
 * deploy.h: queueing deployments and rolling back, for verbs that do so to several instances.
 */
#ifndef PROMOTE_DEPLOYMENT_DEPLOY_H
#define PROMOTE_DEPLOYMENT_DEPLOY_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/deployment.h"
#include "promotion/stage.h"

/* deployment/deploy.c */
extern int32 deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan,
						  const char *message);
extern void deploy_unseen(const Sql *sql, const InstanceKey *key, int32 plan, const char *message);

/* deployment/rollback.c */
extern void rollback_stage(const Sql *sql, const InstanceKey *key, int32 revision, const char *message,
						   MemoryContext caller, Staged *staged);

#endif							/* PROMOTE_DEPLOYMENT_DEPLOY_H */
