/*
 * apply_patch.c: JSON Patch, RFC 6902, applied.
 *
 * Reads the operations and carries them out one after the other on an edit.
 * An error names the operation and its paths, never a value: either document
 * may hold secrets.  So that a test does not tell either, a patch can be tried
 * on a document whose secrets are blinded: see json_try_patch.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/edit.h"
#include "json/patch.h"
#include "json/reader.h"

PG_FUNCTION_INFO_V1(promote_jsonb_apply_patch);

/* Of a path, or of what is in its place, this many bytes are shown. */
#define SHOWN 200

typedef struct Operation Operation;

/* What there is to do, and which members it needs besides "path". */
typedef struct OperationKind
{
	const char *name;
	bool		needs_value;
	bool		needs_from;
	bool		moves_elements; /* of an array that its path leads into? */
	void		(*apply) (JsonEdit *edit, const Operation *operation);
} OperationKind;

/* One operation. */
struct Operation
{
	uint32		number;			/* its ordinal in the patch */
	JsonbValue	view;
	const OperationKind *kind;
	JsonPointer path;
	JsonPointer from;
	JsonbValue	value;
	const char *blind;			/* in the place of secrets, where it is only tried; NULL */
};

static const char hint_malformed[] = "RFC 6902 describes the operations and RFC 6901 the paths; jsonb_diff_patch makes patches.";
static const char hint_place[] = "The patch was made for another document, or an earlier operation is missing.";

/* A text for a message, clipped; palloc'd. */
static char *
shown(const char *text, int length)
{
	if (length <= SHOWN)
		return pnstrdup(text, length);
	return psprintf("%.*s...", pg_mbcliplen(text, length, SHOWN), text);
}

/* How a message begins that is about an operation: its number, name and path. */
static char *
title(const Operation *operation)
{
	JsonbValue	path;

	if (operation->kind == NULL)
		return psprintf("Operation %u", operation->number);
	if (!json_find(&operation->view, "path", &path) || path.type != jbvString)
		return psprintf("Operation %u (%s)", operation->number, operation->kind->name);
	return psprintf("Operation %u (%s \"%s\")", operation->number, operation->kind->name,
					shown(path.val.string.val, path.val.string.len));
}

/* Refuse the patch because of an operation; what is wrong with it, and a hint. */
pg_noreturn static void
refuse(const Operation *operation, const char *wrong, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("the patch cannot be applied"),
			 errdetail("%s: %s.", title(operation), wrong),
			 errhint("%s", hint)));
}

/* Refuse an operation because of where a pointer leads. */
pg_noreturn static void
refuse_place(const Operation *operation, const JsonPointer *pointer, const JsonPlace *place)
{
	static const char *const wrong[] = {
		[JSON_PLACE_FREE] = "there is nothing at \"%s\"",
		[JSON_PLACE_NO_PARENT] = "there is nothing at \"%s\"",
		[JSON_PLACE_IN_SCALAR] = "what is at \"%s\" is neither an object nor an array",
		[JSON_PLACE_NO_INDEX] = "\"%s\" leads into an array and does not end in an index",
		[JSON_PLACE_PAST_END] = "\"%s\" is past the end of the array"
	};
	char	   *where = shown(pointer->rest, place->rest - pointer->rest);

	refuse(operation, psprintf(wrong[place->state], where), hint_place);
}

/* Find the value that a pointer leads to. */
static void
locate_value(JsonEdit *edit, const Operation *operation, const JsonPointer *pointer,
			 JsonPlace *place)
{
	json_edit_locate(edit, *pointer, place);
	if (place->state != JSON_PLACE_TAKEN)
		refuse_place(operation, pointer, place);
}

/* Put a node where the path leads, be there something or not. */
static void
put(JsonEdit *edit, const Operation *operation, JsonNode *node)
{
	JsonPlace	place;

	json_edit_locate(edit, operation->path, &place);
	if (place.state != JSON_PLACE_TAKEN && place.state != JSON_PLACE_FREE)
		refuse_place(operation, &operation->path, &place);
	json_edit_put(edit, &place, node);
}

