/*
 * chain.c: what would arrive in an environment if everything on the way to it were promoted and
 * deployed.
 *
 * A way is taken step by step.  Each step is a promotion as any other, composed and judged by what
 * does so for real, but that its source is supposed to desire, and to run, what the step before has
 * brought there.  Components are taken page by page, so that memory does not grow with them; a page
 * reads each step by one statement.  Nothing is written, and nothing is locked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "environment/scope.h"
#include "gate/gate.h"
#include "gate/window.h"
#include "grant/access.h"
#include "json/builder.h"
#include "ledger/config_digest.h"
#include "promotion/diff.h"
#include "promotion/promotion.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_preview_chain);
PG_FUNCTION_INFO_V1(promote_promotion_chain);

#define PAGE_SIZE 100			/* components held in memory at a time */

/* A component in a step. */
typedef struct Link
{
	Promotion	promotion;
	ProposedRevision *found;	/* as it was read; NULL: an instance is not there */
	bool		asked;			/* was it to be read? */
	bool		judged;			/* was it not refused? */
	bool		changed;		/* is it a new revision? */
	bool		waits;			/* would anything be deployed? */
	Jsonb	   *diff;
	const GateCase *gate;		/* NULL: there is nothing to judge */
	char		code[6];		/* of the refusal */
	char	   *problem;
} Link;

/* A component, and what became of it in the step before. */
typedef struct Traveller
{
	char	   *component;
	char	   *version_policy;	/* NULL: that of the environments */
	bool		selected;		/* by the selector, if there is one */
	Link	   *links;			/* of each step */
} Traveller;

static const SqlField traveller_fields[] = {
	SQL_FIELDS(Traveller, "k", component, version_policy, selected)
};

/* An environment on the way. */
typedef struct Stop
{
	char	   *environment;
	bool		pinned;			/* its version policy */
	struct WindowSet *windows;	/* read once for all components of a page; NULL: not yet */
} Stop;

/* A call. */
typedef struct Chain
{
	FunctionCallInfo fcinfo;
	char	   *project;
	EnvironmentScope scope;		/* which components: those that are named, and selected */
	bool		any;			/* is there one? */
	Stop	   *stops;			/* the environments, in order */
	int			count;			/* of the steps between them */
	Traveller  *travellers;		/* of the page */
	int			page_count;
	Traveller **going;			/* those of them that are selected */
	int			going_count;
	Sql			sql;			/* of the page */
	Sharing    *sharing;
	Jsonb	   *nothing;		/* overrides: {} */
	int			step;			/* that is judged, and of whom */
	Traveller  *at;
} Chain;

/* ---- the way ---- */

/* A path on the way. */
typedef struct ChainPath
{
	char	   *source;
	char	   *destination;
} ChainPath;

static const SqlField path_fields[] = {
	SQL_FIELD(ChainPath, source, "p.source_environment"),
	SQL_FIELD(ChainPath, destination, "p.destination_environment")
};

/* Refuse two environments between which no way leads, or several. */
pg_noreturn static void
refuse_way(const char *project, const char *from, const char *to, const List *fork)
{
	if (fork == NIL)
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("no way leads from \"%s-%s\" to \"%s-%s\"", project, from, project, to),
				 errdetail("However many promotion paths are followed from there, none ends here."),
				 errhint("promote.upstream_environments says from where one does; add paths to promote.promotion_path.")));
	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("several ways lead from \"%s-%s\" to \"%s-%s\"", project, from, project, to),
			 errdetail("From \"%s\" they lead to %s.", (char *) linitial(fork), names_joined(list_copy_tail(fork, 1))),
			 errhint("Say by via which environments are meant.")));
}

/* Where the paths lead on to from an environment: the first name is its own, then what it leads to. */
static List *
leads_to(const ChainPath *paths, uint64 count, const char *environment)
{
	List	   *names = list_make1(unconstify(char *, environment));

	for (uint64 i = 0; i < count; i++)
		if (strcmp(paths[i].source, environment) == 0)
			names = lappend(names, paths[i].destination);
	return names;
}

