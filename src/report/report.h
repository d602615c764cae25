/*
 * report.h: what was desired, or what ran.
 */
#ifndef PROMOTE_REPORT_REPORT_H
#define PROMOTE_REPORT_REPORT_H

#include "postgres.h"

#include "fmgr.h"

/* Does the argument ask for what ran, rather than for what was desired?  NULL asks for the default. */
extern bool argument_is_running(FunctionCallInfo fcinfo, int argument, bool otherwise);

#endif							/* PROMOTE_REPORT_REPORT_H */
