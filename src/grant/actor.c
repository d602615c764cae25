/*
 * actor.c: who is acting.  All else asks here.
 *
 * Rights are those of whom the code that runs runs as: of the role that was
 * logged in as or taken by SET ROLE, or of the owner of a SECURITY DEFINER
 * function.  What is recorded is whose session it is: the database role, by
 * login or SET ROLE, and beside it the actor, who is the person.
 *
 * Whoever may impersonate (promote.grants) says who the person is, by the
 * setting promote.actor or by SET ROLE.  Anybody else is who they logged in
 * as, whatever role they take: a group that one is a member of makes nobody
 * another person.  All that is judged at every use, for a setting may be there
 * before its rules are: from ALTER ROLE, a connection's options, or another
 * role.
 *
 * Code that is not the session's acts in its name only if its role may
 * impersonate, and nobody is named where PostgreSQL itself runs somebody's
 * code in a session that has not called it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"

PG_FUNCTION_INFO_V1(promote_current_actor);
PG_FUNCTION_INFO_V1(promote_current_database_role);

#define ACTOR_MAX_LENGTH 255

/* promote.actor: the person on whose behalf the session acts; '' for none. */
static char *actor_setting;
static struct config_generic *actor_variable;	/* what PostgreSQL knows of the setting */
static bool is_unheard = false; /* it named somebody, and was not taken over */

/*
 * Is a character one that is not seen, or that changes how others are seen?
 * Controls, blanks that are none of ASCII's, what joins, parts or turns text,
 * and what is ignored: by them one name would look like another.
 */
