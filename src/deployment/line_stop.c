/*
 * line_stop.c: stopping the line, and letting it go on.
 */
#include "postgres.h"

#include "fmgr.h"
#include "storage/lmgr.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "ledger/audit.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "promotion/deployment.h"
#include "registry/rescue.h"

#define NUMBER 1				/* sub-object id of the locks that stand for the number of a stop */

PG_FUNCTION_INFO_V1(promote_stop_line);
PG_FUNCTION_INFO_V1(promote_resume_line);

/* The line of a project, or of everything, that a verb has locked. */
typedef struct Line
{
	const char *project;		/* NULL: everything */
	Oid			table;			/* promote.line_stop, by which lines and numbers are locked */
	List	   *projects;		/* names of the projects that it is about: char * */
} Line;

/* A stop. */
typedef struct Stop
{
	int32		stop;			/* its number */
	HeapTupleHeader row;		/* the whole of it */
} Stop;

static const SqlField stop_fields[] = {
	SQL_FIELD(Stop, stop, "s.stop"),
	SQL_FIELD(Stop, row, "s")
};

/*
 * Keep others from stopping or resuming this line until the end of the
 * transaction.  Verbs about a project wait for those about that project or about
 * everything.  Nobody who deploys can hold these locks, nor those on the chains
 * that are appended to, as these are the line's own.  Raises PM_HELD.
 */
static void
take_line(const Sql *sql, const Line *line)
{
	const char *project = line->project;

	rescue_object(sql, line->table, 0, project ? ShareLock : ExclusiveLock, "the line of everything", NULL);
	if (project)
		rescue_object(sql, line->table, rescue_place(project), ExclusiveLock,
					  psprintf("the line of project \"%s\"", project), project);
}

/*
 * What both verbs begin with: check that the caller may, enter the scope, lock
 * the line, and read the names of the projects that it is about.  Raises
 * PM_NOT_FOUND and PM_HELD.
 */
static void
open_line(Sql *scope, const char *project, Line *line)
{
	static Statement projects = {"SELECT p.project FROM promote.project AS p"
		" WHERE $1 IS NULL OR p.project = $1 ORDER BY p.project"};
	SqlRows		rows;

	access_require_in("admin", project, NULL);
	sql_enter(scope);
	*line = (Line) {project, table_oid("line_stop"), NIL};
	take_line(scope, line);
	rows = sql_run(scope, &projects, AS_TEXT(project));
	line->projects = sql_texts(&rows);
	if (project && line->projects == NIL)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("project \"%s\" does not exist", project),
				 errdetail("There is no row of promote.project with that name."),
				 errhint("Check the spelling; without a project everything is stopped.")));
}

/* Find the stop that stands; false: there is none. */
static bool
find_stop(const Sql *sql, const Line *line, Stop *stop)
{
	static Statement find = SQL_ROWS(stop_fields, "SELECT $* FROM promote.line_stop AS s"
									 " WHERE s.project IS NOT DISTINCT FROM $1 AND s.lifted_at IS NULL");
	SqlRows		rows = sql_run(sql, &find, AS_TEXT(line->project));

	return sql_row(&rows, 0, stop);
}

/* The number of the last stop; 0: there was none. */
static int32
last_stop(const Sql *sql)
{
	static Statement find = {"SELECT s.stop FROM promote.line_stop AS s ORDER BY s.stop DESC LIMIT 1"};
	SqlRows		rows = sql_run(sql, &find);

	return rows.count > 0 ? sql_int(&rows, 0) : 0;
}

/*
 * Take a number that no other stop has, and that none gets until the end of the
 * transaction: a session that stops another line meanwhile takes the next one.
 */
static int32
take_number(const Sql *sql, const Line *line)
{
	int32		stop = last_stop(sql) + 1;

	while (!ConditionalLockDatabaseObject(line->table, stop, NUMBER, ExclusiveLock) || last_stop(sql) >= stop)
		stop = Max(stop, last_stop(sql)) + 1;
	return stop;
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

/*
 * Read the stop that was written, append the event to the chain of the line of
 * each project, and of the line of everything if it is that, and tell listeners.
 */
static void
record(const Sql *sql, const Line *line, const char *event, const char *words, SqlRows *rows, Stop *stop)
{
	ListCell   *cell;

	if (!sql_row(rows, 0, stop))
		elog(ERROR, "the stop of a line was not written: a trigger or a rule has skipped it");
	foreach(cell, line->projects)
		append_event(sql, lfirst(cell), event, stop->stop, line->project == NULL, words);
	if (line->project == NULL)
		append_event(sql, AUDIT_NO_PROJECT, event, stop->stop, true, words);
	notify_line(line->project, event);
}

/* promote.stop_line(reason text, project text) returns promote.line_stop */
Datum
promote_stop_line(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(stop_fields, "INSERT INTO promote.line_stop AS s (stop, project, reason)"
									  " VALUES ($1, $2, $3) RETURNING $*");
	const char *reason = argument_required(fcinfo, 0, "reason");
	Sql			sql;
	Line		line;
	Stop		stop;
	SqlRows		rows;

	open_line(&sql, argument_text(fcinfo, 1), &line);
	if (!find_stop(&sql, &line, &stop))
	{
		rows = guarded_run(&sql, &write, AS_INT(take_number(&sql, &line)), AS_TEXT(line.project), AS_TEXT(reason));
		record(&sql, &line, "line.stopped", reason, &rows, &stop);
	}
	return deployment_result(&sql, PointerGetDatum(stop.row));
}

/* promote.resume_line(project text, message text) returns promote.line_stop */
Datum
promote_resume_line(PG_FUNCTION_ARGS)
{
	static Statement write = SQL_ROWS(stop_fields, "UPDATE promote.line_stop AS s"
									  " SET lifted_at = pg_catalog.clock_timestamp(), lifted_by = promote.current_actor(),"
									  " lifted_role = promote.current_database_role(), message = $2"
									  " WHERE s.stop = $1 RETURNING $*");
	const char *message = argument_text(fcinfo, 1);
	Sql			sql;
	Line		line;
	Stop		stop;
	SqlRows		rows;

	open_line(&sql, argument_text(fcinfo, 0), &line);
	if (!find_stop(&sql, &line, &stop))
	{
		sql_leave(&sql);
		PG_RETURN_NULL();
	}
	rows = guarded_run(&sql, &write, AS_INT(stop.stop), AS_TEXT(message));
	record(&sql, &line, "line.resumed", message, &rows, &stop);
	return deployment_result(&sql, PointerGetDatum(stop.row));
}

/*
 * promote_internal.guard_line_stop() returns trigger
 *
 * BEFORE UPDATE of line_stop, for each row: only the verb lifts a stop.
 */
Datum
TRIGGER_FUNCTION(promote_guard_line_stop)
{
	TriggerData *data = trigger_data(fcinfo, "line_stop", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(data->tg_trigtuple);
	if (!errand()->records)
		ereport(ERROR,
				(errcode(PM_APPEND_ONLY),
				 errmsg("\"line_stop\" is history and only appended to"),
				 errdetail("It says who stopped the line and who let it go on."),
				 errhint("Lift a stop by promote.resume_line.")));
	return PointerGetDatum(data->tg_newtuple);
}
