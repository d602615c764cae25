/*
 * reopen.h: opening names that are taken by what is over.
 */
#ifndef PROMOTE_DECLARE_REOPEN_H
#define PROMOTE_DECLARE_REOPEN_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/sql.h"

extern bool reopen_environment(const Sql *sql, const Jsonb *given);

#endif							/* PROMOTE_DECLARE_REOPEN_H */
