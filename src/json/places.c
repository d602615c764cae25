/*
 * places.c: places of documents, and documents with some places of another.
 *
 * Taking a place sets there what the other document has, or removes what it
 * has not, and touches nothing else; objects on the way are made.  Elements of
 * arrays have no name but their ordinal: where one cannot be set or removed
 * without shifting others or leaving a gap, its array is taken as a whole.
 * Taking the same again changes nothing.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "json/builder.h"
#include "json/edit.h"
#include "json/path.h"
#include "json/places.h"
#include "json/reader.h"

/* Append a key as a token. */
static void
add_token(StringInfo pointer, const char *key, int length)
{
	int			escaped = json_token_escaped_length(key, length);

	appendStringInfoChar(pointer, '/');
	enlargeStringInfo(pointer, escaped);
	json_token_escape(pointer->data + pointer->len, key, length);
	pointer->len += escaped;
	pointer->data[pointer->len] = '\0';
}

/* The place of a path as jq spells it, in the current memory context.  Refuses what is no path. */
void
json_place_of_path(const char *path, int length, JsonPointer *place)
{
	JsonPathReader reader;
	JsonPathStep step;
	StringInfoData pointer;

	initStringInfo(&pointer);
	json_path_reader_init(&reader, path, length);
	while (json_path_next(&reader, &step))
	{
		if (step.key)
			add_token(&pointer, step.key, step.length);
		else
			appendStringInfo(&pointer, "/%u", step.index);
	}
	*place = (JsonPointer) {pointer.data, pointer.len};
}

/* Take one step down from a value, with the child's ordinal; false where it leads nowhere. */
bool
json_place_step(const JsonbValue *container, const JsonToken *token, uint32 *index, JsonbValue *value)
{
	if (json_is_object(container) ? !json_find_ordinal(container, token->text, token->length, index) :
		!json_is_array(container) || !json_token_index(token, json_count(container), index) ||
		*index >= json_count(container))
		return false;
	json_view_child(container->val.binary.data, *index, value);
	return true;
}

/* The value at a place, as a view into the document; false where there is none. */
bool
json_place_look_up(const JsonbValue *root, JsonPointer place, JsonbValue *value)
{
	JsonToken	token;
	JsonbValue	at = *root;
	uint32		index;

	*value = at;
	while (json_pointer_next(&place, &token))
	{
		at = *value;
		if (!json_place_step(&at, &token, &index, value))
			return false;
	}
	return true;
}

/* Set a value at a place, whose container is there. */
static void
set_value(JsonEdit *edit, JsonPointer place, const JsonbValue *value)
{
	JsonPlace	at;

	json_edit_locate(edit, place, &at);
	if (at.state == JSON_PLACE_TAKEN)
		json_edit_replace(edit, &at, json_node_of(value));
	else
		json_edit_put(edit, &at, json_node_of(value));
}

/* Is a place that was searched for in a container of the same kind as that of the other document? */
static bool
is_within(const JsonPlace *at, const JsonbValue *container)
{
	return at->state != JSON_PLACE_NO_PARENT && at->state != JSON_PLACE_IN_SCALAR &&
		at->in_array == json_is_array(container);
}

/*
 * Make the containers that a place is in, as the other document has them.  False where that takes
 * the place with it: where there is an array, for elements have no place outside of theirs.
 */
static bool
make_containers(JsonEdit *edit, const JsonbValue *other, JsonPointer place)
{
	const JsonbValue nothing = json_view(json_empty_object());
	JsonPointer rest = place;
	JsonPointer above = {place.rest, 0};
	JsonbValue	container = *other;
	JsonbValue	below;
	JsonToken	token;
	JsonPlace	at;
	uint32		index;

	while (json_pointer_next(&rest, &token))
	{
		JsonPointer here = {place.rest, rest.rest - place.rest};

		json_edit_locate(edit, here, &at);
		if (!is_within(&at, &container) || at.state == JSON_PLACE_PAST_END)
		{
			set_value(edit, above, json_is_array(&container) ? &container : &nothing);
			if (json_is_array(&container))
				return false;
		}
		(void) json_place_step(&container, &token, &index, &below);
		container = below;
		above = here;
	}
	return true;
}

/* The place that a place is in, which is not the root. */
static JsonPointer
place_above(JsonPointer place)
{
	while (place.rest[--place.length] != '/')
		;
	return place;
}

/* Remove what is at a place that the other document has not. */
static void
remove_place(JsonEdit *edit, const JsonbValue *other, JsonPointer place)
{
	JsonbValue	array;
	JsonPlace	at;

	json_edit_locate(edit, place, &at);
	if (at.state != JSON_PLACE_TAKEN || at.container == NULL)
		return;
	if (at.in_array && !at.is_last && json_place_look_up(other, place_above(place), &array))
		set_value(edit, place_above(place), &array);
	else
		json_node_drop(json_edit_take(edit, &at));
}

/* The document with places, a list of JsonPointer *, as the other has them, in the current memory context. */
Jsonb *
json_take_places(const Jsonb *document, const Jsonb *other, const List *places)
{
	const JsonbValue root = json_view(other);
	JsonbValue	value;
	JsonEdit	edit;
	ListCell   *cell;

	json_edit_init(&edit, document);
	foreach(cell, places)
	{
		const JsonPointer *place = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (!json_place_look_up(&root, *place, &value))
			remove_place(&edit, &root, *place);
		else if (make_containers(&edit, &root, *place))
			set_value(&edit, *place, &value);
	}
	return json_edit_finish(&edit);
}
