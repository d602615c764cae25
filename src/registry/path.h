/*
 * path.h: the paths between environments.
 */
#ifndef PROMOTE_REGISTRY_PATH_H
#define PROMOTE_REGISTRY_PATH_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/sql.h"
#include "parse/name.h"

/* The path that was found last, between two environments. */
typedef struct PathSeen
{
	char		project[NAME_MAX_LENGTH + 1];	/* empty: none was */
	char		environment[NAME_MAX_LENGTH + 1];
	char		source[NAME_MAX_LENGTH + 1];
} PathSeen;

extern bool path_leads(const Sql *sql, const InstanceKey *key, const char *source, bool read_only, List **sources);
extern void path_require(const Sql *sql, const InstanceKey *key, const char *source, bool path_only, bool read_only,
						 PathSeen *seen);
extern char *path_next(const Sql *sql, const InstanceKey *source);

#endif							/* PROMOTE_REGISTRY_PATH_H */
