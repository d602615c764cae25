/*
 * deploy.h: queueing deployments, for verbs that have several instances
 * deployed.
 */
#ifndef PROMOTE_DEPLOY_H
#define PROMOTE_DEPLOY_H

#include "postgres.h"

#include "name.h"

extern int32 deploy_order(const InstanceKey *key, const char *action, int32 plan,
						  const char *message);

#endif							/* PROMOTE_DEPLOY_H */
