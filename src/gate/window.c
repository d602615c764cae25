/*
 * window.c: when something may be deployed: stopped lines, freezes, change
 * windows and their budgets.  deployment/begin.c applies them to deployments that
 * wait.
 *
 * The rules of a scope are read once, as a set, and can be judged for many times:
 * a case keeps its set, and the cells of a matrix may share one.  A freeze beats
 * any change window.  Where no change window applies, it is as if one were open.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/errors.h"
#include "gate/window.h"
#include "registry/rule_hold.h"

#define MAX_NAME 200			/* bytes of a window's name */

/* As promote_internal.window_rule numbers them. */
enum WindowKind
{
	WINDOW_STOP, WINDOW_FREEZE, WINDOW_CHANGE
};

/* A stopped line, a freeze or a change window. */
typedef struct Window
{
	int32		kind;			/* enum WindowKind */
	char	   *name;			/* of a stop the project's; NULL: it stops everything */
	char	   *reason;			/* NULL: none */
	char	   *actor;
	char	   *project;		/* of the scope, NULL: all */
	char	   *environment;
	char	   *component;
	Jsonb	   *selector;		/* NULL: of a stop */
	TimestampTz since;			/* when it was made */
	int32		stop;			/* number of a stop */
	int32		budget;			/* of a change window, each time; 0: no bound */
	RangeType  *during;			/* NULL: it recurs, or is once in local time */
	CalendarText text;
	TimestampTz lower;			/* of one that is once */
	TimestampTz upper;
	Calendar   *calendar;		/* of one that recurs; NULL: not read yet */
	bool		judged;			/* is state that at judged_at? */
	TimestampTz judged_at;
	CalendarState state;
	bool		looked_back;	/* is ended known for that time, too? */
	TimestampTz ended;			/* when it was open last; DT_NOBEGIN: not known */
} Window;

static const SqlField window_fields[] = {
	SQL_FIELDS(Window, "w", kind, name, reason, actor, project, environment, component, selector, since,
				   stop, budget, during),
	SQL_FIELD(Window, text.rule, "w.rule"),
	SQL_FIELD(Window, text.zone, "w.zone"),
	SQL_FIELD(Window, text.starts_at, "w.starts_at"),
	SQL_FIELD(Window, text.duration, "w.duration"),
	SQL_FIELD(Window, text.exdates, "w.exdates")
};

struct WindowSet
{
	Window	   *windows;		/* by kind, then by name */
	int			count;
};

/* ---- reading ---- */

/* A range's bounds: the first moment within it, and the first moment behind it. */
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

/*
 * Read the rules that may apply to a project, or to an environment and a
 * component of it; NULL: to any.  Reads by the active snapshot.  The set lives as
 * long as the scope.
 */
WindowSet *
window_read(const Sql *sql, const char *project, const char *environment, const char *component)
{
	static Statement read = SQL_ROWS(window_fields, "SELECT $* FROM promote_internal.window_rule AS w"
									 " WHERE (w.project IS NULL OR w.project = $1)"
									 " AND ($2 IS NULL OR w.environment IS NULL OR w.environment = $2)"
									 " AND ($3 IS NULL OR w.component IS NULL OR w.component = $3)"
									 " ORDER BY w.kind, w.name NULLS FIRST");
	WindowSet  *set = palloc(sizeof(WindowSet));
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(project), AS_TEXT(environment), AS_TEXT(component));

	set->count = rows.count;
	set->windows = palloc0((set->count + 1) * sizeof(Window));
	for (int i = 0; i < set->count; i++)
	{
		Window	   *window = &set->windows[i];

		(void) sql_row(&rows, i, window);
		if (window->during)
			window_range(window->during, &window->lower, &window->upper);
	}
	return set;
}

/* Refuse a window, PM_INVALID_WINDOW. */
void
window_refuse(const char *name, const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_WINDOW),
			 errmsg("window \"%s\" %s", name, message),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/*
 * Refuse a name that is blank or too long for a message, and a selector that is no object.  NULL is for the constraints
 * of the table to refuse.
 */
