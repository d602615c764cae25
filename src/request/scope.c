/*
 * scope.c: opening a request, which freezes its scope into items, in waves.
 *
 * Requests of a project are opened one after the other, as each takes the next
 * number under a lock on the project's row.  So each sees the instances that those
 * before it hold.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "compose/overrides.h"
#include "grant/access.h"
#include "json/limits.h"
#include "json/number.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/guard.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/rule_hold.h"
#include "request/request.h"

PG_FUNCTION_INFO_V1(promote_open_request);

/* The places of the arguments of promote.open_request. */
enum
{
	PROJECT, SOURCE, DESTINATION, SCOPE, STRATEGY, WAVES, OVERRIDES, EXECUTION_WINDOW, ROLLBACK_MODE,
	SOAK, CHECKS, VERIFICATION_OWNER, FALLBACK_OWNER, TICKET, MESSAGE, INCLUDE_OTHER_CHANGES, COPY_SECRETS,
	COPY_REMOTE_REFERENCES, IDEMPOTENCY_KEY, PIN, REPROVISION, CHOICES, CHOICE
};

/* A component that may be in the scope. */
typedef struct Candidate
{
	char	   *component;
	Jsonb	   *skip_reason;	/* code and message; NULL: it is promoted */
	Jsonb	   *attributes;		/* effective, of the destination */
	int32		rank;			/* how many components it depends on come before it, one after the other */
	int			wave;			/* 0: none yet */
} Candidate;

/* A request in the course of being opened. */
typedef struct Opening
{
	PromotionRequest request;
	Jsonb	   *scope;
	Jsonb	   *waves;			/* NULL: none */
	List	   *components;		/* char *: those that the scope names; NIL: it names none */
	Candidate  *candidates;		/* by name */
	Candidate **in_order;		/* the same by rank and name */
	int			count;
} Opening;

/* Refuse an argument for what is wrong with it. */
static void
refuse_argument(const char *name, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("the %s of a request cannot be used", name),
			 errdetail_internal("%s", problem),
			 errhint("%s", hint)));
}

/* ---- arguments ---- */

/* Take a word that has to be in a table of names, and return its number; left out, it is the first. */
static int
argument_word(FunctionCallInfo fcinfo, int argument, const char *name, const char *const *names)
{
	char	   *word = argument_text(fcinfo, argument);
	int			member = word ? sql_enum(names, word) : 1;
	List	   *known = NIL;

	if (member > 0)
		return member;
	for (int i = 1; names[i]; i++)
		known = lappend(known, unconstify(char *, names[i]));
	refuse_argument(name, psprintf("\"%s\" is none of: %s.", word, names_joined(known)), "Name one of them.");
	return 0;
}

/* The strings of an array.  Refuses an empty array, and anything else. */
static List *
take_names(const JsonbValue *array)
{
	List	   *names = NIL;

	if (!json_is_array(array) || json_count(array) == 0)
		refuse_argument("scope", "Its \"components\" are not an array of names, or an empty one.",
						"Name the components, or leave the key out for all.");
	json_foreach(element, array)
	{
		const JsonbValue *name = &element.value;

		if (name->type != jbvString)
			refuse_argument("scope", "Its \"components\" hold something other than names.",
							"Name the components as strings.");
		names = lappend(names, pnstrdup(name->val.string.val, name->val.string.len));
	}
	return names;
}

/* Take the scope apart. */
static void
take_scope(Opening *opening)
{
	json_foreach_in(part, &opening->scope->root)
	{
		const JsonbValue *value = &part.value;

		if (json_string_is(&part.key, "components"))
			opening->components = take_names(value);
		else if (json_string_is(&part.key, "selector") && json_is_object(value))
			opening->request.selector = json_count(value) > 0 ? json_from_view(value) : NULL;
		else if (json_string_is(&part.key, "selector"))
			refuse_argument("scope", "Its \"selector\" is not an object.",
							"Pass what the attributes must contain, as in {\"tenant\": \"acme\"}.");
		else
			refuse_argument("scope", psprintf("There is no \"%s\" in a scope.",
											  pnstrdup(part.key.val.string.val, part.key.val.string.len)),
							"Its keys are components and selector.");
	}
}

