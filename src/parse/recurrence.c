/*
 * recurrence.c: the days and times that an RRULE of RFC 5545 stands for.
 *
 * libical reads a rule; which days are meant is worked out here.  Its iterator
 * cannot be interrupted, looks for what never occurs up to the year 20000, and
 * goes other ways than the RFC where INTERVAL meets WKST, for BYSETPOS, and for
 * several other parts; nor is jumping into the middle of a rule sure.  Here a
 * rule is a row of periods, days, weeks, months or years, of which each stands
 * for a set that depends on nothing but that period, so that any can be looked
 * at first.
 *
 * It knows local time only: neither zones, durations, nor the clock.
 */
#include "postgres.h"

#include <ctype.h>
#include <libical/ical.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/grow.h"
#include "parse/recurrence.h"

#if ICAL_MAJOR_VERSION > 3
#error "promote reads recurrence rules with libical 3; later ones have another interface"
#endif

#define LAST_YEAR 9999			/* of RFC 5545's dates */

/* ---- reading ---- */

/* Refuse a rule, for a reason. */
static void
refuse_rule(const char *rule, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_WINDOW),
			 errmsg("\"%s\" is not a usable recurrence rule",
					pnstrdup(rule, pg_mbcliplen(rule, strlen(rule), 80))),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* Refuse what RFC 5545 does not know. */
static void
refuse_malformed(const char *rule)
{
	refuse_rule(rule, "RFC 5545 knows no such rule.",
				"Write it as in 'FREQ=WEEKLY;BYDAY=MO,TU'.");
}

/* The digits of an item, after a sign; their number is put into digits. */
static const char *
skip_number(const char *item, int *digits)
{
	if (*item == '+' || *item == '-')
		item++;
	*digits = strspn(item, "0123456789");
	return item + *digits;
}

/* Is an item of a list, a number with a weekday behind it or alone, one that libical reads as it stands? */
static bool
is_item(const char *item, int digits, int letters)
{
	if (letters == 0)
		return digits > 0 && digits <= 3;
	/* it takes 0MO for MO, and keeps the number in a byte */
	return letters <= 2 && digits <= 2 && (digits == 0 || strtol(item, NULL, 10) != 0);
}

/* Is the text, up to its end, a list of them? */
static bool
is_list(const char *list, const char *end)
{
	for (;;)
	{
		const char *item = list;
		int			digits,
					letters = 0;

		list = skip_number(item, &digits);
		while (isalpha((unsigned char) list[letters]))
			letters++;
		list += letters;
		if (!is_item(item, digits, letters) || list > end)
			return false;
		if (list == end)
			return true;
		if (*list++ != ',')
			return false;
	}
}

/* Is the text, up to its end, made of these characters, at most so many? */
static bool
is_made_of(const char *text, const char *end, const char *characters, int most)
{
	return end - text <= most && strspn(text, characters) >= end - text;
}

/*
 * Is a part of the rule, up to its end, spelled as the RFC wants it?  libical
 * reads "COUNT=3x" as 3, and "BYDAY=257MO" as the first.
 */
static bool
is_part(const char *part, const char *end)
{
	const char *value = memchr(part, '=', end - part);

	if (value == NULL || ++value == end)
		return false;
	if (pg_strncasecmp(part, "BY", 2) == 0 || pg_strncasecmp(part, "WKST", 4) == 0)
		return is_list(value, end);
	if (pg_strncasecmp(part, "INTERVAL=", 9) == 0 || pg_strncasecmp(part, "COUNT=", 6) == 0)
		return is_made_of(value, end, "0123456789", 4);
	if (pg_strncasecmp(part, "UNTIL=", 6) == 0)
		return is_made_of(value, end, "0123456789TZ", 16);
	return true;
}

/* Is there another part of the same name behind one? */
static bool
has_twin(const char *part)
{
	size_t		length = strcspn(part, "=;") + 1;

	for (const char *next = strchr(part, ';'); next != NULL; next = strchr(next + 1, ';'))
		if (pg_strncasecmp(next + 1, part, length) == 0)
			return true;
	return false;
}

