/*
 * guard.c: triggers that refuse to falsify history.
 *
 * The triggers are ENABLE ALWAYS, so session_replication_role does not bypass them.  The owner
 * of the tables could disable them; doc/reference/audit.md says so, and promote.verify_audit
 * finds what was done without them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "base/errors.h"
#include "base/trigger.h"
#include "grant/role.h"
#include "ledger/guard.h"
#include "parse/name.h"

PG_FUNCTION_INFO_V1(promote_guard_kept);

/* The current errand. */
static Errand current;

/* The errand of the statement that fired a trigger. */
const Errand *
errand(void)
{
	return &current;
}

/* Who has asked for what is written on the current errand: its asker, or else the caller. */
Asking
asking(void)
{
	Person		caller = current_person();

	return current.asker ? (Asking) {*current.asker, caller} : (Asking) {.by = caller};
}

/* Run a step on an errand.  The previous errand becomes current again, also after an error. */
void
errand_do(const Errand *errand, void (*step) (void *state), void *state)
{
	Errand		before = current;

	current = *errand;
	PG_TRY();
	{
		step(state);
	}
	PG_FINALLY();
	{
		current = before;
	}
	PG_END_TRY();
}

/* Run a step with the guards open, on the current errand otherwise. */
void
guarded_do(void (*step) (void *state), void *state)
{
	Errand		open = current;

	open.records = true;
	errand_do(&open, step, state);
}

/* A statement and its errand, for a step of errand_do. */
typedef struct ErrandCall
{
	const Sql  *sql;
	Statement  *statement;
	const SqlValue *values;
	int			count;
	SqlRows		rows;
} ErrandCall;

/* Run the statement. */
static void
run_call(void *state)
{
	ErrandCall *call = state;

	call->rows = sql_call(call->sql, call->statement, SQL_LATEST, call->values, call->count);
}

/* Run a statement on an errand. */
SqlRows
errand_call(const Sql *sql, const Errand *errand, Statement *statement, const SqlValue *values, int count)
{
	ErrandCall	call = {sql, statement, values, count};

	errand_do(errand, run_call, &call);
	return call.rows;
}

/* Run a statement with the guards open, on the current errand otherwise. */
SqlRows
guarded_call(const Sql *sql, Statement *statement, const SqlValue *values, int count)
{
	ErrandCall	call = {sql, statement, values, count};

	guarded_do(run_call, &call);
	return call.rows;
}

/* Run a statement that reads a batch with the guards open, on the current errand otherwise. */
SqlRows
guarded_rows(const Sql *sql, Statement *statement, const Batch *batch)
{
	SqlRows		rows;

	batch_open(batch);
	rows = guarded_call(sql, statement, NULL, 0);
	batch_close(batch);
	return rows;
}

/*
 * Is a dump being restored?  It sets row_security = off, unless it is made or restored with --enable-row-security, and
 * check_function_bodies = off and an empty search_path in any case.
 */
static bool
restores_dump(void)
{
	return !row_security || (!check_function_bodies && namespace_search_path[0] == '\0');
}

/*
 * Does the tables' owner load rows as they are?  Anybody who may disable the triggers can set what a dump sets, too.
 * Without these settings the guards bind the owner like everybody else.
 */
bool
loading_rows(void)
{
	return restores_dump() && am_tables_owner();
}

/* The level of a trigger for the current event: TRUNCATE has no rows. */
static TriggerEvent
level(FunctionCallInfo fcinfo)
{
	if (CALLED_AS_TRIGGER(fcinfo) &&
		TRIGGER_FIRED_BY_TRUNCATE(((TriggerData *) fcinfo->context)->tg_event))
		return 0;
	return TRIGGER_EVENT_ROW;
}

/*
 * promote_internal.refuse_rewrite() returns trigger
 *
 * BEFORE UPDATE, DELETE or TRUNCATE of a table of history: always refuses, except for rows of
 * the audit log that are being pruned.
 */
