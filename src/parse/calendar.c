/*
 * calendar.c: when windows are open that recur in local time.
 *
 * A calendar is a recurrence, a zone and a duration.  What recurs is a local
 * time: it is made a moment by PostgreSQL's own zones as RFC 5545, 3.3.5, has
 * it.  Of a time that the clock shows twice the first is meant, and one that it
 * leaves out is read by the offset before.  So occurrences that begin within
 * an hour that is left out may come later than others of that day; the walk
 * puts them in order.
 *
 * It knows no tables, and not what time it is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/grow.h"
#include "parse/calendar.h"

#define MAX_RUN 1500			/* occurrences without a gap that are walked along */
#define SHIFT (26 * USECS_PER_HOUR)	/* by which no zone's offset changes, and none differs from UTC */

/* ---- zones ---- */

/* The names of all zones, in order: what pg_timezone_names shows.  Read at the first use. */
static char **zone_names = NULL;
static int	zone_count = 0;

/* The order of names, for qsort and bsearch. */
static int
compare_names(const void *a, const void *b)
{
	return pg_strcasecmp(*(char *const *) a, *(char *const *) b);
}

/* Read the names into a list that stays for as long as the backend. */
static void
read_zone_names(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "time zone names",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	pg_tzenum  *zones = pg_tzenumerate_start();
	char	  **names = NULL;
	Size		room = 0;
	int			count = 0;
	pg_tz	   *zone;

	while ((zone = pg_tzenumerate_next(zones)) != NULL)
	{
		GROW(names, count, room);
		names[count++] = pstrdup(pg_get_timezone_name(zone));
	}
	pg_tzenumerate_end(zones);
	MemoryContextSwitchTo(outer);
	qsort(names, count, sizeof(char *), compare_names);
	MemoryContextSetParent(context, TopMemoryContext);
	zone_names = names;
	zone_count = count;
}

/* Refuse a name that is no zone's. */
static void
refuse_zone(const char *name)
{
	ereport(ERROR,
			(errcode(PM_INVALID_WINDOW),
			 errmsg("there is no time zone \"%s\"", pnstrdup(name, pg_mbcliplen(name, strlen(name), 80))),
			 errdetail("It must be one of pg_timezone_names: neither an abbreviation, nor an offset, nor a POSIX rule, which know no daylight saving or the wrong one."),
			 errhint("Name a city's, as in 'Europe/Berlin', or 'UTC'.")));
}

/*
 * The zone's name as it is spelled; it lives as long as the backend.  Raises
 * PM_INVALID_WINDOW where there is none.
 */
const char *
calendar_zone(const char *name)
{
	char	  **found;

	if (zone_names == NULL)
		read_zone_names();
	found = bsearch(&name, zone_names, zone_count, sizeof(char *), compare_names);
	/* "localtime" is whatever the machine was set to */
	if (found == NULL || pg_strcasecmp(name, "localtime") == 0)
		refuse_zone(name);
	return *found;
}

/* ---- local time ---- */

/*
 * The moment that the zone's clocks show a local time for the first time, in
 * seconds, both since 1970.
 */
static pg_time_t
first_shown(pg_tz *zone, pg_time_t local)
{
	pg_time_t	from = local - SHIFT / USECS_PER_SEC;
	long		offset = 0;

	for (;;)
	{
		pg_time_t	change;
		long		offset_after;
		int			dst,
					dst_after;
		int			found = pg_next_dst_boundary(&from, &offset, &dst, &change, &offset_after,
												 &dst_after, zone);

		if (found < 0)
			elog(ERROR, "could not determine an offset of time zone \"%s\"", pg_get_timezone_name(zone));
		/* shown before the clocks change; or never, as they are put forward past it */
		if (found == 0 || local - offset < change || local - offset_after < change)
			return local - offset;
		from = change;
	}
}

/* The moment that a local time means. */
static TimestampTz
moment_of(pg_tz *zone, Timestamp local)
{
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
	int64		fraction = (local % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC;
	pg_time_t	seconds = (local - fraction) / USECS_PER_SEC + epoch;

	return (first_shown(zone, seconds) - epoch) * USECS_PER_SEC + fraction;
}

/* A local time plus months and days of the calendar: a day that a month has not is its last. */
static Timestamp
add_days(Timestamp local, const Interval *duration)
{
	Interval	nominal = {.month = duration->month,.day = duration->day};

	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(local),
												 IntervalPGetDatum(&nominal)));
}