/* Refuse waves that are not an array of sizes and selectors, or that the strategy does not have. */
static void
check_waves(const Opening *opening)
{
	RequestStrategy strategy = opening->request.strategy;
	bool		wanted = strategy == STRATEGY_WAVES || strategy == STRATEGY_CANARY;
	const char *hint = "Pass sizes and selectors in order, as in [1, 5] or [{\"tenant\": \"acme\"}];"
		" the rest is one more wave.";
	JsonbValue	waves;

	if (wanted != (opening->waves != NULL))
		refuse_argument("waves", psprintf("The strategy %s has %s.", request_strategies[strategy],
										  wanted ? "waves, and none are given" : "none"),
						wanted ? hint : "Leave them out, or use the strategy waves or canary.");
	if (!wanted)
		return;
	waves = json_view(opening->waves);
	if (!json_is_array(&waves) || json_count(&waves) == 0)
		refuse_argument("waves", "They are not an array, or an empty one.", hint);
	if (strategy == STRATEGY_CANARY && json_count(&waves) != 1)
		refuse_argument("waves", "A canary is one wave, and then the rest.",
						"Pass one size or selector, or use the strategy waves.");
	json_foreach(wave, &waves)
		if (json_whole_number(&wave.value) == 0 && !(json_is_object(&wave.value) && json_count(&wave.value) > 0))
			refuse_argument("waves", psprintf("Wave %u is neither a size above 0 nor a selector.", wave.index + 1), hint);
}

/* Take the waves.  A single one, as of a canary, need not be in an array. */
static Jsonb *
argument_waves(FunctionCallInfo fcinfo)
{
	Jsonb	   *waves = PG_ARGISNULL(WAVES) ? NULL : PG_GETARG_JSONB_P(WAVES);
	JsonBuilder	builder;
	JsonbValue	view;

	if (waves == NULL || (JB_ROOT_IS_ARRAY(waves) && !JB_ROOT_IS_SCALAR(waves)))
		return waves;
	view = json_view(waves);
	json_begin_array(&builder);
	json_build_value(&builder, &view);
	return json_builder_finish(&builder);
}

/*
 * Take what is to be copied besides.  Whoever asks for secrets needs the grant
 * secrets at both ends; whoever moves the request does not.
 */
static void
take_carry(FunctionCallInfo fcinfo, PromotionRequest *request)
{
	request->carry.secrets = argument_bool(fcinfo, COPY_SECRETS, false);
	request->carry.references = argument_bool(fcinfo, COPY_REMOTE_REFERENCES, false);
	if (!request->carry.secrets)
		return;
	access_require_in("secrets", request->project, request->source_environment);
	access_require_in("secrets", request->project, request->destination_environment);
}

/* Take what is chosen, for all and by component. */
static void
take_choice(FunctionCallInfo fcinfo, PromotionRequest *request)
{
	Choice		choice;

	choice_take_shared(fcinfo, CHOICE, &choice);
	request->choice = choice_document(&choice);
	request->choices = argument_optional_params(fcinfo, CHOICES, "choices");
}

/* Take the arguments that can be judged without reading anything. */
static void
take_arguments(FunctionCallInfo fcinfo, Opening *opening)
{
	PromotionRequest *request = &opening->request;

	memset(opening, 0, sizeof(*opening));
	request->context = CurrentMemoryContext;
	request->project = argument_required(fcinfo, PROJECT, "project");
	request->source_environment = argument_required(fcinfo, SOURCE, "source environment");
	request->destination_environment = argument_required(fcinfo, DESTINATION, "destination environment");
	access_require_in("promote", request->project, request->destination_environment);
	access_require_in("view", request->project, request->source_environment);
	require_in_use(&(InstanceKey) {request->project, request->source_environment});
	require_in_use(&(InstanceKey) {request->project, request->destination_environment});
	opening->scope = argument_optional_params(fcinfo, SCOPE, "scope");
	request->strategy = argument_word(fcinfo, STRATEGY, "strategy", request_strategies);
	opening->waves = argument_waves(fcinfo);
	request->overrides = argument_optional_params(fcinfo, OVERRIDES, "overrides");
	request->rollback_mode = argument_word(fcinfo, ROLLBACK_MODE, "rollback mode", rollback_modes);
	request->include_other_changes = argument_bool(fcinfo, INCLUDE_OTHER_CHANGES, false);
	request->reprovision = argument_bool(fcinfo, REPROVISION, false);
	take_carry(fcinfo, request);
	request->pin = argument_bool(fcinfo, PIN, false);
	take_choice(fcinfo, request);
	take_scope(opening);
	check_waves(opening);
	if (strcmp(request->source_environment, request->destination_environment) == 0)
		ereport(ERROR,
				(errcode(PM_SAME_INSTANCE),
				 errmsg("cannot promote environment \"%s\" to itself", request->source_environment),
				 errdetail("The source and the destination are the same environment."),
				 errhint("Name another destination.")));
}

