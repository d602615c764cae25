/*
 * role.h: the role whose rights count, and the role of the session.
 */
#ifndef PROMOTE_GRANT_ROLE_H
#define PROMOTE_GRANT_ROLE_H

#include "postgres.h"

extern Oid	rights_role(void);
extern Oid	session_role(void);
extern Oid	login_role(void);
extern bool is_caller_member(Oid rights, Oid role);
extern bool actor_asks_policy(bool asks);
extern bool is_uncalled(void);
extern bool am_tables_owner(void);

#endif							/* PROMOTE_GRANT_ROLE_H */
