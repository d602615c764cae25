/*
 * compose.c: what a promotion means, as pure functions of documents.
 *
 * compose_params says what the destination's params become; compose_check
 * says whether they may.  No tables, no clock; the files that move rows call
 * these.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/refusal.h"
#include "compose/compose.h"
#include "compose/element.h"
#include "compose/overrides.h"
#include "json/builder.h"
#include "json/limits.h"
#include "json/merge.h"
#include "json/overlay.h"
#include "json/patch.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/render.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_compose_params);
PG_FUNCTION_INFO_V1(promote_jsonb_filter_copyable);

/*
 * Where a document is not copyable: as it stands, and as it is with its
 * placeholders replaced, by which a branch of the schema may be decided.
 * variables are one or two sets of parameters, NULL for none.
 */
JsonMark *
compose_noncopyable(const Jsonb *document, const Jsonb *schema, const Jsonb *const *variables)
{
	JsonMarkFrame root = {NULL, 0, 0, NULL};
	JsonbValue	view,
				other;

	root.node = schema_marks(schema, document, SCHEMA_NONCOPYABLE);
	if (!schema_marks_vary(schema_compile(schema), SCHEMA_NONCOPYABLE) ||
		!json_has_placeholders(document))
		return root.node;
	json_root(document, &view);
	for (int i = 0; i < 2; i++)
	{
		Jsonb	   *rendered = variables[i] ? json_render(document, variables[i], true) : NULL;

		if (rendered == NULL)
			continue;
		json_root(rendered, &other);
		json_mark_unite(&root, &view, &other, schema_marks(schema, rendered, SCHEMA_NONCOPYABLE));
	}
	return root.node;
}

/*
 * The source with the destination's own values at every location that is not
 * copyable by either document.  The source itself where that changes nothing.
 */
static Jsonb *
overlay_own(const Jsonb *source, const Jsonb *destination, const Jsonb *schema,
			const Jsonb *const *variables)
{
	JsonMark   *source_marks = compose_noncopyable(source, schema, variables);
	JsonMark   *own_marks = compose_noncopyable(destination, schema, variables);
	ElementKeys keys = {.schema = schema,.documents = {source, destination}};

	if (source_marks == NULL && own_marks == NULL)
		return (Jsonb *) source;
	return json_overlay_marked(source, source_marks, destination, own_marks,
							   SCHEMA_NONCOPYABLE, element_match, &keys);
}

/* The destination's own params; {} where it desires nothing yet. */
Jsonb *
compose_own(const Proposal *proposal)
{
	return proposal->own_params ? proposal->own_params : json_empty_object();
}

/* The destination's own params, with the preset, if there is one, for what it has not. */
Jsonb *
compose_own_over_preset(const Proposal *proposal)
{
	Jsonb	   *own = compose_own(proposal);

	return proposal->preset ? json_lay_over(proposal->preset, own) : own;
}

/*
 * A document with the schema's defaults for what it lacks, if the proposal is to have them; else
 * itself.  The values of placeholders decide about branches.
 */
static Jsonb *
fill_in(const Proposal *proposal, Jsonb *document)
{
	Jsonb	   *rendered;
	Jsonb	   *filled;

	if (!proposal->fill_defaults)
		return document;
	rendered = proposal->parameters ? json_render(document, proposal->parameters, true) : document;
	filled = schema_fill(schema_compile(proposal->schema), rendered);
	return filled == rendered ? document : rendered == document ? filled : json_lay_within(filled, document);
}

/*
 * The base with the overrides on top, and with the defaults below.  What comes
 * out may be in another branch of the schema than either document was, where
 * more is not copyable, or have objects that the source had no place for: those
 * places get the destination's own values too, and the overrides their last
 * word, until nothing changes any more.  The bound is for schemas and overrides
 * that pull to and fro.
 */
static Jsonb *
apply_overrides(const Proposal *proposal, Jsonb *base, const Overrides *overrides)
{
	const int	max_rounds = 100;
	const Jsonb *variables[2] = {proposal->parameters, NULL};
	Jsonb	   *own;
	Jsonb	   *patched = overrides_apply(overrides, base);
	Jsonb	   *result = fill_in(proposal, patched);

	if (result == patched && !schema_marks_vary(schema_compile(proposal->schema), SCHEMA_NONCOPYABLE | SCHEMA_KEYED) &&
		!overrides_make_objects(overrides, base))
		return result;
	own = compose_own_over_preset(proposal);
	for (int i = 0; i < max_rounds; i++)
	{
		Jsonb	   *next = overlay_own(result, own, proposal->schema, variables);

		if (next != result)
			next = overrides_apply_again(overrides, next, result);
		next = fill_in(proposal, next);
		if (next == result || json_is_copy(next, result))
			break;
		result = next;
	}
	return result;
}

