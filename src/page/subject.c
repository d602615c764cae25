/*
 * subject.c: what a page or a text is about: a deployment of an instance, or a request of a project, by the first two
 * arguments.  Both enter SPI, which the caller leaves.
 */
#include "postgres.h"

#include "base/argument.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "page/subject.h"
#include "promotion/deployment.h"

/* A request, and where it leads to. */
typedef struct RequestRow
{
	int32		request;
	char	   *destination_environment;
} RequestRow;

static const SqlField request_fields[] = {
	SQL_FIELD(RequestRow, request, "r.request"),
	SQL_FIELD(RequestRow, destination_environment, "r.destination_environment::pg_catalog.text")
};

/*
 * The number of a deployment of the instance that the argument of that name is, the last one where none is given.
 * Takes the grant view, and refuses a deployment that there is not.
 */
int32
subject_deployment(FunctionCallInfo fcinfo, const char *name, Sql *sql, InstanceKey *key)
{
	static Statement look = {"SELECT FROM promote.deployment AS d WHERE d.project = $1 AND d.environment = $2"
		" AND d.component = $3 AND d.deployment = $4"};
	int32		deployment;

	argument_instance_for(fcinfo, 0, name, "view", key);
	sql_enter(sql);
	deployment = PG_ARGISNULL(1) ? deployment_last(sql, key) : PG_GETARG_INT32(1);
	if (sql_read(sql, &look, AS_KEY(key), AS_INT(deployment)).count == 0)
		refuse_unknown_deployment(sql, key, deployment);
	return deployment;
}

/*
 * A project, and the number of a request of it, the last one where none is given.  It is for whoever sees the
 * environment that it leads to.  False: there is none.
 */
bool
subject_request(FunctionCallInfo fcinfo, Sql *sql, char **project, int32 *request)
{
	static Statement look = SQL_ROWS(request_fields, "SELECT $* FROM promote.promotion_request AS r"
									 " WHERE r.project = $1 AND r.request = COALESCE($2,"
									 " (SELECT p.request FROM promote.project AS p WHERE p.project = $1))");
	RequestRow	row;
	SqlRows		rows;

	*project = argument_text(fcinfo, 0);
	access_require_sight(*project);
	sql_enter(sql);
	rows = sql_read(sql, &look, AS_TEXT(*project), sql_value(INT4OID, PG_ARGISNULL(1), PG_GETARG_DATUM(1)));
	if (rows.count == 0 || !sql_row(&rows, 0, &row))
		return false;
	access_require_of(sql->user, GRANTS_ROWS, *project, row.destination_environment);
	*request = row.request;
	return true;
}
