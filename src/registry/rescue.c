/*
 * rescue.c: emergency verbs wait for a bounded time only.
 *
 * Verbs that stop, abort, reject or roll back need locks that other transactions may hold for
 * as long as they stay open.  These verbs wait for promote.rescue_timeout, and then fail with
 * the sessions that hold the lock, which promote.end_session can end.
 *
 * PostgreSQL has no queue for a row that is locked FOR SHARE: a later request can pass an
 * earlier one.  So every verb that locks such a row first takes a place in the lock manager in
 * share mode, and releases it once it has the row.  An emergency verb takes that place
 * exclusively, and waits for the row while it holds the place.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/multixact.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/role.h"
#include "ledger/audit.h"
#include "registry/rescue.h"

PG_FUNCTION_INFO_V1(promote_end_session);

#define MAX_TIMEOUT (60 * 60 * 1000)	/* of promote.rescue_timeout, in milliseconds */
#define MAX_SHOWN 10			/* sessions that a refusal names */
#define QUEUE 1					/* second part of a place's key: where ordinary verbs queue for the row */
#define END_TIMEOUT 5000		/* how long end_session waits for the session to end, in milliseconds */

/* The rows l of pg_locks that are about objects of this database. */
#define THIS_DATABASE "l.locktype = 'object' AND l.database" \
	" = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())"

/* promote.rescue_timeout, in milliseconds. */
static int	rescue_timeout;

/* Define the setting promote.rescue_timeout. */
void
rescue_init(void)
{
	DefineCustomIntVariable("promote.rescue_timeout",
							"Sets how long a verb waits that helps in an emergency.",
							"Stopping the line, aborting, rejecting and others wait that long for another's transaction, "
							"and then say whose. A shorter lock_timeout counts instead.",
							&rescue_timeout,
							5000,
							1,
							MAX_TIMEOUT,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL,
							NULL,
							NULL);
}

/* ---- who holds a row ---- */

/* The transactions that hold a row. */
typedef struct Holders
{
	TransactionId *xids;		/* other transactions */
	int			count;
	bool		own;			/* is this transaction one of them? */
} Holders;

/* Add a transaction, if it is still running. */
static void
add_holder(Holders *holders, TransactionId xid)
{
	if (!TransactionIdIsValid(xid))
		return;
	if (TransactionIdIsCurrentTransactionId(xid))
		holders->own = true;
	else if (TransactionIdIsInProgress(xid))
		holders->xids[holders->count++] = xid;
}

/* Add the members of a multixact that keep others from changing the row. */
static void
add_members(Holders *holders, MultiXactId multi, bool locked_only)
{
	MultiXactMember *members;
	int			count = GetMultiXactIdMembers(multi, &members, false, locked_only);

	holders->xids = palloc(Max(count, 1) * sizeof(TransactionId));
	for (int i = 0; i < count; i++)
		if (members[i].status != MultiXactStatusForKeyShare)
			add_holder(holders, members[i].xid);
}

/* The transactions whose lock or change of a row's version keeps others from changing the row. */
static Holders
holders_of(Relation table, ItemPointer tid)
{
	Holders		holders = {palloc(sizeof(TransactionId)), 0, false};
	HeapTupleData tuple = {.t_self = *tid};
	Buffer		buffer;
	uint16		flags = HEAP_XMAX_INVALID;
	TransactionId xmax = InvalidTransactionId;

	if (heap_fetch(table, SnapshotAny, &tuple, &buffer, false))
	{
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		flags = tuple.t_data->t_infomask;
		xmax = HeapTupleHeaderGetRawXmax(tuple.t_data);
		holders.own = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple.t_data));
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		ReleaseBuffer(buffer);
	}
	if (flags & HEAP_XMAX_INVALID)
		return holders;
	if (flags & HEAP_XMAX_IS_MULTI)
		add_members(&holders, xmax, HEAP_XMAX_IS_LOCKED_ONLY(flags));
	else if (!HEAP_XMAX_IS_KEYSHR_LOCKED(flags))
		add_holder(&holders, xmax);
	return holders;
}

