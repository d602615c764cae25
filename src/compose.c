/*
 * compose.c: what a promotion means, as pure functions of documents.
 *
 * compose_params says what the destination's params become; compose_check
 * says whether they may, and compose_diff what that changes.  No tables, no
 * clock; the files that move rows call these.
 */
#include "postgres.h"

#include "compose.h"
#include "errors.h"
#include "json/limits.h"
#include "json/merge.h"
#include "json/overlay.h"
#include "json/reader.h"
#include "json/render.h"
#include "schema/schema.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_compose_params);
PG_FUNCTION_INFO_V1(promote_jsonb_filter_copyable);

/* What stands for a value that is marked sensitive. */
#define SENSITIVE_MASK "(sensitive value)"

/* The marks that a schema puts on a document. */
static JsonMark *
marks_of(const Jsonb *document, const Jsonb *schema, uint32 wanted)
{
	JsonbValue	view;

	json_root(document, &view);
	return schema_marks(schema_compile(schema), &view, wanted);
}

/* Is it the empty object? */
static bool
is_empty(const Jsonb *document)
{
	return JB_ROOT_IS_OBJECT(document) && JB_ROOT_COUNT(document) == 0;
}

/*
 * What the destination's params become before the overrides: the source's,
 * with the destination's own at every location that is not copyable by
 * either document.  The source itself where that changes nothing.
 */
Jsonb *
compose_base(const Jsonb *source, const Jsonb *destination, const Jsonb *schema)
{
	JsonMark   *source_marks = marks_of(source, schema, SCHEMA_NONCOPYABLE);
	JsonMark   *own_marks = marks_of(destination, schema, SCHEMA_NONCOPYABLE);

	if (source_marks == NULL && own_marks == NULL)
		return (Jsonb *) source;
	return json_overlay_marked(source, source_marks, destination, own_marks,
							   SCHEMA_NONCOPYABLE);
}

/* The base with the overrides, a merge patch, on top. */
Jsonb *
compose_overrides(Jsonb *base, const Jsonb *overrides)
{
	return is_empty(overrides) ? base : json_merge(base, overrides, JSON_NULL_REMOVES);
}

/*
 * What the destination's params become: compose_base with compose_overrides
 * on top.  All documents must be objects within the limits.
 */
Jsonb *
compose_params(const Jsonb *source, const Jsonb *destination, const Jsonb *schema,
			   const Jsonb *overrides)
{
	return compose_overrides(compose_base(source, destination, schema), overrides);
}

/* Collector of violations: a line each. */
static void
add_violation(void *state, const SchemaViolation *violation)
{
	StringInfo	lines = state;

	if (lines->len > 0)
		appendStringInfoChar(lines, '\n');
	appendStringInfo(lines, "%s: %s", violation->instance_path, violation->message);
}

/* Refuse params that the release's schema does not allow, for all reasons. */
static void
check_valid(const Proposal *proposal)
{
	StringInfoData lines;
	JsonbValue	view;

	json_root(proposal->rendered, &view);
	initStringInfo(&lines);
	if (!schema_validate(schema_compile(proposal->schema), &view, add_violation, &lines))
		ereport(ERROR,
				(errcode(PM_INVALID_PARAMS),
				 errmsg("the params of \"%s\" would not be valid for %s %s",
						proposal->instance, proposal->bundle, proposal->version),
				 errdetail_internal("%s", lines.data),
				 errhint("Set what is named above by overrides, or promote another version.")));
	pfree(lines.data);
}

/* Collector of changes: the paths of those that are immutable, a line each. */
static void
add_immutable(void *state, const JsonChange *change)
{
	StringInfo	lines = state;

	if (!(change->flags & SCHEMA_IMMUTABLE))
		return;
	if (lines->len > 0)
		appendStringInfoChar(lines, '\n');
	appendStringInfoString(lines, change->path);
}

/*
 * Where the instance is provisioned, find what the proposal would change
 * although it is immutable: refused, or marked where it was allowed.
 */
static void
check_immutable(Proposal *proposal)
{
	StringInfoData paths;
	Jsonb	   *deployed;

	if (proposal->deployed_params == NULL)
		return;
	deployed = json_render(proposal->deployed_params, proposal->parameters, true);
	initStringInfo(&paths);
	json_leaf_diff(deployed, marks_of(deployed, proposal->schema, SCHEMA_IMMUTABLE),
				   proposal->rendered, proposal->marks, add_immutable, &paths);
	proposal->destructive = paths.len > 0;
	if (proposal->destructive && !proposal->allow_replace)
		ereport(ERROR,
				(errcode(PM_IMMUTABLE),
				 errmsg("immutable params of \"%s\" would change", proposal->instance),
				 errdetail_internal("%s", paths.data),
				 errhint("Keep the instance's values by overrides, or pass allow_replace => true: what runs would be replaced.")));
	pfree(paths.data);
}

/* Set on one mark tree what another one of the same document has. */
static void
add_marks(JsonMarkFrame *frame, const JsonMark *from)
{
	JsonMarkFrame child;

	check_stack_depth();
	if (from == NULL)
		return;
	if (from->flags)
		json_mark_set(frame, from->flags);
	frame->count = from->count;
	child.parent = frame;
	for (child.index = 0; child.index < from->count; child.index++)
	{
		child.node = NULL;
		add_marks(&child, json_mark_child(from, child.index));
	}
}