/* The occurrence that begins at a local time. */
static void
occurrence_at(const Calendar *calendar, Timestamp local, Occurrence *occurrence)
{
	const Interval *duration = &calendar->duration;

	occurrence->begin = moment_of(calendar->zone, local);
	occurrence->end = duration->month == 0 && duration->day == 0 ? occurrence->begin :
		moment_of(calendar->zone, add_days(local, duration));
	occurrence->end += duration->time;
}

/* ---- reading ---- */

/* Refuse a calendar. */
static void
refuse_calendar(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_WINDOW),
			 errmsg("%s", message),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* The longest that the duration can be, in microseconds. */
static int64
longest(const Interval *duration)
{
	return (duration->month * 31 + duration->day) * USECS_PER_DAY + duration->time;
}

/* Refuse a duration that is none, or backward, or beyond the bounds. */
static void
check_duration(const Interval *duration)
{
	if (duration->month < 0 || duration->day < 0 || duration->time < 0 ||
		(duration->month == 0 && duration->day == 0 && duration->time == 0))
		refuse_calendar("a window must last some time",
						"Its duration is zero, or has a negative part: it would end before it begins.",
						"Give a duration such as '4 hours' or '1 day'.");
	if (duration->month > 12 || duration->day > CALENDAR_MAX_DAYS ||
		duration->time > CALENDAR_MAX_DAYS * USECS_PER_DAY ||
		longest(duration) > CALENDAR_MAX_DAYS * USECS_PER_DAY + 6 * USECS_PER_DAY)
		refuse_calendar("a window that recurs cannot last that long",
						psprintf("A duration can be up to %d days.", CALENDAR_MAX_DAYS),
						"Give the range of a long window in the column during.");
}

