/*
 * argument.c: reading the arguments of SQL functions, and refusing empty ones.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
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
void
argument_missing(const char *name)
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
		argument_missing(name);
	return value;
}

/* The number of a deployment or of a claim, which may not be NULL. */
int32
argument_number(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		argument_missing(name);
	return PG_GETARG_INT32(argument);
}

/* Refuse an array that does not fit. */
static void
refuse_array(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("the array \"%s\" does not fit", name),
			 errdetail("%s", detail),
			 errhint("Pass one-dimensional arrays of the same length, with up to %d elements.",
					 ARGUMENT_MAX_ELEMENTS)));
}

/*
 * The elements of an array that a set is called with: as many as count says, which is set where it is -1, by the first
 * of them.  NULL where the argument is and is not required.  Raises PM_INVALID_ARGUMENT for an array that does not fit.
 */
NullableDatum *
argument_array(FunctionCallInfo fcinfo, int argument, const char *name, Oid type, bool required, int *count)
{
	NullableDatum *elements;
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	int			found;
	int16		length;
	bool		by_value;
	char		alignment;

	if (PG_ARGISNULL(argument) && required)
		refuse_array(name, "It is null.");
	if (PG_ARGISNULL(argument))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		refuse_array(name, "It has more than one dimension.");
	found = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (found > ARGUMENT_MAX_ELEMENTS)
		refuse_array(name, psprintf("It has %d elements.", found));
	if (*count >= 0 && found != *count)
		refuse_array(name, psprintf("It has %d elements, and the first array has %d.", found, *count));
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(array, type, length, by_value, alignment, &values, &nulls, &found);
	*count = found;
	elements = palloc(Max(found, 1) * sizeof(NullableDatum));
	for (int i = 0; i < found; i++)
		elements[i] = (NullableDatum) {values[i], nulls[i]};
	return elements;
}
