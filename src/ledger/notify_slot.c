/*
 * notify_slot.c: shared memory by which sessions hand notices to the worker of their database.
 *
 * The memory has a slot for each worker that the server can have.  A slot belongs to a database
 * from the first session that wants a worker there until the worker, having found nothing for a
 * while, gives it up.  It outlives a worker that was ended: what lies in it waits for the next one.
 *
 * A session reserves room before it commits, when it can still notify by itself, and copies the
 * notices when it has committed, when it must neither fail nor wait.  A slot in which room is
 * reserved is not given up, so that nothing can get lost in between.
 */
#include "postgres.h"

#include <dlfcn.h>

#include "access/twophase.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/compat.h"
#include "ledger/notify_slot.h"

#define MEMORY_NAME "promote notices 3"	/* another number for another layout */
#define RING_SIZE (64 * 1024)	/* bytes of notices that can wait for a worker */
#define MAX_LENGTH (8 * 1024)	/* of one transaction's notices: they are copied under a spinlock */
#define START_SECONDS 10		/* a worker that does not come for so long has failed to start */
#define RETRY_SECONDS 1			/* between attempts to have a worker where there was none */
#define MAX_WAITERS 128			/* sessions that are woken by commits; others look by themselves */

/* The worker of a slot. */
typedef enum WorkerState
{
	WORKER_NONE,
	WORKER_ASKED,				/* a session is asking for one, and may be refused */
	WORKER_STARTING,			/* the postmaster will start it */
	WORKER_UP
} WorkerState;

/* What a database's sessions leave for its worker. */
typedef struct Slot
{
	Oid			database;		/* InvalidOid: the slot is free */
	WorkerState worker;
	TimestampTz since;			/* when the worker was asked for */
	bool		late;			/* one before it did not come */
	Latch	   *latch;			/* of the worker that is up */
	bool		sleeping;		/* the worker waits for its latch */
	bool		look;			/* rows wait for the worker, or may do so soon */
	bool		rows;			/* rows are not sent yet: what is committed now follows them there */
	int			promises;		/* transactions that have reserved room */
	uint32		reserved;		/* bytes that they have reserved */
	uint64		head;			/* bytes that were ever written into the ring */
	uint64		tail;			/* bytes of them that were sent */
	char		ring[RING_SIZE];
} Slot;

/* A session that waits until something is committed in its database. */
typedef struct Waiter
{
	Oid			database;		/* InvalidOid: the place is free */
	Latch	   *latch;
} Waiter;

typedef struct Slots
{
	slock_t		lock;			/* of everything here */
	Waiter		waiters[MAX_WAITERS];
	int			waiting;		/* places up to the last one that was taken: 0 while nobody waits */
	TimestampTz retry_at;		/* before that no worker is asked for */
	Slot		slots[FLEXIBLE_ARRAY_MEMBER];
} Slots;

static Slots *shared = NULL;
static Slot *own = NULL;		/* the slot that the database had last */

/* ---- memory ---- */

/* Prepare the memory, which only the first session does. */
static void
init_slots(void *memory)
{
	Slots	   *slots = memory;

	SpinLockInit(&slots->lock);
	slots->retry_at = 0;
	slots->waiting = 0;
	memset(slots->waiters, 0, sizeof(slots->waiters));
	for (int i = 0; i < max_worker_processes; i++)
		memset(&slots->slots[i], 0, offsetof(Slot, ring));
}

/* Attach to the memory.  A step of attempt_resources. */
static void
attach(void *state)
{
	shared = shared_memory(MEMORY_NAME, offsetof(Slots, slots) + max_worker_processes * sizeof(Slot), init_slots);
}

/* Is the memory there?  A server that has no room for it is not asked again by this backend. */
static bool
has_memory(void)
{
	static bool tried = false;

	if (shared == NULL && !tried && IsUnderPostmaster)
	{
		tried = true;
		if (!IsTransactionState())
			attach(NULL);
		else
			(void) attempt_resources(attach, NULL);
	}
	return shared != NULL;
}

/* The slot of a database; NULL: it has none.  Call it with the lock held. */
static Slot *
find_slot(Oid database)
{
	if (own && own->database == database)
		return own;
	own = NULL;
	for (int i = 0; i < max_worker_processes && own == NULL; i++)
		if (shared->slots[i].database == database)
			own = &shared->slots[i];
	return own;
}

