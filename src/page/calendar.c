/*
 * calendar.c: events as iCalendar, for programs that subscribe to calendars.
 *
 * libical writes it: RFC 5545, with what RFC 7986 says of calendars that are published.  What somebody wrote goes
 * through page_escape first, so that no event has a character that nobody sees; libical then escapes what means
 * something, and folds lines between characters.
 *
 * It allocates by malloc, so what it has made is freed with the memory context of the call, whatever comes of that.
 */
#include "postgres.h"

#include <ctype.h>
#include <libical/ical.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/argument.h"
#include "base/errors.h"
#include "page/escape.h"

PG_FUNCTION_INFO_V1(promote_icalendar);

/* The columns of the array that the statement passes. */
enum EventColumn
{
	EVENT_UID, EVENT_KIND, EVENT_BEGINS, EVENT_ENDS, EVENT_STATUS, EVENT_TITLE, EVENT_PLACE, EVENT_REASON, EVENT_WORDS,
	EVENT_COLUMNS
};

/* What a kind of events is filed under, and whether time is taken by it: 3.8.1.2 and 3.8.2.7 of the RFC. */
typedef struct EventKind
{
	const char *name;
	const char *category;
	icalproperty_transp transparency;
} EventKind;

static const EventKind kinds[] = {
	{"stop", "Stop", ICAL_TRANSP_OPAQUE},
	{"freeze", "Freeze", ICAL_TRANSP_OPAQUE},
	{"window", "Change window", ICAL_TRANSP_TRANSPARENT},
	{"request", "Request", ICAL_TRANSP_OPAQUE},
	{"approval", "Approval", ICAL_TRANSP_TRANSPARENT}
};

/* What libical has allocated, to be freed with a memory context. */
typedef struct Allocated
{
	icalcomponent *calendar;
	char	   *text;
} Allocated;

/* Free what libical has allocated. */
static void
free_allocated(void *argument)
{
	Allocated  *allocated = argument;

	if (allocated->calendar)
		icalcomponent_free(allocated->calendar);
	if (allocated->text)
		icalmemory_free_buffer(allocated->text);
}

/* Have something freed that is still to be allocated. */
static Allocated *
begin_allocating(void)
{
	Allocated  *allocated = palloc0(sizeof(Allocated));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = free_allocated;
	callback->arg = allocated;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	/* it would end the process otherwise, which is the server's */
	icalerror_set_errors_are_fatal(0);
	icalerror_clear_errno();
	return allocated;
}

/* The kind of that name. */
static const EventKind *
kind_of(const char *name)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (name && strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("this is no event of a calendar"),
			 errdetail("There is no kind \"%s\".", name ? name : ""),
			 errhint("Call promote.calendar_text.")));
}

/* Is it a time in UTC, as 3.3.5 of the RFC has it? */
static bool
is_time(const char *text)
{
	static const char shape[] = "00000000T000000Z";

	for (int i = 0; i < sizeof(shape); i++)
		if (shape[i] == '0' ? !isdigit((unsigned char) text[i]) : text[i] != shape[i])
			return false;
	return true;
}

/* Read a time.  Refuses one that the library would not write; up to 3.0.16, it writes no year past 3000. */
static icaltimetype
read_time(const char *text)
{
	icaltimetype time = text && is_time(text) ? icaltime_from_string(text) : icaltime_null_time();

	if (icaltime_is_null_time(time) || !icaltime_is_valid_time(time) || time.year > 3000)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("an event of the calendar has a time that it cannot have"),
				 errdetail("It is endless, or not in the years up to 3000."),
				 errhint("Call promote.calendar_text.")));
	return time;
}

