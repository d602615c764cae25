/*
 * notify_worker.c: the background worker that notifies listeners.
 *
 * There is one for each database in which something happens.  It sends all that has come by one
 * transaction, whose commit waits for no flush, then pauses for a moment, so that many commits
 * cost one.  When there was nothing for a while it exits, because it would be in the way of those
 * who drop or copy the database.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/sql.h"
#include "ledger/notify.h"
#include "ledger/notify_row.h"
#include "ledger/notify_slot.h"

#define PAUSE 10				/* milliseconds after sending: commits that come meanwhile are sent together */
#define POLL 50					/* between looks for rows that somebody else makes visible */
#define IDLE 1000				/* without anything to do, before the worker exits */
#define RETRY 1000				/* after an error */
#define LAST_WAIT "1s"			/* for the lock of NOTIFY, when the worker is being ended */

PGDLLEXPORT void promote_notify_main(Datum database);

/* What the worker knows from one round to the next. */
typedef struct Work
{
	StringInfoData records;		/* what was taken from the ring */
	MemoryContext memory;		/* of a round */
	bool		look;			/* rows may wait */
	bool		polls;			/* prepared transactions may leave rows */
	bool		sent;			/* has the round sent anything? */
	bool		failed;			/* has the round failed? */
} Work;

/* ---- transactions ---- */

/* Begin a transaction. */
static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "notifying the listeners of promote");
}

/*
 * Work as the owner of promote's tables for the rest of the transaction: triggers that the owner
 * has made, deferred ones as well, must not run with the worker's rights.
 */
static void
become_owner(void)
{
	SetUserIdAndSecContext(tables_owner(), SECURITY_LOCAL_USERID_CHANGE);
}

