/*
 * release.h: blocking releases and finding them.
 */
#ifndef PROMOTE_REGISTRY_RELEASE_H
#define PROMOTE_REGISTRY_RELEASE_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "base/compat.h"
#include "base/sql.h"

/* The release that was found unblocked last, of many that are judged together. */
typedef struct ReleaseSeen
{
	const char *bundle;			/* NULL: none was */
	const char *version;
} ReleaseSeen;

/* What proposals need of a release. */
typedef struct Release
{
	char	   *version;		/* NULL: there is no such release */
	Jsonb	   *schema;
	Jsonb	   *slots;			/* for remote references; NULL: none */
	char	   *block_reason;	/* NULL: it is not blocked */
} Release;

extern void release_take(const char *bundle, const char *version, Snapshot snapshot, Release *release);
extern char *release_newest(const char *bundle, const char *version_constraint, const char *release_channel,
							Snapshot snapshot);
pg_noreturn extern void refuse_blocked_release(const char *bundle, const char *version, const char *reason);
extern Jsonb *release_schema(const Sql *sql, const char *bundle, const char *version, bool read_only);
extern void release_require_unblocked(const Sql *sql, const char *bundle, const char *version, ReleaseSeen *seen);
extern void refuse_no_release(const Sql *sql, const char *bundle, const char *version_constraint,
							  const char *release_channel);

#endif							/* PROMOTE_REGISTRY_RELEASE_H */