/* Append the only way from one environment to another to the names, without the first. */
static List *
append_way(const Sql *sql, const char *project, List *names, const char *from, const char *to)
{
	static Statement read = SQL_ROWS(path_fields, "SELECT $* FROM promote_internal.chain_paths($1, $2, $3) AS p");
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project), AS_TEXT(from), AS_TEXT(to));
	ChainPath  *paths = palloc(Max(rows.count, 1) * sizeof(ChainPath));
	const char *at = from;

	for (uint64 i = 0; i < rows.count; i++)
		(void) sql_row(&rows, i, &paths[i]);
	if (rows.count == 0)
		refuse_way(project, from, to, NIL);
	while (strcmp(at, to) != 0)
	{
		List	   *next = leads_to(paths, rows.count, at);

		if (list_length(next) != 2)
			refuse_way(project, from, to, next);
		at = lsecond(next);
		names = lappend(names, unconstify(char *, at));
	}
	return names;
}

/* The version policy of an environment: is it pinned? */
static bool
is_pinned(const Sql *sql, const char *project, const char *environment)
{
	static Statement read = {"SELECT e.version_policy = 'pinned' FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project), AS_TEXT(environment));

	return rows.count > 0 && sql_bool(&rows, 0);
}

/* Find the way from one environment to another, in the memory of the caller, and check that it may be seen. */
static void
find_way(const Sql *sql, Chain *chain, const InstanceKey *from, const InstanceKey *to, const List *via)
{
	List	   *names = list_make1(from->environment);
	MemoryContext inner;
	ListCell   *cell;

	foreach(cell, via)
		names = append_way(sql, chain->project, names, llast(names), lfirst(cell));
	names = append_way(sql, chain->project, names, llast(names), to->environment);
	inner = MemoryContextSwitchTo(sql->caller);
	chain->count = list_length(names) - 1;
	chain->stops = palloc0(list_length(names) * sizeof(Stop));
	foreach(cell, names)
		chain->stops[foreach_current_index(cell)].environment = pstrdup(lfirst(cell));
	MemoryContextSwitchTo(inner);
	for (int i = 0; i <= chain->count; i++)
	{
		access_require_of(sql->user, "view", chain->project, chain->stops[i].environment);
		chain->stops[i].pinned = is_pinned(sql, chain->project, chain->stops[i].environment);
	}
}

/* ---- proposing ---- */

/* The result of the step before, if it has one: what the source is supposed to desire. */
static const ProposedRevision *
supposed(const Chain *chain, const Traveller *traveller)
{
	const Link *before = chain->step > 0 ? &traveller->links[chain->step - 1] : NULL;

	return before && before->judged ? &before->promotion.proposed : NULL;
}

/* The key of a component's instance at a stop. */
static InstanceKey
instance_at(const Chain *chain, const Traveller *traveller, int stop)
{
	return (InstanceKey) {chain->project, chain->stops[stop].environment, traveller->component};
}

/* Ask for the proposal of a component in the step. */
static void
ask_link(const Chain *chain, Traveller *traveller, Batch *asked)
{
	Link	   *link = &traveller->links[chain->step];
	const ProposedRevision *source = supposed(chain, traveller);
	const Stop *to = &chain->stops[chain->step + 1];
	bool		pinned = traveller->version_policy ? strcmp(traveller->version_policy, "pinned") == 0 : to->pinned;

	link->promotion = (Promotion) {
		.source = instance_at(chain, traveller, chain->step),
		.destination = instance_at(chain, traveller, chain->step + 1),
		.overrides = chain->nothing,
		.supposed = source,
		.sharing = chain->sharing
	};
	proposal_ask(asked, &link->promotion.destination, link->promotion.source.environment,
				 source == NULL ? PROPOSAL_DESIRED : PROPOSAL_SUPPOSED,
				 source == NULL ? NULL : pinned ? source->proposal.version : source->version_constraint,
				 source == NULL ? NULL : source->release_channel);
}

/* Compose and judge a component in the step.  A step of attempt; the state is the chain. */
static void
propose_link(void *state)
{
	Chain	   *chain = state;
	Link	   *link = &chain->at->links[chain->step];
	Promotion  *promotion = &link->promotion;
	ProposedRevision *proposed = &promotion->proposed;

	if (link->found == NULL)
	{
		require_instance(&chain->sql, &promotion->source);
		require_instance(&chain->sql, &promotion->destination);
		refuse_unseen();
	}
	*proposed = *link->found;
	proposal_require_source(&chain->sql, proposed, (Datum) 0, true);
	promotion_suppose(promotion);
	promotion_compose(&chain->sql, promotion, true);
	proposal_require_alive(proposed);
	stage_number(proposed);
	link->changed = proposed->revision > proposed->current_revision;
	if (link->changed)
	{
		proposed->plan = proposed->asks_plan = proposed->is_staged = true;
		sharing_judge(&chain->sql, chain->sharing, proposed);
	}
	else
	{
		sharing_judge_again(&chain->sql, chain->sharing, proposed);
		proposed->staged_kept = proposed->proposal.own_kept;
	}
	link->waits = proposal_waits(proposed);
	link->diff = proposed->diff;
	link->judged = true;
}

/* Read and judge all components of the page in the step. */
static void
propose_step(Chain *chain)
{
	ProposedRevision **found;
	Refusal		refusal;
	Batch		asked;

	proposal_begin_asked(&asked);
	for (int i = 0; i < chain->going_count; i++)
		ask_link(chain, chain->going[i], &asked);
	found = proposal_read_asked(&chain->sql, &asked, sharing_values(chain->sharing));
	for (int i = 0; i < chain->going_count; i++)
	{
		Link	   *link = &chain->going[i]->links[chain->step];

		CHECK_FOR_INTERRUPTS();
		chain->at = chain->going[i];
		link->found = found[i];
		if (attempt(propose_link, chain, &refusal))
			continue;
		link->judged = false;
		strlcpy(link->code, unpack_sql_state(refusal.sqlstate), sizeof(link->code));
		link->problem = pstrdup(refusal.message);
	}
}

/* ---- gates ---- */

/* What would be deployed by a link. */
static DeploymentOrder
link_order(const Link *link)
{
	const ProposedRevision *proposed = &link->promotion.proposed;

	return (DeploymentOrder) {
		.action = ACTION_PROVISION,
		.revision = proposed->revision,
		.bundle = proposed->proposal.bundle,
		.version = proposed->proposal.version
	};
}

/* Complete the case of a link: its source is supposed to run what the step before has brought. */
static void
suppose_case(const Chain *chain, const Link *link, GateOrder *order, SourceStatus *status)
{
	const ProposedRevision *proposed = &link->promotion.proposed;
	const ProposedRevision *source = link->promotion.supposed;
	GateCase   *gate = &order->gate;

	gate->digest = proposed->digest;
	gate->params = proposed->proposal.rendered;
	gate->rendered_digest = proposed->proposal.rendered == proposed->proposal.params ? proposed->digest :
		config_digest(chain->project, proposed->proposal.rendered);
	gate->plan_digest = gate->rendered_digest;
	gate->references = proposed->references;
	gate->source_environment = link->promotion.source.environment;
	gate->source_revision = proposed->source_revision;
	if (source == NULL)
	{
		gate->source_digest = config_digest(chain->project, link->promotion.source_params);
		return;
	}
	gate->source_digest = source->digest;
	*status = (SourceStatus) {
		.status = "in_sync",.since = gate->now,.deployed_revision = source->revision,
		.deployed_version = unconstify(char *, source->proposal.version),
		.deployed_digest = source->digest,.rendered_digest = source->digest
	};
	order->known.source = status;
	order->known.supposed = true;
	order->known.proven = true;
}

/* Judge what would be deployed in the step by the gates that need no plan, and by approvals. */
static void
judge_step(Chain *chain)
{
	GateOrder  *orders = palloc0(Max(chain->going_count, 1) * sizeof(GateOrder));
	DeploymentOrder *deployments = palloc0(Max(chain->going_count, 1) * sizeof(DeploymentOrder));
	SourceStatus *statuses = palloc0(Max(chain->going_count, 1) * sizeof(SourceStatus));
	Stop	   *stop = &chain->stops[chain->step + 1];
	Link	  **links = palloc(Max(chain->going_count, 1) * sizeof(Link *));
	int			count = 0;

	for (int i = 0; i < chain->going_count; i++)
	{
		Link	   *link = &chain->going[i]->links[chain->step];

		if (!link->judged || !link->waits)
			continue;
		links[count] = link;
		deployments[count] = link_order(link);
		orders[count] = (GateOrder) {.key = &link->promotion.destination,.order = &deployments[count]};
		count++;
	}
	gate_open_orders(&chain->sql, orders, count);
	if (count > 0)
		stop->windows = window_read(&chain->sql, chain->project, stop->environment, NULL);
	for (int i = 0; i < count; i++)
	{
		suppose_case(chain, links[i], &orders[i], &statuses[i]);
		orders[i].gate.windows = stop->windows;
		gate_judge(&chain->sql, &orders[i].gate, GATES_FORECAST);
		links[i]->gate = &orders[i].gate;
	}
}

/* ---- rows ---- */

/* The array of what gates say of a link. */
static Jsonb *
forecast(const Link *link)
{
	JsonBuilder builder;
	ListCell   *cell;

	json_begin_array(&builder);
	foreach(cell, link->gate ? link->gate->blockers : NIL)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			gate_build_reason(&builder, blocker->code, blocker->message, blocker->until, blocker->liftable_by);
	}
	return json_builder_finish(&builder);
}

