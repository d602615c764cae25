/*
 * request.h: promotions of a scope, from one environment to another, in waves.
 */
#ifndef PROMOTE_REQUEST_REQUEST_H
#define PROMOTE_REQUEST_REQUEST_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "base/attempt.h"
#include "base/sql.h"
#include "grant/actor.h"
#include "json/builder.h"
#include "ledger/audit.h"
#include "parse/name.h"
#include "promotion/deployment.h"
#include "promotion/promotion.h"

#define OF_REQUEST(as) as ".project = $1 AND " as ".request = $2"
#define AS_REQUEST(of) AS_TEXT((of)->project), AS_INT((of)->number)

#define REQUEST_SHOWN 20		/* instances that a message names before it counts the rest */

/* How far a request has come. */
typedef enum RequestStatus
{
	REQUEST_NONE,
	REQUEST_OPEN, REQUEST_RUNNING, REQUEST_BLOCKED, REQUEST_PAUSED, REQUEST_FAILED,
	REQUEST_ROLLING_BACK, REQUEST_ROLLED_BACK, REQUEST_COMPLETED, REQUEST_SKIPPED, REQUEST_CANCELLED
} RequestStatus;

/* The order in which items go; the first is the default. */
typedef enum RequestStrategy
{
	STRATEGY_NONE,
	STRATEGY_ONE_BY_ONE, STRATEGY_WAVES, STRATEGY_CANARY, STRATEGY_ALL_AT_ONCE
} RequestStrategy;

/* What is rolled back if something fails; the first is the default. */
typedef enum RollbackMode
{
	ROLLBACK_UNKNOWN,
	ROLLBACK_NOTHING, ROLLBACK_WAVE, ROLLBACK_ALL
} RollbackMode;

/* How far an item of a request has come. */
typedef enum ItemStatus
{
	ITEM_NONE,
	ITEM_PENDING, ITEM_STAGED, ITEM_DEPLOYING, ITEM_VERIFYING, ITEM_DONE, ITEM_SKIPPED, ITEM_FAILED,
	ITEM_ROLLING_BACK, ITEM_ROLLED_BACK
} ItemStatus;

/* The names of these in SQL, see sql_enum. */
extern const char *const request_statuses[];
extern const char *const request_strategies[];
extern const char *const rollback_modes[];
extern const char *const item_statuses[];

#define BIT(status) (1 << (status)) /* of a status, in a set of statuses */

/* A row of promote.promotion_request, as far as the verbs need it; what it points to lives in context. */
typedef struct PromotionRequest
{
	MemoryContext context;
	char	   *project;
	int32		number;
	char	   *source_environment;
	char	   *destination_environment;
	Jsonb	   *selector;		/* NULL: none */
	Jsonb	   *overrides;		/* by component */
	Jsonb	   *choice;			/* what of each source is taken, see choice_read */
	Jsonb	   *choices;		/* by component, what goes over that */
	RequestStrategy strategy;
	RollbackMode rollback_mode;
	char	   *message;		/* recorded with what it stages */
	bool		include_other_changes;
	bool		pin;			/* promote what the sources run, whatever their constraints? */
	Carry		carry;			/* what else is copied from the source */
	bool		reprovision;	/* may it bring back what was decommissioned? */
	bool		window_open;	/* is now within the execution window? */
	char	   *window;			/* says when it opens, or that it is over; NULL: it is open or empty */

	RequestStatus status;
	int32		wave;			/* 0: it has not begun */
	bool		started;
	bool		rolling_back;
	char	   *reason;			/* NULL: none */
	int32		preview;		/* 0: none was taken */
	Person		opener;			/* who has asked for all that it does */
	AuditHead	head;			/* of its chain */
	List	   *waits;			/* what it waits for, RequestWait *: written with its status */
} PromotionRequest;

/* Something that a request waits for. */
typedef struct RequestWait
{
	const char *code;			/* stable, for programs */
	char	   *message;
	int32		wave;			/* 0: it is about no item, and has no instance */
	char	   *instance;		/* the item's */
	char	   *refusal;		/* SQLSTATE of what was refused; NULL: nothing was */
} RequestWait;

/* Where a deployment of an item stands. */
typedef struct ItemDeployment
{
	int32		number;			/* 0: there is none */
	DeploymentStatus status;
	const char *worker;			/* NULL: none has it */
	const char *reason;
} ItemDeployment;

