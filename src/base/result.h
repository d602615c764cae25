/*
 * result.h: the rows that SQL functions return, made of the same values that statements are
 * called with.
 */
#ifndef PROMOTE_BASE_RESULT_H
#define PROMOTE_BASE_RESULT_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"

/* The single row of a function that returns a record: (fcinfo, values...), in the order of the columns. */
#define result_row(fcinfo, ...) result_form(fcinfo, SQL_CALL(__VA_ARGS__))
/* Add a row to the result of a function that returns a set, after InitMaterializedSRF: (fcinfo, values...). */
#define result_put(fcinfo, ...) result_add(fcinfo, SQL_CALL(__VA_ARGS__))

extern Datum result_form(FunctionCallInfo fcinfo, const SqlValue *values, int count);
extern void result_add(FunctionCallInfo fcinfo, const SqlValue *values, int count);
extern void result_add_rows(FunctionCallInfo fcinfo, const SqlRows *rows);
extern void result_rows(FunctionCallInfo fcinfo, const SqlRows *rows);

#endif							/* PROMOTE_BASE_RESULT_H */
