/*
 * step.c: the steps that deployments take.
 *
 * However a step is taken, the guard judges it by the table of steps and
 * fills in what it implies, and the recorder does the rest: it moves the
 * instance and its queue, appends to the audit log and notifies.  The verbs
 * of deploy.c and worker.c update the row and leave that to them.
 *
 * Locks: the instance's row comes first, then the deployment's.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "deployment/next_possible.h"
#include "deployment/step.h"
#include "gate/gate.h"
#include "gate/review.h"
#include "grant/actor.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "ledger/record.h"
#include "ledger/record_rows.h"
#include "registry/rule.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_guard_deployment);
PG_FUNCTION_INFO_V1(promote_record_deployment);
PG_FUNCTION_INFO_V1(promote_deployment_steps);
PG_FUNCTION_INFO_V1(promote_deployment_facts);

/* A legal step, and what it leaves the instance's status at. */
typedef struct Step
{
	const char *from;
	const char *to;
	const char *event;			/* in the audit log */
	const char *provision;		/* status after that of a PROVISION */
	const char *decommission;	/* and of a DECOMMISSION; NULL: what it was */
} Step;

/*
 * All of them; a PLAN leaves the instance as it was.  What ran and did not
 * complete may have changed anything, so that its instance has failed.
 */
static const Step steps[] = {
	{"PROPOSED", "APPROVED", "deployment.approved", NULL, NULL},
	{"PROPOSED", "REJECTED", "deployment.rejected", NULL, NULL},
	{"PENDING", "RUNNING", "deployment.started", NULL, NULL},
	{"PENDING", "ABORTED", "deployment.aborted", NULL, NULL},
	{"APPROVED", "RUNNING", "deployment.started", NULL, NULL},
	{"APPROVED", "ABORTED", "deployment.aborted", NULL, NULL},
	{"RUNNING", "PENDING", "deployment.released", NULL, NULL},
	{"RUNNING", "APPROVED", "deployment.released", NULL, NULL},
	{"RUNNING", "COMPLETED", "deployment.completed", "PROVISIONED", "DECOMMISSIONED"},
	{"RUNNING", "FAILED", "deployment.failed", "FAILED", "FAILED"},
	{"RUNNING", "ABORTED", "deployment.aborted", "FAILED", "FAILED"}
};

#define LEASE_LOST_EVENT "deployment.lost"	/* of a release that time made */
#define PLAN_RECORDED_EVENT "plan.recorded"

/* The columns that the steps are about; those from the status on move. */
typedef enum Column
{
	PROJECT, ENVIRONMENT, COMPONENT, DEPLOYMENT, ACTION, REVISION, BUNDLE, VERSION, RENDERED_DIGEST,
	STATUS, QUEUED_AT, DUE_AT, WORKER, FENCING, LOST_LEASES, SEEN_CHANGE, STARTED_AT,
	FINISHED_AT, APPROVED_BY, REASON, GATES, PLAN_FACTS, PLAN_DEFECTS, PLAN_DIGEST,
	COLUMNS
} Column;

#define PROGRESS STATUS			/* the first that moves */

static const char *const column_names[COLUMNS] = {
	"project", "environment", "component", "deployment", "action", "revision", "bundle", "version", "rendered_digest",
	"status", "queued_at", "due_at", "worker", "fencing", "lost_leases", "seen_change", "started_at",
	"finished_at", "approved_by", "reason", "gates", "plan_facts", "plan_defects", "plan_digest"
};

/* What the audit log says of a step: not the place in the queue, which moves without one. */
static const char *const state_names[] = {
	"deployment", "status", "worker", "fencing", "lost_leases", "seen_change", "started_at",
	"finished_at", "approved_by", "reason", "plan_digest", "plan_facts", "plan_defects"
};

/* An UPDATE of the table, taken apart. */
typedef struct Update
{
	TriggerData *data;
	TupleDesc	row_type;
	int			number[COLUMNS];	/* places of the columns, from 0 */
	Datum	   *old_values;
	bool	   *old_nulls;
	Datum	   *new_values;
	bool	   *new_nulls;
	bool	   *replaced;		/* by the guard */
	TimestampTz now;
} Update;