/* Refuse a rule that libical would take for another. */
static void
check_spelling(const char *rule)
{
	if (strlen(rule) > RECURRENCE_MAX_TEXT)
		refuse_rule(rule, psprintf("It has %zu bytes, and may have %d.", strlen(rule), RECURRENCE_MAX_TEXT),
					"Say it by several windows.");
	for (const char *part = rule;;)
	{
		const char *end = part + strcspn(part, ";");

		if (!is_part(part, end))
			refuse_malformed(rule);
		if (has_twin(part))
			refuse_rule(rule, "A part is given twice.", "Give every part once; lists are separated by commas.");
		if (*end == '\0')
			return;
		part = end + 1;
	}
}

/* Put a number into the set; false where it is not one from 1 to a limit, or one from its end. */
static bool
add_number(NumberSet *set, int number, int limit)
{
	uint64	   *bits = number > 0 ? set->up : set->down;
	int			bit = abs(number) - 1;

	if (number == 0 || bit >= limit)
		return false;
	set->given = true;
	bits[bit / 64] |= UINT64CONST(1) << (bit % 64);
	return true;
}

/* Is a number in the set, that is the given one from the end, too? */
static bool
has_number(const NumberSet *set, int number, int from_end)
{
	return !set->given ||
		(set->up[(number - 1) / 64] >> ((number - 1) % 64) & 1) != 0 ||
		(set->down[(from_end - 1) / 64] >> ((from_end - 1) % 64) & 1) != 0;
}

/* Read one of libical's lists into a set. */
static void
read_numbers(const char *rule, const short *list, int limit, NumberSet *set)
{
	for (int i = 0; list[i] != ICAL_RECURRENCE_ARRAY_MAX; i++)
		if (!add_number(set, list[i], limit))
			refuse_malformed(rule);
}

/* Read the weekdays. */
static void
read_weekdays(const char *rule, const short *list, Recurrence *recurrence)
{
	int			count = 0;

	while (list[count] != ICAL_RECURRENCE_ARRAY_MAX)
		count++;
	recurrence->by_weekday = count > 0;
	recurrence->nths = palloc((count + 1) * sizeof(NthWeekday));
	for (int i = 0; i < count; i++)
	{
		int			nth = icalrecurrencetype_day_position(list[i]);
		int			weekday = icalrecurrencetype_day_day_of_week(list[i]) - ICAL_SUNDAY_WEEKDAY;

		if (weekday < 0 || weekday > 6)
			refuse_malformed(rule);
		if (nth == 0)
			recurrence->weekdays |= 1 << weekday;
		else
			recurrence->nths[recurrence->nth_count++] = (NthWeekday) {weekday, nth};
	}
}

/* A list of libical's, or the one value that stands for it where it is empty. */
static const short *
list_or(const short *list, short *other, int value)
{
	if (list[0] != ICAL_RECURRENCE_ARRAY_MAX)
		return list;
	other[0] = value;
	other[1] = ICAL_RECURRENCE_ARRAY_MAX;
	return other;
}

/* The order of times, for qsort and bsearch. */
int
recurrence_compare_times(const void *a, const void *b)
{
	int64		one = *(const int64 *) a;
	int64		other = *(const int64 *) b;

	return one < other ? -1 : one > other;
}

/* Put the times in order, each once. */
static void
sort_times(Recurrence *recurrence)
{
	int			kept = 0;

	qsort(recurrence->times, recurrence->time_count, sizeof(int64), recurrence_compare_times);
	for (int i = 0; i < recurrence->time_count; i++)
		if (kept == 0 || recurrence->times[i] != recurrence->times[kept - 1])
			recurrence->times[kept++] = recurrence->times[i];
	recurrence->time_count = kept;
}

