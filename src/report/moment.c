/*
 * moment.c: what reports of a moment, and of what is pending, check before they
 * are asked.  sql/report/moment.sql has the queries, which run by the rights of
 * whoever asks.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "report/report.h"
#include "report/timeline.h"

PG_FUNCTION_INFO_V1(promote_moment);
PG_FUNCTION_INFO_V1(promote_pending_scope);

/*
 * promote_internal.moment(project text, at timestamptz, state text) returns
 * record: the same, and whether it is about what ran
 */
Datum
promote_moment(PG_FUNCTION_ARGS)
{
	char	   *project = report_project(fcinfo);
	TimestampTz at = PG_ARGISNULL(1) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(1);

	return result_row(fcinfo, AS_TEXT(project), sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(at)),
					  AS_BOOL(argument_is_running(fcinfo, 2, true)));
}

/*
 * promote_internal.pending_scope(project text, environment text) returns
 * record, which are the same; refuses an environment that is not there
 */
Datum
promote_pending_scope(PG_FUNCTION_ARGS)
{
	char	   *project = report_project(fcinfo);

	return result_row(fcinfo, AS_TEXT(project), AS_TEXT(report_environment(fcinfo, 1, GRANTS_ROWS, project)));
}
