/*
 * set.c: sets of instances, or of deployments, that a verb is called with.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/set.h"

#define TRIED 100				/* elements that are judged in one subtransaction */

/* ---- refusing elements ---- */

/* Refuse an element; the first reason counts. */
void
set_refuse(Set *set, Element *element, int sqlstate, const char *problem)
{
	if (element->sqlstate != 0)
		return;
	element->sqlstate = sqlstate;
	element->problem = MemoryContextStrdup(set->context, problem);
}

/* Elements to be judged. */
typedef struct Judging
{
	Element   **elements;
	int			count;
	void		(*judge) (Element *element, void *state);
	void	   *state;
} Judging;

/* Judge the elements.  attempt runs this. */
static void
judge_elements(void *state)
{
	const Judging *judging = state;

	for (int i = 0; i < judging->count; i++)
		if (judging->elements[i]->sqlstate == 0)
			judging->judge(judging->elements[i], judging->state);
}

/*
 * Judge every element that was not refused yet, in the order of the set, and note which the judge refuses by an error.
 * The judge writes nothing, and may be asked twice: a subtransaction is for many elements until one is refused.
 */
void
set_judge(Set *set, void (*judge) (Element *element, void *state), void *state)
{
	for (int first = 0; first < set->left_count; first += TRIED)
	{
		Judging		judging = {set->left + first, Min(TRIED, set->left_count - first), judge, state};
		int			end = first + judging.count;
		Refusal		refusal;

		CHECK_FOR_INTERRUPTS();
		if (attempt(judge_elements, &judging, &refusal))
			continue;
		judging.count = 1;
		for (int i = first; i < end; i++)
		{
			judging.elements = set->left + i;
			if (!attempt(judge_elements, &judging, &refusal))
				set_refuse(set, set->left[i], refusal.sqlstate, refusal.message);
		}
	}
}

/* Take the name of an element apart. */
static void
parse_element(Element *element, void *state)
{
	if (element->name == NULL)
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("the instance is missing"),
				 errdetail("The element is null."),
				 errhint("Name an instance, as in 'ecomm-staging-db'.")));
	instance_key_parse(element->name, &element->key);
}

