/*
 * timeline.h: what reports check of their arguments.
 */
#ifndef PROMOTE_REPORT_TIMELINE_H
#define PROMOTE_REPORT_TIMELINE_H

#include "postgres.h"

#include "fmgr.h"

/* The project of a report, argument 0.  Refuses one that is not there, or of which the caller sees nothing. */
extern char *report_project(FunctionCallInfo fcinfo);

#endif							/* PROMOTE_REPORT_TIMELINE_H */