/* The process of a transaction; 0: none, as for a prepared transaction. */
static int
process_of(TransactionId xid)
{
	return BackendXidGetPid(SubTransGetTopmostTransaction(xid));
}

/* The place where those queue who want the row with that name: a number for the lock manager, never 0. */
uint32
rescue_place(const char *name)
{
	return hash_bytes((const unsigned char *) name, strlen(name)) | 1;
}

/* The holders of a row, by its last committed version; found says whether there is one. */
static Holders
row_holders(const RowToLock *row, bool *found)
{
	Relation	table = table_open(table_oid(row->key.table), AccessShareLock);
	Holders		holders = {NULL, 0, false};
	HeapTuple	version;

	sql_push_latest();
	version = row_read(table, &row->key, GetActiveSnapshot());
	*found = HeapTupleIsValid(version);
	if (*found)
		holders = holders_of(table, &version->t_self);
	PopActiveSnapshot();
	table_close(table, NoLock);
	return holders;
}

/* ---- saying who ---- */

/* Process ids as an array of integers. */
static ArrayType *
pid_array(const List *pids)
{
	Datum	   *elements = palloc(Max(list_length(pids), 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, pids)
		elements[count++] = Int32GetDatum(lfirst_int(cell));
	return construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);
}

/* Who holds something. */
typedef struct Culprits
{
	List	   *pids;			/* processes, in the order in which they are to be ended */
	List	   *prepared;		/* numbers of prepared transactions, which are of the type of OIDs */
} Culprits;

/* Describe sessions, one line each; NULL: there is none. */
static char *
describe_sessions(const Sql *sql, const List *pids)
{
	static Statement read = {"SELECT pg_catalog.string_agg(pg_catalog.concat('Process ', a.pid, ' of role \"', a.usename,"
		" '\" has been in a transaction since ', pg_catalog.to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'),"
		" ', and is ', a.state, '.'), E'\\n' ORDER BY a.xact_start, a.pid)"
		" FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = ANY ($1)"};
	SqlRows		rows = sql_run(sql, &read, sql_value(INT4ARRAYOID, false, PointerGetDatum(pid_array(pids))));

	return sql_text(&rows, 0);
}

/* A prepared transaction, for people. */
typedef struct Prepared
{
	char	   *line;			/* what it is */
	char	   *end;			/* the statement that ends it */
} Prepared;

/* Read a prepared transaction; false: it has ended. */
static bool
read_prepared(const Sql *sql, TransactionId xid, Prepared *prepared)
{
	static const SqlField fields[] = {
		SQL_FIELD(Prepared, line, "pg_catalog.concat('Transaction ', pg_catalog.quote_literal(p.gid), ' of role \"', p.owner,"
				  " '\" has been prepared since ', pg_catalog.to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), '.')"),
		SQL_FIELD(Prepared, end, "pg_catalog.concat('ROLLBACK PREPARED ', pg_catalog.quote_literal(p.gid))")
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM pg_catalog.pg_prepared_xacts AS p WHERE p.transaction::pg_catalog.text = $1");
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(psprintf("%u", xid)));

	return sql_row(&rows, 0, prepared);
}

/* Describe who holds something, one line each, and what to do about it. */
static void
describe_culprits(const Sql *sql, const Culprits *culprits, const char *project, char **lines, char **hint)
{
	Prepared	prepared;
	ListCell   *cell;

	*lines = culprits->pids == NIL ? NULL : describe_sessions(sql, culprits->pids);
	*hint = culprits->pids == NIL ? NULL :
		psprintf("Call it again, or end who holds it: promote.end_session(%d, 'why'%s), by whoever is admin there.",
				 linitial_int(culprits->pids), project ? psprintf(", '%s'", project) : "");
	foreach(cell, culprits->prepared)
		if (read_prepared(sql, lfirst_oid(cell), &prepared))
		{
			*lines = *lines ? psprintf("%s\n%s", *lines, prepared.line) : prepared.line;
			if (*hint == NULL)
				*hint = psprintf("Commit it, or end it: %s, by its owner or a superuser.", prepared.end);
		}
	if (*lines == NULL)
		*lines = pstrdup("Whoever held it is gone by now.");
	if (*hint == NULL)
		*hint = pstrdup("Call it again.");
}