/*
 * The slot of a database, which is given a free one if it has none.  NULL: all are taken.  Call it
 * with the lock held.
 */
static Slot *
make_slot(Oid database)
{
	if (find_slot(database) == NULL && (own = find_slot(InvalidOid)) != NULL)
	{
		own->database = database;
		own->look = false;
		/* while there was no worker prepared transactions may have left rows */
		own->rows = max_prepared_xacts > 0;
	}
	return own;
}

/* Free a slot in which nothing waits and nothing is promised.  Call it with the lock held. */
static bool
free_slot(Slot *slot)
{
	bool		empty = slot->head == slot->tail && slot->promises == 0;

	if (empty)
		slot->database = InvalidOid;
	return empty;
}

/* ---- asking for a worker ---- */

/*
 * The file that this library was loaded from, wherever the server looks for libraries; its name
 * where the path is too long to be passed.
 */
static void
find_library(char *path, size_t size)
{
	Dl_info		info;

	if (dladdr((void *) notify_start, &info) == 0 || info.dli_fname == NULL || strlen(info.dli_fname) >= size)
		strlcpy(path, "promote", size);
	else
		strlcpy(path, info.dli_fname, size);
}

/* Ask the postmaster for a worker of this database.  It fails where all places are taken, and raises no error. */
static bool
register_worker(void)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_function_name = NOTIFY_MAIN,
		.bgw_name = NOTIFY_TYPE,
		.bgw_type = NOTIFY_TYPE,
		.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId)
	};

	find_library(worker.bgw_library_name, sizeof(worker.bgw_library_name));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* Is a worker on its way that has not come for long?  Call it with the lock held. */
static bool
is_overdue(const Slot *slot)
{
	return slot->worker == WORKER_STARTING &&
		TimestampDifferenceExceeds(slot->since, GetCurrentTimestamp(), START_SECONDS * 1000);
}

/*
 * Is a worker up, or on its way?  After one that did not come the next one is not relied upon
 * before it is up.  Call it with the lock held.
 */
static bool
has_worker(const Slot *slot)
{
	return slot->worker == WORKER_UP ||
		(slot->worker == WORKER_STARTING && !slot->late && !is_overdue(slot));
}

/*
 * May this session ask for a worker of the slot?  If so, others see that it does.  Call it with
 * the lock held, and ask_for_worker after releasing it.
 */
static bool
begin_asking(Slot *slot)
{
	TimestampTz now;

	if (slot->worker == WORKER_UP || slot->worker == WORKER_ASKED ||
		(slot->worker == WORKER_STARTING && !is_overdue(slot)))
		return false;
	now = GetCurrentTimestamp();
	if (now < shared->retry_at)
		return false;
	slot->late |= slot->worker == WORKER_STARTING;
	slot->worker = WORKER_ASKED;
	slot->since = now;
	return true;
}

/* Ask for a worker of the slot, which may be up before this is noted.  False: none can be had. */
static bool
ask_for_worker(Slot *slot)
{
	bool		granted = register_worker();

	SpinLockAcquire(&shared->lock);
	if (slot->database == MyDatabaseId && slot->worker == WORKER_ASKED)
		slot->worker = granted ? WORKER_STARTING : WORKER_NONE;
	if (!granted)
	{
		shared->retry_at = GetCurrentTimestamp() + RETRY_SECONDS * USECS_PER_SEC;
		if (slot->database == MyDatabaseId && slot->worker == WORKER_NONE)
			(void) free_slot(slot);
	}
	SpinLockRelease(&shared->lock);
	return granted;
}

/* See to it that the database has a worker.  False: it has none, and none can be had. */
static bool
need_worker(void)
{
	Slot	   *slot;
	bool		asks;
	bool		has;

	SpinLockAcquire(&shared->lock);
	slot = make_slot(MyDatabaseId);
	asks = slot && begin_asking(slot);
	has = slot && has_worker(slot);
	if (slot && slot->worker == WORKER_NONE)
		(void) free_slot(slot);
	SpinLockRelease(&shared->lock);
	return asks ? ask_for_worker(slot) && !slot->late : has;
}

/* See to it that the database has a worker, if one can be had. */
void
notify_start(void)
{
	if (has_memory())
		(void) need_worker();
}