/* Commit it. */
static void
commit(void)
{
	CommitTransactionCommand();
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* ---- the ring ---- */

/* Hash a text.  A HashValueFunc. */
static uint32
hash_text(const void *key, Size size)
{
	const char *text = *(const char *const *) key;

	return hash_bytes((const unsigned char *) text, strlen(text));
}

/* Compare two texts; 0 if they are equal.  A HashCompareFunc. */
static int
match_texts(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* An empty set of texts, in the current memory context. */
static HTAB *
make_set(void)
{
	HASHCTL		control = {
		.keysize = sizeof(char *),
		.entrysize = sizeof(char *),
		.hash = hash_text,
		.match = match_texts,
		.hcxt = CurrentMemoryContext
	};

	return hash_create("promote notices", 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* Does the set have one of the texts, each of which ends with a newline?  Otherwise it has all of them afterwards. */
static bool
is_repeated(HTAB *set, const char *notices)
{
	List	   *payloads = NIL;
	ListCell   *cell;
	const char *end;

	for (; (end = strchr(notices, '\n')) != NULL; notices = end + 1)
		payloads = lappend(payloads, pnstrdup(notices, end - notices));
	foreach(cell, payloads)
		if (hash_search(set, &lfirst(cell), HASH_FIND, NULL))
			return true;
	foreach(cell, payloads)
		(void) hash_search(set, &lfirst(cell), HASH_ENTER, NULL);
	return false;
}

/*
 * Send records, from a place on, by one transaction, and remove them from the ring.  It ends
 * before a record that repeats a payload of another: PostgreSQL would send that once, and listeners
 * would not hear what came last.
 */
static int
send_records(const StringInfo records, int place)
{
	int			start = place;
	HTAB	   *set = make_set();

	begin();
	while (place < records->len)
	{
		uint32		length;
		char	   *notices;

		memcpy(&length, records->data + place, sizeof(length));
		notices = pnstrdup(records->data + place + sizeof(length), length);
		if (is_repeated(set, notices))
			break;
		notify_send(notices);
		place += sizeof(length) + length;
	}
	commit();
	notify_taken(place - start);
	return place;
}

/* Send what lies in the ring. */
static void
send_ring(Work *work)
{
	notify_take(&work->records);
	for (int place = 0; place < work->records.len;)
	{
		/* the end of a transaction leaves another one behind */
		MemoryContextSwitchTo(work->memory);
		place = send_records(&work->records, place);
		work->sent = true;
	}
}

/* ---- rows ---- */

/* Are there prepared transactions in this database, which may have left rows? */
static bool
has_prepared(void)
{
	static Statement find = {"SELECT 1 FROM pg_catalog.pg_prepared_xact() AS p WHERE p.dbid = $1 LIMIT 1"};
	Sql			sql;
	bool		found;

	PushActiveSnapshot(GetTransactionSnapshot());
	sql_enter(&sql);
	found = sql_read(&sql, &find, AS_OID(MyDatabaseId)).count > 0;
	sql_leave(&sql);
	PopActiveSnapshot();
	return found;
}

/* Send a row by a transaction of its own.  False: there is none. */
static bool
send_row(Work *work)
{
	NoticeTable table;
	char	   *notices = NULL;

	begin();
	table = notify_table();
	if (table == NOTICES_READY)
	{
		become_owner();
		notices = notify_take_row(false);
	}
	if (notices)
		notify_send(notices);
	commit();
	/* the commit of what was prepared has woken nobody */
	if (notices)
		notify_wake();
	work->look = notices != NULL || table == NOTICES_LOCKED;
	return notices != NULL;
}

/* Look for rows, but first whether more can come: what is committed in between is found. */
static void
send_rows(Work *work)
{
	work->look |= notify_take_look();
	if (!work->look && !work->polls)
		return;
	begin();
	work->polls = max_prepared_xacts > 0 && notify_table() == NOTICES_READY && has_prepared();
	commit();
	while (send_row(work))
		work->sent = true;
	if (!work->look)
		notify_rows_sent();
}

/* ---- rounds ---- */

/* Asked to end: whatever waits for a lock is to stop waiting. */
static void
on_terminate(SIGNAL_ARGS)
{
	int			before = errno;

	ShutdownRequestPending = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
	errno = before;
}

/* Say what went wrong, unless it was the end, and be able to go on. */
static void
recover(Work *work)
{
	HOLD_INTERRUPTS();
	if (!ShutdownRequestPending)
		EmitErrorReport();
	AbortCurrentTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();
	pgstat_report_activity(STATE_IDLE, NULL);
	/* what was taken of the requests to look is not lost */
	work->look = true;
	work->failed = true;
}

/* Send all that there is.  What fails stays where it is. */
static void
run_round(Work *work)
{
	work->sent = false;
	work->failed = false;
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		/* what is in the ring was there before the rows that wait */
		send_ring(work);
		send_rows(work);
	}
	PG_CATCH();
	{
		recover(work);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(work->memory);
	MemoryContextReset(work->memory);
	initStringInfo(&work->records);
}

/* Wait until there may be something to do, or for so many milliseconds. */
static void
wait(int milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* Does something wait for the worker, or may it do so without anybody waking the worker? */
static bool
must_stay(const Work *work)
{
	return work->polls || work->look || work->failed;
}

/* Work until there was nothing to do for a while, or until the worker is asked to end. */
static void
work_on(Work *work)
{
	TimestampTz last = GetCurrentTimestamp();

	while (!ShutdownRequestPending)
	{
		run_round(work);
		if (work->sent || must_stay(work))
			last = GetCurrentTimestamp();
		if (work->failed || work->sent)
			wait(work->failed ? RETRY : PAUSE);
		else if (!must_stay(work) && TimestampDifferenceExceeds(last, GetCurrentTimestamp(), IDLE))
		{
			if (notify_close())
				return;
			last = GetCurrentTimestamp();
		}
		else if (notify_sleep())
		{
			if (!must_stay(work))
				pgstat_report_stat(true);
			wait(must_stay(work) ? POLL : IDLE + 1);
		}
	}
}

/*
 * Settings that a database or the server may have otherwise.  A commit of the worker need not be
 * flushed: after a crash nobody listens any more, and a row that was removed is sent once more.
 */
static void
pin_settings(void)
{
	static const char *const pinned[][2] = {
		{"application_name", "promote"},
		{"synchronous_commit", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"lock_timeout", "0"},
		{"transaction_timeout", "0"},	/* since PostgreSQL 17 */
	};

	for (int i = 0; i < lengthof(pinned); i++)
		if (GetConfigOption(pinned[i][0], true, false) != NULL)
			SetConfigOption(pinned[i][0], pinned[i][1], PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * The worker, as the bootstrap superuser.  Asked to end, it tries once more to send everything.
 * What another's lock keeps it from sending stays where it is, for the next worker.
 */
void
promote_notify_main(Datum database)
{
	Work		work = {.memory = NULL};

	pqsignal(SIGTERM, on_terminate);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(notify_leave, (Datum) 0);
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	if (!notify_open(DatumGetObjectId(database)))
		return;
	pin_settings();
	work.memory = AllocSetContextCreate(TopMemoryContext, "promote notifier", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work.memory);
	initStringInfo(&work.records);
	work_on(&work);
	if (!ShutdownRequestPending)
		return;
	QueryCancelPending = false;
	SetConfigOption("lock_timeout", LAST_WAIT, PGC_USERSET, PGC_S_OVERRIDE);
	run_round(&work);
}
