/*
 * check.c: what a CHECK says where it refuses a row.
 *
 * Of a CHECK that is false PostgreSQL tells the name.  One that calls this
 * function is true, or raises what is wrong and how to put it right.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/errors.h"

PG_FUNCTION_INFO_V1(promote_check_value);

/*
 * promote_internal.check_value(fits boolean, what text, rule text, remedy
 * text) returns boolean: true, or PM_INVALID_ARGUMENT.  It is strict: what is
 * NULL passes, as in any CHECK.  The value itself is not shown.
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
