/*
 * worker.h: the claims of workers.
 */
#ifndef PROMOTE_DEPLOYMENT_WORKER_H
#define PROMOTE_DEPLOYMENT_WORKER_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "promotion/deployment.h"

extern void claim_load(FunctionCallInfo fcinfo, int fencing_argument, bool row_alone, Sql *scope,
					   Deployment *deployment);

#endif							/* PROMOTE_DEPLOYMENT_WORKER_H */
