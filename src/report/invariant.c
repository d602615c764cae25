/*
 * invariant.c: whether what must hold of the rows of all tables does, see
 * sql/report/invariant.sql.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/result.h"
#include "base/sql.h"
#include "grant/access.h"

PG_FUNCTION_INFO_V1(promote_check_invariants);
PG_FUNCTION_INFO_V1(promote_in_circles);

/* ---- what is broken ---- */

/* Return a row that a query has found. */
static void
take_broken(void *state, TupleTableSlot *row)
{
	tuplestore_puttupleslot(((ReturnSetInfo *) ((FunctionCallInfo) state)->resultinfo)->setResult, row);
}

/*
 * promote.check_invariants(project text) returns table, see sql/report/invariant.sql
 *
 * One statement asks everything, so that rows are held against others of the same moment.  Its
 * joins look up whole keys: so it takes time in proportion to the rows, whatever the planner
 * believes of them.
 */
Datum
promote_check_invariants(PG_FUNCTION_ARGS)
{
	static Statement queries = {"SELECT q FROM promote_internal.invariant_queries() AS q"};
	char	   *project = argument_text(fcinfo, 0);
	StringInfoData text;
	SqlRows		rows;
	Sql			sql;
	int			level;

	access_require_in("audit", project, NULL);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	rows = sql_read(&sql, &queries);
	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT b.invariant, b.project, b.subject, b.detail FROM (");
	for (uint64 i = 0; i < rows.count; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? " UNION ALL " : "", sql_text(&rows, i));
	appendStringInfoString(&text, ") AS b (invariant, project, subject, detail) ORDER BY 1, 2, 3, 4");
	level = NewGUCNestLevel();
	sql_set_local("enable_seqscan", "on");
	sql_set_local("enable_sort", "on");
	sql_set_local("enable_hashjoin", "off");
	sql_set_local("enable_mergejoin", "off");
	sql_each(&sql, text.data, SQL_CALL(AS_TEXT(project)), take_broken, fcinfo);
	AtEOXact_GUC(false, level);
	sql_leave(&sql);
	return (Datum) 0;
}

/* ---- circles ---- */

/* A name, and those that lead to it. */
typedef struct Stop
{
	char		name[NAME_MAX_LENGTH + 1];	/* the key */
	int32		leads_to;		/* how many others that are still there */
	List	   *from;			/* Stop *: those that lead to it, as often as they do */
} Stop;

/* The stop of a name, which is there afterwards. */
static Stop *
stop_of(HTAB *stops, Datum name)
{
	char		key[NAME_MAX_LENGTH + 1];
	bool		was;
	Stop	   *stop;

	strlcpy(key, TextDatumGetCString(name), sizeof(key));
	stop = hash_search(stops, key, HASH_ENTER, &was);
	if (!was)
	{
		stop->leads_to = 0;
		stop->from = NIL;
	}
	return stop;
}

/* Take those away that lead to none, again and again.  Returns them. */
static List *
take_ends(HTAB *stops)
{
	List	   *ends = NIL;
	HASH_SEQ_STATUS each;
	Stop	   *stop;

	hash_seq_init(&each, stops);
	while ((stop = hash_seq_search(&each)) != NULL)
		if (stop->leads_to == 0)
			ends = lappend(ends, stop);
	/* the loop appends to the list */
	for (int i = 0; i < list_length(ends); i++)
	{
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		foreach(cell, ((Stop *) list_nth(ends, i))->from)
			if (--((Stop *) lfirst(cell))->leads_to == 0)
				ends = lappend(ends, lfirst(cell));
	}
	return ends;
}

/*
 * promote_internal.in_circles(names text[], others text[]) returns setof text
 *
 * What is left once all were taken away that lead nowhere: one look at each name and each pair.
 */
Datum
promote_in_circles(PG_FUNCTION_ARGS)
{
	HASHCTL		control = {
		.keysize = NAME_MAX_LENGTH + 1,.entrysize = sizeof(Stop),.hcxt = CurrentMemoryContext
	};
	HTAB	   *stops = hash_create("promote circles", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	HASH_SEQ_STATUS each;
	Stop	   *stop;
	Datum	   *names,
			   *others;
	int			count,
				other_count;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &others, NULL, &other_count);
	for (int i = 0; i < Min(count, other_count); i++)
	{
		Stop	   *from = stop_of(stops, names[i]);
		Stop	   *to = stop_of(stops, others[i]);

		from->leads_to++;
		to->from = lappend(to->from, from);
	}
	list_free(take_ends(stops));
	hash_seq_init(&each, stops);
	while ((stop = hash_seq_search(&each)) != NULL)
		if (stop->leads_to > 0)
			result_put(fcinfo, AS_TEXT(stop->name));
	return (Datum) 0;
}
