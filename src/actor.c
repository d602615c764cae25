/*
 * actor.c: who is acting: the database role, which nobody can choose, and the
 * person that the setting promote.actor names beside it.
 */
#include "postgres.h"

#include "actor.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"

PG_FUNCTION_INFO_V1(promote_current_actor);
PG_FUNCTION_INFO_V1(promote_current_database_role);

#define ACTOR_MAX_LENGTH 255

/* promote.actor: the person on whose behalf the session acts; '' for none. */
static char *actor_setting;

/* An actor is a printable name: it ends up in reports and on terminals. */
static bool
check_actor(char **newval, void **extra, GucSource source)
{
	Size		length = strlen(*newval);

	if (length > ACTOR_MAX_LENGTH)
	{
		GUC_check_errdetail("An actor's name has at most %d bytes.", ACTOR_MAX_LENGTH);
		return false;
	}
	for (Size i = 0; i < length; i++)
		if ((unsigned char) (*newval)[i] < 0x20 || (*newval)[i] == 0x7f)
		{
			GUC_check_errdetail("An actor's name holds no control characters.");
			return false;
		}
	return true;
}

/* Define the setting promote.actor. */
void
actor_init(void)
{
	DefineCustomStringVariable("promote.actor",
							   "Sets who is recorded as the actor.",
							   "The person or program on whose behalf the session acts, at most 255 bytes. "
							   "It is recorded beside the database role, which nobody can choose; "
							   "where it is empty the role stands for it.",
							   &actor_setting,
							   "",
							   PGC_USERSET,
							   0,
							   check_actor,
							   NULL,
							   NULL);
}

/*
 * The role that the session acts as: the one of SET ROLE or of the login,
 * not that of a SECURITY DEFINER function on the way.
 */
const char *
current_database_role(void)
{
	return GetUserNameFromId(GetOuterUserId(), false);
}

/* The actor, or the role where none is set. */
const char *
current_actor(void)
{
	return actor_setting && actor_setting[0] ? actor_setting : current_database_role();
}

/* Is there a database role of that name? */
bool
role_exists(const char *role)
{
	return OidIsValid(get_role_oid(role, true));
}

/*
 * Is a database role another one, or a member of it, directly or through
 * others?  Being a superuser makes nobody a member.  Both by their names, as
 * they are now: a role that is gone is no member of any.
 */
bool
role_is_member(const char *member, const char *role)
{
	Oid			member_oid;
	Oid			role_oid;

	/* what was revoked while the session waited for a lock is not known to its caches yet */
	AcceptInvalidationMessages();
	member_oid = get_role_oid(member, true);
	role_oid = get_role_oid(role, true);
	return OidIsValid(member_oid) && OidIsValid(role_oid) &&
		is_member_of_role_nosuper(member_oid, role_oid);
}

/* promote.current_actor() returns text */
Datum
promote_current_actor(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(current_actor()));
}

/* promote.current_database_role() returns text */
Datum
promote_current_database_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(current_database_role()));
}
