/*
 * choice.c: what of a source is promoted.
 *
 * The arguments that say so stand in one row in all functions that promote, are judged here, and
 * written down here for what has to recognize or repeat a call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/sql.h"
#include "json/number.h"
#include "json/reader.h"
#include "parse/name.h"
#include "promotion/choice.h"

#define MAX_PLACES 1000			/* that may be named */

const char *const source_states[] = {
	[SOURCE_DESIRED] = "desired",[SOURCE_RUNNING] = "running", NULL
};

/* The arguments, counted from the first of them. */
enum ChoiceArgument
{
	ONLY, SOURCE_REVISION, SOURCE_STATE, EXPECTED_SOURCE_REVISION, FILLING, MODE = FILLING + 2
};

/* Refuse an argument for a reason, a sentence. */
pg_noreturn static void
refuse_choice(const char *what, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("%s", what),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* Refuse to decide conflicts where the mode, that of the call or else of the environment, knows none. */
void
choice_check_mode(const Choice *choice, PromotionMode mode)
{
	if (mode == MODE_REPLACE && choice->on_conflict != MERGE_CHOOSE_NONE)
		refuse_choice("on_conflict decides nothing", choice->mode == MODE_REPLACE ?
					  "The mode of the call is replace, which knows no conflicts." :
					  "The promotion_mode of the destination's environment is replace, which knows no conflicts.",
					  "Pass mode => 'merge', or leave on_conflict out.");
}

/* The elements of an array of names: a list of char *. */
static List *
take_names(ArrayType *array)
{
	Datum	   *names;
	bool	   *nulls;
	int			count;
	List	   *list = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	if (ARR_NDIM(array) > 1 || count == 0 || count > MAX_PLACES)
		refuse_choice("invalid \"only\"", psprintf("It is not an array of 1 to %d places.", MAX_PLACES),
					  "Name places as previews print them, such as .image, and release; or leave it out to promote everything.");
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			refuse_choice("invalid \"only\"", psprintf("Element %d is null.", i + 1), "Name a place.");
		list = lappend(list, TextDatumGetCString(names[i]));
	}
	return list;
}

/* A revision's number, which may be left out: 0. */
static int32
take_revision(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int32		revision = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);

	if (!PG_ARGISNULL(argument) && revision < 1)
		refuse_choice(psprintf("invalid %s", name), psprintf("It is %d, and revisions are numbered from 1.", revision),
					  "Pass the number of a revision of the source, or leave it out.");
	return revision;
}

/* Take the two arguments that say what fills in what would be missing: a preset's name, and whether defaults do. */
void
choice_take_filling(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	choice->preset = argument_text(fcinfo, first);
	choice->fill_defaults = argument_bool(fcinfo, first + 1, false);
}

/* Take the argument that names places, which may be left out: NULL. */
static Only *
take_only(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : only_read(take_names(PG_GETARG_ARRAYTYPE_P(argument)));
}

/* Take the argument that names a state of the source. */
static SourceState
take_state(FunctionCallInfo fcinfo, int argument)
{
	char	   *word = argument_text(fcinfo, argument);
	SourceState state = word ? sql_enum(source_states, word) : SOURCE_DESIRED;

	if (state == SOURCE_UNKNOWN)
		refuse_choice("invalid source_state", psprintf("\"%s\" is neither desired nor running.", word),
					  "Pass one of them, or leave it out for what the source desires.");
	return state;
}

/* Take the argument that says which state of the sources is taken. */
void
choice_take_state(FunctionCallInfo fcinfo, int argument, Choice *choice)
{
	choice->source_state = take_state(fcinfo, argument);
}

/* Take the two arguments that say how to go about what the destination has changed itself. */
static void
take_mode(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	char	   *mode = argument_text(fcinfo, first);

	choice->mode = mode ? sql_enum(promotion_modes, mode) : MODE_UNKNOWN;
	if (mode && choice->mode == MODE_UNKNOWN)
		refuse_choice("invalid mode", "It is neither replace nor merge.",
					  "Pass one of them, or leave it out for what the destination's environment says.");
	choice->on_conflict = merge_choice(argument_text(fcinfo, first + 1));
	if (choice->mode == MODE_REPLACE)
		choice_check_mode(choice, MODE_REPLACE);
}

/* Take the arguments, of which the first has that number. */
void
choice_take(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	*choice = (Choice) {
		.source_revision = take_revision(fcinfo, first + SOURCE_REVISION, "source_revision"),
		.source_state = take_state(fcinfo, first + SOURCE_STATE),
		.expected_source_revision = take_revision(fcinfo, first + EXPECTED_SOURCE_REVISION, "expected_source_revision")
	};
	choice_take_filling(fcinfo, first + FILLING, choice);
	take_mode(fcinfo, first + MODE, choice);
	if (choice->source_revision && choice->source_state == SOURCE_RUNNING)
		refuse_choice("invalid source_state", "What the source runs is asked for, and source_revision as well.",
					  "Pass one of them.");
	choice->only = take_only(fcinfo, first + ONLY);
}