/*
 * The marks of the former document, by the schema that is to judge it and by
 * the one it was valid for: what either calls sensitive is never shown.
 */
static JsonMark *
former_marks(const Proposal *proposal)
{
	const uint32 wanted = SCHEMA_IMMUTABLE | SCHEMA_SENSITIVE;
	JsonMarkFrame root = {NULL, 0, 0, NULL};

	if (proposal->old_rendered == NULL)
		return NULL;
	root.node = marks_of(proposal->old_rendered, proposal->schema, wanted);
	if (proposal->old_schema)
		add_marks(&root, marks_of(proposal->old_rendered, proposal->old_schema,
								  SCHEMA_SENSITIVE));
	return root.node;
}

/*
 * Render the proposal and refuse it where it may not be: PM_TOO_LARGE,
 * PM_INVALID_PLACEHOLDER, PM_INVALID_PARAMS and PM_IMMUTABLE.
 */
void
compose_check(Proposal *proposal)
{
	json_check_params(proposal->params, "params");
	proposal->rendered = json_render(proposal->params, proposal->parameters, false);
	if (proposal->rendered != proposal->params)
		json_check_params(proposal->rendered, "rendered params");
	proposal->old_rendered = proposal->old_params ?
		json_render(proposal->old_params, proposal->parameters, true) : NULL;
	check_valid(proposal);
	proposal->marks = marks_of(proposal->rendered, proposal->schema,
							   SCHEMA_IMMUTABLE | SCHEMA_SENSITIVE);
	proposal->old_marks = former_marks(proposal);
	proposal->destructive = false;
	check_immutable(proposal);
}

/* What may be shown of a value: itself, or the mask that the caller lends. */
const JsonbValue *
compose_shown(const JsonbValue *value, uint32 flags, JsonbValue *mask)
{
	if (value == NULL || !(flags & SCHEMA_SENSITIVE))
		return value;
	mask->type = jbvString;
	mask->val.string.val = SENSITIVE_MASK;
	mask->val.string.len = strlen(SENSITIVE_MASK);
	return mask;
}

/* Write one side of a change under its key; a missing value has no key. */
static void
write_shown(JsonWriter *writer, const char *key, const JsonbValue *value, uint32 flags)
{
	JsonbValue	mask;

	value = compose_shown(value, flags, &mask);
	if (value == NULL)
		return;
	json_write_key(writer, key, strlen(key));
	json_write_value(writer, value);
}

/* Collector of changes: an object each, in the array that is open. */
static void
write_change(void *state, const JsonChange *change)
{
	JsonWriter *writer = state;

	json_write_begin_object(writer);
	json_write_field(writer, "path", pstrdup(change->path));
	json_write_field(writer, "change", json_change_name(change));
	write_shown(writer, "old", change->old_value, change->flags);
	write_shown(writer, "new", change->new_value, change->flags);
	if (change->flags & SCHEMA_IMMUTABLE)
	{
		json_write_key(writer, "immutable", strlen("immutable"));
		json_write_bool(writer, true);
	}
	if (change->flags & SCHEMA_SENSITIVE)
	{
		json_write_key(writer, "sensitive", strlen("sensitive"));
		json_write_bool(writer, true);
	}
	json_write_end_object(writer);
}

/*
 * What a checked proposal changes: an array of objects with path, change
 * (add, change, remove), old and new (each only where there is a value; the
 * sensitive ones masked), immutable and sensitive (only where true).
 */
Jsonb *
compose_diff(const Proposal *proposal)
{
	JsonWriter	writer;

	json_writer_init(&writer);
	json_write_begin_array(&writer);
	json_leaf_diff(proposal->old_rendered, proposal->old_marks,
				   proposal->rendered, proposal->marks, write_change, &writer);
	json_write_end_array(&writer);
	return json_writer_finish(&writer);
}

/* Fetch an argument that must be an object within the limits. */
static Jsonb *
get_params(FunctionCallInfo fcinfo, int argument, const char *what)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(argument);

	json_check_params(document, what);
	return document;
}

/*
 * promote.compose_params(source jsonb, destination jsonb, schema jsonb,
 * overrides jsonb) returns jsonb
 */
Datum
promote_compose_params(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(compose_params(get_params(fcinfo, 0, "source params"),
									 get_params(fcinfo, 1, "destination params"),
									 PG_GETARG_JSONB_P(2),
									 get_params(fcinfo, 3, "overrides")));
}

/* promote.jsonb_filter_copyable(params jsonb, schema jsonb) returns jsonb */
Datum
promote_jsonb_filter_copyable(PG_FUNCTION_ARGS)
{
	Jsonb	   *params = PG_GETARG_JSONB_P(0);
	JsonMark   *marks = marks_of(params, PG_GETARG_JSONB_P(1), SCHEMA_NONCOPYABLE);

	PG_RETURN_JSONB_P(marks ? json_remove_marked(params, marks, SCHEMA_NONCOPYABLE) : params);
}
