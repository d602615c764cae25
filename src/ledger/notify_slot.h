/*
 * notify_slot.h: shared memory by which sessions hand notices to the worker of their database.
 */
#ifndef PROMOTE_LEDGER_NOTIFY_SLOT_H
#define PROMOTE_LEDGER_NOTIFY_SLOT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#define NOTIFY_MAIN "promote_notify_main"	/* the worker's function */
#define NOTIFY_TYPE "promote notifier"	/* what pg_stat_activity calls it */

/* What becomes of the notices of a transaction that is about to commit. */
typedef enum NotifyRoute
{
	NOTIFY_BY_RING,				/* room is reserved, and a worker is there or on its way */
	NOTIFY_BY_ROW,				/* the worker is there, and there is no room: it reads rows as well */
	NOTIFY_BY_ITSELF			/* there is no worker, and none can be had */
} NotifyRoute;

/* for sessions */
extern NotifyRoute notify_reserve(uint32 length);
extern void notify_hand_over(const char *notices, uint32 length);
extern void notify_give_back(uint32 length);
extern void notify_look(void);
extern void notify_start(void);
extern bool notify_attach(void);
extern bool notify_watch(void);
extern void notify_unwatch(int code, Datum argument);
extern void notify_wake(void);

/* for the worker */
extern bool notify_open(Oid database);
extern bool notify_take_look(void);
extern void notify_rows_sent(void);
extern uint32 notify_take(StringInfo records);
extern void notify_taken(uint32 length);
extern bool notify_sleep(void);
extern bool notify_close(void);
extern void notify_leave(int code, Datum argument);

#endif							/* PROMOTE_LEDGER_NOTIFY_SLOT_H */
