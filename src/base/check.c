/*
 * check.c: error messages for CHECK constraints.
 *
 * For a CHECK that fails, PostgreSQL shows only the constraint's name.  A CHECK that calls
 * this function either holds or raises an error that says what is wrong and how to correct it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/errors.h"

PG_FUNCTION_INFO_V1(promote_check_value);

/*
 * promote_internal.check_value(fits boolean, what text, rule text, remedy text) returns
 * boolean: true, or the error PM_INVALID_ARGUMENT.  The function is strict, so NULL passes as
 * in any CHECK.  The error does not show the value.
 */
Datum
promote_check_value(PG_FUNCTION_ARGS)
{
	if (!PG_GETARG_BOOL(0))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("invalid %s", text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errdetail("%s", text_to_cstring(PG_GETARG_TEXT_PP(2))),
				 errhint("%s", text_to_cstring(PG_GETARG_TEXT_PP(3)))));
	PG_RETURN_BOOL(true);
}
