/*
 * path.c: the paths between environments.
 *
 * The paths of a project form no cycle.  After a path is written, a search starts at its
 * destination, under a lock on the project's paths and by a snapshot taken after the lock.  So
 * two sessions cannot write the two halves of a cycle.  This file also judges whether a
 * promotion follows a path, for the verbs and for the trigger that records revisions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "parse/name.h"
#include "registry/instance.h"
#include "registry/path.h"

PG_FUNCTION_INFO_V1(promote_lock_project);
PG_FUNCTION_INFO_V1(promote_check_paths);
PG_FUNCTION_INFO_V1(promote_next_environments);
PG_FUNCTION_INFO_V1(promote_upstream_environments);

/* An environment that a walk has reached. */
typedef struct Place
{
	char		environment[NAME_MAX_LENGTH + 1];	/* the key */
	bool		on_way;			/* part of the way to the current place */
	int32		distance;		/* from the start of the walk */
} Place;

/* A walk along the paths of a project. */
typedef struct Walk
{
	const char *project;
	Statement  *neighbours;		/* of ($1 project, $2 environment): the names of its neighbours, in order */
	HTAB	   *places;			/* of Place: the places that the walk has reached */
} Walk;

/* A place on the way, with its neighbours. */
typedef struct Hop
{
	Place	   *place;
	List	   *neighbours;		/* names */
	int			next;			/* index of the first neighbour that was not visited yet */
} Hop;

