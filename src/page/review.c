/*
 * review.c: what a reviewer decides by, as a page: a plan, or a request.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/sql.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "promotion/deployment.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_review_html);

#define PAGE_OF(blocks) "SELECT promote_internal.html_page(promote_internal.page_style(), " blocks ")"

/* A page about a deployment; without one, the last.  Refuses one that there is not. */
static Datum
review_deployment(FunctionCallInfo fcinfo)
{
	static Statement look = {"SELECT FROM promote.deployment AS d WHERE d.project = $1 AND d.environment = $2"
		" AND d.component = $3 AND d.deployment = $4"};
	static Statement read = {PAGE_OF("promote_internal.plan_review($1, $2, $3, $4)")};
	InstanceKey key;
	Sql			sql;
	SqlRows		rows;
	int32		deployment;
	Datum		result;

	argument_instance_for(fcinfo, 0, "subject", "view", &key);
	sql_enter(&sql);
	deployment = PG_ARGISNULL(1) ? deployment_last(&sql, &key) : PG_GETARG_INT32(1);
	if (sql_read(&sql, &look, AS_KEY(&key), AS_INT(deployment)).count == 0)
		refuse_unknown_deployment(&sql, &key, deployment);
	rows = sql_read(&sql, &read, AS_KEY(&key), AS_INT(deployment));
	result = SPI_datumTransfer(sql_datum(&rows, 0).value, false, -1);
	sql_leave(&sql);
	return result;
}

/* A page about a request of a project; without a number, its last.  NULL: there is no such request. */
static Datum
review_request(FunctionCallInfo fcinfo)
{
	static Statement look = {"SELECT r.destination_environment::pg_catalog.text FROM promote.promotion_request AS r"
		" WHERE r.project = $1 AND r.request = COALESCE($2, (SELECT p.request FROM promote.project AS p WHERE p.project = $1))"};
	static Statement read = {PAGE_OF("promote_internal.request_review($1,"
									 " COALESCE($2, (SELECT p.request FROM promote.project AS p WHERE p.project = $1)))")};
	char	   *project = argument_text(fcinfo, 0);
	SqlValue	number = sql_value(INT4OID, PG_ARGISNULL(1), PG_GETARG_DATUM(1));
	Datum		result = (Datum) 0;
	Sql			sql;
	SqlRows		rows;

	access_require_sight(project);
	sql_enter(&sql);
	rows = sql_read(&sql, &look, AS_TEXT(project), number);
	fcinfo->isnull = rows.count == 0;
	if (!fcinfo->isnull)
	{
		access_require_of(sql.user, GRANTS_ROWS, project, sql_text(&rows, 0));
		rows = sql_read(&sql, &read, AS_TEXT(project), number);
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