/*
 * Where the columns are.  Their names are looked up once per backend: they
 * stay where they are as long as the table lives.
 */
static const int *
column_numbers(Relation table)
{
	static int	numbers[COLUMNS];
	static Oid	of = InvalidOid;

	if (of != RelationGetRelid(table))
	{
		for (int i = 0; i < COLUMNS; i++)
			numbers[i] = SPI_fnumber(RelationGetDescr(table), column_names[i]) - 1;
		of = RelationGetRelid(table);
	}
	return numbers;
}

/* Take the trigger's rows apart. */
static void
read_update(TriggerData *data, Update *update)
{
	int			count = RelationGetDescr(data->tg_relation)->natts;

	update->data = data;
	update->row_type = RelationGetDescr(data->tg_relation);
	update->now = GetCurrentTimestamp();
	memcpy(update->number, column_numbers(data->tg_relation), sizeof(update->number));
	update->old_values = palloc(count * sizeof(Datum));
	update->new_values = palloc(count * sizeof(Datum));
	update->old_nulls = palloc(count * sizeof(bool));
	update->new_nulls = palloc(count * sizeof(bool));
	update->replaced = palloc0(count * sizeof(bool));
	heap_deform_tuple(data->tg_trigtuple, update->row_type, update->old_values, update->old_nulls);
	heap_deform_tuple(data->tg_newtuple, update->row_type, update->new_values, update->new_nulls);
}

/* A text column of the old row; NULL where it is NULL. */
static char *
old_text(const Update *update, Column column)
{
	int			at = update->number[column];

	return update->old_nulls[at] ? NULL : TextDatumGetCString(update->old_values[at]);
}

/* The same of the new row. */
static char *
new_text(const Update *update, Column column)
{
	int			at = update->number[column];

	return update->new_nulls[at] ? NULL : TextDatumGetCString(update->new_values[at]);
}

/* An integer column of the new row; NULL is 0. */
static int32
new_integer(const Update *update, Column column)
{
	int			at = update->number[column];

	return update->new_nulls[at] ? 0 : DatumGetInt32(update->new_values[at]);
}

/* A time of the old row; NULL is the end of time. */
static TimestampTz
old_time(const Update *update, Column column)
{
	int			at = update->number[column];

	return update->old_nulls[at] ? DT_NOEND : DatumGetTimestampTz(update->old_values[at]);
}

/* The same of the new row. */
static TimestampTz
new_time(const Update *update, Column column)
{
	int			at = update->number[column];

	return update->new_nulls[at] ? DT_NOEND : DatumGetTimestampTz(update->new_values[at]);
}

/* Is the column NULL in the new row? */
static bool
is_null(const Update *update, Column column)
{
	return update->new_nulls[update->number[column]];
}

/* Give the new row another value. */
static void
set_value(Update *update, Column column, Datum value)
{
	int			at = update->number[column];

	update->new_values[at] = value;
	update->new_nulls[at] = false;
	update->replaced[at] = true;
}

/* Make a column of the new row NULL. */
static void
set_null(Update *update, Column column)
{
	int			at = update->number[column];

	update->new_nulls[at] = true;
	update->replaced[at] = true;
}

/* Has a column, by its place, the same value in both rows? */
static bool
is_same(const Update *update, int at)
{
	Form_pg_attribute attribute = TupleDescAttr(update->row_type, at);

	if (update->old_nulls[at] || update->new_nulls[at])
		return update->old_nulls[at] == update->new_nulls[at];
	return same_value(update->old_values[at], update->new_values[at], attribute->attbyval,
					  attribute->attlen);
}

/* The column at a place; COLUMNS: none that moves. */
static Column
moving_column(const Update *update, int at)
{
	for (Column column = PROGRESS; column < COLUMNS; column++)
		if (update->number[column] == at)
			return column;
	return COLUMNS;
}

/* The key of the instance. */
static void
read_key(const Update *update, InstanceKey *key)
{
	key->project = new_text(update, PROJECT);
	key->environment = new_text(update, ENVIRONMENT);
	key->component = new_text(update, COMPONENT);
}

