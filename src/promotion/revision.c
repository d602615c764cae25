/*
 * revision.c: what is recorded when a revision is written.
 *
 * However a revision is written, the statement trigger judges it, moves the instance's
 * counters, queues a plan and appends to the audit log.  The verbs only insert the row.
 *
 * A statement may write a hundred thousand of them.  They are taken page by page in key order: one
 * statement reads all that a page is judged by, each is judged in C, and one statement per table
 * writes what they come to.  A page is judged in a subtransaction that writes nothing.  If one of
 * it is refused, nothing is written any more, and the rest is judged for whatever else is refused.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "compose/overrides.h"
#include "grant/actor.h"
#include "json/digest.h"
#include "ledger/guard.h"
#include "ledger/recorded.h"
#include "promotion/recording.h"
#include "promotion/sharing.h"
#include "promotion/stage.h"
#include "registry/path.h"
#include "registry/release.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_check_origin);

#define KEPT_LENGTH 256			/* of what a release is selected by, if it is kept */

/* Refuse a revision whose number does not follow the instance's last. */
static void
check_sequence(const ProposedRevision *proposed)
{
	if (proposed->revision == proposed->current_revision + 1)
		return;
	ereport(ERROR,
			(errcode(PM_OUT_OF_SEQUENCE),
			 errmsg("revision %d of \"%s\" is out of sequence",
					proposed->revision, proposed->proposal.instance),
			 errdetail("The next revision is %d.", proposed->current_revision + 1),
			 errhint("Leave the number out, it is filled in; one statement adds one revision to an instance.")));
}

/* Refuse a revision with another author or another time. */
static void
check_author(const ProposedRevision *proposed)
{
	const char *column = NULL;
	Asking		asked = asking();

	if (strcmp(proposed->actor, asked.by.actor) != 0)
		column = "actor";
	else if (strcmp(proposed->database_role, asked.by.database_role) != 0)
		column = "database_role";
	else if (proposed->created_at < GetCurrentTransactionStartTimestamp() ||
			 proposed->created_at > GetCurrentTimestamp())
		column = "created_at";
	if (column)
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("column \"%s\" of \"revision\" is kept by promote", column),
				 errdetail("It says who writes the row and when."),
				 errhint("Leave it out; the setting promote.actor names the person you act for.")));
}

/*
 * Refuse a revision whose configuration or release does not exist, which is possible only with
 * foreign keys disabled.
 */
static void
check_stored(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if (proposal->params && proposal->schema)
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("the %s of revision %d of \"%s\" does not exist",
					proposal->params ? "release" : "configuration",
					proposed->revision, proposal->instance),
			 errdetail("There is no such row in promote.%s.",
					   proposal->params ? "bundle_release" : "config"),
			 errhint("Insert it first.")));
}

/* Refuse a revision whose source does not exist. */
static void
check_source(const ProposedRevision *proposed)
{
	if (proposed->source_revision == 0 || proposed->source_version)
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("the source of revision %d of \"%s\" does not exist",
					proposed->revision, proposed->proposal.instance),
			 errdetail("The source has no revision %d.", proposed->source_revision),
			 errhint("Name a revision of the source, or leave the source out.")));
}

/* Judge a proposal that was not judged yet, but for its params: see sharing_judge. */
static void
judge(const Sql *sql, ProposedRevision *proposed)
{
	if (proposed->revision > proposed->current_revision)
	{
		check_sequence(proposed);
		check_author(proposed);
	}
	check_stored(proposed);
	check_source(proposed);
	if (proposed->source_environment && strcmp(proposed->source_environment, proposed->key.environment) != 0)
		rule_hold(RULE_PATHS, proposed->key.project, proposed->key.environment, proposed->view);
	path_require(sql, &proposed->key, proposed->source_environment, proposed->path_only, false, proposed->path_seen);
	proposal_require_history(proposed);
	if (!proposed->fits)
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("revision %d of \"%s\" is of a release that it may not have",
						proposed->revision, proposed->proposal.instance),
				 errdetail("%s %s is not of the component's bundle, or not what %s on the channel %s allows.",
						   proposed->proposal.bundle, proposed->proposal.version,
						   proposed->version_constraint, proposed->release_channel),
				 errhint("Leave bundle and version out, they are filled in.")));
	if (proposed->revision > proposed->current_revision)
	{
		proposal_require_unblocked(proposed, proposed->origin);
		/* a row cannot say that it is to bring something back */
		if (proposed->origin == ORIGIN_PROMOTION)
			proposal_require_alive(proposed);
	}
}