/* The environments that an environment's paths lead to. */
static Statement leads_to = {"SELECT p.destination_environment FROM promote.promotion_path AS p"
	" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};

/* The environments that the paths to an environment come from. */
static Statement comes_from = {"SELECT p.source_environment FROM promote.promotion_path AS p"
	" WHERE p.project = $1 AND p.destination_environment = $2 ORDER BY p.source_environment"};

/* The neighbours of an environment by a statement; read_only: by the active snapshot. */
static List *
environments_of(const Sql *sql, Statement *statement, const char *project, const char *environment, bool read_only)
{
	SqlRows		rows = sql_read_if(sql, read_only, statement, AS_TEXT(project), AS_TEXT(environment));
	List	   *names = sql_texts(&rows);

	SPI_freetuptable(rows.table);
	return names;
}

/* ---- walks ---- */

/* Begin a walk in a project. */
static void
begin_walk(Walk *walk, const char *project, Statement *neighbours)
{
	HASHCTL		control = {
		.keysize = NAME_MAX_LENGTH + 1,
		.entrysize = sizeof(Place),
		.hcxt = CurrentMemoryContext
	};

	walk->project = project;
	walk->neighbours = neighbours;
	walk->places = hash_create("promote paths", 64, &control,
							   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* The place of an environment; was says whether the walk had reached it before. */
static Place *
come_to(Walk *walk, const char *environment, int32 distance, bool *was)
{
	Place	   *place = hash_search(walk->places, environment, HASH_ENTER, was);

	if (!*was)
	{
		place->on_way = false;
		place->distance = distance;
	}
	return place;
}

/* Append a place to the way. */
static List *
go_on(const Sql *sql, Walk *walk, List *way, Place *place)
{
	Hop		   *hop = palloc(sizeof(Hop));

	place->on_way = true;
	hop->place = place;
	hop->neighbours = environments_of(sql, walk->neighbours, walk->project, place->environment, true);
	hop->next = 0;
	return lappend(way, hop);
}

/* Remove the last place from the way. */
static List *
go_back(List *way)
{
	Hop		   *hop = llast(way);

	hop->place->on_way = false;
	list_free_deep(hop->neighbours);
	pfree(hop);
	return list_delete_last(way);
}

/* Refuse a way that leads back to one of its places.  The error names the places of the cycle. */
static void
refuse_cycle(const Walk *walk, const List *way, const Place *back)
{
	StringInfoData chain;
	ListCell   *cell;

	initStringInfo(&chain);
	foreach(cell, way)
	{
		const Place *place = ((Hop *) lfirst(cell))->place;

		if (chain.len > 0 || place == back)
			appendStringInfo(&chain, "%s -> ", place->environment);
	}
	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("the promotion paths of project \"%s\" would close a cycle", walk->project),
			 errdetail("The cycle is %s%s.", chain.data, back->environment),
			 errhint("Leave one of these paths out: what is promoted never comes back to where it was.")));
}

/*
 * Follow all paths from an environment, depth first and without recursion, because a chain of
 * paths may be long.  Places that an earlier search of the same walk visited lead to no cycle.
 */
static void
search_cycle(const Sql *sql, Walk *walk, const char *environment)
{
	bool		was;
	Place	   *place = come_to(walk, environment, 0, &was);
	List	   *way = was ? NIL : go_on(sql, walk, NIL, place);

	while (way != NIL)
	{
		Hop		   *hop = llast(way);

		CHECK_FOR_INTERRUPTS();
		if (hop->next == list_length(hop->neighbours))
		{
			way = go_back(way);
			continue;
		}
		place = come_to(walk, list_nth(hop->neighbours, hop->next++), 0, &was);
		if (!was)
			way = go_on(sql, walk, way, place);
		else if (place->on_way)
			refuse_cycle(walk, way, place);
	}
}

/*
 * Walk away from an environment, breadth first.  Returns the places by distance, without the
 * environment itself.
 */
static List *
walk_away(const Sql *sql, Walk *walk, const char *environment)
{
	bool		was;
	List	   *found = list_make1(come_to(walk, environment, 0, &was));

	/* the loop appends to the list */
	for (int i = 0; i < list_length(found); i++)
	{
		const Place *from = list_nth(found, i);
		List	   *names = environments_of(sql, walk->neighbours, walk->project, from->environment, true);
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		foreach(cell, names)
		{
			Place	   *place = come_to(walk, lfirst(cell), from->distance + 1, &was);

			if (!was)
				found = lappend(found, place);
		}
		list_free_deep(names);
	}
	return list_delete_first(found);
}

/* Compare two places by distance, then by name. */
static int
compare_places(const ListCell *a, const ListCell *b)
{
	const Place *first = lfirst(a);
	const Place *second = lfirst(b);

	if (first->distance != second->distance)
		return first->distance < second->distance ? -1 : 1;
	return strcmp(first->environment, second->environment);
}

/* ---- writing paths ---- */

/*
 * promote_internal.lock_project() returns trigger
 *
 * BEFORE INSERT OR UPDATE of promotion_path, for each row.  The lock is not on the project's
 * row, because others lock that row for other reasons.
 */
Datum
promote_lock_project(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "promotion_path", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *project = trigger_text(data, row, "project");

	if (project)
		LockDatabaseObject(RelationGetRelid(data->tg_relation),
						   hash_bytes((unsigned char *) project, strlen(project)), 0, ExclusiveLock);
	return PointerGetDatum(row);
}

/* A path that was written: the project and the destination. */
typedef struct NewPath
{
	char	   *project;
	char	   *destination;
} NewPath;

static const SqlField new_path_fields[] = {
	SQL_FIELD(NewPath, project, "n.project"),
	SQL_FIELD(NewPath, destination, "n.destination_environment")
};

/* Search for cycles from the destinations of the rows in the transition table new_path. */
static void
search_new(const Sql *sql)
{
	static Statement read = SQL_ROWS(new_path_fields, "SELECT DISTINCT $* FROM new_path AS n ORDER BY 1, 2");
	SqlRows		rows = sql_run(sql, &read);
	NewPath		path;
	Walk		walk = {NULL};

	PushActiveSnapshot(GetLatestSnapshot());
	for (uint64 i = 0; sql_row(&rows, i, &path); i++)
	{
		if (walk.project == NULL || strcmp(walk.project, path.project) != 0)
			begin_walk(&walk, path.project, &leads_to);
		search_cycle(sql, &walk, path.destination);
	}
	PopActiveSnapshot();
}

/*
 * promote_internal.check_paths() returns trigger
 *
 * AFTER INSERT, and AFTER UPDATE, of promotion_path, for each statement, with
 * the transition table new_path.
 */
Datum
promote_check_paths(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "promotion_path", TRIGGER_EVENT_AFTER);
	Sql			sql;

	if (data->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"check_paths\" is not made for this trigger")));
	sql_enter(&sql);
	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	search_new(&sql);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* ---- reading paths ---- */

/* Refuse an environment that does not exist, PM_NOT_FOUND. */
static void
require_environment(const Sql *sql, const InstanceKey *key)
{
	static Statement has_project = {"SELECT FROM promote.project AS p WHERE p.project = $1"};
	static Statement has_environment = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"};

	if (sql_read(sql, &has_environment, AS_TEXT(key->project), AS_TEXT(key->environment)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("environment \"%s-%s\" does not exist", key->project, key->environment),
				 sql_read(sql, &has_project, AS_TEXT(key->project)).count > 0 ?
				 errdetail("Project \"%s\" has no environment \"%s\".", key->project, key->environment) :
				 errdetail("There is no project \"%s\".", key->project),
				 errhint("Name it by its project and what it is called there, as in ecomm-staging.")));
}

/* Take the argument that names an environment, and refuse callers who may not see it. */
static void
argument_environment(FunctionCallInfo fcinfo, InstanceKey *key)
{
	environment_name_parse(argument_required(fcinfo, 0, "environment"), key);
	access_require_in("view", key->project, key->environment);
}

