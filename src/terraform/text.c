/*
 * text.c: a diff, as readers of terraform plan know it.
 *
 *   ~ .database.instance_class  "db.t3.medium" -> "db.r6g.xlarge"
 *   + .storage.iops             3000
 *   - .backup.window            "03:00"
 *
 * Reads the diffs that compose/entry.c and terraform/change.c wrote, in which sensitive
 * values are masked already.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "base/argument.h"
#include "base/errors.h"
#include "json/reader.h"
#include "terraform/text.h"

PG_FUNCTION_INFO_V1(promote_format_diff);

#define MAX_MESSAGE 80			/* bytes of a name or message that are shown */

/* One change of a diff. */
typedef struct Change
{
	JsonbValue	path;
	JsonbValue	kind;
	bool		has_old;
	bool		has_new;
	bool		immutable;
	bool		sensitive;
	bool		unknown;
	bool		unexpected;
	int32		since;			/* 0: it is not told */
	bool		has_reverts;
	JsonbValue	reverts;		/* an object */
	JsonbValue	old_value;
	JsonbValue	new_value;
} Change;

/* Is a byte no control character? */
static inline bool
is_printable(char c)
{
	return (unsigned char) c >= 0x20 && c != 0x7f;
}

/*
 * Append a text as it may be shown: what promote wrote has no control
 * characters, but it may come from anywhere.
 */
void
append_printable(StringInfo out, const char *text, int length)
{
	for (int i = 0; i < length; i++)
		appendStringInfoChar(out, is_printable(text[i]) ? text[i] : '?');
}

/* Make a path printable, in a copy where it is not: there may be millions. */
static void
make_printable(JsonbValue *path)
{
	StringInfoData copy;

	for (int i = 0; i < path->val.string.len; i++)
		if (!is_printable(path->val.string.val[i]))
		{
			initStringInfo(&copy);
			append_printable(&copy, path->val.string.val, path->val.string.len);
			path->val.string.val = pnstrdup(copy.data, copy.len);
			pfree(copy.data);
			return;
		}
}

/* Refuse what is no diff. */
static void
refuse_diff(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a diff"),
			 errdetail("%s", detail),
			 errhint("Pass the diff of a promotion or a deployment.")));
}

/* The number of a revision.  Refuses everything else: a diff may be anybody's. */
static int32
read_revision(const JsonbValue *value)
{
	char	   *digits = value->type != jbvNumeric ? "" :
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	size_t		count = strspn(digits, "0123456789");

	if (count == 0 || count > 10 || digits[count] != '\0' || atoll(digits) > PG_INT32_MAX)
		refuse_diff("Since when an element waits is the number of a revision.");
	return atoi(digits);
}

/* Take a change apart; one that is not of the shape entry.c writes is an error. */
static void
read_change(const JsonbValue *object, Change *change)
{
	JsonbValue	since;

	if (!json_is_object(object) ||
		!json_find(object, "path", &change->path) || change->path.type != jbvString ||
		!json_find(object, "change", &change->kind) || change->kind.type != jbvString)
		refuse_diff("Every element must be an object with a path and a change.");
	make_printable(&change->path);
	change->has_old = json_find(object, "old", &change->old_value);
	change->has_new = json_find(object, "new", &change->new_value);
	change->immutable = json_flag(object, "immutable");
	change->sensitive = json_flag(object, "sensitive");
	change->unknown = json_flag(object, "unknown");
	change->unexpected = json_flag(object, "unexpected");
	change->since = json_find(object, "since", &since) ? read_revision(&since) : 0;
	change->has_reverts = json_find(object, "reverts", &change->reverts);
	if (change->has_reverts && !json_is_object(&change->reverts))
		refuse_diff("What an element reverts is an object with a revision.");
}

/* Width of a path on a terminal. */
static int
path_width(const JsonbValue *path)
{
	const char *at = path->val.string.val;
	const char *end = at + path->val.string.len;
	int			width = 0;

	while (at < end)
	{
		width += Max(pg_dsplen(at), 0);
		at += pg_mblen(at);
	}
	return width;
}

/* Append a value as JSON. */
static void
append_json(StringInfo out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(numeric_out,
																			NumericGetDatum(value->val.numeric))));
			break;
		case jbvString:
			escape_json(out, pnstrdup(value->val.string.val, value->val.string.len));
			break;
		default:
			(void) JsonbToCString(out, value->val.binary.data, value->val.binary.len);
	}
}

/* Append one side of a change; what stands for a value of a resource goes without quotes. */
static void
append_side(StringInfo out, const JsonbValue *value, bool stands_for_one)
{
	if (stands_for_one && value->type == jbvString)
		append_printable(out, value->val.string.val, value->val.string.len);
	else
		append_json(out, value);
}

/* Append a remark, behind those that are there. */
void
append_remark(StringInfo out, bool *first, const char *remark)
{
	appendStringInfoString(out, *first ? "  # " : ", ");
	append_printable(out, remark, strlen(remark));
	*first = false;
}