/* RFC 6902, 4.1 */
static void
apply_add(JsonEdit *edit, const Operation *operation)
{
	put(edit, operation, json_node_of(&operation->value));
}

/* 4.2; a document must go on to be one, so that its root stays. */
static void
apply_remove(JsonEdit *edit, const Operation *operation)
{
	JsonPlace	place;

	locate_value(edit, operation, &operation->path, &place);
	if (place.container == NULL)
		refuse(operation, "the document as a whole cannot be removed",
			   "Replace it: {\"op\": \"replace\", \"path\": \"\", \"value\": null}.");
	json_node_drop(json_edit_take(edit, &place));
}

/* 4.3 */
static void
apply_replace(JsonEdit *edit, const Operation *operation)
{
	JsonPlace	place;

	locate_value(edit, operation, &operation->path, &place);
	json_edit_replace(edit, &place, json_node_of(&operation->value));
}

/* 4.4 */
static void
apply_move(JsonEdit *edit, const Operation *operation)
{
	JsonPlace	place;

	locate_value(edit, operation, &operation->from, &place);
	if (operation->from.length == operation->path.length &&
		json_pointer_covers(&operation->from, &operation->path))
		return;
	if (json_pointer_covers(&operation->from, &operation->path))
		refuse(operation, "a value cannot be moved into itself",
			   "Copy it, or move it to a place outside of it first.");
	put(edit, operation, json_edit_take(edit, &place));
}

/* 4.5 */
static void
apply_copy(JsonEdit *edit, const Operation *operation)
{
	JsonPlace	place;

	locate_value(edit, operation, &operation->from, &place);
	put(edit, operation, json_edit_share(edit, &place));
}

/* 4.6 */
static void
apply_test(JsonEdit *edit, const Operation *operation)
{
	JsonPlace	place;

	locate_value(edit, operation, &operation->path, &place);
	if (operation->blind && json_edit_holds(edit, &place, operation->blind))
		refuse(operation, "a value there is sensitive, and is not compared",
			   "Test another place, such as the name of what has the value.");
	if (!operation->blind && !json_edit_equals(edit, &place, &operation->value))
		refuse(operation, "the value there is not the one that is expected",
			   "The document has changed since the patch was made; make the patch anew.");
}

static const OperationKind kinds[] = {
	{"add", true, false, true, apply_add},
	{"remove", false, false, true, apply_remove},
	{"replace", true, false, false, apply_replace},
	{"move", false, true, true, apply_move},
	{"copy", false, true, true, apply_copy},
	{"test", true, false, false, apply_test}
};

/* Take the operation's kind. */
static void
read_kind(Operation *operation)
{
	JsonbValue	name;

	if (!json_find(&operation->view, "op", &name) || name.type != jbvString)
		refuse(operation, "it has no string \"op\"", hint_malformed);
	for (int i = 0; i < lengthof(kinds); i++)
		if (json_string_is(&name, kinds[i].name))
			operation->kind = &kinds[i];
	if (operation->kind == NULL)
		refuse(operation, psprintf("there is no \"op\" named \"%s\"",
								   shown(name.val.string.val, name.val.string.len)),
			   "Operations are add, remove, replace, move, copy and test.");
}

/* Take one of the operation's pointers. */
static void
read_pointer(const Operation *operation, const char *member, JsonPointer *pointer)
{
	JsonbValue	text;

	if (!json_find(&operation->view, member, &text) || text.type != jbvString)
		refuse(operation, psprintf("it has no string \"%s\"", member), hint_malformed);
	if (!json_pointer_init(pointer, text.val.string.val, text.val.string.len))
		refuse(operation, psprintf("its \"%s\" is not a JSON Pointer", member),
			   "A pointer is empty or begins with /; in a key, ~ is written ~0 and / is written ~1.");
}

/* Read an operation from its view. */
static void
read_operation(Operation *operation)
{
	if (!json_is_object(&operation->view))
		refuse(operation, "it is not an object", hint_malformed);
	read_kind(operation);
	read_pointer(operation, "path", &operation->path);
	if (operation->kind->needs_from)
		read_pointer(operation, "from", &operation->from);
	if (operation->kind->needs_value && !json_find(&operation->view, "value", &operation->value))
		refuse(operation, "it has no \"value\"", hint_malformed);
}