/* promote.next_environments(environment text) returns table (environment text, description text) */
Datum
promote_next_environments(PG_FUNCTION_ARGS)
{
	Sql			sql;
	InstanceKey key;
	static Statement read = {"SELECT p.destination_environment::pg_catalog.text, p.description FROM promote.promotion_path AS p"
		" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};
	SqlRows		rows;

	argument_environment(fcinfo, &key);
	sql_enter(&sql);
	require_environment(&sql, &key);
	rows = sql_read(&sql, &read, AS_TEXT(key.project), AS_TEXT(key.environment));
	result_rows(fcinfo, &rows);
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.upstream_environments(environment text) returns table (environment text, distance integer) */
Datum
promote_upstream_environments(PG_FUNCTION_ARGS)
{
	Sql			sql;
	InstanceKey key;
	Walk		walk;
	List	   *places;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	argument_environment(fcinfo, &key);
	sql_enter(&sql);
	require_environment(&sql, &key);
	begin_walk(&walk, key.project, &comes_from);
	places = walk_away(&sql, &walk, key.environment);
	list_sort(places, compare_places);
	foreach(cell, places)
	{
		const Place *place = lfirst(cell);
		result_put(fcinfo, AS_TEXT(place->environment), AS_INT(place->distance));
	}
	sql_leave(&sql);
	return (Datum) 0;
}

/* ---- promoting along paths ---- */

/*
 * May an environment take its desired state from another one?  If not, sources lists the
 * environments that it may take it from.
 */
bool
path_leads(const Sql *sql, const InstanceKey *key, const char *source, bool read_only, List **sources)
{
	*sources = environments_of(sql, &comes_from, key->project, key->environment, read_only);
	return names_hold(*sources, source);
}

/*
 * Refuse to take a desired state from an environment without a path to the instance's own,
 * where path_only says that only paths count.  The instance's own environment is always
 * allowed, and so is none (NULL).
 */
void
path_require(const Sql *sql, const InstanceKey *key, const char *source, bool path_only, bool read_only)
{
	List	   *sources;

	if (!path_only || source == NULL || strcmp(source, key->environment) == 0)
		return;
	if (!path_leads(sql, key, source, read_only, &sources))
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("there is no promotion path from \"%s\" to \"%s\"", source, key->environment),
				 sources == NIL ?
				 errdetail("Environment \"%s\" of project \"%s\" takes from where a path leads from, and there is none to it.",
						   key->environment, key->project) :
				 errdetail("Environment \"%s\" of project \"%s\" takes from where a path leads from: %s.",
						   key->environment, key->project, names_joined(sources)),
				 errhint("Promote along a path, or add one to promote.promotion_path.")));
}

/* Refuse to promote to the next environment where no path leads to one that has the component. */
static void
refuse_no_next(const Sql *sql, const InstanceKey *source)
{
	const List *names = environments_of(sql, &leads_to, source->project, source->environment, false);

	ereport(ERROR,
			(errcode(PM_NO_PATH),
			 errmsg("no promotion path leads on from \"%s\"", instance_key_name(source)),
			 names == NIL ?
			 errdetail("There is none out of environment \"%s\" of project \"%s\".",
					   source->environment, source->project) :
			 errdetail("There is no component \"%s\" where the paths lead to: %s.",
					   source->component, names_joined(names)),
			 errhint("Add the path or the instance, or name a destination by promote.promote_instance.")));
}

/*
 * The environment that the only path from an instance leads to, among those that have the
 * component.  Raises PM_NO_PATH unless there is exactly one, and PM_NOT_FOUND where the
 * instance does not exist.
 */
char *
path_next(const Sql *sql, const InstanceKey *source)
{
	static Statement read = {"SELECT p.destination_environment FROM promote.promotion_path AS p"
		" JOIN promote.instance AS i ON i.project = $1 AND i.environment = p.destination_environment AND i.component = $3"
		" WHERE p.project = $1 AND p.source_environment = $2 ORDER BY p.destination_environment"};
	SqlRows		rows;
	List	   *names;

	require_instance(sql, source);
	rows = sql_run(sql, &read, AS_KEY(source));
	names = sql_texts(&rows);
	if (names == NIL)
		refuse_no_next(sql, source);
	if (list_length(names) > 1)
		ereport(ERROR,
				(errcode(PM_NO_PATH),
				 errmsg("several promotion paths lead on from \"%s\"", instance_key_name(source)),
				 errdetail("They lead to %s.", names_joined(names)),
				 errhint("Name the destination: promote.promote_instance('%s', '%s-%s-%s').",
						 instance_key_name(source), source->project,
						 (char *) linitial(names), source->component)));
	return linitial(names);
}
