/*
 * gate.h: what must hold before a deployment may run.
 */
#ifndef PROMOTE_GATE_GATE_H
#define PROMOTE_GATE_GATE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/sql.h"
#include "grant/actor.h"
#include "parse/name.h"
#include "promotion/deployment.h"

#define GATE_NO_TIME DT_NOEND	/* of since or until: not known */

/* What the gate source_in_sync looks at, a row of promote.instance_status. */
typedef struct SourceStatus
{
	char	   *status;
	TimestampTz since;			/* GATE_NO_TIME: not known */
	int32		deployed_revision;	/* 0: none is */
	char	   *deployed_version;	/* NULL with it */
	bytea	   *deployed_digest;	/* NULL with it */
	bytea	   *rendered_digest;	/* NULL with it */
} SourceStatus;

/*
 * What was read of many instances at once.  Where it says that a gate has
 * nothing to look at, the gate is open and reads nothing.
 */
typedef struct GateKnown
{
	bool		blocked;		/* is the release in promote_internal.blocked_release? */
	bool		declares;		/* does it declare secrets or slots for references? */
	bool		checks;			/* has the destination's environment required checks? */
	bool		differs;		/* is the destination in promote_internal.differing_instance? */
	bool		held;			/* is it in promote_internal.holding_request? */
	bool		proven;			/* does the source run the release? */
	bool		digested;		/* has the release an artifact digest? */
	const SourceStatus *source; /* NULL: not read */
	bool		supposed;		/* is the source only supposed to run what would be promoted, from now on? */

	/* of what is staged, and has a plan or not; all gates judge it */
	bool		staged;
	bool		of_bundle;		/* is the release of the component's bundle? */
	bool		recorded;		/* has the plan recorded changes? */
	bool		policies;		/* are there enabled policies for the environment? */
	bool		rules;			/* are there approval rules for it? */
} GateKnown;

/*
 * Says that a case is judged as things were at its time, of what was carried
 * out since, and not as they are.  Gates that look at the source or at what ran
 * have to heed it; report/backtest.c asks no others.
 */
typedef struct GatePast
{
	int32		running;		/* PROVISION that the instance ran by; 0: it ran nothing */
	const char *untold;			/* why history does not tell what a gate has asked; NULL: it does */
} GatePast;

/* What is judged, read once. */
typedef struct GateCase
{
	InstanceKey key;			/* the destination */
	const char *instance;		/* its name */
	DeploymentAction action;	/* PROVISION or DECOMMISSION: what would run */
	int32		deployment;		/* that was asked about: a PLAN, a proposal, ...; 0: none */
	int32		plan;			/* PLAN that would be followed; 0: none */
	bytea	   *plan_digest;	/* of that plan, or of what a DECOMMISSION takes away; NULL: none */
	int32		revision;		/* that would be deployed */
	bytea	   *digest;			/* of the revision's configuration */
	bytea	   *rendered_digest;	/* of that as it would be rendered; NULL: it is stored, and can be looked up */
	const char *bundle;
	const char *version;		/* release that would be deployed; NULL: there is none */
	const Jsonb *params;		/* rendered, of what is not stored yet; NULL: it is, or is not known */
	const Jsonb *references;	/* remote references that would be copied to it first; NULL: none */
	const List *secrets;		/* secrets that would be copied to it first: SecretCopy * */
	const char *source_environment; /* that the revision was promoted from; NULL: none */
	int32		source_revision;	/* 0 with it */
	bytea	   *source_digest;	/* of that revision's configuration; NULL with it */
	Jsonb	   *attributes;		/* effective */
	bool		path_only;		/* the environment's rules, as its columns are called */
	bool		require_source_in_sync;
	bool		require_no_drift;
	bool		require_expected;
	bool		require_proven_release;
	bool		require_no_reverts;
	bool		require_artifact_digest;
	const char *require_structure;	/* environment; NULL: none */
	bool		separation_of_duty;
	Interval   *required_soak;
	TimestampTz at;				/* what it is judged for */
	TimestampTz now;
	struct WindowSet *windows;	/* stops, freezes and change windows; NULL: not read yet, see window.c */
	const GateKnown *known;		/* NULL: nothing was read before */
	GatePast   *past;			/* NULL: it is judged as things are */
	List	   *blockers;		/* of Blocker *, in order */
} GateCase;

/* Which gates judge a case. */
typedef enum GatesAsked
{
	GATES_ALL,
	GATES_BESIDE_REVIEW,		/* not those of review.c, which has passed the case already */
	GATES_OF_TIME,
	GATES_EARLY,				/* those that can judge before there is a plan */
	GATES_UNSTAGED,				/* those that can judge before anything is staged: early ones, and that of requests */
	GATES_FORECAST				/* early ones, and that of approvals, as if there were a plan with the case's digest */
} GatesAsked;

