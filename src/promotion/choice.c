/*
 * choice.c: what of a source is promoted.
 *
 * The arguments that say so stand in one row in all functions that promote, are judged here, and
 * written down here for what has to recognize or repeat a call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/sql.h"
#include "promotion/choice.h"

#define MAX_PLACES 1000			/* that may be named */

const char *const source_states[] = {
	[SOURCE_DESIRED] = "desired",[SOURCE_RUNNING] = "running", NULL
};

/* The arguments, counted from the first of them. */
enum ChoiceArgument
{
	ONLY, SOURCE_REVISION, SOURCE_STATE, EXPECTED_SOURCE_REVISION, FILLING, MODE = FILLING + 2, ON_CONFLICT
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

/* Take the arguments that say how to go about what the destination has changed itself. */
static void
take_mode(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	char	   *mode = argument_text(fcinfo, first + MODE);

	choice->mode = mode ? sql_enum(promotion_modes, mode) : MODE_UNKNOWN;
	if (mode && choice->mode == MODE_UNKNOWN)
		refuse_choice("invalid mode", "It is neither replace nor merge.",
					  "Pass one of them, or leave it out for what the destination's environment says.");
	choice->on_conflict = merge_choice(argument_text(fcinfo, first + ON_CONFLICT));
	if (choice->mode == MODE_REPLACE)
		choice_check_mode(choice, MODE_REPLACE);
}

/* Take the arguments, of which the first has that number. */
void
choice_take(FunctionCallInfo fcinfo, int first, Choice *choice)
{
	char	   *state = argument_text(fcinfo, first + SOURCE_STATE);

	*choice = (Choice) {
		.source_revision = take_revision(fcinfo, first + SOURCE_REVISION, "source_revision"),
		.source_state = state ? sql_enum(source_states, state) : SOURCE_DESIRED,
		.expected_source_revision = take_revision(fcinfo, first + EXPECTED_SOURCE_REVISION, "expected_source_revision")
	};
	choice_take_filling(fcinfo, first + FILLING, choice);
	take_mode(fcinfo, first, choice);
	if (choice->source_state == SOURCE_UNKNOWN)
		refuse_choice("invalid source_state", psprintf("\"%s\" is neither desired nor running.", state),
					  "Pass one of them, or leave it out for what the source desires.");
	if (choice->source_revision && choice->source_state == SOURCE_RUNNING)
		refuse_choice("invalid source_state", "What the source runs is asked for, and source_revision as well.",
					  "Pass one of them.");
	if (!PG_ARGISNULL(first + ONLY))
		choice->only = only_read(take_names(PG_GETARG_ARRAYTYPE_P(first + ONLY)));
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

/* Refuse what contradicts the other arguments of a promotion. */
void
choice_check(const Choice *choice, bool pin, bool secrets, bool references)
{
	Only	   *only = choice->only;

	if (only == NULL)
		return;
	if (pin && !only->release)
		refuse_choice("nothing can be pinned", "\"only\" leaves the release out, and so the destination's constraint stays.",
					  "Name " ONLY_RELEASE " as well, or leave pin out.");
	if (secrets && only->secrets == NIL)
		refuse_choice("no secret can be copied", "The call has copy_secrets, and \"only\" names no secret.",
					  "Name those to be copied, as secret NAME, or leave copy_secrets out.");
	if (references && only->references == NIL)
		refuse_choice("no remote reference can be copied", "The call has copy_remote_references, and \"only\" names no reference.",
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
