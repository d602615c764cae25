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

#define ACTION_NAMES "view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, admin and impersonate"

/*
 * Refuse the current user where the action is not granted, PM701.  A verb
 * calls it before it becomes the owner, that is before spi_enter.
 */
extern void access_require(const char *action, const InstanceKey *key);
extern void access_require_in(const char *action, const char *project, const char *environment);

extern bool access_allowed(const char *action, const char *project, const char *environment);
extern bool access_role_may(Oid role, const char *action, const char *project,
							const char *environment);
extern bool access_is_action(const char *action);
extern bool access_is_marked(Oid role);
extern bool access_is_exempt(void);
extern void access_changed(void);

#endif							/* PROMOTE_GRANTS_H */