/* What there is to do with a deployment in that state. */
static const char *
way_out(const char *status)
{
	if (strcmp(status, "PROPOSED") == 0)
		return "Approve it by promote.approve_deployment, or reject it by promote.reject_deployment.";
	if (strcmp(status, "PENDING") == 0 || strcmp(status, "APPROVED") == 0)
		return "A worker carries it out when it is its turn; promote.abort_deployment ends it.";
	if (strcmp(status, "RUNNING") == 0)
		return "The worker that has claimed it completes, fails or releases it; promote.abort_deployment ends it.";
	return "It is over; queue another one by promote.plan_instance, promote.deploy_instance or promote.decommission_instance.";
}

/* The states that a state leads to, but for one, as a list for people. */
static char *
next_states(const char *from, const char *but)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(steps); i++)
		if (strcmp(steps[i].from, from) == 0 && strcmp(steps[i].to, but) != 0)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", steps[i].to);
	return list.data;
}

/* Refuse a step that there is not. */
void
refuse_step(const char *instance, int32 deployment, const char *from, const char *to)
{
	char	   *next = next_states(from, to);

	ereport(ERROR,
			(errcode(PM_ILLEGAL_STEP),
			 errmsg("deployment %d of \"%s\" is %s and cannot become %s", deployment,
					instance, from, to),
			 next[0] == '\0' ? errdetail("%s is an end.", from) :
			 errdetail("From %s it goes to: %s.", from, next),
			 errhint("%s", way_out(from))));
}

/* The step between two states; NULL: there is none. */
static const Step *
find_step(const char *from, const char *to)
{
	for (int i = 0; i < lengthof(steps); i++)
		if (strcmp(steps[i].from, from) == 0 && strcmp(steps[i].to, to) == 0)
			return &steps[i];
	return NULL;
}

/* Refuse a change of what the deployment carries. */
static void
refuse_change(const char *column)
{
	ereport(ERROR,
			(errcode(PM_APPEND_ONLY),
			 errmsg("column \"%s\" of \"deployment\" is never changed", column),
			 errdetail("What a deployment carries, and a plan that is recorded, are never changed."),
			 errhint("Queue another deployment.")));
}

/* Refuse what only promote itself moves. */
static void
refuse_hand(const char *column)
{
	ereport(ERROR,
			(errcode(PM_GUARDED_COLUMN),
			 errmsg("column \"%s\" of \"deployment\" is kept by promote", column),
			 errdetail("It follows from the deployment's steps."),
			 errhint("Take the step: promote.claim_deployment, promote.heartbeat_deployment, promote.release_deployment and others.")));
}

/* Is the column one that a step by hand may set? */
static bool
is_for_hands(Column column, bool is_step)
{
	return column == STATUS || (is_step && (column == REASON || column == WORKER || column == DUE_AT));
}

/*
 * Refuse what no step changes, and what a step by hand does not; a plan is
 * recorded once, while its PLAN is carried out.
 */
static void
check_columns(const Update *update, bool is_step)
{
	const char *status = old_text(update, STATUS);

	for (int at = 0; at < update->row_type->natts; at++)
	{
		const char *name = NameStr(TupleDescAttr(update->row_type, at)->attname);
		Column		column;

		if (TupleDescAttr(update->row_type, at)->attisdropped || is_same(update, at))
			continue;
		column = moving_column(update, at);
		if (column == COLUMNS)
			refuse_change(name);
		if (column >= PLAN_FACTS && (!update->old_nulls[update->number[PLAN_DIGEST]] ||
									  strcmp(status, "RUNNING") != 0))
			refuse_change(name);
		if (!guard_is_open() && !is_for_hands(column, is_step))
			refuse_hand(name);
	}
}

/* Refuse to start what is not due, or without a claim. */
static void
check_claim(const Update *update)
{
	InstanceKey key;

	read_key(update, &key);
	if (old_time(update, DUE_AT) > update->now)
		ereport(ERROR,
				(errcode(PM_ILLEGAL_STEP),
				 errmsg("it is not the turn of deployment %d of \"%s\"",
						new_integer(update, DEPLOYMENT), instance_key_name(&key)),
				 errdetail("One deployment of an instance runs at a time, in the order in which they were queued."),
				 errhint("Wait for those before it; promote.claim_deployment takes what is due.")));
	if (is_null(update, WORKER) || is_null(update, DUE_AT) || new_time(update, DUE_AT) <= update->now)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("a deployment runs under the claim of a worker"),
				 errdetail("The row needs a worker, and in due_at the time until when the claim holds."),
				 errhint("Use promote.claim_deployment.")));
}

