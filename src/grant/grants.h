/*
 * grants.h: who may do what.
 *
 * A grant is a row: a role, an action, and where it counts.  Whoever has the
 * privileges of that role has the grant.  The tables' owner and superusers
 * need none.
 */
#ifndef PROMOTE_GRANT_GRANTS_H
#define PROMOTE_GRANT_GRANTS_H

#include "postgres.h"

#include "utils/array.h"

#define ACTION_NAMES "view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, admin, audit and impersonate"

/* Asked for like an action, and granted with all of them but impersonating: to see rows. */
#define GRANTS_ROWS "rows"

/* What a role may, or the current user. */
extern bool grants_role_may(Oid role, const char *action, const char *project, const char *environment);
extern bool grants_may(const char *action, const char *project, const char *environment);
extern bool grants_sees(const char *project);
extern bool grants_anywhere(const char *action);
extern ArrayType *grants_scopes(const char *action);
extern ArrayType *grants_projects(void);
extern bool grants_is_exempt(void);

/* Actions. */
extern bool grants_is_action(const char *action);
extern bool grants_only_ask(const char *action);

/* For who writes grants. */
extern bool grants_is_marked(Oid role);
extern void grants_changed(void);

#endif							/* PROMOTE_GRANT_GRANTS_H */
