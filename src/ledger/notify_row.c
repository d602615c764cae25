/*
 * notify_row.c: notices that wait in rows.
 *
 * A transaction that is prepared leaves its notices in a row of promote.notice, which becomes
 * visible when it is committed, whoever does that, also after a crash.  A transaction for whose
 * notices there is no room in memory does the same.  The worker sends and removes the rows.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "ledger/guard.h"
#include "ledger/notify_row.h"

/* Is the table there?  Locks it, unless another session holds it: nobody waits here. */
NoticeTable
notify_table(void)
{
	Oid			schema = get_namespace_oid("promote", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("notice", schema) : InvalidOid;

	if (!OidIsValid(table))
		return NOTICES_MISSING;
	if (!ConditionalLockRelationOid(table, RowExclusiveLock))
		return NOTICES_LOCKED;
	/* it may have been dropped before the lock was taken */
	return get_rel_relkind(table) == RELKIND_RELATION ? NOTICES_READY : NOTICES_MISSING;
}

/* Leave notices in a row.  The number sets the transaction's rows apart. */
void
notify_leave_row(int32 number, const char *notices)
{
	static Statement leave = {"INSERT INTO promote.notice (change, number, payloads)"
		" VALUES (pg_catalog.pg_current_xact_id(), $1, $2)"};
	Sql			sql;

	/* after the last portal no snapshot is active */
	PushActiveSnapshot(GetTransactionSnapshot());
	sql_enter(&sql);
	guarded_run(&sql, &leave, AS_INT(number), AS_TEXT(notices));
	sql_leave(&sql);
	PopActiveSnapshot();
}

/*
 * Remove the oldest row that no other session is removing, or the transaction's own oldest one, and return its notices
 * in the current memory context.  NULL: there is none.
 */
char *
notify_take_row(bool own)
{
	static Statement take = {"DELETE FROM promote.notice AS n WHERE n.ctid = (SELECT o.ctid FROM promote.notice AS o"
		" WHERE NOT $1 OR o.change = pg_catalog.pg_current_xact_id()"
		" ORDER BY o.change, o.number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING n.payloads"};
	char	   *notices = NULL;
	SqlRows		rows;
	Sql			sql;

	PushActiveSnapshot(GetTransactionSnapshot());
	sql_enter(&sql);
	rows = guarded_run(&sql, &take, AS_BOOL(own));
	if (rows.count > 0)
		notices = MemoryContextStrdup(sql.caller, sql_text(&rows, 0));
	sql_leave(&sql);
	PopActiveSnapshot();
	return notices;
}
