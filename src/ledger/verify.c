/*
 * verify.c: who may ask whether the record is whole, and who may put its guards
 * back.  How that is found out is in sql/ledger/verify.sql.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/sql.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/audit.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_verify_audit);
PG_FUNCTION_INFO_V1(promote_restore_guards);

/*
 * The project that a subject begins with: ecomm of ecomm-staging-db, of
 * request ecomm/3, and of ecomm itself.  NULL where it cannot be told.
 */
static char *
subject_project(const char *subject)
{
	const char *space = strchr(subject, ' ');
	const char *key = space ? space + 1 : subject;
	size_t		length = strcspn(key, space ? "/" : "-");

	/* a rule that goes by a name of its own */
	if (space && key[length] == '\0' && strncmp(subject, "project ", strlen("project ")) != 0 &&
		strncmp(subject, "line ", strlen("line ")) != 0)
		return NULL;
	return pnstrdup(key, length);
}

/*
 * promote.verify_audit(subject text, project text) returns table, see
 * sql/ledger/verify.sql
 *
 * Who verifies sees what is wrong with anything of the project: its auditors and admins.
 * Who may not audit all is told of chains of the project alone that a subject begins
 * with: of grants that is the name of a role, whose chain may be another project's.
 */
Datum
promote_verify_audit(PG_FUNCTION_ARGS)
{
	static OldStatement read = {
		.text = "SELECT p.project, p.subject, p.seq, p.problem FROM promote_internal.audit_problems($1, $2) AS p",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	char	   *subject = argument_text(fcinfo, 0);
	char	   *project = argument_text(fcinfo, 1);
	bool		nulls[2];
	Datum		values[2];
	ReturnSetInfo *result;
	Sql			sql;

	if (project == NULL && subject && !access_allowed("audit", NULL, NULL))
		project = subject_project(subject);
	access_require_in("audit", project, NULL);
	values[0] = text_or_null(subject, &nulls[0]);
	values[1] = text_or_null(project, &nulls[1]);
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	sql_enter(&sql);
	statement_run(&sql, &read, values, nulls, true);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	sql_leave(&sql);
	return (Datum) 0;
}

/* Refuse whoever could not do by hand what restore_guards does. */
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

/* Record which guards were not what they are to be, in the chain of what belongs to no project. */
static void
record_guards(const Sql *sql, SPITupleTable *guards, uint64 count)
{
	JsonBuilder facts;

	audit_begin(&facts);
	json_build_key(&facts, "guards", strlen("guards"));
	json_build_begin_array(&facts);
	for (uint64 i = 0; i < count; i++)
	{
		char	   *guard = psprintf("%s of %s: %s", spi_text(guards, i, 2), spi_text(guards, i, 1), spi_text(guards, i, 3));

		json_build_string(&facts, guard, strlen(guard));
	}
	json_build_end_array(&facts);
	audit_note_facts(sql, AUDIT_NO_PROJECT, AUDIT_NO_PROJECT, "guards.restored", &facts);
}

/* promote.restore_guards() returns table, see sql/ledger/verify.sql */
Datum
promote_restore_guards(PG_FUNCTION_ARGS)
{
	static OldStatement find = {
		.text = "SELECT g.table_name, g.trigger_name, g.problem, g.remedy FROM promote_internal.guard_problems() AS g"
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SPITupleTable *guards;
	uint64		count;
	Sql			sql;

	require_owner();
	require_accountable(rights_role());
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	/* nobody else appends to that chain */
	sql_command(&sql, "LOCK TABLE promote.audit_log IN SHARE ROW EXCLUSIVE MODE");
	statement_run(&sql, &find, NULL, NULL, false);
	guards = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		for (int column = 0; column < 3; column++)
			values[column] = CStringGetTextDatum(spi_text(guards, i, column + 1));
		sql_command(&sql, spi_text(guards, i, 4));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	if (count > 0)
		record_guards(&sql, guards, count);
	sql_leave(&sql);
	return (Datum) 0;
}
