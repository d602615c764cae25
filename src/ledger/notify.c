/*
 * notify.c: notifying listeners of what is committed.
 *
 * PostgreSQL's NOTIFY takes a lock on all databases before a commit and keeps it until the commit
 * is flushed, so that such commits queue up.  So the notices of a transaction are kept in its
 * memory, and a background worker of the database sends them after the commit.  Where no worker
 * can be had, or promote.notify says so, the transaction notifies by itself.
 *
 * A payload holds names and numbers but no values, because everybody may listen.  Notices are
 * kept and passed on as text, each payload ending with a newline, which JSON does not contain.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "json/builder.h"
#include "ledger/notify.h"
#include "ledger/notify_row.h"
#include "ledger/notify_slot.h"

#define CHANNEL "promote"
#define PAYLOAD_END '\n'
#define MAX_PAYLOAD (BLCKSZ - NAMEDATALEN - 128)	/* the least length that NOTIFY refuses */
#define MAX_KEPT (64 * 1024)	/* bytes of notices that a transaction keeps in memory, unless in a subtransaction */

/* Who sends the notices: promote.notify. */
typedef enum Sender
{
	SENT_BY_WORKER,
	SENT_BY_TRANSACTION
} Sender;

static const struct config_enum_entry senders[] = {
	{"worker", SENT_BY_WORKER, false},
	{"transaction", SENT_BY_TRANSACTION, false},
	{NULL, 0, false}
};

static int	sender = SENT_BY_WORKER;

/* A notice of the transaction. */
typedef struct Kept
{
	int			start;			/* where its payload begins */
	SubTransactionId subxact;	/* the subtransaction that it is of */
} Kept;

/* The notices of the transaction, in its memory. */
static StringInfo pending = NULL;	/* their payloads; NULL: there was none */
static List *kept = NIL;		/* of Kept, in order */
static int32 last_row = 0;		/* of the transaction's rows of notices */
static bool reserved = false;	/* is there room for them in the worker's memory? */
static bool took = false;		/* has the transaction taken rows, over which a worker passes meanwhile? */

/* ---- collecting ---- */

/* Write the notices into a row and forget them. */
static void
leave_row(void)
{
	notify_leave_row(++last_row, pending->data);
	resetStringInfo(pending);
	list_free_deep(kept);
	kept = NIL;
}

/*
 * Keep a payload until the transaction ends.  Very many are written into rows for the worker, but not in a
 * subtransaction, whose rollback would take them back although they may be of another.
 */
static void
keep(const char *payload)
{
	MemoryContext outer = MemoryContextSwitchTo(TopTransactionContext);
	Kept	   *notice = palloc(sizeof(Kept));

	if (pending == NULL)
		pending = makeStringInfo();
	*notice = (Kept) {pending->len, GetCurrentSubTransactionId()};
	appendStringInfoString(pending, payload);
	appendStringInfoChar(pending, PAYLOAD_END);
	kept = lappend(kept, notice);
	MemoryContextSwitchTo(outer);
	if (pending->len > MAX_KEPT && sender == SENT_BY_WORKER && GetCurrentTransactionNestLevel() == 1 &&
		notify_table() == NOTICES_READY)
		leave_row();
}

/* Add a number, unless it is 0. */
static void
add_number(JsonBuilder *builder, const char *name, int32 number)
{
	if (number != 0)
		json_build_number(builder, name, number);
}

/* Add a word, unless it is NULL. */
static void
add_word(JsonBuilder *builder, const char *name, const char *word)
{
	if (word)
		json_build_field(builder, name, word);
}

/* Keep the payload. */
static void
keep_payload(JsonBuilder *builder)
{
	Jsonb	   *document = json_builder_finish(builder);
	char	   *payload = JsonbToCString(NULL, &document->root, VARSIZE(document));

	if (strlen(payload) >= MAX_PAYLOAD)
		elog(ERROR, "a notification would be too long");
	keep(payload);
}

/* Notify the listeners of the channel promote, if the transaction commits. */
void
notify(const Notice *notice)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	add_word(&builder, "instance", notice->instance);
	add_word(&builder, "project", notice->project);
	add_number(&builder, "request", notice->request);
	add_number(&builder, "revision", notice->revision);
	add_number(&builder, "deployment", notice->deployment);
	add_word(&builder, "action", notice->action);
	add_word(&builder, "status", notice->status);
	json_build_fields(&builder, notice->carried);
	keep_payload(&builder);
}

/* Notify listeners of what happened to a project's line; a NULL project means the lines of all projects. */
void
notify_line(const char *project, const char *event)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, "event", event);
	add_word(&builder, "project", project);
	keep_payload(&builder);
}