/* Put the rows of a component. */
static void
put_traveller(const Chain *chain, const Traveller *traveller)
{
	for (int step = 0; step < chain->count; step++)
	{
		const Link *link = &traveller->links[step];
		const InstanceKey source = instance_at(chain, traveller, step);
		const InstanceKey destination = instance_at(chain, traveller, step + 1);

		result_put(chain->fcinfo, AS_TEXT(traveller->component), AS_INT(step + 1), AS_TEXT(instance_key_name(&source)),
				   AS_TEXT(instance_key_name(&destination)), AS_BOOL(link->judged && link->changed),
				   AS_TEXT(link->judged ? link->promotion.proposed.proposal.version : NULL),
				   AS_JSONB(link->judged ? link->diff : NULL), AS_JSONB(link->judged ? forecast(link) : NULL),
				   AS_TEXT(!traveller->selected ? "selector" : link->judged ? NULL : link->code),
				   AS_TEXT(!traveller->selected ? "its attributes do not match the selector" : link->problem));
	}
}

/* The names of the environments on the way. */
static Datum
stop_names(const Chain *chain)
{
	List	   *names = NIL;

	for (int i = 0; i <= chain->count; i++)
		names = lappend(names, chain->stops[i].environment);
	return names_array(names);
}

/* Read the components of a page, those behind one; NULL: the first.  Returns how many there are. */
static int
read_page(Chain *chain, const char *behind)
{
	static Statement read = SQL_ROWS(traveller_fields, "SELECT $*"
		" FROM promote_internal.chain_components($1, $2, $3, $4, $5, $6) AS k");
	const EnvironmentScope *scope = &chain->scope;
	SqlRows		rows = sql_read(&chain->sql, &read, AS_TEXT(chain->project), AS_TEXTS(stop_names(chain)),
								AS_TEXTS(scope->named ? names_array(scope->named) : (Datum) 0),
								AS_JSONB(scope->selector), AS_TEXT(behind), AS_BIGINT(PAGE_SIZE));

	chain->travellers = palloc0(Max(rows.count, 1) * sizeof(Traveller));
	chain->going = palloc(Max(rows.count, 1) * sizeof(Traveller *));
	chain->page_count = rows.count;
	chain->going_count = 0;
	for (int i = 0; i < chain->page_count; i++)
	{
		Traveller  *traveller = &chain->travellers[i];

		(void) sql_row(&rows, i, traveller);
		traveller->links = palloc0(chain->count * sizeof(Link));
		if (traveller->selected)
			chain->going[chain->going_count++] = traveller;
	}
	chain->any = chain->any || chain->going_count > 0;
	return chain->page_count;
}