/* A PLAN whose claim is over is planned again: what that claim recorded counts no more. */
static void
unseal_plan(Update *update)
{
	if (strcmp(new_text(update, ACTION), "PLAN") != 0 || is_null(update, PLAN_DIGEST))
		return;
	set_null(update, PLAN_DIGEST);
	set_null(update, PLAN_FACTS);
	set_value(update, PLAN_DEFECTS, PointerGetDatum(construct_empty_array(TEXTOID)));
}

/* Fill in what being claimed implies. */
static void
start(Update *update)
{
	check_claim(update);
	unseal_plan(update);
	set_value(update, FENCING, Int32GetDatum(new_integer(update, FENCING) + 1));
	set_value(update, STARTED_AT, TimestampTzGetDatum(update->now));
}

/* Fill in what being approved implies. */
static void
approve(Update *update)
{
	set_value(update, APPROVED_BY, CStringGetTextDatum(current_actor()));
	set_value(update, QUEUED_AT, TimestampTzGetDatum(update->now));
	/* its turn comes when the queue says so, whatever else was asked for */
	set_null(update, DUE_AT);
}

/* Refuse to make a proposal of what was none, or the other way round. */
static void
refuse_other_queue(const Update *update, bool approved)
{
	InstanceKey key;

	read_key(update, &key);
	ereport(ERROR,
			(errcode(PM_ILLEGAL_STEP),
			 errmsg("deployment %d of \"%s\" goes back to %s", new_integer(update, DEPLOYMENT),
					instance_key_name(&key), approved ? "APPROVED" : "PENDING"),
			 approved ? errdetail("It was approved.") : errdetail("It never was a proposal."),
			 errhint("Use promote.release_deployment.")));
}

/*
 * Fill in what going back to the queue implies.  It is the instance's next
 * one again, at once, or at the time that was asked for; what went back
 * because its lease was over is due as long as that.
 */
static void
go_back(Update *update, bool lost)
{
	bool		approved = !is_null(update, APPROVED_BY);

	if (approved != (strcmp(new_text(update, STATUS), "APPROVED") == 0))
		refuse_other_queue(update, approved);
	unseal_plan(update);
	if (!lost && (is_null(update, DUE_AT) || is_same(update, update->number[DUE_AT])))
		set_value(update, DUE_AT, TimestampTzGetDatum(update->now));
}

/* Fill in what coming to an end implies. */
static void
finish(Update *update)
{
	set_value(update, FINISHED_AT, TimestampTzGetDatum(update->now));
	set_null(update, DUE_AT);
}

/* A PLAN that ends well without a document promises its params and no more. */
static void
seal_plan(Update *update)
{
	if (strcmp(new_text(update, ACTION), "PLAN") == 0 && is_null(update, PLAN_DIGEST))
		set_value(update, PLAN_DIGEST, update->new_values[update->number[RENDERED_DIGEST]]);
}

/* Refuse an end that a worker reports whose lease is over. */
static void
refuse_late(const Update *update)
{
	InstanceKey key;

	read_key(update, &key);
	ereport(ERROR,
			(errcode(PM_NO_CLAIM),
			 errmsg("the claim of deployment %d of \"%s\" is over",
					new_integer(update, DEPLOYMENT), instance_key_name(&key)),
			 errdetail("Its lease ended at %s.", timestamptz_to_str(old_time(update, DUE_AT))),
			 errhint("It goes back to the queue; extend a lease in time by promote.heartbeat_deployment.")));
}

/* Fill in what leaving RUNNING implies. */
static void
leave(Update *update, const char *to)
{
	bool		lost = old_time(update, DUE_AT) <= update->now;
	bool		completed = strcmp(to, "COMPLETED") == 0;

	if (lost && completed)
		refuse_late(update);
	if (lost && strcmp(to, "ABORTED") != 0)
		set_value(update, LOST_LEASES, Int32GetDatum(new_integer(update, LOST_LEASES) + 1));
	if (completed)
		seal_plan(update);
	if (strcmp(to, "PENDING") == 0 || strcmp(to, "APPROVED") == 0)
		go_back(update, lost);
}

