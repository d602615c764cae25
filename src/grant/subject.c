/*
 * subject.c: which rows of the audit log a role may see.
 *
 * All other tables have columns that say which environment a row belongs to, and row-level
 * security passes them to promote_internal.may_view.  The audit log has subjects instead.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "grant/grants.h"

PG_FUNCTION_INFO_V1(promote_may_view_audit);

#define REQUEST "request "

/* The environment that a request leads to; NULL: the request does not exist. */
static char *
request_environment(const char *project, const char *number)
{
	static Statement read = {"SELECT r.destination_environment FROM promote.promotion_request AS r"
		" WHERE r.project = $1 AND r.request = $2"};
	char	   *environment = NULL;
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(project), AS_INT(atoi(number)));
	if (rows.count > 0)
		environment = MemoryContextStrdup(sql.caller, sql_text(&rows, 0));
	sql_leave(&sql);
	return environment;
}

/*
 * The environment that a subject belongs to.  Subjects are names of instances, such as
 * ecomm-staging-db; rows, such as approval_rule ecomm/staging/two; and requests, such as
 * request ecomm/3.  NULL where the subject does not show the environment, such as a rule with
 * a name of its own: only a role that sees all of the project sees it.
 */
static char *
subject_environment(const char *project, const char *subject)
{
	size_t		length = strlen(project);
	const char *space = strchr(subject, ' ');
	const char *key = space ? space + 1 : subject;
	const char *last = strrchr(key, '-');

	if (strncmp(key, project, length) != 0)
		return NULL;
	key += length;
	if (space == NULL)
		return *key == '-' && last > key ? pnstrdup(key + 1, last - key - 1) : NULL;
	if (*key != '/')
		return NULL;
	if (strncmp(subject, REQUEST, strlen(REQUEST)) == 0)
		return request_environment(project, key + 1);
	return pnstrdup(key + 1, strcspn(key + 1, "/"));
}

/* Is the subject the project itself, or its stopped line? */
static bool
is_project(const char *project, const char *subject)
{
	return strcmp(subject, project) == 0 || strcmp(subject, psprintf("project %s", project)) == 0 ||
		strcmp(subject, psprintf("line %s", project)) == 0;
}

/*
 * promote_internal.may_view_audit(project text, subject text) returns boolean
 *
 * Row-level security asks this for each row.  A row without a project is seen by those who see
 * anything.  A role that sees all of a project sees all of its rows.
 */
Datum
promote_may_view_audit(PG_FUNCTION_ARGS)
{
	char	   *project = value_text(fcinfo->args[0]);
	char	   *subject;
	char	   *environment;

	if (project == NULL || strcmp(project, "*") == 0)
		PG_RETURN_BOOL(grants_sees(NULL));
	if (grants_may(GRANTS_ROWS, project, NULL))
		PG_RETURN_BOOL(true);
	if (PG_ARGISNULL(1) || !grants_sees(project))
		PG_RETURN_BOOL(false);
	subject = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (is_project(project, subject))
		PG_RETURN_BOOL(true);
	environment = subject_environment(project, subject);
	PG_RETURN_BOOL(environment && grants_may(GRANTS_ROWS, project, environment));
}