/* ---- at the end of the transaction ---- */

/*
 * Send notices at the commit of this transaction.  What is no payload was written by somebody
 * else, and is passed over.
 */
void
notify_send(const char *notices)
{
	const char *end;

	for (; (end = strchr(notices, PAYLOAD_END)) != NULL; notices = end + 1)
		if (end > notices && end - notices < MAX_PAYLOAD)
			Async_Notify(CHANNEL, pnstrdup(notices, end - notices));
}

/*
 * Send what lies in rows, for which no worker may come; where the transaction has a single snapshot, its own alone.
 */
static void
send_rows(void)
{
	char	   *notices;

	if (XactReadOnly || (IsolationUsesXactSnapshot() && last_row == 0) || notify_table() != NOTICES_READY)
		return;
	took = true;
	while ((notices = notify_take_row(IsolationUsesXactSnapshot())) != NULL)
		notify_send(notices);
}

/*
 * Before the commit, while the transaction can still notify by itself: find out what becomes of its notices.  What is
 * in rows is told first, so that the rest of a transaction that has left some follows them there.
 */
static void
before_commit(void)
{
	NotifyRoute route = sender == SENT_BY_TRANSACTION ? NOTIFY_BY_ITSELF :
		notify_reserve(last_row > 0 ? PG_UINT32_MAX : pending->len);

	(void) notify_attach();
	if (route == NOTIFY_BY_ROW && (XactReadOnly || notify_table() != NOTICES_READY))
		route = NOTIFY_BY_ITSELF;
	if (route == NOTIFY_BY_RING)
		reserved = true;
	else if (route == NOTIFY_BY_ITSELF)
	{
		/* what was before comes first */
		if (sender == SENT_BY_WORKER || max_prepared_xacts > 0 || last_row > 0)
			send_rows();
		notify_send(pending->data);
	}
	else if (pending->len > 0)
		leave_row();
}

/* Before the transaction is prepared.  Where no row can be written PostgreSQL refuses, as it does for any NOTIFY. */
static void
before_prepare(void)
{
	if (pending->len > 0 && notify_table() == NOTICES_READY)
		leave_row();
	else
		notify_send(pending->data);
	notify_start();
}

/* After the commit.  Raises no error. */
static void
after_commit(void)
{
	if (reserved)
		notify_hand_over(pending->data, pending->len);
	if (pending)
		notify_wake();
	if (last_row > 0)
		notify_look();
}

/* Forget the transaction, whose memory is freed. */
static void
forget_transaction(void)
{
	pending = NULL;
	kept = NIL;
	last_row = 0;
	reserved = false;
	took = false;
}

/* Called when a transaction ends. */
static void
on_end(XactEvent event, void *arg)
{
	bool		any = pending && (pending->len > 0 || last_row > 0);

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (any)
				before_commit();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (any)
				before_prepare();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			after_commit();
			forget_transaction();
			break;
		case XACT_EVENT_ABORT:
			if (reserved)
				notify_give_back(pending->len);
			if (took)
				notify_look();
			forget_transaction();
			break;
		default:
			break;
	}
}

/*
 * Called when a subtransaction ends.  The notices that it and those within it have made are the
 * last ones when it is rolled back.
 */
static void
on_subtransaction_end(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	while (event == SUBXACT_EVENT_ABORT_SUB && kept != NIL && ((Kept *) llast(kept))->subxact >= subxact)
	{
		pending->len = ((Kept *) llast(kept))->start;
		pending->data[pending->len] = '\0';
		kept = list_delete_last(kept);
	}
}

/* ---- the library ---- */

/*
 * Where transactions can be prepared, rows may have been left to a worker that a crash or a
 * restart has ended: the first session that loads the library sees to it that there is one.
 */
static void
start_for_prepared(void)
{
	if (max_prepared_xacts > 0 && MyBackendType == B_BACKEND && OidIsValid(MyDatabaseId) && !RecoveryInProgress())
		notify_start();
}

/* Define the setting, and register for the ends of transactions. */
void
notify_init(void)
{
	DefineCustomEnumVariable("promote.notify",
							 "Sets who notifies the listeners of the channel promote.",
							 "\"worker\": a background worker, after the commit. \"transaction\": the transaction, by a NOTIFY, "
							 "behind which all transactions that notify queue up.",
							 &sender,
							 SENT_BY_WORKER,
							 senders,
							 PGC_USERSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	RegisterXactCallback(on_end, NULL);
	RegisterSubXactCallback(on_subtransaction_end, NULL);
	start_for_prepared();
}