Datum
TRIGGER_FUNCTION(promote_refuse_rewrite)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | level(fcinfo));
	const char *table = RelationGetRelationName(data->tg_relation);
	const char *verb = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? "updated" :
		TRIGGER_FIRED_BY_DELETE(data->tg_event) ? "deleted" : "truncated";

	if (current.prunes && strcmp(table, "audit_log") == 0 && TRIGGER_FIRED_FOR_ROW(data->tg_event))
		return PointerGetDatum(trigger_row(data));
	ereport(ERROR,
			(errcode(PM_APPEND_ONLY),
			 errmsg("\"%s\" is history and only appended to", table),
			 errdetail("Its rows are never %s.", verb),
			 errhint("Add what corrects it: an edit, or a promotion of a former state, makes a new revision.")));
	return (Datum) 0;
}

/* The columns of instance that only the recording triggers change. */
static const char *const guarded_columns[] = {
	"project", "environment", "component", "status",
	"revision", "deployment", "version_constraint", "release_channel",
	"deployed_revision", "deployed_by", "changed_by", "removed_secrets", "opened_revision"
};

/* Refuse a value for a column that the triggers maintain. */
static void
refuse_column(const TriggerData *data, const char *column, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_GUARDED_COLUMN),
			 errmsg("column \"%s\" of \"%s\" is kept by promote", column,
					RelationGetRelationName(data->tg_relation)),
			 errdetail("It says what the history says, and moves with it."),
			 errhint("%s", hint)));
}

/* Refuse a new instance with a history, unless a dump is being restored. */
static void
check_new_instance(const TriggerData *data)
{
	static const char *const hint =
		"Insert the instance without it; promote.configure_instance gives it its first revision.";
	const char *status = trigger_text(data, data->tg_trigtuple, "status");

	if (loading_rows())
		return;
	if (trigger_int(data, data->tg_trigtuple, "revision") != 0)
		refuse_column(data, "revision", hint);
	if (trigger_int(data, data->tg_trigtuple, "deployment") != 0)
		refuse_column(data, "deployment", hint);
	if (trigger_int(data, data->tg_trigtuple, "opened_revision") != 0)
		refuse_column(data, "opened_revision", hint);
	if (status && strcmp(status, "INITIALIZED") != 0)
		refuse_column(data, "status", hint);
}

/*
 * Refuse to delete an instance that has a history.  Foreign keys refuse that, too, but not
 * where session_replication_role disables them.
 */
static void
check_deleted_instance(const TriggerData *data)
{
	if (trigger_int(data, data->tg_trigtuple, "revision") > 0)
		ereport(ERROR,
				(errcode(PM_APPEND_ONLY),
				 errmsg("an instance with a history cannot be deleted"),
				 errdetail("Its revisions, deployments and audit rows are kept."),
				 errhint("Decommission it by promote.decommission_instance.")));
}

/*
 * promote_internal.guard_instance() returns trigger
 *
 * BEFORE INSERT, UPDATE OR DELETE of instance, for each row: only a revision changes what an
 * instance desires, only a deployment changes what it runs, and nothing changes its key.
 */
