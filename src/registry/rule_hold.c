/*
 * rule_hold.c: no gap between what gates look at and what is done by it.
 *
 * Who is judged by rules holds nothing while the transaction is open, and
 * who writes rules waits for nobody's.  The backend remembers what it was
 * judged by, and by which view, a snapshot that was taken before the rules
 * were read.  Whoever changes rules leaves a row in rule_change with the
 * number of the transaction.  When a judged transaction commits, it looks for
 * a change that is committed by then and that the view did not show, and
 * fails where there is one: 40001, to be called again.
 *
 * Both do that behind one lock, which is held for as long as a commit takes:
 * shared by the judged, alone by who changed rules.  It is a lock of the
 * lock manager's, which stands in a queue: who waits to change rules stops
 * those who come later.  That the one is over before the other begins is
 * what makes the look a proof: a change that is not seen by then commits
 * after what it would have forbidden.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "base/trigger.h"
#include "ledger/guard.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_note_rule);

#define RELEASES "bundle_release"
#define MAX_FORGOTTEN 100		/* rows of rule_change that are removed at once */

/* What a mark is about. */
typedef enum RuleKind
{
	RULE_ALL,					/* all rules of an environment */
	RULE_PATHS,					/* from where may be promoted to it */
	RULE_RELEASE				/* whether a release is blocked, and its stateful types */
} RuleKind;

/* What the transaction was judged by, or has changed. */
typedef struct Mark
{
	RuleKind	kind;
	const char *source;			/* table that was changed; NULL: it was judged by it */
	const char *first;			/* project, or bundle; NULL: all */
	const char *second;			/* environment, or version; NULL: all */
	Datum		view;			/* pg_snapshot that the rules were read behind; 0 of a change */
	SubTransactionId subxact;	/* that it belongs to */
} Mark;

/* Of the transaction; the marks are in its memory. */
static List *marks = NIL;
static int32 last_number = 0;	/* of its rows of rule_change */
static Snapshot kept = NULL;	/* of the first view: keeps what it does not show from being removed */
static Datum first_view = 0;	/* what it does not show is all that any view may not */

/* ---- marks ---- */

/* Are two names, NULL for all, the same? */
static bool
same_name(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A copy of a name in the current memory context; NULL stays NULL. */
static const char *
copy_name(const char *name)
{
	return name ? pstrdup(name) : NULL;
}

/* Is there such a mark already?  The last are looked at first: a transaction is mostly about one environment. */
static bool
is_marked(const Mark *sought)
{
	for (int i = list_length(marks) - 1; i >= 0; i--)
	{
		const Mark *mark = list_nth(marks, i);

		if (mark->kind == sought->kind && same_name(mark->source, sought->source) &&
			same_name(mark->first, sought->first) && same_name(mark->second, sought->second))
			return true;
	}
	return false;
}

/* Remember a mark, unless it is there: of two views the older one counts. */
static void
remember(const Mark *mark)
{
	MemoryContext inner = MemoryContextSwitchTo(TopTransactionContext);
	Mark	   *copy = palloc(sizeof(Mark));

	*copy = *mark;
	copy->source = copy_name(mark->source);
	copy->first = copy_name(mark->first);
	copy->second = copy_name(mark->second);
	if (mark->view)
		copy->view = datumCopy(mark->view, false, -1);
	copy->subxact = GetCurrentSubTransactionId();
	marks = lappend(marks, copy);
	MemoryContextSwitchTo(inner);
}

/* Forget what a subtransaction has marked that is rolled back: nothing is left of it. */
static void
forget_subtransaction(SubTransactionId subxact)
{
	ListCell   *cell;

	foreach(cell, marks)
		if (((Mark *) lfirst(cell))->subxact == subxact)
			marks = foreach_delete_current(marks, cell);
}

/* Let what a subtransaction has marked belong to its parent. */
static void
hand_up(SubTransactionId subxact, SubTransactionId parent)
{
	ListCell   *cell;

	foreach(cell, marks)
	{
		Mark	   *mark = lfirst(cell);

		if (mark->subxact == subxact)
			mark->subxact = parent;
	}
}

/* ---- being judged ---- */

/* Keep the first view, whose snapshot is active, to the end of the transaction. */
static void
keep_view(Datum view)
{
	MemoryContext inner = MemoryContextSwitchTo(TopTransactionContext);

	kept = RegisterSnapshotOnOwner(GetActiveSnapshot(), TopTransactionResourceOwner);
	first_view = datumCopy(view, false, -1);
	MemoryContextSwitchTo(inner);
}

/*
 * What is committed now, as a pg_snapshot in the current memory context: to be
 * taken before rules are read that are then held.  Of a transaction that reads
 * by one snapshot from beginning to end it is that one.
 */
Datum
rule_view(void)
{
	Datum		view;

	PushActiveSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
	view = DirectFunctionCall1(pg_current_snapshot, (Datum) 0);
	if (kept == NULL)
		keep_view(view);
	PopActiveSnapshot();
	return view;
}

/* Hold the transaction to some rules. */
static void
hold(RuleKind kind, const char *first, const char *second, Datum view)
{
	Mark		mark = {.kind = kind,.first = first,.second = second,.view = view};

	if (!is_marked(&mark))
		remember(&mark);
}

/* What is done is judged by the rules of an environment, read behind the view: they must still stand at the commit. */
void
rule_hold(const char *project, const char *environment, Datum view)
{
	hold(RULE_ALL, project, environment, view);
}

/* The same of the paths to an environment alone. */
void
rule_hold_paths(const char *project, const char *environment, Datum view)
{
	hold(RULE_PATHS, project, environment, view);
}

/* The same of a release's not being blocked. */
void
rule_hold_release(const char *bundle, const char *version, Datum view)
{
	hold(RULE_RELEASE, bundle, version, view);
}

/* The environment that what an instance desires was promoted from; NULL: none. */
static char *
source_of(const Sql *sql, const InstanceKey *key)
{
	static Statement read = {"SELECT NULLIF(r.source_environment, r.environment)::pg_catalog.text FROM promote.instance AS i"
		" JOIN promote.revision AS r ON " SAME_INSTANCE("r", "i") " AND r.revision = i.revision WHERE " OF_INSTANCE("i")};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));

	return rows.count > 0 ? sql_text(&rows, 0) : NULL;
}

