/*
 * promotion_set.c: promoting many instances by one call.
 *
 * The rows of all of them are locked in key order first.  Then they are taken page by page, in the
 * order given: a page is read by one statement, each promotion is composed and judged in C by what
 * judges one promotion, and the new revisions are inserted by one statement, whose trigger writes
 * what they come to.  A page is judged in a subtransaction that writes nothing; if one of it is
 * refused, each is judged by itself.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/access.h"
#include "grant/role.h"
#include "json/limits.h"
#include "ledger/guard.h"
#include "promotion/carry.h"
#include "promotion/promotion_set.h"
#include "promotion/recording.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/remote_reference.h"
#include "registry/rescue.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_promote_many);

#define LOCKED_AT_ONCE 1000		/* instances */

/* The arguments that say how to promote, counted from set->options on. */
enum SetOption
{
	COPY_SECRETS, COPY_REMOTE_REFERENCES, PLAN, MESSAGE, EXPECTED_REVISION, ALLOW_REPLACE, PIN, REPROVISION,
	CHOICE, PARTIAL = CHOICE + 6
};

/* ---- arguments ---- */

/* Room for that many elements, all zero. */
PromotionElement *
promotion_set_elements(int count)
{
	return palloc_extended(Max(count, 1) * sizeof(PromotionElement), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Take the arrays. */
static void
take_elements(PromotionSet *set)
{
	int			count = -1;
	NullableDatum *sources = argument_array(set->fcinfo, 0, "source", TEXTOID, true, &count);
	NullableDatum *destinations = argument_array(set->fcinfo, 1, "destination", TEXTOID, true, &count);
	NullableDatum *overrides = argument_array(set->fcinfo, 2, "overrides", JSONBOID, false, &count);
	NullableDatum *expected = argument_array(set->fcinfo, set->options + EXPECTED_REVISION, "expected_revision",
											 INT4OID, false, &count);

	set->count = count;
	set->elements = promotion_set_elements(count);
	for (int i = 0; i < count; i++)
		set->elements[i] = (PromotionElement) {
			.label = value_text(destinations[i]),
			.source_name = value_text(sources[i]),
			.destination_name = value_text(destinations[i]),
			.overrides = overrides && !overrides[i].isnull ? value_jsonb(overrides[i]) : json_empty_object(),
			.expected = expected ? expected[i] : (NullableDatum) {(Datum) 0, true}
		};
}

/* Take the options that are one for all of the set. */
void
promotion_set_options(PromotionSet *set)
{
	FunctionCallInfo fcinfo = set->fcinfo;

	set->plan = argument_bool(fcinfo, set->options + PLAN, true);
	set->allow_replace = argument_bool(fcinfo, set->options + ALLOW_REPLACE, false);
	set->message = argument_text(fcinfo, set->options + MESSAGE);
	set->partial = argument_bool(fcinfo, set->options + PARTIAL, false);
}

/* What an element's promotion is asked for. */
static void
take_options(const PromotionSet *set, const PromotionElement *element, Promotion *promotion)
{
	FunctionCallInfo fcinfo = set->fcinfo;

	*promotion = (Promotion) {
		.source = element->source,
		.destination = element->destination,
		.overrides = element->overrides,
		.carry = {
			.secrets = argument_bool(fcinfo, set->options + COPY_SECRETS, false),
			.references = argument_bool(fcinfo, set->options + COPY_REMOTE_REFERENCES, false)
		},
		.pin = argument_bool(fcinfo, set->options + PIN, false),
		.reprovision = argument_bool(fcinfo, set->options + REPROVISION, false),
		.sharing = set->sharing
	};
	choice_take_shared(fcinfo, set->options + CHOICE, &promotion->choice);
	if (element->source_revision > 0)
	{
		promotion->choice.source_revision = element->source_revision;
		promotion->choice.source_state = SOURCE_DESIRED;
	}
	promotion_check_choice(promotion);
}

/* Parse an instance's name, unless the key is known already, and refuse callers who may not do that to it. */
void
promotion_set_parse(const char *name, const char *what, const char *action, InstanceKey *key)
{
	if (key->project == NULL && name == NULL)
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("the %s is missing", what),
				 errdetail("An element of the array is null."),
				 errhint("Name an instance, as in 'ecomm-staging-db'.")));
	if (key->project == NULL)
		instance_key_parse(name, key);
	access_require(action, key);
}

