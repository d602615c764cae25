/*
 * role.c: the role whose rights count, and the role of the session.  No other file asks
 * PostgreSQL for these.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"

#include "base/sql.h"
#include "grant/role.h"

static bool asks_policy = false;	/* is a policy being asked? */

/*
 * The role whose rights count: the one that the code runs as.  Between sql_enter and sql_leave
 * that is the tables' owner, so call this before, or use Sql.user.
 */
Oid
rights_role(void)
{
	return GetUserId();
}

/*
 * The role that the session acts as, by SET ROLE or by login.  The owner of a SECURITY DEFINER
 * function on the way does not change it.
 */
Oid
session_role(void)
{
	return GetOuterUserId();
}

/* The role that logged in, or that SET SESSION AUTHORIZATION put in its place. */
Oid
login_role(void)
{
	return GetSessionUserId();
}

/*
 * Could the caller act as a member of the role, by the code's role, the session's or the login?  The code's role is
 * rights_role() before the verb became the tables' owner.
 */
bool
is_caller_member(Oid rights, Oid role)
{
	return is_member_of_role_nosuper(rights, role) || is_member_of_role_nosuper(session_role(), role) ||
		is_member_of_role_nosuper(login_role(), role);
}

/*
 * Note whether a policy is being asked; policies run with the session's rights and cannot
 * write.  Returns what was noted before.
 */
bool
actor_asks_policy(bool asks)
{
	bool		was = asks_policy;

	asks_policy = asks;
	return was;
}

/*
 * Does PostgreSQL run this code as its owner, in a session that did not call it?  ANALYZE,
 * REFRESH and the like run the code of indexes and materialized views so, and foreign keys the
 * triggers on the rows that they change.  promote restricts policies in the same way, but asks
 * them on purpose.
 */
bool
is_uncalled(void)
{
	return (InSecurityRestrictedOperation() || InNoForceRLSOperation()) && !asks_policy;
}

/*
 * May the current user disable the tables' triggers?  Such a user may also load rows as they
 * are, as restoring a dump does, because that adds no power.
 */
bool
am_tables_owner(void)
{
	return has_privs_of_role(rights_role(), tables_owner()) || superuser_arg(rights_role());
}
