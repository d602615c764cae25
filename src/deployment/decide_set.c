/*
 * decide_set.c: approving and rejecting many deployments by one call.
 *
 * Each is decided as by the verb of one, under locks that were taken in the order of the keys.  Completed plans of
 * instances that follow each other are voted on together, and proposals decided together; one by one where one of them
 * is refused, and where budgets or policies might look at what is approved before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/batch.h"
#include "deployment/deploy.h"
#include "gate/window.h"
#include "registry/instance.h"
#include "registry/rescue.h"
#include "registry/set.h"

PG_FUNCTION_INFO_V1(promote_approve_many);
PG_FUNCTION_INFO_V1(promote_reject_many);

/* What is decided of all elements. */
typedef struct Decision
{
	const Sql  *sql;
	MemoryContext context;		/* of what is noted */
	bool		approved;
	const char *reason;
	TimestampTz end;			/* until when whoever rejects waits for others */
} Decision;

/* Decide an element.  A judge of set_judge, which undoes what is done where another element is refused beside it. */
static void
decide_element(Element *element, void *state)
{
	const Decision *decision = state;
	char	   *stays = deploy_decide(decision->sql, &element->key, element->number, decision->approved,
									decision->reason);

	element->problem = stays ? MemoryContextStrdup(decision->context, stays) : NULL;
}

/* Whoever rejects stands ahead of others, and waits for a while only, however many are held.  A judge of set_judge. */
static void
rescue_element(Element *element, void *state)
{
	const Decision *decision = state;

	instance_rescue(decision->sql, &element->key, decision->end);
}

/* An element as it is now. */
typedef struct Decided
{
	int32		place;
	DeploymentAction action;
	DeploymentStatus status;
	bool		looks_around;	/* might the gates of a proposal look at others? */
} Decided;

static const SqlField decided_fields[] = {
	SQL_FIELD(Decided, place, "k.place"), SQL_ENUM_FIELD(Decided, action, "d.action", deployment_actions),
	SQL_ENUM_FIELD(Decided, status, "d.status", deployment_statuses),
	SQL_FIELD(Decided, looks_around, "d.status = 'PROPOSED' AND (EXISTS (SELECT FROM promote.policy AS p WHERE p.enabled)"
			  " OR EXISTS (SELECT FROM promote.change_window AS w WHERE w.max_deployments_per_window IS NOT NULL))")
};

/* Read how elements of a part stand now: into their items, and if the part is decided, into their outcomes. */
static void
read_elements(const Sql *sql, const Set *set, Element **elements, int count, bool is_decided)
{
	static Statement read = SQL_ROWS(decided_fields, "SELECT $* FROM decided_element AS k"
									 " JOIN promote.deployment AS d ON " SAME_INSTANCE("d", "k")
									 " AND d.deployment = k.deployment");
	static const char *const columns[] = {SET_NAMES};
	Batch		batch = {.name = "decided_element",.columns = columns};
	Decided    *decided = palloc(count * sizeof(Decided));
	SqlRows		rows;

	batch_begin(&batch);
	for (int i = 0; i < count; i++)
	{
		elements[i]->item = NULL;
		if (elements[i]->sqlstate == 0)
			batch_put(&batch, SET_COLUMNS(set, elements[i]));
	}
	if (batch.count == 0)
		return;
	rows = batch_run(sql, &read, &batch);
	batch_end(&batch);
	for (uint64 i = 0; sql_row(&rows, i, &decided[i]); i++)
	{
		Element    *element = &set->elements[decided[i].place];

		element->item = &decided[i];
		if (!is_decided)
			continue;
		element->item = NULL;
		element->action = deployment_actions[decided[i].action];
		element->status = deployment_statuses[decided[i].status];
	}
}

/* Elements that are decided together. */
typedef struct Run
{
	const Decision *decision;
	Element   **elements;
	int			count;
} Run;

/* Vote on completed plans.  A step of attempt. */
static void
vote_on_plans(void *state)
{
	const Run  *run = state;
	GateCase   *plans = palloc0(run->count * sizeof(GateCase));

	for (int i = 0; i < run->count; i++)
		plans[i] = (GateCase) {.key = run->elements[i]->key,.deployment = run->elements[i]->number};
	deploy_vote(run->decision->sql, plans, run->count, run->decision->approved, run->decision->reason);
}

