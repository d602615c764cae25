/*
 * window.c: when something may be deployed: stopped lines, freezes, change
 * windows and their budgets.  What follows for what waits is in
 * deployment/begin.c.
 *
 * What there is in a scope is read once, as a set, and judged for as many
 * times as are asked for: a case keeps its set, and the cells of a matrix may
 * share one.  A freeze beats any change window; where no change window is in
 * scope it is always open.
 */
#include "postgres.h"

#include "gate/window.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

typedef enum WindowKind
{
	WINDOW_STOP, WINDOW_FREEZE, WINDOW_CHANGE
} WindowKind;

/* A stopped line, a freeze or a change window. */
typedef struct Window
{
	WindowKind	kind;
	char	   *name;			/* of a stop the project's; NULL: it stops everything */
	char	   *reason;			/* NULL: none */
	char	   *actor;
	char	   *project;		/* of the scope, NULL: all */
	char	   *environment;
	char	   *component;
	Jsonb	   *selector;
	TimestampTz since;			/* when a stop was made, or the row of another */
	int32		budget;			/* of a change window, each time; 0: no bound */
	int32		stop;			/* number of a stop */
	WindowText	text;
	TimestampTz lower;			/* of one that is once */
	TimestampTz upper;
	Calendar   *calendar;		/* of one that recurs; NULL: not read yet */
	bool		judged;			/* is state that at judged_at? */
	TimestampTz judged_at;
	CalendarState state;
	bool		looked_back;	/* is ended known for that time, too? */
	TimestampTz ended;			/* when it was open last; DT_NOBEGIN: not known */
} Window;

struct WindowSet
{
	Window	   *windows;		/* by kind, then by name */
	int			count;
};

/* ---- reading ---- */

/* A range's bounds: of what is within it the first moment, and the first that is not any more. */
void
window_range(const RangeType *during, TimestampTz *lower, TimestampTz *upper)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	low,
				high;
	bool		empty;

	range_deserialize(type, during, &low, &high, &empty);
	*lower = empty || low.infinite ? DT_NOBEGIN : DatumGetTimestampTz(low.val);
	*upper = empty ? DT_NOBEGIN : high.infinite ? DT_NOEND : DatumGetTimestampTz(high.val);
	if (!low.infinite && !low.inclusive && !TIMESTAMP_NOT_FINITE(*lower))
		(*lower)++;
	if (!high.infinite && high.inclusive && !TIMESTAMP_NOT_FINITE(*upper))
		(*upper)++;
}

/* A column's value, or 0 where it is NULL. */
static Datum
value_or_zero(uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(SPI_tuptable, row, column, &isnull);

	return isnull ? (Datum) 0 : value;
}

/* Read when a window is, from its row. */
static void
read_when(uint64 row, Window *window)
{
	CalendarText *text = &window->text.calendar;
	Datum		during = value_or_zero(row, 9);

	if (during)
	{
		window->text.during = DatumGetRangeTypeP(during);
		window_range(window->text.during, &window->lower, &window->upper);
		return;
	}
	text->rule = spi_text(SPI_tuptable, row, 10);
	text->zone = spi_text(SPI_tuptable, row, 11);
	text->starts_at = DatumGetTimestamp(value_or_zero(row, 12));
	text->duration = DatumGetIntervalP(value_or_zero(row, 13));
	text->exdates = DatumGetArrayTypeP(value_or_zero(row, 14));
}

/* Read a window from its row. */
static void
read_window(uint64 row, Window *window)
{
	memset(window, 0, sizeof(Window));
	window->kind = spi_integer(SPI_tuptable, row, 1);
	window->name = spi_text(SPI_tuptable, row, 2);
	window->reason = spi_text(SPI_tuptable, row, 3);
	window->actor = spi_text(SPI_tuptable, row, 4);
	window->project = spi_text(SPI_tuptable, row, 5);
	window->environment = spi_text(SPI_tuptable, row, 6);
	window->component = spi_text(SPI_tuptable, row, 7);
	window->selector = spi_jsonb(SPI_tuptable, row, 8);
	if (window->kind == WINDOW_STOP)
		window->stop = spi_integer(SPI_tuptable, row, 15);
	else
		window->budget = spi_integer(SPI_tuptable, row, 15);
	window->since = DatumGetTimestampTz(value_or_zero(row, 16));
	if (window->kind != WINDOW_STOP)
		read_when(row, window);
}

/*
 * Read what there is for a project, and, unless they are NULL, for an
 * environment and a component of it.  Runs inside a scope of sql.h with a
 * snapshot pushed; the set lives as long as the scope.
 */