/* Is it a state that nothing comes after? */
static bool
is_end(const char *status)
{
	for (int i = 0; i < lengthof(steps); i++)
		if (strcmp(steps[i].from, status) == 0)
			return false;
	return true;
}

/* Refuse to begin what the line, a secret, a freeze or a closed window holds back: PM_GATES_CLOSED. */
static void
check_held(const Sql *sql, const InstanceKey *key, const Update *update)
{
	int32		deployment = new_integer(update, DEPLOYMENT);
	TimestampTz until;

	if (strcmp(new_text(update, ACTION), "PLAN") == 0 ||
		(!secret_is_lacking(sql, key, deployment) && !window_holds(sql, key, deployment, update->now, &until)))
		return;
	ereport(ERROR,
			(errcode(PM_GATES_CLOSED),
			 errmsg("deployment %d of \"%s\" is held back now", deployment, instance_key_name(key)),
			 errdetail("The line is stopped, a required secret is missing, a freeze is on, or its change windows are closed."),
			 errhint("promote.blockers shows what holds it back.")));
}

/* What is begun by hand is held to the rules of its environment, and to its release's not being blocked. */
static void
hold_begun(const InstanceKey *key, const Update *update)
{
	Datum		view;

	if (strcmp(new_text(update, ACTION), "PLAN") == 0)
		return;
	view = rule_view();
	rule_hold(key->project, key->environment, view);
	if (strcmp(new_text(update, ACTION), "PROVISION") == 0)
		rule_hold_release(new_text(update, BUNDLE), new_text(update, VERSION), view);
}

/*
 * A step that somebody takes by an UPDATE of their own: lock what the verbs
 * have locked, and look at what a worker sees.
 */
