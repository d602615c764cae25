/*
 * verify.c: who may verify the log, and who may restore its guards.  The verification itself
 * is in sql/ledger/verify.sql.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/audit.h"

PG_FUNCTION_INFO_V1(promote_verify_audit);
PG_FUNCTION_INFO_V1(promote_restore_guards);

/*
 * The project that a subject begins with: ecomm of ecomm-staging-db, of request ecomm/3, and
 * of ecomm itself.  NULL where the subject does not show it.
 */
static char *
subject_project(const char *subject)
{
	const char *space = strchr(subject, ' ');
	const char *key = space ? space + 1 : subject;
	size_t		length = strcspn(key, space ? "/" : "-");

	/* a rule with a name of its own */
	if (space && key[length] == '\0' && strncmp(subject, "project ", strlen("project ")) != 0 &&
		strncmp(subject, "line ", strlen("line ")) != 0)
		return NULL;
	return pnstrdup(key, length);
}

/*
 * promote.verify_audit(subject text, project text) returns table, see sql/ledger/verify.sql
 *
 * Verifying shows what is wrong with anything of a project, so it is for the project's
 * auditors and admins.  A caller who may not audit everything only gets chains of the project
 * that a subject begins with.  A subject of grants begins with the name of a role, whose chain
 * may belong to another project.
 */
Datum
promote_verify_audit(PG_FUNCTION_ARGS)
{
	static Statement read = {"SELECT p.project, p.subject, p.seq, p.problem"
		" FROM promote_internal.audit_problems($1, $2) AS p"};
	char	   *subject = argument_text(fcinfo, 0);
	char	   *project = argument_text(fcinfo, 1);
	SqlRows		problems;
	Sql			sql;

	if (project == NULL && subject && !grants_may("audit", NULL, NULL))
		project = subject_project(subject);
	access_require_in("audit", project, NULL);
	sql_enter(&sql);
	problems = sql_read(&sql, &read, AS_TEXT(subject), AS_TEXT(project));
	result_rows(fcinfo, &problems);
	sql_leave(&sql);
	return (Datum) 0;
}

/* Refuse callers who could not restore the guards by hand. */
static void
require_owner(void)
{
	if (am_tables_owner())
		return;
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("only the owner of the extension's tables may restore their guards"),
			 errdetail("The role is neither the owner nor a member of it."),
			 errhint("Act as the owner; promote.verify_audit() says whether there is anything to restore.")));
}

/* A guard that is not as it must be. */
typedef struct Guard
{
	char	   *table;
	char	   *trigger;
	char	   *problem;
	char	   *remedy;			/* commands */
} Guard;

/* Restore the guards.  Record which of them were not as they must be, in the chain for what has no project. */
static void
restore_guards(const Sql *sql, FunctionCallInfo fcinfo)
{
	static const SqlField fields[] = {
		SQL_FIELD(Guard, table, "g.table_name"), SQL_FIELD(Guard, trigger, "g.trigger_name"),
		SQL_FIELD(Guard, problem, "g.problem"), SQL_FIELD(Guard, remedy, "g.remedy")
	};
	static Statement find = SQL_ROWS(fields, "SELECT $* FROM promote_internal.guard_problems() AS g");
	SqlRows		guards = sql_run(sql, &find);
	JsonBuilder facts;
	Guard		guard;

	if (guards.count == 0)
		return;
	audit_begin(&facts);
	json_build_array_field(&facts, "guards");
	for (uint64 i = 0; sql_row(&guards, i, &guard); i++)
	{
		char	   *words = psprintf("%s of %s: %s", guard.trigger, guard.table, guard.problem);

		sql_command(sql, guard.remedy);
		json_build_string(&facts, words, strlen(words));
		result_put(fcinfo, AS_TEXT(guard.table), AS_TEXT(guard.trigger), AS_TEXT(guard.problem));
	}
	json_build_end_array(&facts);
	audit_note_facts(sql, AUDIT_NO_PROJECT, AUDIT_NO_PROJECT, "guards.restored", &facts);
}

/* promote.restore_guards() returns table, see sql/ledger/verify.sql */
Datum
promote_restore_guards(PG_FUNCTION_ARGS)
{
	Sql			sql;

	require_owner();
	require_accountable(rights_role());
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	/* nobody else may append to that chain meanwhile */
	sql_command(&sql, "LOCK TABLE promote.audit_log IN SHARE ROW EXCLUSIVE MODE");
	restore_guards(&sql, fcinfo);
	sql_leave(&sql);
	return (Datum) 0;
}
