/*
 * fork.c: opening an environment like another one.
 *
 * The environment and its instances are written first, and then configured as a set of promotions whose origin is
 * fork.  A preview judges the same set by what its instances would begin with.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "environment/environment.h"
#include "environment/scope.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "json/limits.h"
#include "json/merge.h"
#include "ledger/guard.h"
#include "promotion/promotion_set.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/parameter.h"

PG_FUNCTION_INFO_V1(promote_fork_environment);
PG_FUNCTION_INFO_V1(promote_preview_fork_environment);

/* The arguments. */
enum
{
	SOURCE, NEW_ENVIRONMENT, PARAMETERS, ATTRIBUTES, OVERRIDES, COPY_SECRETS, COPY_REMOTE_REFERENCES, COPY_RULES,
	COMPONENTS, SELECTOR, CONFIGURE, PLAN, MESSAGE, PIN, SOURCE_STATE, PRESET, PARTIAL = PRESET + 2
};

/* The parts of the project's lock that forks take, see lock_names. */
#define LOCK_NAME 1
#define LOCK_FORKS 2

static const SqlField forked_fields[] = {
	SQL_FIELDS(ScopeComponent, "f", component, code, problem, pins, missing)
};

/* A call. */
typedef struct Fork
{
	PromotionSet set;
	EnvironmentScope scope;		/* the environments, and the components of the source */
	const InstanceKey *source;	/* the environments without their state */
	const InstanceKey *destination;
	Choice		choice;			/* of the source's state, and what fills in */
	bool		copy_rules;
	Jsonb	   *parameters;		/* of the new environment */
	Jsonb	   *rendering;		/* the same with the marks of those that are sensitive */
	Jsonb	   *attributes;
	char	   *description;
} Fork;

/* The environment that is forked from. */
typedef struct Parent
{
	Jsonb	   *parameters;		/* NULL: none */
	ArrayType  *sensitive;		/* names of some */
	Jsonb	   *attributes;
	char	   *description;
} Parent;

static const SqlField parent_fields[] = {
	SQL_FIELDS(Parent, "s", parameters, sensitive),
	SQL_FIELDS(Parent, "e", attributes, description)
};

/* ---- arguments ---- */

/* Refuse two environments that do not fit each other. */
static void
check_pair(const Fork *fork)
{
	const InstanceKey *source = fork->source;
	const InstanceKey *destination = fork->destination;

	if (strcmp(source->project, destination->project) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("cannot fork \"%s-%s\" to \"%s-%s\"", source->project, source->environment, destination->project,
						destination->environment),
				 errdetail("One is of project \"%s\", the other of project \"%s\".", source->project,
						   destination->project),
				 errhint("Fork within a project.")));
	if (strcmp(source->environment, destination->environment) == 0)
		ereport(ERROR,
				(errcode(PM_SAME_INSTANCE),
				 errmsg("cannot fork \"%s-%s\" to itself", source->project, source->environment),
				 errdetail("The source and the new environment have the same name."),
				 errhint("Name another one.")));
}

/*
 * Refuse to try overrides or parameters in a preview to callers who may not fork: what they are refused for, and what
 * placeholders in them stand for, would tell what is masked or withheld.
 */
static void
require_trying(FunctionCallInfo fcinfo, const Fork *fork)
{
	const Jsonb *parameters = argument_optional_params(fcinfo, PARAMETERS, "parameters");
	const Jsonb *overrides = argument_optional_params(fcinfo, OVERRIDES, "overrides");

	if (JB_ROOT_COUNT(overrides) > 0 || JB_ROOT_COUNT(parameters) > 0)
		access_require_in("admin", fork->destination->project, NULL);
}