/* Take the components behind one along the way.  Returns the last of them, in the memory of the caller; NULL: none. */
static char *
take_page(Chain *chain, const char *behind)
{
	char	   *last = NULL;

	sql_enter(&chain->sql);
	chain->sql.reads = true;
	sharing_trim(chain->sharing);
	sharing_begin(chain->sharing);
	chain->nothing = shared_value(sharing_values(chain->sharing), JsonbPGetDatum(json_empty_object()));
	if (read_page(chain, behind) > 0)
	{
		for (chain->step = 0; chain->step < chain->count; chain->step++)
		{
			propose_step(chain);
			judge_step(chain);
		}
		for (int i = 0; i < chain->page_count; i++)
			put_traveller(chain, &chain->travellers[i]);
		last = MemoryContextStrdup(chain->sql.caller, chain->travellers[chain->page_count - 1].component);
	}
	sql_leave(&chain->sql);
	return last;
}

/* ---- the functions ---- */

/* Refuse components that have no instance in any environment on the way. */
static void
check_named(const Sql *sql, const Chain *chain)
{
	static Statement look = {"SELECT FROM promote.instance AS i WHERE i.project = $1 AND i.component = $2"
		" AND i.environment = ANY ($3) LIMIT 1"};
	const SqlValue stops = AS_TEXTS(stop_names(chain));
	ListCell   *cell;

	foreach(cell, chain->scope.named)
		if (sql_read(sql, &look, AS_TEXT(chain->project), AS_TEXT(lfirst(cell)), stops).count == 0)
			ereport(ERROR,
					(errcode(PM_NOT_FOUND),
					 errmsg("component \"%s\" is not on the way", (char *) lfirst(cell)),
					 errdetail("It has no instance in any environment from \"%s\" to \"%s\".",
							   chain->stops[0].environment, chain->stops[chain->count].environment),
					 errhint("promote.instance lists the instances.")));
}