/* ---- sessions ---- */

/* The bytes that notices take in the ring. */
static uint32
record_length(uint32 length)
{
	return sizeof(length) + length;
}

/*
 * Reserve room in the ring, if there is some.  comes says whether a worker is there or on its way;
 * one that another session is asking for may be refused.
 */
static bool
try_reserve(uint32 length, bool *comes)
{
	Slot	   *slot;
	bool		reserved;

	SpinLockAcquire(&shared->lock);
	slot = find_slot(MyDatabaseId);
	*comes = slot && has_worker(slot);
	reserved = *comes && !slot->rows && length <= MAX_LENGTH &&
		slot->head - slot->tail + slot->reserved + record_length(length) <= RING_SIZE;
	if (reserved)
	{
		slot->promises++;
		slot->reserved += record_length(length);
	}
	SpinLockRelease(&shared->lock);
	return reserved;
}

/* Reserve room for a transaction's notices before it commits, or say what else is to become of them. */
NotifyRoute
notify_reserve(uint32 length)
{
	bool		comes;

	if (!has_memory())
		return NOTIFY_BY_ITSELF;
	if (try_reserve(length, &comes) || (!comes && need_worker() && try_reserve(length, &comes)))
		return NOTIFY_BY_RING;
	return comes ? NOTIFY_BY_ROW : NOTIFY_BY_ITSELF;
}

/* Copy bytes into the ring.  Call it with the lock held. */
static void
put_bytes(Slot *slot, const void *bytes, uint32 length)
{
	uint32		place = slot->head % RING_SIZE;
	uint32		first = Min(length, RING_SIZE - place);

	memcpy(slot->ring + place, bytes, first);
	memcpy(slot->ring, (const char *) bytes + first, length - first);
	slot->head += length;
}

/* Take back a promise.  Call it with the lock held. */
static void
end_promise(Slot *slot, uint32 length)
{
	slot->promises--;
	slot->reserved -= record_length(length);
}

/*
 * Release the lock, and wake the worker, or ask for one where the slot has lost its worker.
 * Raises no error: the transaction has committed.
 */
static void
release_and_wake(Slot *slot)
{
	bool		asks = begin_asking(slot);
	Latch	   *latch = slot->worker == WORKER_UP && slot->sleeping ? slot->latch : NULL;

	slot->sleeping = false;
	SpinLockRelease(&shared->lock);
	if (latch)
		SetLatch(latch);
	if (asks)
		(void) ask_for_worker(slot);
}

/* Hand over notices for which room is reserved, after the commit. */
void
notify_hand_over(const char *notices, uint32 length)
{
	SpinLockAcquire(&shared->lock);
	put_bytes(own, &length, sizeof(length));
	put_bytes(own, notices, length);
	end_promise(own, length);
	release_and_wake(own);
}

/* Give back the room that a transaction has reserved which is rolled back. */
void
notify_give_back(uint32 length)
{
	SpinLockAcquire(&shared->lock);
	end_promise(own, length);
	SpinLockRelease(&shared->lock);
}

/*
 * Tell the worker that rows wait for it, or will do so once a prepared transaction is committed.
 * A new worker looks for rows by itself.  Raises no error.
 */
void
notify_look(void)
{
	Slot	   *slot;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->lock);
	slot = find_slot(MyDatabaseId);
	if (slot)
	{
		slot->look = slot->rows = true;
		release_and_wake(slot);
		return;
	}
	SpinLockRelease(&shared->lock);
	(void) need_worker();
}

/* ---- sessions that wait ---- */

/* Attach to the memory, so that after the commit those are woken who wait.  False: there is none. */
bool
notify_attach(void)
{
	return has_memory();
}

/*
 * Have this session's latch set whenever something is committed of which listeners are told, until notify_unwatch.
 * False: there is no room, and nobody will wake it.
 */
bool
notify_watch(void)
{
	bool		watches = false;

	if (!has_memory())
		return false;
	SpinLockAcquire(&shared->lock);
	for (int i = 0; i < MAX_WAITERS && !watches; i++)
		if (!OidIsValid(shared->waiters[i].database))
		{
			shared->waiters[i] = (Waiter) {MyDatabaseId, MyLatch};
			shared->waiting = Max(shared->waiting, i + 1);
			watches = true;
		}
	SpinLockRelease(&shared->lock);
	return watches;
}

