/*
 * deploy.h: queueing deployments, for verbs that deploy several instances.
 */
#ifndef PROMOTE_DEPLOYMENT_DEPLOY_H
#define PROMOTE_DEPLOYMENT_DEPLOY_H

#include "postgres.h"

#include "base/sql.h"
#include "promotion/deployment.h"

extern int32 deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan,
						  const char *message);

#endif							/* PROMOTE_DEPLOYMENT_DEPLOY_H */
