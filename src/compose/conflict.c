/*
 * conflict.c: the conflicts of a merge: showing them, and refusing them.
 *
 * Their values are masked like all that is shown: by the marks that their
 * places have in any of the three documents, and wherever a value is, or
 * holds, one that is marked.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/refusal.h"
#include "base/result.h"
#include "compose/merge.h"
#include "compose/overrides.h"
#include "json/builder.h"
#include "json/limits.h"
#include "json/writer.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_merge_params);
PG_FUNCTION_INFO_V1(promote_merge_conflicts);

/* How many bytes of a value a refusal shows. */
#define SHOWN_BYTES 200

/* ---- showing ---- */

/*
 * What becomes of a part of the release, which is one text; base is NULL where there was none.  If
 * both sides have changed it, that is added to the conflicts, and stays the destination's unless
 * the choice decides otherwise.
 */
const char *
merge_text(List **conflicts, const char *path, const char *base, const char *source, const char *destination,
		   MergeChoice choice)
{
	const char *const texts[MERGE_SIDES] = {base, source, destination};
	MergeConflict *conflict;

	if (strcmp(source, destination) == 0 || (base && strcmp(base, source) == 0))
		return destination;
	if (base && strcmp(base, destination) == 0)
		return source;
	conflict = palloc0(sizeof(MergeConflict));
	conflict->path = path;
	conflict->open = choice == MERGE_CHOOSE_NONE;
	for (int i = 0; i < MERGE_SIDES; i++)
		conflict->texts[i] = texts[i] ? json_from_text(texts[i]) : NULL;
	*conflicts = lappend(*conflicts, conflict);
	return choice == MERGE_CHOOSE_SOURCE ? source : destination;
}

/* What of a merge must not be seen: by all that is known of a proposal, and by the base. */
Mask *
merge_mask(const Merge *merge, const Proposal *proposal, const MergeBase *base)
{
	Mask	   *mask = compose_mask(proposal);

	mask_add_schema(mask, base->schema);
	mask_add_both(mask, base->params, proposal->parameters, base->kept);
	mask_add_both(mask, base->params, proposal->source_parameters, base->kept);
	for (int i = 0; i < MERGE_SIDES; i++)
		mask_add_origin(mask, merge->documents[i], NULL);
	return mask;
}

/* A conflict's value in one of the documents, with its marks. */
typedef struct Shown
{
	bool		found;
	JsonbValue	value;
	const JsonMark *marks;
} Shown;

/* Mask a value that the documents have there, by the marks that any of them has at its places. */
static Jsonb *
show_value(Mask *mask, const JsonbValue *value, const Shown *all, uint32 flags)
{
	JsonMarkFrame root = {NULL, 0, 0, NULL};

	if (flags & SCHEMA_SENSITIVE)
		json_mark_set(&root, SCHEMA_SENSITIVE);
	else
		for (int i = 0; i < MERGE_SIDES; i++)
			if (all[i].found)
				json_mark_unite(&root, value, &all[i].value, all[i].marks);
	return mask_value(mask, value, root.node);
}

/* The three values of a conflict as they are shown; NULL where a document has none. */
void
merge_show(Merge *merge, Mask *mask, const MergeConflict *conflict, Jsonb *shown[MERGE_SIDES])
{
	Shown		all[MERGE_SIDES];
	uint32		flags = 0;

	if (conflict->texts[MERGE_SOURCE])
	{
		for (int i = 0; i < MERGE_SIDES; i++)
			shown[i] = unconstify(Jsonb *, conflict->texts[i]);
		return;
	}
	for (int i = 0; i < MERGE_SIDES && !merge->is_marked; i++)
		merge->marks[i] = mask_marks(mask, merge->documents[i]);
	merge->is_marked = true;
	for (int i = 0; i < MERGE_SIDES; i++)
	{
		uint32		own = 0;

		all[i].found = conflict->paths[i] &&
			mask_find(merge->documents[i], merge->marks[i], conflict->paths[i], &all[i].value, &all[i].marks, &own);
		flags |= own;
	}
	for (int i = 0; i < MERGE_SIDES; i++)
		shown[i] = all[i].found ? show_value(mask, &all[i].value, all, flags) : NULL;
}

/* ---- refusing ---- */

/* A value as text, cut where it is long. */
static char *
value_text_cut(const Jsonb *value)
{
	char	   *text;
	int			length;

	if (value == NULL)
		return pstrdup("missing");
	text = JsonbToCString(NULL, &unconstify(Jsonb *, value)->root, VARSIZE(value));
	length = strlen(text);
	if (length <= SHOWN_BYTES)
		return text;
	return psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, length, SHOWN_BYTES)));
}

/* The conflicts that are open, a line each, and the items of the lines. */
static char *
conflict_lines(Merge *merge, Mask *mask, RefusalItems *items)
{
	StringInfoData lines;
	ListCell   *cell;

	initStringInfo(&lines);
	foreach(cell, merge->conflicts)
	{
		const MergeConflict *conflict = lfirst(cell);
		Jsonb	   *shown[MERGE_SIDES];
		char	   *texts[MERGE_SIDES];

		CHECK_FOR_INTERRUPTS();
		if (!conflict->open)
			continue;
		merge_show(merge, mask, conflict, shown);
		for (int i = 0; i < MERGE_SIDES; i++)
			texts[i] = value_text_cut(shown[i]);
		appendStringInfo(&lines, "%s%s: base %s, source %s, destination %s", lines.len > 0 ? "\n" : "", conflict->path,
						 texts[MERGE_BASE], texts[MERGE_SOURCE], texts[MERGE_DESTINATION]);
		refusal_item(items, "path", conflict->path, "base", texts[MERGE_BASE], "source", texts[MERGE_SOURCE],
					 "destination", texts[MERGE_DESTINATION]);
	}
	return lines.data;
}

