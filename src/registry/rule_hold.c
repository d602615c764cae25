/*
 * rule_hold.c: rules that change between a judgement and its commit.
 *
 * A judged transaction takes no locks on the rules, and a transaction that changes rules does
 * not wait for judged ones.  Instead the backend remembers which rules it was judged by, and a
 * view: a snapshot taken before the rules were read.  A transaction that changes rules writes
 * a row into rule_change with its transaction id.  When a judged transaction commits, it looks
 * for a committed change that its view does not show.  If there is one, it fails with 40001,
 * so that the client tries again.
 *
 * Both commit under one lock, held only as long as a commit takes: judged transactions share
 * it, and a transaction that changed rules holds it exclusively.  It is a lock of the lock
 * manager, which has a queue, so a transaction that waits to change rules holds up later
 * ones.  Because of the lock, a change that the check does not find commits after the judged
 * transaction, and so does not concern it.
 *
 * Where transactions can be prepared there is a lock for each environment and release, because
 * prepared transactions keep theirs: what they were judged by cannot change before they end.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/batch.h"
#include "base/compat.h"
#include "base/row.h"
#include "base/trigger.h"
#include "ledger/guard.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "registry/rule_hold.h"

#define MAX_FORGOTTEN 100		/* rows of rule_change that one call removes */

/* Rules that the transaction was judged by, or has changed. */
typedef struct Mark
{
	RuleKind	kind;
	const char *source;			/* the changed table; NULL: the transaction was judged by the rules */
	const char *first;			/* project or bundle; NULL: all */
	const char *second;			/* environment or version; NULL: all */
	Datum		view;			/* pg_snapshot taken before the rules were read; 0 for a change */
	SubTransactionId subxact;	/* the subtransaction that made the mark */
} Mark;

/* The marks of the transaction, in its memory: in the order they were made, and by what they are about. */
static List *marks = NIL;
static HTAB *by_subject = NULL;
static int32 last_number = 0;	/* of the transaction's rows of rule_change */
static Snapshot kept = NULL;	/* of the first view: keeps rows that it does not show from vacuum */
static Datum first_view = 0;	/* what any view does not show, this one does not show either */

/* ---- marks ---- */

/* Are two names equal?  NULL stands for all. */
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

/* Hash a name, which may be NULL. */
static uint32
hash_name(const char *name)
{
	return name ? hash_bytes((const unsigned char *) name, strlen(name)) : 0;
}

/* Hash what a mark is about.  A HashValueFunc. */
static uint32
hash_mark(const void *key, Size size)
{
	const Mark *mark = *(const Mark *const *) key;

	return hash_combine(hash_combine(hash_name(mark->source), hash_name(mark->first)),
						hash_combine(hash_name(mark->second), mark->kind));
}

/* Compare what two marks are about; 0 if it is the same.  A HashCompareFunc. */
static int
match_mark(const void *a, const void *b, Size size)
{
	const Mark *one = *(const Mark *const *) a;
	const Mark *other = *(const Mark *const *) b;

	return one->kind != other->kind || !same_name(one->source, other->source) ||
		!same_name(one->first, other->first) || !same_name(one->second, other->second);
}

/* Does such a mark exist? */
static bool
is_marked(const Mark *sought)
{
	return by_subject && hash_search(by_subject, &sought, HASH_FIND, NULL) != NULL;
}

