/*
 * deploy_set.c: planning and deploying many instances by one call.
 *
 * Each is judged as by the verb of one.  The set is locked first, and then taken in pages: what a page desires, its
 * plans, what waits already and what its gates look at are read by one statement each, and what is to be queued is
 * written by one statement for each table.
 *
 * What is taken away is judged in the order in which it was given, which is what depends on others first: what is
 * refused stays, and so does all that it depends on.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/errors.h"
#include "base/shared.h"
#include "deployment/deploy.h"
#include "deployment/deploy_set.h"
#include "deployment/step.h"
#include "gate/gate.h"
#include "gate/window.h"
#include "promotion/recording.h"
#include "registry/instance.h"
#include "registry/set.h"

PG_FUNCTION_INFO_V1(promote_plan_many);
PG_FUNCTION_INFO_V1(promote_deploy_many);

#define PAGE 100				/* instances that are judged and written together */

/* An element while its page is judged. */
typedef struct OrderItem
{
	OrderRequest request;
	NullableDatum expected;		/* revision, 0: none yet; null: any */
	ReviewOrder *read;
	DeploymentOrder order;
	int32		number;			/* of a deployment that is there already; 0: there is none */
	const char *status;			/* of that */
	GateOrder  *gate;			/* NULL: no gates judge it */
} OrderItem;

/* A page of it. */
typedef struct OrderPage
{
	const Sql  *sql;
	const Deploying *deploying;
	Set			set;			/* the elements of the page as a set, in the order of locks */
	Beginning	beginning;
} OrderPage;

/* The item of an element. */
static OrderItem *
item_of(const Element *element)
{
	return element->item;
}

/* ---- judging ---- */

/* Read what the instances of the page desire, and their plans. */
static void
read_page(const Deploying *deploying, OrderPage *page, Shared *shared)
{
	ReviewOrder *orders = palloc0(page->set.left_count * sizeof(ReviewOrder));
	Batch		batch;

	review_begin_batch(&batch);
	for (int i = 0; i < page->set.left_count; i++)
	{
		Element    *element = page->set.left[i];
		int			place = element - deploying->set.elements;
		OrderItem  *item = palloc0(sizeof(OrderItem));

		item->request = (OrderRequest) {
			.key = element->key,
			.action = deploying->action,
			.status = DEPLOYMENT_PENDING,
			.plan = deploying->plans ? value_int(deploying->plans[place]) : 0,
			.message = deploying->message
		};
		item->expected = deploying->expected ? deploying->expected[place] : (NullableDatum) {(Datum) 0, true};
		item->read = &orders[i];
		element->item = item;
		batch_put(&batch, AS_KEY(&element->key), AS_INT(i), AS_NUMBER(item->request.plan));
	}
	review_open_all(page->sql, &batch, shared, orders);
}

/* Judge an element, but not its gates.  A judge of set_judge. */
static void
judge_element(Element *element, void *state)
{
	const OrderPage *page = state;
	OrderItem  *item = item_of(element);
	Review	   *review = &item->read->review;

	review_require(review);
	stage_check_revision(item->expected, &review->proposed);
	item->number = deploy_judge(page->sql, review, &item->request, &item->order);
	item->status = item->number != 0 ? deployment_statuses[DEPLOYMENT_COMPLETED] : NULL;
}

/* What waits or runs already with the content of an order. */
typedef struct Open
{
	int32		place;
	int32		number;
	char	   *status;
} Open;

static const SqlField open_fields[] = {
	SQL_FIELD(Open, place, "k.place"), SQL_FIELD(Open, number, "o.deployment"), SQL_FIELD(Open, status, "d.status")
};