/*
 * Hold what a deployment of the instance is judged by: lock the facts, which
 * are the instance's and those of the source of what it desires, in key order,
 * and remember the environment's rules.  Another source that it has got in the
 * meantime is locked behind it.
 */
void
rule_hold_case(const Sql *sql, const InstanceKey *key)
{
	InstanceKey source = *key;
	char	   *now;

	source.environment = source_of(sql, key);
	if (source.environment && instance_key_compare(&source, key) < 0)
		instance_lock(sql, &source, false);
	instance_lock(sql, key, true);
	if (source.environment && instance_key_compare(&source, key) > 0)
		instance_lock(sql, &source, false);
	now = source_of(sql, key);
	if (now && (source.environment == NULL || strcmp(now, source.environment) != 0))
	{
		source.environment = now;
		instance_lock(sql, &source, false);
	}
	rule_hold(key->project, key->environment, rule_view());
}

/* ---- changing rules ---- */

/* The oldest transaction whose changes somebody may have to look at still. */
static FullTransactionId
oldest_needed(void)
{
	Relation	table = table_open(table_oid("rule_change"), AccessShareLock);
	TransactionId oldest = GetOldestNonRemovableTransactionId(table);
	FullTransactionId next = ReadNextFullTransactionId();

	table_close(table, NoLock);
	return FullTransactionIdFromU64(U64FromFullTransactionId(next) - (uint32) (XidFromFullTransactionId(next) - oldest));
}

/*
 * Remove changes that every view which is still of use shows.  Whoever else is
 * about it is not waited for; a snapshot that is older than their commit could
 * not pass over what they have removed.
 */
static void
forget_changes(const Sql *sql)
{
	static Statement forget = {"DELETE FROM promote.rule_change AS c WHERE c.ctid = ANY (ARRAY(SELECT o.ctid"
		" FROM promote.rule_change AS o WHERE o.change < $1 ORDER BY o.change LIMIT $2 FOR UPDATE SKIP LOCKED))"};

	if (!IsolationUsesXactSnapshot())
		guarded_run(sql, &forget, sql_value(XID8OID, false, FullTransactionIdGetDatum(oldest_needed())),
					AS_INT(MAX_FORGOTTEN));
}

/* Write down that the transaction changes some rules. */
static void
write_change(const Sql *sql, const Mark *mark)
{
	static Statement write = {"INSERT INTO promote.rule_change (change, number, source, project, environment, bundle, version)"
		" VALUES (pg_catalog.pg_current_xact_id(), $1, $2, $3, $4, $5, $6)"};
	bool		release = mark->kind == RULE_RELEASE;

	guarded_run(sql, &write, AS_INT(++last_number), AS_TEXT(mark->source),
				AS_TEXT(release ? NULL : mark->first), AS_TEXT(release ? NULL : mark->second),
				AS_TEXT(release ? mark->first : NULL), AS_TEXT(release ? mark->second : NULL));
}

