/*
 * act.h: what a call of promote.advance_request does with items, and what it
 * notes of that.
 */
#ifndef PROMOTE_REQUEST_ACT_H
#define PROMOTE_REQUEST_ACT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/sql.h"
#include "request/request.h"

/* What was done with an item, for the audit log. */
typedef enum ItemMove
{
	MOVE_NONE,
	MOVE_STAGED, MOVE_PLANNED, MOVE_DEPLOYING, MOVE_DEPLOYED, MOVE_DONE, MOVE_SKIPPED, MOVE_FAILED, MOVE_ROLLED_BACK,
	MOVES
} ItemMove;

/* A call of promote.advance_request. */
typedef struct Advance
{
	PromotionRequest request;
	RequestItem *items;			/* of the wave, or to be rolled back */
	int			count;
	List	   *moves[MOVES];	/* the components of the items moved so, char * */
	int32		moved;
	int			waits;			/* how many things are waited for; the request has the first of them */
	int			in_flight;		/* items that wait for a worker or for time */
	int			failed;
	bool		together;		/* are all items of the wave to be staged at once, and held to what was? */
	bool		holds;			/* may it have locked instances? */
	char	   *failure;		/* the first failure, in words; NULL: none */
} Advance;

/* Why something is not done. */
typedef struct NotDone
{
	const char *code;			/* stable, for programs */
	char	   *message;
	char	   *refusal;		/* SQLSTATE of an error; NULL: there was none */
} NotDone;

/* Something that is done with an item, in a scope. */
typedef struct Act
{
	/* returns why it is not done; NULL: it is done; may raise an error, too */
	const NotDone *(*step) (const Sql *sql, Advance *advance, RequestItem *item);
	ItemMove	move;			/* unless it is skipped, done or rolled back by it; MOVE_NONE: nothing is written */
} Act;

extern const Act act_stage;
extern const Act act_plan;
extern const Act act_deploy;
extern const Act act_rollback;

/* Note what an item waits for: (advance, item, code, format, ...); beyond REQUEST_SHOWN of these only count. */
#define advance_wait(advance, item, code, ...) \
	((advance)->waits++ < REQUEST_SHOWN ? \
	 advance_note_wait(advance, item, &(NotDone) {code, psprintf(__VA_ARGS__)}) : (void) 0)

extern void advance_note_wait(Advance *advance, const RequestItem *item, const NotDone *not_done);
extern void advance_wait_for(Advance *advance, const char *code, const char *words);
extern char *advance_name_of(const Advance *advance, const RequestItem *item);
extern void advance_block(Advance *advance, const RequestItem *item, const NotDone *not_done);
extern void advance_save(Advance *advance, ItemMove move, RequestItem *item, ItemStatus status);
extern void advance_fail(Advance *advance, RequestItem *item, const char *reason);
extern bool request_has_run(const RequestItem *item);
extern bool act_on(Advance *advance, RequestItem *item, const Act *act);
extern bool act_on_all(Advance *advance, ItemStatus status, const Act *act);

#endif							/* PROMOTE_REQUEST_ACT_H */
