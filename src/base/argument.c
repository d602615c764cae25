/*
 * argument.c: reading the arguments of SQL functions, and refusing empty ones.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"

/*
 * A text argument as a C string; NULL for SQL NULL.  Raises PM_TOO_LARGE for a text that is
 * longer than any name or reason.
 */
char *
argument_text(FunctionCallInfo fcinfo, int argument)
{
	text	   *value;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = PG_GETARG_TEXT_PP(argument);
	if (VARSIZE_ANY_EXHDR(value) > ARGUMENT_MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("a text is too large"),
				 errdetail("It has %zu bytes, and may have %d.", VARSIZE_ANY_EXHDR(value),
						   ARGUMENT_MAX_BYTES),
				 errhint("Say it in fewer words, or in parts.")));
	return text_to_cstring(value);
}

/*
 * An argument that is a time; NULL means now(), when the transaction began.  Raises
 * PM_INVALID_ARGUMENT for an infinite time.
 */
TimestampTz
argument_time(FunctionCallInfo fcinfo, int argument, const char *name)
{
	TimestampTz at = PG_ARGISNULL(argument) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(argument);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the time \"%s\" is out of bounds", name),
				 errdetail("It is infinite."),
				 errhint("Pass a point in time.")));
	return at;
}

/* A boolean argument; NULL means the default. */
bool
argument_bool(FunctionCallInfo fcinfo, int argument, bool otherwise)
{
	return PG_ARGISNULL(argument) ? otherwise : PG_GETARG_BOOL(argument);
}

/* Refuse an argument that is null or empty. */
static void
refuse_missing(const char *name)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("the %s is missing", name),
			 errdetail("The argument is null or empty."),
			 errhint("Pass it.")));
}

/* A text argument that may be neither NULL nor blank. */
char *
argument_required(FunctionCallInfo fcinfo, int argument, const char *name)
{
	char	   *value = argument_text(fcinfo, argument);

	if (value == NULL || value[strspn(value, " \t\r\n")] == '\0')
		refuse_missing(name);
	return value;
}

/* The number of a deployment or of a claim, which may not be NULL. */
int32
argument_number(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		refuse_missing(name);
	return PG_GETARG_INT32(argument);
}
