/*
 * step.c: the steps that deployments take.
 *
 * Whoever takes a step, by a verb or by an UPDATE, two triggers carry it out.
 * promote_guard_deployment judges it by the table of steps and fills in what it
 * implies.  promote_record_deployment moves the instance and its queue, appends
 * to the audit log and notifies.  The verbs of deploy.c and worker.c only update
 * the row.
 *
 * Locks: the instance's row comes first, then the deployment's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/batch.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/row.h"
#include "base/trigger.h"
#include "deployment/step.h"
#include "gate/gate.h"
#include "gate/review.h"
#include "grant/actor.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "ledger/record.h"
#include "ledger/recorded.h"
#include "promotion/diff.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_deployment_steps);
PG_FUNCTION_INFO_V1(promote_deployment_facts);

/* A legal step, and the status that it gives the instance. */
typedef struct Step
{
	DeploymentStatus from;
	DeploymentStatus to;
	const char *event;			/* in the audit log */
	const char *provision;		/* status after a step of a PROVISION; NULL: as before */
	const char *decommission;	/* status after a step of a DECOMMISSION; NULL: as before */
} Step;

/*
 * All legal steps.  A PLAN leaves the instance's status alone.  A deployment that
 * ran and did not complete may have changed anything, so its instance has failed.
 */
static const Step steps[] = {
	{DEPLOYMENT_PROPOSED, DEPLOYMENT_APPROVED, "deployment.approved"},
	{DEPLOYMENT_PROPOSED, DEPLOYMENT_REJECTED, "deployment.rejected"},
	{DEPLOYMENT_PENDING, DEPLOYMENT_RUNNING, "deployment.started"},
	{DEPLOYMENT_PENDING, DEPLOYMENT_ABORTED, "deployment.aborted"},
	{DEPLOYMENT_APPROVED, DEPLOYMENT_RUNNING, "deployment.started"},
	{DEPLOYMENT_APPROVED, DEPLOYMENT_ABORTED, "deployment.aborted"},
	{DEPLOYMENT_RUNNING, DEPLOYMENT_PENDING, "deployment.released"},
	{DEPLOYMENT_RUNNING, DEPLOYMENT_APPROVED, "deployment.released"},
	{DEPLOYMENT_RUNNING, DEPLOYMENT_COMPLETED, "deployment.completed", "PROVISIONED", "DECOMMISSIONED"},
	{DEPLOYMENT_RUNNING, DEPLOYMENT_FAILED, "deployment.failed", "FAILED", "FAILED"},
	{DEPLOYMENT_RUNNING, DEPLOYMENT_ABORTED, "deployment.aborted", "FAILED", "FAILED"}
};

#define LEASE_LOST_EVENT "deployment.lost"	/* of going back to the queue because the lease was over */
#define PLAN_RECORDED_EVENT "plan.recorded"
#define NOT_DEPLOYED_EVENT "plan.not_deployed"
#define JOINED_EVENT "plan.joined"

/*
 * The columns that steps change; all others but those of rebased are what a deployment carries.
 * A plan is recorded in the last three.
 */
static const char *const moving[] = {
	"status", "queued_at", "due_at", "worker", "fencing", "lost_leases", "seen_change", "started_at",
	"finished_at", "approved_by", "reason", "gates", "not_deployed", "joined_by",
	"plan_facts", "plan_defects", "plan_digest"
};

#define FIRST_RECORDED (lengthof(moving) - 3)

/* What a PLAN starts from, which follows what runs when it is claimed. */
static const char *const rebased[] = {
	"base_deployment", "base_revision", "previous_version", "destructive", "reverts", "diff"
};

/* The columns that the audit log has of a step, without the place in the queue, which changes between steps. */
static const char *const state_names[] = {
	"deployment", "status", "worker", "fencing", "lost_leases", "seen_change", "started_at",
	"finished_at", "approved_by", "reason", "not_deployed", "joined_by", "plan_digest", "plan_facts", "plan_defects",
	/* only where the step changes them: see rebased */
	"base_deployment", "base_revision", "previous_version", "destructive", "reverts", "diff"
};

#define MAX_REPLACED 16

