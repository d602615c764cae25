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
 * An environment of the project that an argument names, where the caller may do
 * something; NULL: none is named.  Refuses one that is not there.
 */
char *
report_environment(FunctionCallInfo fcinfo, int argument, const char *action, const char *project)
{
	static Statement read = {
		"SELECT 1 FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
	};
	char	   *environment = argument_text(fcinfo, argument);
	Sql			sql;
	SqlRows		rows;

	if (environment == NULL)
		return NULL;
	access_require_in(action, project, environment);
	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(project), AS_TEXT(environment));
	if (rows.count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no environment \"%s\"", environment),
				 errdetail("The project \"%s\" has none of that name.", project),
				 errhint("Check the spelling: promote.environment lists the environments.")));
	sql_leave(&sql);
	return environment;
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
