/*
 * revision.c: what writing a revision records.
 *
 * However a revision is written, the statement trigger judges it, moves the
 * instance's counters, queues its plan and appends to the audit log.  The
 * verbs of the API write the row and leave the rest to it.
 */
#include "postgres.h"

#include "actor.h"
#include "compat.h"
#include "errors.h"
#include "history.h"
#include "json/digest.h"
#include "json/writer.h"
#include "revision.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_number_revision);
PG_FUNCTION_INFO_V1(promote_record_revision);

#define NOTIFY_CHANNEL "promote"
#define ROWS_AT_ONCE 100		/* proposals held in memory together */

/* Who writes the next revision and wants to know; NULL: nobody asks. */
static RevisionRecord *wanted = NULL;

/* Ask for the record of what is written next; returns who asked before. */
RevisionRecord *
revision_record_to(RevisionRecord *record)
{
	RevisionRecord *was = wanted;

	wanted = record;
	return was;
}

/* Refuse a revision that is not the one after the instance's last. */
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

/* Refuse a revision that is written in another's name or at another time. */
static void
check_author(const ProposedRevision *proposed)
{
	const char *column = NULL;

	if (strcmp(proposed->actor, current_actor()) != 0)
		column = "actor";
	else if (strcmp(proposed->database_role, current_database_role()) != 0)
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

/* Move the instance's counters and what it desires. */
static void
move_instance(const ProposedRevision *proposed)
{
	static Statement move = {
		.text = "UPDATE promote.instance SET revision = $4, deployment = $5,"
		" version_constraint = $6, release_channel = $7"
		" WHERE project = $1 AND environment = $2 AND component = $3",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID}
	};
	Datum		values[7] = {
		CStringGetTextDatum(proposed->key.project),
		CStringGetTextDatum(proposed->key.environment),
		CStringGetTextDatum(proposed->key.component),
		Int32GetDatum(proposed->revision),
		Int32GetDatum(proposed->current_deployment + (proposed->plan ? 1 : 0)),
		CStringGetTextDatum(proposed->version_constraint),
		CStringGetTextDatum(proposed->release_channel)
	};
	bool		was = guard_open(true);

	PG_TRY();
	{
		statement_run(&move, values, NULL, false);
	}
	PG_FINALLY();
	{
		guard_open(was);
	}
	PG_END_TRY();
}

/*
 * The digest under which the rendered params are stored; where placeholders
 * made them differ from the revision's own they are stored first.
 */
static bytea *
store_rendered(const ProposedRevision *proposed)
{
	static Statement store = {
		.text = "INSERT INTO promote.config (project, params) VALUES ($1, $2)"
		" ON CONFLICT DO NOTHING",
		.parameters = 2,
		.types = {TEXTOID, JSONBOID}
	};
	const Proposal *proposal = &proposed->proposal;
	Datum		values[2] = {
		CStringGetTextDatum(proposed->key.project),
		JsonbPGetDatum(proposal->rendered)
	};

	if (proposal->rendered == proposal->params)
		return proposed->digest;
	statement_run(&store, values, NULL, false);
	return json_digest(proposal->rendered);
}

/* Queue the PLAN deployment; returns what the audit log says of it. */
static Jsonb *
queue_plan(const ProposedRevision *proposed, const Jsonb *diff)
{
	static Statement queue = {
		.text = "INSERT INTO promote.deployment AS d (project, environment, component, deployment,"
		" action, revision, base_revision, bundle, version, previous_version,"
		" rendered_digest, diff, destructive)"
		" VALUES ($1, $2, $3, $4, 'PLAN', $5, $6, $7, $8, $9, $10, $11, $12)"
		" RETURNING promote.audit_facts(d, 'status')",
		.parameters = 12,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, TEXTOID,
		TEXTOID, TEXTOID, BYTEAOID, JSONBOID, BOOLOID}
	};
	const Proposal *proposal = &proposed->proposal;
	bool		nulls[12] = {
		[5] = proposed->base_revision == 0,
		[8] = proposed->previous_version == NULL
	};
	Datum		values[12] = {
		CStringGetTextDatum(proposed->key.project),
		CStringGetTextDatum(proposed->key.environment),
		CStringGetTextDatum(proposed->key.component),
		Int32GetDatum(proposed->current_deployment + 1),
		Int32GetDatum(proposed->revision),
		Int32GetDatum(proposed->base_revision),
		CStringGetTextDatum(proposal->bundle),
		CStringGetTextDatum(proposal->version),
		nulls[8] ? (Datum) 0 : CStringGetTextDatum(proposed->previous_version),
		PointerGetDatum(store_rendered(proposed)),
		JsonbPGetDatum(diff),
		BoolGetDatum(proposal->destructive)
	};

	Jsonb	   *facts;

	statement_run(&queue, values, nulls, false);
	facts = DatumGetJsonbPCopy(JsonbPGetDatum(spi_jsonb(SPI_tuptable, 0, 1)));
	SPI_freetuptable(SPI_tuptable);
	return facts;
}