/* An UPDATE of the table. */
typedef struct Update
{
	TriggerData data;			/* with this row, also where the trigger is one per statement */
	HeapTuple	old;
	HeapTuple	new;			/* without the values that the guard fills in */
	List	   *changes;		/* names of the columns that it changes: char * */
	InstanceKey key;
	int32		deployment;
	DeploymentAction action;
	DeploymentStatus from;
	DeploymentStatus to;		/* DEPLOYMENT_NONE: no status that is known */
	TimestampTz now;

	/* what the guard fills in */
	int			replaced;		/* how many columns have another value */
	int			numbers[MAX_REPLACED];
	Datum		values[MAX_REPLACED];
	bool		nulls[MAX_REPLACED];

	const char *event;			/* what the audit log calls it; NULL: it is not recorded */
} Update;

/* Read the UPDATE that a trigger was fired by. */
static void
read_update(const TriggerData *data, Update *update)
{
	HeapTuple	new = data->tg_newtuple;

	*update = (Update) {
		.data = *data,
		.old = data->tg_trigtuple,
		.new = new,
		.changes = trigger_changes(data),
		.key = {
			trigger_text(data, new, "project"), trigger_text(data, new, "environment"),
			trigger_text(data, new, "component")
		},
		.deployment = trigger_int(data, new, "deployment"),
		.action = sql_enum(deployment_actions, trigger_text(data, new, "action")),
		.from = sql_enum(deployment_statuses, trigger_text(data, data->tg_trigtuple, "status")),
		.to = sql_enum(deployment_statuses, trigger_text(data, new, "status")),
		.now = GetCurrentTimestamp()
	};
}

/* Does the update change that column? */
static bool
differs(const Update *update, const char *column)
{
	return names_hold(update->changes, column);
}

/* Is a column NULL in the new row? */
static bool
is_null(const Update *update, const char *column)
{
	return trigger_is_null(&update->data, update->new, column);
}

/* Give a column another value in the new row. */
static void
set(Update *update, const char *column, SqlValue value)
{
	Assert(update->replaced < MAX_REPLACED);
	update->numbers[update->replaced] = SPI_fnumber(RelationGetDescr(update->data.tg_relation), column);
	update->values[update->replaced] = value.datum;
	update->nulls[update->replaced] = value.isnull;
	update->replaced++;
}

/* What can be done with a deployment in a state, for a hint. */
static const char *
way_out(DeploymentStatus status)
{
	switch (status)
	{
		case DEPLOYMENT_PROPOSED:
			return "Approve it by promote.approve_deployment, or reject it by promote.reject_deployment.";
		case DEPLOYMENT_PENDING:
		case DEPLOYMENT_APPROVED:
			return "A worker carries it out when it is its turn; promote.abort_deployment ends it.";
		case DEPLOYMENT_RUNNING:
			return "The worker that has claimed it completes, fails or releases it; promote.abort_deployment ends it.";
		default:
			return "It is over; queue another one by promote.plan_instance, promote.deploy_instance or promote.decommission_instance.";
	}
}

/* The states that a state leads to, without one of them, as a list for people. */
static char *
next_states(DeploymentStatus from, const char *but)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(steps); i++)
	{
		const char *to = deployment_statuses[steps[i].to];

		if (steps[i].from == from && strcmp(to, but) != 0)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", to);
	}
	return list.data;
}

/* Refuse an illegal step: PM_ILLEGAL_STEP.  to need not be a state. */
void
refuse_step(const InstanceKey *key, int32 deployment, DeploymentStatus from, const char *to)
{
	const char *state = deployment_statuses[from];
	char	   *next = next_states(from, to);

	ereport(ERROR,
			(errcode(PM_ILLEGAL_STEP),
			 errmsg("deployment %d of \"%s\" is %s and cannot become %s", deployment,
					instance_key_name(key), state, to),
			 next[0] == '\0' ? errdetail("%s is an end.", state) :
			 errdetail("From %s it goes to: %s.", state, next),
			 errhint("%s", way_out(from))));
}

/* The step between two states; NULL: there is none. */
static const Step *
find_step(DeploymentStatus from, DeploymentStatus to)
{
	for (int i = 0; i < lengthof(steps); i++)
		if (steps[i].from == from && steps[i].to == to)
			return &steps[i];
	return NULL;
}

/* Does no step lead out of the state? */
static bool
is_end(DeploymentStatus status)
{
	for (int i = 0; i < lengthof(steps); i++)
		if (steps[i].from == status)
			return false;
	return true;
}

