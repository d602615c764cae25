/*
 * deploy.h: queueing deployments and rolling back, for verbs that do so to several instances.
 */
#ifndef PROMOTE_DEPLOYMENT_DEPLOY_H
#define PROMOTE_DEPLOYMENT_DEPLOY_H

#include "postgres.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "gate/review.h"
#include "promotion/deployment.h"
#include "promotion/stage.h"

/* What is to be queued or proposed. */
typedef struct OrderRequest
{
	InstanceKey key;
	DeploymentAction action;
	DeploymentStatus status;	/* PENDING, or PROPOSED */
	int32		plan;			/* 0: none is named */
	const char *message;		/* NULL: none */
	const char *deploy_as;		/* of a PLAN that is to be deployed: by whose grants; NULL: it is not */
} OrderRequest;

/* A proposal that is decided. */
typedef struct Undecided
{
	const InstanceKey *key;
	int32		number;
	DeploymentAction action;
	char	   *stays;			/* why it stays a proposal; NULL: it does not */
} Undecided;

/* deployment/deploy.c */
extern int32 deploy_judge(const Sql *sql, Review *review, const OrderRequest *request, DeploymentOrder *order);
extern int32 deploy_order(const Sql *sql, const InstanceKey *key, DeploymentAction action, int32 plan,
						  const char *message);
extern void deploy_vote(const Sql *sql, GateCase *plans, int count, bool approved, const char *reason);
extern char *deploy_decide(const Sql *sql, const InstanceKey *key, int32 number, bool approved, const char *reason);
extern void deploy_decide_proposals(const Sql *sql, Undecided *proposals, int count, bool approved, const char *reason);
extern void deploy_unseen(const Sql *sql, const InstanceKey *key, int32 plan, const char *message);

/* deployment/rollback.c */
extern void rollback_stage(const Sql *sql, const InstanceKey *key, int32 revision, const char *message,
						   MemoryContext caller, Staged *staged);

#endif							/* PROMOTE_DEPLOYMENT_DEPLOY_H */
