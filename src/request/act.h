/*
 * act.h: what a call of the motor of requests does with their items,
 * and what it notes of that.
 */
#ifndef PROMOTE_REQUEST_ACT_H
#define PROMOTE_REQUEST_ACT_H

#include "postgres.h"

#include "base/sql.h"
#include "nodes/pg_list.h"
#include "request/request.h"

/* What was done with items, for the audit log. */
typedef enum Move
{
	STAGED, PLANNED, DEPLOYING, DEPLOYED, DONE, SKIPPED, FAILED, ROLLED_BACK, MOVES
} Move;

/* A call. */
typedef struct Advance
{
	PromotionRequest request;
	RequestItem *items;			/* of the wave, or to be rolled back */
	int			count;
	List	   *moves[MOVES];	/* components */
	int32		moved;
	int			waits;			/* how many there are, of which the request has the first */
	int			open;			/* items that are not over */
	int			in_flight;		/* of these, that a worker or time moves on */
	int			failed;
	char	   *failure;		/* what failed first */

	/* what is tried */
	RequestItem *item;
	void		(*act) (const Sql *sql, struct Advance *advance, RequestItem *item);
	const char *refused;		/* why nothing was done, although nothing was raised; NULL: it was done */
} Advance;

extern bool advance_is_shown(Advance *advance);
extern void advance_wait_for(Advance *advance, const char *words);
extern char *advance_name_of(const Advance *advance, const RequestItem *item);
extern void advance_block(Advance *advance, const RequestItem *item, const char *reason);
extern void advance_in_flight(Advance *advance, const RequestItem *item, const char *what,
							  int32 deployment, const char *status, const char *worker);
extern void advance_queued(Advance *advance, const RequestItem *item, const char *what,
						   int32 deployment);
extern void advance_save(Advance *advance, int move, RequestItem *item, const char *status);
extern void advance_fail(Advance *advance, RequestItem *item, const char *reason);
extern bool deployment_has_failed(const char *status);
extern char *deployment_ending(const char *what, int32 deployment, const char *status,
								const char *reason);

extern void act_stage(const Sql *sql, Advance *advance, RequestItem *item);
extern void act_plan(const Sql *sql, Advance *advance, RequestItem *item);
extern void act_deploy(const Sql *sql, Advance *advance, RequestItem *item);
extern bool request_has_run(const RequestItem *item);
extern void act_rollback(const Sql *sql, Advance *advance, RequestItem *item);
extern bool act_on(Advance *advance, RequestItem *item, void (*act) (const Sql *, Advance *, RequestItem *));
extern bool act_on_all(Advance *advance, const char *status, void (*act) (const Sql *, Advance *, RequestItem *));

#endif							/* PROMOTE_REQUEST_ACT_H */