WindowSet *
window_read(const Sql *sql, const char *project, const char *environment, const char *component)
{
#define IN_SCOPE(w) " (" w ".project IS NULL OR " w ".project = $1)" \
	" AND ($2 IS NULL OR " w ".environment IS NULL OR " w ".environment = $2)" \
	" AND ($3 IS NULL OR " w ".component IS NULL OR " w ".component = $3)"
#define SCOPE(w) w ".project::pg_catalog.text, " w ".environment::pg_catalog.text, " w ".component::pg_catalog.text, " \
	w ".selector"
#define WHEN(w) w ".during, " w ".rule, " w ".zone, " w ".starts_at, " w ".duration, " w ".exdates"
	static OldStatement read = {
		.text = "SELECT 0, s.project::pg_catalog.text, s.reason, s.actor, s.project::pg_catalog.text,"
		" NULL, NULL, NULL::pg_catalog.jsonb, NULL::pg_catalog.tstzrange, NULL, NULL,"
		" NULL::pg_catalog.timestamp, NULL::pg_catalog.interval, NULL::pg_catalog.timestamp[], s.stop, s.stopped_at"
		" FROM promote.line_stop AS s WHERE s.lifted_at IS NULL AND (s.project IS NULL OR s.project = $1)"
		" UNION ALL SELECT 1, f.name, f.reason, f.actor, " SCOPE("f") ", " WHEN("f") ", 0, f.created_at"
		" FROM promote.freeze_window AS f WHERE" IN_SCOPE("f")
		" UNION ALL SELECT 2, c.name, c.reason, c.actor, " SCOPE("c") ", " WHEN("c")
		", c.max_deployments_per_window, c.created_at"
		" FROM promote.change_window AS c WHERE" IN_SCOPE("c")
		" ORDER BY 1, 2 NULLS FIRST",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	WindowSet  *set = palloc(sizeof(WindowSet));
	Datum		values[3];
	bool		nulls[3];

	values[0] = text_or_null(project, &nulls[0]);
	values[1] = text_or_null(environment, &nulls[1]);
	values[2] = text_or_null(component, &nulls[2]);
	statement_run(sql, &read, values, nulls, true);
	set->count = SPI_processed;
	set->windows = palloc((set->count + 1) * sizeof(Window));
	for (int i = 0; i < set->count; i++)
		read_window(i, &set->windows[i]);
	return set;
}

/* The set of a case, read when it is first asked for. */
static const WindowSet *
set_of(const Sql *sql, GateCase *gate)
{
	if (gate->windows == NULL)
		gate->windows = window_read(sql, gate->key.project, gate->key.environment, gate->key.component);
	return gate->windows;
}

/* ---- judging ---- */

/* Is a name the one that a scope asks for? */
static bool
is_meant(const char *meant, const char *name)
{
	return meant == NULL || strcmp(meant, name) == 0;
}

/* Is the case within the window's scope? */
static bool
concerns(const Window *window, const GateCase *gate)
{
	return is_meant(window->project, gate->key.project) &&
		is_meant(window->environment, gate->key.environment) &&
		is_meant(window->component, gate->key.component) &&
		(window->selector == NULL || JB_ROOT_COUNT(window->selector) == 0 ||
		 DatumGetBool(DirectFunctionCall2(jsonb_contains, JsonbPGetDatum(gate->attributes),
										  JsonbPGetDatum(window->selector))));
}

/* How one that is once is at a time. */
static void
judge_range(const Window *window, TimestampTz at, CalendarState *state)
{
	state->open = window->lower <= at && at < window->upper;
	state->since = window->lower == DT_NOBEGIN ? GATE_NO_TIME : window->lower;
	state->last = (Occurrence) {window->lower, window->upper};
	state->until = window->upper;
	state->next = window->lower > at ? window->lower : DT_NOEND;
}

/* How a window is at a time; worked out once for each. */
static const CalendarState *
state_at(Window *window, TimestampTz at)
{
	if (window->judged && window->judged_at == at)
		return &window->state;
	if (window->text.during)
		judge_range(window, at, &window->state);
	else
	{
		if (window->calendar == NULL)
		{
			Calendar   *calendar = palloc(sizeof(Calendar));

			calendar_parse(&window->text.calendar, calendar);
			window->calendar = calendar;
		}
		calendar_state(window->calendar, at, &window->state);
	}
	window->judged = true;
	window->judged_at = at;
	window->looked_back = false;
	return &window->state;
}

/* When a window that state_at found closed was open last. */
static TimestampTz
ended_before(Window *window)
{
	if (!window->looked_back)
	{
		if (window->text.during)
			window->ended = window->upper <= window->judged_at ? window->upper : DT_NOBEGIN;
		else
			window->ended = calendar_ended(window->calendar, window->judged_at);
		window->looked_back = true;
	}
	return window->ended;
}

/* The next window of a kind that concerns the case, behind one (NULL: the first); NULL: none. */
static Window *
next_window(const Sql *sql, GateCase *gate, WindowKind kind, const Window *behind)
{
	const WindowSet *set = set_of(sql, gate);

	for (Window *window = behind ? (Window *) behind + 1 : set->windows;
		 window < set->windows + set->count; window++)
		if (window->kind == kind && concerns(window, gate))
			return window;
	return NULL;
}

/* The words of a reason, behind what it is about. */
static const char *
because(const char *reason)
{
	return reason && *reason ? psprintf(": %s", reason) : "";
}

/* The line is not stopped. */
void
gate_stopped(const Sql *sql, GateCase *gate)
{
	for (Window *stop = NULL; (stop = next_window(sql, gate, WINDOW_STOP, stop)) != NULL;)
	{
		gate_block(gate, "stopped", false, stop->since, GATE_NO_TIME, "promote.resume_line",
				   psprintf("%s was stopped by %s%s",
							stop->project ? psprintf("project \"%s\"", stop->project) : "everything",
							stop->actor, because(stop->reason)));
		gate_about(gate, psprintf("stop %d", stop->stop));
	}
}

/* No freeze is on. */
void
gate_freeze(const Sql *sql, GateCase *gate)
{
	for (Window *freeze = NULL; (freeze = next_window(sql, gate, WINDOW_FREEZE, freeze)) != NULL;)
	{
		const CalendarState *state = state_at(freeze, gate->at);

		if (!state->open)
			continue;
		gate_block(gate, "freeze", true, state->since, state->until,
				   "whoever changes promote.freeze_window",
				   psprintf("freeze \"%s\" is on%s", freeze->name, because(freeze->reason)));
		/* another time that it is on is another reason, and so is another freeze of that name, also from the same time on */
		gate_about(gate, psprintf("%s since %s, made at %s", freeze->name,
								  state->since == GATE_NO_TIME ? "ever" : audit_time(state->since), audit_time(freeze->since)));
	}
}

/* Add a window's name to a list of them. */
static void
add_name(StringInfo names, const Window *window)
{
	appendStringInfo(names, "%s\"%s\"", names->len > 0 ? ", " : "", window->name);
}

/* Since when none of the change windows is open; DT_NOBEGIN: not known. */
static TimestampTz
closed_since(const Sql *sql, GateCase *gate)
{
	TimestampTz since = DT_NOBEGIN;

	for (Window *window = NULL; (window = next_window(sql, gate, WINDOW_CHANGE, window)) != NULL;)
		since = Max(since, ended_before(window));
	return since;
}

/* Where there are change windows, one is open. */
void
gate_window(const Sql *sql, GateCase *gate)
{
	TimestampTz next = DT_NOEND;
	TimestampTz since;
	StringInfoData names;

	initStringInfo(&names);
	for (Window *window = NULL; (window = next_window(sql, gate, WINDOW_CHANGE, window)) != NULL;)
	{
		const CalendarState *state = state_at(window, gate->at);

		if (state->open)
			return;
		next = Min(next, state->next);
		add_name(&names, window);
	}
	if (names.len == 0)
		return;
	since = closed_since(sql, gate);
	gate_block(gate, "window", true, since == DT_NOBEGIN ? GATE_NO_TIME : since, next, "whoever changes promote.change_window",
			   psprintf("no change window is open, of %s", names.data));
	/* another time that they are closed is another reason, and so are other windows of these names */
	gate_about(gate, since == DT_NOBEGIN ? names.data : psprintf("%s since %s", names.data, audit_time(since)));
}

/* ---- budgets ---- */

/*
 * How many deployments within a window's scope were queued while it was open,
 * the one that is judged aside; and when the last of them was.
 */
static int64
count_queued(const Sql *sql, const GateCase *gate, const Window *window, const Occurrence *occurrence,
			 TimestampTz *last)
{
	static OldStatement count = {
		/* project by project: the index on the times leads with it */
		.text = "SELECT pg_catalog.count(*), pg_catalog.max(d.queued_at) FROM promote.project AS o"
		" CROSS JOIN LATERAL (SELECT d.* FROM promote.deployment AS d WHERE d.project = o.project"
		"  AND d.action <> 'PLAN' AND d.queued_at >= $1 AND d.queued_at < $2 OFFSET 0) AS d"
		" WHERE ($3 IS NULL OR o.project = $3)"
		" AND (d.status <> 'ABORTED' OR d.started_at IS NOT NULL)"
		" AND ($4 IS NULL OR d.environment = $4)"
		" AND ($5 IS NULL OR d.component = $5)"
		" AND ($6 IS NULL OR (SELECT a.attributes @> $6"
		"  FROM promote_internal.instance_attributes AS a WHERE " SAME_INSTANCE("a", "d") "))"
		" AND NOT (d.project = $7 AND d.environment = $8 AND d.component = $9 AND d.deployment = $10)",
		.parameters = 10,
		.types = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID,
		TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	bool		nulls[10] = {[5] = JB_ROOT_COUNT(window->selector) == 0};
	Datum		values[10] = {TimestampTzGetDatum(occurrence->begin), TimestampTzGetDatum(occurrence->end)};

	values[2] = text_or_null(window->project, &nulls[2]);
	values[3] = text_or_null(window->environment, &nulls[3]);
	values[4] = text_or_null(window->component, &nulls[4]);
	values[5] = JsonbPGetDatum(window->selector);
	instance_key_values(&gate->key, values + 6);
	values[9] = Int32GetDatum(gate->deployment);
	statement_run(sql, &count, values, nulls, true);
	*last = DatumGetTimestampTz(value_or_zero(0, 2));
	return DatumGetInt64(value_or_zero(0, 1));
}

/* Of the change windows that are open, one has a place left. */
void
gate_budget(const Sql *sql, GateCase *gate)
{
	TimestampTz next = DT_NOEND;
	TimestampTz since = DT_NOBEGIN;
	StringInfoData names;
	StringInfoData subject;

	initStringInfo(&names);
	initStringInfo(&subject);
	for (Window *window = NULL; (window = next_window(sql, gate, WINDOW_CHANGE, window)) != NULL;)
	{
		const CalendarState *state = state_at(window, gate->at);
		TimestampTz last;

		next = Min(next, state->next);
		if (!state->open)
			continue;
		if (window->budget == 0 || count_queued(sql, gate, window, &state->last, &last) < window->budget)
			return;
		since = Max(since, last);
		add_name(&names, window);
		appendStringInfo(&names, " has had its %d", window->budget);
		appendStringInfo(&subject, "%s%s has had its %d since %s", subject.len > 0 ? ", " : "", window->name, window->budget,
						 audit_time(state->last.begin));
	}
	if (names.len == 0)
		return;
	gate_block(gate, "budget", true, since, next, "whoever changes promote.change_window",
			   psprintf("change window %s", names.data));
	gate_about(gate, subject.data);
}

/* The order of names' hashes, for qsort. */
static int
compare_hashes(const void *a, const void *b)
{
	uint32		one = *(const uint32 *) a;
	uint32		other = *(const uint32 *) b;

	return one < other ? -1 : one > other;
}

/*
 * Lock the budgets that the case takes a place of, to the end of the
 * transaction: others that would take one are judged behind it.  Not by the
 * rows, since whoever changes a window waits for nobody who is judged by it;
 * nor by advisory locks, which anybody can hold who knows a name.
 */
void
window_lock_budgets(const Sql *sql, GateCase *gate)
{
	const WindowSet *set;
	Oid			table = get_relname_relid("change_window", get_namespace_oid("promote", false));
	uint32	   *hashes;
	int			count = 0;

	sql_push_latest();
	set = set_of(sql, gate);
	hashes = palloc((set->count + 1) * sizeof(uint32));
	for (Window *window = NULL; (window = next_window(sql, gate, WINDOW_CHANGE, window)) != NULL;)
		if (window->budget > 0)
			hashes[count++] = hash_bytes((const unsigned char *) window->name, strlen(window->name));
	PopActiveSnapshot();
	qsort(hashes, count, sizeof(uint32), compare_hashes);
	/* the class is no catalog: nothing else is locked by that */
	for (int i = 0; i < count; i++)
		LockDatabaseObject(table, hashes[i], 1, ExclusiveLock);
}

/* Might anything of the set hold something back, whatever its selectors and overrides? */
bool
window_may_hold(const WindowSet *set, TimestampTz at)
{
	for (int i = 0; i < set->count; i++)
	{
		Window	   *window = &set->windows[i];

		if (window->kind == WINDOW_STOP ||
			state_at(window, at)->open == (window->kind == WINDOW_FREEZE))
			return true;
	}
	return false;
}