/* Refuse checks without a name. */
static void
check_checks(FunctionCallInfo fcinfo)
{
	Datum	   *names;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(CHECKS))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(CHECKS), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || VARSIZE_ANY_EXHDR(DatumGetPointer(names[i])) == 0)
			refuse_argument("checks", psprintf("Check %d has no name.", i + 1), "Name each, as health reports do.");
}

/* Pass an argument on to a statement. */
static SqlValue
value_of(FunctionCallInfo fcinfo, int argument, Oid type)
{
	return sql_value(type, PG_ARGISNULL(argument), PG_GETARG_DATUM(argument));
}

/* Refuse an execution window in which nothing can begin, and a soak below zero or above a year. */
static void
check_times(const Sql *sql, FunctionCallInfo fcinfo)
{
	static Statement judge = {"SELECT CASE WHEN pg_catalog.isempty($1) THEN 1"
		" WHEN pg_catalog.upper($1) <= pg_catalog.clock_timestamp() THEN 2"
		" WHEN $2 < '0'::pg_catalog.interval OR $2 > '1 year'::pg_catalog.interval THEN 3 END"};
	static const char *const problems[][3] = {
		{"execution window", "It is empty.", "Pass a range of times that ends after it begins."},
		{"execution window", "It is over already.", "Pass one that is to come, or none."},
		{"soak", "It is below zero or longer than a year.", "Pass how long a wave has to stay healthy."}
	};
	SqlRows		rows = sql_read(sql, &judge, value_of(fcinfo, EXECUTION_WINDOW, TSTZRANGEOID),
							   value_of(fcinfo, SOAK, INTERVALOID));
	int32		problem = sql_int(&rows, 0);

	if (problem > 0)
		refuse_argument(problems[problem - 1][0], problems[problem - 1][1], problems[problem - 1][2]);
}

/* ---- the scope ---- */

/* Take the request's number, which locks the project's row.  Raises PM_NOT_FOUND. */
static void
take_number(const Sql *sql, PromotionRequest *request)
{
	static Statement count = {"UPDATE promote.project AS p SET request = p.request + 1 WHERE p.project = $1"
		" RETURNING p.request"};
	SqlRows		rows = guarded_run(sql, &count, AS_TEXT(request->project));

	if (rows.count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no project \"%s\"", request->project),
				 errdetail("Requests are opened within a project."),
				 errhint("Check the spelling, or register it by promote.register_project.")));
	request->number = sql_int(&rows, 0);
}

/* Does an environment take promotions along paths only?  Raises PM_NOT_FOUND. */
static bool
require_environment(const Sql *sql, const PromotionRequest *request, const char *environment)
{
	static Statement read = {"SELECT e.source_policy = 'path' FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2"};
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(request->project), AS_TEXT(environment));

	if (rows.count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no environment \"%s\" of project \"%s\"", environment, request->project),
				 errdetail("A request is from one environment to another."),
				 errhint("Check the spelling, or register it by promote.register_environment.")));
	return sql_bool(&rows, 0);
}

/*
 * Refuse environments that do not exist, and a destination that takes promotions
 * along paths only if none leads there from the source.  Deployments that are
 * judged meanwhile are held to the request, see registry/rule_hold.c: its hold on
 * their instance is committed behind them, or they see it.
 */