/* The fraction of its second, in microseconds. */
static int64
fraction_of(Timestamp local)
{
	return (local % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC;
}

/* Add a time of the day. */
static void
add_time(const char *rule, Recurrence *recurrence, int hour, int minute, int second)
{
	if (hour > 23 || minute > 59 || second > 59)
		refuse_malformed(rule);
	if (recurrence->time_count == RECURRENCE_MAX_TIMES)
		refuse_rule(rule, psprintf("It occurs more than %d times a day.", RECURRENCE_MAX_TIMES),
					"Let it occur less often, and last longer.");
	recurrence->times[recurrence->time_count++] =
		((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + fraction_of(recurrence->start);
}

/* Read the times of the day; those parts that the rule does not give are the start's. */
static void
read_times(const char *rule, const struct icalrecurrencetype *read, const struct pg_tm *start,
		   Recurrence *recurrence)
{
	short		one[3][2];
	const short *hours = list_or(read->by_hour, one[0], start->tm_hour);
	const short *minutes = list_or(read->by_minute, one[1], start->tm_min);
	const short *seconds = list_or(read->by_second, one[2], start->tm_sec);

	recurrence->times = palloc(RECURRENCE_MAX_TIMES * sizeof(int64));
	for (int h = 0; hours[h] != ICAL_RECURRENCE_ARRAY_MAX; h++)
		for (int m = 0; minutes[m] != ICAL_RECURRENCE_ARRAY_MAX; m++)
			for (int s = 0; seconds[s] != ICAL_RECURRENCE_ARRAY_MAX; s++)
				add_time(rule, recurrence, hours[h], minutes[m], seconds[s]);
	sort_times(recurrence);
}

/* A local time's parts. */
static void
local_parts(Timestamp local, struct pg_tm *parts)
{
	fsec_t		fraction;

	if (timestamp2tm(local, NULL, parts, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
}

/* Midnight of a day, given by its Julian number. */
static Timestamp
midnight(int day)
{
	return (day - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/* The Julian number of a local time's day. */
static int
day_of(Timestamp local)
{
	Timestamp	day = local / USECS_PER_DAY - (local % USECS_PER_DAY < 0 ? 1 : 0);

	return (int) day + POSTGRES_EPOCH_JDATE;
}

/* Read UNTIL: a date means its whole day. */
static void
read_until(const char *rule, struct icaltimetype until, Recurrence *recurrence)
{
	recurrence->until = DT_NOEND;
	if (icaltime_is_null_time(until))
		return;
	if (!icaltime_is_valid_time(until) || until.year < 1 || until.year > LAST_YEAR ||
		until.month < 1 || until.month > 12 || until.day < 1 ||
		until.day > icaltime_days_in_month(until.month, until.year) ||
		until.hour > 23 || until.minute > 59 || until.second > 60)
		refuse_malformed(rule);
	recurrence->until = midnight(date2j(until.year, until.month, until.day));
	recurrence->until += until.is_date ? USECS_PER_DAY - 1 :
		((until.hour * 60 + until.minute) * 60 + until.second) * USECS_PER_SEC;
	recurrence->until_is_utc = !until.is_date && icaltime_is_utc(until);
}

/* The frequency; what comes more often than daily is refused. */
static Frequency
read_frequency(const char *rule, icalrecurrencetype_frequency frequency)
{
	switch (frequency)
	{
		case ICAL_DAILY_RECURRENCE:
			return FREQUENCY_DAILY;
		case ICAL_WEEKLY_RECURRENCE:
			return FREQUENCY_WEEKLY;
		case ICAL_MONTHLY_RECURRENCE:
			return FREQUENCY_MONTHLY;
		case ICAL_YEARLY_RECURRENCE:
			return FREQUENCY_YEARLY;
		case ICAL_NO_RECURRENCE:
			refuse_malformed(rule);
			break;
		default:
			refuse_rule(rule, "Its frequency is less than a day, so that it would occur almost endlessly.",
						"Use FREQ=DAILY with BYHOUR and BYMINUTE.");
	}
	return FREQUENCY_ONCE;
}

#define NTH_HINT "Count from 1 at its beginning, or from -1 at its end."

/* Refuse parts that RFC 5545 forbids for the frequency, or together, and weekdays of which none can occur. */
static void
check_parts(const char *rule, const Recurrence *recurrence)
{
	Frequency	frequency = recurrence->frequency;
	bool		by_month = frequency == FREQUENCY_MONTHLY || recurrence->months.given;
	int			least = PG_INT32_MAX;	/* number before a weekday */

	if ((recurrence->weeks.given || recurrence->year_days.given) && frequency != FREQUENCY_YEARLY)
		refuse_rule(rule, "BYWEEKNO and BYYEARDAY are only for FREQ=YEARLY.",
					"Use FREQ=YEARLY.");
	if (recurrence->month_days.given && frequency == FREQUENCY_WEEKLY)
		refuse_rule(rule, "BYMONTHDAY is not for FREQ=WEEKLY.", "Use FREQ=MONTHLY.");
	if (recurrence->nth_count > 0 && frequency < FREQUENCY_MONTHLY)
		refuse_rule(rule, "A weekday is counted only within a month or a year.", "Use FREQ=MONTHLY.");
	if (recurrence->nth_count > 0 && recurrence->weeks.given)
		refuse_rule(rule, "A weekday is not counted within weeks.", "Leave the number before the weekday out.");
	for (int i = 0; i < recurrence->nth_count; i++)
	{
		if (abs(recurrence->nths[i].nth) > 53)
			refuse_rule(rule, "No year has that many of a weekday.", NTH_HINT);
		least = Min(least, abs(recurrence->nths[i].nth));
	}
	/* one that no month has occurs never, beside others that do */
	if (recurrence->nth_count > 0 && recurrence->weekdays == 0 && by_month && least > 5)
		refuse_rule(rule, "No month has that many of a weekday.", NTH_HINT);
}

/* Refuse BYSETPOS where there is nothing to choose from. */
static void
check_positions(const char *rule, const struct icalrecurrencetype *read)
{
	const short *lists[] = {read->by_second, read->by_minute, read->by_hour, read->by_day,
		read->by_month_day, read->by_year_day, read->by_week_no, read->by_month};

	if (read->by_set_pos[0] == ICAL_RECURRENCE_ARRAY_MAX)
		return;
	for (int i = 0; i < lengthof(lists); i++)
		if (lists[i][0] != ICAL_RECURRENCE_ARRAY_MAX)
			return;
	refuse_rule(rule, "BYSETPOS chooses from what other BY parts make, and there is none.",
				"Add a BYDAY, or leave BYSETPOS out.");
}

/*
 * What the rule does not say is taken from the start: its day, its weekday, its
 * month.
 */
static void
take_from_start(Recurrence *recurrence, const struct pg_tm *start)
{
	uint8		weekday = 1 << j2day(date2j(start->tm_year, start->tm_mon, start->tm_mday));
	bool		days = recurrence->by_weekday || recurrence->month_days.given ||
		recurrence->year_days.given;

	if (days || recurrence->frequency == FREQUENCY_DAILY)
		return;
	if (recurrence->frequency == FREQUENCY_WEEKLY || recurrence->weeks.given)
	{
		recurrence->by_weekday = true;
		recurrence->weekdays = weekday;
		return;
	}
	add_number(&recurrence->month_days, start->tm_mday, 31);
	if (recurrence->frequency == FREQUENCY_YEARLY && !recurrence->months.given)
		add_number(&recurrence->months, start->tm_mon, 12);
}

/* Turn COUNT into UNTIL: the last time that it counts. */
static void
count_down(int count, Recurrence *recurrence)
{
	RecurrenceCursor cursor;
	Timestamp	last = recurrence->start;

	recurrence_seek(&cursor, recurrence, recurrence->start);
	while (count-- > 0 && recurrence_next(&cursor, &last))
		continue;
	recurrence_release(&cursor);
	recurrence->until = last;
}

/* Have the rule read by libical.  Nothing of the result is allocated. */
static void
read_rule(const char *rule, struct icalrecurrencetype *read)
{
	check_spelling(rule);
	icalerror_set_errors_are_fatal(0);
	*read = icalrecurrencetype_from_string(rule);
	if (read->rscale != NULL || read->skip != ICAL_SKIP_OMIT)
	{
		free(read->rscale);
		refuse_rule(rule, "Only the Gregorian calendar is supported, without RSCALE and SKIP.",
					"Leave RSCALE and SKIP out.");
	}
	if (read->freq == ICAL_NO_RECURRENCE)
		refuse_malformed(rule);
	if (read->interval < 1 || read->interval > 1000)
		refuse_rule(rule, "INTERVAL can be from 1 to 1000.", "Use a larger frequency.");
	if (read->count > RECURRENCE_MAX_COUNT)
		refuse_rule(rule, psprintf("COUNT can be from 1 to %d.", RECURRENCE_MAX_COUNT), "Use UNTIL.");
}

/* Understand what libical has read. */
static void
understand_rule(const char *rule, const struct icalrecurrencetype *read, const struct pg_tm *start,
				Recurrence *recurrence)
{
	recurrence->frequency = read_frequency(rule, read->freq);
	recurrence->interval = read->interval;
	recurrence->week_start = read->week_start - ICAL_SUNDAY_WEEKDAY;
	read_until(rule, read->until, recurrence);
	read_numbers(rule, read->by_month, 12, &recurrence->months);
	read_numbers(rule, read->by_month_day, 31, &recurrence->month_days);
	read_numbers(rule, read->by_year_day, 366, &recurrence->year_days);
	read_numbers(rule, read->by_week_no, 53, &recurrence->weeks);
	read_numbers(rule, read->by_set_pos, 366, &recurrence->positions);
	read_weekdays(rule, read->by_day, recurrence);
	read_times(rule, read, start, recurrence);
	check_parts(rule, recurrence);
	check_positions(rule, read);
	take_from_start(recurrence, start);
	if (read->count > 0)
		count_down(read->count, recurrence);
}

/*
 * Read a rule; NULL stands for the start alone.  Lists are allocated in the
 * current memory context.  Raises PM_INVALID_WINDOW.
 */
void
recurrence_parse(const char *rule, Timestamp start, Recurrence *recurrence)
{
	struct icalrecurrencetype read;
	struct pg_tm parts;

	memset(recurrence, 0, sizeof(Recurrence));
	recurrence->start = start;
	recurrence->until = DT_NOEND;
	if (rule == NULL)
		return;
	local_parts(start, &parts);
	read_rule(rule, &read);
	understand_rule(rule, &read, &parts, recurrence);
}

/* ---- days ---- */

/* A day with all that rules ask of it. */
typedef struct Day
{
	int			julian;
	int			year,
				month,
				month_day;
	int			month_length;
	int			year_day;
	int			year_length;
	int			weekday;
} Day;

/* How many days has the year? */
static int
year_length(int year)
{
	return isleap(year) ? 366 : 365;
}

/* A day, given by its Julian number. */
static void
look_at(int julian, Day *day)
{
	day->julian = julian;
	j2date(julian, &day->year, &day->month, &day->month_day);
	day->month_length = day_tab[isleap(day->year)][day->month - 1];
	day->year_day = julian - date2j(day->year, 1, 1) + 1;
	day->year_length = year_length(day->year);
	day->weekday = j2day(julian);
}

/* Make a day the one after it. */
static void
look_at_next(Day *day)
{
	if (day->month_day == day->month_length)
	{
		look_at(day->julian + 1, day);
		return;
	}
	day->julian++;
	day->month_day++;
	day->year_day++;
	day->weekday = (day->weekday + 1) % 7;
}

/* The day on which the week of a day begins. */
static int
week_of(const Recurrence *rule, int julian)
{
	return julian - (j2day(julian) + 7 - rule->week_start) % 7;
}

/* The day on which week 1 of the year begins: the first that has most of its days in it. */
static int
first_week(const Recurrence *rule, int year)
{
	return week_of(rule, date2j(year, 1, 1) + 3);
}

/* Has the day's week one of the numbers of BYWEEKNO? */
static bool
in_weeks(const Recurrence *rule, const Day *day)
{
	int			week = week_of(rule, day->julian);
	int			year,
				month,
				month_day,
				first,
				next;

	if (!rule->weeks.given)
		return true;
	/* a week belongs to the year that its fourth day lies in */
	j2date(week + 3, &year, &month, &month_day);
	first = first_week(rule, year);
	next = first_week(rule, year + 1);
	return has_number(&rule->weeks, (week - first) / 7 + 1, (next - week) / 7);
}

/* Is it the n-th of its weekday, or the n-th last, among so many days of which it has that place? */
static bool
is_nth(int nth, int place, int length)
{
	return nth > 0 ? (place - 1) / 7 + 1 == nth : (length - place) / 7 + 1 == -nth;
}

/* Is the day one of BYDAY? */
static bool
in_weekdays(const Recurrence *rule, const Day *day)
{
	bool		in_month = rule->frequency == FREQUENCY_MONTHLY || rule->months.given;

	if (!rule->by_weekday || (rule->weekdays >> day->weekday & 1) != 0)
		return true;
	for (int i = 0; i < rule->nth_count; i++)
		if (rule->nths[i].weekday == day->weekday &&
			(in_month ? is_nth(rule->nths[i].nth, day->month_day, day->month_length) :
			 is_nth(rule->nths[i].nth, day->year_day, day->year_length)))
			return true;
	return false;
}

/* Does the day belong to the rule, but for BYSETPOS? */
static bool
fits(const Recurrence *rule, const Day *day)
{
	return has_number(&rule->month_days, day->month_day, day->month_length - day->month_day + 1) &&
		in_weekdays(rule, day) &&
		has_number(&rule->year_days, day->year_day, day->year_length - day->year_day + 1) &&
		in_weeks(rule, day);
}

/* ---- periods ---- */

/* Months since the year 0. */
static int
month_number(int julian)
{
	int			year,
				month,
				month_day;

	j2date(julian, &year, &month, &month_day);
	return year * 12 + month - 1;
}

/* The first day of a month, by that number. */
static int
month_begin(int number)
{
	return date2j(number / 12, number % 12 + 1, 1);
}

/* Which period has the day, counted from the start's, whatever INTERVAL says? */
static int
period_of(const Recurrence *rule, int julian)
{
	int			start = day_of(rule->start);

	switch (rule->frequency)
	{
		case FREQUENCY_WEEKLY:
			return (week_of(rule, julian) - week_of(rule, start)) / 7;
		case FREQUENCY_MONTHLY:
			return month_number(julian) - month_number(start);
		case FREQUENCY_YEARLY:
			return month_number(julian) / 12 - month_number(start) / 12;
		default:
			return julian - start;
	}
}

/* The first day of a period. */
static int
period_begin(const Recurrence *rule, int period)
{
	int			start = day_of(rule->start);

	switch (rule->frequency)
	{
		case FREQUENCY_WEEKLY:
			return week_of(rule, start) + period * 7;
		case FREQUENCY_MONTHLY:
			return month_begin(month_number(start) + period);
		case FREQUENCY_YEARLY:
			return month_begin((month_number(start) / 12 + period) * 12);
		default:
			return start + period;
	}
}

/* Note what occurs on a day. */
static void
add_day(RecurrenceCursor *cursor, int julian)
{
	const Recurrence *rule = cursor->rule;

	cursor->found = grow(cursor->found, cursor->found_count, rule->time_count, &cursor->capacity,
						 sizeof(Timestamp));
	for (int i = 0; i < rule->time_count; i++)
		cursor->found[cursor->found_count++] = midnight(julian) + rule->times[i];
}

/* Keep of a period what BYSETPOS chooses. */
static void
choose_positions(RecurrenceCursor *cursor)
{
	int			total = cursor->found_count;
	int			kept = 0;

	if (!cursor->rule->positions.given)
		return;
	for (int i = 0; i < total; i++)
	{
		/* those farther than 366 from both ends cannot be named */
		if (has_number(&cursor->rule->positions, Min(i + 1, 384), Min(total - i, 384)))
			cursor->found[kept++] = cursor->found[i];
	}
	cursor->found_count = kept;
}

/* Find what occurs in a period that ends before the given day. */
static void
look_into(RecurrenceCursor *cursor, int begin, int end)
{
	Day			day;

	cursor->found_count = 0;
	cursor->next = 0;
	for (look_at(begin, &day); day.julian < end;)
	{
		if (!has_number(&cursor->rule->months, day.month, 13 - day.month))
		{
			look_at(day.julian + day.month_length - day.month_day + 1, &day);
			continue;
		}
		if (fits(cursor->rule, &day))
			add_day(cursor, day.julian);
		look_at_next(&day);
	}
	choose_positions(cursor);
}

/*
 * After so many periods in which nothing occurs nothing ever will: days,
 * weekdays and leap years repeat after 400 years, and so do steps over them.
 */
static int
cycle(const Recurrence *rule)
{
	switch (rule->frequency)
	{
		case FREQUENCY_WEEKLY:
			return 20871;
		case FREQUENCY_MONTHLY:
			return 4800;
		case FREQUENCY_YEARLY:
			return 400;
		default:
			return 146097;
	}
}

/* Look for the next period in which something occurs; false where there is none. */
static bool
look_further(RecurrenceCursor *cursor)
{
	const Recurrence *rule = cursor->rule;
	int			last = date2j(LAST_YEAR, 12, 31);

	for (int empty = 0; empty <= cycle(rule); empty++)
	{
		int			begin = period_begin(rule, cursor->period);

		if (begin > last || midnight(begin) > rule->until)
			return false;
		look_into(cursor, begin, period_begin(rule, cursor->period + 1));
		cursor->period += rule->interval;
		if (cursor->found_count > 0)
			return true;
		if (empty % 64 == 63)
			CHECK_FOR_INTERRUPTS();
	}
	return false;
}

/* ---- walking ---- */

/*
 * Begin a walk over what occurs from a time on, or from some time before it.
 * The rule stays the caller's, and has to stay as it is.
 */
void
recurrence_seek(RecurrenceCursor *cursor, const Recurrence *rule, Timestamp from)
{
	memset(cursor, 0, sizeof(RecurrenceCursor));
	cursor->rule = rule;
	if (rule->frequency != FREQUENCY_ONCE && from > rule->start)
	{
		/* beyond the last year there is nothing, and periods are numbers of 32 bits */
		int			day = day_of(Min(from, midnight(date2j(LAST_YEAR, 12, 31))));

		cursor->period = period_of(rule, day);
		cursor->period -= cursor->period % rule->interval;
	}
}

/* The next time that something occurs, in local time; false where nothing does any more. */
bool
recurrence_next(RecurrenceCursor *cursor, Timestamp *local)
{
	const Recurrence *rule = cursor->rule;

	if (rule->frequency == FREQUENCY_ONCE)
	{
		*local = rule->start;
		return cursor->period++ == 0;
	}
	for (;;)
	{
		if (cursor->next == cursor->found_count && !look_further(cursor))
			return false;
		*local = cursor->found[cursor->next++];
		if (*local > rule->until)
			return false;
		if (*local >= rule->start)
			return true;
	}
}

/* End a walk. */
void
recurrence_release(RecurrenceCursor *cursor)
{
	if (cursor->found != NULL)
		pfree(cursor->found);
	cursor->found = NULL;
}
