/*
 * review.c: what a reviewer decides by, as a page: a plan, or a request.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "page/subject.h"

PG_FUNCTION_INFO_V1(promote_review_html);

#define PAGE_OF(blocks) "SELECT promote_internal.html_page(promote_internal.page_style(), " blocks ")"

/* A page about a deployment. */
static Datum
review_deployment(FunctionCallInfo fcinfo)
{
	static Statement read = {PAGE_OF("promote_internal.plan_review($1, $2, $3, $4)")};
	InstanceKey key;
	Sql			sql;
	int32		deployment = subject_deployment(fcinfo, "subject", &sql, &key);
	SqlRows		rows = sql_read(&sql, &read, AS_KEY(&key), AS_INT(deployment));
	Datum		result = SPI_datumTransfer(sql_datum(&rows, 0).value, false, -1);

	sql_leave(&sql);
	return result;
}

/* A page about a request of a project.  NULL: there is no such request. */
static Datum
review_request(FunctionCallInfo fcinfo)
{
	static Statement read = {PAGE_OF("promote_internal.request_review($1, $2)")};
	char	   *project;
	int32		request;
	Datum		result = (Datum) 0;
	Sql			sql;
	SqlRows		rows;

	fcinfo->isnull = !subject_request(fcinfo, &sql, &project, &request);
	if (!fcinfo->isnull)
	{
		rows = sql_read(&sql, &read, AS_TEXT(project), AS_INT(request));
		result = SPI_datumTransfer(sql_datum(&rows, 0).value, false, -1);
	}
	sql_leave(&sql);
	return result;
}

/*
 * promote.review_html(subject text, number integer) returns text: of an instance, whose name has dashes, a deployment;
 * of a project, whose name has none, a request
 */
Datum
promote_review_html(PG_FUNCTION_ARGS)
{
	char	   *subject = argument_text(fcinfo, 0);

	return subject && strchr(subject, '-') == NULL ? review_request(fcinfo) : review_deployment(fcinfo);
}