/* End that, also when the session ends. */
void
notify_unwatch(int code, Datum argument)
{
	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->lock);
	for (int i = 0; i < shared->waiting; i++)
		if (shared->waiters[i].latch == MyLatch)
			shared->waiters[i] = (Waiter) {InvalidOid, NULL};
	while (shared->waiting > 0 && !OidIsValid(shared->waiters[shared->waiting - 1].database))
		shared->waiting--;
	SpinLockRelease(&shared->lock);
}

/*
 * Wake the sessions of this database that wait: something was committed.  Who begins to wait at this moment has not
 * looked yet, and sees it.  Raises no error.
 */
void
notify_wake(void)
{
	Latch	   *latches[MAX_WAITERS];
	int			count = 0;

	pg_memory_barrier();
	if (shared == NULL || shared->waiting == 0)
		return;
	SpinLockAcquire(&shared->lock);
	for (int i = 0; i < shared->waiting; i++)
		if (shared->waiters[i].database == MyDatabaseId)
			latches[count++] = shared->waiters[i].latch;
	SpinLockRelease(&shared->lock);
	while (count > 0)
		SetLatch(latches[--count]);
}

/* ---- the worker ---- */

/* Become the worker of a database.  False: it has one, or there is no slot for it. */
bool
notify_open(Oid database)
{
	bool		opened = false;

	if (!has_memory())
		return false;
	SpinLockAcquire(&shared->lock);
	if (make_slot(database) && own->worker != WORKER_UP)
	{
		own->worker = WORKER_UP;
		own->late = false;
		own->latch = MyLatch;
		own->sleeping = false;
		own->look = true;
		opened = true;
	}
	SpinLockRelease(&shared->lock);
	return opened;
}

/* Take the request to look for rows. */
bool
notify_take_look(void)
{
	bool		look;

	SpinLockAcquire(&shared->lock);
	look = own->look;
	own->look = false;
	SpinLockRelease(&shared->lock);
	return look;
}

/* All rows were sent, but for those that a new request is about. */
void
notify_rows_sent(void)
{
	SpinLockAcquire(&shared->lock);
	own->rows &= own->look;
	SpinLockRelease(&shared->lock);
}

/*
 * Copy what waits in the ring: records of a length and that many bytes.  It stays there until
 * notify_taken.  Nobody writes over it, so it is copied without the lock.
 */
uint32
notify_take(StringInfo records)
{
	uint64		head;
	uint32		length;
	uint32		place = own->tail % RING_SIZE;
	uint32		first;

	SpinLockAcquire(&shared->lock);
	head = own->head;
	SpinLockRelease(&shared->lock);
	length = (uint32) (head - own->tail);
	first = Min(length, RING_SIZE - place);
	resetStringInfo(records);
	appendBinaryStringInfo(records, own->ring + place, first);
	appendBinaryStringInfo(records, own->ring, length - first);
	return length;
}

/* Remove what was sent. */
void
notify_taken(uint32 length)
{
	SpinLockAcquire(&shared->lock);
	own->tail += length;
	SpinLockRelease(&shared->lock);
}

/* Does nothing wait for the worker?  Then sessions wake it from now on. */
bool
notify_sleep(void)
{
	bool		sleeping;

	SpinLockAcquire(&shared->lock);
	sleeping = own->sleeping = own->head == own->tail && !own->look;
	SpinLockRelease(&shared->lock);
	return sleeping;
}

/* Give up the slot, unless something waits in it or is promised. */
bool
notify_close(void)
{
	bool		closed;

	SpinLockAcquire(&shared->lock);
	closed = !own->look && free_slot(own);
	if (closed)
		own->worker = WORKER_NONE;
	SpinLockRelease(&shared->lock);
	if (closed)
		own = NULL;
	return closed;
}

/*
 * Called when the worker exits, however it does.  What waits in the slot waits for the next
 * worker, which looks for rows in any case.
 */
void
notify_leave(int code, Datum argument)
{
	if (shared == NULL || own == NULL)
		return;
	SpinLockAcquire(&shared->lock);
	if (own->worker == WORKER_UP && own->latch == MyLatch)
	{
		own->worker = WORKER_NONE;
		(void) free_slot(own);
	}
	SpinLockRelease(&shared->lock);
}