Datum
TRIGGER_FUNCTION(promote_guard_instance)
{
	TriggerData *data = trigger_data(fcinfo, "instance", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		check_new_instance(data);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		check_deleted_instance(data);
	else
		for (int i = 0; !current.records && i < lengthof(guarded_columns); i++)
			if (trigger_differs(data, guarded_columns[i]))
				refuse_column(data, guarded_columns[i],
							  "It moves by revisions and deployments: promote.configure_instance, promote.promote_instance, promote.deploy_instance.");
	return PointerGetDatum(trigger_row(data));
}

/*
 * Let a row through that promote writes, or that is loaded as it is.  Anything else is refused,
 * with the reason why only promote writes rows of the table.
 */
Datum
guard_written(const TriggerData *data, bool loads, const char *detail, const char *hint)
{
	if (TRIGGER_FIRED_FOR_ROW(data->tg_event) && (current.records || loads))
		return PointerGetDatum(trigger_row(data));
	ereport(ERROR,
			(errcode(PM_GUARDED_COLUMN),
			 errmsg("rows of \"%s\" are written by promote", RelationGetRelationName(data->tg_relation)),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
	return (Datum) 0;
}

/*
 * Is the deployment's number above the instance's counter?  Numbers of a dump are not: either
 * the counter was restored already, or, with several jobs, the instance's row follows.
 */
static bool
is_new_deployment(const TriggerData *data)
{
	static Statement look = {"SELECT FROM promote.instance AS i WHERE " OF_INSTANCE("i") " AND i.deployment < $4"};
	HeapTuple	row = data->tg_trigtuple;
	Sql			sql;
	bool		found;

	sql_enter(&sql);
	found = sql_run(&sql, &look, AS_TEXT(trigger_text(data, row, "project")),
					AS_TEXT(trigger_text(data, row, "environment")), AS_TEXT(trigger_text(data, row, "component")),
					AS_INT(trigger_int(data, row, "deployment"))).count > 0;
	sql_leave(&sql);
	return found;
}

/*
 * promote_internal.guard_record() returns trigger
 *
 * BEFORE INSERT of deployment and of audit_log, for each row: only promote writes these rows,
 * or the tables' owner loads them as they are.
 */
Datum
TRIGGER_FUNCTION(promote_guard_record)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	bool		loads = !current.records && loading_rows() &&
		(strcmp(RelationGetRelationName(data->tg_relation), "deployment") != 0 || !is_new_deployment(data));

	return guard_written(data, loads, "They record what happens, as it happens.",
						 "Use the verbs: promote.promote_instance, promote.deploy_instance and others.");
}

/* Refuse a new row with a value other than NULL, 0, or 1 for a generation, in a column that promote maintains. */
static void
check_kept_column(const TriggerData *data, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *value = SPI_getvalue(data->tg_trigtuple, row_type, SPI_fnumber(row_type, column));

	if (value && strcmp(value, strcmp(column, "generation") == 0 ? "1" : "0") != 0 && !loading_rows())
		refuse_column(data, column, "Leave it out.");
}

/* Refuse to change or delete a row that promote maintains. */
static void
refuse_kept_row(const TriggerData *data)
{
	ereport(ERROR,
			(errcode(PM_GUARDED_COLUMN),
			 errmsg("rows of \"%s\" are kept by promote", RelationGetRelationName(data->tg_relation)),
			 errdetail("It writes them as things happen."),
			 errhint("Use the verbs: promote.report_observed, promote.dismiss_drift and others.")));
}

/*
 * Is the row of use only to transactions of the server that has written it?  It has numbers of these transactions, and
 * goes with them.
 */
static bool
is_of_server(const TriggerData *data)
{
	static const char *const tables[] = {"notice", "rule_change"};

	for (int i = 0; i < lengthof(tables); i++)
		if (strcmp(RelationGetRelationName(data->tg_relation), tables[i]) == 0)
			return true;
	return false;
}

/*
 * promote_internal.guard_kept() returns trigger
 *
 * BEFORE INSERT, UPDATE or DELETE, for each row: only promote changes the columns that are the
 * trigger's arguments; without arguments, only promote writes the row.  A subscription skips rows
 * that are of use elsewhere only.
 */
Datum
promote_guard_kept(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	const Trigger *trigger = data->tg_trigger;

	if (trigger_is_applied(fcinfo))
		return is_of_server(data) ? PointerGetDatum(NULL) : trigger_pass(fcinfo);
	if (!current.records && trigger->tgnargs == 0 && !TRIGGER_FIRED_BY_INSERT(data->tg_event))
		refuse_kept_row(data);
	for (int i = 0; !current.records && i < trigger->tgnargs; i++)
		if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
			check_kept_column(data, trigger->tgargs[i]);
		else if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) && trigger_differs(data, trigger->tgargs[i]))
			refuse_column(data, trigger->tgargs[i], "Use the verbs that move it.");
	return PointerGetDatum(trigger_row(data));
}

/*
 * promote_internal.guard_registry() returns trigger
 *
 * BEFORE UPDATE of bundle_release, of component and of project, for each row: the columns that
 * are the trigger's arguments never change.
 */
Datum
TRIGGER_FUNCTION(promote_guard_registry)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	const Trigger *trigger = data->tg_trigger;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	for (int i = 0; i < trigger->tgnargs; i++)
		if (trigger_differs(data, trigger->tgargs[i]))
			ereport(ERROR,
					(errcode(PM_APPEND_ONLY),
					 errmsg("\"%s\" of \"%s\" is never changed", trigger->tgargs[i],
							RelationGetRelationName(data->tg_relation)),
					 errdetail("What was validated, copied, masked or digested by it has to stay so."),
					 errhint("Publish another version, or add another component; a row that nothing refers to may be deleted.")));
	return PointerGetDatum(data->tg_newtuple);
}
