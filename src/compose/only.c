/*
 * only.c: promotions of named places alone.
 *
 * The destination's own document, with the named places as a promotion of
 * everything would have them.  What cannot be taken is collected, so that one
 * refusal names all of it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/errors.h"
#include "compose/element.h"
#include "compose/only.h"
#include "json/marks.h"
#include "json/places.h"
#include "json/reader.h"
#include "parse/name.h"
#include "schema/schema.h"

/* A place of the params. */
typedef struct OnlyPlace
{
	char	   *path;			/* as it was given */
	JsonPointer place;
} OnlyPlace;

/* Note why something cannot be taken. */
void
only_complain(Only *only, const char *name, const char *problem)
{
	appendStringInfo(&only->problems, "%s%s: %s", only->problems.len > 0 ? "\n" : "", name, problem);
	refusal_item(&only->violations, "path", name, "message", problem);
}

/* Refuse what cannot be taken, all of it at once; instance is the destination. */
void
only_require(const Only *only, const char *instance)
{
	if (only->problems.len > 0)
		ereport(ERROR,
				(errcode(PM_CANNOT_TAKE),
				 errmsg("not all that is named can be promoted alone to \"%s\"", instance),
				 errdetail_items(only->problems.data, "violations", &only->violations),
				 errhint("Name places as previews print them, such as .image, and release; or leave \"only\" out to promote everything.")));
}

/* ---- reading ---- */