/*
 * Is nothing but seeing the destination needed?  Whoever tries overrides sees whether they change anything, and so
 * whether they are what is masked.
 */
static bool
only_views(const PromotionSet *set, const PromotionElement *element)
{
	return set->previews && JB_ROOT_COUNT(element->overrides) == 0;
}

/* Check what can be checked of a promotion before anything is locked.  A check of PromotionKind. */
static void
check_promotion(PromotionSet *set, PromotionElement *element)
{
	Promotion	promotion;

	promotion_set_parse(element->source_name, "source", "view", &element->source);
	promotion_set_parse(element->destination_name, "destination", only_views(set, element) ? "view" : "promote",
						&element->destination);
	take_options(set, element, &promotion);
	promotion_check_pair(&promotion);
	promotion_require_carry(set->role, &promotion);
	json_check_overrides(element->overrides, "overrides");
}

/* Keep a key that was found, in the current memory context, unless it was known. */
static void
keep_key(InstanceKey *key, const InstanceKey *found)
{
	if (key->project == NULL)
		*key = (InstanceKey) {pstrdup(found->project), pstrdup(found->environment), pstrdup(found->component)};
}

/* Check the element that is next, unless it is left out.  Nothing but its keys is kept of that.  A step of attempt. */
static void
check_element(void *state)
{
	PromotionSet *set = state;
	PromotionElement *element = &set->elements[set->next];
	PromotionElement checked = *element;
	MemoryContext outer;

	if (element->refused)
		return;
	outer = MemoryContextSwitchTo(set->scratch);
	set->kind->check(set, &checked);
	MemoryContextSwitchTo(outer);
	keep_key(&element->source, &checked.source);
	keep_key(&element->destination, &checked.destination);
	MemoryContextReset(set->scratch);
}

/* Check all elements.  A step of attempt. */
static void
check_elements(void *state)
{
	PromotionSet *set = state;

	for (set->next = 0; set->next < set->count; set->next++)
	{
		CHECK_FOR_INTERRUPTS();
		check_element(set);
	}
}

/* Note why an element was refused. */
static void
refuse_element(PromotionSet *set, PromotionElement *element, const Refusal *refusal)
{
	MemoryContext inner = MemoryContextSwitchTo(set->refusals.context);

	element->refused = true;
	element->code = pstrdup(unpack_sql_state(refusal->sqlstate));
	element->problem = set->partial || set->previews ? pstrdup(refusal->message) : NULL;
	refusals_add(&set->refusals, element->destination_name, refusal);
	MemoryContextSwitchTo(inner);
}

/* Take a step for the element that is next; it may be refused. */
static bool
try_element(PromotionSet *set, void (*step) (void *state), PromotionElement *element)
{
	Refusal		refusal;

	if (refusals_attempt(step, set, &set->refusals, &refusal))
		return true;
	refuse_element(set, element, &refusal);
	return false;
}

/* Check all elements, and find out which of them are refused. */
static void
check_set(PromotionSet *set)
{
	Refusal		refusal;

	if (set->count == 0 || attempt(check_elements, set, &refusal))
		return;
	for (set->next = 0; set->next < set->count; set->next++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) try_element(set, check_element, &set->elements[set->next]);
	}
}

/* ---- locking ---- */

/* An instance to be locked. */
typedef struct ToLock
{
	const InstanceKey *key;
	PromotionElement    *element;		/* that it is the destination of; NULL: it is a source */
	int			number;			/* of the element */
} ToLock;

