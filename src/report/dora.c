/*
 * dora.c: what the metrics of delivery check before they are asked.
 * sql/report/dora.sql says how each is counted.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "report/timeline.h"

PG_FUNCTION_INFO_V1(promote_dora_span);

#define DEFAULT_DAYS 90			/* a quarter, of which there is a dozen of weeks to compare */

/* What is told apart, as date_trunc knows it; NULL stands for weeks. */
static const char *
take_period(FunctionCallInfo fcinfo, int argument)
{
	static const char *const periods[] = {"day", "week", "month", "all"};
	char	   *period = argument_text(fcinfo, argument);

	if (period == NULL)
		return "week";
	for (int i = 0; i < lengthof(periods); i++)
		if (strcmp(period, periods[i]) == 0)
			return periods[i];
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("\"%s\" is not a period", period),
			 errdetail("Periods are day, week, month and all."),
			 errhint("Leave it out for weeks; all is the whole span of time.")));
}

/*
 * promote_internal.dora_span(project text, since timestamptz, until timestamptz,
 * period text) returns record, which are the same
 */
Datum
promote_dora_span(PG_FUNCTION_ARGS)
{
	char	   *project = report_project(fcinfo);
	TimestampTz until = argument_time(fcinfo, 2, "until");
	TimestampTz since = PG_ARGISNULL(1) ? until - DEFAULT_DAYS * USECS_PER_DAY : argument_time(fcinfo, 1, "since");

	if (until <= since)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the span of time is empty"),
				 errdetail("\"until\" is not behind \"since\"."),
				 errhint("Pass the earlier time first.")));
	return result_row(fcinfo, AS_TEXT(project), sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(since)),
					  sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(until)),
					  AS_TEXT(take_period(fcinfo, 3)));
}