/*
 * Refuse to make a document larger than jsonb can be: copies cost nothing
 * before the document is written, and each can double it.
 */
static void
check_size(const JsonEdit *edit, const Operation *operation)
{
	if (json_edit_size(edit) > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the patch makes the document too large"),
				 errdetail("%s makes it larger than %u bytes.", title(operation), JENTRY_OFFLENMASK),
				 errhint("Look for operations that copy a value into itself.")));
}

/* The document with a patch applied or tried, in the current memory context. */
static Jsonb *
apply_patch(const Jsonb *document, const Jsonb *patch, const char *blind)
{
	JsonEdit	edit;

	json_edit_init(&edit, document);
	json_foreach_in(item, &patch->root)
	{
		Operation	operation = {.number = item.index,.view = item.value,.blind = blind};

		CHECK_FOR_INTERRUPTS();
		read_operation(&operation);
		operation.kind->apply(&edit, &operation);
		check_size(&edit, &operation);
	}
	return json_edit_finish(&edit);
}

/* Refuse what is no array to be a patch. */
static void
require_array(const Jsonb *patch)
{
	if (!json_is_patch(patch))
		ereport(ERROR,
				(errcode(PM_CANNOT_PATCH),
				 errmsg("the patch cannot be applied"),
				 errdetail("It is not an array of operations."),
				 errhint("For a JSON Merge Patch (RFC 7396) use jsonb_merge_patch.")));
}

/* The document that a JSON Patch (RFC 6902), an array, makes of another, in the current memory context. */
Jsonb *
json_apply_patch(const Jsonb *document, const Jsonb *patch)
{
	return apply_patch(document, patch, NULL);
}

/*
 * What a JSON Patch makes of a document in which a string stands for each secret.  A test of what
 * holds one is refused, and all others hold: whether they do is for the document itself to say.
 */
Jsonb *
json_try_patch(const Jsonb *document, const Jsonb *patch, const char *blind)
{
	return apply_patch(document, patch, blind);
}

/*
 * The place that an operation changes which has one as its path: where elements come and go, the array, which is added
 * to arrays.
 */
static JsonPointer *
changed_place(const OperationKind *kind, const JsonPointer *path, List **arrays)
{
	JsonPointer *place = palloc(sizeof(JsonPointer));
	const char *end = path->rest + path->length;
	JsonToken	last;
	uint32		index;

	*place = *path;
	if (path->length == 0)
		return place;
	while (*--end != '/')
		;
	last = (JsonToken) {end + 1, path->rest + path->length - (end + 1)};
	/* the patch alone says it: what is there may be an object with such a key, and is named as a whole as well */
	if (kind->moves_elements && json_token_index(&last, 0, &index))
	{
		place->length = end - path->rest;
		*arrays = lappend(*arrays, place);
	}
	return place;
}

/*
 * The places that a patch, which can be applied, changes whatever the document: a list of JsonPointer *.
 * Arrays whose elements come and go are added to another list as well.
 */
List *
json_patch_places(const Jsonb *patch, List **arrays)
{
	List	   *places = NIL;

	json_foreach_in(item, &patch->root)
	{
		Operation	operation = {.number = item.index,.view = item.value};

		CHECK_FOR_INTERRUPTS();
		read_operation(&operation);
		if (operation.kind->apply == apply_test)
			continue;
		places = lappend(places, changed_place(operation.kind, &operation.path, arrays));
		if (operation.kind->apply == apply_move)
			places = lappend(places, changed_place(operation.kind, &operation.from, arrays));
	}
	return places;
}

/* promote.jsonb_apply_patch(document jsonb, patch jsonb) returns jsonb */
Datum
promote_jsonb_apply_patch(PG_FUNCTION_ARGS)
{
	Jsonb	   *patch = PG_GETARG_JSONB_P(1);

	require_array(patch);
	PG_RETURN_JSONB_P(json_apply_patch(PG_GETARG_JSONB_P(0), patch));
}
