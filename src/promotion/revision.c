/*
 * revision.c: what is recorded when a revision is written.
 *
 * However a revision is written, the statement trigger judges it, moves the instance's
 * counters, queues a plan and appends to the audit log.  The verbs only insert the row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "grant/actor.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "ledger/record_mark.h"
#include "ledger/recorded.h"
#include "promotion/carry.h"
#include "promotion/deployment.h"
#include "promotion/diff.h"
#include "promotion/stage.h"
#include "registry/path.h"
#include "registry/release.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_check_origin);
PG_FUNCTION_INFO_V1(promote_complete_revision);
PG_FUNCTION_INFO_V1(promote_record_revision);

#define ROWS_AT_ONCE 100		/* proposals held in memory at a time */

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
 * Update the instance's counters and desired state.  The last look at the release's block
 * happens here; later blocks are found at commit.
 */
static void
move_instance(const Sql *sql, ProposedRevision *proposed)
{
	static Statement move = {"UPDATE promote.instance AS i SET revision = $4, deployment = $5,"
		" version_constraint = $6, release_channel = $7 WHERE " OF_INSTANCE("i")
		" RETURNING (SELECT f.block_reason FROM promote.bundle_release AS f"
		"  WHERE f.bundle = $8 AND f.version = $9)"};
	SqlRows		rows;

	if (proposed->revision > proposed->current_revision && proposal_minds_blocks(proposed->origin))
		rule_hold(RULE_RELEASE, proposed->proposal.bundle, proposed->proposal.version,
						  proposed->view ? proposed->view : rule_view());
	rows = guarded_run(sql, &move, AS_KEY(&proposed->key), AS_INT(proposed->revision),
					   AS_INT(proposed->current_deployment + (proposed->plan ? 1 : 0)),
					   AS_TEXT(proposed->version_constraint), AS_TEXT(proposed->release_channel),
					   AS_TEXT(proposed->proposal.bundle), AS_TEXT(proposed->proposal.version));
	if (proposed->revision == proposed->current_revision)
		return;
	proposed->block_reason = sql_text(&rows, 0);
	proposal_require_unblocked(proposed, proposed->origin);
}

/* Store a configuration, unless it is stored already. */
void
config_store(const Sql *sql, const char *project, const Jsonb *params)
{
	static Statement store = {"INSERT INTO promote.config (project, params) VALUES ($1, $2) ON CONFLICT DO NOTHING"};

	sql_run(sql, &store, AS_TEXT(project), AS_JSONB(params));
}

/*
 * The digest of the rendered params.  They are stored first where placeholders make them
 * differ from the revision's own.
 */
static bytea *
store_rendered(const Sql *sql, const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if (proposal->rendered == proposal->params)
		return proposed->digest;
	config_store(sql, proposed->key.project, proposal->rendered);
	return config_digest(proposed->key.project, proposal->rendered);
}

/*
 * The paths that stay marked in what a plan renders, except those written down with the
 * revision.  A revision that a verb has just made has them all.
 */
static Jsonb *
kept_by_plan(const ProposedRevision *proposed, bool is_staged)
{
	bool		is_new = proposed->revision > proposed->current_revision;

	if (is_new && is_staged)
		return NULL;
	return compose_kept_anew(&proposed->proposal, is_new ? proposed->proposal.kept : proposed->proposal.own_kept);
}

/* Queue the PLAN.  Returns what the audit log says of it. */
static Jsonb *
queue_plan(const Sql *sql, const ProposedRevision *proposed, const Jsonb *diff, const Jsonb *kept)
{
	const Proposal *proposal = &proposed->proposal;
	DeploymentOrder order = {
		.action = ACTION_PLAN,
		.status = DEPLOYMENT_PENDING,
		.revision = proposed->revision,
		.base = proposal->runs,
		.bundle = proposal->bundle,
		.version = proposal->version,
		.rendered_digest = store_rendered(sql, proposed),
		.references = proposed->references,
		.diff = diff,
		.kept = kept,
		.destructive = proposal->destructive,
		.reverts = proposed->reverts,
		.message = proposed->message
	};

	return deployment_insert(sql, &proposed->key, proposed->current_deployment + 1, &order);
}

/* The number of the PLAN that a proposal gets; 0: none. */
static int32
plan_number(const ProposedRevision *proposed)
{
	return proposed->plan ? proposed->current_deployment + 1 : 0;
}

/* Notify listeners of what a judged proposal does to its instance. */
static void
tell(const ProposedRevision *proposed, int32 revision)
{
	notify(&(Notice) {
		.instance = proposed->proposal.instance,
		.revision = revision,
		.deployment = plan_number(proposed),
		.carried = carry_names(proposed)
	});
}