/* Compare two of them by key, destinations first. */
static int
compare_locks(const void *a, const void *b)
{
	const ToLock *one = a;
	const ToLock *other = b;
	int			order = instance_key_compare(one->key, other->key);

	return order != 0 ? order : (one->element == NULL) - (other->element == NULL);
}

/* Refuse a set in which two promotions have one destination. */
static void
refuse_twice(const ToLock *lock)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("\"%s\" is promoted to twice", instance_key_name(lock->key)),
			 errdetail("Two elements have it as their destination."),
			 errhint("Call it once for each.")));
}

/* The instances of the elements that were not refused, in key order, each once. */
static ToLock *
sort_locks(PromotionSet *set, int *count)
{
	ToLock	   *locks = palloc_extended(Max(set->count, 1) * 2 * sizeof(ToLock), MCXT_ALLOC_HUGE);
	int			all = 0;
	int			left = 0;

	for (int i = 0; i < set->count; i++)
	{
		PromotionElement    *element = &set->elements[i];

		if (element->refused)
			continue;
		locks[all++] = (ToLock) {&element->source, NULL, i};
		locks[all++] = (ToLock) {&element->destination, element, i};
	}
	qsort(locks, all, sizeof(ToLock), compare_locks);
	for (int i = 0; i < all; i++)
	{
		if (left > 0 && instance_key_compare(locks[left - 1].key, locks[i].key) == 0)
		{
			if (locks[i].element)
				refuse_twice(&locks[i]);
			if (locks[left - 1].element)
				set->is_chained = true;
			continue;
		}
		locks[left++] = locks[i];
	}
	*count = left;
	return locks;
}

/*
 * Lock instances, from one up to another, which are all destinations or all sources.  What that takes is freed.
 * deadline says until when those wait who rescue them.
 */
static void
lock_run(const PromotionKind *kind, TimestampTz deadline, const ToLock *locks, int from, int to)
{
	InstanceKey *keys;
	Sql			sql;

	sql_enter(&sql);
	keys = palloc((to - from) * sizeof(InstanceKey));
	for (int i = from; i < to; i++)
		keys[i - from] = *locks[i].key;
	if (!kind->rescues)
		(void) instances_lock(&sql, keys, to - from, locks[from].element != NULL);
	for (int i = from; kind->rescues && i < to; i++)
		instance_rescue(&sql, locks[i].key, deadline);
	for (int i = from; i < to; i++)
		require_in_use(locks[i].key);
	sql_leave(&sql);
}

/* Lock all instances in key order: the destinations for updating, and those that are sources only against it. */
static void
lock_set(PromotionSet *set)
{
	TimestampTz deadline = rescue_deadline();
	int			count;
	ToLock	   *locks = sort_locks(set, &count);

	for (int from = 0, to; from < count; from = to)
	{
		CHECK_FOR_INTERRUPTS();
		for (to = from + 1; to < count && to - from < LOCKED_AT_ONCE &&
			 (locks[to].element == NULL) == (locks[from].element == NULL); to++);
		lock_run(set->kind, deadline, locks, from, to);
	}
	pfree(locks);
}

/* ---- judging ---- */

/* Refuse an element of which an instance is not there, or not in the transaction's snapshot. */
static void
refuse_absent(const Sql *sql, const PromotionElement *element)
{
	require_instance(sql, &element->source);
	require_instance(sql, &element->destination);
	refuse_unseen();
}

/* Ask for what promotions start from.  An ask of PromotionKind. */
static void
ask_promotions(PromotionSet *set, PromotionItem **items, int count, Batch *asked)
{
	for (int i = 0; i < count; i++)
	{
		PromotionElement *element = items[i]->element;
		Promotion  *promotion = &items[i]->promotion;
		ReleaseWish release;

		take_options(set, element, promotion);
		promotion->overrides = shared_value(sharing_values(set->sharing), JsonbPGetDatum(element->overrides));
		release = promotion_release(&set->sql, promotion, set->previews);
		if (element->source_version && choice_has_release(&promotion->choice))
			release.constraint = element->source_version;
		proposal_ask(asked, &element->destination, element->source.environment,
					 promotion_revision_of(&promotion->choice), release.constraint, release.channel);
	}
}