/*
 * Take the arguments that can say one thing of many sources, of which the first has that number: places, a
 * state, what fills in what would be missing, and how to go about what the destination has changed itself.
 */
void
choice_take_shared(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	*choice = (Choice) {
		.only = take_only(fcinfo, first),
		.source_state = take_state(fcinfo, first + 1)
	};
	choice_take_filling(fcinfo, first + 2, choice);
	take_mode(fcinfo, first + 4, choice);
}

/* Are constraint and channel taken from the source? */
bool
choice_has_release(const Choice *choice)
{
	return choice->only == NULL || choice->only->release;
}

/* Note the names of a kind that are not asked to be copied. */
static void
complain_of(Only *only, const char *kind, const List *names, const char *argument)
{
	ListCell   *cell;

	foreach(cell, names)
		only_complain(only, psprintf("%s %s", kind, (char *) lfirst(cell)), psprintf("it is copied with %s => true", argument));
}

/* Refuse what contradicts the other arguments of a promotion to a destination. */
void
choice_check(const Choice *choice, const char *destination, bool pin, bool secrets, bool references)
{
	Only	   *only = choice->only;

	if (only == NULL)
		return;
	if (pin && !only->release)
		refuse_choice(psprintf("\"%s\" cannot be pinned", destination), "\"only\" leaves the release out, and so the destination's constraint stays.",
					  "Name " ONLY_RELEASE " as well, or leave pin out.");
	if (secrets && only->secrets == NIL)
		refuse_choice(psprintf("no secret can be copied to \"%s\"", destination), "The call has copy_secrets, and \"only\" names no secret.",
					  "Name those to be copied, as secret NAME, or leave copy_secrets out.");
	if (references && only->references == NIL)
		refuse_choice(psprintf("no remote reference can be copied to \"%s\"", destination),
					  "The call has copy_remote_references, and \"only\" names no reference.",
					  "Name those to be copied, as reference NAME, or leave copy_remote_references out.");
	if (!secrets)
		complain_of(only, "secret", only->secrets, "copy_secrets");
	if (!references)
		complain_of(only, "reference", only->references, "copy_remote_references");
}

/* Write what was chosen into the object that is open: only what was asked for. */
void
choice_write(JsonBuilder *builder, const Choice *choice)
{
	if (choice->only)
		json_build_strings(builder, "only", choice->only->names);
	if (choice->source_revision)
		json_build_number(builder, "source_revision", choice->source_revision);
	if (choice->source_state == SOURCE_RUNNING)
		json_build_field(builder, "source_state", source_states[SOURCE_RUNNING]);
	if (choice->expected_source_revision)
		json_build_number(builder, "expected_source_revision", choice->expected_source_revision);
	if (choice->preset)
		json_build_field(builder, "preset", choice->preset);
	if (choice->fill_defaults)
		json_build_flag(builder, "fill_defaults", true);
	if (choice->mode != MODE_UNKNOWN)
		json_build_field(builder, "mode", promotion_modes[choice->mode]);
	if (choice->on_conflict != MERGE_CHOOSE_NONE)
		json_build_field(builder, "on_conflict", merge_choices[choice->on_conflict]);
}

/* What was chosen, as an object: an empty one for everything that the source desires. */
Jsonb *
choice_document(const Choice *choice)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	choice_write(&builder, choice);
	return json_builder_finish(&builder);
}

/* ---- reading objects ---- */

/* Reads a value into a choice; NULL: the default.  Returns why it cannot be, with "it"; NULL: it can. */
typedef const char *(*ChoiceReader) (const JsonbValue *value, Choice *choice);

/* Read places that are named alone.  A ChoiceReader. */
static const char *
read_only(const JsonbValue *value, Choice *choice)
{
	List	   *names = NIL;

	choice->only = NULL;
	if (value == NULL)
		return NULL;
	if (!json_is_array(value) || json_count(value) == 0 || json_count(value) > MAX_PLACES)
		return psprintf("it is not an array of 1 to %d places", MAX_PLACES);
	json_foreach(name, value)
	{
		if (name.value.type != jbvString)
			return psprintf("element %u of it is not a string", name.index + 1);
		names = lappend(names, pnstrdup(name.value.val.string.val, name.value.val.string.len));
	}
	choice->only = only_read(names);
	return NULL;
}

/* Read a revision's number. */
static const char *
read_revision(const JsonbValue *value, int32 *revision)
{
	*revision = value ? json_whole_number(value) : 0;
	return value && *revision == 0 ? "it is not the number of a revision" : NULL;
}

/* Read which revision of the source is taken.  A ChoiceReader. */
static const char *
read_source_revision(const JsonbValue *value, Choice *choice)
{
	return read_revision(value, &choice->source_revision);
}

/* Read which revision of the source is expected.  A ChoiceReader. */
static const char *
read_expected_source_revision(const JsonbValue *value, Choice *choice)
{
	return read_revision(value, &choice->expected_source_revision);
}