/* ---- sets ---- */

/* A set of new revisions on its way through the trigger. */
typedef struct NewSet
{
	const Sql  *sql;
	Datum		view;
	RevisionRecords *records;	/* of the verb that has written them; NULL: nobody asks */
	int			next_record;	/* the one that is expected next */
	Sharing    *sharing;
	Recording	recording;		/* of the page */
	ProposedRevision *page;
	uint64		count;			/* of the page */
	uint64		next;			/* the one of these that is judged next */
	uint64		total;			/* of the set */
	PathSeen	path_seen;
	Refusals	refusals;		/* of the set */
} NewSet;

/* The record of a verb about a proposal; NULL: there is none.  Both come in key order. */
static RevisionRecord *
find_record(NewSet *set, const ProposedRevision *proposed)
{
	for (int i = 0; set->records && i < set->records->count; i++)
	{
		RevisionRecord *record = &set->records->list[(set->next_record + i) % set->records->count];

		if (record->judged && instance_key_compare(&record->judged->key, &proposed->key) == 0)
		{
			set->next_record = (set->next_record + i + 1) % set->records->count;
			return record;
		}
	}
	return NULL;
}

/*
 * Judge the proposal whose turn it is and gather what it comes to.  What is computed for it is freed, so that it is
 * filled into a copy: where another one of the page is refused, it is judged once more, as it was read.
 */
static void
judge_next(NewSet *set, MemoryContext scratch)
{
	ProposedRevision proposed = set->page[set->next];
	RevisionRecord *record = find_record(set, &proposed);
	MemoryContext outer = MemoryContextSwitchTo(scratch);

	CHECK_FOR_INTERRUPTS();
	proposed.view = set->view;
	proposed.path_seen = &set->path_seen;
	proposed.is_staged = record != NULL;
	judge(set->sql, &proposed);
	sharing_judge(set->sql, set->sharing, &proposed);
	recording_add(&set->recording, &proposed);
	if (record)
		record_leave(record, &proposed);
	MemoryContextSwitchTo(outer);
	MemoryContextReset(scratch);
}

/* Memory for what is computed of one proposal. */
static MemoryContext
make_scratch(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "promote proposal", ALLOCSET_DEFAULT_SIZES);
}

/* Judge the whole page.  A step of attempt. */
static void
judge_page(void *state)
{
	NewSet	   *set = state;
	MemoryContext scratch = make_scratch();

	for (set->next = 0; set->next < set->count; set->next++)
		judge_next(set, scratch);
	MemoryContextDelete(scratch);
}

/* Judge one proposal of the page.  A step of attempt. */
static void
judge_one(void *state)
{
	judge_next(state, make_scratch());
}

/* Begin to gather what a page comes to. */
static void
begin_page(NewSet *set)
{
	recording_begin(&set->recording);
	sharing_begin(set->sharing);
}

/* Find out which proposals of the page are refused, each by itself; it may be none any more. */
static void
find_refused(NewSet *set)
{
	Refusal		refusal;

	begin_page(set);
	for (set->next = 0; set->next < set->count; set->next++)
		if (!refusals_attempt(judge_one, set, &set->refusals, &refusal))
			refusals_add(&set->refusals, set->page[set->next].proposal.instance, &refusal);
}

/*
 * Judge a page and write what it comes to.  Once something is refused, the rest of the set is only looked at for what
 * else is.
 */
static void
record_page(NewSet *set)
{
	Refusal		refusal;

	begin_page(set);
	/* of a single one the refusal is raised as it is */
	if (set->total == 1)
		judge_page(set);
	else if (set->refusals.count > 0 || !attempt(judge_page, set, &refusal))
		find_refused(set);
	sharing_measure(set->sharing);
	if (set->refusals.count == 0)
		recording_write(set->sql, &set->recording);
}

/*
 * Record all proposals of a cursor, page by page, which was opened after the view was taken.  Returns how many there
 * were.
 */