/* Make the marks be found by what they are about. */
static void
make_index(void)
{
	HASHCTL		control = {
		.keysize = sizeof(Mark *),.entrysize = sizeof(Mark *),
		.hash = hash_mark,.match = match_mark,.hcxt = TopTransactionContext
	};

	if (by_subject == NULL)
		by_subject = hash_create("promote rule marks", 16, &control,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* Add a mark, of which there is none about the same: the older of two views counts. */
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
	make_index();
	hash_search(by_subject, &copy, HASH_ENTER, NULL);
	marks = lappend(marks, copy);
	MemoryContextSwitchTo(inner);
}

/* The last mark, if a subtransaction has made it: those of one that is ending are the last.  NULL: it has not. */
static Mark *
last_of(SubTransactionId subxact)
{
	Mark	   *last = marks == NIL ? NULL : llast(marks);

	return last && last->subxact == subxact ? last : NULL;
}

/* Remove the marks of a subtransaction that is rolled back. */
static void
forget_subtransaction(SubTransactionId subxact)
{
	Mark	   *mark;

	while ((mark = last_of(subxact)) != NULL)
	{
		hash_search(by_subject, &mark, HASH_REMOVE, NULL);
		marks = list_delete_last(marks);
	}
}

/* Move the marks of a subtransaction to its parent. */
static void
hand_up(SubTransactionId subxact, SubTransactionId parent)
{
	for (int i = list_length(marks) - 1; i >= 0; i--)
	{
		Mark	   *mark = list_nth(marks, i);

		if (mark->subxact != subxact)
			break;
		mark->subxact = parent;
	}
}

/* ---- being judged ---- */

/* Keep the first view, whose snapshot is active, until the transaction ends. */
static void
keep_view(Datum view)
{
	MemoryContext inner = MemoryContextSwitchTo(TopTransactionContext);

	kept = RegisterSnapshotOnOwner(GetActiveSnapshot(), TopTransactionResourceOwner);
	first_view = datumCopy(view, false, -1);
	MemoryContextSwitchTo(inner);
}

/*
 * A view of what is committed now, as a pg_snapshot in the current memory context.  Take it
 * before reading rules that rule_hold is called for.  A transaction with a single snapshot
 * gets that snapshot.
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

/*
 * Remember that the transaction was judged by the rules of an environment, or by those of a
 * release, read after the view.  They must still stand at the commit.
 */
void
rule_hold(RuleKind kind, const char *first, const char *second, Datum view)
{
	Mark		mark = {.kind = kind,.first = first,.second = second,.view = view};

	if (!is_marked(&mark))
		remember(&mark);
}

/* The environment that an instance's desired state was promoted from; NULL: none. */
static char *
source_of(const InstanceKey *key)
{
	const RowKey instance = {"instance", "instance_pkey", {AS_KEY(key)}, 3};
	NullableDatum revision;
	char	   *source = NULL;

	sql_push_latest();
	revision = row_column(&instance, "revision", GetActiveSnapshot());
	if (!revision.isnull)
	{
		const RowKey desired = {"revision", "revision_pkey", {AS_KEY(key), AS_INT(value_int(revision))}, 4};

		source = value_text(row_column(&desired, "source_environment", GetActiveSnapshot()));
	}
	PopActiveSnapshot();
	return source && strcmp(source, key->environment) != 0 ? source : NULL;
}

/*
 * Hold what a deployment of the instance is judged by.  This locks the facts, which are the
 * rows of the instance and of the source of its desired state, in key order, and remembers the
 * environment's rules.  If the source changes before the locks are held, the new source is
 * locked as well.
 */
void
rule_hold_case(const Sql *sql, const InstanceKey *key)
{
	InstanceKey source = *key;
	char	   *now;

	source.environment = source_of(key);
	if (source.environment && instance_key_compare(&source, key) < 0)
		instance_lock(sql, &source, false);
	instance_lock(sql, key, true);
	if (source.environment && instance_key_compare(&source, key) > 0)
		instance_lock(sql, &source, false);
	now = source_of(key);
	if (now && (source.environment == NULL || strcmp(now, source.environment) != 0))
	{
		source.environment = now;
		instance_lock(sql, &source, false);
	}
	rule_hold(RULE_ALL, key->project, key->environment, rule_view());
}

/* An instance to be locked with others. */
typedef struct Held
{
	InstanceKey key;
	int			place;			/* among those that are asked for; -1: the source of one */
} Held;

/* The order of locks; an instance that is asked for comes before itself as a source.  For qsort. */
static int
compare_held(const void *a, const void *b)
{
	const Held *one = a;
	const Held *other = b;
	int			order = instance_key_compare(&one->key, &other->key);

	return order != 0 ? order : (one->place < 0) - (other->place < 0);
}

/* Lock instances that are in order, and say in locked which of those that are asked for exist. */
static void
lock_held(const Sql *sql, const Held *held, int count, bool *locked)
{
	for (int first = 0, next; first < count; first = next)
	{
		InstanceKey *keys = palloc((count - first) * sizeof(InstanceKey));
		bool		asked = held[first].place >= 0;
		bool	   *found;

		/* a run of which all are asked for, or all are sources */
		for (next = first; next < count && (held[next].place >= 0) == asked; next++)
			keys[next - first] = held[next].key;
		found = instances_lock(sql, keys, next - first, asked);
		for (int i = first; asked && i < next; i++)
			locked[held[i].place] = found[i - first];
	}
}

/* The instances that what instances desire was promoted from: rows of Held without places. */
static SqlRows
read_sources(const Sql *sql, const Batch *instances)
{
	static const SqlField fields[] = {
		SQL_FIELD(Held, key.project, "i.project"), SQL_FIELD(Held, key.environment, "r.source_environment"),
		SQL_FIELD(Held, key.component, "i.component")
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM held_instance AS k"
									 " JOIN promote.instance AS i ON " SAME_INSTANCE("i", "k")
									 " CROSS JOIN LATERAL (SELECT r.source_environment FROM promote.revision AS r"
									 "  WHERE " SAME_INSTANCE("r", "i") " AND r.revision = i.revision"
									 "  AND r.source_environment <> r.environment LIMIT 1) AS r");

	return batch_run(sql, &read, instances);
}

/* Add the sources of instances to what is held, in order and none twice; returns how many there are then. */
static int
add_sources(const Sql *sql, const Batch *instances, Held *held, int count)
{
	SqlRows		rows = read_sources(sql, instances);
	int			last = 0;

	for (uint64 i = 0; sql_row(&rows, i, &held[count]); i++)
		held[count++].place = -1;
	qsort(held, count, sizeof(Held), compare_held);
	for (int i = 1; i < count; i++)
		if (instance_key_compare(&held[last].key, &held[i].key) != 0)
			held[++last] = held[i];
	return last + 1;
}

/* Lock the sources that have changed before the locks were held. */
static void
lock_moved(const Sql *sql, const Batch *instances, const Held *held, int count)
{
	SqlRows		rows = read_sources(sql, instances);
	Held		source = {.place = -1};

	for (uint64 i = 0; sql_row(&rows, i, &source); i++)
	{
		const Held	asked = {source.key, 0};

		if (bsearch(&source, held, count, sizeof(Held), compare_held) == NULL &&
			bsearch(&asked, held, count, sizeof(Held), compare_held) == NULL)
			instance_lock(sql, &source.key, false);
	}
}

/*
 * Hold what deployments of many instances are judged by, as rule_hold_case does of one: the rows of the instances and
 * of their sources are locked in the order of their keys, and the rules of their environments remembered.  The keys are
 * in that order, and none is twice.  Returns for each whether the instance exists.
 */
bool *
rule_hold_cases(const Sql *sql, const InstanceKey *keys, int count)
{
	bool	   *locked = palloc0((count + 1) * sizeof(bool));
	Held	   *held = palloc0((2 * count + 1) * sizeof(Held));
	static const char *const columns[] = {"project", "environment", "component"};
	Batch		instances = {.name = "held_instance",.columns = columns};
	Datum		view;
	int			total;

	if (count == 0)
		return locked;
	batch_begin(&instances);
	for (int i = 0; i < count; i++)
	{
		held[i] = (Held) {keys[i], i};
		batch_put(&instances, AS_KEY(&keys[i]));
	}
	total = add_sources(sql, &instances, held, count);
	lock_held(sql, held, total, locked);
	lock_moved(sql, &instances, held, total);
	batch_end(&instances);
	view = rule_view();
	for (int i = 0; i < count; i++)
		rule_hold(RULE_ALL, keys[i].project, keys[i].environment, view);
	return locked;
}

/* ---- changing rules ---- */

/* The oldest transaction whose changes a judged transaction may still need. */
static FullTransactionId
oldest_needed(void)
{
	Relation	table = table_open(table_oid("rule_change"), AccessShareLock);
	TransactionId oldest = GetOldestNonRemovableTransactionId(table);
	FullTransactionId next = ReadNextFullTransactionId();

	table_close(table, NoLock);
	return FullTransactionIdFromU64(U64FromFullTransactionId(next) -
									(uint32) (XidFromFullTransactionId(next) - oldest));
}

/* Remove changes that every view in use shows.  Rows that another session is removing are skipped. */
static void
forget_changes(const Sql *sql)
{
	static Statement forget = {"DELETE FROM promote.rule_change AS c WHERE c.ctid = ANY (ARRAY(SELECT o.ctid"
		" FROM promote.rule_change AS o WHERE o.change < $1 ORDER BY o.change LIMIT $2 FOR UPDATE SKIP LOCKED))"};

	if (!IsolationUsesXactSnapshot())
		guarded_run(sql, &forget, sql_value(XID8OID, false, FullTransactionIdGetDatum(oldest_needed())),
					AS_INT(MAX_FORGOTTEN));
}

/* Insert a row of rule_change. */
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

/*
 * Note, once per transaction, that it changes rules: those of a table for an environment; all of
 * a project where environment is NULL; all rules where project is NULL.  Of a release, that it is
 * blocked, or that its stateful types change.  Transactions that were judged by them and commit
 * later fail.
 */
void
rule_changed(const Sql *sql, RuleKind kind, const char *source, const char *first, const char *second)
{
	Mark		mark = {.kind = kind,.source = source,.first = first,.second = second};

	if (is_marked(&mark))
		return;
	if (last_number == 0)
		forget_changes(sql);
	write_change(sql, &mark);
	remember(&mark);
}

/* A text column of a row, by name; NULL where it is NULL or missing. */
static char *
column_text(HeapTuple row, TupleDesc row_type, const char *name)
{
	int			number = SPI_fnumber(row_type, name);

	return number > 0 ? SPI_getvalue(row, row_type, number) : NULL;
}

/* Note the change of a row in a table of rules. */
static void
note_row(const Sql *sql, TriggerData *data, HeapTuple row)
{
	char	   *environment = trigger_text(data, row, "environment");

	if (environment == NULL)
		environment = trigger_text(data, row, "destination_environment");
	rule_changed(sql, RULE_ALL, RelationGetRelationName(data->tg_relation), trigger_text(data, row, "project"), environment);
}

/*
 * promote_internal.note_rule() returns trigger
 *
 * AFTER INSERT, UPDATE or DELETE of a table of rules, for each row.
 */
Datum
TRIGGER_FUNCTION(promote_note_rule)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
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

/* Does a change concern the rules of a judgement? */
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

/* Refuse to commit after a judgement by rules that have changed. */
static void
refuse_stale(const Mark *changed)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not commit what was judged by rules that have changed"),
			 errdetail("%s by a transaction that has committed since.", what_changed(changed)),
			 errhint("Nothing was done. Call it again: it is judged anew.")));
}

