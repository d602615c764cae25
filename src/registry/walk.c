/*
 * walk.c: walks over what leads from one name of a project to others, and never back.
 *
 * Paths lead from environments to environments, dependencies from components to components.
 * Neither may form a cycle.  After a row is written, a search starts at what it leads to, under
 * a lock on the project's rows of that table and by a snapshot taken after the lock.  So two
 * sessions cannot write the two halves of a cycle.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/trigger.h"
#include "registry/walk.h"

/* A walk in a project. */
typedef struct Walk
{
	const char *project;
	Statement  *neighbours;		/* of ($1 project, $2 name): the names of its neighbours, in order */
	RefuseCycle refuse;			/* NULL: no cycle is looked for */
	HTAB	   *places;			/* of WalkPlace: the places that the walk has reached */
} Walk;

/* A place on the way, with its neighbours. */
typedef struct Hop
{
	WalkPlace  *place;
	List	   *neighbours;		/* names */
	int			next;			/* index of the first neighbour that was not visited yet */
} Hop;

/* The neighbours of a name by a statement. */
static List *
read_neighbours(const Sql *sql, Statement *neighbours, const char *project, const char *name)
{
	SqlRows		rows = sql_read(sql, neighbours, AS_TEXT(project), AS_TEXT(name));
	List	   *names = sql_texts(&rows);

	SPI_freetuptable(rows.table);
	return names;
}

/* Begin a walk in a project. */
static void
begin_walk(Walk *walk, const char *project, Statement *neighbours, RefuseCycle refuse)
{
	HASHCTL		control = {
		.keysize = NAME_MAX_LENGTH + 1,
		.entrysize = sizeof(WalkPlace),
		.hcxt = CurrentMemoryContext
	};

	walk->project = project;
	walk->neighbours = neighbours;
	walk->refuse = refuse;
	walk->places = hash_create("promote walk", 64, &control,
							   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* The place of a name; was says whether the walk had reached it before. */
static WalkPlace *
come_to(Walk *walk, const char *name, int32 distance, bool *was)
{
	WalkPlace  *place = hash_search(walk->places, name, HASH_ENTER, was);

	if (!*was)
	{
		place->on_way = false;
		place->distance = distance;
	}
	return place;
}

/* Append a place to the way. */
static List *
go_on(const Sql *sql, Walk *walk, List *way, WalkPlace *place)
{
	Hop		   *hop = palloc(sizeof(Hop));

	place->on_way = true;
	hop->place = place;
	hop->neighbours = read_neighbours(sql, walk->neighbours, walk->project, place->name);
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

/* Refuse a way that leads back to one of its places, by the names of the cycle. */
static void
refuse_way(const Walk *walk, const List *way, const WalkPlace *back)
{
	StringInfoData chain;
	ListCell   *cell;

	initStringInfo(&chain);
	foreach(cell, way)
	{
		const WalkPlace *place = ((Hop *) lfirst(cell))->place;

		if (chain.len > 0 || place == back)
			appendStringInfo(&chain, "%s -> ", place->name);
	}
	appendStringInfoString(&chain, back->name);
	walk->refuse(walk->project, chain.data);
}

/*
 * Follow everything that leads on from a name, depth first and without recursion, because a
 * chain may be long.  Places that an earlier search of the same walk visited lead to no cycle.
 */
static void
search_cycle(const Sql *sql, Walk *walk, const char *name)
{
	bool		was;
	WalkPlace  *place = come_to(walk, name, 0, &was);
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
			refuse_way(walk, way, place);
	}
}

/* Compare two places by distance, then by name. */
static int
compare_places(const ListCell *a, const ListCell *b)
{
	const WalkPlace *first = lfirst(a);
	const WalkPlace *second = lfirst(b);

	if (first->distance != second->distance)
		return first->distance < second->distance ? -1 : 1;
	return strcmp(first->name, second->name);
}

/*
 * Walk away from a name, breadth first.  Returns the places by distance and name, without the
 * name itself: a list of WalkPlace *.
 */
List *
walk_away(const Sql *sql, const char *project, Statement *neighbours, const char *name)
{
	Walk		walk;
	bool		was;
	List	   *found;

	begin_walk(&walk, project, neighbours, NULL);
	found = list_make1(come_to(&walk, name, 0, &was));
	/* the loop appends to the list */
	for (int i = 0; i < list_length(found); i++)
	{
		const WalkPlace *from = list_nth(found, i);
		List	   *names = read_neighbours(sql, neighbours, project, from->name);
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		foreach(cell, names)
		{
			WalkPlace  *place = come_to(&walk, lfirst(cell), from->distance + 1, &was);

			if (!was)
				found = lappend(found, place);
		}
		list_free_deep(names);
	}
	found = list_delete_first(found);
	list_sort(found, compare_places);
	return found;
}

/* ---- for triggers ---- */

/*
 * promote_internal.lock_project() returns trigger
 *
 * BEFORE INSERT OR UPDATE, for each row: those who write rows of one project into the table follow
 * each other, and wait for nobody else.  The lock is not on the project's row, because others lock
 * that row for other reasons.
 */
Datum
TRIGGER_FUNCTION(promote_lock_project)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *project = trigger_text(data, row, "project");

	if (project)
		LockDatabaseObject(RelationGetRelid(data->tg_relation),
						   hash_bytes((unsigned char *) project, strlen(project)), 0, ExclusiveLock);
	return PointerGetDatum(row);
}

/* Search for cycles from what was written, rows of WalkStart in order of their projects. */
static void
search_written(const Sql *sql, Statement *written, Statement *neighbours, RefuseCycle refuse)
{
	SqlRows		rows = sql_run(sql, written);
	WalkStart	start;
	Walk		walk = {NULL};

	PushActiveSnapshot(GetLatestSnapshot());
	for (uint64 i = 0; sql_row(&rows, i, &start); i++)
	{
		if (walk.project == NULL || strcmp(walk.project, start.project) != 0)
			begin_walk(&walk, start.project, neighbours, refuse);
		search_cycle(sql, &walk, start.name);
	}
	PopActiveSnapshot();
}

/*
 * After rows were written, refuse those that close a cycle.  The trigger is for each statement
 * and has a transition table, from which a statement reads rows of WalkStart in their order.
 */
void
walk_check(TriggerData *data, const char *function, Statement *written, Statement *neighbours, RefuseCycle refuse)
{
	Sql			sql;

	if (data->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not made for this trigger", function)));
	sql_enter(&sql);
	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	search_written(&sql, written, neighbours, refuse);
	sql_leave(&sql);
}