void
window_check_words(const char *name, const Jsonb *selector)
{
	if (name && (name[strspn(name, " \t\r\n")] == '\0' || strlen(name) > MAX_NAME))
		window_refuse(pnstrdup(name, pg_mbcliplen(name, strlen(name), 40)), "needs another name",
					  psprintf("A name has from 1 to %d bytes, not only blanks.", MAX_NAME),
					  "Name it after what it is for: 'christmas'.");
	if (selector && !JB_ROOT_IS_OBJECT(selector))
		window_refuse(name ? name : "", "has a selector that is no object",
					  "Attributes of instances are selected by an object that they contain.",
					  "Write it as in '{\"tier\": \"gold\"}'.");
}

/* Refuse a range that is empty, or, if must_end is set, has no end. */
void
window_check_range(const char *name, const RangeType *during, bool must_end)
{
	TimestampTz lower,
				upper;

	window_range(during, &lower, &upper);
	if (lower >= upper)
		window_refuse(name, "ends before it begins", "Its range is empty.",
					  "Write it as in '[2026-12-20, 2027-01-03)'.");
	if (must_end && upper == DT_NOEND)
		window_refuse(name, "never ends", "Its range has no upper bound.",
					  "Give the range an end; what has none that is known is a case for promote.stop_line.");
}

/* Refuse a window that is not either once, by its range, or recurring, as check_window does of a row. */
static void
require_time(const Window *window)
{
	const CalendarText *text = &window->text;
	bool		recurs = text->zone && text->duration;

	if (window->during ? text->zone || text->rule || text->duration : !recurs)
		window_refuse(window->name, window->during ? "is both once and recurring" : "does not say when it is",
					  "It has either during, or zone, starts_at and duration, with a rule where it comes again.",
					  "Give the range in during, or rule, zone, starts_at and duration.");
}

/*
 * The freezes and change windows that a document supposes.  What the tables would
 * refuse is refused, PM_INVALID_WINDOW.
 */
WindowSet *
window_suppose(const Sql *sql, const Jsonb *document)
{
	static Statement read = SQL_ROWS(window_fields, "SELECT $* FROM promote_internal.supposed_windows($1) AS w"
									 " ORDER BY w.kind, w.name");
	WindowSet  *set = palloc(sizeof(WindowSet));
	SqlRows		rows = sql_read(sql, &read, AS_JSONB(document));

	set->count = rows.count;
	set->windows = palloc0((set->count + 1) * sizeof(Window));
	for (int i = 0; i < set->count; i++)
	{
		Window	   *window = &set->windows[i];
		bool		must_end;

		(void) sql_row(&rows, i, window);
		must_end = window->kind == WINDOW_FREEZE;
		window_check_words(window->name, window->selector);
		require_time(window);
		if (window->during)
		{
			window_check_range(window->name, window->during, must_end);
			window_range(window->during, &window->lower, &window->upper);
			continue;
		}
		window->calendar = palloc(sizeof(Calendar));
		window->text.zone = calendar_zone(window->text.zone);
		calendar_parse(&window->text, window->calendar);
		calendar_check(&window->text, window->calendar, must_end);
	}
	return set;
}