/* Compare a committed change of another transaction with all judgements of this one. */
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
	changed->mark.kind = strcmp(changed->mark.source, RULE_RELEASES) == 0 ? RULE_RELEASE : RULE_ALL;
	changed->mark.first = column_text(row, row_type, changed->mark.kind == RULE_RELEASE ? "bundle" : "project");
	changed->mark.second = column_text(row, row_type, changed->mark.kind == RULE_RELEASE ? "version" : "environment");
}

/*
 * Refuse to commit where rules that the transaction was judged by have changed.  The scan
 * reads what is committed now, from the oldest transaction on that the first view may not
 * show.  It uses the index directly instead of a statement, because every judged commit pays
 * for it and nearly all find nothing.
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

/* Does the transaction have marks of changes, or of judgements? */
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
 * Take a place in the lock manager for committing: exclusively after changing rules, shared after
 * a judgement.  The wait is bounded as in an emergency.
 */
static void
stand_in_queue(Oid table, uint32 place, bool alone)
{
	LOCKMODE	mode = alone ? ExclusiveLock : ShareLock;
	Sql			sql;

	if (ConditionalLockDatabaseObject(table, place, 0, mode))
		return;
	sql_enter(&sql);
	/* after the last portal no snapshot is active */
	PushActiveSnapshot(GetTransactionSnapshot());
	rescue_object(&sql, table, place, mode, alone ? "rules that others are just committing by" : "rules that others are just changing", NULL);
	PopActiveSnapshot();
	sql_leave(&sql);
}