static void
check_environments(const Sql *sql, const PromotionRequest *request)
{
	InstanceKey source = {request->project, request->source_environment, ""};
	InstanceKey destination = {request->project, request->destination_environment, ""};

	environment_hold(sql, &source);
	environment_hold(sql, &destination);
	rule_changed(sql, RULE_ALL, "promotion_request", request->project, request->destination_environment);
	rule_hold(RULE_PATHS, request->project, request->destination_environment, rule_view());
	(void) require_environment(sql, request, request->source_environment);
	path_require(sql, &destination, request->source_environment,
				 require_environment(sql, request, request->destination_environment), false, NULL);
}

/* The columns of promote_internal.request_candidates AS n. */
static const SqlField candidate_fields[] = {
	SQL_FIELDS(Candidate, "n", component, attributes, skip_reason, rank)
};

/* Compare two candidates by rank and name, for qsort. */
static int
compare_rank(const void *a, const void *b)
{
	const Candidate *first = *(Candidate *const *) a;
	const Candidate *second = *(Candidate *const *) b;

	if (first->rank != second->rank)
		return first->rank < second->rank ? -1 : 1;
	return strcmp(first->component, second->component);
}

/* Put the candidates into the order in which waves take them: what is needed first, then by name. */
static void
order_candidates(Opening *opening)
{
	opening->in_order = palloc_extended(Max(opening->count, 1) * sizeof(Candidate *), MCXT_ALLOC_HUGE);
	for (int i = 0; i < opening->count; i++)
		opening->in_order[i] = &opening->candidates[i];
	qsort(opening->in_order, opening->count, sizeof(Candidate *), compare_rank);
}

/* Read the components of the scope, by name. */
static void
read_candidates(const Sql *sql, Opening *opening)
{
	static Statement read = SQL_ROWS(candidate_fields, "SELECT $* FROM"
									 " promote_internal.request_candidates($1, $2, $3, $4, $5, $6) AS n"
									 " ORDER BY n.component");
	const PromotionRequest *request = &opening->request;
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(request->project), AS_TEXT(request->source_environment),
							   AS_TEXT(request->destination_environment),
							   AS_TEXTS(opening->components ? names_array(opening->components) : (Datum) 0),
							   AS_JSONB(request->selector), AS_BOOL(request->reprovision));

	opening->count = rows.count;
	opening->candidates = palloc_extended(Max(rows.count, 1) * sizeof(Candidate), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; sql_row(&rows, i, &opening->candidates[i]); i++)
		;
	order_candidates(opening);
}

/* Compare a name with a candidate's, for bsearch. */
static int
compare_candidate(const void *component, const void *candidate)
{
	return strcmp(component, ((const Candidate *) candidate)->component);
}

/* Find a candidate by its name; NULL: there is none.  Candidates are sorted by name. */
static Candidate *
find_candidate(const Opening *opening, const char *component)
{
	return bsearch(component, opening->candidates, opening->count, sizeof(Candidate), compare_candidate);
}

/* Refuse a scope that names components that do not exist. */
static void
check_components(const Opening *opening)
{
	List	   *unknown = NIL;
	ListCell   *cell;

	foreach(cell, opening->components)
		if (find_candidate(opening, lfirst(cell)) == NULL)
			unknown = lappend(unknown, psprintf("\"%s\"", (char *) lfirst(cell)));
	if (unknown)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("the scope names components that project \"%s\" does not have", opening->request.project),
				 errdetail_internal("Unknown: %s.", names_joined(unknown)),
				 errhint("Check the spelling; promote.component lists them.")));
}

/* Refuse a scope of which nothing can be promoted, saying why not. */
static void
check_not_empty(const Opening *opening)
{
	StringInfoData reasons;

	initStringInfo(&reasons);
	for (int i = 0; i < opening->count; i++)
	{
		if (opening->candidates[i].skip_reason == NULL)
			return;
		if (i < REQUEST_SHOWN)
			appendStringInfo(&reasons, "%s\"%s\": %s", i > 0 ? "; " : "", opening->candidates[i].component,
							 skip_message(opening->candidates[i].skip_reason));
	}
	refuse_argument("scope", opening->count == 0 ? "It is empty: no component matches it." :
					psprintf("It is empty: nothing of it can be promoted. %s.", reasons.data),
					"Name components that have instances in both environments,"
					" or a selector that their attributes contain.");
}

