/*
 * preset.c: named params that a release brings along.
 *
 * bundle_release.presets is an object of names: {"production": {"replicas": 3}}.  Presets are
 * partial: what they leave out comes from whoever uses them.  What could never become valid is
 * refused when the release is published, because a published release cannot be corrected.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/errors.h"
#include "base/refusal.h"
#include "base/trigger.h"
#include "json/limits.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/guard.h"
#include "parse/name.h"
#include "registry/preset.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_check_presets);

#define QUOTED_LENGTH 200		/* bytes of a name that a message quotes back */

/* ---- checking ---- */

/* May a preset have that name?  People read it, so it may have blanks within. */
static bool
is_name(const char *name)
{
	Size		length = strlen(name);

	if (length == 0 || name[0] == ' ' || name[length - 1] == ' ' || pg_mbstrlen(name) > NAME_MAX_LENGTH)
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char) *c < ' ' || *c == '\177')
			return false;
	return true;
}

/* A name as messages quote it. */
static char *
quoted(const char *name)
{
	return pnstrdup(name, pg_mbcliplen(name, strlen(name), QUOTED_LENGTH));
}

/* Check the name of a preset, and that it is an object. */
static void
check_preset(const JsonbValue *key, const JsonbValue *preset)
{
	char	   *name = pnstrdup(key->val.string.val, key->val.string.len);

	if (!is_name(name))
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("invalid preset name \"%s\"", quoted(name)),
				 errdetail("It has 1 to %d characters, none of them a control character, and no blank at either end.",
						   NAME_MAX_LENGTH),
				 errhint("Name it after what it is for, such as \"production\".")));
	json_require_object(json_from_view(preset), psprintf("preset \"%s\"", name));
}

/*
 * promote_internal.check_presets(presets jsonb) returns boolean
 *
 * Checks the form of what a release brings along: true, or an error.
 */
Datum
promote_check_presets(PG_FUNCTION_ARGS)
{
	const Jsonb *presets = PG_GETARG_JSONB_P(0);

	json_check_params(presets, "presets");
	json_foreach_in(preset, &presets->root)
		check_preset(&preset.key, &preset.value);
	PG_RETURN_BOOL(true);
}

/* The violations of a release's presets, a line each. */
typedef struct Judging
{
	const JsonbValue *name;		/* of the preset that is judged */
	StringInfoData lines;
	RefusalItems items;			/* as the lines */
} Judging;

/* Add a violation.  A SchemaCollector. */
static void
add_violation(void *state, const SchemaViolation *violation)
{
	Judging    *judging = state;

	if (judging->lines.len > 0)
		appendStringInfoChar(&judging->lines, '\n');
	appendStringInfo(&judging->lines, "\"%.*s\" at %s: %s", judging->name->val.string.len,
					 judging->name->val.string.val, violation->instance_path, violation->message);
	refusal_item(&judging->items, "preset", pnstrdup(judging->name->val.string.val, judging->name->val.string.len),
				 "path", violation->instance_path, "message", violation->message, "keyword", violation->keyword,
				 "schema_path", violation->schema_path);
}

/*
 * promote_internal.judge_presets() returns trigger
 *
 * AFTER INSERT of bundle_release, for each row: refuses presets whose values the schema refuses
 * whatever is added to them.  A restore may load the release before the documents that its schema
 * refers to, and was judged before.
 */
Datum
TRIGGER_FUNCTION(promote_judge_presets)
{
	TriggerData *data = trigger_data(fcinfo, "bundle_release", TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	HeapTuple	row = data->tg_trigtuple;
	const Jsonb *presets = trigger_jsonb(data, row, "presets");
	Judging		judging = {.items = {.count = 0}};

	if (JB_ROOT_COUNT(presets) == 0 || loading_rows())
		return PointerGetDatum(NULL);
	initStringInfo(&judging.lines);
	json_foreach_in(preset, &presets->root)
	{
		judging.name = &preset.key;
		(void) schema_may_complete(schema_compile(trigger_jsonb(data, row, "params_schema")), &preset.value,
								   add_violation, &judging);
	}
	if (judging.lines.len > 0)
		ereport(ERROR,
				(errcode(PM_INVALID_PARAMS),
				 errmsg("presets of %s %s can never be valid", trigger_text(data, row, "bundle"),
						trigger_text(data, row, "version")),
				 errdetail_items(judging.lines.data, "violations", &judging.items),
				 errhint("Correct what is named above, or the schema; what is merely missing may be left to those who use the preset.")));
	return PointerGetDatum(NULL);
}

/* ---- reading ---- */

/* Refuse a name that the release has no preset of. */
static void
refuse_unknown_preset(const char *bundle, const char *version, const char *name, const Jsonb *presets)
{
	List	   *names = NIL;

	json_foreach_in(preset, &presets->root)
		names = lappend(names, psprintf("\"%.*s\"", preset.key.val.string.len, preset.key.val.string.val));
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("release %s of bundle \"%s\" has no preset \"%s\"", version, bundle, quoted(name)),
			 names == NIL ? errdetail("It has no presets.") : errdetail("It has %s.", names_joined(names)),
			 names == NIL ? errhint("Leave preset out, and say what is needed by the other arguments.") :
			 errhint("Name one of these, or leave preset out.")));
}

/* The params of a release's preset; NULL for a name of NULL. */
Jsonb *
preset_read(const Sql *sql, const char *bundle, const char *version, const char *name, bool read_only)
{
	static Statement read = {"SELECT f.presets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"};
	SqlRows		rows;
	Jsonb	   *presets;
	JsonbValue	preset;

	if (name == NULL)
		return NULL;
	rows = sql_read_if(sql, read_only, &read, AS_TEXT(bundle), AS_TEXT(version));
	presets = sql_jsonb(&rows, 0);
	if (!json_find_in(presets, name, &preset))
		refuse_unknown_preset(bundle, version, name, presets);
	return json_from_view(&preset);
}
