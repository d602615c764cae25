/*
 * grants.h: who may do what.
 *
 * A grant is a row: a role, an action, and where it counts.  Whoever has the
 * privileges of that role has the grant.  The tables' owner and superusers
 * need none.
 */
#ifndef PROMOTE_GRANTS_H
#define PROMOTE_GRANTS_H

#include "postgres.h"

#include "name.h"
#include "utils/array.h"

#define ACTION_NAMES "view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, admin, audit and impersonate"

/* Asked for like an action, and granted with all of them but impersonating: to see rows. */
#define ACCESS_ROWS "rows"

/*
 * Refuse the current user where the action is not granted, PM701, and one whose
 * code may not act in this session, see require_accountable.  A verb calls it
 * before it becomes the owner, that is before spi_enter.
 */
extern void access_require(const char *action, const InstanceKey *key);
extern void access_require_in(const char *action, const char *project, const char *environment);

/*
 * The same of a role that is not the current user: of SpiScope.user, where
 * only what is read inside the scope says what the verb is about.
 */
extern void access_require_of(Oid role, const char *action, const char *project,
							  const char *environment);

/* Does the current user see rows of anything of a project; with NULL, of anything at all? */
extern bool access_sees(const char *project);
extern void access_require_sight(const char *project);

/*
 * Where the current user may do something, as an array of promote.grants.scope;
 * NULL: everywhere.  Refuses who may nowhere.
 */
extern ArrayType *access_scopes(const char *action);
extern ArrayType *access_projects(void);

extern bool access_allowed(const char *action, const char *project, const char *environment);
extern bool access_role_may(Oid role, const char *action, const char *project,
							const char *environment);
extern bool access_is_action(const char *action);
extern bool access_is_marked(Oid role);
extern bool access_is_exempt(void);
extern void access_changed(void);

#endif							/* PROMOTE_GRANTS_H */