/* Give the caller a copy of what was recorded. */
static void
leave_record(RevisionRecord *record, const ProposedRevision *proposed, const Jsonb *diff)
{
	record->deployment = plan_number(proposed);
	record->diff = MemoryContextAlloc(record->context, VARSIZE(diff));
	memcpy(record->diff, diff, VARSIZE(diff));
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

/* Judge a proposal that was not judged yet. */
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
	path_require(sql, &proposed->key, proposed->source_environment, proposed->path_only, false);
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
	proposal_check(proposed);
}

/*
 * Record a judged proposal: update the instance, queue the plan if there is anything to deploy,
 * append to the chain, notify.  A revision that is not new only gets a plan.
 */
static void
record_proposal(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record)
{
	AuditEntry	entries[AUDIT_MAX_ENTRIES];
	int			count = 0;
	Jsonb	   *diff = NULL;

	if (proposed->plan || record)
	{
		carry_judge(sql, proposed, false);
		diff = proposal_diff(sql, proposed, false);
		proposed->plan = proposed->plan && proposal_waits(proposed);
	}
	move_instance(sql, proposed);
	if (proposed->revision > proposed->current_revision)
	{
		entries[count++] = (AuditEntry) {"revision.created", proposed->facts};
		mark_row(proposed->key.project, proposed->proposal.instance,
				 psprintf("revision %s/%s/%s/%d", proposed->key.project, proposed->key.environment,
						  proposed->key.component, proposed->revision),
				 audit_hex(json_digest(proposed->facts)));
	}
	if (proposed->plan)
		entries[count++] = (AuditEntry) {"deployment.created",
			queue_plan(sql, proposed, diff, kept_by_plan(proposed, record != NULL))};
	audit_append(sql, &proposed->head, proposed->key.project, proposed->proposal.instance,
				 entries, count);
	tell(proposed, proposed->revision);
	if (record)
		leave_record(record, proposed, diff);
}

/* Judge and record one proposal, in a memory context of its own. */
static void
record_row(SqlRows *rows, uint64 row, Datum view, RevisionRecord *record)
{
	ProposedRevision proposed;
	Sql			sql;

	sql_enter(&sql);
	(void) proposal_read(&sql, rows, row, false, &proposed);
	proposed.view = view;
	judge(&sql, &proposed);
	record_proposal(&sql, &proposed, record);
	sql_leave(&sql);
}

/*
 * Record every proposal of a cursor, which was opened after the view was taken.  Returns how
 * many there were.
 */
static uint64
record_all(Portal cursor, Datum view, RevisionRecord *record)
{
	SqlRows		rows;
	uint64		total = 0;

	do
	{
		rows = proposal_fetch_new(cursor, ROWS_AT_ONCE);
		for (uint64 i = 0; i < rows.count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			record_row(&rows, i, view, record);
		}
		SPI_freetuptable(rows.table);
		total += rows.count;
	}
	while (rows.count == ROWS_AT_ONCE);
	SPI_cursor_close(cursor);
	return total;
}

/* Record every new row of the transition table new_revision. */
static void
record_new(const Sql *sql, RevisionRecord *record)
{
	uint64		count = proposal_lock_new(sql);
	Datum		view = rule_view();

	if (count > 0 && record_all(proposal_open_new(sql), view, record) != count)
		elog(ERROR, "not every new revision could be recorded");
}

/*
 * Record a proposal that is the desired revision already, whose diff was made: queue another plan
 * if it asks for one, and tell listeners if a promotion changed references or secrets.  The
 * proposal is judged, under the instance's lock.
 */
void
revision_record_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record)
{
	if (proposed->plan)
		record_proposal(sql, proposed, record);
	else
	{
		if (proposed->carried)
			tell(proposed, proposed->current_revision);
		leave_record(record, proposed, proposed->diff);
	}
}

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
		DatumGetBool(plan) == judged->plan &&
		DatumGetBool(allow_replace) == judged->proposal.allow_replace &&
		memcmp(VARDATA_ANY(DatumGetPointer(digest)), VARDATA_ANY(judged->digest),
			   JSON_DIGEST_LENGTH) == 0;
}

/*
 * Take the facts of the judged revision from its row, if the statement inserted nothing else.
 * False otherwise.
 */
static bool
take_judged(TriggerData *data, ProposedRevision *judged)
{
	Tuplestorestate *rows = data->tg_newtable;
	TupleTableSlot *row;
	bool		found = false;

	if (judged == NULL || tuplestore_tuple_count(rows) != 1)
		return false;
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	row = MakeSingleTupleTableSlot(RelationGetDescr(data->tg_relation), &TTSOpsMinimalTuple);
	if (tuplestore_gettupleslot(rows, true, true, row) && is_judged(row, judged))
	{
		judged->facts = record_facts_of_value(DatumGetHeapTupleHeader(ExecFetchSlotHeapTupleDatum(row)),
											 false, NULL, 0);
		found = true;
	}
	ExecDropSingleTupleTableSlot(row);
	return found;
}

