/*
 * result.h: the rows that functions return, made of values as statements are called with.
 */
#ifndef PROMOTE_BASE_RESULT_H
#define PROMOTE_BASE_RESULT_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"

/* The one row of a function that returns a record: (fcinfo, values...), in the order of its columns. */
#define result_row(fcinfo, ...) result_form(fcinfo, SQL_CALL(__VA_ARGS__))
/* Another row of a function that returns a set, behind InitMaterializedSRF: (fcinfo, values...). */
#define result_put(fcinfo, ...) result_add(fcinfo, SQL_CALL(__VA_ARGS__))

extern Datum result_form(FunctionCallInfo fcinfo, const SqlValue *values, int count);
extern void result_add(FunctionCallInfo fcinfo, const SqlValue *values, int count);
extern void result_add_rows(FunctionCallInfo fcinfo, const SqlRows *rows);
extern void result_rows(FunctionCallInfo fcinfo, const SqlRows *rows);

#endif							/* PROMOTE_BASE_RESULT_H */