static bool
is_hidden(pg_wchar c)
{
	static const struct
	{
		pg_wchar	first;
		pg_wchar	last;
	}			hidden[] = {
		{0x00, 0x1f}, {0x7f, 0xa0}, {0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c}, {0x115f, 0x1160},
		{0x1680, 0x1680}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x2000, 0x200f}, {0x2028, 0x202f},
		{0x205f, 0x206f}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},
		{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}
	};

	for (int i = 0; i < lengthof(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return false;
}

/* Does a name hold such a character?  In encodings other than UTF-8, ASCII's alone are known. */
static bool
holds_hidden(const char *name)
{
	bool		unicode = GetDatabaseEncoding() == PG_UTF8;

	for (; *name; name += unicode ? pg_utf_mblen((const unsigned char *) name) : 1)
		if ((unicode || (unsigned char) *name < 0x80) &&
			is_hidden(unicode ? utf8_to_unicode((const unsigned char *) name) : (unsigned char) *name))
			return true;
	return false;
}

/*
 * An actor is a printable name: it ends up in reports and on terminals, where
 * it has to be told from others.  A connection's options come as bytes that
 * nobody has looked at.
 */
static bool
check_actor(char **newval, void **extra, GucSource source)
{
	Size		length = strlen(*newval);

	if (length > ACTOR_MAX_LENGTH)
		GUC_check_errdetail("An actor's name has at most %d bytes.", ACTOR_MAX_LENGTH);
	else if (!pg_verify_mbstr(GetDatabaseEncoding(), *newval, length, true))
		GUC_check_errdetail("An actor's name is text in the encoding of the database.");
	else if (holds_hidden(*newval))
		GUC_check_errdetail("An actor's name holds no control characters, and none that cannot be seen.");
	else if (length > 0 && ((*newval)[0] == ' ' || (*newval)[length - 1] == ' '))
		GUC_check_errdetail("An actor's name neither begins nor ends with a blank.");
	else
		return true;
	return false;
}

/* What is set is known. */
static void
assign_actor(const char *newval, void *extra)
{
	is_unheard = false;
}

/*
 * Define the setting promote.actor.  What was set before the library was loaded
 * PostgreSQL hands over, but not beside parallel workers: then nobody is named
 * before it is set again.
 */
void
actor_init(void)
{
	const char *before = IsInParallelMode() ? GetConfigOption("promote.actor", true, false) : NULL;
	bool		names = before && before[0];

	DefineCustomStringVariable("promote.actor",
							   "Sets who is recorded as the actor.",
							   "The person or program on whose behalf the session acts, at most 255 bytes. "
							   "It is recorded beside the database role, which nobody can choose, and takes "
							   "the grant impersonate; where it is empty the role stands for it.",
							   &actor_setting,
							   "",
							   PGC_USERSET,
							   0,
							   check_actor,
							   assign_actor,
							   NULL);
	actor_variable = setting_by_name("promote.actor");
	is_unheard = names && actor_setting[0] == '\0';
}

/* Refuse to name anybody for code that the session has not called. */
static void
refuse_uncalled(void)
{
	if (is_uncalled())
		ereport(ERROR,
				(errcode(PM_UNCALLED),
				 errmsg("not allowed: to act in what the server does with the objects of role \"%s\"",
						GetUserNameFromId(rights_role(), false)),
				 errdetail("Functions of indexes, of materialized views and of what follows foreign keys run in sessions that have not called them."),
				 errhint("Call it in a statement of your own.")));
}

/* May a role say that somebody else is acting? */
static bool
may_impersonate(Oid role)
{
	return grants_role_may(role, "impersonate", NULL, NULL);
}

/*
 * Refuse a role whose code acts in a session that is another's: nobody has
 * called it, or it is a SECURITY DEFINER function of who may not act for
 * others.  With rights_role() as it was before any scope of sql.h.
 */
void
require_accountable(Oid role)
{
	refuse_uncalled();
	if (role == session_role() || may_impersonate(role))
		return;
	ereport(ERROR,
			(errcode(PM_IMPERSONATION),
			 errmsg("not allowed: to act for role \"%s\"", GetUserNameFromId(session_role(), false)),
			 errdetail("This is code of role \"%s\", in a session of another's, and the role has no grant \"impersonate\".",
					   GetUserNameFromId(role, false)),
			 errhint("Let whoever may act for others own the SECURITY DEFINER function, or have it granted: promote.grant_action.")));
}

/* The name of the role that the session acts as; PM_UNCALLED where it has not called the code that runs. */
const char *
current_database_role(void)
{
	refuse_uncalled();
	return GetUserNameFromId(session_role(), false);
}

/* Who owns the database. */
static Oid
database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Whose word the setting promote.actor is.  PostgreSQL keeps which role has
 * made it, also for parallel workers, but takes what ALTER DATABASE and ALTER
 * ROLE say for the server's own.
 */
static Oid
named_by(void)
{
	switch (actor_variable->source)
	{
		case PGC_S_DATABASE:
			return database_owner();
		case PGC_S_USER:
		case PGC_S_DATABASE_USER:
			return login_role();
		default:
			return actor_variable->srole;
	}
}

/* The role that may not name others, of the two that it takes; InvalidOid: both may. */
static Oid
unfit_to_name(void)
{
	Oid			by = named_by();

	if (!may_impersonate(session_role()))
		return session_role();
	return by == session_role() || may_impersonate(by) ? InvalidOid : by;
}

/*
 * Who acts where promote.actor names nobody: the role that the session acts
 * as, if its login may impersonate; else the login.
 */
static const char *
own_name(void)
{
	Oid			login = login_role();
	Oid			role = session_role();

	return GetUserNameFromId(login == role || may_impersonate(login) ? role : login, false);
}

/* Refuse to name somebody where the setting named another, whom nobody knows any more. */
static void
refuse_unheard(void)
{
	if (is_unheard)
		ereport(ERROR,
				(errcode(PM_IMPERSONATION),
				 errmsg("it is not known whom promote.actor names"),
				 errdetail("It was set before promote was loaded, which then was beside parallel workers."),
				 errhint("Set it again, or add promote to session_preload_libraries.")));
}

/*
 * The actor; PM_IMPERSONATION where promote.actor names one without the right
 * to: that takes the role that the session acts as, for it is recorded as the
 * one that vouches, and the one that has made the setting.
 */
const char *
current_actor(void)
{
	const char *own;
	const char *role;
	Oid			unfit;

	refuse_uncalled();
	refuse_unheard();
	if (actor_setting == NULL || actor_setting[0] == '\0')
		return own_name();
	unfit = unfit_to_name();
	if (!OidIsValid(unfit))
		return actor_setting;
	own = own_name();
	role = GetUserNameFromId(unfit, true);
	if (strcmp(own, actor_setting) != 0)
		ereport(ERROR,
				(errcode(PM_IMPERSONATION),
				 errmsg("not allowed: to act as \"%s\"", actor_setting),
				 errdetail("The setting promote.actor names another than \"%s\", and role \"%s\" has no grant \"impersonate\".",
						   own, role ? role : "that is gone"),
				 errhint("RESET promote.actor, or let whoever administers the grants give it: promote.grant_action.")));
	return own;
}

/* Who is acting, by both names. */
Person
current_person(void)
{
	return (Person) {.actor = current_actor(),.database_role = current_database_role()};
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

/* May whoever is one of the roles act as the other? */
static bool
shares_role(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || role_is_member(a, b) || role_is_member(b, a);
}

/* Did nobody say who acted by that role? */
static bool
is_unnamed(const Person *person)
{
	return strcmp(person->actor, person->database_role) == 0;
}

/*
 * Are both the same person, as far as is known?  By their actors, who may be
 * roles that one of them can take.  And whoever acts by a service's role
 * without being named may be any of those that it names.
 */
bool
same_person(const Person *a, const Person *b)
{
	return shares_role(a->actor, b->actor) ||
		((is_unnamed(a) || is_unnamed(b)) && shares_role(a->database_role, b->database_role));
}

/*
 * Why somebody does not speak as a member of a role, as the catalogs and the
 * grants are now; NULL: they do.  The role that they acted as has to be one;
 * and if it cannot vouch for the actor, the actor has to be able to take it.
 */
const char *
not_member_because(const Person *person, const char *role)
{
	const char *own = person->database_role;

	if (!role_exists(own))
		return psprintf("role \"%s\" does not exist any more", own);
	if (!role_is_member(own, role))
		return psprintf("role \"%s\" is no member of \"%s\" any more", own, role);
	if (is_unnamed(person) || may_impersonate(get_role_oid(own, false)))
		return NULL;
	if (!role_exists(person->actor))
		return psprintf("role \"%s\" may not act for \"%s\" any more", own, person->actor);
	if (!role_is_member(person->actor, own))
		return psprintf("role \"%s\" is no member of \"%s\" any more", person->actor, own);
	return NULL;
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