/* Refuse a selector that matches nothing on the way. */
static void
require_any(const Chain *chain)
{
	const char *environment = chain->stops[chain->count].environment;

	if (chain->scope.selector && !chain->any)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("no component on the way matches the selector"),
				 errdetail("What counts are the attributes in environment \"%s\" of project \"%s\".", environment,
						   chain->project),
				 errhint("Pass a selector that attributes of components, or of their instances there, contain.")));
}

/* The environment that an element of "via" names, as it is called in the project. */
static char *
via_environment(NullableDatum element, const char *project)
{
	InstanceKey key;
	char	   *name = value_text(element);

	if (name == NULL)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("an element of \"via\" is null"),
				 errdetail("It names no environment."),
				 errhint("Pass names, or leave the argument out.")));
	environment_name_parse(name, &key);
	if (strcmp(key.project, project) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("the way does not lead through \"%s\"", name),
				 errdetail("It is of project \"%s\", and the way of project \"%s\".", key.project, project),
				 errhint("Name environments of the same project.")));
	return key.environment;
}

/* The names of the environments that the way leads through, as they are called in the project. */
static List *
argument_via(FunctionCallInfo fcinfo, int argument, const char *project)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	List	   *names = NIL;

	if (PG_ARGISNULL(argument))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
		names = lappend(names, via_environment((NullableDatum) {values[i], nulls[i]}, project));
	return names;
}

