/*
 * resource.c: planned changes of resources, as readers of terraform plan
 * know them, those first that destroy something.
 *
 *   ! -/+ aws_db_instance.main  # stateful, replace_because_cannot_update
 *           ~ .id    "db-1" -> (known after apply)
 *           ~ .name  "a" -> "b"  # forces replacement
 *     +   aws_s3_bucket.logs
 *           + .bucket  "logs"
 *
 * Reads rows of promote.resource_changes, or of plan_document_changes, as JSON.
 * Sensitive values are masked in them already.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "json/reader.h"
#include "terraform/text.h"

PG_FUNCTION_INFO_V1(promote_format_plan_changes);

/* How an action is shown, and counted. */
typedef struct ActionText
{
	const char *action;
	const char *sign;
	const char *counted;		/* NULL: apart */
} ActionText;

static const ActionText action_texts[] = {
	{"create", "+", "to create"},
	{"update", "~", "to update"},
	{"replace", "-/+", "to replace"},
	{"delete", "-", "to delete"},
	{"forget", ".", "to forget"},
	{"no-op", ">", NULL},
	{"read", "<=", NULL}
};

#define NO_OP 5
#define READ 6

/* The parts that changes are shown in. */
typedef struct Part
{
	const char *origin;
	bool		destructive;
	const char *title;			/* NULL: none */
} Part;

static const Part parts[] = {
	{"change", true, NULL},
	{"change", false, NULL},
	{"deferred", false, "Deferred to a later plan:"},
	{"drift", false, "Changed outside:"}
};

/* The text under a key of a row; NULL where there is none. */
static const char *
row_text(const JsonbValue *row, const char *key)
{
	JsonbValue	value;

	if (!json_find(row, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Refuse what are no rows. */
static void
refuse_rows(void)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not the changes of a plan"),
			 errdetail("They must be an array of objects with an address, an action, an origin and a diff."),
			 errhint("Pass SELECT jsonb_agg(to_jsonb(c)) FROM promote.resource_changes AS c WHERE ....")));
}

/* Which action a row is of. */
static int
row_action(const JsonbValue *row)
{
	const char *action = json_is_object(row) ? row_text(row, "action") : NULL;

	for (int i = 0; action && i < lengthof(action_texts); i++)
		if (strcmp(action, action_texts[i].action) == 0)
			return i;
	refuse_rows();
	return 0;
}

/* Does the row destroy something?  One that was only previewed has no mark. */
static bool
is_destructive(const JsonbValue *row)
{
	const char *action = row_text(row, "action");
	const char *mode = row_text(row, "mode");

	return (strcmp(action, "delete") == 0 || strcmp(action, "replace") == 0) &&
		(mode == NULL || strcmp(mode, "managed") == 0);
}

/* Is the row shown in that part? */
static bool
is_in_part(const JsonbValue *row, const Part *part)
{
	int			action = row_action(row);
	const char *origin = row_text(row, "origin");

	if (origin == NULL)
		refuse_rows();
	if (strcmp(origin, part->origin) != 0)
		return false;
	if (strcmp(origin, "change") != 0)
		return true;
	if (action == READ ||
		(action == NO_OP && row_text(row, "previous_address") == NULL && !json_flag(row, "importing")))
		return false;
	return is_destructive(row) == part->destructive;
}

/* Append the remarks of a change. */
static void
append_row_remarks(StringInfo out, const JsonbValue *row)
{
	const char *deposed = row_text(row, "deposed");
	const char *previous = row_text(row, "previous_address");
	const char *reason = row_text(row, "action_reason");
	bool		first = true;

	if (json_flag(row, "stateful"))
		append_remark(out, &first, "stateful");
	if (json_flag(row, "unexpected"))
		append_remark(out, &first, "unexpected");
	if (json_flag(row, "importing"))
		append_remark(out, &first, "imported");
	if (deposed)
		append_remark(out, &first, psprintf("deposed object %s", deposed));
	if (previous)
		append_remark(out, &first, psprintf("moved from %s", previous));
	if (reason)
		append_remark(out, &first, reason);
}

/* Append a change: its address and, unless all of the resource goes, its leaves. */
static void
append_row(StringInfo out, const JsonbValue *row)
{
	LeafStyle	style = {.indent = 8,.immutable = "immutable",.of_resource = true};
	LeafCounts	counts = {0};
	const ActionText *action = &action_texts[row_action(row)];
	const char *address = row_text(row, "address");
	JsonbValue	diff,
				replace_paths;

	if (address == NULL || !json_find(row, "diff", &diff))
		refuse_rows();
	if (json_find(row, "replace_paths", &replace_paths))
		style.replace_paths = &replace_paths;
	appendStringInfo(out, "%c %-3s ", is_destructive(row) && strcmp(row_text(row, "origin"), "drift") != 0 ? '!' : ' ',
					 json_flag(row, "create_before_destroy") ? "+/-" : action->sign);
	append_printable(out, address, strlen(address));
	append_row_remarks(out, row);
	appendStringInfoChar(out, '\n');
	if (strcmp(action->action, "delete") != 0 && strcmp(action->action, "forget") != 0)
		append_leaves(out, &diff, &style, &counts);
}

/* Append the changes of one part, and its title before the first. */
static void
append_part(StringInfo out, const JsonbValue *rows, const Part *part)
{
	bool		first = true;

	json_foreach(item, rows)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_in_part(&item.value, part))
			continue;
		if (first && part->title)
			appendStringInfo(out, "\n%s\n\n", part->title);
		first = false;
		append_row(out, &item.value);
	}
}

/* Append the line that counts. */
static void
append_counts(StringInfo out, const JsonbValue *rows)
{
	int			counts[lengthof(action_texts)] = {0};
	int			imported = 0;
	int			shown = 0;

	json_foreach(item, rows)
	{
		bool		importing = json_flag(&item.value, "importing");

		if (strcmp(row_text(&item.value, "origin"), "change") != 0)
			continue;
		imported += importing ? 1 : 0;
		if (!importing || row_action(&item.value) != NO_OP)
			counts[row_action(&item.value)]++;
	}
	if (imported > 0)
		appendStringInfo(out, "%s%d to import", shown++ == 0 ? "\nResources: " : ", ", imported);
	for (int i = 0; i < lengthof(action_texts); i++)
		if (action_texts[i].counted && counts[i] > 0)
			appendStringInfo(out, "%s%d %s", shown++ == 0 ? "\nResources: " : ", ", counts[i],
							 action_texts[i].counted);
	if (shown == 0)
		appendStringInfoString(out, "\nResources: nothing to change");
	if (counts[NO_OP] > 0)
		appendStringInfo(out, "; %d unchanged", counts[NO_OP]);
	if (counts[READ] > 0)
		appendStringInfo(out, "; %d to read", counts[READ]);
	appendStringInfoChar(out, '.');
}

/* promote.format_plan_changes(changes jsonb) returns text */
Datum
promote_format_plan_changes(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	JsonbValue	rows = json_view(PG_GETARG_JSONB_P(0));

	if (!json_is_array(&rows))
		refuse_rows();
	initStringInfo(&out);
	for (int i = 0; i < lengthof(parts); i++)
		append_part(&out, &rows, &parts[i]);
	append_counts(&out, &rows);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
