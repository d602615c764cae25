/*
 * format_time.c: dates, times and durations, by RFC 3339.
 *
 * Decided by its grammar alone: what PostgreSQL's own types can hold, and
 * any time zone data, play no part.
 */
#include "postgres.h"

#include "schema/format_check.h"

/* Two digits as a number that is at most most; -1 if they do not come. */
static int
read_pair(const char **next, const char *end, int most)
{
	int			value;

	if (end - *next < 2 || !format_is_digit((*next)[0]) || !format_is_digit((*next)[1]))
		return -1;
	value = ((*next)[0] - '0') * 10 + ((*next)[1] - '0');
	*next += 2;
	return value <= most ? value : -1;
}

/* How many days the month has (RFC 3339, section 5.7 and appendix C). */
static int
days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* full-date (RFC 3339, section 5.6) */
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
	return day >= 1 && day <= days_of(century * 100 + year, month);
}

/* time-offset (RFC 3339, section 5.6), in minutes east of UTC */
static bool
read_offset(const char **next, const char *end, int *minutes)
{
	int			sign;
	int			hour;
	int			minute;

	*minutes = 0;
	if (format_skip(next, end, 'Z') || format_skip(next, end, 'z'))
		return true;
	if (format_skip(next, end, '+'))
		sign = 1;
	else if (format_skip(next, end, '-'))
		sign = -1;
	else
		return false;
	hour = read_pair(next, end, 23);
	if (hour < 0 || !format_skip(next, end, ':'))
		return false;
	minute = read_pair(next, end, 59);
	*minutes = sign * (hour * 60 + minute);
	return minute >= 0;
}

/* full-time (RFC 3339, section 5.6); second 60 ends 23:59 in UTC (appendix D) */
static bool
read_time(const char **next, const char *end)
{
	int			hour;
	int			minute;
	int			second;
	int			offset;

	hour = read_pair(next, end, 23);
	if (hour < 0 || !format_skip(next, end, ':'))
		return false;
	minute = read_pair(next, end, 59);
	if (minute < 0 || !format_skip(next, end, ':'))
		return false;
	second = read_pair(next, end, 60);
	if (second < 0)
		return false;
	if (format_skip(next, end, '.'))
	{
		const char *fraction = *next;

		while (*next < end && format_is_digit(**next))
			(*next)++;
		if (*next == fraction)
			return false;
	}
	if (!read_offset(next, end, &offset))
		return false;
	return second < 60 || (hour * 60 + minute - offset + 1440) % 1440 == 1439;
}

/* date-time (RFC 3339, section 5.6); T may be in lower case, no other character stands for it */
bool
format_date_time(const char *string, const char *end)
{
	return read_date(&string, end) &&
		(format_skip(&string, end, 'T') || format_skip(&string, end, 't')) &&
		read_time(&string, end) && string == end;
}

/* full-date (RFC 3339, section 5.6) */
bool
format_date(const char *string, const char *end)
{
	return read_date(&string, end) && string == end;
}

/* full-time (RFC 3339, section 5.6) */
bool
format_time(const char *string, const char *end)
{
	return read_time(&string, end) && string == end;
}

/*
 * One or more numbers with units, each the one that follows the unit before
 * it: an hour may be followed by minutes, but not by seconds.
 */
static bool
read_elements(const char **next, const char *end, const char *units)
{
	const char *unit = NULL;

	while (*next < end && format_is_digit(**next))
	{
		const char *found;

		while (*next < end && format_is_digit(**next))
			(*next)++;
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
format_duration(const char *string, const char *end)
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
