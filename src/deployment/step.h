/*
 * step.h: when a deployment may begin, refusing its steps, and making it due.
 */
#ifndef PROMOTE_DEPLOYMENT_STEP_H
#define PROMOTE_DEPLOYMENT_STEP_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "base/batch.h"
#include "base/compat.h"
#include "base/sql.h"
#include "gate/window.h"
#include "promotion/deployment.h"

/* What deployments that begin have in common, read once.  Begins as zeros, and lives as long as the scope. */
typedef struct Beginning
{
	List	   *windows;		/* the rules of environments: EnvironmentWindows * */
	Datum		view;			/* taken before any rules were read; 0: none yet */
} Beginning;

/* deployment/step.c */
pg_noreturn extern void refuse_step(const InstanceKey *key, int32 deployment, DeploymentStatus from, const char *to);
extern void set_due_begin(Batch *due);
extern void set_due(const Sql *sql, Batch *due);

/* deployment/begin.c */
extern void begin_hold(Beginning *beginning, const InstanceKey *key, DeploymentAction action, const char *bundle,
					   const char *version);
extern WindowSet *begin_windows(const Sql *sql, Beginning *beginning, const InstanceKey *key);
extern bool begin_lacks_secret(const Sql *sql, const InstanceKey *key, int32 deployment);
extern bool begin_awaits(const Sql *sql, const InstanceKey *key, int32 deployment);
extern bool begin_is_held(const Sql *sql, Beginning *beginning, const InstanceKey *key, int32 deployment,
						  bool lacks_secret, bool awaits, TimestampTz *until);

#endif							/* PROMOTE_DEPLOYMENT_STEP_H */