/* Compose what a promotion comes to.  A compose of PromotionKind. */
static void
compose_promotion(PromotionSet *set, PromotionItem *item)
{
	Promotion  *promotion = &item->promotion;

	promotion_compose(&set->sql, promotion, set->previews);
	if (item->element->source_version && choice_has_release(&promotion->choice))
		promotion->pinned_version = item->element->source_version;
	if (!promotion->reprovision)
		proposal_require_alive(&promotion->proposed);
	item->staging = promotion_staging(promotion, set->message);
}

/* What a set of promotions is. */
const PromotionKind promotion_kind = {"promotions", check_promotion, ask_promotions, compose_promotion};

/* Find what a promotion would carry besides params, and refuse it as writing would. */
static void
preview_carry(PromotionSet *set, PromotionItem *item)
{
	Promotion  *promotion = &item->promotion;
	ProposedRevision *proposed = &promotion->proposed;

	if (promotion->carry.secrets)
		stage_number(proposed);
	carry_take(&set->sql, &promotion->carry, &promotion->source, proposed, false);
	if (promotion->carry.refused != NIL)
		refuse_replaced(&proposed->key, promotion->carry.refused);
	proposed->carried = carry_has_secrets(proposed) || carry_has_references(proposed);
}

/* Note what a preview shows of a judged item: what recording it would return. */
static void
note_preview(PromotionItem *item)
{
	const ProposedRevision *proposed = &item->promotion.proposed;

	item->record.deployment = proposed->plan ? proposed->current_deployment + 1 : 0;
	item->record.diff = proposed->diff;
}

/* Decide what becomes of an item that is composed, and judge that. */
static void
decide_item(PromotionSet *set, PromotionItem *item)
{
	ProposedRevision *proposed = &item->promotion.proposed;

	item->record = (RevisionRecord) {.context = CurrentMemoryContext};
	proposed->asks_plan = proposed->plan;
	if (stage_begin(&set->sql, &item->staging, proposed, CurrentMemoryContext, &item->staged))
	{
		item->fate = FATE_NEW;
		proposed->is_staged = true;
		sharing_judge(&set->sql, set->sharing, proposed);
	}
	else
	{
		sharing_judge_again(&set->sql, set->sharing, proposed);
		item->fate = proposed->plan ? FATE_AGAIN : FATE_NOTHING;
		item->record.diff = proposed->diff;
	}
	if (set->previews)
		note_preview(item);
}

/* Compose and judge an item whose proposal was read. */
static void
judge_item(PromotionSet *set, PromotionItem *item, Datum view)
{
	Promotion  *promotion = &item->promotion;
	ProposedRevision *proposed = &promotion->proposed;
	bool		carries;

	proposal_require_source(&set->sql, proposed, view, set->previews);
	set->kind->compose(set, item);
	stage_check_revision(item->element->expected, proposed);
	proposed->plan = set->plan;
	proposed->proposal.allow_replace = set->allow_replace;
	item->fate = FATE_ALONE;
	carries = item->element->source.project &&
		carry_is_needed(&set->sql, &promotion->carry, &promotion->source, proposed, set->previews);
	if (carries && set->previews)
		preview_carry(set, item);
	if (!carries || set->previews)
		decide_item(set, item);
}