/* Raise PM_HELD: something is held, and by whom. */
static void
refuse_held(const Sql *sql, const char *what, const char *project, const Culprits *culprits)
{
	char	   *lines;
	char	   *hint;

	describe_culprits(sql, culprits, project, &lines, &hint);
	ereport(ERROR,
			(errcode(PM_HELD),
			 errmsg("%s is held by others", what),
			 errdetail_internal("%s", lines),
			 errhint("%s", hint)));
}

/* ---- waiting for a while ---- */

/* The time when a wait that begins now must end: of one call, however much it locks. */
TimestampTz
rescue_deadline(void)
{
	int			timeout = LockTimeout > 0 ? Min(LockTimeout, rescue_timeout) : rescue_timeout;

	return GetCurrentTimestamp() + timeout * INT64CONST(1000);
}

/* Limit the next wait to end at that time.  Raises an error where the time is over. */
static void
wait_until(TimestampTz end)
{
	int64		left = (end - GetCurrentTimestamp() + 999) / 1000;

	if (left <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not have the lock in time")));
	sql_set_local("lock_timeout", psprintf(INT64_FORMAT, left));
}

/* Wait for the first holder of a row.  Where there is none, somebody is releasing the row at this moment. */
static void
wait_for(const Holders *holders)
{
	CHECK_FOR_INTERRUPTS();
	if (holders->count > 0)
		XactLockTableWait(holders->xids[0], NULL, NULL, XLTW_None);
	else
		pg_usleep(1000);
}

/* The state of taking a row. */
typedef struct RowTaking
{
	const RowToLock *row;
	TimestampTz end;
	bool		found;
} RowTaking;

/* Wait for the holders of the row one after the other, ahead of later callers.  A step of attempt_to_lock. */
static void
take_row(void *state)
{
	RowTaking  *taking = state;
	const RowToLock *row = taking->row;
	Oid			table = table_oid(row->key.table);
	uint32		place = rescue_place(row->what);
	int			level = NewGUCNestLevel();

	wait_until(taking->end);
	LockDatabaseObject(table, place, 0, ExclusiveLock);
	taking->found = true;
	while (taking->found && !row_lock_at_once(&row->key, row->mode))
	{
		Holders		holders = row_holders(row, &taking->found);

		wait_until(taking->end);
		wait_for(&holders);
	}
	UnlockDatabaseObject(table, place, 0, ExclusiveLock);
	AtEOXact_GUC(false, level);
}

/*
 * The processes that rescue a row, or wait to, in their order.  Each of them gets the row
 * before any later caller.
 */
static List *
row_rescuers(const Sql *sql, const RowToLock *row)
{
	static Statement read = {"SELECT l.pid FROM pg_catalog.pg_locks AS l WHERE " THIS_DATABASE
		" AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 0 AND l.mode = 'ExclusiveLock'"
		" AND l.pid <> pg_catalog.pg_backend_pid() ORDER BY l.granted DESC, l.waitstart, l.pid"};
	SqlRows		rows = sql_run(sql, &read, AS_OID(table_oid(row->key.table)), AS_OID(rescue_place(row->what)));
	List	   *pids = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		pids = lappend_int(pids, sql_int(&rows, i));
	return pids;
}

/* Who holds a row, and the processes that would get it next. */
static Culprits
row_culprits(const Sql *sql, const RowToLock *row)
{
	bool		found;
	Holders		holders = row_holders(row, &found);
	Culprits	culprits = {NIL, NIL};

	for (int i = 0; i < holders.count; i++)
	{
		int			pid = process_of(holders.xids[i]);

		if (pid != 0)
			culprits.pids = list_append_unique_int(culprits.pids, pid);
		else
			culprits.prepared = lappend_oid(culprits.prepared, SubTransGetTopmostTransaction(holders.xids[i]));
	}
	culprits.pids = list_truncate(list_concat_unique_int(culprits.pids, row_rescuers(sql, row)), MAX_SHOWN);
	return culprits;
}

/* Is the row missing from the transaction's snapshot? */
static bool
is_unseen(const RowToLock *row)
{
	return IsolationUsesXactSnapshot() && !row_is_shown(&row->key, GetTransactionSnapshot());
}

/*
 * Take the place where those queue who want the row, behind rescuers.  False where this
 * transaction holds the row already: a rescuer who holds the place waits for this transaction,
 * so waiting for the place would never end.
 */
static bool
stand_at(const RowToLock *row, Oid table, uint32 place)
{
	bool		found;

	if (ConditionalLockDatabaseObject(table, place, 0, ShareLock))
		return true;
	if (row_holders(row, &found).own)
		return false;
	LockDatabaseObject(table, place, 0, ShareLock);
	return true;
}

/*
 * Lock a row, from its place, if nobody else holds it.  Otherwise holders says who does, and
 * found whether the row exists.
 */
static bool
try_row(const RowToLock *row, Oid table, uint32 place, Holders *holders, bool *found)
{
	bool		stands = stand_at(row, table, place);
	bool		locked = row_lock_at_once(&row->key, row->mode);

	if (!locked)
		*holders = row_holders(row, found);
	if (stands)
		UnlockDatabaseObject(table, place, 0, ShareLock);
	return locked;
}

/*
 * Lock a row in the ordinary way: behind rescuers, and waiting for its holders in a queue at
 * another place.  False where the row does not exist, or the transaction's snapshot does not
 * show it.
 */
bool
row_lock(const RowToLock *row)
{
	Oid			table = table_oid(row->key.table);
	uint32		place = rescue_place(row->what);
	Holders		holders;
	bool		found = true;
	bool		locked;

	if (try_row(row, table, place, &holders, &found))
		return true;
	LockDatabaseObject(table, place, QUEUE, ExclusiveLock);
	while (!(locked = try_row(row, table, place, &holders, &found)) && found)
	{
		if (holders.count == 0 && is_unseen(row))
			break;
		wait_for(&holders);
	}
	UnlockDatabaseObject(table, place, QUEUE, ExclusiveLock);
	return locked;
}

/* Wait for those who rescue the row, before it is locked together with others. */
void
row_stand_behind(const RowToLock *row)
{
	Oid			table = table_oid(row->key.table);
	uint32		place = rescue_place(row->what);

	if (stand_at(row, table, place))
		UnlockDatabaseObject(table, place, 0, ShareLock);
}

/*
 * Lock a row in an emergency.  Raises PM_HELD where others do not release it until that time.  False
 * where the row does not exist, or the transaction's snapshot does not show it.
 */
bool
row_rescue(const Sql *sql, const RowToLock *row, TimestampTz end)
{
	RowTaking	taking = {.row = row,.end = end};

	if (row_lock_at_once(&row->key, row->mode))
		return true;
	if (is_unseen(row))
		return false;
	if (!attempt_to_lock(take_row, &taking))
	{
		Culprits	culprits = row_culprits(sql, row);

		refuse_held(sql, row->what, row->project, &culprits);
	}
	return taking.found;
}

/* A place in the lock manager to take. */
typedef struct ObjectTaking
{
	Oid			class;
	uint32		object;
	LOCKMODE	mode;
	TimestampTz end;
} ObjectTaking;

/* Wait for the place.  A step of attempt_to_lock. */
static void
take_object(void *state)
{
	const ObjectTaking *taking = state;
	int			level = NewGUCNestLevel();

	wait_until(taking->end);
	LockDatabaseObject(taking->class, taking->object, 0, taking->mode);
	AtEOXact_GUC(false, level);
}

/* A lock of a process, or of a prepared transaction. */
typedef struct LockHolder
{
	int32		pid;			/* 0: a prepared transaction */
	char	   *number;			/* of the transaction, where it is prepared */
} LockHolder;

/* Who holds a place in the lock manager. */
static Culprits
object_culprits(const Sql *sql, Oid class, uint32 object)
{
	static const SqlField fields[] = {
		SQL_FIELD(LockHolder, pid, "l.pid"),
		/* a prepared transaction also holds the lock on its own number */
		SQL_FIELD(LockHolder, number, "CASE WHEN l.pid IS NULL THEN (SELECT t.transactionid::pg_catalog.text FROM pg_catalog.pg_locks AS t"
				  " WHERE t.locktype = 'transactionid' AND t.pid IS NULL AND t.granted AND t.mode = 'ExclusiveLock'"
				  " AND t.virtualtransaction = l.virtualtransaction LIMIT 1) END")
	};
	static Statement read = SQL_ROWS(fields, "SELECT DISTINCT $* FROM pg_catalog.pg_locks AS l WHERE " THIS_DATABASE
									 " AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 0 AND l.granted"
									 " AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() ORDER BY 1, 2 LIMIT $3");
	SqlRows		rows = sql_run(sql, &read, AS_OID(class), AS_OID(object), AS_INT(MAX_SHOWN));
	Culprits	culprits = {NIL, NIL};
	LockHolder	holder;

	for (uint64 i = 0; sql_row(&rows, i, &holder); i++)
		if (holder.pid != 0)
			culprits.pids = lappend_int(culprits.pids, holder.pid);
		else if (holder.number)
			culprits.prepared = lappend_oid(culprits.prepared, (TransactionId) strtoul(holder.number, NULL, 10));
	return culprits;
}

/*
 * Take a place in the lock manager until the transaction ends.  Raises PM_HELD where others do
 * not release it in time.  The message says what is held.  project says whose admins may end
 * the holders; NULL: only those of everything.
 */
void
rescue_object(const Sql *sql, Oid class, uint32 object, LOCKMODE mode, const char *what, const char *project)
{
	ObjectTaking taking = {class, object, mode, rescue_deadline()};

	if (ConditionalLockDatabaseObject(class, object, 0, mode))
		return;
	if (!attempt_to_lock(take_object, &taking))
	{
		Culprits	culprits = object_culprits(sql, class, object);

		refuse_held(sql, what, project, &culprits);
	}
}

/* ---- ending sessions ---- */

/* Refuse to end a session. */
static void
refuse_end(int sqlstate, int32 pid, const char *detail)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("session %d is not ended", pid),
			 errdetail_internal("%s", detail),
			 errhint("What is held says whose sessions hold it: DETAIL of PM611.")));
}