/* Take all components along the way that was found. */
static Datum
take_all(Chain *chain)
{
	char	   *last = NULL;

	InitMaterializedSRF(chain->fcinfo, 0);
	chain->sharing = sharing_create(CurrentMemoryContext);
	while ((last = take_page(chain, last)) != NULL)
		CHECK_FOR_INTERRUPTS();
	require_any(chain);
	return (Datum) 0;
}

/* Check that both environments are there and another, and find the way between them. */
static void
begin_chain(const Sql *sql, Chain *chain, const InstanceKey *from, const InstanceKey *to, const List *via)
{
	environment_require(sql, from, true);
	environment_require(sql, to, true);
	if (strcmp(from->environment, to->environment) == 0)
		ereport(ERROR,
				(errcode(PM_SAME_INSTANCE),
				 errmsg("\"%s-%s\" cannot be promoted into itself", from->project, from->environment),
				 errdetail("The chain begins and ends there."),
				 errhint("Name the environment where it is to end by up_to.")));
	find_way(sql, chain, from, to, via);
	check_named(sql, chain);
}

/*
 * promote.preview_chain(src text, up_to text, components text[], selector jsonb, via text[]) returns table, see
 * sql/environment/chain.sql
 */
Datum
promote_preview_chain(PG_FUNCTION_ARGS)
{
	Chain		chain = {.fcinfo = fcinfo};
	InstanceKey from;
	InstanceKey to;
	List	   *via;
	Sql			sql;

	environment_name_parse(argument_required(fcinfo, 0, "source"), &from);
	environment_name_parse(argument_required(fcinfo, 1, "environment"), &to);
	access_require_in("view", from.project, from.environment);
	access_require_in("view", to.project, to.environment);
	if (strcmp(from.project, to.project) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("no way leads from \"%s-%s\" to \"%s-%s\"", from.project, from.environment, to.project,
						to.environment),
				 errdetail("One is of project \"%s\", the other of project \"%s\".", from.project, to.project),
				 errhint("Nothing is promoted from one project to another.")));
	chain.project = from.project;
	scope_take(fcinfo, 2, &chain.scope);
	via = argument_via(fcinfo, 4, chain.project);
	sql_enter(&sql);
	begin_chain(&sql, &chain, &from, &to, via);
	sql_leave(&sql);
	return take_all(&chain);
}

/* The only environment where everything begins that arrives in another one. */
static char *
find_beginning(const Sql *sql, const InstanceKey *to)
{
	static Statement read = {"SELECT b.environment FROM promote_internal.chain_beginnings($1, $2) AS b"};
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(to->project), AS_TEXT(to->environment));
	List	   *names = sql_texts(&rows);

	if (list_length(names) == 1)
		return linitial(names);
	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("\"%s-%s\" has no beginning, or several", to->project, to->environment),
			 names == NIL ? errdetail("No promotion path leads to it.") :
			 errdetail("What arrives there begins in %s.", names_joined(names)),
			 errhint("Say by promote.preview_chain from where.")));
}

/*
 * promote.promotion_chain(environment text, components text[], selector jsonb, via text[]) returns table, see
 * sql/environment/chain.sql
 */
Datum
promote_promotion_chain(PG_FUNCTION_ARGS)
{
	Chain		chain = {.fcinfo = fcinfo};
	InstanceKey from = {NULL};
	InstanceKey to;
	List	   *via;
	Sql			sql;

	environment_name_parse(argument_required(fcinfo, 0, "environment"), &to);
	access_require_in("view", to.project, to.environment);
	chain.project = from.project = to.project;
	scope_take(fcinfo, 1, &chain.scope);
	via = argument_via(fcinfo, 3, chain.project);
	sql_enter(&sql);
	environment_require(&sql, &to, true);
	from.environment = find_beginning(&sql, &to);
	begin_chain(&sql, &chain, &from, &to, via);
	sql_leave(&sql);
	return take_all(&chain);
}