/* Read and judge the items of the page from one up to another. */
static void
judge_items(PromotionSet *set, int from, int to)
{
	Datum		view = set->previews ? (Datum) 0 : rule_view();
	PromotionItem **items = palloc((to - from) * sizeof(PromotionItem *));
	int			count = 0;
	ProposedRevision **found;
	Batch		asked;

	set->path_seen = (PathSeen) {""};
	for (int i = from; i < to; i++)
		if (!set->page[i].element->refused)
			items[count++] = &set->page[i];
	proposal_begin_asked(&asked);
	set->kind->ask(set, items, count, &asked);
	found = set->kind->read ? set->kind->read(set, &asked) :
		proposal_read_asked(&set->sql, &asked, sharing_values(set->sharing));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (found[i] == NULL)
			refuse_absent(&set->sql, items[i]->element);
		items[i]->promotion.proposed = *found[i];
		items[i]->promotion.proposed.path_seen = &set->path_seen;
		judge_item(set, items[i], view);
	}
}

/* Judge the whole page.  A step of attempt. */
static void
judge_page(void *state)
{
	PromotionSet *set = state;

	judge_items(set, 0, set->page_count);
}

/* Judge the item that is next.  A step of attempt. */
static void
judge_one(void *state)
{
	PromotionSet *set = state;

	judge_items(set, set->next, set->next + 1);
}

/* Judge the items of the page one by one, as one of them is refused. */
static void
judge_each(PromotionSet *set)
{
	sharing_begin(set->sharing);
	for (set->next = 0; set->next < set->page_count; set->next++)
	{
		PromotionItem   *item = &set->page[set->next];

		if (!item->element->refused && !try_element(set, judge_one, item->element))
			item->fate = FATE_REFUSED;
	}
}

/* ---- writing ---- */

/*
 * Write the item that is next by itself.  A step of attempt.  What is filled in on the way goes into a copy, for it may
 * be written once more.
 */
static void
write_alone(void *state)
{
	PromotionSet *set = state;
	PromotionItem   *item = &set->page[set->next];
	Promotion	promotion = item->promotion;

	if (item->fate == FATE_ALONE)
		promotion_write(&set->sql, &promotion, set->message, CurrentMemoryContext, &item->staged);
	else if (item->fate == FATE_AGAIN)
		revision_record_again(&set->sql, &promotion.proposed, &item->record);
}

/* Write all items of the page that are written by themselves.  A step of attempt. */
static void
write_all_alone(void *state)
{
	PromotionSet *set = state;

	for (set->next = 0; set->next < set->page_count; set->next++)
		write_alone(set);
}

/* Is the configuration of an item that of an earlier one, too? */
static bool
is_stored(const PromotionSet *set, const PromotionItem *item)
{
	const ProposedRevision *proposed = &item->promotion.proposed;

	for (const PromotionItem *earlier = set->page; earlier < item; earlier++)
		if (earlier->fate == FATE_NEW && earlier->promotion.proposed.proposal.params == proposed->proposal.params &&
			strcmp(earlier->promotion.destination.project, proposed->key.project) == 0)
			return true;
	return false;
}

/* Write the new revisions of the page, and what follows from them. */
static void
write_new(PromotionSet *set)
{
	Batch		configs;
	StagedSet	staged;

	config_begin_batch(&configs);
	stage_begin_batch(&staged);
	for (PromotionItem *item = set->page; item < set->page + set->page_count; item++)
	{
		ProposedRevision *proposed = &item->promotion.proposed;

		if (item->fate != FATE_NEW)
			continue;
		if (!is_stored(set, item))
			config_put(&configs, proposed->key.project, proposed->digest, proposed->proposal.params);
		stage_put(&staged, &item->staging, proposed, &item->record);
	}
	config_write(&set->sql, &configs);
	stage_write_batch(&set->sql, &staged);
}

/* Write the page.  What carries more than params is refused here, if it is. */
static void
write_page(PromotionSet *set)
{
	Refusal		refusal;

	write_new(set);
	if (attempt(write_all_alone, set, &refusal))
		return;
	for (set->next = 0; set->next < set->page_count; set->next++)
	{
		PromotionItem   *item = &set->page[set->next];

		if (!item->element->refused && !try_element(set, write_alone, item->element))
			item->fate = FATE_REFUSED;
	}
}