static void
take_by_hand(Update *update)
{
	static OldStatement read = {
		.text = "SELECT i.changed_by FROM promote.instance AS i WHERE " OF_INSTANCE("i")
		" FOR NO KEY UPDATE",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	InstanceKey key;
	Sql			sql;
	Datum		values[3];

	read_key(update, &key);
	instance_key_values(&key, values);
	sql_enter(&sql);
	if (strcmp(new_text(update, STATUS), "APPROVED") == 0)
		rule_hold_case(&sql, &key);
	statement_run(&sql, &read, values, NULL, false);
	if (strcmp(new_text(update, STATUS), "RUNNING") == 0)
	{
		hold_begun(&key, update);
		set_value(update, SEEN_CHANGE, Int32GetDatum(spi_integer(SPI_tuptable, 0, 1)));
		review_require_current(&sql, &key, new_integer(update, DEPLOYMENT));
		check_held(&sql, &key, update);
	}
	sql_leave(&sql);
}

/* Judge a step, and fill in what it implies. */
static void
take_step(Update *update)
{
	char	   *from = old_text(update, STATUS);
	char	   *to = new_text(update, STATUS);
	InstanceKey key;

	read_key(update, &key);
	if (find_step(from, to) == NULL)
		refuse_step(instance_key_name(&key), new_integer(update, DEPLOYMENT), from, to);
	if (!guard_is_open())
		take_by_hand(update);
	if (strcmp(to, "RUNNING") == 0)
		start(update);
	else if (strcmp(from, "RUNNING") == 0)
		leave(update, to);
	else if (strcmp(to, "APPROVED") == 0)
	{
		review_proposal(&key, new_integer(update, DEPLOYMENT));
		if (strcmp(new_text(update, ACTION), "PLAN") != 0)
			set_value(update, GATES, JsonbPGetDatum(gate_pass(&key, new_integer(update, DEPLOYMENT))));
		approve(update);
	}
	if (is_end(to))
		finish(update);
}

/*
 * promote_internal.guard_deployment() returns trigger
 *
 * BEFORE UPDATE of deployment, for each row: only legal steps, whoever takes
 * them.
 */
Datum
promote_guard_deployment(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_deployment", "deployment",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	Update		update;
	bool		is_step;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	read_update(data, &update);
	is_step = !is_same(&update, update.number[STATUS]);
	check_columns(&update, is_step);
	if (!is_step)
		return PointerGetDatum(data->tg_newtuple);
	take_step(&update);
	return PointerGetDatum(heap_modify_tuple(data->tg_newtuple, update.row_type, update.new_values,
											 update.new_nulls, update.replaced));
}

/*
 * Refuse what the guard has not seen: a trigger that a user added, and that
 * fires after it, may have changed the row on the way.
 */
static void
check_written(const Update *update)
{
	char	   *from = old_text(update, STATUS);
	char	   *to = new_text(update, STATUS);
	InstanceKey key;

	for (int at = 0; at < update->row_type->natts; at++)
		if (!TupleDescAttr(update->row_type, at)->attisdropped && !is_same(update, at) &&
			moving_column(update, at) == COLUMNS)
			refuse_change(NameStr(TupleDescAttr(update->row_type, at)->attname));
	if (strcmp(from, to) == 0 || find_step(from, to))
		return;
	read_key(update, &key);
	refuse_step(instance_key_name(&key), new_integer(update, DEPLOYMENT), from, to);
}

/* What the audit log calls what happened; NULL: nothing that it says anything of. */
static const char *
event_of(const Update *update)
{
	char	   *to = new_text(update, STATUS);

	if (is_same(update, update->number[STATUS]))
		return is_same(update, update->number[PLAN_DIGEST]) ? NULL : PLAN_RECORDED_EVENT;
	if (!is_same(update, update->number[LOST_LEASES]) && !is_end(to))
		return LEASE_LOST_EVENT;
	return find_step(old_text(update, STATUS), to)->event;
}

/* Move the instance to where the step leaves it, if it does. */
static void
move_instance(const Sql *sql, const Update *update, const InstanceKey *key)
{
	static OldStatement move = {
		.text = "UPDATE promote.instance AS i SET status = $4, changed_by = $5,"
		" deployed_revision = CASE WHEN $6 THEN $7 ELSE i.deployed_revision END,"
		" deployed_by = CASE WHEN $6 THEN $8 ELSE i.deployed_by END"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, BOOLOID, INT4OID, INT4OID}
	};
	const Step *step = find_step(old_text(update, STATUS), new_text(update, STATUS));
	char	   *action = new_text(update, ACTION);
	bool		provision = strcmp(action, "PROVISION") == 0;
	Datum		values[8];
	bool		nulls[8] = {[6] = !provision,[7] = !provision};

	if (step == NULL || step->provision == NULL || strcmp(action, "PLAN") == 0)
		return;
	instance_key_values(key, values);
	values[3] = CStringGetTextDatum(provision ? step->provision : step->decommission);
	values[4] = Int32GetDatum(new_integer(update, DEPLOYMENT));
	values[5] = BoolGetDatum(strcmp(step->to, "COMPLETED") == 0);
	values[6] = Int32GetDatum(new_integer(update, REVISION));
	values[7] = values[4];
	statement_run(sql, &move, values, nulls, false);
}

/*
 * What was queued first and waits, where nothing of the instance runs or is
 * due; 0: there is no such.
 */
