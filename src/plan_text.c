/*
 * plan_text.c: a diff, as readers of terraform plan know it.
 *
 *   ~ .database.instance_class  "db.t3.medium" -> "db.r6g.xlarge"
 *   + .storage.iops             3000
 *   - .backup.window            "03:00"
 *
 * Reads the diff that compose.c wrote, in which sensitive values are masked
 * already.
 */
#include "postgres.h"

#include "json/reader.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(promote_format_diff);

/* One change of a diff. */
typedef struct Change
{
	JsonbValue	path;
	JsonbValue	kind;
	bool		has_old;
	bool		has_new;
	bool		immutable;
	JsonbValue	old_value;
	JsonbValue	new_value;
} Change;

/*
 * A path as it may be shown: one that promote wrote has no control characters,
 * but a diff may come from anywhere.
 */
static void
make_printable(JsonbValue *path)
{
	char	   *copy = pnstrdup(path->val.string.val, path->val.string.len);

	for (char *c = copy; *c; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			*c = '?';
	path->val.string.val = copy;
}

/* Take a change apart; one that is not of the shape compose.c writes is an error. */
static void
read_change(const JsonbValue *object, Change *change)
{
	JsonbValue	flag;

	if (!json_is_object(object) ||
		!json_find(object, "path", &change->path) || change->path.type != jbvString ||
		!json_find(object, "change", &change->kind) || change->kind.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a diff"),
				 errdetail("Every element must be an object with a path and a change."),
				 errhint("Pass the diff of a promotion or a deployment.")));
	make_printable(&change->path);
	change->has_old = json_find(object, "old", &change->old_value);
	change->has_new = json_find(object, "new", &change->new_value);
	change->immutable = json_find(object, "immutable", &flag) &&
		flag.type == jbvBool && flag.val.boolean;
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

/* Append a change's line, its value in the column after width. */
static void
append_change(StringInfo out, const Change *change, int width, const char *remark)
{
	char		sign = !change->has_old ? '+' : !change->has_new ? '-' : '~';

	appendStringInfo(out, "  %c ", sign);
	appendBinaryStringInfo(out, change->path.val.string.val, change->path.val.string.len);
	appendStringInfoSpaces(out, width - path_width(&change->path) + 2);
	if (change->has_old)
		append_json(out, &change->old_value);
	if (change->has_old && change->has_new)
		appendStringInfoString(out, " -> ");
	if (change->has_new)
		append_json(out, &change->new_value);
	if (change->immutable)
		appendStringInfo(out, "  # %s", remark);
	appendStringInfoChar(out, '\n');
}

/* Append the line that counts. */
static void
append_summary(StringInfo out, const int *counts)
{
	if (counts[0] + counts[1] + counts[2] == 0)
		appendStringInfoString(out, "No changes. The params are the same.");
	else
		appendStringInfo(out, "\nPlan: %d to add, %d to change, %d to remove.",
						 counts[0], counts[1], counts[2]);
}

/* promote.format_diff(diff jsonb, replaces boolean) returns text */
Datum
promote_format_diff(PG_FUNCTION_ARGS)
{
	const char *remark = PG_GETARG_BOOL(1) ? "immutable, forces replacement" : "immutable";
	int			counts[3] = {0, 0, 0};
	int			width = 0;
	StringInfoData out;
	JsonbValue	diff,
				element;
	JsonCursor	cursor;
	Change		change;

	json_root(PG_GETARG_JSONB_P(0), &diff);
	if (!json_is_array(&diff))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a diff"),
				 errdetail("A diff is an array of changes."),
				 errhint("Pass the diff of a promotion or a deployment.")));
	json_cursor_init(&cursor, diff.val.binary.data);
	while (json_next_element(&cursor, &element))
	{
		read_change(&element, &change);
		width = Max(width, path_width(&change.path));
		counts[!change.has_old ? 0 : change.has_new ? 1 : 2]++;
	}
	initStringInfo(&out);
	json_cursor_init(&cursor, diff.val.binary.data);
	while (json_next_element(&cursor, &element))
	{
		CHECK_FOR_INTERRUPTS();
		read_change(&element, &change);
		append_change(&out, &change, width, remark);
	}
	append_summary(&out, counts);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
