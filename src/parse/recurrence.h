/*
 * recurrence.h: the days and times that an RRULE of RFC 5545 stands for.
 */
#ifndef PROMOTE_PARSE_RECURRENCE_H
#define PROMOTE_PARSE_RECURRENCE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#define RECURRENCE_MAX_TEXT 1000	/* bytes of a rule */
#define RECURRENCE_MAX_COUNT 1000	/* COUNT */
#define RECURRENCE_MAX_TIMES 100	/* of a day */

typedef enum Frequency
{
	FREQUENCY_ONCE,				/* there is no rule */
	FREQUENCY_DAILY,
	FREQUENCY_WEEKLY,
	FREQUENCY_MONTHLY,
	FREQUENCY_YEARLY
} Frequency;

/* Numbers from 1 to 366, and from -1 to -366: a bit for each. */
typedef struct NumberSet
{
	bool		given;			/* false: the rule does not say, and all belong to it */
	uint64		up[6];
	uint64		down[6];
} NumberSet;

/* A weekday that is only meant as the n-th, or the n-th last, of its month or year. */
typedef struct NthWeekday
{
	int			weekday;
	int			nth;
} NthWeekday;

/* A rule with its start, all in local time. */
typedef struct Recurrence
{
	Frequency	frequency;
	int			interval;
	int			week_start;		/* weekdays count from 0, Sunday */
	Timestamp	start;			/* nothing occurs before */
	Timestamp	until;			/* nor after; DT_NOEND: it goes on */
	bool		until_is_utc;	/* until is not local, and still to be heeded */
	NumberSet	months;
	NumberSet	month_days;
	NumberSet	year_days;
	NumberSet	weeks;
	NumberSet	positions;
	bool		by_weekday;		/* does one of the two say something? */
	uint8		weekdays;		/* a bit for each that is meant as often as it comes */
	NthWeekday *nths;			/* allocated with the recurrence */
	int			nth_count;
	int64	   *times;			/* of the day, in microseconds, ascending; allocated with it */
	int			time_count;
} Recurrence;

/* A walk over a recurrence. */
typedef struct RecurrenceCursor
{
	const Recurrence *rule;
	int64		period;			/* the next to look at */
	Timestamp  *found;			/* what occurs in the last that was looked at */
	int			found_count;
	int			next;
	Size		capacity;
} RecurrenceCursor;

extern int	recurrence_compare_times(const void *a, const void *b);
extern void recurrence_parse(const char *rule, Timestamp start, Recurrence *recurrence);
extern void recurrence_seek(RecurrenceCursor *cursor, const Recurrence *rule, Timestamp from);
extern bool recurrence_next(RecurrenceCursor *cursor, Timestamp *local);
extern void recurrence_release(RecurrenceCursor *cursor);

#endif							/* PROMOTE_PARSE_RECURRENCE_H */