static uint64
record_all(NewSet *set, Portal cursor)
{
	uint64		done = 0;
	int			asked;

	do
	{
		SqlRows		rows;
		Sql			scope;

		sql_enter(&scope);
		sharing_trim(set->sharing);
		asked = sharing_page_size(set->sharing);
		rows = proposal_fetch_new(cursor, asked);
		rows.shared = sharing_values(set->sharing);
		set->sql = &scope;
		set->count = rows.count;
		set->page = proposal_read_all(&scope, &rows);
		record_page(set);
		sql_leave(&scope);
		done += set->count;
	}
	while (set->count == asked);
	SPI_cursor_close(cursor);
	return done;
}

/* Record every new row of the transition table new_revision. */
static void
record_new(const Sql *sql, RevisionRecords *records)
{
	NewSet		set = {.records = records,.total = proposal_lock_new(sql)};

	if (set.total == 0)
		return;
	set.view = rule_view();
	set.sharing = sharing_create(CurrentMemoryContext);
	refusals_begin(&set.refusals);
	if (record_all(&set, proposal_open_new(sql)) != set.total)
		elog(ERROR, "not every new revision could be recorded");
	refusals_raise(&set.refusals, set.total, "revisions");
}

/* ---- what a verb has judged ---- */

/* Does a column of the row hold that text? */
static bool
column_is(TupleTableSlot *row, const char *column, const char *expected)
{
	bool		isnull;
	Datum		value = slot_getattr(row, SPI_fnumber(row->tts_tupleDescriptor, column), &isnull);

	return !isnull && strcmp(TextDatumGetCString(value), expected) == 0;
}

/* Is the row the judged one?  A user's trigger may have changed it before it was inserted. */
static bool
is_judged(TupleTableSlot *row, const ProposedRevision *judged)
{
	TupleDesc	row_type = row->tts_tupleDescriptor;
	bool		isnull;
	Datum		revision = slot_getattr(row, SPI_fnumber(row_type, "revision"), &isnull);
	Datum		digest = slot_getattr(row, SPI_fnumber(row_type, "digest"), &isnull);
	Datum		plan = slot_getattr(row, SPI_fnumber(row_type, "plan"), &isnull);
	Datum		allow_replace = slot_getattr(row, SPI_fnumber(row_type, "allow_replace"), &isnull);
	TimestampTz created_at = DatumGetTimestampTz(slot_getattr(row, SPI_fnumber(row_type, "created_at"), &isnull));
	Asking		asked = asking();

	return column_is(row, "project", judged->key.project) &&
		column_is(row, "environment", judged->key.environment) &&
		column_is(row, "component", judged->key.component) &&
		column_is(row, "version_constraint", judged->version_constraint) &&
		column_is(row, "release_channel", judged->release_channel) &&
		column_is(row, "bundle", judged->proposal.bundle) &&
		column_is(row, "version", judged->proposal.version) &&
		column_is(row, "actor", asked.by.actor) &&
		column_is(row, "database_role", asked.by.database_role) &&
		created_at >= GetCurrentTransactionStartTimestamp() &&
		created_at <= GetCurrentTimestamp() &&
		DatumGetInt32(revision) == judged->revision &&
		DatumGetBool(plan) == judged->asks_plan &&
		DatumGetBool(allow_replace) == judged->proposal.allow_replace &&
		memcmp(VARDATA_ANY(DatumGetPointer(digest)), VARDATA_ANY(judged->digest),
			   JSON_DIGEST_LENGTH) == 0;
}

/*
 * Take the facts of judged revisions from their rows, if the statement inserted these and
 * nothing else.  False otherwise.
 */
static bool
take_judged(TriggerData *data, const RevisionRecords *records)
{
	Tuplestorestate *rows = data->tg_newtable;
	TupleTableSlot *row;
	int			found = 0;

	if (tuplestore_tuple_count(rows) != records->count)
		return false;
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	row = MakeSingleTupleTableSlot(RelationGetDescr(data->tg_relation), &TTSOpsMinimalTuple);
	while (found < records->count && tuplestore_gettupleslot(rows, true, true, row) &&
		   records->list[found].judged && is_judged(row, records->list[found].judged))
	{
		records->list[found++].judged->facts =
			record_facts_of_value(DatumGetHeapTupleHeader(ExecFetchSlotHeapTupleDatum(row)), false, NULL, 0);
		ExecClearTuple(row);
	}
	ExecDropSingleTupleTableSlot(row);
	return found == records->count;
}

