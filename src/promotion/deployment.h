/*
 * deployment.h: deployments, which plan, provision or decommission, and their steps.
 */
#ifndef PROMOTE_PROMOTION_DEPLOYMENT_H
#define PROMOTE_PROMOTION_DEPLOYMENT_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/batch.h"
#include "base/compat.h"
#include "base/sql.h"
#include "compose/compose.h"
#include "ledger/audit.h"
#include "parse/name.h"

#define GATES_JUDGED_EVENT "gates.judged"	/* in the audit log */

/* The actions of deployments. */
typedef enum DeploymentAction
{
	ACTION_NONE,				/* no action, or an unknown one */
	ACTION_PLAN, ACTION_PROVISION, ACTION_DECOMMISSION
} DeploymentAction;

/* The states of deployments. */
typedef enum DeploymentStatus
{
	DEPLOYMENT_NONE,			/* no deployment, or an unknown state */
	DEPLOYMENT_PROPOSED, DEPLOYMENT_PENDING, DEPLOYMENT_APPROVED, DEPLOYMENT_RUNNING,
	DEPLOYMENT_REJECTED, DEPLOYMENT_COMPLETED, DEPLOYMENT_FAILED, DEPLOYMENT_ABORTED
} DeploymentStatus;

/* The names of actions and states in SQL, for sql_enum; NULL for none. */
extern const char *const deployment_actions[];
extern const char *const deployment_statuses[];

/* The content of a new deployment. */
typedef struct DeploymentOrder
{
	DeploymentAction action;
	DeploymentStatus status;	/* PENDING or PROPOSED */
	int32		revision;
	const Carried *base;		/* what the diff starts from; NULL: nothing */
	const char *bundle;
	const char *version;
	bytea	   *rendered_digest;
	const Jsonb *references;	/* remote ones; NULL: none */
	const Jsonb *diff;
	const Jsonb *kept;			/* paths that stay marked in what it renders; NULL: those of the revision only */
	bool		destructive;
	bool		reverts;		/* does an entry of the diff say so? */
	int32		plan;			/* number of the plan that it follows; 0: none */
	bytea	   *plan_digest;	/* that plan's; NULL: no plan */
	const char *deploy_as;		/* of a PLAN: the role by whose grants it is deployed then; NULL: it is not */
	const char *message;		/* NULL: none */
	Jsonb	   *gates;			/* how the gates were judged; NULL: they were not */
} DeploymentOrder;

/* The columns of a deployment that its steps depend on. */
typedef struct Deployment
{
	InstanceKey key;
	int32		deployment;
	DeploymentAction action;
	DeploymentStatus status;
	int32		revision;
	char	   *version;
	bytea	   *rendered_digest;
	Jsonb	   *references;		/* remote ones; NULL: none */
	int32		plan;			/* 0: none */
	bytea	   *plan_digest;	/* NULL: none */
	char	   *approved_by;	/* who approved the proposal; NULL: nobody, or it was none */
	char	   *deploy_as;		/* of a PLAN: the role by whose grants it is deployed then; NULL: it is not */
	char	   *worker;			/* NULL: never claimed */
	int32		fencing;
	TimestampTz due_at;			/* DT_NOEND: the deployment is not due */
	int32		seen_change;	/* 0: never claimed, or claimed before any change */
	char	   *plan_defects;	/* NULL: none */
} Deployment;

extern DeploymentAction argument_action(const char *name);
extern bool deployment_lock(const Sql *sql, const InstanceKey *key, int32 deployment, bool emergency);
extern void deployment_stand_behind(const InstanceKey *key, int32 deployment);
extern Jsonb *deployment_insert(const Sql *sql, const InstanceKey *key, int32 deployment,
								const DeploymentOrder *order);
extern void deployment_begin_batch(Batch *batch);
extern void deployment_put(Batch *batch, const InstanceKey *key, int32 deployment, const DeploymentOrder *order);
extern SqlRows deployment_write(const Sql *sql, Batch *batch);
extern Jsonb *deployment_gates(int32 deployment, const Jsonb *gates);
extern void deployment_queue(const Sql *sql, const InstanceKey *key, int32 deployment, AuditHead *head,
							 const DeploymentOrder *order);
/* A deployment that is queued with others. */
typedef struct QueuedOrder
{
	const InstanceKey *key;
	int32		deployment;
	AuditHead  *head;
	const DeploymentOrder *order;
} QueuedOrder;

extern void deployment_queue_all(const Sql *sql, const QueuedOrder *orders, int count);
extern bool deployment_find(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found);
extern void deployment_load(const Sql *sql, const InstanceKey *key, int32 deployment, Deployment *found);
extern bool deployment_carries(const Sql *sql, const InstanceKey *key, int32 deployment, bool read_only,
							   Carried *carried);
extern List *deployments_running(const Sql *sql, const InstanceKey *key, int32 deployed_by, bool read_only);
extern void deployments_running_of(const Sql *sql, Batch *instances, Shared *shared, List **running);
extern const Carried *deployment_running(const List *deployed, int32 deployed_by);
extern int32 deployment_last(const Sql *sql, const InstanceKey *key);
pg_noreturn extern void refuse_unknown_deployment(const Sql *sql, const InstanceKey *key, int32 deployment);
extern bytea *decommission_digest(const bytea *rendered_digest, int32 changed_by);
extern Datum deployment_step(const Sql *sql, const Deployment *deployment, DeploymentStatus status,
							 const char *reason);
extern Datum deployment_row(const Sql *sql, const InstanceKey *key, int32 deployment);
extern Datum deployment_result(Sql *scope, Datum row);

#endif							/* PROMOTE_PROMOTION_DEPLOYMENT_H */
