/*
 * dependency.c: which components depend on which.
 *
 * The dependencies of a project form no cycle, see walk.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "registry/walk.h"

PG_FUNCTION_INFO_V1(promote_component_rank);

/* A component on the way to its rank. */
typedef struct RankPlace
{
	char		name[NAME_MAX_LENGTH + 1];	/* the key */
	int32		rank;			/* as far as is known */
	int32		needs;			/* how many that it depends on have no rank yet */
	List	   *needed_by;		/* RankPlace * */
	struct RankPlace *needed;	/* one of those that it depends on, of a cycle that is looked for */
} RankPlace;

/* A dependency. */
typedef struct Need
{
	char	   *component;
	char	   *depends_on;
} Need;

/* Refuse dependencies that close a cycle. */
static void
refuse_cycle(const char *project, const char *chain)
{
	ereport(ERROR,
			(errcode(PM_CYCLE),
			 errmsg("the components of project \"%s\" would depend on each other in a cycle", project),
			 errdetail("The cycle is %s.", chain),
			 errhint("Leave one of these dependencies out: what is needed first cannot wait for what needs it.")));
}

/*
 * promote_internal.check_dependencies() returns trigger
 *
 * AFTER INSERT, and AFTER UPDATE, of component_dependency, for each statement, with the
 * transition table new_dependency.
 */
Datum
TRIGGER_FUNCTION(promote_check_dependencies)
{
	static const SqlField fields[] = {
		SQL_FIELD(WalkStart, project, "n.project"), SQL_FIELD(WalkStart, name, "n.depends_on")
	};
	static Statement read = SQL_ROWS(fields, "SELECT DISTINCT $* FROM new_dependency AS n ORDER BY 1, 2");
	static Statement depends_on = {"SELECT d.depends_on FROM promote.component_dependency AS d"
		" WHERE d.project = $1 AND d.component = $2 ORDER BY d.depends_on"};
	TriggerData *data = trigger_data(fcinfo, "component_dependency", TRIGGER_EVENT_AFTER);

	walk_check(data, "check_dependencies", &read, &depends_on, refuse_cycle);
	return PointerGetDatum(NULL);
}

/* ---- the order of things ---- */

/* All components of a project, by name. */
static HTAB *
read_places(const Sql *sql, const char *project)
{
	static Statement read = {"SELECT c.component::text FROM promote.component AS c WHERE c.project = $1"};
	HASHCTL		control = {
		.keysize = NAME_MAX_LENGTH + 1,.entrysize = sizeof(RankPlace),.hcxt = CurrentMemoryContext
	};
	HTAB	   *places = hash_create("promote ranks", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project));

	for (uint64 i = 0; i < rows.count; i++)
	{
		char	   *name = sql_text(&rows, i);
		RankPlace  *place = hash_search(places, name, HASH_ENTER, NULL);

		memset((char *) place + offsetof(RankPlace, rank), 0, sizeof(RankPlace) - offsetof(RankPlace, rank));
		pfree(name);
	}
	return places;
}

/* Join them by what they depend on. */
static void
read_needs(const Sql *sql, const char *project, HTAB *places)
{
	static const SqlField fields[] = {
		SQL_FIELD(Need, component, "d.component::text"), SQL_FIELD(Need, depends_on, "d.depends_on::text")
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote.component_dependency AS d WHERE d.project = $1");
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project));
	Need		need;

	for (uint64 i = 0; sql_row(&rows, i, &need); i++)
	{
		RankPlace  *place = hash_search(places, need.component, HASH_FIND, NULL);
		RankPlace  *needed = hash_search(places, need.depends_on, HASH_FIND, NULL);

		CHECK_FOR_INTERRUPTS();
		if (place == NULL || needed == NULL)
			elog(ERROR, "a dependency of \"%s\" on \"%s\" has no component", need.component, need.depends_on);
		place->needs++;
		needed->needed_by = lappend(needed->needed_by, place);
	}
}

/* Rank those whose needs all have one, from those on that need nothing.  Returns how many that are. */
static long
rank_places(HTAB *places)
{
	List	   *ranked = NIL;
	HASH_SEQ_STATUS each;
	RankPlace  *place;

	hash_seq_init(&each, places);
	while ((place = hash_seq_search(&each)) != NULL)
		if (place->needs == 0)
			ranked = lappend(ranked, place);
	/* the loop appends to the list */
	for (int i = 0; i < list_length(ranked); i++)
	{
		RankPlace  *needed = list_nth(ranked, i);
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		foreach(cell, needed->needed_by)
		{
			place = lfirst(cell);
			place->rank = Max(place->rank, needed->rank + 1);
			if (--place->needs == 0)
				ranked = lappend(ranked, place);
		}
	}
	return list_length(ranked);
}

/* Refuse what has no order, as rows that were loaded past the trigger may have: by the names of a cycle. */
static void
refuse_without_rank(const char *project, HTAB *places)
{
	HASH_SEQ_STATUS each;
	RankPlace  *place;
	RankPlace  *first = NULL;
	StringInfoData chain;

	/* what has no rank needs something that has none: going there again and again ends in a cycle */
	hash_seq_init(&each, places);
	while ((place = hash_seq_search(&each)) != NULL)
	{
		ListCell   *cell;

		if (place->needs == 0)
			continue;
		first = place;
		foreach(cell, place->needed_by)
			((RankPlace *) lfirst(cell))->needed = place;
	}
	for (place = first; place->rank >= 0; place = place->needed)
		place->rank = -1;
	initStringInfo(&chain);
	first = place;
	do
	{
		appendStringInfo(&chain, "%s -> ", place->name);
		place = place->needed;
	} while (place != first);
	appendStringInfoString(&chain, first->name);
	refuse_cycle(project, chain.data);
}

/*
 * promote_internal.component_rank(project text) returns TABLE (component text, rank integer)
 *
 * One look at each component and each dependency, however long the chains are.
 */
Datum
promote_component_rank(PG_FUNCTION_ARGS)
{
	char	   *project = argument_text(fcinfo, 0);
	HTAB	   *places;
	HASH_SEQ_STATUS each;
	RankPlace  *place;
	Sql			sql;

	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	places = read_places(&sql, project);
	read_needs(&sql, project, places);
	if (rank_places(places) < hash_get_num_entries(places))
		refuse_without_rank(project, places);
	hash_seq_init(&each, places);
	while ((place = hash_seq_search(&each)) != NULL)
		result_put(fcinfo, AS_TEXT(place->name), AS_INT(place->rank));
	sql_leave(&sql);
	return (Datum) 0;
}
