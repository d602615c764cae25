/*
 * grants.h: who may do what.
 *
 * A grant is a row with a role, an action and a scope.  A role has a grant if it has the
 * privileges of the grant's role.  Superusers and the owner of the tables need no grants.
 */
#ifndef PROMOTE_GRANT_GRANTS_H
#define PROMOTE_GRANT_GRANTS_H

#include "postgres.h"

#include "utils/array.h"

#include "base/sql.h"

#define ACTION_NAMES "view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, register, publish, rules, import, admin, audit and impersonate"

/* To see rows: checked like an action, and implied by all actions but impersonate. */
#define GRANTS_ROWS "rows"

/* What a role, or the current user, may do. */
extern bool grants_role_may(Oid role, const char *action, const char *project, const char *environment);
extern bool grants_may(const char *action, const char *project, const char *environment);
extern bool grants_sees(const char *project);
extern bool grants_anywhere(const char *action);
extern ArrayType *grants_scopes(const char *action);
extern ArrayType *grants_projects(void);
extern Datum grants_all_projects(const Sql *sql);
extern bool grants_is_exempt(Oid role);

/* Actions. */
extern bool grants_is_action(const char *action);
extern bool grants_only_ask(const char *action);

/* For the code that writes grants. */
extern bool grants_is_marked(Oid role);
extern void grants_changed(void);

#endif							/* PROMOTE_GRANT_GRANTS_H */