/*
 * What the destination's params become before the overrides, where the
 * proposal's params are still the source's.  What is not copyable is the
 * destination's own, or, where it has nothing, the preset's.
 */
Jsonb *
compose_base(const Proposal *proposal)
{
	const Jsonb *variables[2] = {proposal->parameters, proposal->source_parameters};

	return overlay_own(proposal->params, compose_own_over_preset(proposal), proposal->schema, variables);
}

/* The destination's own params, with the preset's, if there is one, for what is not copyable and it has not. */
Jsonb *
compose_filled_own(const Proposal *proposal)
{
	Proposal	own = *proposal;

	if (proposal->preset == NULL)
		return compose_own(proposal);
	own.params = compose_own(proposal);
	return compose_base(&own);
}

/* Add what may run to what values come from, with the marks of its releases. */
void
compose_add_deployed(Mask *mask, const List *deployed)
{
	ListCell   *cell;

	foreach(cell, deployed)
	{
		const Carried *runs = lfirst(cell);

		mask_add_schema(mask, runs->schema);
		mask_add_origin(mask, runs->params, runs->kept);
	}
}

/* What of the documents that a proposal is made of must not be seen. */
static Mask *
origins_mask(const Proposal *proposal)
{
	Mask	   *mask = mask_create(proposal->schema);

	for (int i = 0; i < lengthof(proposal->other_schemas); i++)
		mask_add_schema(mask, proposal->other_schemas[i]);
	mask_add_both(mask, proposal->source_params, proposal->source_parameters, proposal->source_kept);
	mask_add_both(mask, proposal->source_params, proposal->parameters, proposal->source_kept);
	mask_add_both(mask, proposal->own_params, proposal->parameters, proposal->own_kept);
	mask_add_origin(mask, proposal->observed, NULL);
	compose_add_deployed(mask, proposal->deployed);
	return mask;
}

/* Add the paths of a document's values that are masks to the array that is open. */
static void
add_masked(JsonBuilder *builder, StringInfo path, const JsonbValue *value)
{
	int			length = path->len;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_string_is(value, SENSITIVE_MASK))
		json_build_string(builder, pstrdup(json_path_text(path)), Max(path->len, 1));
	if (value->type != jbvBinary)
		return;
	json_foreach(child, value)
	{
		if (json_is_object(value))
			json_path_add_key(path, child.key.val.string.val, child.key.val.string.len);
		else
			json_path_add_index(path, child.index);
		add_masked(builder, path, &child.value);
		json_path_truncate(path, length);
	}
}

/*
 * The paths of a document's values that are masks.  What stands there keeps its marks wherever it has come from, which
 * only this tells of values that are too short to be looked for.
 */
Jsonb *
compose_masked(const Jsonb *document)
{
	JsonBuilder builder;
	JsonbValue	view;
	StringInfoData path;

	json_root(document, &view);
	initStringInfo(&path);
	json_begin_array(&builder);
	add_masked(&builder, &path, &view);
	return json_builder_finish(&builder);
}

/*
 * Try a JSON Patch on the base with its sensitive values masked.  It can copy and move values, and
 * shift elements: what comes out masked keeps its marks wherever it is.  Refuses to test what is
 * sensitive.
 */
static void
try_patch(Proposal *proposal, const Jsonb *base, const Jsonb *patch)
{
	Mask	   *mask = origins_mask(proposal);

	mask_add_both(mask, base, proposal->parameters, NULL);
	proposal->tried = json_try_patch(mask_leaves(mask, base), patch, SENSITIVE_MASK);
	proposal->kept = compose_masked(proposal->tried);
}

/* What an instance's params become by an edit before its patch: its own, with the preset, if any, on top. */
Jsonb *
compose_edit_base(const Proposal *proposal)
{
	Jsonb	   *own = compose_own(proposal);

	return proposal->preset ? json_lay_over(own, proposal->preset) : own;
}

/* What an instance's params become by an edit: the base with the patch, of either kind, and the defaults below. */
Jsonb *
compose_edit(Proposal *proposal, const Jsonb *base, const Jsonb *patch)
{
	Overrides	overrides;

	overrides_read(&overrides, patch);
	if (overrides.is_patch)
		try_patch(proposal, base, patch);
	return fill_in(proposal, overrides_apply(&overrides, base));
}

/* What the destination's params become: the base with the overrides, a merge patch or a JSON Patch. */
Jsonb *
compose_overrides(Proposal *proposal, Jsonb *base, const Jsonb *document)
{
	Overrides	overrides;

	overrides_read(&overrides, document);
	if (overrides.is_patch)
		try_patch(proposal, base, document);
	return apply_overrides(proposal, base, &overrides);
}