/* Note a change, once for each transaction. */
static void
change(const Sql *sql, RuleKind kind, const char *source, const char *first, const char *second)
{
	Mark		mark = {.kind = kind,.source = source,.first = first,.second = second};

	if (is_marked(&mark))
		return;
	if (last_number == 0)
		forget_changes(sql);
	write_change(sql, &mark);
	remember(&mark);
}

/*
 * The transaction changes rules of a table: of an environment, or (NULL) of
 * all of the project, of all projects.  Who was judged by them and has not
 * committed when it does will fail.
 */
void
rule_changed(const Sql *sql, const char *source, const char *project, const char *environment)
{
	change(sql, RULE_ALL, source, project, environment);
}

/* The transaction blocks a release, or changes its stateful types: the same for who was judged by that release. */
void
rule_release_changed(const Sql *sql, const char *bundle, const char *version)
{
	change(sql, RULE_RELEASE, RELEASES, bundle, version);
}

/* A text column of a row, by its name; NULL where it is NULL, or there is none. */
static char *
column_text(HeapTuple row, TupleDesc row_type, const char *name)
{
	int			number = SPI_fnumber(row_type, name);

	return number > 0 ? SPI_getvalue(row, row_type, number) : NULL;
}

/* Note what a row of a table of rules is about. */
static void
note_row(const Sql *sql, TriggerData *data, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *environment = column_text(row, row_type, "environment");

	if (environment == NULL)
		environment = column_text(row, row_type, "destination_environment");
	rule_changed(sql, RelationGetRelationName(data->tg_relation), column_text(row, row_type, "project"), environment);
}

/*
 * promote_internal.note_rule() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE of a table of rules, for each row.
 */
Datum
promote_note_rule(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "note_rule", NULL,
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	Sql			sql;

	sql_enter(&sql);
	note_row(&sql, data, data->tg_trigtuple);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		note_row(&sql, data, data->tg_newtuple);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* ---- committing ---- */

/* A row of rule_change. */
typedef struct RuleChange
{
	FullTransactionId change;
	Mark		mark;
} RuleChange;

/* Is what was changed among what was judged by? */
static bool
concerns(const Mark *changed, const Mark *judged)
{
	if ((changed->kind == RULE_RELEASE) != (judged->kind == RULE_RELEASE))
		return false;
	if (judged->kind == RULE_PATHS && strcmp(changed->source, "promotion_path") != 0 &&
		strcmp(changed->source, "environment") != 0)
		return false;
	return (changed->first == NULL || strcmp(changed->first, judged->first) == 0) &&
		(changed->second == NULL || strcmp(changed->second, judged->second) == 0);
}

/* What was changed, in words. */
static char *
what_changed(const Mark *changed)
{
	char	   *where = changed->first == NULL ? changed->second == NULL ? "" : psprintf(" for environment \"%s\"", changed->second) :
		changed->second == NULL ? psprintf(" for project \"%s\"", changed->first) :
		psprintf(" for \"%s-%s\"", changed->first, changed->second);

	if (changed->kind == RULE_RELEASE)
		return psprintf("Release %s of bundle \"%s\" was blocked or changed", changed->second, changed->first);
	if (strcmp(changed->source, "line_stop") == 0)
		return psprintf("The line was stopped, or let go on,%s", where);
	if (strcmp(changed->source, "promotion_request") == 0)
		return psprintf("A request was opened%s", where);
	return psprintf("Rows of promote.%s%s were changed", changed->source, where);
}

/* Refuse to commit what was judged by rules that have changed. */
static void
refuse_stale(const Mark *changed)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not commit what was judged by rules that have changed"),
			 errdetail("%s by a transaction that has committed since.", what_changed(changed)),
			 errhint("Nothing was done. Call it again: it is judged anew.")));
}

/* Hold a change that another transaction has committed against all that this one was judged by. */
static void
check_change(const RuleChange *changed)
{
	ListCell   *cell;

	foreach(cell, marks)
	{
		const Mark *mark = lfirst(cell);

		if (mark->source == NULL && concerns(&changed->mark, mark) &&
			!DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											  FullTransactionIdGetDatum(changed->change), mark->view)))
			refuse_stale(&changed->mark);
	}
}

