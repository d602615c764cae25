/*
 * timeline.c: what reports over a span of time check before they are asked.
 * sql/report/timeline.sql has the queries, which run by the rights of whoever
 * asks.
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
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "report/timeline.h"

PG_FUNCTION_INFO_V1(promote_report_span);
PG_FUNCTION_INFO_V1(promote_timeline_span);

/* A side of a span of time; NULL: it is open, which is told by an infinite time. */
static TimestampTz
side(FunctionCallInfo fcinfo, int argument, TimestampTz open)
{
	return PG_ARGISNULL(argument) ? open : PG_GETARG_TIMESTAMPTZ(argument);
}

/* The project of a report, argument 0.  Refuses one that is not there, or of which the caller sees nothing. */
char *
report_project(FunctionCallInfo fcinfo)
{
	static Statement read = {"SELECT 1 FROM promote.project AS p WHERE p.project = $1"};
	char	   *project = argument_required(fcinfo, 0, "project");
	Sql			sql;
	SqlRows		rows;

	access_require_sight(project);
	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(project));
	if (rows.count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no project \"%s\"", project),
				 errdetail("Nothing is registered of it."),
				 errhint("Check the spelling: promote.project lists the projects.")));
	sql_leave(&sql);
	return project;
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

/* Take the two sides of a span of time, which are arguments 1 and 2.  Refuses one that ends before it begins. */
void
report_take_span(FunctionCallInfo fcinfo, TimestampTz *since, TimestampTz *until)
{
	*since = side(fcinfo, 1, DT_NOBEGIN);
	*until = side(fcinfo, 2, DT_NOEND);
	if (*until < *since)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the span of time ends before it begins"),
				 errdetail("\"until\" is before \"since\"."),
				 errhint("Pass the earlier time first.")));
}

/* A time, as a value. */
static SqlValue
time_value(TimestampTz at)
{
	return sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(at));
}

/*
 * promote_internal.report_span(project text, since timestamptz, until
 * timestamptz) returns record, which are the same
 */
Datum
promote_report_span(PG_FUNCTION_ARGS)
{
	char	   *project = report_project(fcinfo);
	TimestampTz since;
	TimestampTz until;

	report_take_span(fcinfo, &since, &until);
	return result_row(fcinfo, AS_TEXT(project), time_value(since), time_value(until));
}

/*
 * promote_internal.timeline_span(instance text, since timestamptz, until
 * timestamptz) returns record: the times, and the instance's key
 */
Datum
promote_timeline_span(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	Sql			sql;
	TimestampTz since;
	TimestampTz until;

	argument_instance_for(fcinfo, 0, "instance", GRANTS_ROWS, &key);
	sql_enter(&sql);
	/* refuses what is not there */
	(void) deployment_last(&sql, &key);
	sql_leave(&sql);
	report_take_span(fcinfo, &since, &until);
	return result_row(fcinfo, time_value(since), time_value(until), AS_KEY(&key));
}