/*
 * What the destination's params become, as a function of documents without
 * parameters.  All must be objects within the limits; overrides may be an array.
 */
static Jsonb *
compose_params(Jsonb *source, Jsonb *destination, Jsonb *schema, const Jsonb *document)
{
	const Proposal proposal = {.params = source,.own_params = destination,.schema = schema};
	Overrides	overrides;

	overrides_read(&overrides, document);
	return apply_overrides(&proposal, compose_base(&proposal), &overrides);
}

/* What is wrong with params: for people and for programs. */
typedef struct Violations
{
	StringInfoData lines;
	RefusalItems items;
} Violations;

/* Collector of violations: a line each. */
static void
add_violation(void *state, const SchemaViolation *violation)
{
	Violations *violations = state;
	StringInfo	lines = &violations->lines;

	if (lines->len > 0)
		appendStringInfoChar(lines, '\n');
	appendStringInfo(lines, "%s: %s", violation->instance_path, violation->message);
	refusal_item(&violations->items, "path", violation->instance_path, "message", violation->message, "keyword",
				 violation->keyword, "schema_path", violation->schema_path);
}

/* What can be done about params that are not valid. */
static const char *
remedy(const Proposal *proposal)
{
	Proposal	filling = *proposal;
	JsonbValue	view;

	filling.fill_defaults = true;
	view = json_view(json_render(fill_in(&filling, proposal->params), proposal->parameters, true));
	if (schema_validate(schema_compile(proposal->schema), &view, NULL, NULL))
		return "Pass fill_defaults => true, and the schema's defaults fill it in; or set what is named above by overrides.";
	if (proposal->own_params == NULL)
		return "Set what is named above by overrides, or in the patch of an edit; a preset and fill_defaults => true fill in what they have of it.";
	return "Set what is named above by overrides, or promote another version.";
}

/* Refuse params that the release's schema does not allow, for all reasons. */
static void
check_valid(const Proposal *proposal)
{
	Violations	found = {.items = {.count = 0}};
	JsonbValue	view = json_view(proposal->rendered);

	initStringInfo(&found.lines);
	if (!schema_validate(schema_compile(proposal->schema), &view, add_violation, &found))
		ereport(ERROR,
				(errcode(PM_INVALID_PARAMS),
				 errmsg("the params of \"%s\" would not be valid for %s %s",
						proposal->instance, proposal->bundle, proposal->version),
				 errdetail_items(found.lines.data, "violations", &found.items),
				 errhint("%s", remedy(proposal))));
	pfree(found.lines.data);
}

/* Collector of changes: the paths of those that are immutable, a line each. */
static void
add_immutable(void *state, const JsonChange *change)
{
	Violations *violations = state;
	StringInfo	lines = &violations->lines;

	if (!(change->flags & SCHEMA_IMMUTABLE))
		return;
	if (lines->len > 0)
		appendStringInfoChar(lines, '\n');
	appendStringInfoString(lines, change->path);
	refusal_item(&violations->items, "path", change->path);
}

/* The paths of the immutable values in which a rendered document differs from what runs, a line each. */
char *
compose_replaced(const Jsonb *runs, const Jsonb *rendered, Jsonb *schema)
{
	Violations	found = {.items = {.count = 0}};

	initStringInfo(&found.lines);
	json_leaf_diff(runs, schema_marks(schema, runs, SCHEMA_IMMUTABLE),
				   rendered, schema_marks(schema, rendered, SCHEMA_IMMUTABLE), add_immutable, &found);
	return found.lines.data;
}

/* Report in which leaves a proposal differs from what may run, with marks that say what is immutable. */
static void
diff_immutable(const Proposal *proposal, const Carried *deployed,
			   JsonChangeCollector collect, void *state)
{
	json_leaf_diff(deployed->params, schema_marks(proposal->schema, deployed->params, SCHEMA_IMMUTABLE),
				   proposal->rendered, schema_marks(proposal->schema, proposal->rendered, SCHEMA_IMMUTABLE),
				   collect, state);
}

/*
 * Where the instance is provisioned, find what the proposal would change
 * although it is immutable: refused, or marked where it was allowed.
 */
static void
check_immutable(Proposal *proposal)
{
	Violations	found = {.items = {.count = 0}};
	ListCell   *cell;

	initStringInfo(&found.lines);
	/* one that was planned in several ways is compared with each */
	foreach(cell, proposal->deployed)
		if (found.items.count == 0)
			diff_immutable(proposal, lfirst(cell), add_immutable, &found);
	proposal->destructive = found.items.count > 0;
	if (proposal->destructive && !proposal->allow_replace)
		ereport(ERROR,
				(errcode(PM_IMMUTABLE),
				 errmsg("immutable params of \"%s\" would change", proposal->instance),
				 errdetail_items(found.lines.data, "violations", &found.items),
				 errhint("Keep the instance's values by overrides, or pass allow_replace => true: what runs would be replaced.")));
	pfree(found.lines.data);
}

