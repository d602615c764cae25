/*
 * line_stop.c: stopping the line, and letting it go on.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/deployment.h"
#include "registry/rescue.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#define NUMBER 1				/* of the places in the lock manager those that stand for a stop's number */

PG_FUNCTION_INFO_V1(promote_stop_line);
PG_FUNCTION_INFO_V1(promote_resume_line);
PG_FUNCTION_INFO_V1(promote_guard_line_stop);

/*
 * Let nobody else stop or lift that line until the end of the transaction, nor
 * all of them: who is about one project waits for who is about that one or about
 * everything.  Nothing is locked that who deploys could hold: the chains that are
 * appended to are the line's own.  Raises PM_HELD.
 */
static void
take_line(const Sql *sql, const char *project)
{
	Oid			table = get_relname_relid("line_stop", get_namespace_oid("promote", false));

	rescue_object(sql, table, 0, project ? ShareLock : ExclusiveLock, "the line of everything", NULL);
	if (project)
		rescue_object(sql, table, rescue_place(project), ExclusiveLock, psprintf("the line of project \"%s\"", project), project);
}

/* Take the line, and find the names of the projects concerned.  Raises PM_NOT_FOUND and PM_HELD. */
static List *
lock_line(const Sql *sql, const char *project)
{
	static OldStatement projects = {
		.text = "SELECT p.project::pg_catalog.text FROM promote.project AS p"
		" WHERE $1 IS NULL OR p.project = $1 ORDER BY p.project",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1];
	bool		nulls[1];
	List	   *names = NIL;

	take_line(sql, project);
	values[0] = text_or_null(project, nulls);
	sql_push_latest();
	statement_run(sql, &projects, values, nulls, true);
	PopActiveSnapshot();
	for (uint64 i = 0; i < SPI_processed; i++)
		names = lappend(names, spi_text(SPI_tuptable, i, 1));
	if (project && names == NIL)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("project \"%s\" does not exist", project),
				 errdetail("There is no row of promote.project with that name."),
				 errhint("Check the spelling; without a project everything is stopped.")));
	return names;
}