/* The component that a key of an argument by component names.  Refuses one of which nothing is promoted. */
static char *
require_promoted(const Opening *opening, const JsonbValue *key, const char *argument, const char *hint)
{
	char	   *component = pnstrdup(key->val.string.val, key->val.string.len);
	Candidate  *candidate = find_candidate(opening, component);

	if (candidate == NULL || candidate->skip_reason)
		refuse_argument(argument, psprintf("Nothing of component \"%s\" is promoted.", component), hint);
	return component;
}

/* Refuse overrides of components that are not promoted, and those that are neither a merge patch nor a JSON Patch. */
static void
check_overrides(const Opening *opening)
{
	Overrides	overrides;

	json_foreach_in(patch, &opening->request.overrides->root)
	{
		char	   *component = require_promoted(opening, &patch.key, "overrides",
												 "Their keys are components of the scope, their values merge patches or JSON Patches.");

		if (patch.value.type != jbvBinary)
			refuse_argument("overrides", psprintf("Those of \"%s\" are neither an object nor an array.", component),
							"Pass a merge patch or a JSON Patch for each component.");
		overrides_read(&overrides, json_from_view(&patch.value));
	}
}

/* Refuse choices of components that are not promoted, and those that cannot be read, all at once. */
static void
check_choices(const Opening *opening)
{
	StringInfoData problems;

	initStringInfo(&problems);
	json_foreach_in(own, &opening->request.choices->root)
	{
		char	   *component = require_promoted(opening, &own.key, "choices",
												 "Their keys are components of the scope, their values objects.");
		Choice		choice = {.source_state = SOURCE_DESIRED};

		if (json_is_object(&own.value))
			choice_read(json_from_view(&own.value), component, &choice, &problems);
		else
			appendStringInfo(&problems, "%s%s: it is not an object", problems.len > 0 ? "\n" : "", component);
	}
	choice_require_read(&problems);
}

/* Refuse what is chosen for an item where it contradicts the other arguments, or itself. */
static void
check_choice(const PromotionRequest *request, const char *component)
{
	const char *name = request_instance_name(request, component);
	Choice		choice;

	request_choice(request, component, &choice);
	choice_check(&choice, name, request->pin, request->carry.secrets, request->carry.references);
	if (choice.mode == MODE_REPLACE)
		choice_check_mode(&choice, MODE_REPLACE);
	if (choice.only)
		only_require(choice.only, name);
}

/* Check what is chosen for the items: for those of which nothing is said by themselves once. */
static void
check_items_choices(const Opening *opening)
{
	bool		checked = false;
	JsonbValue	own;

	check_choices(opening);
	for (int i = 0; i < opening->count; i++)
	{
		const Candidate *candidate = &opening->candidates[i];
		bool		has_own = json_find_in(opening->request.choices, candidate->component, &own);

		CHECK_FOR_INTERRUPTS();
		if (candidate->skip_reason || (checked && !has_own))
			continue;
		check_choice(&opening->request, candidate->component);
		checked = checked || !has_own;
	}
}

/* ---- waves ---- */

/* Put the next candidates without a wave into one: up to size, or those that a selector matches. Returns how many. */
static int
fill_wave(Opening *opening, int wave, int size, Jsonb *selector)
{
	int			filled = 0;

	for (int i = 0; i < opening->count && filled < size; i++)
	{
		Candidate  *candidate = opening->in_order[i];

		CHECK_FOR_INTERRUPTS();
		if (candidate->wave > 0 || candidate->skip_reason ||
			(selector && !DatumGetBool(DirectFunctionCall2(jsonb_contains, JsonbPGetDatum(candidate->attributes),
														   JsonbPGetDatum(selector)))))
			continue;
		candidate->wave = wave;
		filled++;
	}
	return filled;
}