/* A row of its items, with where its deployments stand. */
typedef struct RequestItem
{
	char	   *component;
	int32		wave;			/* 0: none */
	ItemStatus	status;
	Jsonb	   *skip_reason;	/* code and message; NULL: none */
	bytea	   *preview_digest; /* NULL: it was not previewed */
	int32		source_revision;
	int32		base_revision;
	const char *version;
	bytea	   *rendered_digest;	/* NULL: it was not previewed, or nothing would be staged */
	int32		previous_revision;
	int32		revision;
	int32		plan;
	int32		deployment;
	int32		rollback_revision;
	int32		rollback_plan;
	int32		rollback_deployment;
	const char *reason;

	/* read together with the row */
	int32		desired;		/* the revision that the destination desires; 0: none, or there is no instance */
	bool		is_pair;		/* are both instances there? */
	ItemDeployment planned;		/* the last plan of what is to be deployed */
	bool		as_previewed;	/* is that of the release and the params that were previewed? */
	ItemDeployment queued;		/* the deployment of that */
	bool		queued_began;	/* has a worker begun to carry it out, and not ended before the item was staged? */
	bool		soaked;
	const char *soaks_until;	/* for people */

	bool		plan_moved;		/* was it refused because its plan does not hold any more? */
} RequestItem;

/* Which items are read. */
typedef enum RequestPart
{
	PART_WAVE,					/* those of the current wave that are not over */
	PART_RELAPSED,				/* those of the current wave that are done and were reported unhealthy since */
	PART_ROLLBACK,				/* those up to the current wave that were begun and are not over */
	PART_ALL
} RequestPart;

/* What is known of the health of what was deployed. */
typedef enum RequestHealth
{
	REQUEST_HEALTHY,
	REQUEST_UNVERIFIED,			/* not yet reported healthy */
	REQUEST_UNHEALTHY
} RequestHealth;

/* What promoting an item would do. */
typedef struct ItemProposal
{
	Promotion	promotion;
	Jsonb	   *skip_reason;	/* code and message; NULL: it would be promoted, and the members below are set */
	const char *other_changes;	/* NULL: none ride along */
	int32		deployed_revision;	/* 0: nothing runs */
	bytea	   *source_digest;
	bytea	   *rendered_digest;
	Jsonb	   *diff;			/* masked */
	List	   *obstacles;		/* ItemObstacle *: why it cannot be staged */
} ItemProposal;

/* Why an item cannot be staged, with a code as gates have. */
typedef struct ItemObstacle
{
	const char *code;
	char	   *message;
} ItemObstacle;

/* request.c */
extern void argument_request(FunctionCallInfo fcinfo, PromotionRequest *request);
extern void request_read(const Sql *sql, PromotionRequest *request);
extern void request_open(FunctionCallInfo fcinfo, Sql *scope, bool emergency, const char *action,
						 PromotionRequest *request);
extern void request_look(FunctionCallInfo fcinfo, Sql *scope, PromotionRequest *request);
extern char *request_subject(const PromotionRequest *request);
extern InstanceKey request_instance(const PromotionRequest *request, const char *component);
extern char *request_instance_name(const PromotionRequest *request, const char *component);
extern void request_choice(const PromotionRequest *request, const char *component, Choice *choice);
extern Jsonb *request_choice_document(const PromotionRequest *request, const char *component);
extern void request_facts(JsonBuilder *facts, const PromotionRequest *request);
extern void request_record(const Sql *sql, PromotionRequest *request, const char *event, JsonBuilder *facts);
extern void request_set_status(const Sql *sql, PromotionRequest *request, RequestStatus status, const char *reason);
extern void request_require_status(const PromotionRequest *request, int allowed, const char *verb);
extern void request_abort_queued(const Sql *sql, const PromotionRequest *request, const char *reason);
extern bool request_is_over(const PromotionRequest *request);
extern char *request_copy(const PromotionRequest *request, const char *text);
extern Jsonb *request_copy_document(const PromotionRequest *request, const Jsonb *document);
extern Jsonb *request_waits(const PromotionRequest *request);
extern Jsonb *skip_reason(const char *code, const char *message);
extern char *skip_message(const Jsonb *reason);
extern Datum request_result(Sql *scope, const PromotionRequest *request);

/* request/item.c */
extern RequestItem *request_items(const Sql *sql, const PromotionRequest *request, RequestPart part, int *count);
extern void request_save_item(const Sql *sql, const PromotionRequest *request, const RequestItem *item);
extern RequestHealth request_health(const Sql *sql, const PromotionRequest *request, const RequestItem *item,
									char **words);

/* request/preview.c */
extern void request_propose(const Sql *sql, const PromotionRequest *request, const RequestItem *item,
							ItemProposal *proposal);
extern bool request_is_as_previewed(const PromotionRequest *request, const RequestItem *item,
									const ItemProposal *proposal);
extern bool request_is_as_staged(const PromotionRequest *request, const RequestItem *item,
								 const ItemProposal *proposal);
extern bool request_leaves_alone(const Sql *sql, const PromotionRequest *request, const RequestItem *item);
extern Jsonb *request_left_scope(const Sql *sql, const PromotionRequest *request, const RequestItem *item);

#endif							/* PROMOTE_REQUEST_REQUEST_H */