/* The number of the stop that stands, as it is committed now; 0: none. */
static int32
find_stop(const Sql *sql, const char *project)
{
	static OldStatement find = {
		.text = "SELECT s.stop FROM promote.line_stop AS s"
		" WHERE s.project IS NOT DISTINCT FROM $1 AND s.lifted_at IS NULL",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1];
	bool		nulls[1];

	values[0] = text_or_null(project, nulls);
	sql_push_latest();
	statement_run(sql, &find, values, nulls, true);
	PopActiveSnapshot();
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* The number of the last stop that there was, as it is committed now. */
static int32
last_stop(const Sql *sql)
{
	static OldStatement find = {
		.text = "SELECT s.stop FROM promote.line_stop AS s ORDER BY s.stop DESC LIMIT 1"
	};

	sql_push_latest();
	statement_run(sql, &find, NULL, NULL, true);
	PopActiveSnapshot();
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/*
 * A number that no other stop has, nor gets before the transaction is over: who
 * stops another project's line at the same time goes on to the next one.
 */
static int32
take_number(const Sql *sql)
{
	Oid			table = get_relname_relid("line_stop", get_namespace_oid("promote", false));
	int32		stop = last_stop(sql) + 1;

	while (!ConditionalLockDatabaseObject(table, stop, NUMBER, ExclusiveLock) || last_stop(sql) >= stop)
		stop = Max(stop, last_stop(sql)) + 1;
	return stop;
}

/* Write down that the line is stopped; returns the number. */
static int32
write_stop(const Sql *sql, const char *project, const char *reason)
{
	static OldStatement write = {
		.text = "INSERT INTO promote.line_stop (stop, project, reason) VALUES ($1, $2, $3)",
		.parameters = 3,
		.types = {INT4OID, TEXTOID, TEXTOID}
	};
	int32		stop = take_number(sql);
	bool		nulls[3] = {false};
	Datum		values[3] = {Int32GetDatum(stop), (Datum) 0, CStringGetTextDatum(reason)};

	values[1] = text_or_null(project, &nulls[1]);
	old_guarded_run(sql, &write, values, nulls);
	return stop;
}

/* Write down that it goes on. */
static void
write_lift(const Sql *sql, int32 stop, const char *message)
{
	static OldStatement write = {
		.text = "UPDATE promote.line_stop AS s SET lifted_at = pg_catalog.clock_timestamp(),"
		" lifted_by = promote.current_actor(), lifted_role = promote.current_database_role(), message = $2"
		" WHERE s.stop = $1",
		.parameters = 2,
		.types = {INT4OID, TEXTOID}
	};
	bool		nulls[2] = {false};
	Datum		values[2] = {Int32GetDatum(stop)};

	values[1] = text_or_null(message, &nulls[1]);
	old_guarded_run(sql, &write, values, nulls);
}

/* Append to the chain of a project's line. */
static void
append_event(const Sql *sql, const char *project, const char *event, int32 stop, bool everything, const char *words)
{
	JsonBuilder builder;

	audit_begin(&builder);
	json_build_number(&builder, "stop", stop);
	json_build_field(&builder, "scope", everything ? "everything" : "project");
	if (words)
		json_build_field(&builder, "reason", words);
	audit_note_facts(sql, project, psprintf("line %s", project), event, &builder);
}

/* Append what happened to the chain of every line concerned, and of that of all where it is all, and tell listeners. */
static void
record(const Sql *sql, List *projects, const char *project, const char *event, int32 stop, const char *words)
{
	ListCell   *cell;

	foreach(cell, projects)
		append_event(sql, lfirst(cell), event, stop, project == NULL, words);
	if (project == NULL)
		append_event(sql, AUDIT_NO_PROJECT, event, stop, true, words);
	notify_line(project, event);
}

/* A stop's row, as the result of a verb: leaves the scope with a copy of it. */
static Datum
stop_result(Sql *scope, int32 stop)
{
	static OldStatement read = {
		.text = "SELECT s FROM promote.line_stop AS s WHERE s.stop = $1",
		.parameters = 1,
		.types = {INT4OID}
	};
	Datum		values[1] = {Int32GetDatum(stop)};
	bool		isnull;

	sql_push_latest();
	statement_run(scope, &read, values, NULL, true);
	PopActiveSnapshot();
	return deployment_result(scope, spi_value(SPI_tuptable, 0, 1, &isnull));
}

/* promote.stop_line(reason text, project text) returns promote.line_stop */
Datum
promote_stop_line(PG_FUNCTION_ARGS)
{
	const char *reason = argument_required(fcinfo, 0, "reason");
	const char *project = argument_text(fcinfo, 1);
	Sql			sql;
	List	   *projects;
	int32		stop;

	access_require_in("admin", project, NULL);
	sql_enter(&sql);
	projects = lock_line(&sql, project);
	stop = find_stop(&sql, project);
	if (stop == 0)
	{
		stop = write_stop(&sql, project, reason);
		record(&sql, projects, project, "line.stopped", stop, reason);
	}
	PG_RETURN_DATUM(stop_result(&sql, stop));
}

/* promote.resume_line(project text, message text) returns promote.line_stop */
Datum
promote_resume_line(PG_FUNCTION_ARGS)
{
	const char *project = argument_text(fcinfo, 0);
	const char *message = argument_text(fcinfo, 1);
	Sql			sql;
	List	   *projects;
	int32		stop;

	access_require_in("admin", project, NULL);
	sql_enter(&sql);
	projects = lock_line(&sql, project);
	stop = find_stop(&sql, project);
	if (stop == 0)
	{
		sql_leave(&sql);
		PG_RETURN_NULL();
	}
	write_lift(&sql, stop, message);
	record(&sql, projects, project, "line.resumed", stop, message);
	PG_RETURN_DATUM(stop_result(&sql, stop));
}

/*
 * promote_internal.guard_line_stop() returns trigger
 *
 * BEFORE UPDATE of line_stop, for each row: only the verb lifts a stop.
 */
Datum
promote_guard_line_stop(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_line_stop", "line_stop",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	if (!guard_is_open())
		ereport(ERROR,
				(errcode(PM_APPEND_ONLY),
				 errmsg("\"line_stop\" is history and only appended to"),
				 errdetail("It says who stopped the line and who let it go on."),
				 errhint("Lift a stop by promote.resume_line.")));
	return PointerGetDatum(data->tg_newtuple);
}