/* Put the candidates into the waves that were asked for, and the rest into one more. */
static void
fill_waves(Opening *opening)
{
	int			number = 0;

	json_foreach_in(wave, &opening->waves->root)
	{
		int			size = json_whole_number(&wave.value);
		int			filled = fill_wave(opening, number + 1, size ? size : PG_INT32_MAX,
									   size ? NULL : json_from_view(&wave.value));

		/* a misspelt selector must not send everything into the last wave */
		if (filled == 0 && size == 0)
			refuse_argument("waves", psprintf("Wave %u matches no component that is not in a wave before.",
											  wave.index + 1),
							"Correct its selector, or leave it out.");
		if (filled > 0)
			number++;
	}
	fill_wave(opening, number + 1, PG_INT32_MAX, NULL);
}

/* Put all candidates into waves, as the strategy says. */
static void
assign_waves(Opening *opening)
{
	int			wave = 0;

	if (opening->waves)
		fill_waves(opening);
	else if (opening->request.strategy == STRATEGY_ALL_AT_ONCE)
		fill_wave(opening, 1, PG_INT32_MAX, NULL);
	else
		for (int i = 0; i < opening->count; i++)
			if (opening->in_order[i]->skip_reason == NULL)
				opening->in_order[i]->wave = ++wave;
}

/* A component and one that it depends on. */
typedef struct Dependency
{
	char	   *component;
	char	   *depends_on;
} Dependency;

static const SqlField dependency_fields[] = {
	SQL_FIELDS(Dependency, "d", component, depends_on)
};

/*
 * Refuse waves of selectors that would take a component before one that it depends on: its
 * wave would wait in the queue for a later one.
 */
static void
check_waves_order(const Sql *sql, const Opening *opening)
{
	static Statement read = SQL_ROWS(dependency_fields, "SELECT $* FROM promote.component_dependency AS d"
									 " WHERE d.project = $1 ORDER BY d.component, d.depends_on");
	SqlRows		rows;
	Dependency	dependency;

	if (opening->waves == NULL)
		return;
	rows = sql_run(sql, &read, AS_TEXT(opening->request.project));
	for (uint64 i = 0; sql_row(&rows, i, &dependency); i++)
	{
		const Candidate *candidate = find_candidate(opening, dependency.component);
		const Candidate *needed = find_candidate(opening, dependency.depends_on);

		if (candidate && needed && candidate->wave > 0 && candidate->wave < needed->wave)
			refuse_argument("waves", psprintf("Wave %d takes \"%s\" before \"%s\", which it depends on, in wave %d.",
											  candidate->wave, candidate->component, needed->component, needed->wave),
							"Let their selectors go along promote.component_dependency.");
	}
}

/* ---- writing ---- */

/* The document of the items that promote_internal.request_items reads. */
static Jsonb *
items_document(const Opening *opening)
{
	JsonBuilder	builder;
	JsonbValue *skipped = palloc_extended(Max(opening->count, 1) * sizeof(JsonbValue), MCXT_ALLOC_HUGE);

	json_begin_array(&builder);
	for (int i = 0; i < opening->count; i++)
	{
		const Candidate *candidate = &opening->candidates[i];

		json_build_begin_object(&builder);
		json_build_field(&builder, "component", candidate->component);
		if (candidate->skip_reason)
		{
			json_build_key(&builder, "skip_reason", strlen("skip_reason"));
			json_root(candidate->skip_reason, &skipped[i]);
			json_build_value(&builder, &skipped[i]);
		}
		else
			json_build_number(&builder, "wave", candidate->wave);
		json_build_end_object(&builder);
	}
	return json_builder_finish(&builder);
}

/* Refuse a scope with instances that other requests hold, naming these requests. */
static void
check_free(const Sql *sql, const PromotionRequest *request, const Jsonb *items)
{
	static Statement read = {"SELECT h.words FROM promote_internal.request_holders($1, $2, $3) AS h"
		" ORDER BY h.component"};
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(request->project), AS_TEXT(request->destination_environment),
							   AS_JSONB(items));
	StringInfoData holders;

	if (rows.count == 0)
		return;
	initStringInfo(&holders);
	for (uint64 i = 0; i < Min(rows.count, REQUEST_SHOWN); i++)
		appendStringInfo(&holders, "%s%s", i > 0 ? "\n" : "", sql_text(&rows, i));
	if (rows.count > REQUEST_SHOWN)
		appendStringInfo(&holders, "\nand " UINT64_FORMAT " more", rows.count - REQUEST_SHOWN);
	ereport(ERROR,
			(errcode(PM_REQUEST_HOLDS),
			 errmsg("instances of the scope are held by other requests"),
			 errdetail_internal("%s", holders.data),
			 errhint("Wait until it is over, end it by promote.cancel_request, or leave these out of the scope.")));
}