/* Notify listeners, at commit, with nothing but ids. */
static void
notify(const ProposedRevision *proposed)
{
	JsonWriter	writer;
	Jsonb	   *payload;

	json_writer_init(&writer);
	json_write_begin_object(&writer);
	json_write_field(&writer, "instance", proposed->proposal.instance);
	json_write_key(&writer, "revision", strlen("revision"));
	json_write_integer(&writer, proposed->revision);
	if (proposed->plan)
	{
		json_write_key(&writer, "deployment", strlen("deployment"));
		json_write_integer(&writer, proposed->current_deployment + 1);
	}
	json_write_end_object(&writer);
	payload = json_writer_finish(&writer);
	Async_Notify(NOTIFY_CHANNEL, JsonbToCString(NULL, &payload->root, VARSIZE(payload)));
}

/* Leave a copy of what was recorded with who asked for it. */
static void
leave_record(RevisionRecord *record, const ProposedRevision *proposed, const Jsonb *diff)
{
	record->deployment = proposed->plan ? proposed->current_deployment + 1 : 0;
	record->diff = MemoryContextAlloc(record->context, VARSIZE(diff));
	memcpy(record->diff, diff, VARSIZE(diff));
}

/*
 * Judge a proposal that nobody has judged yet.  Its params are missing only
 * where foreign keys were switched off.
 */
static void
judge(ProposedRevision *proposed)
{
	if (proposed->proposal.params == NULL)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("the configuration of revision %d of \"%s\" does not exist",
						proposed->revision, proposed->proposal.instance),
				 errdetail("There is no row with its digest in promote.config."),
				 errhint("Insert the params into promote.config first.")));
	if (proposed->revision > proposed->current_revision)
	{
		check_sequence(proposed);
		check_author(proposed);
	}
	proposal_require_release(proposed);
	compose_check(&proposed->proposal);
}

/*
 * Record a proposal that is judged: move the instance, queue the plan, append
 * to the chain, notify.  A revision that is not new only gets a plan.
 */
static void
record_proposal(ProposedRevision *proposed, RevisionRecord *record)
{
	AuditEntry	entries[AUDIT_MAX_ENTRIES];
	int			count = 0;
	Jsonb	   *diff = NULL;

	move_instance(proposed);
	if (proposed->plan || record)
		diff = compose_diff(&proposed->proposal);
	if (proposed->revision > proposed->current_revision)
		entries[count++] = (AuditEntry) {"revision.created", proposed->facts};
	if (proposed->plan)
		entries[count++] = (AuditEntry) {"deployment.created", queue_plan(proposed, diff)};
	audit_append(&proposed->head, proposed->key.project, proposed->proposal.instance,
				 entries, count);
	notify(proposed);
	if (record)
		leave_record(record, proposed, diff);
}

/*
 * Record every proposal of a cursor; returns how many.  plan is for a
 * revision that is there already: it gets one now, whatever it said when it
 * was written.
 */
static uint64
record_all(Portal cursor, bool plan, RevisionRecord *record)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "promote revision",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(row_context);
	SPITupleTable *rows;
	uint64		count;
	uint64		total = 0;

	for (;;)
	{
		SPI_cursor_fetch(cursor, true, ROWS_AT_ONCE);
		rows = SPI_tuptable;
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
		{
			ProposedRevision proposed;

			CHECK_FOR_INTERRUPTS();
			proposal_read(rows, i, &proposed);
			proposed.plan |= plan;
			judge(&proposed);
			record_proposal(&proposed, record);
			MemoryContextReset(row_context);
		}
		SPI_freetuptable(rows);
		total += count;
		if (count < ROWS_AT_ONCE)
			break;
	}
	SPI_cursor_close(cursor);
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(row_context);
	return total;
}

/* Record every new row of the transition table new_revision. */
static void
record_new(RevisionRecord *record)
{
	uint64		count = proposal_lock_new();

	if (count > 0 && record_all(proposal_open_new(), false, record) != count)
		elog(ERROR, "not every new revision could be recorded");
}

/*
 * Queue a plan for the revision that the instance desires, whose row is
 * locked.  Runs inside a scope of spi.h.
 */
void
revision_plan_desired(const InstanceKey *key, RevisionRecord *record)
{
	record_all(proposal_open_desired(key), true, record);
}