/* Record what a verb has judged. */
static void
record_judged(const Sql *sql, RevisionRecords *records)
{
	Recording	recording;

	if (records->count == 1)
	{
		record_proposal(sql, records->list[0].judged, &records->list[0]);
		return;
	}
	recording_begin(&recording);
	for (int i = 0; i < records->count; i++)
	{
		recording_add(&recording, records->list[i].judged);
		record_leave(&records->list[i], records->list[i].judged);
	}
	recording_write(sql, &recording);
}

/*
 * promote_internal.record_revision() returns trigger
 *
 * AFTER INSERT of revision, for each statement, with the transition table
 * new_revision.  What is imported is judged and recorded by who imports it.
 */
Datum
TRIGGER_FUNCTION(promote_record_revision)
{
	TriggerData *data = trigger_data(fcinfo, "revision", TRIGGER_EVENT_AFTER);
	RevisionRecords *records = errand()->revisions;
	Sql			sql;

	if (errand()->imports)
		return PointerGetDatum(NULL);
	if (!TRIGGER_FIRED_BY_INSERT(data->tg_event) || data->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"record_revision\" is not made for this trigger")));
	sql_enter(&sql);
	if (records && take_judged(data, records))
		record_judged(&sql, records);
	else
	{
		if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
			elog(ERROR, "SPI_register_trigger_data failed");
		record_new(&sql, records);
	}
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* The release that the constraint selects now. */
typedef struct Completion
{
	char	   *bundle;
	char	   *version;		/* NULL: no release fits */
} Completion;

static const SqlField completion_fields[] = {
	SQL_FIELD(Completion, bundle, "c.bundle"),
	SQL_FIELD(Completion, version, "(SELECT rel.version FROM promote.resolve_release(c.bundle, $3, $4) AS rel)")
};

/*
 * Refuse a release that is newer than the snapshot of a transaction with a single snapshot,
 * 40001: the row's foreign key would not find it.
 */
static void
require_seen(const Sql *sql, const Completion *release)
{
	static Statement look = {"SELECT FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"};

	if (IsolationUsesXactSnapshot() &&
		sql_read(sql, &look, AS_TEXT(release->bundle), AS_TEXT(release->version)).count == 0)
		refuse_unseen();
}

/* The columns of a row that say by what its release is selected. */
typedef struct ReleaseSought
{
	char	   *project;
	char	   *component;
	char	   *version_constraint;
	char	   *release_channel;
} ReleaseSought;

/* A release that was selected for a row of the statement, for the rows that select it by the same. */
typedef struct KeptRelease
{
	char		sought[KEPT_LENGTH];	/* the key */
	Completion	release;
} KeptRelease;

/* Those of the statement whose snapshot has that command, in memory of the transaction; NULL: none. */
static HTAB *kept_releases = NULL;
static CommandId kept_for;

/* Forget them with the transaction.  A MemoryContextCallbackFunction. */
static void
forget_releases(void *state)
{
	kept_releases = NULL;
}