/* Decide proposals.  A step of attempt. */
static void
decide_proposals(void *state)
{
	const Run  *run = state;
	Undecided  *proposals = palloc(run->count * sizeof(Undecided));

	for (int i = 0; i < run->count; i++)
	{
		const Decided *decided = run->elements[i]->item;

		proposals[i] = (Undecided) {&run->elements[i]->key, run->elements[i]->number, decided->action};
	}
	deploy_decide_proposals(run->decision->sql, proposals, run->count, run->decision->approved, run->decision->reason);
	for (int i = 0; i < run->count; i++)
		if (proposals[i].stays)
			run->elements[i]->problem = MemoryContextStrdup(run->decision->context, proposals[i].stays);
}

/* How an element is decided together with others; NULL: by itself. */
static void (*step_of(const Element *element)) (void *state)
{
	const Decided *decided = element->item;

	if (element->sqlstate != 0 || decided == NULL)
		return NULL;
	if (decided->action == ACTION_PLAN && decided->status == DEPLOYMENT_COMPLETED)
		return vote_on_plans;
	return decided->status == DEPLOYMENT_PROPOSED && !decided->looks_around ? decide_proposals : NULL;
}

/* Does an element follow in a run of those that are decided alike, of instances of which none is there twice? */
static bool
continues(Element *const *elements, int number)
{
	return step_of(elements[number]) == step_of(elements[number - 1]) &&
		instance_key_compare(&elements[number - 1]->key, &elements[number]->key) != 0;
}

/* Decide the elements of a part in their order: runs of those that are alike together, and others by themselves. */
static void
decide_elements(const Set *part, Decision *decision)
{
	for (int first = 0, next; first < part->left_count; first = next)
	{
		Run			run = {decision, part->left + first};
		Set			rest = *part;
		Refusal		refusal;

		next = first + 1;
		while (next < part->left_count && continues(part->left, next))
			next++;
		run.count = next - first;
		if (run.count > 1 && step_of(*run.elements) && attempt(step_of(*run.elements), &run, &refusal))
			continue;
		rest.left += first;
		rest.left_count = run.count;
		set_judge(&rest, decide_element, decision);
	}
}

/* Decide a part of the set, in a scope of its own. */
static void
decide_part(Set *set, int first, int count, Decision *decision)
{
	Set			part = *set;
	Sql			sql;

	sql_enter(&sql);
	decision->sql = &sql;
	part.left += first;
	part.left_count = count;
	if (!decision->approved)
		set_judge(&part, rescue_element, decision);
	read_elements(&sql, set, part.left, count, false);
	decide_elements(&part, decision);
	read_elements(&sql, set, part.left, count, true);
	sql_leave(&sql);
}

/* Decide the set that the arguments instances and deployments name, and put a row for each element. */
static Datum
decide_set(FunctionCallInfo fcinfo, Decision *decision)
{
	NullableDatum *numbers;
	Set			set;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	set_open(fcinfo, 0, &set);
	numbers = set_numbers(fcinfo, 1, "deployments", true, &set);
	for (int i = 0; i < set.count; i++)
		set.elements[i].number = value_int(numbers[i]);
	decision->context = set.context;
	decision->end = rescue_deadline();
	set_require_access(&set, "approve");
	set_order(&set);
	if (decision->approved)
	{
		sql_enter(&sql);
		set_lock(&sql, &set, set.left, set.left_count, window_hold_cases);
		sql_leave(&sql);
	}
	for (int first = 0; first < set.left_count; first += SET_BATCH)
	{
		CHECK_FOR_INTERRUPTS();
		decide_part(&set, first, Min(SET_BATCH, set.left_count - first), decision);
	}
	set_require(&set, argument_bool(fcinfo, 3, false));
	set_put(fcinfo, &set);
	return (Datum) 0;
}

/*
 * promote.approve_many(instances text[], deployments integer[], message text, partial boolean) returns table,
 * see sql/deployment/decide_set.sql
 */
Datum
promote_approve_many(PG_FUNCTION_ARGS)
{
	return decide_set(fcinfo, &(Decision) {.approved = true,.reason = argument_text(fcinfo, 2)});
}

/* promote.reject_many(instances text[], deployments integer[], reason text, partial boolean) returns table */
Datum
promote_reject_many(PG_FUNCTION_ARGS)
{
	return decide_set(fcinfo, &(Decision) {.approved = false,.reason = argument_required(fcinfo, 2, "reason")});
}
