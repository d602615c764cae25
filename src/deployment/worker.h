/*
 * worker.h: the claims of workers.
 */
#ifndef PROMOTE_DEPLOYMENT_WORKER_H
#define PROMOTE_DEPLOYMENT_WORKER_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/sql.h"
#include "promotion/deployment.h"

#define LEASE (5 * USECS_PER_MINUTE)	/* where none is given */

extern TimestampTz time_ahead(FunctionCallInfo fcinfo, int argument, const char *name, int64 least, int64 otherwise);
/* Does the claim with that number of the deployment d hold at a time? */
#define CLAIM_HOLDS(fencing, now) "d.fencing = " fencing " AND d.status = 'RUNNING' AND d.due_at > " now

pg_noreturn extern void claim_refuse(const Deployment *deployment, int32 fencing);
extern void claim_load(FunctionCallInfo fcinfo, int fencing_argument, bool row_alone, Sql *scope,
					   Deployment *deployment);

#endif							/* PROMOTE_DEPLOYMENT_WORKER_H */
