/*
 * calendar.c: how much a calendar may hold.  sql/report/calendar.sql has the
 * queries, which run by the rights of whoever asks.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/errors.h"

PG_FUNCTION_INFO_V1(promote_calendar_holds);

/*
 * promote_internal.calendar_holds(place bigint, most integer) returns boolean:
 * true, or PM_INVALID_ARGUMENT of a row beyond the last
 */
Datum
promote_calendar_holds(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && PG_GETARG_INT64(0) > PG_GETARG_INT32(1))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the calendar has more than %d rows", PG_GETARG_INT32(1)),
				 errdetail("Each time that a window opens is one."),
				 errhint("Ask for a shorter span of time, or for one environment.")));
	PG_RETURN_BOOL(true);
}
