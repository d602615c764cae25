/*
 * format_time.c: dates, times and durations, by RFC 3339.
 *
 * Decided by its grammar alone: what PostgreSQL's own types can hold, and
 * any time zone data, play no part.
 */
#include "postgres.h"

#include "utils/datetime.h"

#include "schema/format.h"

/* Two digits as a number that is at most most; -1 if they do not come. */
static int
read_pair(const char **next, const char *end, int most)
{
	int			value;

	if (end - *next < 2 || !ascii_is_digit((*next)[0]) || !ascii_is_digit((*next)[1]))
		return -1;
	value = ((*next)[0] - '0') * 10 + ((*next)[1] - '0');
	*next += 2;
	return value <= most ? value : -1;
}

/* full-date (RFC 3339, section 5.6; the days of a month section 5.7 and appendix C) */
static bool
read_date(const char **next, const char *end)
{
	int			century = read_pair(next, end, 99);
	int			year = century < 0 ? -1 : read_pair(next, end, 99);
	int			month;
	int			day;

	if (year < 0 || !format_skip(next, end, '-'))
		return false;
	month = read_pair(next, end, 12);
	if (month < 1 || !format_skip(next, end, '-'))
		return false;
	day = read_pair(next, end, 31);
	year += century * 100;
	return day >= 1 && day <= day_tab[isleap(year)][month - 1];
}

/* time-hour and time-minute (RFC 3339, section 5.6) as minutes; -1 if they do not come */
static int
read_minutes(const char **next, const char *end)
{
	int			hour = read_pair(next, end, 23);
	int			minute = hour < 0 || !format_skip(next, end, ':') ? -1 : read_pair(next, end, 59);

	return minute < 0 ? -1 : hour * 60 + minute;
}

/* time-offset (RFC 3339, section 5.6), in minutes east of UTC */
static bool
read_offset(const char **next, const char *end, int *minutes)
{
	bool		east;

	*minutes = 0;
	if (format_skip(next, end, 'Z') || format_skip(next, end, 'z'))
		return true;
	east = format_skip(next, end, '+');
	if (!east && !format_skip(next, end, '-'))
		return false;
	*minutes = read_minutes(next, end);
	if (*minutes < 0)
		return false;
	*minutes = east ? *minutes : -*minutes;
	return true;
}

/* full-time (RFC 3339, section 5.6); second 60 ends 23:59 in UTC (appendix D) */
static bool
read_time(const char **next, const char *end)
{
	int			minutes = read_minutes(next, end);
	int			second = minutes < 0 || !format_skip(next, end, ':') ? -1 : read_pair(next, end, 60);
	int			offset;

	if (second < 0 || (format_skip(next, end, '.') && format_skip_digits(next, end) == 0) ||
		!read_offset(next, end, &offset))
		return false;
	return second < 60 || (minutes - offset + 1440) % 1440 == 1439;
}

/*
 * date-time, full-date or full-time (RFC 3339, section 5.6).  T may be in lower
 * case; no other character stands for it.
 */
bool
format_date_time(const char *string, const char *end, int flags)
{
	if ((flags & FORMAT_DATE) && !read_date(&string, end))
		return false;
	if (flags == (FORMAT_DATE | FORMAT_TIME) &&
		!format_skip(&string, end, 'T') && !format_skip(&string, end, 't'))
		return false;
	return (!(flags & FORMAT_TIME) || read_time(&string, end)) && string == end;
}

/*
 * One or more numbers with units, each the one that follows the unit before
 * it: an hour may be followed by minutes, but not by seconds.
 */
static bool
read_elements(const char **next, const char *end, const char *units)
{
	const char *unit = NULL;

	while (format_skip_digits(next, end) > 0)
	{
		const char *found;

		if (*next >= end || **next == '\0')
			return false;
		found = strchr(units, **next);
		if (found == NULL || (unit != NULL && found != unit + 1))
			return false;
		unit = found;
		(*next)++;
	}
	return unit != NULL;
}

/* duration (RFC 3339, appendix A), in upper case as ISO 8601 has it */
bool
format_duration(const char *string, const char *end, int flags)
{
	if (!format_skip(&string, end, 'P'))
		return false;
	if (end > string && end[-1] == 'W')
		return read_elements(&string, end, "W") && string == end;
	if ((string >= end || *string != 'T') && !read_elements(&string, end, "YMD"))
		return false;
	if (format_skip(&string, end, 'T') && !read_elements(&string, end, "HMS"))
		return false;
	return string == end;
}