/* Begin to keep the releases of a statement. */
static void
begin_releases(CommandId command)
{
	HASHCTL		control = {.keysize = KEPT_LENGTH,.entrysize = sizeof(KeptRelease),.hcxt = TopTransactionContext};
	MemoryContextCallback *forget;

	if (kept_releases && kept_for == command)
		return;
	if (kept_releases)
		hash_destroy(kept_releases);
	else
	{
		forget = MemoryContextAllocZero(TopTransactionContext, sizeof(MemoryContextCallback));
		forget->func = forget_releases;
		MemoryContextRegisterResetCallback(TopTransactionContext, forget);
	}
	kept_releases = hash_create("promote releases", 16, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	kept_for = command;
}

/* Select the release of a row.  False where there is no such component.  Raises PM_NO_RELEASE where none fits. */
static bool
select_release(const Sql *sql, const ReleaseSought *sought, Completion *release)
{
	static Statement look = SQL_ROWS(completion_fields, "SELECT $* FROM promote.component AS c"
									 " WHERE c.project = $1 AND c.component = $2");
	SqlRows		rows = sql_run(sql, &look, AS_TEXT(sought->project), AS_TEXT(sought->component),
							   AS_TEXT(sought->version_constraint), AS_TEXT(sought->release_channel));

	if (!sql_row(&rows, 0, release))
		return false;
	if (release->version == NULL)
		refuse_no_release(sql, release->bundle, sought->version_constraint, sought->release_channel);
	require_seen(sql, release);
	return true;
}

/*
 * As select_release, but once for all rows of a statement, whose snapshot has that command, that
 * ask for the same.  The release is in the current memory context, or in that of the transaction.
 */
static bool
find_release(CommandId command, const ReleaseSought *sought, Completion *release)
{
	char	   *key = psprintf("%s/%s/%s/%s", sought->project, sought->component, sought->release_channel,
							   sought->version_constraint);
	KeptRelease *kept;
	Sql			sql;
	Completion	found;
	bool		is_there;

	begin_releases(command);
	kept = strlen(key) < KEPT_LENGTH ? hash_search(kept_releases, key, HASH_FIND, NULL) : NULL;
	if (kept)
	{
		*release = kept->release;
		return true;
	}
	sql_enter(&sql);
	is_there = select_release(&sql, sought, &found);
	if (is_there)
		*release = (Completion) {MemoryContextStrdup(TopTransactionContext, found.bundle),
			MemoryContextStrdup(TopTransactionContext, found.version)};
	sql_leave(&sql);
	/* the statement may have fired others of the same kind */
	if (is_there && strlen(key) < KEPT_LENGTH && kept_releases && kept_for == command)
	{
		kept = hash_search(kept_releases, key, HASH_ENTER, NULL);
		kept->release = *release;
	}
	return is_there;
}

/* The next number of an instance, which is locked; 0: it does not exist. */
static int32
next_number(const TriggerData *data)
{
	static Statement look = {"SELECT i.revision + 1 FROM promote.instance AS i WHERE " OF_INSTANCE("i")
		" FOR NO KEY UPDATE OF i"};
	HeapTuple	row = data->tg_trigtuple;
	InstanceKey key = {
		trigger_text(data, row, "project"),
		trigger_text(data, row, "environment"),
		trigger_text(data, row, "component")
	};
	SqlRows		rows;
	Sql			sql;
	int32		number;

	sql_enter(&sql);
	rows = sql_run(&sql, &look, AS_KEY(&key));
	number = rows.count > 0 ? sql_int(&rows, 0) : 0;
	sql_leave(&sql);
	return number;
}

/* Fill in the release of a row; a row of which nothing can be looked up stays as it is. */
static HeapTuple
with_release(const TriggerData *data, HeapTuple row, CommandId command)
{
	ReleaseSought sought = {
		trigger_text(data, row, "project"),
		trigger_text(data, row, "component"),
		trigger_text(data, row, "version_constraint"),
		trigger_text(data, row, "release_channel")
	};
	Completion	release;

	if (sought.project == NULL || sought.component == NULL || sought.version_constraint == NULL ||
		sought.release_channel == NULL || !find_release(command, &sought, &release))
		return row;
	if (trigger_is_null(data, row, "bundle"))
		row = trigger_with(data, row, "bundle", CStringGetTextDatum(release.bundle));
	if (trigger_is_null(data, row, "version"))
		row = trigger_with(data, row, "version", CStringGetTextDatum(release.version));
	return row;
}

/* Refuse a revision with an impossible origin. */
static void
refuse_origin(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("invalid origin of a revision"),
			 errdetail("%s", detail),
			 errhint("Use the verbs, or leave origin and source out: it is an edit then.")));
}

/*
 * promote_internal.check_origin(origin text, environment text,
 * source_environment text, source_revision integer, mode text, "only" text[])
 * returns boolean: true, or PM_INVALID_ARGUMENT
 */