/* Refuse to go on where the library has failed, which is where there is no memory. */
static void
require_no_error(void)
{
	if (icalerrno != ICAL_NO_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the calendar could not be written: %s", icalerror_strerror(icalerrno))));
}

/* A text for people. */
static char *
plain(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	page_escape(&out, PAGE_PLAIN, text ? text : "", PAGE_MOST_CHARACTERS);
	return out.data;
}

/* A property that the library knows by name alone. */
static icalproperty *
named_property(const char *name, const char *value)
{
	icalproperty *property = icalproperty_new_x(value);

	icalproperty_set_x_name(property, name);
	return property;
}

/* Begin a calendar of that name: 3.6 of the RFC, and 5.1 and 5.7 of RFC 7986; others know these by older names. */
static icalcomponent *
new_calendar(const char *name)
{
	struct icaldurationtype hour = {.hours = 1};
	icalproperty *refresh = icalproperty_new_refreshinterval(hour);

	icalproperty_set_parameter(refresh, icalparameter_new_value(ICAL_VALUE_DURATION));
	return icalcomponent_vanew(ICAL_VCALENDAR_COMPONENT,
							   icalproperty_new_version("2.0"),
							   icalproperty_new_prodid("-//promote//calendar//EN"),
							   icalproperty_new_method(ICAL_METHOD_PUBLISH),
							   icalproperty_new_name(name),
							   named_property("X-WR-CALNAME", name),
							   refresh,
							   named_property("X-PUBLISHED-TTL", "PT1H"),
							   (void *) 0);
}

/* A time zone, for a calendar that has nothing else: a calendar has one component or more, 3.6 of the RFC. */
static icalcomponent *
new_zone(void)
{
	return icalcomponent_vanew(ICAL_VTIMEZONE_COMPONENT,
							   icalproperty_new_tzid("UTC"),
							   icalcomponent_vanew(ICAL_XSTANDARD_COMPONENT,
												   icalproperty_new_dtstart(icaltime_from_string("19700101T000000")),
												   icalproperty_new_tzoffsetfrom(0),
												   icalproperty_new_tzoffsetto(0),
												   (void *) 0),
							   (void *) 0);
}

/* Add an event: 3.6.1 of the RFC. */
static void
add_event(icalcomponent *calendar, icaltimetype made_at, char **cells)
{
	const EventKind *kind = kind_of(cells[EVENT_KIND]);
	icaltimetype begins = read_time(cells[EVENT_BEGINS]);
	icaltimetype ends = read_time(cells[EVENT_ENDS]);
	bool		tentative = cells[EVENT_STATUS] && strcmp(cells[EVENT_STATUS], "TENTATIVE") == 0;
	char	   *uid = psprintf("%s@promote", plain(cells[EVENT_UID]));
	char	   *title = plain(cells[EVENT_TITLE]);
	char	   *place = plain(cells[EVENT_PLACE]);
	char	   *words = plain(cells[EVENT_WORDS]);
	char	   *description = cells[EVENT_REASON] ? psprintf("%s\n%s", plain(cells[EVENT_REASON]), words) : words;

	/* nothing from here on raises an error */
	icalcomponent_add_component(calendar, icalcomponent_vanew(
		ICAL_VEVENT_COMPONENT,
		icalproperty_new_uid(uid),
		icalproperty_new_dtstamp(made_at),
		icalproperty_new_dtstart(begins),
		icalproperty_new_dtend(ends),
		icalproperty_new_summary(title),
		icalproperty_new_description(description),
		icalproperty_new_location(place),
		icalproperty_new_categories(kind->category),
		icalproperty_new_status(tentative ? ICAL_STATUS_TENTATIVE : ICAL_STATUS_CONFIRMED),
		icalproperty_new_transp(kind->transparency),
		(void *) 0));
}

/* promote_internal.icalendar(name text, made_at text, events text[]) returns text */
Datum
promote_icalendar(PG_FUNCTION_ARGS)
{
	Allocated  *allocated = begin_allocating();
	char	   *name = plain(argument_text(fcinfo, 0));
	icaltimetype made_at = read_time(argument_text(fcinfo, 1));
	int			count;
	char	  **cells = page_cells(fcinfo, 2, EVENT_COLUMNS, &count);
	StringInfoData out;

	allocated->calendar = new_calendar(name);
	if (count == 0)
		icalcomponent_add_component(allocated->calendar, new_zone());
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_event(allocated->calendar, made_at, &cells[i * EVENT_COLUMNS]);
	}
	require_no_error();
	allocated->text = icalcomponent_as_ical_string_r(allocated->calendar);
	require_no_error();
	initStringInfo(&out);
	appendStringInfoString(&out, allocated->text);
	return page_result(&out);
}