/* Read a row of rule_change. */
static void
read_change(HeapTuple row, TupleDesc row_type, RuleChange *changed)
{
	bool		isnull;

	changed->change = DatumGetFullTransactionId(heap_getattr(row, SPI_fnumber(row_type, "change"), row_type, &isnull));
	changed->mark = (Mark) {.source = column_text(row, row_type, "source")};
	changed->mark.kind = strcmp(changed->mark.source, RELEASES) == 0 ? RULE_RELEASE : RULE_ALL;
	changed->mark.first = column_text(row, row_type, changed->mark.kind == RULE_RELEASE ? "bundle" : "project");
	changed->mark.second = column_text(row, row_type, changed->mark.kind == RULE_RELEASE ? "version" : "environment");
}

/*
 * Refuse to commit where rules that the transaction was judged by have changed
 * since: by what is committed now, from the first transaction on that the
 * first view may not show.  By hand and not by a statement, for every commit
 * that was judged pays for it, and nearly none finds a row.
 */
static void
check_marks(Oid oid)
{
	Relation	table = table_open(oid, AccessShareLock);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	FullTransactionId own = GetTopFullTransactionId();
	SysScanDesc scan;
	ScanKeyData from;
	HeapTuple	row;

	ScanKeyInit(&from, 1, BTGreaterEqualStrategyNumber, F_XID8GE,
				DirectFunctionCall1(pg_snapshot_xmin, first_view));
	scan = systable_beginscan(table, RelationGetPrimaryKeyIndex(table, false), true, now, 1, &from);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		RuleChange	changed;

		CHECK_FOR_INTERRUPTS();
		read_change(row, RelationGetDescr(table), &changed);
		if (!FullTransactionIdEquals(changed.change, own))
			check_change(&changed);
	}
	systable_endscan(scan);
	UnregisterSnapshot(now);
	table_close(table, NoLock);
}

/* Has the transaction marks of changes, or of judgements? */
static bool
has_marks(bool of_changes)
{
	ListCell   *cell;

	foreach(cell, marks)
		if ((((Mark *) lfirst(cell))->source != NULL) == of_changes)
			return true;
	return false;
}

/*
 * Stand in the queue of those who commit: alone who has changed rules, beside
 * each other who was judged by them.  Nobody waits there for longer than for
 * anything in an emergency.
 */
static void
stand_in_queue(Oid table, bool alone)
{
	LOCKMODE	mode = alone ? ExclusiveLock : ShareLock;
	Sql			sql;

	if (ConditionalLockDatabaseObject(table, 0, 0, mode))
		return;
	sql_enter(&sql);
	/* behind the last portal there is none */
	PushActiveSnapshot(GetTransactionSnapshot());
	rescue_object(&sql, table, 0, mode, alone ? "rules that others are just committing by" : "rules that others are just changing", NULL);
	PopActiveSnapshot();
	sql_leave(&sql);
}

/*
 * Before the commit, behind all deferred triggers: stand in the queue, and see
 * whether what was judged still holds.  Emptying temporary tables takes locks of
 * them, which others can hold, too: that is done before, and what PostgreSQL
 * does of it again behind us waits for nobody.
 */
static void
before_commit(void)
{
	Oid			schema = get_namespace_oid("promote", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("rule_change", schema) : InvalidOid;

	/* the transaction has dropped the extension */
	if (!OidIsValid(table))
		return;
	PreCommit_on_commit_actions();
	stand_in_queue(table, has_marks(true));
	if (has_marks(false))
		check_marks(table);
}

/* Let go of the first view. */
static void
release_view(void)
{
	if (kept)
		UnregisterSnapshotFromOwner(kept, TopTransactionResourceOwner);
	kept = NULL;
}

/* The transaction is over, and its memory with it. */
static void
forget_transaction(void)
{
	marks = NIL;
	last_number = 0;
	kept = NULL;
	first_view = (Datum) 0;
	rescue_forget();
}

/*
 * A prepared transaction would commit, or keep the queue waiting, when nobody
 * looks any more; and what it has locked nobody could be told of, or end.
 */
static void
refuse_prepare(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot PREPARE a transaction in which promote has changed or judged something"),
			 errdetail("Whether the rules still stand is judged when it commits."),
			 errhint("COMMIT it.")));
}

/* What is to be done when a transaction comes to its end. */
static void
on_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (marks != NIL)
				before_commit();
			release_view();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (marks != NIL || rescue_has_rows())
				refuse_prepare();
			release_view();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
		default:
			forget_transaction();
	}
}

/* What is to be done when a subtransaction comes to its end. */
static void
on_subtransaction_end(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_up(subxact, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_subtransaction(subxact);
}

/* Be told of the ends of transactions. */
void
rule_init(void)
{
	RegisterXactCallback(on_end, NULL);
	RegisterSubXactCallback(on_subtransaction_end, NULL);
}