/* Is the path one of those, or below one? */
static bool
is_within(const JsonbValue *path, const JsonbValue *paths)
{
	if (paths == NULL || !json_is_array(paths))
		return false;
	json_foreach(item, paths)
	{
		int			length = item.value.type == jbvString ? item.value.val.string.len : PG_INT32_MAX;

		if (length <= path->val.string.len &&
			memcmp(path->val.string.val, item.value.val.string.val, length) == 0 &&
			(length == path->val.string.len || strchr(".[", path->val.string.val[length])))
			return true;
	}
	return false;
}

/* Append a text of an object, behind something, if there is one. */
static void
append_field(StringInfo out, const char *before, const JsonbValue *object, const char *key)
{
	JsonbValue	value;

	if (!json_find(object, key, &value) || value.type != jbvString)
		return;
	appendStringInfoString(out, before);
	append_printable(out, value.val.string.val, pg_mbcliplen(value.val.string.val, value.val.string.len, MAX_MESSAGE));
	if (value.val.string.len > MAX_MESSAGE)
		appendStringInfoString(out, "...");
}

/* Whose revision of the destination's own a change undoes. */
static char *
undone(const JsonbValue *reverts)
{
	JsonbValue	revision;
	StringInfoData text;

	if (!json_find(reverts, "revision", &revision))
		refuse_diff("What an element reverts has no revision.");
	initStringInfo(&text);
	appendStringInfo(&text, "undoes revision %d", read_revision(&revision));
	append_field(&text, " by ", reverts, "actor");
	append_field(&text, ": ", reverts, "message");
	return text.data;
}

/* Append what is to be remarked of a change. */
static void
append_remarks(StringInfo out, const Change *change, const LeafStyle *style)
{
	bool		first = true;

	if (change->immutable)
		append_remark(out, &first, style->immutable);
	if (is_within(&change->path, style->replace_paths))
		append_remark(out, &first, "forces replacement");
	if (change->unexpected)
		append_remark(out, &first, "unexpected");
	if (change->since > 0 && change->since != style->revision)
		append_remark(out, &first, psprintf("since revision %d", change->since));
	if (change->has_reverts)
		append_remark(out, &first, undone(&change->reverts));
}

/* Append a change's line, its value in the column after width. */
static void
append_change(StringInfo out, const Change *change, int width, const LeafStyle *style)
{
	char		sign = !change->has_old ? '+' : !change->has_new ? '-' : '~';
	bool		masked = style->of_resource && change->sensitive;

	appendStringInfoSpaces(out, style->indent);
	appendStringInfo(out, "%c ", sign);
	appendBinaryStringInfo(out, change->path.val.string.val, change->path.val.string.len);
	appendStringInfoSpaces(out, width - path_width(&change->path) + 2);
	if (change->has_old)
		append_side(out, &change->old_value, masked);
	if (change->has_old && change->has_new)
		appendStringInfoString(out, " -> ");
	if (change->has_new)
		append_side(out, &change->new_value, masked || change->unknown);
	append_remarks(out, change, style);
	appendStringInfoChar(out, '\n');
}

/* Append a diff's changes, a line each, and count them. */
void
append_leaves(StringInfo out, const JsonbValue *diff, const LeafStyle *style,
			  LeafCounts *counts)
{
	Change		change;
	int			width = 0;

	if (!json_is_array(diff))
		refuse_diff("A diff is an array of changes.");
	json_foreach(item, diff)
	{
		read_change(&item.value, &change);
		width = Max(width, path_width(&change.path));
		*(!change.has_old ? &counts->added : change.has_new ? &counts->changed :
		  &counts->removed) += 1;
	}
	json_foreach(item, diff)
	{
		CHECK_FOR_INTERRUPTS();
		read_change(&item.value, &change);
		append_change(out, &change, width, style);
	}
}

/* Append the line that counts. */
static void
append_summary(StringInfo out, const LeafCounts *counts)
{
	if (counts->added + counts->changed + counts->removed == 0)
		appendStringInfoString(out, "No changes. What is desired is what runs.");
	else
		appendStringInfo(out, "\nPlan: %d to add, %d to change, %d to remove.",
						 counts->added, counts->changed, counts->removed);
}

/* promote.format_diff(diff jsonb, replaces boolean, revision integer) returns text */
Datum
promote_format_diff(PG_FUNCTION_ARGS)
{
	LeafStyle	style = {.indent = 2};
	LeafCounts	counts = {0};
	StringInfoData out;
	JsonbValue	diff;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	style.revision = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	style.immutable = argument_bool(fcinfo, 1, false) ? "immutable, forces replacement" : "immutable";
	json_root(PG_GETARG_JSONB_P(0), &diff);
	initStringInfo(&out);
	append_leaves(&out, &diff, &style, &counts);
	append_summary(&out, &counts);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