static int32
next_in_queue(const Sql *sql, const InstanceKey *key)
{
	static OldStatement look = {
		.text = "SELECT d.deployment FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
		" AND d.status IN ('PENDING', 'APPROVED') AND NOT EXISTS (SELECT FROM promote.deployment AS h"
		"  WHERE " OF_INSTANCE("h") " AND h.due_at IS NOT NULL)"
		" ORDER BY d.queued_at, d.deployment LIMIT 1",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(key, values);
	statement_run(sql, &look, values, NULL, false);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* Let the instance's next deployment be due, if it has one. */
static void
advance_queue(const Sql *sql, const InstanceKey *key, TimestampTz now)
{
	static OldStatement advance = {
		.text = "UPDATE promote.deployment AS d SET due_at = $5 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
	};
	int32		next = next_in_queue(sql, key);
	Datum		values[5];

	if (next == 0)
		return;
	instance_key_values(key, values);
	values[3] = Int32GetDatum(next);
	values[4] = TimestampTzGetDatum(now);
	statement_run(sql, &advance, values, NULL, false);
}

/* Does the step make room in the queue, or come into it? */
static bool
moves_queue(const Update *update)
{
	return is_null(update, DUE_AT) && !is_same(update, update->number[STATUS]) &&
		strcmp(new_text(update, STATUS), "REJECTED") != 0;
}

/* Does the step begin another claim than the first, or end one?  Then its log goes on, or is whole. */
static bool
moves_claim(const Update *update)
{
	char	   *from = old_text(update, STATUS);
	char	   *to = new_text(update, STATUS);

	return strcmp(from, to) != 0 &&
		(strcmp(from, "RUNNING") == 0 || (strcmp(to, "RUNNING") == 0 && new_integer(update, FENCING) > 1));
}

/* Write down what happened, past the guards. */
static void
write_step(const Sql *sql, const Update *update, const char *event)
{
	InstanceKey key;
	char	   *instance;
	AuditHead	head;
	AuditEntry	entries[2] = {{event, audit_facts(update->data->tg_newtuple, update->row_type, true,
												  state_names, lengthof(state_names))}};
	int			count = 1;
	Notice		notice;

	read_key(update, &key);
	instance = instance_key_name(&key);
	move_instance(sql, update, &key);
	record_written(update->data->tg_relation, update->data->tg_newtuple);
	if (moves_claim(update))
		record_log(sql, &key, new_integer(update, DEPLOYMENT));
	/* now: a trigger that a user added to the instance may have appended, too */
	audit_read_head(sql, key.project, instance, &head);
	if (!is_same(update, update->number[GATES]))
		entries[count++] = (AuditEntry) {GATES_JUDGED_EVENT,
			deployment_gates(new_integer(update, DEPLOYMENT),
							 DatumGetJsonbP(update->new_values[update->number[GATES]]))};
	audit_append(sql, &head, key.project, instance, entries, count);
	if (moves_queue(update))
		advance_queue(sql, &key, update->now);
	/* that work was claimed wakes nobody, and all who notify commit one after the other */
	if (strcmp(new_text(update, STATUS), "RUNNING") == 0)
		return;
	notice = (Notice) {instance, 0, new_integer(update, DEPLOYMENT), new_text(update, ACTION),
		new_text(update, STATUS)};
	notify(&notice);
}

/*
 * promote_internal.record_deployment() returns trigger
 *
 * AFTER UPDATE of deployment, for each row: what a step brings about.
 */
Datum
promote_record_deployment(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_deployment", "deployment",
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	Update		update;
	const char *event;
	Sql			sql;
	bool		was;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(NULL);
	read_update(data, &update);
	check_written(&update);
	event = event_of(&update);
	if (event == NULL)
		return PointerGetDatum(NULL);
	sql_enter(&sql);
	was = guard_open(true);
	PG_TRY();
	{
		write_step(&sql, &update, event);
	}
	PG_FINALLY();
	{
		guard_open(was);
	}
	PG_END_TRY();
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* promote.deployment_steps() returns setof record, see sql/deployment/deployment.sql */
Datum
promote_deployment_steps(PG_FUNCTION_ARGS)
{
	static const char *const actions[] = {"PLAN", "PROVISION", "DECOMMISSION"};
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; i < lengthof(actions) * lengthof(steps); i++)
	{
		int			action = i / lengthof(steps);
		const Step *step = &steps[i % lengthof(steps)];
		const char *status = action == 1 ? step->provision : action == 2 ? step->decommission : NULL;
		bool		nulls[5] = {[4] = status == NULL};
		Datum		values[5] = {
			CStringGetTextDatum(actions[action]),
			CStringGetTextDatum(step->from),
			CStringGetTextDatum(step->to),
			CStringGetTextDatum(step->event),
			nulls[4] ? (Datum) 0 : CStringGetTextDatum(status)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * promote_internal.deployment_facts(deployment promote.deployment) returns jsonb
 *
 * The plan's digest moves with a PLAN, and is carried by what follows one.
 */
Datum
promote_deployment_facts(PG_FUNCTION_ARGS)
{
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
	bool		follows_none;

	(void) GetAttributeByName(row, "plan", &follows_none);
	PG_RETURN_JSONB_P(audit_facts_of_value(row, false, column_names + PROGRESS,
										   COLUMNS - PROGRESS - (follows_none ? 0 : 1)));
}
