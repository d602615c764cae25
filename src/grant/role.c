/*
 * role.c: whose rights count, and whose session it is: no other file asks PostgreSQL.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"

#include "base/sql.h"
#include "grant/role.h"

static bool asks_policy = false;	/* is one being asked? */

/*
 * Whose rights count: those of the role that the code runs as.  Inside a scope
 * of sql.h that is the tables' owner, so ask before, or take Sql.user.
 */
Oid
rights_role(void)
{
	return GetUserId();
}

/*
 * The role that the session acts as: the one of SET ROLE or of the login,
 * not that of a SECURITY DEFINER function on the way.
 */
Oid
session_role(void)
{
	return GetOuterUserId();
}

/* Who has logged in, or was put in their place by SET SESSION AUTHORIZATION. */
Oid
login_role(void)
{
	return GetSessionUserId();
}

/* Could whoever calls act as a member of the role, by the code's role, the session's, or the login? */
bool
is_caller_member(Oid role)
{
	return is_member_of_role_nosuper(rights_role(), role) || is_member_of_role_nosuper(session_role(), role) ||
		is_member_of_role_nosuper(login_role(), role);
}

/* Say whether a policy is being asked, with the session's rights and unable to write; returns what was. */
bool
actor_asks_policy(bool asks)
{
	bool		was = asks_policy;

	asks_policy = asks;
	return was;
}

/*
 * Is this code that PostgreSQL runs as its owner, in a session that has not
 * called it?  That of a table's indexes and of materialized views, in ANALYZE,
 * REFRESH and the like, and that of triggers on what a foreign key changes.
 * Policies are restricted in the same way, by ourselves, and have been asked.
 */
bool
is_uncalled(void)
{
	return (InSecurityRestrictedOperation() || InNoForceRLSOperation()) && !asks_policy;
}

/*
 * May the current user switch off the tables' triggers?  Who may, may load
 * rows as they are, as a restored dump does: it gives away nothing.
 */
bool
am_tables_owner(void)
{
	return has_privs_of_role(rights_role(), tables_owner()) || superuser_arg(rights_role());
}