/* A text of its own of a string; NULL: the value is no string. */
static char *
string_of(const JsonbValue *value)
{
	return value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

/* Read a state of the source.  A ChoiceReader. */
static const char *
read_source_state(const JsonbValue *value, Choice *choice)
{
	char	   *word = value ? string_of(value) : NULL;

	choice->source_state = word ? sql_enum(source_states, word) : value ? SOURCE_UNKNOWN : SOURCE_DESIRED;
	return choice->source_state == SOURCE_UNKNOWN ? "it is neither desired nor running" : NULL;
}

/* Read the name of a preset.  A ChoiceReader. */
static const char *
read_preset(const JsonbValue *value, Choice *choice)
{
	choice->preset = value ? string_of(value) : NULL;
	return value && choice->preset == NULL ? "it is not a name" : NULL;
}

/* Read whether defaults fill in.  A ChoiceReader. */
static const char *
read_fill_defaults(const JsonbValue *value, Choice *choice)
{
	choice->fill_defaults = value && value->type == jbvBool && value->val.boolean;
	return value && value->type != jbvBool ? "it is neither true nor false" : NULL;
}

/* Read how to go about what the destination has changed itself.  A ChoiceReader. */
static const char *
read_mode(const JsonbValue *value, Choice *choice)
{
	char	   *word = value ? string_of(value) : NULL;

	choice->mode = word ? sql_enum(promotion_modes, word) : MODE_UNKNOWN;
	return value && choice->mode == MODE_UNKNOWN ? "it is neither replace nor merge" : NULL;
}

/* Read who wins where both have changed the same.  A ChoiceReader. */
static const char *
read_on_conflict(const JsonbValue *value, Choice *choice)
{
	char	   *word = value ? string_of(value) : NULL;

	choice->on_conflict = word ? sql_enum(merge_choices, word) : MERGE_CHOOSE_NONE;
	return value && choice->on_conflict == MERGE_CHOOSE_NONE ? "it is neither source nor destination" : NULL;
}

/* The keys of an object that says what is chosen: the names of the arguments. */
static const struct
{
	const char *name;
	ChoiceReader read;
}			choice_keys[] = {
	{"only", read_only},
	{"source_revision", read_source_revision},
	{"source_state", read_source_state},
	{"expected_source_revision", read_expected_source_revision},
	{"preset", read_preset},
	{"fill_defaults", read_fill_defaults},
	{"mode", read_mode},
	{"on_conflict", read_on_conflict}
};

/* Read one field of an object into a choice, JSON null as the default.  Returns why not; NULL: it is read. */
static const char *
read_field(const JsonChild *field, Choice *choice)
{
	for (int i = 0; i < lengthof(choice_keys); i++)
		if (json_string_is(&field->key, choice_keys[i].name))
			return choice_keys[i].read(field->value.type == jbvNull ? NULL : &field->value, choice);
	return "nothing of that name can be chosen";
}

/*
 * Read what an object says, on top of what was chosen before: a key of it wins, with null for the
 * default, and a revision of the source also over a state that was chosen before, and replacing over
 * who wins in a merge.  Notes what cannot be read, a line each that begins with whose object it is.
 */
void
choice_read(const Jsonb *object, const char *whose, Choice *choice, StringInfo problems)
{
	JsonbValue	value;

	if (json_find_in(object, "source_revision", &value) && value.type != jbvNull)
		choice->source_state = SOURCE_DESIRED;
	if (json_find_in(object, "mode", &value) && json_string_is(&value, promotion_modes[MODE_REPLACE]))
		choice->on_conflict = MERGE_CHOOSE_NONE;
	json_foreach_in(field, &object->root)
	{
		const char *problem = read_field(&field, choice);

		if (problem)
			appendStringInfo(problems, "%s%s: %.*s: %s", problems->len > 0 ? "\n" : "", whose,
							 field.key.val.string.len, field.key.val.string.val, problem);
	}
	if (choice->source_revision && choice->source_state == SOURCE_RUNNING)
		appendStringInfo(problems, "%s%s: source_state: what runs is asked for, and source_revision as well",
						 problems->len > 0 ? "\n" : "", whose);
}

/* Refuse what cannot be read, all of it at once. */
void
choice_require_read(StringInfo problems)
{
	List	   *names = NIL;

	for (int i = 0; i < lengthof(choice_keys); i++)
		names = lappend(names, unconstify(char *, choice_keys[i].name));
	if (problems->len > 0)
		refuse_choice("invalid choices", problems->data, psprintf("The names are %s.", names_joined(names)));
}

/* What was taken alone, as an array of text; 0: everything. */
Datum
choice_only(const Choice *choice)
{
	List	   *names = choice->only ? choice->only->names : NIL;
	Datum	   *texts;
	int			count = 0;
	ListCell   *cell;

	if (names == NIL)
		return (Datum) 0;
	texts = palloc(list_length(names) * sizeof(Datum));
	foreach(cell, names)
		texts[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}
