/*
 * dora.c: what the metrics of delivery check before they are asked.
 * sql/report/dora.sql says how each is counted.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "report/timeline.h"

PG_FUNCTION_INFO_V1(promote_dora_asked);

/* Refuse what is told apart, if date_trunc does not know it. */
static void
check_period(FunctionCallInfo fcinfo, int argument)
{
	static const char *const periods[] = {"day", "week", "month", "all"};
	char	   *period = argument_text(fcinfo, argument);
	bool		known = period == NULL;

	for (int i = 0; i < lengthof(periods) && !known; i++)
		known = strcmp(period, periods[i]) == 0;
	if (!known)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is not a period", period),
				 errdetail("Periods are day, week, month and all."),
				 errhint("Leave it out for weeks; all is the whole span of time.")));
}

/*
 * promote_internal.dora_asked(project text, since timestamptz, until timestamptz, period text) returns boolean: true
 */
Datum
promote_dora_asked(PG_FUNCTION_ARGS)
{
	TimestampTz until;

	(void) report_project(fcinfo);
	until = argument_time(fcinfo, 2, "until");
	if (!PG_ARGISNULL(1) && until <= argument_time(fcinfo, 1, "since"))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the span of time is empty"),
				 errdetail("\"until\" is not behind \"since\"."),
				 errhint("Pass the earlier time first.")));
	check_period(fcinfo, 3);
	PG_RETURN_BOOL(true);
}