/* Has a window of the set a selector that leaves some instances out? */
bool
window_selects(const WindowSet *set)
{
	for (int i = 0; i < set->count; i++)
		if (set->windows[i].selector && JB_ROOT_COUNT(set->windows[i].selector) > 0)
			return true;
	return false;
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

/* Is a name the one that a window's scope has?  A scope with NULL has all names. */
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

/* Judge a window that is open once, for a time. */
static void
judge_range(const Window *window, TimestampTz at, CalendarState *state)
{
	state->open = window->lower <= at && at < window->upper;
	state->since = window->lower == DT_NOBEGIN ? GATE_NO_TIME : window->lower;
	state->last = (Occurrence) {window->lower, window->upper};
	state->until = window->upper;
	state->next = window->lower > at ? window->lower : DT_NOEND;
}

/* The state of a window at a time.  The last one is kept, since several gates ask. */
static const CalendarState *
state_at(Window *window, TimestampTz at)
{
	if (window->judged && window->judged_at == at)
		return &window->state;
	if (window->during)
		judge_range(window, at, &window->state);
	else
	{
		if (window->calendar == NULL)
		{
			Calendar   *calendar = palloc(sizeof(Calendar));

			calendar_parse(&window->text, calendar);
			window->calendar = calendar;
		}
		calendar_state(window->calendar, at, &window->state);
	}
	window->judged = true;
	window->judged_at = at;
	window->looked_back = false;
	return &window->state;
}

/* When a window that state_at has found closed was last open. */
static TimestampTz
ended_before(Window *window)
{
	if (!window->looked_back)
	{
		if (window->during)
			window->ended = window->upper <= window->judged_at ? window->upper : DT_NOBEGIN;
		else
			window->ended = calendar_ended(window->calendar, window->judged_at);
		window->looked_back = true;
	}
	return window->ended;
}

/* The next window of a kind that concerns the case, behind one (NULL: the first); NULL: none. */
static Window *
next_window(const Sql *sql, GateCase *gate, int32 kind, const Window *behind)
{
	const WindowSet *set = set_of(sql, gate);

	for (Window *window = behind ? (Window *) behind + 1 : set->windows;
		 window < set->windows + set->count; window++)
		if (window->kind == kind && concerns(window, gate))
			return window;
	return NULL;
}

/* Why somebody has made a rule, to be put behind a message. */
static const char *
because(const char *reason)
{
	return reason && *reason ? psprintf(": %s", reason) : "";
}

/* Gate "stopped": neither the line of the project nor that of everything is stopped. */
void
gate_stopped(const Sql *sql, GateCase *gate)
{
	for (Window *stop = NULL; (stop = next_window(sql, gate, WINDOW_STOP, stop)) != NULL;)
	{
		const char *what = stop->project ? psprintf("project \"%s\"", stop->project) : "everything";

		gate_block(gate, "stopped", psprintf("stop %d", stop->stop), stop->since, GATE_NO_TIME, "promote.resume_line",
				   psprintf("%s was stopped by %s%s", what, stop->actor, because(stop->reason)));
	}
}

/* Gate "freeze": no freeze is on. */
void
gate_freeze(const Sql *sql, GateCase *gate)
{
	for (Window *freeze = NULL; (freeze = next_window(sql, gate, WINDOW_FREEZE, freeze)) != NULL;)
	{
		const CalendarState *state = state_at(freeze, gate->at);
		const char *subject;

		if (!state->open)
			continue;
		/* the next time that it is on is another reason, and so is another freeze of that name */
		subject = psprintf("%s since %s, made at %s", freeze->name,
						   state->since == GATE_NO_TIME ? "ever" : audit_time(state->since), audit_time(freeze->since));
		gate_block(gate, "freeze", subject, state->since, state->until, "whoever changes promote.freeze_window",
				   psprintf("freeze \"%s\" is on%s", freeze->name, because(freeze->reason)));
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

/* Gate "window": where change windows apply, one of them is open. */
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
	/* the next time that they are closed is another reason, and so are other windows of these names */
	gate_block(gate, "window", since == DT_NOBEGIN ? names.data : psprintf("%s since %s", names.data, audit_time(since)),
			   since == DT_NOBEGIN ? GATE_NO_TIME : since, next, "whoever changes promote.change_window",
			   psprintf("no change window is open, of %s", names.data));
}

/* ---- budgets ---- */

/* What was queued within a window's scope while it was open. */
typedef struct Queued
{
	int64		count;
	TimestampTz last_at;		/* GATE_NO_TIME: nothing was */
} Queued;

static const SqlField queued_fields[] = {
	SQL_FIELD(Queued, count, "q.queued"),
	SQL_FIELD(Queued, last_at, "q.last_at")
};

/* Count what was queued in an occurrence of a window, without the deployment that is judged. */
static Queued
count_queued(const Sql *sql, const GateCase *gate, const Window *window, const Occurrence *occurrence)
{
	static Statement count = SQL_ROWS(queued_fields, "SELECT $* FROM promote_internal.queued_between($1, $2, $3, $4, $5, $6,"
									  " $7, $8, $9, $10) AS q");
	const Jsonb *selector = JB_ROOT_COUNT(window->selector) == 0 ? NULL : window->selector;
	Queued		queued;
	/* the bounds may be infinite, which AS_TIME takes for none */
	SqlRows		rows = sql_read(sql, &count, AS_KEY(&gate->key), AS_INT(gate->deployment),
								sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(occurrence->begin)),
								sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(occurrence->end)),
								AS_TEXT(window->project), AS_TEXT(window->environment), AS_TEXT(window->component),
								AS_JSONB(selector));

	(void) sql_row(&rows, 0, &queued);
	return queued;
}

