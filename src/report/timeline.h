/*
 * timeline.h: what reports check of their arguments.
 */
#ifndef PROMOTE_REPORT_TIMELINE_H
#define PROMOTE_REPORT_TIMELINE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

/* The project of a report, argument 0.  Refuses one that is not there, or of which the caller sees nothing. */
extern char *report_project(FunctionCallInfo fcinfo);

/* The two sides of a span of time, arguments 1 and 2, NULL for open.  Refuses one that ends before it begins. */
extern void report_take_span(FunctionCallInfo fcinfo, TimestampTz *since, TimestampTz *until);

/*
 * An environment of the project that an argument names, where the caller may do
 * something; NULL: none is named.  Refuses one that is not there.
 */
extern char *report_environment(FunctionCallInfo fcinfo, int argument, const char *action, const char *project);

#endif							/* PROMOTE_REPORT_TIMELINE_H */