/* One reason. */
typedef struct Blocker
{
	const char *code;
	const char *subject;		/* what it is about; "": the case as a whole */
	const char *message;
	TimestampTz since;			/* GATE_NO_TIME: not known */
	TimestampTz until;
	const char *liftable_by;	/* NULL: time alone */
	bool		overridable;
	bool		overridden;
	bool		broken;			/* is something wrong with the policy that should have judged? */
	int32		override_deployment;	/* the override's key; 0: none */
	int32		override;
} Blocker;

/* An order of many that are judged together, and its case. */
typedef struct GateOrder
{
	const InstanceKey *key;
	const DeploymentOrder *order;
	GateKnown	known;
	GateCase	gate;
} GateOrder;

/* Was it read of many that are staged, and says a flag of GateKnown that a gate has nothing to look at? */
#define GATE_KNOWS_NOTHING(gate, flag) ((gate)->known && (gate)->known->staged && !(gate)->known->flag)

/* gate/gate.c */
extern bool gate_provisions(const GateCase *gate);
extern bool gate_has_source(const GateCase *gate);
extern char *gate_source_name(const GateCase *gate);
extern char *gate_names(const SqlRows *rows, uint64 most);
extern TimestampTz gate_later(TimestampTz at, const Interval *span);
extern Blocker *gate_block(GateCase *gate, const char *code, const char *subject, TimestampTz since, TimestampTz until,
						   const char *liftable_by, const char *message);
extern bool gate_is_closed(const GateCase *gate);
extern void gate_build_reason(JsonBuilder *builder, const char *code, const char *message, TimestampTz until,
							  const char *liftable_by);
extern char *gate_reasons(const GateCase *gate);
extern void gate_refuse(const GateCase *gate);

/* gate/case.c */
extern void gate_open(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at, GateCase *gate);
extern void gate_open_all(const Sql *sql, GateCase *gates, int count);
extern void gate_open_asked(FunctionCallInfo fcinfo, const Sql *sql, const InstanceKey *key, GateCase *gate);
extern void gate_open_order(const Sql *sql, const InstanceKey *key, const DeploymentOrder *order, GateCase *gate);
extern void gate_open_orders(const Sql *sql, GateOrder *orders, int count);

/* gate/judge.c */
extern bool gate_is_overridable(const char *code);
extern void gate_judge(const Sql *sql, GateCase *gate, GatesAsked asked);
extern void gate_judge_unstaged(const Sql *sql, GateCase *gate);
extern void gate_judge_time(const Sql *sql, GateCase *gate, TimestampTz at);
extern void gate_require(const Sql *sql, GateCase *gate);
extern Jsonb *gate_verdict(const Sql *sql, const GateCase *gate);
extern Jsonb *gate_pass(const InstanceKey *key, int32 deployment);

/* gate/override.c */
extern bool override_may(const Sql *sql, const InstanceKey *key, const char *code, const Person *person);
extern void override_apply(const Sql *sql, GateCase *gate);

/* The gates, which judge.c lists: gate/static.c */
extern void gate_path(const Sql *sql, GateCase *gate);
extern void gate_component(const Sql *sql, GateCase *gate);
extern void gate_release(const Sql *sql, GateCase *gate);
extern void gate_artifact(const Sql *sql, GateCase *gate);
extern void gate_secrets(const Sql *sql, GateCase *gate);
extern void gate_references(const Sql *sql, GateCase *gate);

/* gate/window.c */
extern void gate_stopped(const Sql *sql, GateCase *gate);
extern void gate_freeze(const Sql *sql, GateCase *gate);
extern void gate_window(const Sql *sql, GateCase *gate);
extern void gate_budget(const Sql *sql, GateCase *gate);

/* gate/health.c */
extern void gate_soak(const Sql *sql, GateCase *gate);
extern void gate_health(const Sql *sql, GateCase *gate);

/* gate/state.c */
extern void gate_source_in_sync(const Sql *sql, GateCase *gate);
extern void gate_release_unproven(const Sql *sql, GateCase *gate);
extern void gate_reverts(const Sql *sql, GateCase *gate);
extern void gate_drift(const Sql *sql, GateCase *gate);
extern void gate_destructive(const Sql *sql, GateCase *gate);
extern void gate_unexpected(const Sql *sql, GateCase *gate);
extern void gate_request(const Sql *sql, GateCase *gate);

/* gate/structure.c */
extern void gate_structure(const Sql *sql, GateCase *gate);

/* gate/dependency.c */
extern void gate_dependency(const Sql *sql, GateCase *gate);

/* gate/policy.c */
extern void gate_policies(const Sql *sql, GateCase *gate);
extern void policy_require_function(Oid role, const char *name);
extern void policy_require_text(const Sql *sql, const char *body);
extern bool policy_judge(const Sql *sql, GateCase *gate, const char *name);
extern void policy_judge_text(const Sql *sql, GateCase *gate, const char *body);

/* gate/approval.c */
extern void gate_approval(const Sql *sql, GateCase *gate);

#endif							/* PROMOTE_GATE_GATE_H */
