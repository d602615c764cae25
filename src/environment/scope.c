/*
 * scope.c: what the verbs of environments are about.
 *
 * What is swept is told where it is left out; what is named is refused where it cannot be done.
 * Rows of past states are joined here, and not by the planner, which knows nothing of how many
 * components there are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "environment/scope.h"
#include "json/builder.h"
#include "json/number.h"
#include "json/reader.h"
#include "json/writer.h"
#include "registry/archived.h"
#include "registry/instance.h"

#define SHOWN 20				/* components that a message names */

/* ---- arguments ---- */

/* Refuse a state that is yet to come. */
void
state_require_past(const EnvironmentState *state)
{
	if (state->at != DT_NOEND && state->at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is yet to come", environment_state_name(state)),
				 errdetail("The time that is named has not passed."),
				 errhint("Pass a time that has, or the environment alone.")));
}

/* Take the argument that names an environment, or a state of it. */
void
argument_state(FunctionCallInfo fcinfo, int argument, const char *name, EnvironmentState *state)
{
	environment_state_parse(argument_required(fcinfo, argument, name), state);
	state_require_past(state);
}

/* Take the argument that names an environment as it is. */
void
argument_environment(FunctionCallInfo fcinfo, int argument, const char *name, EnvironmentState *state)
{
	environment_state_parse(argument_required(fcinfo, argument, name), state);
	if (environment_state_is_past(state))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the %s cannot be a state", name),
				 errdetail("\"%s\" is what was, and nothing changes that.", environment_state_name(state)),
				 errhint("Leave out what stands behind the @.")));
}

/* Refuse a list of components that is none. */
static void
refuse_components(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("invalid list of components"),
			 errdetail("%s", detail),
			 errhint("Name components, as in '{db,app}', or leave the argument out for all.")));
}

/* Take the names of the argument that lists components; NIL: it is null. */
static List *
take_names(FunctionCallInfo fcinfo, int argument)
{
	int			count = -1;
	NullableDatum *names = argument_array(fcinfo, argument, "components", TEXTOID, false, &count);
	List	   *list = NIL;

	if (count == 0)
		refuse_components("It is empty.");
	for (int i = 0; i < count; i++)
	{
		if (names[i].isnull)
			refuse_components("An element is null.");
		list = lappend(list, value_text(names[i]));
	}
	return list;
}

/* Take the two arguments that narrow the scope: a list of components, and a selector. */
void
scope_take(FunctionCallInfo fcinfo, int components, EnvironmentScope *scope)
{
	scope->named = take_names(fcinfo, components);
	if (!PG_ARGISNULL(components + 1))
		scope->selector = argument_params(fcinfo, components + 1, "selector");
}

/* ---- reading ---- */

static const SqlField component_fields[] = {
	SQL_FIELDS(ScopeComponent, "n", component, code, problem, pins)
};

static const SqlField state_fields[] = {
	SQL_FIELDS(ScopeComponent, "s", component, desired, revision, deployment, version)
};

/* Refuse an environment that does not exist, and a tag that it has not. */
void
environment_state_find(const Sql *sql, const EnvironmentState *state, bool read_only)
{
	static Statement read = {"SELECT FROM promote.environment_tag AS t"
		" JOIN promote.environment AS e ON e.project = t.project AND e.environment = t.environment AND e.generation = t.generation"
		" WHERE t.project = $1 AND t.environment = $2 AND t.tag = $3"};

	environment_find(sql, &state->key, read_only);
	if (state->tag && sql_read_if(sql, read_only, &read, AS_ENVIRONMENT(&state->key), AS_TEXT(state->tag)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no tag \"%s\"", environment_state_name(state)),
				 errdetail("The environment has no tag of that name."),
				 errhint("promote.environment_tag lists them; promote.tag_environment makes one.")));
}

/* Refuse these, and an environment that is archived. */
void
environment_state_require(const Sql *sql, const EnvironmentState *state, bool read_only)
{
	environment_state_find(sql, state, read_only);
	require_in_use(&state->key);
}

/* Compare a name with a component's, for bsearch. */
static int
compare_component(const void *name, const void *component)
{
	return strcmp(name, ((const ScopeComponent *) component)->component);
}

/* Find a component by its name; NULL: it is not in the scope. */
ScopeComponent *
scope_find(const EnvironmentScope *scope, const char *component)
{
	return bsearch(component, scope->list, scope->count, sizeof(ScopeComponent), compare_component);
}