/*
 * What of a proposal, which is checked, must not be seen: by all that its values
 * come from, under the schemas of all releases concerned.
 */
Mask *
compose_mask(const Proposal *proposal)
{
	Mask	   *mask = origins_mask(proposal);

	mask_add_rendered(mask, proposal->params, proposal->rendered, proposal->parameters, proposal->kept);
	return mask;
}

/* The paths that keep marks in a checked proposal's params: see mask_kept. */
Jsonb *
compose_kept(const Proposal *proposal)
{
	return mask_kept(compose_mask(proposal), proposal->schema,
					 proposal->params, proposal->rendered, NULL);
}

/*
 * The paths that keep marks in what a deployment renders of params that are desired, but for those
 * that are known (NULL: none are); by another release than these were judged by all,
 * for they are seen by either.
 */
Jsonb *
compose_kept_anew(const Proposal *proposal, const Jsonb *known)
{
	return mask_kept(compose_mask(proposal), proposal->other_schemas[0] ? NULL : proposal->schema,
					 proposal->params, proposal->rendered, known);
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
	check_valid(proposal);
	check_immutable(proposal);
}

/* Where obstacles go, on the way through what finds them. */
typedef struct Obstacles
{
	ObstacleCollector collect;
	void	   *state;
	bool		immutable;		/* was an immutable value among them? */
} Obstacles;

/* Tell one obstacle. */
static void
tell(const Obstacles *obstacles, int sqlstate, const char *path, const char *message)
{
	Obstacle	obstacle = {sqlstate, path, message};

	obstacles->collect(obstacles->state, &obstacle);
}

/* Collector of violations: an obstacle each. */
static void
tell_violation(void *state, const SchemaViolation *violation)
{
	tell(state, PM_INVALID_PARAMS, violation->instance_path, violation->message);
}

/* Collector of changes: those of immutable values are obstacles. */
static void
tell_immutable(void *state, const JsonChange *change)
{
	Obstacles  *obstacles = state;

	if (!(change->flags & SCHEMA_IMMUTABLE))
		return;
	tell(obstacles, PM_IMMUTABLE, change->path, COMPOSE_IMMUTABLE);
	obstacles->immutable = true;
}

/* Tell where a proposal that is rendered changes an immutable value of what may run. */
static void
tell_immutables(Obstacles *obstacles, const Proposal *proposal)
{
	ListCell   *cell;

	foreach(cell, proposal->deployed)
		if (!obstacles->immutable)
			diff_immutable(proposal, lfirst(cell), tell_immutable, obstacles);
}

/*
 * Tell everything for which compose_check would refuse the proposal, but for
 * limits of size, which are raised; and fill in what it fills in, with
 * placeholders that have no value left as they are.
 */
void
compose_obstacles(Proposal *proposal, ObstacleCollector collect, void *state)
{
	Obstacles	obstacles = {collect, state, false};
	JsonbValue	view;
	List	   *problems;
	ListCell   *cell;

	json_check_params(proposal->params, "params");
	proposal->rendered = json_render_noting(proposal->params, proposal->parameters, &problems);
	json_check_params(proposal->rendered, "rendered params");
	foreach(cell, problems)
		tell(&obstacles, PM_INVALID_PLACEHOLDER, NULL, lfirst(cell));
	json_root(proposal->rendered, &view);
	/* a placeholder that is still there would be judged as the string that it is */
	if (problems == NIL)
		schema_validate(schema_compile(proposal->schema), &view, tell_violation, &obstacles);
	tell_immutables(&obstacles, proposal);
	proposal->destructive = obstacles.immutable;
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
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(compose_params(get_params(fcinfo, 0, "source params"),
									 get_params(fcinfo, 1, "destination params"),
									 PG_GETARG_JSONB_P(2),
									 overrides_argument(fcinfo, 3)));
}

/* promote.jsonb_filter_copyable(params jsonb, schema jsonb) returns jsonb */
Datum
promote_jsonb_filter_copyable(PG_FUNCTION_ARGS)
{
	Jsonb	   *params = PG_GETARG_JSONB_P(0);
	JsonMark   *marks = schema_marks(PG_GETARG_JSONB_P(1), params, SCHEMA_NONCOPYABLE);

	PG_RETURN_JSONB_P(marks ? json_remove_marked(params, marks, SCHEMA_NONCOPYABLE) : params);
}
