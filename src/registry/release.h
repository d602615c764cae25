/*
 * release.h: blocking releases and finding them.
 */
#ifndef PROMOTE_REGISTRY_RELEASE_H
#define PROMOTE_REGISTRY_RELEASE_H

#include "postgres.h"

#include "base/compat.h"
#include "base/sql.h"

pg_noreturn extern void refuse_blocked_release(const char *bundle, const char *version, const char *reason);
extern void release_require_unblocked(const Sql *sql, const char *bundle, const char *version);
extern void refuse_no_release(const Sql *sql, const char *bundle, const char *version_constraint,
							  const char *release_channel);

#endif							/* PROMOTE_REGISTRY_RELEASE_H */