/*
 * promote_internal.record_revision() returns trigger
 *
 * AFTER INSERT of revision, for each statement, with the transition table
 * new_revision.
 */
Datum
promote_record_revision(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "revision", TRIGGER_EVENT_AFTER);
	RevisionRecord *record = errand()->revision;
	Sql			sql;

	if (!TRIGGER_FIRED_BY_INSERT(data->tg_event) || data->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"record_revision\" is not made for this trigger")));
	sql_enter(&sql);
	if (record && take_judged(data, record->judged))
		record_proposal(&sql, record->judged, record);
	else
	{
		if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
			elog(ERROR, "SPI_register_trigger_data failed");
		record_new(&sql, record);
	}
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/*
 * The values that complete a revision: the next number of the instance, and the release that
 * the constraint selects now.
 */
typedef struct Completion
{
	int32		revision;
	char	   *bundle;
	char	   *version;		/* NULL: no release fits */
} Completion;

static const SqlField completion_fields[] = {
	SQL_FIELD(Completion, revision, "i.revision + 1"),
	SQL_FIELD(Completion, bundle, "c.bundle"),
	SQL_FIELD(Completion, version, "(SELECT rel.version FROM promote.resolve_release(c.bundle, $4, $5) AS rel)")
};

/*
 * Refuse a release that is newer than the snapshot of a transaction with a single snapshot,
 * 40001: the row's foreign key would not find it.
 */
static void
require_seen(const Sql *sql, const Completion *completion)
{
	static Statement look = {"SELECT FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"};

	if (IsolationUsesXactSnapshot() &&
		sql_read(sql, &look, AS_TEXT(completion->bundle), AS_TEXT(completion->version)).count == 0)
		refuse_unseen();
}

/*
 * Find the values that complete a revision, in the scope's memory, and lock the instance.
 * False where the instance does not exist.  Raises PM_NO_RELEASE where no release fits.
 */
static bool
complete(const Sql *sql, const TriggerData *data, Completion *completion)
{
	static Statement look = SQL_ROWS(completion_fields, "SELECT $* FROM promote.instance AS i"
									 " JOIN promote.component AS c ON c.project = $1 AND c.component = $3"
									 " WHERE " OF_INSTANCE("i") " FOR NO KEY UPDATE OF i");
	HeapTuple	row = data->tg_trigtuple;
	InstanceKey key = {
		trigger_text(data, row, "project"),
		trigger_text(data, row, "environment"),
		trigger_text(data, row, "component")
	};
	char	   *version_constraint = trigger_text(data, row, "version_constraint");
	char	   *release_channel = trigger_text(data, row, "release_channel");
	SqlRows		rows;

	if (version_constraint == NULL || release_channel == NULL)
		return false;
	rows = sql_run(sql, &look, AS_KEY(&key), AS_TEXT(version_constraint), AS_TEXT(release_channel));
	if (!sql_row(&rows, 0, completion))
		return false;
	if (completion->version == NULL)
		refuse_no_release(sql, completion->bundle, version_constraint, release_channel);
	require_seen(sql, completion);
	return true;
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

/* Refuse a new revision that says that somebody has moved it for somebody else, unless promote says so. */
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
}

/*
 * promote_internal.complete_revision() returns trigger
 *
 * BEFORE INSERT of revision, for each row: fills in the number and the release where they are
 * missing.  Where the instance does not exist they stay NULL, and the table's own constraints
 * refuse the row.
 */
Datum
promote_complete_revision(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "revision", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = data->tg_trigtuple;
	bool		lacks_revision = trigger_is_null(data, row, "revision");
	bool		lacks_bundle = trigger_is_null(data, row, "bundle");
	bool		lacks_version = trigger_is_null(data, row, "version");
	Completion	completion;
	Sql			sql;

	if (!loading_rows())
		check_moved(data, row);
	if (!lacks_revision && !lacks_bundle && !lacks_version)
		return PointerGetDatum(row);
	sql_enter(&sql);
	if (complete(&sql, data, &completion))
	{
		MemoryContextSwitchTo(sql.caller);
		if (lacks_revision)
			row = trigger_with(data, row, "revision", Int32GetDatum(completion.revision));
		if (lacks_bundle)
			row = trigger_with(data, row, "bundle", CStringGetTextDatum(completion.bundle));
		if (lacks_version)
			row = trigger_with(data, row, "version", CStringGetTextDatum(completion.version));
	}
	sql_leave(&sql);
	return PointerGetDatum(row);
}