/* A place of some rules, and how it is taken. */
typedef struct Place
{
	uint32		number;
	bool		alone;
} Place;

/* Add the place of some rules; NULL stands for all projects, and for all environments. */
static List *
add_place(List *places, const Mark *mark, const char *first, const char *second)
{
	Place	   *place = palloc(sizeof(Place));

	place->number = rescue_place(psprintf("%s %s/%s", mark->kind == RULE_RELEASE ? "release" : "rules",
										  first ? first : "*", second ? second : "*"));
	place->alone = mark->source != NULL;
	return lappend(places, place);
}

/*
 * The places of a mark.  What was judged by an environment's rules was also judged by those of its
 * project, of all environments of that name, and of everything.
 */
static List *
places_of(List *places, const Mark *mark)
{
	places = add_place(places, mark, mark->first, mark->second);
	if (mark->source == NULL && mark->kind != RULE_RELEASE)
	{
		places = add_place(places, mark, mark->first, NULL);
		places = add_place(places, mark, NULL, mark->second);
		places = add_place(places, mark, NULL, NULL);
	}
	return places;
}

/* Compare places by their numbers; those that are taken alone come first.  A list_sort_comparator. */
static int
compare_places(const ListCell *a, const ListCell *b)
{
	const Place *one = lfirst(a);
	const Place *other = lfirst(b);

	if (one->number != other->number)
		return one->number < other->number ? -1 : 1;
	return (int) other->alone - (int) one->alone;
}