/* Find what is there already, see promote_internal.open_deployment. */
static void
find_open(const OrderPage *page)
{
	static Statement read = SQL_ROWS(open_fields, "SELECT $* FROM ordered_element AS k"
									 " CROSS JOIN LATERAL (SELECT o.* FROM promote_internal.open_deployment(k.project, k.environment,"
									 "  k.component, false, k.action, k.revision, k.version, k.digest, k.plan, k.remote_references,"
									 "  k.plan_digest, false) AS o LIMIT 1) AS o JOIN promote.deployment AS d ON " SAME_INSTANCE("d", "k")
									 " AND d.deployment = o.deployment");
	static const char *const columns[] = {
		"place", "project", "environment", "component", "action", "revision", "version", "digest", "plan",
		"remote_references", "plan_digest"
	};
	Batch		batch = {.name = "ordered_element",.columns = columns};
	SqlRows		rows;
	Open		open;

	batch_begin(&batch);
	for (int i = 0; i < page->set.left_count; i++)
	{
		const Element *element = page->set.left[i];
		const DeploymentOrder *order = &item_of(element)->order;

		if (element->sqlstate == 0 && item_of(element)->number == 0)
			batch_put(&batch, AS_INT(i), AS_KEY(&element->key), AS_TEXT(deployment_actions[order->action]),
					  AS_INT(order->revision), AS_TEXT(order->version), AS_BYTEA(order->rendered_digest),
					  AS_NUMBER(order->plan), AS_JSONB(order->references), AS_BYTEA(order->plan_digest));
	}
	if (batch.count == 0)
		return;
	rows = batch_run(page->sql, &read, &batch);
	batch_end(&batch);
	for (uint64 i = 0; sql_row(&rows, i, &open); i++)
	{
		item_of(page->set.left[open.place])->number = open.number;
		item_of(page->set.left[open.place])->status = open.status;
	}
}

/* Is the element to be queued, as far as it was judged? */
static bool
is_queued(const Element *element)
{
	return element->sqlstate == 0 && item_of(element)->number == 0;
}

/* Read the cases of those that are to be queued. */
static void
open_gates(OrderPage *page)
{
	GateOrder  *orders = palloc0(page->set.left_count * sizeof(GateOrder));
	int			count = 0;

	for (int i = 0; i < page->set.left_count; i++)
	{
		OrderItem  *item = item_of(page->set.left[i]);

		if (!is_queued(page->set.left[i]) || item->request.action == ACTION_PLAN)
			continue;
		item->gate = &orders[count++];
		item->gate->key = &page->set.left[i]->key;
		item->gate->order = &item->order;
	}
	gate_open_orders(page->sql, orders, count);
	for (int i = 0; i < count; i++)
		orders[i].gate.windows = begin_windows(page->sql, &page->beginning, orders[i].key);
}

/* Find the element of an instance; NULL: the set has none. */
static const Element *
find_element(const Deploying *deploying, const InstanceKey *key)
{
	int			first = 0;
	int			end = deploying->locked.left_count;

	while (first < end)
	{
		int			middle = first + (end - first) / 2;
		int			order = instance_key_compare(key, &deploying->locked.left[middle]->key);

		if (order == 0)
			return deploying->locked.left[middle];
		if (order < 0)
			end = middle;
		else
			first = middle + 1;
	}
	return NULL;
}

/* Refuse to take away what something depends on that was refused, and so stays. */
static void
require_unneeded(const OrderPage *page, const Element *element)
{
	static Statement read = {"SELECT n.component FROM promote_internal.components_around($1, $2, 'DECOMMISSION') AS n"
		" ORDER BY n.component COLLATE \"C\""};
	InstanceKey key = element->key;
	SqlRows		rows = sql_run(page->sql, &read, AS_TEXT(key.project), AS_TEXT(key.component));

	for (uint64 i = 0; i < rows.count; i++)
	{
		const Element *other;

		key.component = sql_text(&rows, i);
		other = find_element(page->deploying, &key);
		if (other && other->sqlstate != 0)
			ereport(ERROR,
					(errcode(PM_STILL_USED),
					 errmsg("\"%s\" depends on \"%s\", and stays", other->name, element->name),
					 errdetail("It was refused, and so it goes on needing what it depends on."),
					 errhint("Take away what depends on it first, or both.")));
	}
}