/*
 * Refuse a process that is no session of this database, the caller's own session, and a
 * superuser's session unless the caller is one.
 */
static void
check_session(int32 pid)
{
	const PGPROC *process = BackendPidGetProc(pid);

	if (process == NULL || process->databaseId != MyDatabaseId || !OidIsValid(process->roleId))
		refuse_end(PM_NOT_FOUND, pid, "There is no such session of this database.");
	if (pid == MyProcPid)
		refuse_end(PM_INVALID_ARGUMENT, pid, "It is your own.");
	if (superuser_arg(process->roleId) && !superuser_arg(rights_role()))
		refuse_end(PM_NOT_GRANTED, pid, "It is a superuser's.");
}

/* Does the session hold any lock here that is stronger than for reading? */
static bool
holds_anything(const Sql *sql, int32 pid)
{
	static Statement look = {"SELECT FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = COALESCE(l.relation, l.classid)"
		" WHERE l.pid = $1 AND l.granted AND l.mode <> 'AccessShareLock' AND c.relnamespace = 'promote'::pg_catalog.regnamespace"
		" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())"};

	return sql_run(sql, &look, AS_INT(pid)).count > 0;
}

/* Does the process hold one of the rows whose ctids a statement returned? */
static bool
holds_one_of(const char *table, const SqlRows *rows, int32 pid)
{
	Relation	relation = table_open(table_oid(table), AccessShareLock);
	bool		held = false;

	for (uint64 i = 0; i < rows->count && !held; i++)
	{
		Holders		holders = holders_of(relation, (ItemPointer) DatumGetPointer(sql_datum(rows, i).value));

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < holders.count; j++)
			held |= process_of(holders.xids[j]) == pid;
	}
	table_close(relation, NoLock);
	return held;
}