/* The values of the columns that say what was asked for, in the order of the arguments. */
#define AS_ASKED_FOR(fcinfo, opening) AS_TEXT((opening)->request.source_environment), \
	AS_TEXT((opening)->request.destination_environment), AS_JSONB((opening)->scope), \
	AS_TEXT(request_strategies[(opening)->request.strategy]), AS_JSONB((opening)->waves), \
	AS_JSONB((opening)->request.overrides), value_of(fcinfo, EXECUTION_WINDOW, TSTZRANGEOID), \
	AS_TEXT(rollback_modes[(opening)->request.rollback_mode]), value_of(fcinfo, SOAK, INTERVALOID), \
	value_of(fcinfo, CHECKS, TEXTARRAYOID), value_of(fcinfo, VERIFICATION_OWNER, TEXTOID), \
	value_of(fcinfo, FALLBACK_OWNER, TEXTOID), value_of(fcinfo, TICKET, TEXTOID), \
	value_of(fcinfo, MESSAGE, TEXTOID), AS_BOOL((opening)->request.include_other_changes), \
	AS_BOOL((opening)->request.carry.secrets), AS_BOOL((opening)->request.carry.references), \
	AS_BOOL((opening)->request.pin), AS_BOOL((opening)->request.reprovision), \
	AS_JSONB((opening)->request.choice), AS_JSONB((opening)->request.choices)

/* Write the request's row. */
static void
write_request(const Sql *sql, FunctionCallInfo fcinfo, const Opening *opening, const char *key)
{
	static Statement write = {"WITH stored AS (INSERT INTO promote.config (project, params)"
		"  SELECT $1, $9 WHERE $9 <> '{}' ON CONFLICT DO NOTHING)"
		" INSERT INTO promote.promotion_request (project, request, idempotency_key,"
		" source_environment, destination_environment, scope, strategy, waves, overrides_digest, execution_window,"
		" rollback_mode, soak, checks, verification_owner, fallback_owner, ticket, message, include_other_changes,"
		" copy_secrets, copy_remote_references, pin, reprovision, choice, choices)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9 <> '{}' THEN promote.config_digest($1, $9) END, $10, $11,"
		" COALESCE($12, '0'), COALESCE($13, '{}'),"
		" $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"};

	guarded_run(sql, &write, AS_REQUEST(&opening->request), AS_TEXT(key), AS_ASKED_FOR(fcinfo, opening));
}

/* A call that used an idempotency key. */
typedef struct FormerCall
{
	int32		request;
	bool		same;			/* were its other arguments the same? */
} FormerCall;

/*
 * Find the request that was opened under an idempotency key, and lock the project,
 * so that calls with one key come one after the other.  Returns false, with the
 * project locked, where there is none.  Raises PM_KEY_REUSED if another call used
 * the key.
 */
