/*
 * settle.c: deploying a plan as soon as it has completed, where that was asked for.
 *
 * Whoever completes the PLAN, by promote.complete_deployment or by an UPDATE, a trigger queues
 * its PROVISION in the same transaction, for the person that has asked for it.  It is judged
 * like promote.deploy_instance, but brings nothing back that was decommissioned.  What is
 * refused stands in the plan's row, and the plan stays completed: a worker has nothing to do
 * with gates.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/attempt.h"
#include "base/trigger.h"
#include "deployment/deploy.h"
#include "grant/access.h"
#include "ledger/guard.h"

/* A PLAN that has completed. */
typedef struct Settled
{
	InstanceKey key;
	int32		plan;
	const char *deploy_as;		/* the role that has asked for it to be deployed */
	const char *message;		/* NULL: none */
	Person		by;
} Settled;

/* Queue the PROVISION, or refuse to.  errand_do runs this. */
static void
deploy(void *state)
{
	const Settled *settled = state;
	Sql			sql;

	sql_enter(&sql);
	access_require_still(settled->deploy_as, "plan", &settled->key);
	access_require_still(settled->deploy_as, "deploy", &settled->key);
	deploy_unseen(&sql, &settled->key, settled->plan, settled->message);
	sql_leave(&sql);
}

/* Do that for the person that has asked for it.  attempt runs this. */
static void
deploy_for(void *state)
{
	const Settled *settled = state;

	errand_do(&(Errand) {.asker = &settled->by}, deploy, state);
}

/* Note in the plan's row why it was not deployed. */
static void
note(const Settled *settled, const char *reason)
{
	static Statement write = {"UPDATE promote.deployment AS d SET not_deployed = $5 WHERE " OF_INSTANCE("d")
		" AND d.deployment = $4"};
	Sql			sql;

	sql_enter(&sql);
	(void) guarded_run(&sql, &write, AS_KEY(&settled->key), AS_INT(settled->plan), AS_TEXT(reason));
	sql_leave(&sql);
}

/* Where a PLAN that is to be deployed has completed by an update, deploy it, or note why not. */
static void
settle(const TriggerData *data)
{
	HeapTuple	row = data->tg_newtuple;
	Settled		settled;
	Refusal		refusal;

	if (trigger_is_null(data, row, "deploy_as") || !trigger_differs(data, "status") ||
		strcmp(trigger_text(data, row, "status"), deployment_statuses[DEPLOYMENT_COMPLETED]) != 0)
		return;
	settled = (Settled) {
		.key = {
			trigger_text(data, row, "project"), trigger_text(data, row, "environment"),
			trigger_text(data, row, "component")
		},
		.plan = trigger_int(data, row, "deployment"),
		.deploy_as = trigger_text(data, row, "deploy_as"),
		.message = trigger_text(data, row, "message"),
		.by = {trigger_text(data, row, "actor"), trigger_text(data, row, "database_role")}
	};
	if (!attempt(deploy_for, &settled, &refusal))
		note(&settled, refusal.message);
}

/*
 * promote_internal.settle_plan() returns trigger
 *
 * AFTER UPDATE of deployment, for each statement, with the transition tables old_deployment and
 * new_deployment.
 */
Datum
TRIGGER_FUNCTION(promote_settle_plan)
{
	TriggerData *data = trigger_data(fcinfo, "deployment", TRIGGER_EVENT_AFTER);
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "promote settled plan", ALLOCSET_SMALL_SIZES);
	TransitionRows rows;

	for (bool more = transition_open(data, &rows); more; more = rows.left)
	{
		MemoryContext outer = MemoryContextSwitchTo(each);
		TriggerData row;

		CHECK_FOR_INTERRUPTS();
		transition_row(&rows, &row);
		settle(&row);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(each);
		transition_next(&rows);
	}
	transition_close(&rows);
	MemoryContextDelete(each);
	return PointerGetDatum(NULL);
}