/* Refuse an update whose step is not legal. */
static void
require_step(const Update *update)
{
	char	   *to;

	if (find_step(update->from, update->to))
		return;
	to = trigger_text(&update->data, update->new, "status");
	refuse_step(&update->key, update->deployment, update->from, to ? to : "null");
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

/* Refuse a change that only promote itself makes. */
static void
refuse_hand(const char *column)
{
	ereport(ERROR,
			(errcode(PM_GUARDED_COLUMN),
			 errmsg("column \"%s\" of \"deployment\" is kept by promote", column),
			 errdetail("It follows from the deployment's steps."),
			 errhint("Take the step: promote.claim_deployment, promote.heartbeat_deployment, promote.release_deployment and others.")));
}

/* The place of a column in moving; -1: it does not change. */
static int
moving_column(const char *name)
{
	for (int i = 0; i < lengthof(moving); i++)
		if (strcmp(moving[i], name) == 0)
			return i;
	return -1;
}

/* May a user's own UPDATE set the column? */
static bool
is_for_hands(const char *name, bool is_step)
{
	return strcmp(name, "status") == 0 ||
		(is_step && (strcmp(name, "reason") == 0 || strcmp(name, "worker") == 0 || strcmp(name, "due_at") == 0));
}

/*
 * Refuse columns that no step changes, and those that a user's own UPDATE must
 * not set.  A plan is recorded once, while its PLAN is carried out.
 */
static void
check_columns(const Update *update)
{
	bool		records = update->from == DEPLOYMENT_RUNNING &&
		trigger_is_null(&update->data, update->old, "plan_digest");
	ListCell   *cell;

	foreach(cell, update->changes)
	{
		const char *name = lfirst(cell);
		int			column = moving_column(name);

		if (column < 0 || (column >= FIRST_RECORDED && !records))
			refuse_change(name);
		if (!errand()->records && !is_for_hands(name, update->from != update->to))
			refuse_hand(name);
	}
}

/* Refuse to start a deployment that is not due, or without a claim. */
static void
check_claim(const Update *update)
{
	if (trigger_time(&update->data, update->old, "due_at") > update->now)
		ereport(ERROR,
				(errcode(PM_ILLEGAL_STEP),
				 errmsg("it is not the turn of deployment %d of \"%s\"",
						update->deployment, instance_key_name(&update->key)),
				 errdetail("One deployment of an instance runs at a time, in the order in which they were queued."),
				 errhint("Wait for those before it; promote.claim_deployment takes what is due.")));
	if (is_null(update, "worker") || is_null(update, "due_at") ||
		trigger_time(&update->data, update->new, "due_at") <= update->now)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("a deployment runs under the claim of a worker"),
				 errdetail("The row needs a worker, and in due_at the time until when the claim holds."),
				 errhint("Use promote.claim_deployment.")));
}

/* Drop what a PLAN has recorded: its claim is over, and it is planned again. */
static void
unseal_plan(Update *update)
{
	if (update->action != ACTION_PLAN || is_null(update, "plan_digest"))
		return;
	set(update, "plan_digest", AS_BYTEA(NULL));
	set(update, "plan_facts", AS_JSONB(NULL));
	set(update, "plan_defects", AS_TEXTS(PointerGetDatum(construct_empty_array(TEXTOID))));
}

/* Let a PLAN start from what runs now, if that is something else than what it was queued for. */
static void
rebase(Update *update)
{
	Rebase		base;
	Sql			sql;

	sql_enter(&sql);
	if (plan_rebase(&sql, &update->key, update->deployment, &base))
	{
		const Carried *runs = base.runs;

		MemoryContextSwitchTo(sql.caller);
		set(update, "base_deployment", AS_NUMBER(runs ? runs->deployment : 0));
		set(update, "base_revision", AS_NUMBER(runs ? runs->revision : 0));
		set(update, "previous_version", AS_TEXT(runs ? runs->version : NULL));
		set(update, "destructive", AS_BOOL(base.destructive));
		set(update, "reverts", AS_BOOL(base.reverts));
		set(update, "diff", AS_JSONB(DatumGetJsonbPCopy(JsonbPGetDatum(base.diff))));
	}
	sql_leave(&sql);
}

/* Fill in what a step to RUNNING implies. */
static void
start(Update *update)
{
	check_claim(update);
	unseal_plan(update);
	if (update->action == ACTION_PLAN && !errand()->based)
		rebase(update);
	set(update, "fencing", AS_INT(trigger_int(&update->data, update->new, "fencing") + 1));
	set(update, "started_at", AS_TIME(update->now));
}