/* Has the row that text in that column? */
static bool
column_is(TupleTableSlot *row, const char *column, const char *expected)
{
	bool		isnull;
	Datum		value = slot_getattr(row, SPI_fnumber(row->tts_tupleDescriptor, column), &isnull);

	return !isnull && strcmp(TextDatumGetCString(value), expected) == 0;
}

/*
 * Is the row the one that was judged?  Its writer made it so, but a trigger
 * that a user added may have changed it on the way.
 */
static bool
is_judged(TupleTableSlot *row, const ProposedRevision *judged)
{
	TupleDesc	row_type = row->tts_tupleDescriptor;
	bool		isnull;
	Datum		revision = slot_getattr(row, SPI_fnumber(row_type, "revision"), &isnull);
	Datum		digest = slot_getattr(row, SPI_fnumber(row_type, "digest"), &isnull);
	Datum		plan = slot_getattr(row, SPI_fnumber(row_type, "plan"), &isnull);
	Datum		allow_replace = slot_getattr(row, SPI_fnumber(row_type, "allow_replace"), &isnull);

	return column_is(row, "project", judged->key.project) &&
		column_is(row, "environment", judged->key.environment) &&
		column_is(row, "component", judged->key.component) &&
		column_is(row, "version_constraint", judged->version_constraint) &&
		column_is(row, "release_channel", judged->release_channel) &&
		column_is(row, "actor", current_actor()) &&
		column_is(row, "database_role", current_database_role()) &&
		DatumGetInt32(revision) == judged->revision &&
		DatumGetBool(plan) == judged->plan &&
		DatumGetBool(allow_replace) == judged->proposal.allow_replace &&
		memcmp(VARDATA_ANY(DatumGetPointer(digest)), VARDATA_ANY(judged->digest),
			   JSON_DIGEST_LENGTH) == 0;
}

/*
 * Where the statement inserted nothing but the revision that is judged
 * already, take its facts from the row.  False where it did not.
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
		judged->facts = audit_facts(DatumGetHeapTupleHeader(ExecFetchSlotHeapTupleDatum(row)),
									NULL, 0);
		found = true;
	}
	ExecDropSingleTupleTableSlot(row);
	return found;
}

/*
 * promote.record_revision() returns trigger
 *
 * AFTER INSERT of revision, for each statement, with the transition table
 * new_revision.
 */
Datum
promote_record_revision(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	RevisionRecord *record = wanted;
	SpiScope	scope;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"record_revision\" was not called by trigger manager")));
	spi_enter(&scope);
	if (record && take_judged(data, record->judged))
		record_proposal(record->judged, record);
	else
	{
		if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
			elog(ERROR, "SPI_register_trigger_data failed");
		record_new(record);
	}
	spi_leave(&scope);
	return PointerGetDatum(NULL);
}

/* The number of the revision to come; 0 where there is no such instance. */
static int32
next_revision(HeapTuple row, TupleDesc row_type)
{
	static Statement next = {
		.text = "SELECT i.revision + 1 FROM promote.instance AS i WHERE i.project = $1"
		" AND i.environment = $2 AND i.component = $3 FOR NO KEY UPDATE",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	static const char *const keys[] = {"project", "environment", "component"};
	Datum		values[3];
	bool		isnull[3];
	SpiScope	scope;
	int32		number;

	spi_enter(&scope);
	for (int i = 0; i < 3; i++)
		values[i] = SPI_getbinval(row, row_type, SPI_fnumber(row_type, keys[i]), &isnull[i]);
	statement_run(&next, values, isnull, false);
	number = SPI_processed == 1 ? spi_integer(SPI_tuptable, 0, 1) : 0;
	spi_leave(&scope);
	return number;
}

/*
 * promote.number_revision() returns trigger
 *
 * BEFORE INSERT of revision, for each row: fills in a number that was left
 * out.
 */
Datum
promote_number_revision(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	row_type;
	HeapTuple	row;
	int			column;
	bool		isnull;
	Datum		value;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"number_revision\" was not called by trigger manager")));
	row = data->tg_trigtuple;
	row_type = RelationGetDescr(data->tg_relation);
	column = SPI_fnumber(row_type, "revision");
	(void) SPI_getbinval(row, row_type, column, &isnull);
	if (!isnull)
		return PointerGetDatum(row);
	value = Int32GetDatum(next_revision(row, row_type));
	isnull = value == 0;		/* the foreign key says what is missing */
	return PointerGetDatum(heap_modify_tuple_by_cols(row, row_type, 1, &column,
													 &value, &isnull));
}
