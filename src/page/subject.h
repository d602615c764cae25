/*
 * subject.h: what a page or a text is about.
 */
#ifndef PROMOTE_PAGE_SUBJECT_H
#define PROMOTE_PAGE_SUBJECT_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "registry/instance.h"

extern int32 subject_deployment(FunctionCallInfo fcinfo, const char *name, Sql *sql, InstanceKey *key);
extern bool subject_request(FunctionCallInfo fcinfo, Sql *sql, char **project, int32 *request);

#endif							/* PROMOTE_PAGE_SUBJECT_H */