/* Begin a set of that many elements, whose names and keys the caller fills in. */
void
set_make(Set *set, int count)
{
	*set = (Set) {.context = CurrentMemoryContext,.count = count};
	set->elements = palloc_extended((count + 1) * sizeof(Element), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set->left = palloc_extended((count + 1) * sizeof(Element *), MCXT_ALLOC_HUGE);
	for (set->left_count = 0; set->left_count < count; set->left_count++)
		set->left[set->left_count] = &set->elements[set->left_count];
}

/* Begin a set with the names of its instances, an argument that is an array of text. */
void
set_open(FunctionCallInfo fcinfo, int argument, Set *set)
{
	int			count = -1;
	NullableDatum *names = argument_array(fcinfo, argument, "instances", TEXTOID, true, &count);

	set_make(set, count);
	for (int i = 0; i < count; i++)
		set->elements[i].name = value_text(names[i]);
	set_judge(set, parse_element, NULL);
}

/*
 * Numbers of a set's elements, an argument that is an array of integers as long as the set.  Where they are required,
 * an element without one is refused; otherwise the argument may be null, and the result is NULL.
 */
NullableDatum *
set_numbers(FunctionCallInfo fcinfo, int argument, const char *name, bool required, Set *set)
{
	NullableDatum *numbers = argument_array(fcinfo, argument, name, INT4OID, required, &set->count);

	for (int i = 0; required && i < set->count; i++)
		if (numbers[i].isnull)
			set_refuse(set, &set->elements[i], PM_INVALID_ARGUMENT,
					   psprintf("the element's number is missing: it is null among the %s", name));
	return numbers;
}

/* Refuse an element for whose instance the caller has no grant, or whose environment is archived. */
static void
require_access(Element *element, void *state)
{
	access_require(state, &element->key);
	if (!grants_only_ask(state))
		require_in_use(&element->key);
}

/* Refuse the elements for whose instances the caller has no grant for an action. */
void
set_require_access(Set *set, const char *action)
{
	set_judge(set, require_access, unconstify(char *, action));
}

/* ---- order and locks ---- */

/* The order of locks: by instance, then by number, then as they were given.  For qsort. */
static int
compare_elements(const void *a, const void *b)
{
	const Element *one = *(Element *const *) a;
	const Element *other = *(Element *const *) b;
	int			order = instance_key_compare(&one->key, &other->key);

	if (order == 0)
		order = (one->number > other->number) - (one->number < other->number);
	return order != 0 ? order : (one > other) - (one < other);
}

/* Are they of one instance, and of one number? */
static bool
same_element(const Element *one, const Element *other)
{
	return one->number == other->number && instance_key_compare(&one->key, &other->key) == 0;
}

/* Leave out what was refused, put the others into the order of locks, and refuse what was given before. */
void
set_order(Set *set)
{
	int			count = 0;

	for (int i = 0; i < set->count; i++)
		if (set->elements[i].sqlstate == 0)
			set->left[count++] = &set->elements[i];
	qsort(set->left, count, sizeof(Element *), compare_elements);
	set->left_count = 0;
	for (int i = 0; i < count; i++)
		if (set->left_count > 0 && same_element(set->left[set->left_count - 1], set->left[i]))
			set_refuse(set, set->left[i], PM_INVALID_ARGUMENT, "it is in the set already");
		else
			set->left[set->left_count++] = set->left[i];
}

/* Lock instances for update, and nothing else.  For set_lock. */
bool *
set_lock_instances(const Sql *sql, const InstanceKey *keys, int count)
{
	return instances_lock(sql, keys, count, true);
}

/* Refuse an element whose instance could not be locked, as it does not exist. */
static void
require_exists(Element *element, void *state)
{
	require_instance(state, &element->key);
	refuse_unseen();
}

/*
 * Lock what the instances of elements, which are in order, are judged under, and refuse those that do not exist.
 * Raises 40001 where the transaction's snapshot does not show the current version of a row.
 */
void
set_lock(const Sql *sql, Set *set, Element **elements, int count,
		 bool *(*lock) (const Sql *sql, const InstanceKey *keys, int count))
{
	InstanceKey *keys = palloc(Max(count, 1) * sizeof(InstanceKey));
	bool	   *locked;
	int			last = 0;

	for (int i = 0; i < count; i++)
	{
		if (i > 0 && instance_key_compare(&keys[last], &elements[i]->key) != 0)
			last++;
		keys[last] = elements[i]->key;
	}
	locked = count > 0 ? lock(sql, keys, last + 1) : NULL;
	last = 0;
	for (int i = 0; i < count; i++)
	{
		Set			one = {.context = set->context,.left = elements + i,.left_count = 1};

		if (instance_key_compare(&keys[last], &elements[i]->key) != 0)
			last++;
		if (!locked[last])
			set_judge(&one, require_exists, unconstify(Sql *, sql));
	}
}

/* ---- results ---- */

/* Refuse the call if an element was refused and the caller has not asked for a part. */
void
set_require(const Set *set, bool partial)
{
	Refusals	refusals;

	if (partial)
		return;
	refusals_begin(&refusals);
	for (const Element *element = set->elements; element < set->elements + set->count; element++)
		if (element->sqlstate != 0)
			refusals_note(&refusals, element->name, element->sqlstate, element->problem);
	refusals_raise(&refusals, set->count, "deployments");
}

/* Put a row for each element, in the order in which they were given: sql/deployment/set.sql has the columns. */
void
set_put(FunctionCallInfo fcinfo, const Set *set)
{
	for (int i = 0; i < set->count; i++)
	{
		const Element *element = &set->elements[i];

		const char *code = element->sqlstate != 0 ? unpack_sql_state(element->sqlstate) : NULL;

		result_put(fcinfo, AS_TEXT(element->name), AS_NUMBER(element->number), AS_TEXT(element->action),
				   AS_TEXT(element->status), AS_TEXT(code), AS_TEXT(element->problem));
	}
}