/* Refuse an element that is needed, or whose gates are closed.  A judge of set_judge. */
static void
judge_gates(Element *element, void *state)
{
	const OrderPage *page = state;
	OrderItem  *item = item_of(element);

	if (!is_queued(element) || item->gate == NULL)
		return;
	if (page->deploying->partial && item->request.action == ACTION_DECOMMISSION)
		require_unneeded(page, element);
	gate_require(page->sql, &item->gate->gate);
	item->order.gates = gate_verdict(page->sql, &item->gate->gate);
}

/* Might the gates of an element look at what is queued before it?  Budgets do, and policies may. */
static bool
looks_around(const Element *element)
{
	const GateOrder *gate = item_of(element)->gate;

	return gate && (gate->known.policies || window_has_budgets(gate->gate.windows));
}

/* ---- writing ---- */

/* Note how an element came out. */
static void
note_outcome(const OrderPage *page, Element *element)
{
	const OrderItem *item = item_of(element);
	const Set  *set = &page->set;

	element->revision = item->read->review.proposed.current_revision;
	if (page->deploying->details && item->order.diff)
	{
		MemoryContext inner = MemoryContextSwitchTo(set->context);

		element->diff = DatumGetJsonbPCopy(JsonbPGetDatum(item->order.diff));
		MemoryContextSwitchTo(inner);
	}
	element->number = item->number;
	element->action = deployment_actions[item->request.action];
	element->status = MemoryContextStrdup(set->context, item->status);
}

/* Write what is to be queued of some elements. */
static void
queue_elements(const OrderPage *page, Element **elements, int count)
{
	QueuedOrder *orders = palloc(count * sizeof(QueuedOrder));
	int			queued = 0;
	Batch		configs;

	config_begin_batch(&configs);
	for (int i = 0; i < count; i++)
	{
		OrderItem  *item = item_of(elements[i]);
		ProposedRevision *proposed = &item->read->review.proposed;
		Proposal   *proposal = &proposed->proposal;

		if (!is_queued(elements[i]))
			continue;
		/* what a plan has rendered is stored */
		if (item->order.plan == 0 && proposal->rendered && proposal->rendered != proposal->params)
			config_put(&configs, proposed->key.project, item->order.rendered_digest, proposal->rendered);
		orders[queued++] = (QueuedOrder) {&elements[i]->key, proposed->current_deployment + 1, &proposed->head,
		&item->order};
	}
	config_write(page->sql, &configs);
	deployment_queue_all(page->sql, orders, queued);
}

/* Queue what is to be queued of some elements, and note how each came out. */
static void
write_elements(const OrderPage *page, Element **elements, int count)
{
	if (!page->deploying->previews)
		queue_elements(page, elements, count);
	for (int i = 0; i < count; i++)
	{
		OrderItem  *item = item_of(elements[i]);

		if (is_queued(elements[i]))
		{
			elements[i]->queued = true;
			item->number = item->read->review.proposed.current_deployment + 1;
			item->status = deployment_statuses[DEPLOYMENT_PENDING];
		}
		if (elements[i]->sqlstate == 0)
			note_outcome(page, elements[i]);
	}
}

/* Judge the gates of the page, and queue: together, but for those that look at what is queued before them. */
static void
pass_page(OrderPage *page)
{
	int			end;

	for (int first = 0; first < page->set.left_count; first = end)
	{
		Set			part = page->set;

		end = first + 1;
		if (!looks_around(page->set.left[first]))
			while (end < page->set.left_count && !looks_around(page->set.left[end]))
				end++;
		part.left += first;
		part.left_count = end - first;
		set_judge(&part, judge_gates, page);
		write_elements(page, part.left, part.left_count);
	}
}

/* Judge and queue a page of the set, in a scope of its own. */
static void
deploy_page(Deploying *deploying, int first, int count, Shared *shared)
{
	OrderPage	page = {.deploying = deploying,.set = deploying->set};
	Sql			sql;

	sql_enter(&sql);
	sql.reads = deploying->previews;
	page.sql = &sql;
	page.set.left += first;
	page.set.left_count = count;
	read_page(deploying, &page, shared);
	set_judge(&page.set, judge_element, &page);
	find_open(&page);
	open_gates(&page);
	pass_page(&page);
	for (int i = 0; i < count; i++)
		page.set.left[i]->item = NULL;
	sql_leave(&sql);
}