/* Refuse a scope that names components that are not in it. */
static void
check_named(const EnvironmentScope *scope)
{
	List	   *unknown = NIL;
	ListCell   *cell;

	foreach(cell, scope->named)
		if (scope_find(scope, lfirst(cell)) == NULL)
			unknown = lappend(unknown, psprintf("\"%s\"", (char *) lfirst(cell)));
	if (unknown)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("environment \"%s-%s\" does not have all components that are named", scope->source.key.project,
						scope->source.key.environment),
				 errdetail_internal("Not there, or not selected: %s.", names_joined(unknown)),
				 errhint("Check the spelling; promote.instance lists them.")));
}

/*
 * Take the components that a statement has found, ordered by name, into the memory context of the caller.  Refuses
 * names that are not among them, and a selector that matches nothing.
 */
void
scope_fill(const Sql *sql, EnvironmentScope *scope, SqlRows *rows)
{
	MemoryContext inner = MemoryContextSwitchTo(sql->caller);

	scope->count = rows->count;
	scope->list = palloc_extended(Max(rows->count, 1) * sizeof(ScopeComponent), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; sql_row(rows, i, &scope->list[i]); i++)
		;
	MemoryContextSwitchTo(inner);
	check_named(scope);
	if (scope->count == 0 && scope->selector)
		scope_require_any(scope);
}

/* The components that are named, as an array; null: all are meant. */
Datum
scope_names(const EnvironmentScope *scope)
{
	return scope->named ? names_array(scope->named) : (Datum) 0;
}

/* Read what the components desired and ran in the state of the source, if it is a past one. */
void
scope_read_state(const Sql *sql, EnvironmentScope *scope, bool read_only)
{
	/* what an earlier generation of the environment was is another one's */
	static Statement read = SQL_ROWS(state_fields, "SELECT $*"
		" FROM promote_internal.environment_state($1, $2, $3, $4) AS s"
		" CROSS JOIN LATERAL promote_internal.opened_revision($1, $2, s.component) AS o"
		" WHERE COALESCE(s.desired, s.revision) > o.revision");
	SqlRows		rows;
	MemoryContext inner;
	ScopeComponent state;

	if (!environment_state_is_past(&scope->source))
		return;
	rows = sql_read_if(sql, read_only, &read, AS_ENVIRONMENT(&scope->source.key), AS_TEXT(scope->source.tag),
					   AS_TIME(scope->source.at));
	inner = MemoryContextSwitchTo(sql->caller);
	for (uint64 i = 0; sql_row(&rows, i, &state); i++)
	{
		ScopeComponent *found = scope_find(scope, state.component);

		if (found == NULL)
			continue;
		found->desired = state.desired;
		found->revision = state.revision;
		found->deployment = state.deployment;
		found->version = state.version;
	}
	MemoryContextSwitchTo(inner);
}

/* ---- judging ---- */

/* Do not leave out what is named, unless a selector does: it is refused, then, as it would be by itself. */
static void
keep_named(EnvironmentScope *scope)
{
	ListCell   *cell;

	foreach(cell, scope->named)
	{
		ScopeComponent *found = scope_find(scope, lfirst(cell));

		if (found->code && strcmp(found->code, "selector") != 0)
			found->code = NULL;
	}
}

/* Refuse a scope of which everything is left out, saying why. */
void
scope_require_any(const EnvironmentScope *scope)
{
	StringInfoData reasons;

	initStringInfo(&reasons);
	for (int i = 0; i < scope->count; i++)
	{
		if (scope->list[i].code == NULL)
			return;
		if (i < SHOWN)
			appendStringInfo(&reasons, "\n%s: %s", scope->list[i].component, scope->list[i].problem);
	}
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("there is nothing to do"),
			 scope->count == 0 ? errdetail("No component with an instance there matches.") :
			 errdetail_internal("Everything is left out:%s", reasons.data),
			 errhint("Name components that have instances there, or pass another selector, tag or time.")));
}

/*
 * Read the components of a scope, and of a past state of the source what they were in it.  What it
 * returns is in the current memory context.  Raises PM_NOT_FOUND for what is not there.
 * scope_require_any is to follow, once all that is left out is.
 */