/* Does the session rescue a row of the project, or wait to?  rescue_place says which places belong to rows. */
static bool
rescues_in_project(const Sql *sql, int32 pid, const char *project)
{
	static Statement read = {"SELECT FROM pg_catalog.pg_locks AS l JOIN promote_internal.lockable_row AS r"
		" ON r.class = l.classid AND (pg_catalog.hashtext(r.what) OPERATOR(pg_catalog.|) 1)::pg_catalog.oid = l.objid WHERE " THIS_DATABASE
		" AND l.pid = $1 AND l.objsubid = 0 AND l.mode = 'ExclusiveLock' AND r.project = $2 LIMIT 1"};

	return sql_read(sql, &read, AS_INT(pid), AS_TEXT(project)).count > 0;
}

/* Does the session hold the lock on the project's line? */
static bool
holds_line(const Sql *sql, int32 pid, const char *project)
{
	return list_member_int(object_culprits(sql, table_oid("line_stop"), rescue_place(project)).pids, pid);
}

/*
 * Does the session hold an instance, a running deployment, a request or the line of the
 * project, or does it rescue one?
 */
static bool
holds_of_project(const Sql *sql, int32 pid, const char *project)
{
	static const char *const tables[] = {"instance", "deployment", "promotion_request"};
	static Statement reads[] = {
		{"SELECT i.ctid FROM promote.instance AS i WHERE i.project = $1"},
		{"SELECT d.ctid FROM promote.deployment AS d WHERE d.project = $1 AND d.status = 'RUNNING'"},
		{"SELECT r.ctid FROM promote.promotion_request AS r WHERE r.project = $1"}
	};
	bool		held = holds_line(sql, pid, project);

	sql_push_latest();
	held = held || rescues_in_project(sql, pid, project);
	for (int i = 0; i < lengthof(tables) && !held; i++)
	{
		SqlRows		rows = sql_read(sql, &reads[i], AS_TEXT(project));

		held = holds_one_of(tables[i], &rows, pid);
	}
	PopActiveSnapshot();
	return held;
}