/* Take the arguments. */
static void
take_arguments(FunctionCallInfo fcinfo, bool previews, Fork *fork)
{
	PromotionSet *set = &fork->set;

	fork->source = &fork->scope.source.key;
	fork->destination = &fork->scope.destination.key;
	argument_state(fcinfo, SOURCE, "source", &fork->scope.source);
	argument_environment(fcinfo, NEW_ENVIRONMENT, "new environment", &fork->scope.destination);
	check_pair(fork);
	access_require_in("view", fork->source->project, fork->source->environment);
	if (previews)
		access_require_in("view", fork->destination->project, fork->destination->environment);
	else
		access_require_in("admin", fork->destination->project, NULL);
	scope_take(fcinfo, COMPONENTS, &fork->scope);
	if (previews)
		require_trying(fcinfo, fork);
	fork->copy_rules = argument_bool(fcinfo, COPY_RULES, false);
	choice_take_state(fcinfo, SOURCE_STATE, &fork->choice);
	choice_take_filling(fcinfo, PRESET, &fork->choice);
	set->fcinfo = fcinfo;
	set->state = fork;
	set->previews = previews;
	set->plan = argument_bool(fcinfo, PLAN, true);
	set->message = argument_text(fcinfo, MESSAGE);
	set->partial = argument_bool(fcinfo, PARTIAL, false);
}

/* Lay a patch over an object of the source's; the result is an object within the limits. */
static Jsonb *
take_patched(FunctionCallInfo fcinfo, int argument, const char *what, const Jsonb *below)
{
	Jsonb	   *patched = json_merge_patch(below, argument_optional_params(fcinfo, argument, what));

	json_check_params(patched, what);
	return patched;
}

/* Read the source, and what its fork begins with.  Refuses what no environment can have, also where none is written. */
static void
read_parent(const Sql *sql, Fork *fork)
{
	static Statement read = SQL_ROWS(parent_fields, "SELECT $* FROM promote.environment AS e"
									 " LEFT JOIN promote.parameter_set AS s"
									 "  ON s.project = e.project AND s.environment = e.environment"
									 " WHERE e.project = $1 AND e.environment = $2");
	static Statement check = {"SELECT promote_internal.check_parameters($1)"};
	SqlRows		rows = sql_run(sql, &read, AS_ENVIRONMENT(fork->source));
	MemoryContext inner = MemoryContextSwitchTo(sql->caller);
	Parent		parent;

	(void) sql_row(&rows, 0, &parent);
	fork->parameters = take_patched(fork->set.fcinfo, PARAMETERS, "parameters",
									parent.parameters ? parent.parameters : json_empty_object());
	fork->attributes = take_patched(fork->set.fcinfo, ATTRIBUTES, "attributes", parent.attributes);
	fork->description = parent.description;
	fork->rendering = parent.sensitive ? parameters_marked(fork->parameters, parent.sensitive) : fork->parameters;
	MemoryContextSwitchTo(inner);
	(void) sql_run(sql, &check, AS_JSONB(fork->parameters));
}

/* ---- the components ---- */

/* Make the elements of the set, one for each component. */
static void
make_elements(Fork *fork)
{
	PromotionSet *set = &fork->set;
	const EnvironmentScope *scope = &fork->scope;
	Jsonb	   *overrides = argument_optional_params(set->fcinfo, OVERRIDES, "overrides");

	scope_check_keys(scope, overrides, "overrides");
	set->count = scope->count;
	set->elements = promotion_set_elements(set->count);
	for (int i = 0; i < set->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];
		InstanceKey destination = scope_instance(&scope->destination, component);

		set->elements[i] = (PromotionElement) {
			.label = component->component,
			.destination_name = instance_key_name(&destination),
			.source = scope_instance(&scope->source, component),
			.destination = destination,
			.overrides = scope_overrides(overrides, component->component),
			.expected = {(Datum) 0, true},
			.source_revision = component->revision,
			.source_version = component->version,
			.target = i,
			.refused = component->code != NULL,
			.code = component->code,
			.problem = component->problem,
			.missing = component->missing
		};
	}
}

/* Read the components of the source. */
static void
read_components(const Sql *sql, Fork *fork)
{
	static Statement read = SQL_ROWS(forked_fields, "SELECT $*"
		" FROM promote_internal.forkable($1, $2, $3, $4, $5, $6, $7) AS f ORDER BY f.component COLLATE \"C\"");
	FunctionCallInfo fcinfo = fork->set.fcinfo;
	EnvironmentScope *scope = &fork->scope;
	bool		is_past = environment_state_is_past(&scope->source);
	bool		configure = argument_bool(fcinfo, CONFIGURE, true);
	SqlRows		rows = sql_run(sql, &read, AS_ENVIRONMENT(fork->source), AS_TEXTS(scope_names(scope)),
							   AS_JSONB(scope->selector), AS_BOOL(configure),
							   sql_value(BOOLOID, is_past, BoolGetDatum(fork->choice.source_state == SOURCE_RUNNING)),
							   AS_BOOL(fork->copy_rules));
	MemoryContext inner;

	scope_fill(sql, scope, &rows);
	scope_read_state(sql, scope, fork->set.previews);
	inner = MemoryContextSwitchTo(sql->caller);
	scope_take_past(scope, argument_text(fcinfo, SOURCE_STATE), argument_bool(fcinfo, PIN, false));
	if (is_past && configure)
		scope_require_any(scope);
	make_elements(fork);
	MemoryContextSwitchTo(inner);
}