void
scope_read(EnvironmentScope *scope, bool read_only)
{
	static Statement read = SQL_ROWS(component_fields, "SELECT $*"
		" FROM promote_internal.environment_scope($1, $2, $3, $4, $5, $6) AS n ORDER BY n.component COLLATE \"C\"");
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	environment_state_require(&sql, &scope->source, read_only);
	environment_require(&sql, &scope->destination.key, read_only);
	rows = sql_read_if(&sql, read_only, &read, AS_ENVIRONMENT(&scope->source.key),
					   AS_TEXT(scope->destination.key.environment), AS_TEXTS(scope_names(scope)),
					   AS_JSONB(scope->selector), AS_BOOL(scope->reprovision));
	scope_fill(&sql, scope, &rows);
	keep_named(scope);
	scope_read_state(&sql, scope, read_only);
	sql_leave(&sql);
}

/* The instance of a component in an environment; it shares the names. */
InstanceKey
scope_instance(const EnvironmentState *state, const ScopeComponent *component)
{
	return (InstanceKey) {state->key.project, state->key.environment, component->component};
}

/*
 * Leave out a component that did nothing in a past state of the source, unless it is left out already; or refuse the
 * call where it has named it.
 */
void
scope_leave_out(const EnvironmentScope *scope, ScopeComponent *component, const char *did)
{
	if (component->code)
		return;
	component->code = "nothing_then";
	component->problem = psprintf("it %s nothing in \"%s\"", did, environment_state_name(&scope->source));
	if (names_hold(scope->named, component->component))
		ereport(ERROR,
				(errcode(PM_NOT_DEPLOYED),
				 errmsg("there was nothing of component \"%s\"", component->component),
				 errdetail("By then, %s.", component->problem),
				 errhint("Leave it out, or pass another tag or time.")));
}

/*
 * Take what a past state of the source has to give: the revision that ran, or, by source_state, that was desired, and,
 * where it is pinned, the version that ran.  Leaves out the components of which it has nothing, or refuses the call
 * where it has named one.
 */
void
scope_take_past(const EnvironmentScope *scope, const char *source_state, bool pin)
{
	bool		desired = source_state && strcmp(source_state, "desired") == 0;

	for (int i = 0; environment_state_is_past(&scope->source) && i < scope->count; i++)
	{
		ScopeComponent *component = &scope->list[i];
		bool		pinned = pin || component->pins;

		component->revision = desired ? component->desired : component->revision;
		component->version = pinned ? component->version : NULL;
		if (component->revision == 0 || (pinned && component->version == NULL))
			scope_leave_out(scope, component, desired && component->revision == 0 ? "desired" : "ran");
	}
}

/* Refuse a document by component that has one which is not in the scope, or left out; what says which document. */
void
scope_check_keys(const EnvironmentScope *scope, const Jsonb *document, const char *what)
{
	json_foreach_in(own, &document->root)
	{
		char	   *name = pnstrdup(own.key.val.string.val, own.key.val.string.len);
		const ScopeComponent *component = scope_find(scope, name);

		if (component == NULL || component->code)
			ereport(ERROR,
					(errcode(PM_INVALID_ARGUMENT),
					 errmsg("the %s are of a component that is left alone", what),
					 component == NULL ? errdetail("Component \"%s\" is not in the scope.", name) :
					 errdetail("Component \"%s\" is left out: %s.", name, component->problem),
					 errhint("Their keys are the components of the scope.")));
	}
}

/* The overrides of a component: a merge patch or a JSON Patch. */
Jsonb *
scope_overrides(const Jsonb *overrides, const char *component)
{
	JsonbValue	own;

	if (!json_find_in(overrides, component, &own))
		return json_empty_object();
	if (own.type != jbvBinary)
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the overrides of \"%s\" cannot be used", component),
				 errdetail("They are neither an object nor an array."),
				 errhint("Pass a merge patch or a JSON Patch for each component.")));
	return json_from_view(&own);
}

/* Is it the number 0? */
static bool
is_zero(const JsonbValue *value)
{
	return value->type == jbvNumeric &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
										 NumericGetDatum(int64_to_numeric(0))));
}

/* The revision that a component is expected to be at; null: any. */
NullableDatum
scope_expected(const Jsonb *expected, const char *component)
{
	JsonbValue	own;
	int32		number;

	if (!json_find_in(expected, component, &own) || own.type == jbvNull)
		return (NullableDatum) {(Datum) 0, true};
	number = json_whole_number(&own);
	if (number == 0 && !is_zero(&own))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the expected_revision of \"%s\" cannot be used", component),
				 errdetail("It is not the number of a revision."),
				 errhint("Pass a number for each component, as in {\"db\": 3}; 0 stands for none yet.")));
	return (NullableDatum) {Int32GetDatum(number), false};
}