/* Refuse a start outside the years that are reckoned with. */
static void
check_start(Timestamp start)
{
	if (TIMESTAMP_NOT_FINITE(start) ||
		start < (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY ||
		start >= (date2j(9000, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
		refuse_calendar("a window must start between the years 1970 and 9000",
						"The start of the first occurrence is infinite or outside these years.",
						"Give the local time at which it can occur first.");
}

/* Read the exceptions. */
static void
read_exdates(ArrayType *array, Calendar *calendar)
{
	Datum	   *values;
	bool	   *nulls;

	calendar->exdates = NULL;
	calendar->exdate_count = 0;
	if (array == NULL)
		return;
	deconstruct_array(array, TIMESTAMPOID, sizeof(Timestamp), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &calendar->exdate_count);
	if (calendar->exdate_count > CALENDAR_MAX_EXDATES)
		refuse_calendar("a window has too many exceptions",
						psprintf("It has %d, and may have %d.", calendar->exdate_count, CALENDAR_MAX_EXDATES),
						"Leave out those that are over, or change the rule.");
	calendar->exdates = palloc((calendar->exdate_count + 1) * sizeof(Timestamp));
	for (int i = 0; i < calendar->exdate_count; i++)
	{
		calendar->exdates[i] = nulls[i] ? DT_NOEND : DatumGetTimestamp(values[i]);
		if (TIMESTAMP_NOT_FINITE(calendar->exdates[i]))
			refuse_calendar("an exception of a window is null or infinite",
							"Each is the local time at which an occurrence would begin.",
							"Leave it out.");
	}
	qsort(calendar->exdates, calendar->exdate_count, sizeof(Timestamp), recurrence_compare_times);
}

/* UNTIL as a moment, and as a local time that is not before it. */
static void
read_until(Calendar *calendar)
{
	Recurrence *rule = &calendar->rule;

	calendar->until = DT_NOEND;
	if (rule->until_is_utc)
	{
		calendar->until = rule->until;
		rule->until += SHIFT;
	}
}

/*
 * Read a calendar.  What it points to is allocated in the current memory
 * context.  Raises PM_INVALID_WINDOW.
 */
void
calendar_parse(const CalendarText *text, Calendar *calendar)
{
	check_start(text->starts_at);
	check_duration(text->duration);
	calendar->duration = *text->duration;
	calendar->zone = pg_tzset(text->zone);
	if (calendar->zone == NULL)
		refuse_zone(text->zone);
	read_exdates(text->exdates, calendar);
	recurrence_parse(text->rule, text->starts_at, &calendar->rule);
	read_until(calendar);
}

/* ---- walking ---- */

/* Is the local time an exception? */
static bool
is_exception(const Calendar *calendar, Timestamp local)
{
	return calendar->exdate_count > 0 &&
		bsearch(&local, calendar->exdates, calendar->exdate_count, sizeof(Timestamp),
				recurrence_compare_times) != NULL;
}

/* Put an occurrence in its place among those looked at. */
static void
put_ahead(CalendarCursor *cursor, const Occurrence *occurrence)
{
	int			place = cursor->ahead_count;

	GROW(cursor->ahead, cursor->ahead_count, cursor->capacity);
	for (; place > 0 && cursor->ahead[place - 1].begin > occurrence->begin; place--)
		cursor->ahead[place] = cursor->ahead[place - 1];
	cursor->ahead[place] = *occurrence;
	cursor->ahead_count++;
}

/* Look at one more occurrence. */
static void
look_ahead(CalendarCursor *cursor)
{
	const Calendar *calendar = cursor->calendar;
	Occurrence	occurrence;
	Timestamp	local;

	if (!recurrence_next(&cursor->walk, &local))
	{
		cursor->ended = true;
		return;
	}
	if (is_exception(calendar, local))
		return;
	occurrence_at(calendar, local, &occurrence);
	/* a day that the clocks skip may be all there was of it */
	if (occurrence.begin <= calendar->until && occurrence.end > occurrence.begin)
		put_ahead(cursor, &occurrence);
}

/*
 * Begin a walk over the occurrences that end after a time.  The calendar stays
 * the caller's, and has to stay as it is.
 */
void
calendar_seek(CalendarCursor *cursor, const Calendar *calendar, TimestampTz from)
{
	int64		back = longest(&calendar->duration) + 2 * SHIFT;

	memset(cursor, 0, sizeof(CalendarCursor));
	cursor->calendar = calendar;
	/* before the start there is nothing, and it is far from the end of time */
	recurrence_seek(&cursor->walk, &calendar->rule,
					from > calendar->rule.start + back ? from - back : calendar->rule.start);
}

/* The next occurrence, by the time of its beginning; false where there is none any more. */
bool
calendar_next(CalendarCursor *cursor, Occurrence *occurrence)
{
	while (!cursor->ended &&
		   (cursor->ahead_count < 2 ||
			cursor->ahead[cursor->ahead_count - 1].begin - cursor->ahead[0].begin < SHIFT))
		look_ahead(cursor);
	if (cursor->ahead_count == 0)
		return false;
	*occurrence = cursor->ahead[0];
	cursor->ahead_count--;
	memmove(cursor->ahead, cursor->ahead + 1, cursor->ahead_count * sizeof(Occurrence));
	return true;
}

/* End a walk. */
void
calendar_release(CalendarCursor *cursor)
{
	recurrence_release(&cursor->walk);
	if (cursor->ahead != NULL)
		pfree(cursor->ahead);
	cursor->ahead = NULL;
}

/* ---- judging ---- */

/*
 * Take one more occurrence into account, in order.  False once it leaves a gap
 * and nothing further matters.
 */
static bool
take_occurrence(CalendarState *state, TimestampTz at, const Occurrence *occurrence)
{
	if (occurrence->begin > at && state->next == DT_NOEND)
		state->next = occurrence->begin;
	if (occurrence->begin > (state->open ? state->until : at))
		return false;
	if (occurrence->begin <= at && occurrence->end > at)
	{
		state->since = state->open ? state->since : occurrence->begin;
		state->last = *occurrence;
		state->until = state->open ? Max(state->until, occurrence->end) : occurrence->end;
		state->open = true;
	}
	else if (state->open)
		state->until = Max(state->until, occurrence->end);
	return true;
}

/* How it is at a time. */
void
calendar_state(const Calendar *calendar, TimestampTz at, CalendarState *state)
{
	CalendarCursor cursor;
	Occurrence	occurrence;
	int			run = 0;

	memset(state, 0, sizeof(CalendarState));
	state->next = DT_NOEND;
	if (TIMESTAMP_NOT_FINITE(at))
		return;
	calendar_seek(&cursor, calendar, at);
	while (calendar_next(&cursor, &occurrence) && take_occurrence(state, at, &occurrence))
	{
		if (state->open && ++run > MAX_RUN)
		{
			state->until = DT_NOEND;
			break;
		}
	}
	calendar_release(&cursor);
}

/* The end of the last occurrence that was over by a time, of those that end after another. */
static TimestampTz
last_end(const Calendar *calendar, TimestampTz from, TimestampTz at)
{
	TimestampTz ended = DT_NOBEGIN;
	CalendarCursor cursor;
	Occurrence	occurrence;

	calendar_seek(&cursor, calendar, from);
	while (calendar_next(&cursor, &occurrence) && occurrence.begin < at)
		if (occurrence.end <= at)
			ended = Max(ended, occurrence.end);
	calendar_release(&cursor);
	return ended;
}

/*
 * When it was open last, of a calendar that is not at that time; DT_NOBEGIN
 * where it never was, or not for thirty years.
 */
TimestampTz
calendar_ended(const Calendar *calendar, TimestampTz at)
{
	static const int days[] = {3, 40, 400, 30 * 366};
	TimestampTz from = at;
	TimestampTz ended = DT_NOBEGIN;

	if (TIMESTAMP_NOT_FINITE(at))
		return ended;
	if (calendar->rule.until != DT_NOEND)
		from = Min(from, calendar->rule.until + longest(&calendar->duration) + SHIFT);
	for (int i = 0; i < lengthof(days) && ended == DT_NOBEGIN; i++)
		ended = last_end(calendar, from - days[i] * USECS_PER_DAY, at);
	return ended;
}

/* ---- checking ---- */

/* Refuse an exception at which nothing would occur: it was meant to leave something out. */
static void
check_exdates(const Calendar *calendar)
{
	for (int i = 0; i < calendar->exdate_count; i++)
	{
		RecurrenceCursor walk;
		Timestamp	local = DT_NOBEGIN;

		recurrence_seek(&walk, &calendar->rule, calendar->exdates[i]);
		while (recurrence_next(&walk, &local) && local < calendar->exdates[i])
			continue;
		recurrence_release(&walk);
		if (local != calendar->exdates[i])
			refuse_calendar(psprintf("the exception %s leaves nothing out",
									 DatumGetCString(DirectFunctionCall1(timestamp_out,
																		 TimestampGetDatum(calendar->exdates[i])))),
							"No occurrence of the window begins at that local time.",
							"Give the date with the time of the day at which the window begins.");
	}
}

/* Refuse a window that never closes once it is open. */
static void
check_end(const Calendar *calendar, TimestampTz first)
{
	CalendarState state;

	calendar_state(calendar, first, &state);
	if (state.open && state.until == DT_NOEND)
		refuse_calendar("the window never ends",
						psprintf("More than %d occurrences follow one another without a gap.", MAX_RUN),
						"Shorten the duration; or give the range in the column during.");
}

/*
 * Refuse what is no use: a zone that is none, a calendar by which nothing ever
 * occurs, exceptions of nothing, and, if it must end, one that never does.
 */
void
calendar_check(const CalendarText *text, const Calendar *calendar, bool must_end)
{
	CalendarCursor cursor;
	Occurrence	first;
	bool		occurs;

	(void) calendar_zone(text->zone);
	calendar_seek(&cursor, calendar, calendar->rule.start);
	occurs = calendar_next(&cursor, &first);
	calendar_release(&cursor);
	if (!occurs)
		refuse_calendar("the window never occurs",
						"There is no day on which the rule is met, or it is excepted, or past UNTIL.",
						"Look at the rule with promote.window_occurrences.");
	check_exdates(calendar);
	if (must_end)
		check_end(calendar, first.begin);
}