/* Return the rows of the page. */
static void
put_page(const PromotionSet *set)
{
	for (int i = 0; i < set->page_count; i++)
	{
		const PromotionItem *item = &set->page[i];
		const PromotionElement *element = item->element;
		bool		alone = item->fate == FATE_ALONE;
		bool		left = !element->refused;
		const SqlValue row[] = {
			AS_TEXT(element->label),
			AS_BOOL(left && item->staged.changed),
			AS_NUMBER(left ? item->staged.new_revision : 0),
			AS_NUMBER(left ? (alone ? item->staged.deployment : item->record.deployment) : 0),
			AS_JSONB(left ? (alone ? item->staged.diff : item->record.diff) : NULL),
			AS_TEXT(left ? NULL : element->code),
			AS_TEXT(left ? NULL : element->problem),
			AS_TEXTS(PointerGetDatum(element->missing))
		};

		result_add(set->fcinfo, row, lengthof(row) - (set->kind->tells_missing ? 0 : 1));
	}
}

/*
 * Does an element have to wait for one of the page?  It does where one of them is to change what
 * the other starts from, as if they were called one after the other.
 */
static bool
waits_for_page(const PromotionSet *set, const PromotionElement *element)
{
	for (int i = 0; set->is_chained && i < set->page_count; i++)
	{
		const PromotionElement *earlier = set->page[i].element;

		if (earlier->refused || element->refused)
			continue;
		if (instance_key_compare(&earlier->destination, &element->source) == 0 ||
			instance_key_compare(&earlier->source, &element->destination) == 0)
			return true;
	}
	return false;
}

/* Judge and write the elements of a page, which begins with that one.  Returns the first of the next page. */
static int
promote_page(PromotionSet *set, int first)
{
	Refusal		refusal;
	int			size;

	sql_enter(&set->sql);
	set->sql.reads = set->previews;
	sharing_trim(set->sharing);
	sharing_begin(set->sharing);
	size = sharing_page_size(set->sharing);
	set->page = palloc0(size * sizeof(PromotionItem));
	set->page_count = 0;
	while (set->page_count < size && first < set->count && !waits_for_page(set, &set->elements[first]))
		set->page[set->page_count++].element = &set->elements[first++];
	if (!attempt(judge_page, set, &refusal))
		judge_each(set);
	if (set->page_count == size)
		sharing_measure(set->sharing);
	/* also where all will be undone: later elements may start from what is written */
	if (!set->previews)
		write_page(set);
	if (set->partial || set->previews || set->refusals.count == 0)
		put_page(set);
	sql_leave(&set->sql);
	return first;
}

/* Promote, or preview, all of a set, and put a row for each. */
void
promotion_set_run(PromotionSet *set)
{
	set->role = rights_role();
	InitMaterializedSRF(set->fcinfo, 0);
	refusals_begin(&set->refusals);
	set->scratch = AllocSetContextCreate(CurrentMemoryContext, "promote element", ALLOCSET_DEFAULT_SIZES);
	check_set(set);
	if (!set->previews)
		lock_set(set);
	set->sharing = sharing_create(CurrentMemoryContext);
	for (int next = 0; next < set->count;)
		next = promote_page(set, next);
	if (!set->partial && !set->previews)
		refusals_raise(&set->refusals, set->count, set->kind->what);
}

/*
 * promote.promote_many(source text[], destination text[], overrides jsonb[], copy_secrets
 * boolean, copy_remote_references boolean, plan boolean, message text, expected_revision integer[],
 * allow_replace boolean, pin boolean, reprovision boolean, the arguments of choice_take_shared,
 * partial boolean) returns table, see sql/promotion/promotion.sql
 */
Datum
promote_promote_many(PG_FUNCTION_ARGS)
{
	PromotionSet set = {.fcinfo = fcinfo,.kind = &promotion_kind,.options = 3};

	take_elements(&set);
	promotion_set_options(&set);
	promotion_set_run(&set);
	return (Datum) 0;
}
