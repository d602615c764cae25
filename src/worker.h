/*
 * worker.h: the claims of workers.
 */
#ifndef PROMOTE_WORKER_H
#define PROMOTE_WORKER_H

#include "postgres.h"

#include "compat.h"
#include "deployment.h"
#include "fmgr.h"

extern void claim_require(const Deployment *deployment, int32 fencing);
extern void claim_load(FunctionCallInfo fcinfo, int fencing_argument, SpiScope *scope,
					   Deployment *deployment);

#endif							/* PROMOTE_WORKER_H */