/* Gate "budget": of the change windows that are open, one has a place left. */
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
		Queued		queued;

		next = Min(next, state->next);
		if (!state->open)
			continue;
		if (window->budget == 0)
			return;
		queued = count_queued(sql, gate, window, &state->last);
		if (queued.count < window->budget)
			return;
		since = Max(since, queued.last_at);
		add_name(&names, window);
		appendStringInfo(&names, " has had its %d", window->budget);
		appendStringInfo(&subject, "%s%s has had its %d since %s", subject.len > 0 ? ", " : "", window->name, window->budget,
						 audit_time(state->last.begin));
	}
	if (names.len == 0)
		return;
	gate_block(gate, "budget", subject.data, since, next, "whoever changes promote.change_window",
			   psprintf("change window %s", names.data));
}

/* Has a change window of the set a budget? */
bool
window_has_budgets(const WindowSet *set)
{
	for (int i = 0; i < set->count; i++)
		if (set->windows[i].kind == WINDOW_CHANGE && set->windows[i].budget > 0)
			return true;
	return false;
}

/* The order of names' hashes, for qsort. */
static int
compare_hashes(const void *a, const void *b)
{
	uint32		one = *(const uint32 *) a;
	uint32		other = *(const uint32 *) b;

	return one < other ? -1 : one > other;
}

/* Budgets to be locked. */
typedef struct Budgets
{
	uint32	   *hashes;
	int			count;
} Budgets;

/* Add the budget of a window, if it has one. */
static void
add_budget(Budgets *budgets, const Window *window)
{
	if (window->kind == WINDOW_CHANGE && window->budget > 0)
		budgets->hashes[budgets->count++] = hash_bytes((const unsigned char *) window->name, strlen(window->name));
}

/*
 * Lock budgets until the end of the transaction, in one order: whoever else would take a place of one is judged
 * afterwards.  The lock is not on the windows' rows, as those who change a window must not wait for those who are
 * judged by it.  Nor is it an advisory lock, which anybody can take.
 */
static void
lock_budgets(Budgets *budgets)
{
	Oid			table = get_relname_relid("change_window", get_namespace_oid("promote", false));

	qsort(budgets->hashes, budgets->count, sizeof(uint32), compare_hashes);
	/* the table is no catalog, so nothing else takes such locks */
	for (int i = 0; i < budgets->count; i++)
		LockDatabaseObject(table, budgets->hashes[i], 1, ExclusiveLock);
}

/* Lock the budgets that the case may take a place of. */
void
window_lock_budgets(const Sql *sql, GateCase *gate)
{
	Budgets		budgets = {NULL};

	sql_push_latest();
	budgets.hashes = palloc((set_of(sql, gate)->count + 1) * sizeof(uint32));
	for (Window *window = NULL; (window = next_window(sql, gate, WINDOW_CHANGE, window)) != NULL;)
		add_budget(&budgets, window);
	PopActiveSnapshot();
	lock_budgets(&budgets);
}

/* Are two instances of one environment? */
static bool
same_environment(const InstanceKey *one, const InstanceKey *other)
{
	return strcmp(one->environment, other->environment) == 0 && strcmp(one->project, other->project) == 0;
}

/*
 * Lock all budgets of the environments of some instances, which are in the order of their keys, for one who deploys
 * them one after the other: each by its own would be locked in the order of the instances, which is not one of budgets.
 */
void
window_lock_all_budgets(const Sql *sql, const InstanceKey *keys, int count)
{
	Budgets		budgets = {palloc(sizeof(uint32))};

	sql_push_latest();
	for (int i = 0; i < count; i++)
	{
		const WindowSet *set;

		if (i > 0 && same_environment(&keys[i - 1], &keys[i]))
			continue;
		set = window_read(sql, keys[i].project, keys[i].environment, NULL);
		budgets.hashes = repalloc(budgets.hashes, (budgets.count + set->count + 1) * sizeof(uint32));
		for (int j = 0; j < set->count; j++)
			add_budget(&budgets, &set->windows[j]);
	}
	PopActiveSnapshot();
	lock_budgets(&budgets);
}

/* As rule_hold_cases, for instances that are to be deployed one after the other. */
bool *
window_hold_cases(const Sql *sql, const InstanceKey *keys, int count)
{
	bool	   *locked = rule_hold_cases(sql, keys, count);

	window_lock_all_budgets(sql, keys, count);
	return locked;
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
