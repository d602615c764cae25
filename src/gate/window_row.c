/*
 * window_row.c: rows of windows, checked when they are written, and what they
 * mean, shown.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/trigger.h"
#include "gate/window.h"

PG_FUNCTION_INFO_V1(promote_spell_zone);
PG_FUNCTION_INFO_V1(promote_window_occurrences);

#define MAX_ROWS 10000			/* that occurrences are shown in */

/* The columns that say how a window recurs. */
static const struct
{
	const char *name;
	bool		may_be_null;
}			recurring[] = {{"rule", true}, {"zone", false}, {"starts_at", false}, {"duration", false}};

/* Refuse a row that is not either once, by its range, or recurring. */
static void
check_kind(const char *name, const TriggerData *data, HeapTuple row)
{
	bool		once = !trigger_is_null(data, row, "during");

	for (int i = 0; i < lengthof(recurring); i++)
	{
		bool		missing = trigger_is_null(data, row, recurring[i].name);

		if (once && !missing)
			window_refuse(name, "is both once and recurring",
						  psprintf("It has values for during and for %s.", recurring[i].name),
						  "Give the range in during, or rule, zone, starts_at and duration.");
		if (!once && missing && !recurring[i].may_be_null)
			window_refuse(name, "does not say when it is",
						  psprintf("It has neither during nor %s.", recurring[i].name),
						  "Give the range in during, or rule, zone, starts_at and duration.");
	}
}

/* Read how a row recurs. */
static void
read_calendar(const TriggerData *data, HeapTuple row, CalendarText *text)
{
	NullableDatum exdates = trigger_value(data, row, "exdates");

	text->exdates = exdates.isnull ? NULL : DatumGetArrayTypeP(exdates.value);
	text->rule = trigger_text(data, row, "rule");
	text->zone = trigger_text(data, row, "zone");
	text->starts_at = DatumGetTimestamp(trigger_value(data, row, "starts_at").value);
	text->duration = DatumGetIntervalP(trigger_value(data, row, "duration").value);
}

/* Check a row that recurs; returns it with the zone spelled as PostgreSQL does. */
static HeapTuple
check_recurring(const TriggerData *data, HeapTuple row, bool must_end)
{
	CalendarText text;
	Calendar	calendar;
	const char *zone;

	read_calendar(data, row, &text);
	zone = calendar_zone(text.zone);
	calendar_parse(&text, &calendar);
	calendar_check(&text, &calendar, must_end);
	return strcmp(zone, text.zone) == 0 ? row : trigger_with(data, row, "zone", CStringGetTextDatum(zone));
}

/* promote_internal.spell_zone(zone text) returns text: as pg_timezone_names spells it */
Datum
promote_spell_zone(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(calendar_zone(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

/*
 * promote_internal.check_window() returns trigger
 *
 * BEFORE INSERT OR UPDATE of freeze_window and change_window, for each row.
 */
Datum
TRIGGER_FUNCTION(promote_check_window)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	bool		is_freeze = strcmp(RelationGetRelationName(data->tg_relation), "freeze_window") == 0;
	HeapTuple	row = trigger_row(data);
	const char *name;
	NullableDatum during;

	if (SPI_fnumber(RelationGetDescr(data->tg_relation), "during") <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not made for this trigger", "check_window")));
	name = trigger_text(data, row, "name");
	window_check_words(name, trigger_jsonb(data, row, "selector"));
	name = name ? name : "";
	check_kind(name, data, row);
	during = trigger_value(data, row, "during");
	if (during.isnull)
		return PointerGetDatum(check_recurring(data, row, is_freeze));
	window_check_range(name, DatumGetRangeTypeP(during.value), is_freeze);
	return PointerGetDatum(row);
}

/* ---- showing ---- */

/* Refuse an argument. */
static void
refuse_argument(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("%s", message),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* The arguments that are a calendar. */
static void
calendar_arguments(FunctionCallInfo fcinfo, CalendarText *text)
{
	text->rule = argument_text(fcinfo, 0);
	text->zone = argument_required(fcinfo, 1, "zone");
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		refuse_argument(PG_ARGISNULL(2) ? "the start is missing" : "the duration is missing",
						"The argument is null.", "Pass it.");
	text->starts_at = PG_GETARG_TIMESTAMP(2);
	text->duration = PG_GETARG_INTERVAL_P(3);
	text->exdates = PG_ARGISNULL(4) ? NULL : PG_GETARG_ARRAYTYPE_P(4);
}

/* Put the occurrences that end after one time and begin before another, at most so many. */
static void
put_occurrences(FunctionCallInfo fcinfo, const Calendar *calendar, TimestampTz after, TimestampTz before, int most)
{
	CalendarCursor cursor;
	Occurrence	occurrence;

	calendar_seek(&cursor, calendar, after);
	while (most > 0 && calendar_next(&cursor, &occurrence) && occurrence.begin < before)
	{
		CHECK_FOR_INTERRUPTS();
		if (occurrence.end <= after)
			continue;
		result_put(fcinfo, AS_TIME(occurrence.begin), AS_TIME(occurrence.end));
		most--;
	}
	calendar_release(&cursor);
}

/* Put the one occurrence of a window that is once, if it ends after one time and begins before another. */
static void
put_once(FunctionCallInfo fcinfo, const RangeType *during, TimestampTz after, TimestampTz before, int most)
{
	TimestampTz lower,
				upper;

	for (int i = 0; i < 4; i++)
		if (!PG_ARGISNULL(i))
			refuse_argument("the window is both once and recurring", "A range is given, and a recurrence.",
							"Pass during, or rule, zone, starts_at and duration.");
	window_range(during, &lower, &upper);
	if (most > 0 && lower < upper && upper > after && lower < before)
		result_put(fcinfo, sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(lower)),
				   sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(upper)));
}

/*
 * promote.window_occurrences(rule text, zone text, starts_at timestamp,
 * duration interval, exdates timestamp[], not_before timestamptz, not_after
 * timestamptz, max_rows integer, during tstzrange) returns setof record
 */
Datum
promote_window_occurrences(PG_FUNCTION_ARGS)
{
	CalendarText text;
	Calendar	calendar;
	TimestampTz after = argument_time(fcinfo, 5, "not_before");
	TimestampTz before = PG_ARGISNULL(6) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(6);
	int			most = PG_ARGISNULL(7) ? 10 : PG_GETARG_INT32(7);

	if (most < 0 || most > MAX_ROWS)
		refuse_argument("the number of rows is out of bounds",
						psprintf("It can be from 0 to %d.", MAX_ROWS), "Ask for fewer, and go on behind the last.");
	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(8))
	{
		put_once(fcinfo, PG_GETARG_RANGE_P(8), after, before, most);
		return (Datum) 0;
	}
	calendar_arguments(fcinfo, &text);
	(void) calendar_zone(text.zone);
	calendar_parse(&text, &calendar);
	put_occurrences(fcinfo, &calendar, after, before, most);
	return (Datum) 0;
}