/* Judge an approval, and fill in what it implies. */
static void
approve(Update *update)
{
	review_proposal(&update->key, update->deployment);
	if (update->action != ACTION_PLAN)
		set(update, "gates", AS_JSONB(gate_pass(&update->key, update->deployment)));
	set(update, "approved_by", AS_TEXT(current_actor()));
	set(update, "queued_at", AS_TIME(update->now));
	/* the queue says when it is due, whatever the UPDATE has asked for */
	set(update, "due_at", AS_TIME(DT_NOEND));
}

/* Refuse to release a deployment to APPROVED that was not approved, or to PENDING one that was. */
static void
refuse_other_queue(const Update *update, bool approved)
{
	ereport(ERROR,
			(errcode(PM_ILLEGAL_STEP),
			 errmsg("deployment %d of \"%s\" goes back to %s", update->deployment,
					instance_key_name(&update->key), approved ? "APPROVED" : "PENDING"),
			 approved ? errdetail("It was approved.") : errdetail("It never was a proposal."),
			 errhint("Use promote.release_deployment.")));
}

/*
 * Fill in what going back to the queue implies.  The deployment is the next one
 * of its instance again: now, or at the time that was asked for.  If it was lost,
 * it stays due since its lease has ended.
 */
static void
go_back(Update *update, bool lost)
{
	bool		approved = !is_null(update, "approved_by");

	if (approved != (update->to == DEPLOYMENT_APPROVED))
		refuse_other_queue(update, approved);
	unseal_plan(update);
	if (!lost && (is_null(update, "due_at") || !differs(update, "due_at")))
		set(update, "due_at", AS_TIME(update->now));
}

/* Seal a PLAN that completes without a recorded plan: by the digest of its params. */
static void
seal_plan(Update *update)
{
	NullableDatum digest = trigger_value(&update->data, update->new, "rendered_digest");

	if (update->action == ACTION_PLAN && is_null(update, "plan_digest"))
		set(update, "plan_digest", sql_value(BYTEAOID, digest.isnull, digest.value));
}

/* Refuse to complete a deployment after its lease has ended. */
static void
refuse_late(const Update *update)
{
	ereport(ERROR,
			(errcode(PM_NO_CLAIM),
			 errmsg("the claim of deployment %d of \"%s\" is over",
					update->deployment, instance_key_name(&update->key)),
			 errdetail("Its lease ended at %s.",
					   timestamptz_to_str(trigger_time(&update->data, update->old, "due_at"))),
			 errhint("It goes back to the queue; extend a lease in time by promote.heartbeat_deployment.")));
}

/* Fill in what leaving RUNNING implies. */
static void
leave(Update *update)
{
	bool		lost = trigger_time(&update->data, update->old, "due_at") <= update->now;

	if (lost && update->to == DEPLOYMENT_COMPLETED)
		refuse_late(update);
	if (lost && update->to != DEPLOYMENT_ABORTED)
		set(update, "lost_leases", AS_INT(trigger_int(&update->data, update->new, "lost_leases") + 1));
	if (update->to == DEPLOYMENT_COMPLETED)
		seal_plan(update);
	if (!is_end(update->to))
		go_back(update, lost);
}

/*
 * Refuse to begin what the line, a secret, another component, a freeze or a closed window
 * holds back: PM_GATES_CLOSED.
 */
static void
check_held(const Sql *sql, Beginning *beginning, const Update *update)
{
	TimestampTz until;

	if (update->action == ACTION_PLAN ||
		!begin_is_held(sql, beginning, &update->key, update->deployment,
					   begin_lacks_secret(sql, &update->key, update->deployment),
					   begin_awaits(sql, &update->key, update->deployment), &until))
		return;
	ereport(ERROR,
			(errcode(PM_GATES_CLOSED),
			 errmsg("deployment %d of \"%s\" is held back now", update->deployment, instance_key_name(&update->key)),
			 errdetail("The line is stopped, a required secret is missing, another component comes first, a freeze is on, or its change windows are closed."),
			 errhint("promote.blockers shows what holds it back.")));
}

/*
 * A user takes a step by an UPDATE of their own: lock what the verbs lock, and
 * refuse to start what claiming would not start.
 */