static bool
find_request(const Sql *sql, FunctionCallInfo fcinfo, Opening *opening, const char *key)
{
	static Statement lock = {"SELECT FROM promote.project AS p WHERE p.project = $1 FOR NO KEY UPDATE"};
	static const SqlField fields[] = {
		SQL_FIELD(FormerCall, request, "r.request"),
		SQL_FIELD(FormerCall, same, "(r.source_environment, r.destination_environment, r.scope, r.strategy,"
				  " r.waves, COALESCE(promote_internal.config_params(r.project, r.overrides_digest), '{}'), r.execution_window, r.rollback_mode, r.soak, r.checks, r.verification_owner,"
				  " r.fallback_owner, r.ticket, r.message, r.include_other_changes, r.copy_secrets,"
				  " r.copy_remote_references, r.pin, r.reprovision, r.choice, r.choices) IS NOT DISTINCT FROM ($3, $4,"
				  " $5, $6, $7, $8, $9, $10, COALESCE($11, '0'), COALESCE($12, '{}'), $13, $14, $15, $16, $17, $18, $19,"
				  " $20, $21, $22, $23)"
				  /* of an environment that is over there is nothing to come back to */
				  " AND NOT EXISTS (SELECT FROM promote.environment AS e WHERE e.project = r.project"
				  " AND e.environment IN (r.source_environment, r.destination_environment) AND e.opened_at > r.created_at)")
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM promote.promotion_request AS r"
									 " WHERE r.project = $1 AND r.idempotency_key = $2");
	FormerCall	found;
	SqlRows		rows;

	(void) sql_run(sql, &lock, AS_TEXT(opening->request.project));
	rows = sql_run(sql, &find, AS_TEXT(opening->request.project), AS_TEXT(key), AS_ASKED_FOR(fcinfo, opening));
	if (!sql_row(&rows, 0, &found))
		return false;
	if (!found.same)
		ereport(ERROR,
				(errcode(PM_KEY_REUSED),
				 errmsg("idempotency key \"%s\" was used for another call", key),
				 errdetail("It belongs to request %d of project \"%s\", with other arguments or of before an environment "
						   "was archived.", found.request, opening->request.project),
				 errhint("Use a new key for a new request.")));
	opening->request.number = found.request;
	return true;
}

/* Write the items.  If an instance is held by now, the snapshot was too old to show its holder. */
static void
write_items(const Sql *sql, const PromotionRequest *request, const Jsonb *items)
{
	static Statement write = {"INSERT INTO promote.promotion_request_item (project, request, destination_environment,"
		" component, wave, status, skip_reason, holds, finished_at)"
		" SELECT $1, $2, $3, n.component, n.wave, CASE WHEN n.wave IS NULL THEN 'SKIPPED' ELSE 'PENDING' END,"
		" n.skip_reason, n.wave IS NOT NULL, CASE WHEN n.wave IS NULL THEN pg_catalog.clock_timestamp() END"
		" FROM promote_internal.request_items($4) AS n"};

	guarded_run(sql, &write, AS_REQUEST(request), AS_TEXT(request->destination_environment), AS_JSONB(items));
}

/* Record that it was opened: for what, and with how many items. */
static void
record_opening(const Sql *sql, Opening *opening)
{
	PromotionRequest *request = &opening->request;
	JsonBuilder	facts;

	request->status = REQUEST_OPEN;
	request_facts(&facts, request);
	json_build_field(&facts, "source_environment", request->source_environment);
	json_build_field(&facts, "destination_environment", request->destination_environment);
	json_build_field(&facts, "strategy", request_strategies[request->strategy]);
	json_build_field(&facts, "rollback_mode", rollback_modes[request->rollback_mode]);
	json_build_number(&facts, "items", opening->count);
	request_record(sql, request, "request.opened", &facts);
}

/* promote.open_request(...) returns promote.promotion_request, see sql/request/request.sql */
Datum
promote_open_request(PG_FUNCTION_ARGS)
{
	Opening		opening;
	PromotionRequest *request = &opening.request;
	char	   *key = argument_text(fcinfo, IDEMPOTENCY_KEY);
	Sql			sql;
	Jsonb	   *items;

	promotion_check_key(key);
	take_arguments(fcinfo, &opening);
	check_checks(fcinfo);
	for (int i = VERIFICATION_OWNER; i <= MESSAGE; i++)
		(void) argument_text(fcinfo, i);
	sql_enter(&sql);
	if (key && find_request(&sql, fcinfo, &opening, key))
		return request_result(&sql, request);
	check_times(&sql, fcinfo);
	take_number(&sql, request);
	check_environments(&sql, request);
	read_candidates(&sql, &opening);
	check_components(&opening);
	check_not_empty(&opening);
	check_overrides(&opening);
	check_items_choices(&opening);
	assign_waves(&opening);
	check_waves_order(&sql, &opening);
	items = items_document(&opening);
	check_free(&sql, request, items);
	write_request(&sql, fcinfo, &opening, key);
	write_items(&sql, request, items);
	record_opening(&sql, &opening);
	return request_result(&sql, request);
}
