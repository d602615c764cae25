/*
 * gate.h: what must hold before a deployment may run.
 */
#ifndef PROMOTE_GATE_GATE_H
#define PROMOTE_GATE_GATE_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/deployment.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define GATE_NO_TIME DT_NOEND	/* of since or until: not known */

/* What is judged, read once. */
typedef struct GateCase
{
	InstanceKey key;			/* the destination */
	const char *instance;		/* its name */
	const char *action;			/* PROVISION or DECOMMISSION: what would run */
	int32		deployment;		/* the one asked for: a PLAN, a proposal, ...; 0: none */
	int32		plan;			/* PLAN that would be followed; 0: none */
	bytea	   *plan_digest;	/* of that one; of a DECOMMISSION of what it takes away; NULL: none */
	int32		revision;		/* that would be deployed */
	const char *origin;			/* of the revision: edit, promotion, rollback, ... */
	bytea	   *digest;			/* of the revision's configuration */
	const char *bundle;
	const char *version;		/* release that would be deployed; NULL: there is none */
	const Jsonb *references;	/* remote ones that would come to it first; NULL: none */
	const List *secrets;		/* the same of secrets: SecretCopy * */
	const char *source_environment; /* another one that the revision was promoted from; NULL: none */
	int32		source_revision;	/* 0 with it */
	bytea	   *source_digest;	/* of that revision's configuration; NULL with it */
	TimestampTz revised_at;		/* when the revision was made */
	Jsonb	   *attributes;		/* effective: of project, environment, component, instance */
	bool		path_only;		/* the environment's rules, as its columns are called */
	bool		require_source_in_sync;
	bool		require_no_drift;
	bool		require_expected;
	bool		separation_of_duty;
	Interval   *required_soak;
	TimestampTz at;				/* what it is judged for */
	TimestampTz now;
	struct WindowSet *windows;	/* that time is judged by; NULL: not read yet, see window.c */
	List	   *blockers;		/* of Blocker *, in order */
} GateCase;

/* One reason. */
typedef struct Blocker
{
	const char *code;
	const char *subject;		/* what it is about, "" for nothing else than the case */
	const char *message;
	TimestampTz since;			/* GATE_NO_TIME: not known */
	TimestampTz until;
	const char *liftable_by;	/* NULL: time alone */
	bool		overridable;
	bool		overridden;
	int32		override_deployment;	/* the override's key; 0: none */
	int32		override;
} Blocker;

/* What a gate is about. */
typedef enum GateKind
{
	GATE_STATIC, GATE_TIME, GATE_STATE, GATE_PEOPLE, GATE_LOCK
} GateKind;

/* gate.c */
extern void gate_block(GateCase *gate, const char *code, bool overridable, TimestampTz since,
					   TimestampTz until, const char *liftable_by, const char *message);
extern void gate_about(GateCase *gate, const char *subject);
extern bool gate_is_closed(const GateCase *gate);
extern char *gate_reasons(const GateCase *gate);
extern void gate_refuse(const GateCase *gate);

/* gate/case.c */
extern void gate_open(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at, GateCase *gate);
extern void gate_open_order(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order, GateCase *gate);

/* gate/judge.c */
extern bool gate_is_overridable(const char *code);
extern void gate_judge(const Sql *sql, GateCase *gate, bool reviewed);
extern void gate_judge_early(const Sql *sql, GateCase *gate);
extern void gate_judge_time(const Sql *sql, GateCase *gate, TimestampTz at);
extern void gate_require(const Sql *sql, GateCase *gate);
extern Jsonb *gate_verdict(const Sql *sql, const GateCase *gate);
extern Jsonb *gate_pass(const InstanceKey *key, int32 deployment);

#endif							/* PROMOTE_GATE_GATE_H */
