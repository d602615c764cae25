/*
 * merge.c: what two sides made of one document, put together again.
 *
 * A three-way merge, place by place; that there is nothing is a value, too.
 * Where both sides have the same, it is that; where one of them still has the
 * base's, it is the other's.  Where both changed it, two objects are merged by
 * their members, and two arrays whose schema says by which member their
 * elements are told apart ("$md.key") by these.  All else is a conflict.
 *
 * What is not copyable is the destination's own in all three, and so it is in
 * what comes out.  Overrides are laid on top by whoever calls; here they only
 * decide conflicts.
 *
 * Pure: no tables, no clock.  Nothing is raised for what is in the documents,
 * so that previews can show it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compose/element.h"
#include "compose/merge.h"
#include "compose/overrides.h"
#include "json/builder.h"
#include "json/path.h"
#include "schema/schema.h"

/* What becomes of a place. */
typedef enum Verdict
{
	VERDICT_SOURCE,				/* what the source has there, if anything */
	VERDICT_DESTINATION,
	VERDICT_MEMBERS,			/* two objects, merged by their members */
	VERDICT_ELEMENTS,			/* two arrays, merged by their elements if these have a key */
	VERDICT_CONFLICT
} Verdict;

/* The values at one place, by MergeSide; NULL where a document has none. */
typedef struct Trio
{
	const JsonbValue *values[MERGE_SIDES];
} Trio;

/* How many bytes around a place were compared in vain, see json_same_below. */
typedef struct Compared
{
	Size		sides;			/* source and destination */
	Size		own;			/* base and destination */
	Size		other;			/* base and source */
} Compared;

/* The way to a place, the last step first; lives on the stack. */
typedef struct Place
{
	const struct Place *parent; /* NULL at the root */
	const JsonbValue *key;		/* NULL: an element */
	uint32		index;			/* of an element, in what comes out */
	uint32		ordinals[MERGE_SIDES];	/* and in the documents */
} Place;

/* One call. */
typedef struct Walk
{
	Merge	   *merge;
	const Overrides *overrides;
	MergeChoice choice;
	JsonBuilder builder;
	ElementKeys keys;			/* of the documents, by MergeSide */
} Walk;

/* No such element. */
#define NONE MERGE_NOWHERE

/* What the three arrays have of one name. */
typedef struct Element
{
	uint32		ordinals[MERGE_SIDES];	/* or NONE */
	JsonbValue	values[MERGE_SIDES];	/* where there is an ordinal */
	Verdict		verdict;
	Compared	compared;
	bool		stays;			/* in what comes out, or is a conflict */
	uint32		next;			/* in what comes out, or NONE */
} Element;

/* Three arrays that are merged by elements. */
typedef struct Arrays
{
	const char *key;
	uint32		counts[MERGE_SIDES];
	uint32	   *elements[MERGE_SIDES];	/* of each of a document's elements, its number in list */
	Element    *list;
	uint32		count;
	uint32		first;			/* in what comes out, or NONE */
} Arrays;

static bool write_place(Walk *walk, const Place *place, const Trio *trio, Verdict verdict, Compared compared);

/* ---- judging ---- */

/* Are two values, of which either may be missing, the same bytes? */
static bool
are_same(const JsonbValue *a, const JsonbValue *b)
{
	return a && b ? json_same(a, b) : a == b;
}

/* Are they equal? */
static bool
are_equal(const JsonbValue *a, const JsonbValue *b)
{
	return a && b ? json_equal(a, b) : a == b;
}

/* Is there a value, and is it an object? */
static bool
has_object(const JsonbValue *value)
{
	return value && json_is_object(value);
}

/* Are both sides objects, and the base one or nothing? */
static bool
are_objects(const Trio *trio)
{
	return has_object(trio->values[MERGE_SOURCE]) && has_object(trio->values[MERGE_DESTINATION]) &&
		(trio->values[MERGE_BASE] == NULL || json_is_object(trio->values[MERGE_BASE]));
}

/* Are both sides arrays, and the base one or nothing? */
static bool
are_arrays(const Trio *trio)
{
	for (int i = 0; i < MERGE_SIDES; i++)
		if (trio->values[i] ? !json_is_array(trio->values[i]) : i != MERGE_BASE)
			return false;
	return true;
}

/*
 * Judge objects.  That bytes are the same only saves the way down: merging by
 * members comes to the same where objects are equal.
 */