/* ---- the set ---- */

/* What an element's promotion is asked for. */
static void
take_options(const Fork *fork, const PromotionElement *element, Promotion *promotion)
{
	FunctionCallInfo fcinfo = fork->set.fcinfo;

	*promotion = (Promotion) {
		.source = element->source,
		.destination = element->destination,
		.overrides = element->overrides,
		.carry = {
			.secrets = argument_bool(fcinfo, COPY_SECRETS, false),
			.references = argument_bool(fcinfo, COPY_REMOTE_REFERENCES, false)
		},
		.pin = argument_bool(fcinfo, PIN, false) || fork->scope.list[element->target].pins,
		.sharing = fork->set.sharing,
		.choice = fork->choice,
		.forks = true
	};
	if (element->source_revision > 0)
	{
		promotion->choice.source_revision = element->source_revision;
		promotion->choice.source_state = SOURCE_DESIRED;
	}
}

/* Check what can be checked of a fork's configuration before anything is locked.  A check of PromotionKind. */
static void
check_fork(PromotionSet *set, PromotionElement *element)
{
	Promotion	promotion;

	promotion_set_parse(element->source_name, "source", "view", &element->source);
	take_options(set->state, element, &promotion);
	promotion_require_carry(set->role, &promotion);
	json_check_overrides(element->overrides, "overrides");
}

/* Ask for what the configurations start from.  An ask of PromotionKind. */
static void
ask_forks(PromotionSet *set, PromotionItem **items, int count, Batch *asked)
{
	for (int i = 0; i < count; i++)
	{
		PromotionElement *element = items[i]->element;
		Promotion  *promotion = &items[i]->promotion;
		const char *constraint;

		take_options(set->state, element, promotion);
		constraint = element->source_version ? element->source_version : promotion->pin ? PROPOSAL_PINNED : NULL;
		promotion->overrides = shared_value(sharing_values(set->sharing), JsonbPGetDatum(element->overrides));
		proposal_ask(asked, &element->destination, element->source.environment,
					 promotion_revision_of(&promotion->choice), constraint, NULL);
	}
}

/* Compose what an instance of the fork is configured with.  A compose of PromotionKind. */
static void
compose_fork(PromotionSet *set, PromotionItem *item)
{
	promotion_compose(&set->sql, &item->promotion, set->previews);
	if (item->element->source_version)
		item->promotion.pinned_version = item->element->source_version;
	item->staging = promotion_staging(&item->promotion, set->message);
}

/* Read what was asked for: in a preview, by what the instances would begin with.  A read of PromotionKind. */
static ProposedRevision **
read_forks(PromotionSet *set, Batch *asked)
{
	const Fork *fork = set->state;

	return set->previews ? proposal_read_fresh(&set->sql, asked, fork->rendering, sharing_values(set->sharing)) :
		proposal_read_asked(&set->sql, asked, sharing_values(set->sharing));
}

static const PromotionKind fork_kind = {
	.what = "forks",.check = check_fork,.ask = ask_forks,.compose = compose_fork,.read = read_forks,.tells_missing = true
};

/* ---- the environment ---- */

/* Refuse a name that an environment in use has. */
static void
refuse_taken(const InstanceKey *key)
{
	ereport(ERROR,
			(errcode(PM_NAME_TAKEN),
			 errmsg("environment \"%s-%s\" exists", key->project, key->environment),
			 errdetail("A fork is a new environment, or another generation of one that is archived."),
			 errhint("Name another one, or archive it first, by promote.archive_environment.")));
}

