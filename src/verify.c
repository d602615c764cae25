/*
 * verify.c: who may ask whether the record is whole.  How that is found out is
 * in sql/verify.sql.
 */
#include "postgres.h"

#include "grants.h"
#include "spi.h"
#include "stage.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_verify_audit);

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
	if (space && key[length] == '\0' && strncmp(subject, "project ", strlen("project ")) != 0)
		return NULL;
	return pnstrdup(key, length);
}

/*
 * promote.verify_audit(subject text) returns table, see sql/verify.sql
 *
 * Who verifies sees what is wrong with anything of the project: its auditors and admins.
 */
Datum
promote_verify_audit(PG_FUNCTION_ARGS)
{
	static Statement read = {
		.text = "SELECT p.project, p.subject, p.seq, p.problem FROM promote.audit_problems($1) AS p",
		.parameters = 1,
		.types = {TEXTOID}
	};
	char	   *subject = argument_text(fcinfo, 0);
	bool		nulls[1];
	Datum		values[1];
	ReturnSetInfo *result;
	SpiScope	scope;

	access_require_in("audit", subject ? subject_project(subject) : NULL, NULL);
	values[0] = text_or_null(subject, &nulls[0]);
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	spi_enter(&scope);
	statement_run(&read, values, nulls, true);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	spi_leave(&scope);
	return (Datum) 0;
}
