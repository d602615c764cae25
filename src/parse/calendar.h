/*
 * calendar.h: when windows are open that recur in local time.
 */
#ifndef PROMOTE_PARSE_CALENDAR_H
#define PROMOTE_PARSE_CALENDAR_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/array.h"

#include "parse/recurrence.h"

#define CALENDAR_MAX_DAYS 366	/* that one occurrence may last */
#define CALENDAR_MAX_EXDATES 1000

/* How a calendar is written. */
typedef struct CalendarText
{
	const char *rule;			/* an RRULE; NULL: it occurs once */
	const char *zone;
	Timestamp	starts_at;		/* local: when the first can begin */
	Interval   *duration;		/* months and days by the calendar, the rest by the clock */
	ArrayType  *exdates;		/* local beginnings that are left out; NULL: none */
} CalendarText;

/* A calendar that was read; what it points to is allocated with it. */
typedef struct Calendar
{
	Recurrence	rule;
	pg_tz	   *zone;
	TimestampTz until;			/* no occurrence begins after it; DT_NOEND: they may */
	Interval	duration;
	Timestamp  *exdates;		/* in order */
	int			exdate_count;
} Calendar;

/* One occurrence; its end does not belong to it. */
typedef struct Occurrence
{
	TimestampTz begin;
	TimestampTz end;
} Occurrence;

/* A walk over the occurrences. */
typedef struct CalendarCursor
{
	const Calendar *calendar;
	RecurrenceCursor walk;
	Occurrence *ahead;			/* looked at already, in order */
	int			ahead_count;
	Size		capacity;
	bool		ended;			/* there is nothing beyond them */
} CalendarCursor;

/* How it is at one time. */
typedef struct CalendarState
{
	bool		open;			/* does an occurrence cover that time? */
	TimestampTz since;			/* when the earliest of those that do began */
	Occurrence	last;			/* the latest of those that do */
	TimestampTz until;			/* when the occurrences first leave a gap; DT_NOEND: never, as far as is known */
	TimestampTz next;			/* when the next after that time begins; DT_NOEND: none does */
} CalendarState;

extern const char *calendar_zone(const char *name);
extern void calendar_parse(const CalendarText *text, Calendar *calendar);
extern void calendar_check(const CalendarText *text, const Calendar *calendar, bool must_end);
extern void calendar_state(const Calendar *calendar, TimestampTz at, CalendarState *state);
extern TimestampTz calendar_ended(const Calendar *calendar, TimestampTz at);
extern void calendar_seek(CalendarCursor *cursor, const Calendar *calendar, TimestampTz from);
extern bool calendar_next(CalendarCursor *cursor, Occurrence *occurrence);
extern void calendar_release(CalendarCursor *cursor);

#endif							/* PROMOTE_PARSE_CALENDAR_H */