/* Is there an archived environment of the name?  Refuses one that is in use, and one that would come from itself. */
static bool
check_name(const Sql *sql, const Fork *fork)
{
	static Statement look = {"SELECT e.archived_at IS NOT NULL FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2"};
	static Statement chain = {"SELECT promote_internal.fork_chain($1, $2, $3)"};
	SqlRows		rows = sql_run(sql, &look, AS_ENVIRONMENT(fork->destination));
	const char *cycle;

	if (rows.count == 0)
		return false;
	if (!sql_bool(&rows, 0))
		refuse_taken(fork->destination);
	rows = sql_run(sql, &chain, AS_ENVIRONMENT(fork->source), AS_TEXT(fork->destination->environment));
	cycle = sql_text(&rows, 0);
	if (cycle)
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("environment \"%s-%s\" would be a fork of itself", fork->destination->project,
						fork->destination->environment),
				 errdetail("The cycle is %s.", cycle),
				 errhint("Fork it from another environment, or take another name.")));
	return true;
}

/* Refuse to copy windows and policies whose names the copies cannot have. */
static void
check_rules(const Sql *sql, const Fork *fork)
{
	static Statement look = {"SELECT t.problem FROM promote_internal.taken_names($1, $2, $3) AS t"};
	const InstanceKey *key = fork->destination;
	SqlRows		rows;
	List	   *names = NIL;

	if (!fork->copy_rules)
		return;
	rows = sql_run(sql, &look, AS_ENVIRONMENT(fork->source), AS_TEXT(key->environment));
	for (uint64 i = 0; i < rows.count; i++)
		names = lappend(names, sql_text(&rows, i));
	if (names)
		ereport(ERROR,
				(errcode(PM_NAME_TAKEN),
				 errmsg("the rules of \"%s-%s\" cannot be copied to \"%s-%s\"", fork->source->project,
						fork->source->environment, key->project, key->environment),
				 errdetail("There is already, or cannot be: %s.", names_joined(names)),
				 errhint("Give these, or those that they would be copies of, other names, or fork without copy_rules.")));
}

/*
 * Let those who fork to one name follow each other, and those who open archived names of a project: two of them could
 * close a cycle.  The source cannot be archived meanwhile.
 */
static void
lock_names(const Sql *sql, const Fork *fork)
{
	static Statement keep = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
		" FOR SHARE OF e"};
	const InstanceKey *key = fork->destination;
	char	   *name = psprintf("%s-%s", key->project, key->environment);
	Oid			table = table_oid("environment");

	LockDatabaseObject(table, hash_bytes((unsigned char *) name, strlen(name)), LOCK_NAME, ExclusiveLock);
	if (check_name(sql, fork))
		LockDatabaseObject(table, hash_bytes((unsigned char *) key->project, strlen(key->project)), LOCK_FORKS,
						   ExclusiveLock);
	sql_call(sql, &keep, SQL_LOCK, SQL_CALL(AS_ENVIRONMENT(fork->source)));
}

/* Lock the instances that are copied, against updates, if they come before those of the destination. */
static void
lock_sources(const Sql *sql, const Fork *fork)
{
	InstanceKey *keys = palloc(Max(fork->set.count, 1) * sizeof(InstanceKey));

	if (fork->set.count == 0 || strcmp(fork->source->environment, fork->destination->environment) > 0)
		return;
	for (int i = 0; i < fork->set.count; i++)
		keys[i] = (InstanceKey) {fork->source->project, fork->source->environment, fork->scope.list[i].component};
	(void) instances_lock(sql, keys, fork->set.count, false);
}

/* Tell the chains of instances that begin anew. */
static void
tell_opened(const Sql *sql, const Fork *fork, const SqlRows *opened, int32 generation)
{
	ToldInstance *told = palloc(Max(opened->count, 1) * sizeof(ToldInstance));
	JsonBuilder facts;
	Jsonb	   *document;

	audit_begin(&facts);
	json_build_number(&facts, "generation", generation);
	json_build_field(&facts, "forked_from", fork->source->environment);
	document = json_builder_finish(&facts);
	for (uint64 i = 0; i < opened->count; i++)
		told[i] = (ToldInstance) {
			{fork->destination->project, fork->destination->environment, sql_text(opened, i)}, document
		};
	environment_tell(sql, "instance.opened", told, opened->count);
}