static Verdict
judge_objects(const Trio *trio, Compared *compared)
{
	const JsonbValue *base = trio->values[MERGE_BASE];
	const JsonbValue *source = trio->values[MERGE_SOURCE];
	const JsonbValue *destination = trio->values[MERGE_DESTINATION];

	if (json_same_below(source, destination, &compared->sides))
		return VERDICT_DESTINATION;
	if (base && json_same_below(base, destination, &compared->own))
		return VERDICT_SOURCE;
	if (base && json_same_below(base, source, &compared->other))
		return VERDICT_DESTINATION;
	return VERDICT_MEMBERS;
}

/* What becomes of a place. */
static Verdict
judge(const Trio *trio, Compared *compared)
{
	const JsonbValue *base = trio->values[MERGE_BASE];
	const JsonbValue *source = trio->values[MERGE_SOURCE];
	const JsonbValue *destination = trio->values[MERGE_DESTINATION];

	if (are_objects(trio))
		return judge_objects(trio, compared);
	/* bytes first: comparing values takes longer */
	if (are_same(source, destination) || are_same(base, source))
		return VERDICT_DESTINATION;
	if (are_same(base, destination))
		return VERDICT_SOURCE;
	if (are_equal(source, destination) || are_equal(base, source))
		return VERDICT_DESTINATION;
	if (are_equal(base, destination))
		return VERDICT_SOURCE;
	return are_arrays(trio) ? VERDICT_ELEMENTS : VERDICT_CONFLICT;
}

/* ---- conflicts ---- */

/* Append the steps to a place; side is MERGE_SIDES for its path in what comes out. */
static void
add_steps(StringInfo path, const Place *place, int side)
{
	check_stack_depth();
	if (place->parent == NULL)
		return;
	add_steps(path, place->parent, side);
	if (place->key)
		json_path_add_key(path, place->key->val.string.val, place->key->val.string.len);
	else
		json_path_add_index(path, side == MERGE_SIDES ? place->index : place->ordinals[side]);
}

/* The path of a place, allocated. */
static const char *
path_of(const Place *place, int side)
{
	StringInfoData path;

	initStringInfo(&path);
	add_steps(&path, place, side);
	return json_path_text(&path);
}

/*
 * What stands where both sides changed the same and nothing else is said: the
 * destination's, unless it has none, so that overrides find something there.
 */
static const JsonbValue *
chosen(const Walk *walk, const Trio *trio)
{
	if (walk->choice == MERGE_CHOOSE_SOURCE ||
		(walk->choice == MERGE_CHOOSE_NONE && trio->values[MERGE_DESTINATION] == NULL))
		return trio->values[MERGE_SOURCE];
	return trio->values[MERGE_DESTINATION];
}

/*
 * Do the overrides decide what is at a path, whichever side's is there?  If they only say something of what is in it,
 * that is so between values that are no objects, of which nothing is left.
 */
static bool
is_overridden(const Walk *walk, const char *path, const Trio *trio)
{
	return overrides_decide(walk->overrides, path,
							has_object(trio->values[MERGE_SOURCE]) || has_object(trio->values[MERGE_DESTINATION]));
}

/* Note that both sides changed a place. */
static void
note_conflict(Walk *walk, const Place *place, const Trio *trio)
{
	MergeConflict *conflict = palloc0(sizeof(MergeConflict));

	conflict->path = path_of(place, MERGE_SIDES);
	for (int i = 0; i < MERGE_SIDES; i++)
		conflict->paths[i] = trio->values[i] ? path_of(place, i) : NULL;
	conflict->open = walk->choice == MERGE_CHOOSE_NONE && !is_overridden(walk, conflict->path, trio);
	walk->merge->conflicts = lappend(walk->merge->conflicts, conflict);
}

/* Note why an array cannot be merged by its elements. */
static void
note_problem(Walk *walk, const Place *place, char *message)
{
	MergeProblem *problem = palloc(sizeof(MergeProblem));

	*problem = (MergeProblem) {path_of(place, MERGE_SIDES), message};
	walk->merge->problems = lappend(walk->merge->problems, problem);
}

/* ---- elements by their key ---- */

static const char *const side_names[] = {"base", "source", "destination"};