/* Lock the whole set, in the order of its keys; or, for a preview, only look who is there. */
static void
lock_set(Deploying *deploying)
{
	Set		   *set = &deploying->set;
	Sql			sql;

	sql_enter(&sql);
	sql.reads = deploying->previews;
	set_lock(&sql, set, set->left, set->left_count, deploying->previews ? instances_find :
			 deploying->action == ACTION_PLAN ? set_lock_instances : window_hold_cases);
	sql_leave(&sql);
	set_order(set);
}

/* Compare two elements for qsort: as they were given. */
static int
compare_given(const void *a, const void *b)
{
	const Element *one = *(Element *const *) a;
	const Element *other = *(Element *const *) b;

	return (one > other) - (one < other);
}

/* Go on in the order in which the elements were given, and remember that of the locks. */
static void
go_as_given(Deploying *deploying)
{
	Set		   *set = &deploying->set;

	deploying->locked = *set;
	set->left = palloc_extended((set->left_count + 1) * sizeof(Element *), MCXT_ALLOC_HUGE);
	memcpy(set->left, deploying->locked.left, set->left_count * sizeof(Element *));
	qsort(set->left, set->left_count, sizeof(Element *), compare_given);
}

/* Plan or deploy the set, or preview that.  Refuses the call for elements that are refused and not to be left out. */
void
deploy_set_run(Deploying *deploying)
{
	Shared	   *shared = shared_create(CurrentMemoryContext);
	Set		   *set = &deploying->set;

	set_require_access(set, deploying->previews ? "view" : deploying->action == ACTION_PLAN ? "plan" :
					   deploying->action == ACTION_DECOMMISSION ? "decommission" : "deploy");
	set_order(set);
	lock_set(deploying);
	if (deploying->action == ACTION_DECOMMISSION)
		go_as_given(deploying);
	for (int first = 0; first < set->left_count; first += PAGE)
	{
		CHECK_FOR_INTERRUPTS();
		deploy_page(deploying, first, Min(PAGE, set->left_count - first), shared);
		shared_reset(shared);
	}
	set_require(set, deploying->partial || deploying->previews);
}

/* Plan or deploy the set, and put a row for each element. */
static Datum
deploy_set(FunctionCallInfo fcinfo, Deploying *deploying, bool partial)
{
	InitMaterializedSRF(fcinfo, 0);
	deploying->partial = partial;
	deploy_set_run(deploying);
	set_put(fcinfo, &deploying->set);
	return (Datum) 0;
}

/*
 * promote.plan_many(instances text[], message text, expected_revisions integer[], partial boolean) returns table,
 * see sql/deployment/deploy_set.sql
 */
Datum
promote_plan_many(PG_FUNCTION_ARGS)
{
	Deploying	deploying = {.action = ACTION_PLAN,.message = argument_text(fcinfo, 1)};

	set_open(fcinfo, 0, &deploying.set);
	deploying.expected = set_numbers(fcinfo, 2, "expected revisions", false, &deploying.set);
	return deploy_set(fcinfo, &deploying, argument_bool(fcinfo, 3, false));
}

/*
 * promote.deploy_many(instances text[], plans integer[], message text, expected_revisions integer[], partial
 * boolean) returns table
 */
Datum
promote_deploy_many(PG_FUNCTION_ARGS)
{
	Deploying	deploying = {.action = ACTION_PROVISION,.message = argument_text(fcinfo, 2)};

	set_open(fcinfo, 0, &deploying.set);
	deploying.plans = set_numbers(fcinfo, 1, "plans", false, &deploying.set);
	deploying.expected = set_numbers(fcinfo, 3, "expected revisions", false, &deploying.set);
	return deploy_set(fcinfo, &deploying, argument_bool(fcinfo, 4, false));
}
