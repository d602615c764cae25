/*
 * access.h: refusing who may not.
 */
#ifndef PROMOTE_GRANT_ACCESS_H
#define PROMOTE_GRANT_ACCESS_H

#include "postgres.h"

#include "utils/array.h"

#include "parse/name.h"

/*
 * Refuse the current user where the action is not granted, PM701, and one whose
 * code may not act in this session, see require_accountable.  A verb calls it
 * before it becomes the owner, that is before sql_enter.
 */
extern void access_require(const char *action, const InstanceKey *key);
extern void access_require_in(const char *action, const char *project, const char *environment);

/*
 * Refuse a role that is not the current user in the same way: Sql.user, where
 * only what is read inside the scope says what the verb is about.
 */
extern void access_require_of(Oid role, const char *action, const char *project,
							  const char *environment);
extern void access_require_sight(const char *project);

/*
 * Where the current user may do something, as an array of promote.grants.scope;
 * NULL: everywhere.  Refuses who may nowhere.
 */
extern ArrayType *access_scopes(const char *action);

#endif							/* PROMOTE_GRANT_ACCESS_H */