/* Copy the grants of the source, but for those that the caller would give themselves. */
static void
copy_grants(const Sql *sql, const Fork *fork)
{
	static Statement roles = {"SELECT DISTINCT g.role FROM promote.grants AS g"
		" WHERE g.project = $1 AND g.environment = $2 ORDER BY g.role"};
	static Statement copy = {"INSERT INTO promote.grants (role, action, project, environment)"
		" SELECT g.role, g.action, g.project, $3 FROM promote.grants AS g"
		" WHERE g.project = $1 AND g.environment = $2 AND g.role = $4 ORDER BY g.action"};
	SqlRows		rows = sql_run(sql, &roles, AS_ENVIRONMENT(fork->source));

	for (uint64 i = 0; i < rows.count; i++)
	{
		char	   *role = sql_text(&rows, i);
		Oid			oid = get_role_oid(role, true);

		/* by the caller's rights, and not by those that the verb has taken */
		if (!OidIsValid(oid) || (!grants_is_exempt(sql->user) && is_caller_member(sql->user, oid)))
			continue;
		guarded_run(sql, &copy, AS_ENVIRONMENT(fork->source), AS_TEXT(fork->destination->environment), AS_TEXT(role));
	}
}

/* Open the environment, with its instances and rules. */
static void
open_environment(const Sql *sql, const Fork *fork)
{
	static Statement open = {"SELECT o.generation FROM promote_internal.open_environment($1, $2, $3, $4, $5) AS o"};
	static Statement parameters = {"SELECT promote_internal.open_parameters($1, $2, $3, $4)"};
	static Statement instances = {"SELECT o.component FROM promote_internal.open_instances($1, $2, $3, $4) AS o"};
	static Statement clear = {"SELECT promote_internal.clear_environment($1, $2)"};
	static Statement rules = {"SELECT promote_internal.copy_rules($1, $2, $3)"};
	const InstanceKey *key = fork->destination;
	SqlRows		rows = guarded_run(sql, &open, AS_ENVIRONMENT(key), AS_TEXT(fork->description),
								   AS_JSONB(fork->attributes), AS_TEXT(fork->source->environment));
	List	   *components = NIL;
	int32		generation;

	if (rows.count == 0)
		refuse_taken(key);
	generation = sql_int(&rows, 0);
	archived_changed();
	guarded_run(sql, &parameters, AS_ENVIRONMENT(fork->source), AS_TEXT(key->environment), AS_JSONB(fork->parameters));
	for (int i = 0; i < fork->set.count; i++)
		components = lappend(components, fork->scope.list[i].component);
	if (generation > 1)
		lock_sources(sql, fork);
	environment_lock_instances(sql, key);
	/* what was written while it was archived by whoever did not know that yet */
	if (generation > 1)
		guarded_run(sql, &clear, AS_ENVIRONMENT(key));
	rows = guarded_run(sql, &instances, AS_ENVIRONMENT(fork->source), AS_TEXT(key->environment),
					   AS_TEXTS(names_array(components)));
	tell_opened(sql, fork, &rows, generation);
	if (!fork->copy_rules)
		return;
	guarded_run(sql, &rules, AS_ENVIRONMENT(fork->source), AS_TEXT(key->environment));
	copy_grants(sql, fork);
}

/* Fork an environment, or preview that. */
static Datum
fork_environment(FunctionCallInfo fcinfo, bool previews)
{
	Fork		fork = {.set = {.kind = &fork_kind}};
	Sql			sql;

	take_arguments(fcinfo, previews, &fork);
	sql_enter(&sql);
	sql.reads = previews;
	if (previews)
		(void) check_name(&sql, &fork);
	else
		lock_names(&sql, &fork);
	environment_state_require(&sql, &fork.scope.source, previews);
	if (!previews)
		(void) check_name(&sql, &fork);
	check_rules(&sql, &fork);
	read_parent(&sql, &fork);
	read_components(&sql, &fork);
	if (!previews)
		open_environment(&sql, &fork);
	sql_leave(&sql);
	promotion_set_run(&fork.set);
	return (Datum) 0;
}

/* promote.fork_environment(src text, new_environment text, ...) returns table, see sql/environment/fork.sql */
Datum
promote_fork_environment(PG_FUNCTION_ARGS)
{
	return fork_environment(fcinfo, false);
}

/* promote.preview_fork_environment with the arguments of fork_environment returns table */
Datum
promote_preview_fork_environment(PG_FUNCTION_ARGS)
{
	return fork_environment(fcinfo, true);
}