Datum
promote_check_origin(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0);
	char	   *environment = argument_text(fcinfo, 1);
	char	   *source = argument_text(fcinfo, 2);
	char	   *mode = argument_text(fcinfo, 4);
	RevisionOrigin origin = sql_enum(revision_origins, name);

	if (name && origin == ORIGIN_NONE)
		refuse_origin("It is none of edit, promotion, fork, rollback, adoption and merge.");
	if ((source == NULL) != PG_ARGISNULL(3))
		refuse_origin("It has one of source_environment and source_revision, without the other.");
	if (!PG_ARGISNULL(3) && PG_GETARG_INT32(3) < 1)
		refuse_origin("Its source_revision is none: revisions are numbered from 1.");
	if (origin == ORIGIN_PROMOTION &&
		(source == NULL || environment == NULL || strcmp(source, environment) == 0))
		refuse_origin("A promotion comes from another environment.");
	if (origin == ORIGIN_MERGE && source == NULL)
		refuse_origin("A merge comes from a revision.");
	if (mode && sql_enum(promotion_modes, mode) == MODE_UNKNOWN)
		refuse_origin("Its mode is neither replace nor merge.");
	if (!PG_ARGISNULL(5) && ARR_NDIM(PG_GETARG_ARRAYTYPE_P(5)) != 1)
		refuse_origin("What was taken alone is no list of names.");
	PG_RETURN_BOOL(true);
}

/* Refuse a new revision that says that somebody has moved it for somebody else, or imported it. */
static void
check_moved(const TriggerData *data, HeapTuple row)
{
	static const char *const columns[] = {"moved_by", "moved_role"};
	Person		moved = asking().moved;
	const char *const expected[] = {moved.actor, moved.database_role};

	for (int i = 0; i < lengthof(columns); i++)
	{
		const char *found = trigger_text(data, row, columns[i]);

		if (found == NULL ? expected[i] != NULL : expected[i] == NULL || strcmp(found, expected[i]) != 0)
			ereport(ERROR,
					(errcode(PM_GUARDED_COLUMN),
					 errmsg("column \"%s\" of \"revision\" is kept by promote", columns[i]),
					 errdetail("It says who has moved the request that the revision is of."),
					 errhint("Leave it out.")));
	}
	if (!trigger_is_null(data, row, "imported_at"))
		ereport(ERROR,
				(errcode(PM_GUARDED_COLUMN),
				 errmsg("column \"imported_at\" of \"revision\" is kept by promote"),
				 errdetail("It says that the revision was made elsewhere."),
				 errhint("Leave it out, or use promote.import_history.")));
}

/* A row with the values in its overrides hidden: a verb has hidden them already. */
static HeapTuple
with_overrides_hidden(const TriggerData *data, HeapTuple row)
{
	Jsonb	   *overrides = trigger_jsonb(data, row, "overrides");

	/* the table's own constraint refuses what is neither an object nor an array */
	if (overrides == NULL || JB_ROOT_IS_SCALAR(overrides))
		return row;
	return trigger_with(data, row, "overrides", JsonbPGetDatum(overrides_shape(overrides)));
}

/*
 * promote_internal.complete_revision() returns trigger
 *
 * BEFORE INSERT of revision, for each row: fills in the number and the release where they are
 * missing, and hides the values of overrides.  Where the instance does not exist they stay NULL,
 * and the table's own constraints refuse the row.
 */
Datum
TRIGGER_FUNCTION(promote_complete_revision)
{
	TriggerData *data = trigger_data(fcinfo, "revision", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = data->tg_trigtuple;
	CommandId	command = ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : FirstCommandId;
	int32		number;

	if (errand()->imports)
		return PointerGetDatum(row);
	if (!loading_rows())
		check_moved(data, row);
	if (trigger_is_null(data, row, "revision"))
	{
		if (trigger_is_null(data, row, "version_constraint") || trigger_is_null(data, row, "release_channel"))
			return PointerGetDatum(row);
		number = next_number(data);
		if (number == 0)
			return PointerGetDatum(row);
		row = trigger_with(data, row, "revision", Int32GetDatum(number));
	}
	if (trigger_is_null(data, row, "bundle") || trigger_is_null(data, row, "version"))
		row = with_release(data, row, command);
	if (errand()->revisions == NULL && !errand()->records && !loading_rows())
		row = with_overrides_hidden(data, row);
	return PointerGetDatum(row);
}