/* The elements of the arrays with their names, one document's behind the other's; notes those without. */
static NamedElement *
name_elements(Walk *walk, const Place *place, const Trio *trio, const Arrays *arrays, uint32 *count)
{
	Size		total = 0;
	NamedElement *named;

	for (int i = 0; i < MERGE_SIDES; i++)
		total += arrays->counts[i];
	named = palloc_extended(Max(total, 1) * sizeof(NamedElement), MCXT_ALLOC_HUGE);
	*count = 0;
	for (int i = 0; i < MERGE_SIDES; i++)
	{
		if (trio->values[i] == NULL)
			continue;
		json_foreach(item, trio->values[i])
		{
			NamedElement *next = &named[*count];

			CHECK_FOR_INTERRUPTS();
			*next = (NamedElement) {.document = i,.ordinal = item.index};
			if (element_name(&item.value, arrays->key, &next->name))
				(*count)++;
			else
				note_problem(walk, place, psprintf("The %s's element %u has no \"%s\" to tell it by.",
												   side_names[i], item.index, arrays->key));
		}
	}
	return named;
}

/* Put together what has the same name; notes what has it twice in one document. */
static void
match_elements(Walk *walk, const Place *place, Arrays *arrays, const NamedElement *named, uint32 count)
{
	for (uint32 i = 0; i < count; i++)
	{
		bool		is_new = i == 0 || json_compare(&named[i - 1].name, &named[i].name) != 0;
		Element    *element;

		CHECK_FOR_INTERRUPTS();
		if (is_new)
			arrays->list[arrays->count++] = (Element) {.ordinals = {NONE, NONE, NONE}};
		else if (named[i - 1].document == named[i].document)
		{
			note_problem(walk, place, psprintf("The %s's elements %u and %u have the same \"%s\".",
											   side_names[named[i].document], named[i - 1].ordinal, named[i].ordinal,
											   arrays->key));
			continue;
		}
		element = &arrays->list[arrays->count - 1];
		element->ordinals[named[i].document] = named[i].ordinal;
		arrays->elements[named[i].document][named[i].ordinal] = arrays->count - 1;
	}
}