/* Compare two tokens: ordinals as such, before all others, which are compared as text. */
static int
compare_tokens(const JsonToken *a, const JsonToken *b)
{
	uint32		ordinals[2];
	bool		is_ordinal[2];
	int			order;

	is_ordinal[0] = json_token_index(a, PG_UINT32_MAX, &ordinals[0]);
	is_ordinal[1] = json_token_index(b, PG_UINT32_MAX, &ordinals[1]);
	if (is_ordinal[0] != is_ordinal[1])
		return is_ordinal[1] - is_ordinal[0];
	if (is_ordinal[0] && ordinals[0] != ordinals[1])
		return ordinals[0] < ordinals[1] ? -1 : 1;
	order = memcmp(a->text, b->text, Min(a->length, b->length));
	return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Compare two places: what is within another comes right behind it, elements in their order. */
static int
compare_places(const ListCell *a, const ListCell *b)
{
	JsonPointer left = ((OnlyPlace *) lfirst(a))->place;
	JsonPointer right = ((OnlyPlace *) lfirst(b))->place;
	JsonToken	tokens[2];

	for (;;)
	{
		bool		has_left = json_pointer_next(&left, &tokens[0]);
		bool		has_right = json_pointer_next(&right, &tokens[1]);
		int			order = has_left && has_right ? compare_tokens(&tokens[0], &tokens[1]) : has_left - has_right;

		if (order || !has_left)
			return order;
	}
}

/* Note the places that are named twice, or lie inside another one, which are next to each other. */
static void
check_nesting(Only *only)
{
	const OnlyPlace *outer = NULL;
	ListCell   *cell;

	foreach(cell, only->places)
	{
		const OnlyPlace *at = lfirst(cell);

		if (outer == NULL || !json_pointer_covers(&outer->place, &at->place))
			outer = at;
		else if (outer->place.length == at->place.length)
			only_complain(only, at->path, "it is named twice");
		else
			only_complain(only, at->path, psprintf("it lies inside %s, which is named as well", outer->path));
	}
}

/* Add a name to a list of them, once. */
static List *
add_name(Only *only, List *names, const char *given, const char *name)
{
	if (names_hold(names, name))
		only_complain(only, given, "it is named twice");
	return lappend(names, pstrdup(name));
}

/* The name behind a word and a blank; NULL: it does not begin with these. */
static const char *
name_behind(const char *given, const char *word)
{
	int			length = strlen(word);

	return strncmp(given, word, length) == 0 && given[length] == ' ' && given[length + 1] ? given + length + 1 : NULL;
}

/* Read one name.  Raises an error for a path that cannot be read. */
static void
read_name(Only *only, char *given)
{
	const char *secret = name_behind(given, "secret");
	const char *reference = name_behind(given, "reference");
	OnlyPlace  *at;

	if (given[0] == '.')
	{
		at = palloc(sizeof(OnlyPlace));
		at->path = given;
		json_place_of_path(given, strlen(given), &at->place);
		only->places = lappend(only->places, at);
	}
	else if (strcmp(given, ONLY_RELEASE) == 0)
	{
		if (only->release)
			only_complain(only, given, "it is named twice");
		only->release = true;
	}
	else if (secret)
		only->secrets = add_name(only, only->secrets, given, secret);
	else if (reference)
		only->references = add_name(only, only->references, given, reference);
	else if (name_behind(given, ONLY_RELEASE))
		only_complain(only, given, "a release is taken as a whole: name " ONLY_RELEASE);
	else
		only_complain(only, given, "it is no path, which begins with a point, nor " ONLY_RELEASE ", reference NAME or secret NAME");
}

/* Read what is to be taken alone, a list of char *, and note what is named twice. */
Only *
only_read(const List *names)
{
	Only	   *only = palloc0(sizeof(Only));
	ListCell   *cell;

	only->names = unconstify(List *, names);
	initStringInfo(&only->problems);
	foreach(cell, names)
		read_name(only, lfirst(cell));
	list_sort(only->places, compare_places);
	check_nesting(only);
	return only;
}

/* Does a place that is named lie around a path, or in what is there? */
bool
only_touches(const Only *only, const char *path)
{
	JsonPointer place;
	ListCell   *cell;

	json_place_of_path(path, strlen(path), &place);
	foreach(cell, only->places)
	{
		const OnlyPlace *at = lfirst(cell);

		if (json_pointer_covers(&at->place, &place) || json_pointer_covers(&place, &at->place))
			return true;
	}
	return false;
}

/* ---- taking ---- */

/* Is an element of an array not copyable, so that the array stays as a whole? */
static bool
has_marked_element(const JsonbValue *value, const JsonMark *marks)
{
	if (json_is_array(value) && marks)
		for (uint32 i = 0; i < marks->count; i++)
			if (json_mark_flags(json_mark_child(marks, i)) & SCHEMA_NONCOPYABLE)
				return true;
	return false;
}

/* Does a document claim a place for itself, or something that it lies in? */
static bool
is_claimed(const Jsonb *document, const JsonMark *marks, JsonPointer place)
{
	JsonbValue	at = json_view(document);
	JsonbValue	below;
	JsonToken	token;
	uint32		index;

	for (;;)
	{
		if ((json_mark_flags(marks) & SCHEMA_NONCOPYABLE) || has_marked_element(&at, marks))
			return true;
		if (marks == NULL || !json_pointer_next(&place, &token) || !json_place_step(&at, &token, &index, &below))
			return false;
		marks = json_mark_child(marks, index);
		at = below;
	}
}

/* What documents have on the way to a place, step by step. */
typedef struct Step
{
	JsonbValue	value;
	bool		there;
	uint32		index;
} Step;

/* Take the next step in a document, if it has come so far. */
static void
step(Step *at, const JsonToken *token)
{
	JsonbValue	container = at->value;

	at->there = at->there && json_place_step(&container, token, &at->index, &at->value);
}

/*
 * May an element be taken alone: have both arrays one, or is it added or removed at the end?  The
 * steps lead to it; own is the array of the document.
 */
static bool
may_take_element(const JsonbValue *own, const JsonToken *token, bool last, const Step *to, const Step *from)
{
	uint32		index;

	if (to->there && from->there)
		return true;
	if (!last || !json_token_index(token, json_count(own), &index))
		return false;
	return from->there ? index == json_count(own) : to->there && index + 1 == json_count(own);
}

/* Has an array an element of that name? */
static bool
has_named(const JsonbValue *array, const char *key, const JsonbValue *name)
{
	JsonbValue	other;

	json_foreach(item, array)
	{
		CHECK_FOR_INTERRUPTS();
		if (element_name(&item.value, key, &other) && json_equal(&other, name))
			return true;
	}
	return false;
}

/*
 * Are the elements at a place the same one, by the key that the schema gives their arrays, if any?  One that only one
 * side has there must be nowhere in the other array.
 */
static bool
is_same_element(ElementKeys *keys, const JsonbValue *own, const JsonbValue *base, const Step *to, const Step *from)
{
	const JsonbValue *arrays[ELEMENT_DOCUMENTS] = {own, base};
	const char *other;
	const char *key = element_key(keys, arrays, &other);
	JsonbValue	names[2];

	if (key == NULL || other)
		return true;
	if (to->there && from->there)
		return element_name(&to->value, key, &names[0]) && element_name(&from->value, key, &names[1]) &&
			json_equal(&names[0], &names[1]);
	if (to->there)
		return element_name(&to->value, key, &names[0]) && !has_named(base, key, &names[0]);
	return element_name(&from->value, key, &names[1]) && !has_named(own, key, &names[1]);
}

/* Why a place of a document cannot be set to what the base has there, or removed; NULL: it can. */
static const char *
obstacle(ElementKeys *keys, const JsonbValue *document, const JsonbValue *base, JsonPointer place)
{
	Step		to = {*document, true};
	Step		from = {*base, true};
	JsonToken	token;

	while (json_pointer_next(&place, &token))
	{
		JsonbValue	own = to.value;
		JsonbValue	theirs = from.value;
		bool		in_own = to.there && json_is_array(&own);
		bool		in_base = from.there && json_is_array(&from.value);

		if (in_own != in_base)
			return "it is in an array that only one side has: name the array";
		if (to.there && !in_own && !json_is_object(&own))
			return "the destination has no object there: name what it has instead";
		step(&to, &token);
		step(&from, &token);
		if (in_own && !may_take_element(&own, &token, place.length == 0, &to, &from))
			return "not both sides have that element, and it is not the end of the array: name the array";
		if (in_own && !is_same_element(keys, &own, &theirs, &to, &from))
			return "the sides have different elements there: name the array";
	}
	return NULL;
}

/* Note a place that cannot be taken.  False: it can. */
static bool
is_refused(Only *only, const Proposal *proposal, JsonMark *const *marks, const OnlyPlace *at)
{
	const JsonbValue source = json_view(proposal->params);
	const JsonbValue own = json_view(compose_own(proposal));
	JsonbValue	found;
	const char *problem = NULL;

	if (is_claimed(proposal->params, marks[0], at->place) || is_claimed(compose_own(proposal), marks[1], at->place))
		problem = "it is not copyable, and stays the destination's";
	else if (!json_place_look_up(&source, at->place, &found) && !json_place_look_up(&own, at->place, &found))
		problem = "neither side has it";
	if (problem)
		only_complain(only, at->path, problem);
	return problem != NULL;
}

/* Take those places, in either order, of which the base has one or not. */
static Jsonb *
take_places(Only *only, const Jsonb *schema, const List *places, bool backwards, Jsonb *document, const Jsonb *base)
{
	const JsonbValue from = json_view(base);
	JsonbValue	found;
	int			count = list_length(places);

	for (int i = 0; i < count; i++)
	{
		OnlyPlace  *at = list_nth(places, backwards ? count - 1 - i : i);
		const JsonbValue own = json_view(document);
		ElementKeys keys = {.schema = schema,.documents = {document, base}};
		const char *problem;

		CHECK_FOR_INTERRUPTS();
		if (json_place_look_up(&from, at->place, &found) == backwards)
			continue;
		problem = obstacle(&keys, &own, &from, at->place);
		if (problem)
			only_complain(only, at->path, problem);
		else
			document = json_take_places(document, base, list_make1(&at->place));
	}
	return document;
}

/*
 * The destination's own params with the named places as the base has them, where the proposal's
 * params are still the source's.  What cannot be taken is noted.
 */
Jsonb *
compose_only(const Proposal *proposal, const Jsonb *base, Only *only)
{
	const Jsonb *variables[2] = {proposal->parameters, proposal->source_parameters};
	JsonMark   *marks[2];
	List	   *places = NIL;
	Jsonb	   *document = compose_own_over_preset(proposal);
	ListCell   *cell;

	if (only->places == NIL)
		return document;
	marks[0] = compose_noncopyable(proposal->params, proposal->schema, variables);
	marks[1] = compose_noncopyable(compose_own(proposal), proposal->schema, variables);
	foreach(cell, only->places)
		if (!is_refused(only, proposal, marks, lfirst(cell)))
			places = lappend(places, lfirst(cell));
	/* the last elements go first, and come last */
	document = take_places(only, proposal->schema, places, true, document, base);
	return take_places(only, proposal->schema, places, false, document, base);
}