static void
take_by_hand(Update *update)
{
	static Statement read = {"SELECT i.changed_by FROM promote.instance AS i WHERE " OF_INSTANCE("i")
		" FOR NO KEY UPDATE"};
	Beginning	beginning = {NIL};
	Sql			sql;
	SqlRows		rows;

	sql_enter(&sql);
	if (update->to == DEPLOYMENT_APPROVED)
		rule_hold_case(&sql, &update->key);
	rows = sql_run(&sql, &read, AS_KEY(&update->key));
	if (update->to == DEPLOYMENT_RUNNING)
	{
		begin_hold(&beginning, &update->key, update->action, trigger_text(&update->data, update->new, "bundle"),
				   trigger_text(&update->data, update->new, "version"));
		set(update, "seen_change", AS_INT(sql_int(&rows, 0)));
		review_require_current(&sql, &update->key, update->deployment);
		check_held(&sql, &beginning, update);
	}
	sql_leave(&sql);
}

/* Judge a step, and fill in what it implies. */
static void
take_step(Update *update)
{
	require_step(update);
	if (!errand()->records)
		take_by_hand(update);
	if (update->to == DEPLOYMENT_RUNNING)
		start(update);
	else if (update->from == DEPLOYMENT_RUNNING)
		leave(update);
	else if (update->to == DEPLOYMENT_APPROVED)
		approve(update);
	if (!is_end(update->to))
		return;
	set(update, "finished_at", AS_TIME(update->now));
	set(update, "due_at", AS_TIME(DT_NOEND));
}

/*
 * promote_internal.guard_deployment() returns trigger
 *
 * BEFORE UPDATE of deployment, for each row: lets legal steps pass, whoever takes
 * them, and fills in what they imply.
 */