/*
 * Take a place for each of the rules instead of the one lock, in one order, as a prepared
 * transaction holds what it has until somebody ends it: only its own rules wait for that.
 */
static void
stand_at_places(Oid table)
{
	List	   *places = NIL;
	uint32		last = 0;
	ListCell   *cell;

	foreach(cell, marks)
		places = places_of(places, lfirst(cell));
	list_sort(places, compare_places);
	foreach(cell, places)
	{
		const Place *place = lfirst(cell);

		if (place->number != last)
			stand_in_queue(table, place->number, place->alone);
		last = place->number;
	}
}

/*
 * Before the commit, or before the transaction is prepared, and after all deferred triggers: take
 * the lock, and check the judgements.  A prepared transaction keeps its locks until it is ended,
 * also over a crash.  Emptying temporary tables takes locks that others may hold, so it is done
 * before; PostgreSQL's own attempt afterwards waits for nobody.
 */
static void
before_commit(void)
{
	Oid			schema = get_namespace_oid("promote", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("rule_change", schema) : InvalidOid;

	/* the transaction dropped the extension */
	if (!OidIsValid(table))
		return;
	PreCommit_on_commit_actions();
	if (max_prepared_xacts > 0)
		stand_at_places(table);
	else
		stand_in_queue(table, 0, has_marks(true));
	if (has_marks(false))
		check_marks(table);
}

/* Release the first view's snapshot. */
static void
release_view(void)
{
	if (kept)
		UnregisterSnapshotFromOwner(kept, TopTransactionResourceOwner);
	kept = NULL;
}

/* Forget the transaction, whose memory is freed. */
static void
forget_transaction(void)
{
	marks = NIL;
	by_subject = NULL;
	last_number = 0;
	kept = NULL;
	first_view = (Datum) 0;
}

/* Called when a transaction ends. */
static void
on_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			/* a standby has written nothing that could have been judged by other rules */
			if (marks != NIL && !RecoveryInProgress())
				before_commit();
			release_view();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
		default:
			forget_transaction();
	}
}

/* Called when a subtransaction ends. */
static void
on_subtransaction_end(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_up(subxact, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_subtransaction(subxact);
}

/* Register for the ends of transactions. */
void
rule_init(void)
{
	RegisterXactCallback(on_end, NULL);
	RegisterSubXactCallback(on_subtransaction_end, NULL);
}
