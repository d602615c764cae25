/*
 * access.h: refusing callers without a grant.
 */
#ifndef PROMOTE_GRANT_ACCESS_H
#define PROMOTE_GRANT_ACCESS_H

#include "postgres.h"

#include "utils/array.h"

#include "parse/name.h"

/*
 * Refuse the current user without a grant for the action, PM701, and code that may not act in
 * this session, see require_accountable.  A verb calls this before sql_enter, because
 * sql_enter makes it run as the owner.
 */
extern void access_require(const char *action, const InstanceKey *key);
extern void access_require_in(const char *action, const char *project, const char *environment);
extern void access_require_to_read(const char *action, const char *project, const char *environment);

/*
 * Refuse a role other than the current user in the same way.  A verb passes Sql.user where it
 * learns only inside the scope what it acts on.
 */
extern void access_require_of(Oid role, const char *action, const char *project,
							  const char *environment);
extern void access_require_still(const char *role, const char *action, const InstanceKey *key);
extern void access_require_sight(const char *project);

/*
 * Where the current user may do something, as an array of promote.grants.scope; NULL:
 * everywhere.  Refuses a user who may do it nowhere.
 */
extern ArrayType *access_scopes(const char *action);

#endif							/* PROMOTE_GRANT_ACCESS_H */