/* Take the arrays apart into elements; false, and noted, where these cannot be told apart. */
static bool
take_apart(Walk *walk, const Place *place, const Trio *trio, Arrays *arrays)
{
	int			problems = list_length(walk->merge->problems);
	uint32		count;
	NamedElement *named;

	for (int i = 0; i < MERGE_SIDES; i++)
		arrays->counts[i] = trio->values[i] ? json_count(trio->values[i]) : 0;
	named = name_elements(walk, place, trio, arrays, &count);
	if (count > 1)
		qsort(named, count, sizeof(NamedElement), element_compare);
	for (int i = 0; i < MERGE_SIDES; i++)
		arrays->elements[i] = palloc_extended(Max(arrays->counts[i], 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	arrays->list = palloc_extended(Max(count, 1) * sizeof(Element), MCXT_ALLOC_HUGE);
	match_elements(walk, place, arrays, named, count);
	pfree(named);
	return list_length(walk->merge->problems) == problems;
}

/* The values of an element. */
static Trio
element_trio(const Element *element)
{
	Trio		trio;

	for (int i = 0; i < MERGE_SIDES; i++)
		trio.values[i] = element->ordinals[i] == NONE ? NULL : &element->values[i];
	return trio;
}

/* Judge each element. */
static void
judge_elements(const Walk *walk, const Trio *trio, Arrays *arrays, Compared compared)
{
	for (uint32 i = 0; i < arrays->count; i++)
	{
		Element    *element = &arrays->list[i];
		Trio		own;

		CHECK_FOR_INTERRUPTS();
		for (int side = 0; side < MERGE_SIDES; side++)
			if (element->ordinals[side] != NONE)
				json_view_child(trio->values[side]->val.binary.data, element->ordinals[side], &element->values[side]);
		own = element_trio(element);
		element->compared = compared;
		element->verdict = judge(&own, &element->compared);
		element->stays = element->verdict == VERDICT_SOURCE ? own.values[MERGE_SOURCE] != NULL :
			element->verdict == VERDICT_DESTINATION ? own.values[MERGE_DESTINATION] != NULL : true;
	}
}

/* Did the destination leave the order in which the base has the elements of both? */
static bool
left_order(const Arrays *arrays)
{
	uint32		last = 0;

	for (uint32 i = 0; i < arrays->counts[MERGE_DESTINATION]; i++)
	{
		uint32		ordinal = arrays->list[arrays->elements[MERGE_DESTINATION][i]].ordinals[MERGE_BASE];

		if (ordinal == NONE)
			continue;
		if (ordinal < last)
			return true;
		last = ordinal;
	}
	return false;
}

/*
 * Put the elements in order: as one side has them, each that only the other
 * one has behind what it followed there.
 */
static void
order_elements(Arrays *arrays)
{
	MergeSide	leader = left_order(arrays) ? MERGE_DESTINATION : MERGE_SOURCE;
	MergeSide	follower = leader == MERGE_SOURCE ? MERGE_DESTINATION : MERGE_SOURCE;
	uint32	   *link = &arrays->first;

	arrays->first = NONE;
	for (uint32 i = 0; i < arrays->counts[leader]; i++)
	{
		uint32		number = arrays->elements[leader][i];

		if (!arrays->list[number].stays)
			continue;
		*link = number;
		link = &arrays->list[number].next;
		*link = NONE;
	}
	link = &arrays->first;
	for (uint32 i = 0; i < arrays->counts[follower]; i++)
	{
		uint32		number = arrays->elements[follower][i];
		Element    *element = &arrays->list[number];

		if (!element->stays)
			continue;
		if (element->ordinals[leader] == NONE)
		{
			element->next = *link;
			*link = number;
		}
		link = &element->next;
	}
}

/* Note the array that elements are written to. */
static MergedArray *
note_array(Walk *walk, const Place *place, const Arrays *arrays)
{
	MergedArray *merged = palloc0(sizeof(MergedArray));

	merged->path = path_of(place, MERGE_SIDES);
	merged->ordinals = palloc_extended(Max(arrays->count, 1) * sizeof(*merged->ordinals), MCXT_ALLOC_HUGE);
	walk->merge->arrays = lappend(walk->merge->arrays, merged);
	return merged;
}

/* Write the elements in their order. */
static void
write_elements(Walk *walk, const Place *place, const Arrays *arrays)
{
	Place		child = {.parent = place};
	MergedArray *merged = note_array(walk, place, arrays);

	json_build_begin_array(&walk->builder);
	for (uint32 number = arrays->first; number != NONE; number = arrays->list[number].next)
	{
		const Element *element = &arrays->list[number];
		Trio		trio = element_trio(element);

		CHECK_FOR_INTERRUPTS();
		memcpy(child.ordinals, element->ordinals, sizeof(child.ordinals));
		memcpy(merged->ordinals[child.index], element->ordinals, sizeof(element->ordinals));
		if (write_place(walk, &child, &trio, element->verdict, element->compared))
			child.index++;
	}
	merged->count = child.index;
	json_build_end_array(&walk->builder);
}

/* Write a value under its key, if there is one. */
static bool
write_value(Walk *walk, const Place *place, const JsonbValue *value)
{
	if (value == NULL)
		return false;
	if (place->key)
		json_build_key(&walk->builder, place->key->val.string.val, place->key->val.string.len);
	json_build_value(&walk->builder, value);
	return true;
}

/*
 * Write two arrays, of which both sides are changed: by elements, or, without
 * a key, as one value that is a conflict.
 */
static void
write_arrays(Walk *walk, const Place *place, const Trio *trio, Compared compared)
{
	Arrays		arrays = {0};
	const char *other = NULL;
	bool		is_problem;

	/* overrides that set the array spare looking into it */
	if (!is_overridden(walk, path_of(place, MERGE_SIDES), trio))
		arrays.key = element_key(&walk->keys, trio->values, &other);
	if (other)
		note_problem(walk, place, psprintf("The schema has two keys for it, \"%s\" and \"%s\".", arrays.key, other));
	is_problem = other || (arrays.key && !take_apart(walk, place, trio, &arrays));
	if (arrays.key && !is_problem)
	{
		judge_elements(walk, trio, &arrays, compared);
		order_elements(&arrays);
		json_build_key(&walk->builder, place->key->val.string.val, place->key->val.string.len);
		write_elements(walk, place, &arrays);
		return;
	}
	if (!is_problem)
		note_conflict(walk, place, trio);
	(void) write_value(walk, place, chosen(walk, trio));
}

/* ---- members ---- */

/* Write two objects, merged by their members. */
static void
write_members(Walk *walk, const Place *place, const Trio *trio, Compared compared)
{
	const JsonbContainer *base = trio->values[MERGE_BASE] ? trio->values[MERGE_BASE]->val.binary.data : NULL;
	JsonSeeker	seeker;
	JsonJoin	join;
	JsonbValue	found;

	json_seeker_init(&seeker, base,
					 json_count(trio->values[MERGE_SOURCE]) + json_count(trio->values[MERGE_DESTINATION]));
	json_join_init(&join, trio->values[MERGE_SOURCE], trio->values[MERGE_DESTINATION]);
	json_build_begin_object(&walk->builder);
	while (json_join_next(&join))
	{
		Trio		child = {{NULL, join.left, join.right}};
		Place		below = {.parent = place,.key = join.key};
		Compared	around = compared;

		CHECK_FOR_INTERRUPTS();
		if (json_seek(&seeker, join.key))
		{
			json_view_child(base, seeker.next, &found);
			child.values[MERGE_BASE] = &found;
		}
		(void) write_place(walk, &below, &child, judge(&child, &around), around);
	}
	json_build_end_object(&walk->builder);
}

/* Write what becomes of a place, under its key; false where that is nothing. */
static bool
write_place(Walk *walk, const Place *place, const Trio *trio, Verdict verdict, Compared compared)
{
	check_stack_depth();
	switch (verdict)
	{
		case VERDICT_SOURCE:
			return write_value(walk, place, trio->values[MERGE_SOURCE]);
		case VERDICT_DESTINATION:
			return write_value(walk, place, trio->values[MERGE_DESTINATION]);
		case VERDICT_MEMBERS:
			if (place->key)
				json_build_key(&walk->builder, place->key->val.string.val, place->key->val.string.len);
			write_members(walk, place, trio, compared);
			return true;
		case VERDICT_ELEMENTS:
			write_arrays(walk, place, trio, compared);
			return true;
		case VERDICT_CONFLICT:
			note_conflict(walk, place, trio);
			return write_value(walk, place, chosen(walk, trio));
	}
	return false;
}

/* ---- the whole ---- */

/* Merge the documents, which are objects. */
static Jsonb *
merge_documents(Walk *walk)
{
	JsonbValue	views[MERGE_SIDES];
	Trio		trio;
	Place		root = {NULL};
	Compared	compared = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
	Verdict		verdict;

	for (int i = 0; i < MERGE_SIDES; i++)
	{
		json_root(walk->merge->documents[i], &views[i]);
		trio.values[i] = &views[i];
	}
	verdict = judge(&trio, &compared);
	if (verdict == VERDICT_SOURCE)
		return unconstify(Jsonb *, walk->merge->documents[MERGE_SOURCE]);
	if (verdict == VERDICT_DESTINATION)
		return unconstify(Jsonb *, walk->merge->documents[MERGE_DESTINATION]);
	json_builder_init(&walk->builder);
	write_members(walk, &root, &trio, compared);
	return json_builder_finish(&walk->builder);
}

/*
 * What the destination's params become before the overrides, where the
 * proposal's params are still the source's: what either side changed since the
 * base.  Overrides and choice decide conflicts; the documents, which are all
 * objects within the limits, must live as long as what is returned.
 */
Merge *
compose_merge(const Proposal *proposal, const MergeBase *base, const Jsonb *overrides, MergeChoice choice)
{
	Merge	   *merge = palloc0(sizeof(Merge));
	Overrides	read;
	Walk		walk = {.merge = merge,.overrides = &read,.choice = choice,.keys.schema = proposal->schema};
	Proposal	began = *proposal;

	overrides_read(&read, overrides);
	began.params = unconstify(Jsonb *, base->params);
	merge->documents[MERGE_BASE] = compose_base(&began);
	merge->documents[MERGE_SOURCE] = compose_base(proposal);
	merge->documents[MERGE_DESTINATION] = compose_filled_own(proposal);
	memcpy(walk.keys.documents, merge->documents, sizeof(walk.keys.documents));
	merge->params = merge_documents(&walk);
	return merge;
}

/*
 * The path that a place of what comes out has in one of the documents: the elements of arrays that were
 * merged by their keys may stand elsewhere there.  NULL: one of them is not there.
 */
char *
merge_path_in(const Merge *merge, const char *path, MergeSide side)
{
	char	   *found = pstrdup(path);

	/* what is in an element first, so that the path up to there is still the same */
	for (int i = list_length(merge->arrays) - 1; i >= 0; i--)
	{
		const MergedArray *array = list_nth(merge->arrays, i);
		int			length = strlen(array->path);
		uint32		index;

		if (strncmp(path, array->path, length) != 0 || path[length] != '[' || path[length + 1] == '"')
			continue;
		index = strtoul(path + length + 1, NULL, 10);
		if (index >= array->count || array->ordinals[index][side] == NONE)
			return NULL;
		found = psprintf("%.*s[%u%s", length, path, array->ordinals[index][side], strchr(found + length, ']'));
	}
	return found;
}