Datum
TRIGGER_FUNCTION(promote_guard_deployment)
{
	TriggerData *data = trigger_data(fcinfo, "deployment", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	Update		update;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	read_update(data, &update);
	check_columns(&update);
	if (update.from == update.to)
		return PointerGetDatum(update.new);
	take_step(&update);
	return PointerGetDatum(heap_modify_tuple_by_cols(update.new, RelationGetDescr(data->tg_relation), update.replaced,
													 update.numbers, update.values, update.nulls));
}

/* Is the column what a PLAN starts from, which the guard fills in where it is claimed? */
static bool
is_rebased(const Update *update, const char *name)
{
	for (int i = 0; i < lengthof(rebased); i++)
		if (strcmp(rebased[i], name) == 0)
			return update->action == ACTION_PLAN && update->to == DEPLOYMENT_RUNNING &&
				update->from != update->to && differs(update, "base_deployment");
	return false;
}

/*
 * Refuse what the guard has not seen: a user's trigger that fires behind it may
 * have changed the row.
 */
static void
check_written(const Update *update)
{
	ListCell   *cell;

	foreach(cell, update->changes)
		if (moving_column(lfirst(cell)) < 0 && !is_rebased(update, lfirst(cell)))
			refuse_change(lfirst(cell));
	if (update->from != update->to)
		require_step(update);
}

/* What the audit log calls an update; NULL: it is not recorded. */
static const char *
event_of(const Update *update)
{
	if (update->from == update->to)
		return differs(update, "plan_digest") ? PLAN_RECORDED_EVENT :
			differs(update, "not_deployed") ? NOT_DEPLOYED_EVENT :
			differs(update, "joined_by") ? JOINED_EVENT : NULL;
	if (differs(update, "lost_leases") && !is_end(update->to))
		return LEASE_LOST_EVENT;
	return find_step(update->from, update->to)->event;
}

/* The status that a step of an action gives the instance; NULL: it stays. */
static const char *
status_after(const Step *step, DeploymentAction action)
{
	return action == ACTION_PROVISION ? step->provision : action == ACTION_DECOMMISSION ? step->decommission : NULL;
}

/* ---- recording steps ---- */

#define UPDATES_AT_ONCE 200		/* recorded by one run of the statements below */

/* Updates of one statement that are recorded together, at most one of each instance. */
typedef struct Taken
{
	const Sql  *sql;
	Update		updates[UPDATES_AT_ONCE];
	int			count;
} Taken;

/* The deployments that the updates are of to which something applies, each with its place. */
static void
take_updates(const Taken *taken, bool (*applies) (const Update *update), Batch *batch)
{
	static const char *const columns[] = {"project", "environment", "component", "action", "place"};

	*batch = (Batch) {.name = "taken_update",.columns = columns};
	batch_begin(batch);
	for (int i = 0; i < taken->count; i++)
	{
		const Update *update = &taken->updates[i];

		if (applies(update))
			batch_put(batch, AS_KEY(&update->key), AS_TEXT(deployment_actions[update->action]), AS_INT(i));
	}
}

/* Give the instances the status after the step, and note what runs, where that changes. */
static void
move_instances(const Taken *taken)
{
	static Statement move = {"UPDATE promote.instance AS i SET status = k.status, changed_by = k.deployment,"
		" deployed_revision = CASE WHEN k.completed THEN k.revision ELSE i.deployed_revision END,"
		" deployed_by = CASE WHEN k.completed THEN k.provision ELSE i.deployed_by END"
		" FROM moved_instance AS k"
		" WHERE " SAME_INSTANCE("i", "k")};
	static const char *const columns[] = {
		"project", "environment", "component", "status", "deployment", "completed", "revision", "provision"
	};
	Batch		batch = {.name = "moved_instance",.columns = columns};

	batch_begin(&batch);
	for (int i = 0; i < taken->count; i++)
	{
		const Update *update = &taken->updates[i];
		const Step *step = find_step(update->from, update->to);
		const char *status = step ? status_after(step, update->action) : NULL;
		bool		provision = update->action == ACTION_PROVISION;

		if (status)
			batch_put(&batch, AS_KEY(&update->key), AS_TEXT(status), AS_INT(update->deployment),
					  AS_BOOL(update->to == DEPLOYMENT_COMPLETED),
					  AS_NUMBER(provision ? trigger_int(&update->data, update->new, "revision") : 0),
					  AS_NUMBER(provision ? update->deployment : 0));
	}
	if (batch.count > 0)
		(void) batch_run(taken->sql, &move, &batch);
	batch_end(&batch);
}

/* Begin the rows of set_due: key, number and time. */
void
set_due_begin(Batch *due)
{
	static const char *const columns[] = {"project", "environment", "component", "deployment", "due_at"};

	*due = (Batch) {.name = "due_deployment",.columns = columns};
	batch_begin(due);
}

/* Make deployments that wait due; ends the batch of them. */
void
set_due(const Sql *sql, Batch *due)
{
	static Statement set = {"UPDATE promote.deployment AS d SET due_at = k.due_at"
		" FROM due_deployment AS k WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment"};

	if (due->count > 0)
		(void) guarded_rows(sql, &set, due);
	batch_end(due);
}

/* What is next in an instance's queue. */
typedef struct Next
{
	InstanceKey key;
	int32		deployment;
	int32		place;			/* of the update that has moved the queue */
} Next;

static const SqlField next_fields[] = {
	SQL_FIELD(Next, key.project, "k.project"), SQL_FIELD(Next, key.environment, "k.environment"),
	SQL_FIELD(Next, key.component, "k.component"), SQL_FIELD(Next, deployment, "n.deployment"),
	SQL_FIELD(Next, place, "k.place")
};

/* Does the step leave the queue, or enter it? */
static bool
moves_queue(const Update *update)
{
	return is_null(update, "due_at") && update->from != update->to && update->to != DEPLOYMENT_REJECTED;
}

/* Make the next deployments due now of the instances whose queues have moved. */
static void
advance_queues(const Taken *taken)
{
	static Statement look = SQL_ROWS(next_fields, "SELECT $* FROM taken_update AS k"
									 " CROSS JOIN LATERAL (SELECT n.* FROM promote_internal.next_in_queue(k.project, k.environment,"
									 "  k.component) AS n LIMIT 1) AS n");
	Batch		moved;
	Batch		due;
	SqlRows		rows;
	Next		next;

	take_updates(taken, moves_queue, &moved);
	if (moved.count == 0)
		return;
	rows = batch_run(taken->sql, &look, &moved);
	batch_end(&moved);
	set_due_begin(&due);
	for (uint64 i = 0; sql_row(&rows, i, &next); i++)
		batch_put(&due, AS_KEY(&next.key), AS_INT(next.deployment), AS_TIME(taken->updates[next.place].now));
	set_due(taken->sql, &due);
}

/* Has a component dependencies, by the column of an index? */
static bool
has_dependencies(const InstanceKey *key, const char *index)
{
	const RowKey row = {"component_dependency", index, {AS_TEXT(key->project), AS_TEXT(key->component)}, 2};

	return row_is_shown(&row, GetLatestSnapshot());
}

/*
 * Does the step end a deployment for which others may wait: those that need its component, or that it needs?  For a
 * PLAN that is not to be deployed nobody does.
 */
static bool
ends(const Update *update)
{
	return update->from != update->to && is_end(update->to) &&
		(update->action != ACTION_PLAN || !is_null(update, "deploy_as")) &&
		(has_dependencies(&update->key, "component_dependency_depends_on_idx") ||
		 has_dependencies(&update->key, "component_dependency_pkey"));
}

/*
 * Make what may have waited for other components due again, once one of these is done with.  What
 * others have locked is passed over, as by claims: it is judged again in a while in any case.  What
 * has been claimed before, and was put back for later, stays where it is.  Each key is looked up,
 * whatever the planner believes of the tables.  The instances still have the status from before.
 */
static void
wake_waiting(const Taken *taken)
{
	static const SqlField fields[] = {
		SQL_FIELD(Next, key.project, "k.project"), SQL_FIELD(Next, key.environment, "k.environment"),
		SQL_FIELD(Next, key.component, "c.component"), SQL_FIELD(Next, deployment, "d.deployment"),
		SQL_FIELD(Next, place, "k.place")
	};
	static Statement look = SQL_ROWS(fields, "SELECT $* FROM taken_update AS k"
									 " CROSS JOIN LATERAL promote_internal.components_freed(k.project, k.environment,"
									 "  k.component, k.action) AS c"
									 " CROSS JOIN LATERAL (SELECT d.deployment FROM promote_internal.due_deployment AS d"
									 "  WHERE d.project = k.project AND d.environment = k.environment"
									 "  AND d.component = c.component AND d.action = c.action"
									 "  AND d.due_at > pg_catalog.clock_timestamp() AND d.status <> 'RUNNING'"
									 "  AND d.worker IS NULL FOR NO KEY UPDATE SKIP LOCKED) AS d");
	Batch		ended;
	Batch		due;
	SqlRows		rows;
	Next		next;

	take_updates(taken, ends, &ended);
	if (ended.count == 0)
		return;
	rows = batch_run(taken->sql, &look, &ended);
	batch_end(&ended);
	set_due_begin(&due);
	for (uint64 i = 0; sql_row(&rows, i, &next); i++)
		batch_put(&due, AS_KEY(&next.key), AS_INT(next.deployment), AS_TIME(taken->updates[next.place].now));
	set_due(taken->sql, &due);
}

/* Does the step end a claim, or begin one after the first, and the log has entries, which are to be recorded? */
static bool
is_logged(const Update *update)
{
	const RowKey log = {"deployment_log", "deployment_log_pkey", {AS_KEY(&update->key), AS_INT(update->deployment)}, 4};

	return update->from != update->to &&
		(update->from == DEPLOYMENT_RUNNING ||
		 (update->to == DEPLOYMENT_RUNNING && trigger_int(&update->data, update->new, "fencing") > 1)) &&
		row_is_shown(&log, GetLatestSnapshot());
}

/* Mark the logs of the deployments whose claims begin or end. */
static void
record_logs(const Taken *taken)
{
	for (int i = 0; i < taken->count; i++)
		if (is_logged(&taken->updates[i]))
			record_log(taken->sql, &taken->updates[i].key, taken->updates[i].deployment);
}

/* What the audit log says of an update: what has changed, and how gates were judged.  Returns how many entries. */
static int
make_entries(const Update *update, AuditEntry *entries)
{
	bool		is_stray = differs(update, "base_deployment");

	entries[0] = (AuditEntry) {update->event,
		audit_facts(update->new, RelationGetDescr(update->data.tg_relation), true, state_names,
					lengthof(state_names) - (is_stray ? 0 : lengthof(rebased)))};
	if (!differs(update, "gates"))
		return 1;
	entries[1] = (AuditEntry) {GATES_JUDGED_EVENT,
		deployment_gates(update->deployment, trigger_jsonb(&update->data, update->new, "gates"))};
	return 2;
}

/* Append what happened to the instances' chains. */
static void
append_steps(const Taken *taken)
{
	AuditEntry	entries[AUDIT_MAX_ENTRIES];
	Batch		batch;

	audit_begin_batch(&batch);
	for (int i = 0; i < taken->count; i++)
	{
		const Update *update = &taken->updates[i];
		char	   *subject = instance_key_name(&update->key);
		AuditHead	head;

		/* read now, as a user's trigger on the instance may have appended, too */
		audit_read_head(update->key.project, subject, &head);
		audit_put(&batch, &head, update->key.project, subject, entries, make_entries(update, entries));
	}
	audit_write(taken->sql, &batch);
}

/* Notify listeners. */
static void
tell(const Taken *taken)
{
	for (int i = 0; i < taken->count; i++)
	{
		const Update *update = &taken->updates[i];

		notify(&(Notice) {instance_key_name(&update->key), 0, update->deployment,
			   deployment_actions[update->action], deployment_statuses[update->to]});
	}
}

/* Do and record what the steps bring about.  guarded_do runs this, with the guards open. */
static void
write_steps(void *state)
{
	const Taken *taken = state;

	wake_waiting(taken);
	move_instances(taken);
	for (int i = 0; i < taken->count; i++)
		record_written(taken->updates[i].data.tg_relation, taken->updates[i].new);
	record_logs(taken);
	append_steps(taken);
	advance_queues(taken);
	tell(taken);
}

/* Is one of the updates of that instance? */
static bool
has_instance(const Taken *taken, const InstanceKey *key)
{
	for (int i = 0; i < taken->count; i++)
		if (instance_key_compare(&taken->updates[i].key, key) == 0)
			return true;
	return false;
}

/*
 * Read updates, up to one that does not fit; false: the statement made no more.  An instance has one
 * step at a time: a second one of it is left for the next time.
 */
static bool
read_steps(TransitionRows *rows, Taken *taken)
{
	taken->count = 0;
	while (rows->left && taken->count < UPDATES_AT_ONCE)
	{
		Update	   *update = &taken->updates[taken->count];

		CHECK_FOR_INTERRUPTS();
		transition_row(rows, &update->data);
		read_update(&update->data, update);
		check_written(update);
		update->event = event_of(update);
		if (update->event && has_instance(taken, &update->key))
			break;
		if (update->event)
			taken->count++;
		transition_next(rows);
	}
	return taken->count > 0;
}

/*
 * promote_internal.record_deployment() returns trigger
 *
 * AFTER UPDATE of deployment, for each statement, with the transition tables old_deployment and
 * new_deployment: does and records what the steps bring about.
 */
Datum
TRIGGER_FUNCTION(promote_record_deployment)
{
	TriggerData *data = trigger_data(fcinfo, "deployment", TRIGGER_EVENT_AFTER);
	TransitionRows rows;
	bool		more = transition_open(data, &rows);

	while (more)
	{
		Taken	   *taken;
		Sql			sql;

		sql_enter(&sql);
		taken = palloc(sizeof(Taken));
		taken->sql = &sql;
		more = read_steps(&rows, taken);
		if (more)
			guarded_do(write_steps, taken);
		sql_leave(&sql);
	}
	transition_close(&rows);
	return PointerGetDatum(NULL);
}

/* promote.deployment_steps() returns setof record, see sql/deployment/deployment.sql */
Datum
promote_deployment_steps(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (DeploymentAction action = ACTION_PLAN; action <= ACTION_DECOMMISSION; action++)
		for (int i = 0; i < lengthof(steps); i++)
			result_put(fcinfo, AS_TEXT(deployment_actions[action]), AS_TEXT(deployment_statuses[steps[i].from]),
					   AS_TEXT(deployment_statuses[steps[i].to]), AS_TEXT(steps[i].event),
					   AS_TEXT(status_after(&steps[i], action)));
	return (Datum) 0;
}

/* A document of a row's columns without those that move; the first so many of moving are left out. */
static Jsonb *
without_moving(const Jsonb *facts, int count)
{
	JsonbValue	view = json_view(facts);
	JsonBuilder builder;

	json_begin_object(&builder);
	json_foreach(child, &view)
	{
		const char *name = pnstrdup(child.key.val.string.val, child.key.val.string.len);

		if (audit_is_named(name, moving, count))
			continue;
		json_build_key(&builder, name, strlen(name));
		json_build_value(&builder, &child.value);
	}
	return json_builder_finish(&builder);
}

/*
 * promote_internal.deployment_facts(deployment promote.deployment) returns jsonb
 *
 * What a deployment carries, for the audit log.  The plan's digest is among that
 * in a deployment that follows a plan; a PLAN gets it while it is carried out.  A row that a
 * verb has just inserted is marked for the event.
 */
Datum
promote_deployment_facts(PG_FUNCTION_ARGS)
{
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
	bool		follows_none;

	(void) GetAttributeByName(row, "plan", &follows_none);
	PG_RETURN_JSONB_P(without_moving(record_returned(row), lengthof(moving) - (follows_none ? 0 : 1)));
}