/* Append to the chain of sessions with that process id that one was ended. */
static void
record_end(const Sql *sql, int32 pid, const char *project, const char *reason)
{
	char	   *role = GetUserNameFromId(BackendPidGetProc(pid) ? BackendPidGetProc(pid)->roleId : InvalidOid, true);
	JsonBuilder facts;

	rescue_object(sql, table_oid("audit_log"), pid, ExclusiveLock, psprintf("the record of session %d", pid), project);
	audit_begin(&facts);
	json_build_number(&facts, "session", pid);
	if (role)
		json_build_field(&facts, "role", role);
	json_build_field(&facts, "reason", reason);
	audit_note_facts(sql, project ? project : AUDIT_NO_PROJECT, psprintf("session %d", pid), "session.ended", &facts);
}

/*
 * promote.end_session(pid integer, reason text, project text) returns boolean
 *
 * The record is written before the session ends.  If the transaction rolls back, the record is
 * lost although the session has ended; the server's log still shows it.
 */
Datum
promote_end_session(PG_FUNCTION_ARGS)
{
	int32		pid = argument_number(fcinfo, 0, "session");
	const char *reason = argument_required(fcinfo, 1, "reason");
	const char *project = argument_text(fcinfo, 2);
	Sql			sql;
	bool		ended;

	access_require_in("admin", project, NULL);
	check_session(pid);
	sql_enter(&sql);
	if (project ? !holds_of_project(&sql, pid, project) : !holds_anything(&sql, pid))
		refuse_end(PM_NOT_FOUND, pid, project ? psprintf("It holds no instance, no deployment, no request and no line of project \"%s\".", project) :
				   "It holds nothing here.");
	record_end(&sql, pid, project, reason);
	/* the server's log keeps this even if the transaction rolls back */
	ereport(LOG_SERVER_ONLY,
			(errmsg("session %d is ended by \"%s\": %s", pid, current_actor(), reason)));
	ended = DatumGetBool(DirectFunctionCall2(pg_terminate_backend, Int32GetDatum(pid), Int64GetDatum(END_TIMEOUT)));
	sql_leave(&sql);
	PG_RETURN_BOOL(ended);
}
