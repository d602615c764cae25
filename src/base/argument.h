/*
 * argument.h: reading the arguments of SQL functions.
 */
#ifndef PROMOTE_BASE_ARGUMENT_H
#define PROMOTE_BASE_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"

#define ARGUMENT_MAX_BYTES (1024 * 1024)	/* of a text argument */
#define ARGUMENT_MAX_ELEMENTS 100000	/* of an array that a set is called with */

pg_noreturn extern void argument_missing(const char *name);
extern char *argument_text(FunctionCallInfo fcinfo, int argument);
extern TimestampTz argument_time(FunctionCallInfo fcinfo, int argument, const char *name);
extern bool argument_bool(FunctionCallInfo fcinfo, int argument, bool otherwise);
extern char *argument_required(FunctionCallInfo fcinfo, int argument, const char *name);
extern int32 argument_number(FunctionCallInfo fcinfo, int argument, const char *name);
extern NullableDatum *argument_array(FunctionCallInfo fcinfo, int argument, const char *name, Oid type, bool required,
									 int *count);

#endif							/* PROMOTE_BASE_ARGUMENT_H */