/* Refuse arrays whose elements cannot be told apart. */
static void
require_keys(const Merge *merge)
{
	StringInfoData lines;
	RefusalItems items = {.count = 0};
	ListCell   *cell;

	if (merge->problems == NIL)
		return;
	initStringInfo(&lines);
	foreach(cell, merge->problems)
	{
		const MergeProblem *problem = lfirst(cell);

		appendStringInfo(&lines, "%s%s: %s", lines.len > 0 ? "\n" : "", problem->path, problem->message);
		refusal_item(&items, "path", problem->path, "message", problem->message);
	}
	ereport(ERROR,
			(errcode(PM_CANNOT_PATCH),
			 errmsg("arrays cannot be merged by their elements"),
			 errdetail_items(lines.data, "violations", &items),
			 errhint("Give each element a key of its own, or set the array by overrides.")));
}

/*
 * Refuse a merge with arrays whose elements cannot be told apart
 * (PM_CANNOT_PATCH), or with conflicts that are open (PM_CONFLICT).  instance
 * is the destination's name, NULL where it has none.
 */
void
merge_require(Merge *merge, Mask *mask, const char *instance)
{
	RefusalItems items = {.count = 0};
	char	   *lines;

	require_keys(merge);
	lines = conflict_lines(merge, mask, &items);
	if (lines[0] == '\0')
		return;
	ereport(ERROR,
			(errcode(PM_CONFLICT),
			 instance ? errmsg("\"%s\" and its source have changed the same values since they were merged last", instance) :
			 errmsg("source and destination have changed the same values"),
			 errdetail_items(lines, "conflicts", &items),
			 errhint("Set what is named above by overrides, or pass on_conflict => 'source' or 'destination'.")));
}

/* Would merge_require refuse the merge? */
bool
merge_is_open(const Merge *merge)
{
	ListCell   *cell;

	foreach(cell, merge->conflicts)
		if (((const MergeConflict *) lfirst(cell))->open)
			return true;
	return merge->problems != NIL;
}

/* ---- functions ---- */

const char *const merge_choices[] = {
	[MERGE_CHOOSE_SOURCE] = "source",[MERGE_CHOOSE_DESTINATION] = "destination", NULL
};

/* Who wins, by what a caller says; NULL is nobody.  Raises PM_INVALID_ARGUMENT. */
MergeChoice
merge_choice(const char *on_conflict)
{
	MergeChoice choice = MERGE_CHOOSE_SOURCE;

	if (on_conflict == NULL)
		return MERGE_CHOOSE_NONE;
	while (merge_choices[choice] && strcmp(on_conflict, merge_choices[choice]) != 0)
		choice++;
	if (merge_choices[choice])
		return choice;
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a way to decide conflicts"),
			 errdetail("on_conflict is neither 'source' nor 'destination'."),
			 errhint("Pass one of them, or leave it out to have conflicts refused.")));
}

/* An argument that must be an object within the limits. */
static Jsonb *
get_params(FunctionCallInfo fcinfo, int argument, const char *what)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(argument);

	json_check_params(document, what);
	return document;
}

/* Take the arguments (base jsonb, source jsonb, destination jsonb, schema jsonb). */
static void
get_documents(FunctionCallInfo fcinfo, Proposal *proposal, MergeBase *base)
{
	*base = (MergeBase) {get_params(fcinfo, 0, "base params")};
	*proposal = (Proposal) {.params = get_params(fcinfo, 1, "source params")};
	proposal->source_params = proposal->params;
	proposal->own_params = get_params(fcinfo, 2, "destination params");
	proposal->schema = PG_GETARG_JSONB_P(3);
}

/*
 * promote.merge_params(base jsonb, source jsonb, destination jsonb, schema jsonb, overrides jsonb,
 * on_conflict text) returns jsonb
 */
Datum
promote_merge_params(PG_FUNCTION_ARGS)
{
	Proposal	proposal;
	MergeBase	base;
	Merge	   *merge;
	Jsonb	   *overrides;
	Jsonb	   *result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	get_documents(fcinfo, &proposal, &base);
	overrides = overrides_argument(fcinfo, 4);
	merge = compose_merge(&proposal, &base, overrides, merge_choice(argument_text(fcinfo, 5)));
	merge_require(merge, merge_mask(merge, &proposal, &base), NULL);
	result = compose_overrides(&proposal, merge->params, overrides);
	json_check_params(result, "merged params");
	PG_RETURN_JSONB_P(result);
}

/*
 * promote.merge_conflicts(base jsonb, source jsonb, destination jsonb, schema jsonb)
 * returns table(path text, base_value jsonb, source_value jsonb, destination_value jsonb)
 */
Datum
promote_merge_conflicts(PG_FUNCTION_ARGS)
{
	Proposal	proposal;
	MergeBase	base;
	Merge	   *merge;
	Mask	   *mask;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	get_documents(fcinfo, &proposal, &base);
	merge = compose_merge(&proposal, &base, json_empty_object(), MERGE_CHOOSE_NONE);
	mask = merge_mask(merge, &proposal, &base);
	require_keys(merge);
	foreach(cell, merge->conflicts)
	{
		const MergeConflict *conflict = lfirst(cell);
		Jsonb	   *shown[MERGE_SIDES];

		CHECK_FOR_INTERRUPTS();
		merge_show(merge, mask, conflict, shown);
		result_put(fcinfo, AS_TEXT(conflict->path), AS_JSONB(shown[MERGE_BASE]), AS_JSONB(shown[MERGE_SOURCE]),
				   AS_JSONB(shown[MERGE_DESTINATION]));
	}
	return (Datum) 0;
}
