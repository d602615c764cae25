/*
 * subject.c: which rows of the audit log a role may see.
 *
 * All other tables say by their columns which environment a row belongs to,
 * and row-level security asks promote_internal.may_view; the audit log has subjects.
 */
#include "postgres.h"

#include "base/sql.h"
#include "grant/grants.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_may_view_audit);

#define REQUEST "request "

/* The environment that a request leads to; NULL: there is no such request. */
static char *
request_environment(const char *project, const char *number)
{
	static OldStatement read = {
		.text = "SELECT r.destination_environment::pg_catalog.text FROM promote.promotion_request AS r"
		" WHERE r.project = $1 AND r.request = $2",
		.parameters = 2,
		.types = {TEXTOID, INT4OID}
	};
	Datum		values[2] = {CStringGetTextDatum(project), Int32GetDatum(atoi(number))};
	char	   *environment = NULL;
	Sql			sql;

	sql_enter(&sql);
	statement_run(&sql, &read, values, NULL, true);
	if (SPI_processed > 0)
		environment = MemoryContextStrdup(sql.caller, spi_text(SPI_tuptable, 0, 1));
	sql_leave(&sql);
	return environment;
}

/* What is between two characters: from start to the next one like end, or to the end. */
static char *
up_to(const char *start, char end)
{
	const char *stop = strchr(start, end);

	return stop ? pnstrdup(start, stop - start) : pstrdup(start);
}

/*
 * The environment that a subject of the project is in.  Subjects are instances'
 * names, ecomm-staging-db; rows, approval_rule ecomm/staging/two; requests,
 * request ecomm/3.  NULL where it cannot be told, as of a rule that goes by a
 * name of its own: then only who sees all of the project sees it.
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
	return up_to(key + 1, '/');
}

/* Is it the project itself, or its line, that something was recorded of? */
static bool
is_project(const char *project, const char *subject)
{
	return strcmp(subject, project) == 0 || strcmp(subject, psprintf("project %s", project)) == 0 ||
		strcmp(subject, psprintf("line %s", project)) == 0;
}

/*
 * promote_internal.may_view_audit(project text, subject text) returns boolean
 *
 * Asked for each row.  What belongs to no project is seen by whoever sees
 * anything; who sees all of a project is asked nothing more.
 */
Datum
promote_may_view_audit(PG_FUNCTION_ARGS)
{
	char	   *project = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *subject;
	char	   *environment;

	if (project == NULL || strcmp(project, "*") == 0)
		PG_RETURN_BOOL(access_sees(NULL));
	if (access_allowed(ACCESS_ROWS, project, NULL))
		PG_RETURN_BOOL(true);
	if (PG_ARGISNULL(1) || !access_sees(project))
		PG_RETURN_BOOL(false);
	subject = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (is_project(project, subject))
		PG_RETURN_BOOL(true);
	environment = subject_environment(project, subject);
	PG_RETURN_BOOL(environment && access_allowed(ACCESS_ROWS, project, environment));
}
