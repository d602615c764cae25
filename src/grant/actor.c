/*
 * actor.c: who is acting.  All other files ask this one.
 *
 * Rights are those of the role that the code runs as: the login's, that of SET ROLE, or the
 * owner's of a SECURITY DEFINER function.  The record names the session instead: its database
 * role, by login or SET ROLE, and the actor, who is the person.
 *
 * A role with the grant to impersonate (promote.grants) may name the person, by the setting
 * promote.actor or by SET ROLE.  For everybody else the actor is the login, whatever role they
 * take: membership of a group does not make somebody another person.  These rules are checked
 * at every use, because ALTER ROLE, connection options or another role may have made the
 * setting before the rules applied.
 *
 * Code of another role may act in the session's name only if that role may impersonate.  Where
 * PostgreSQL itself runs somebody's code in a session that did not call it, nobody can be
 * named.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
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

/* promote.actor: the person on whose behalf the session acts; '' for nobody. */
static char *actor_setting;
static struct config_generic *actor_variable;	/* the server's record of the setting */
static bool is_unheard = false; /* the setting named somebody when the library was loaded, and the value was lost */

/*
 * Is a character invisible, or does it change how others look?  Control characters, blanks
 * beyond ASCII, joiners, separators, marks of direction and ignored characters would make one
 * name look like another.
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

/* Does a name hold such a character?  In encodings other than UTF-8 only ASCII control characters are found. */
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
 * Check promote.actor.  An actor must be a printable name, because reports and terminals show
 * it and readers must be able to tell names apart.  Connection options arrive as bytes that
 * nobody has validated.
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

/* A new value replaces one that was lost. */
static void
assign_actor(const char *newval, void *extra)
{
	is_unheard = false;
}

/*
 * Define the setting promote.actor.  PostgreSQL hands over a value that was set before the
 * library was loaded, except with parallel workers.  Then the actor is unknown until the
 * setting is set again.
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

/* Refuse to name an actor for code that the session did not call. */
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

/*
 * Refuse to change anything on a standby, in words of its own, before PostgreSQL refuses the first statement or the
 * first lock that the change takes.
 */
void
require_primary(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("this server is a standby, and what changes something is called on the primary"),
				 errdetail("It follows the primary, and answers questions."),
				 errhint("Connect by target_session_attrs=primary.")));
}

/* May a role name somebody else as the actor? */
static bool
may_impersonate(Oid role)
{
	return grants_role_may(role, "impersonate", NULL, NULL);
}

/*
 * Refuse a role whose code acts in another role's session: code that the session did not call,
 * or a SECURITY DEFINER function whose owner may not impersonate.  The role is rights_role()
 * as it was before sql_enter.
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

/* The name of the role that the session acts as.  Raises PM_UNCALLED for code that the session did not call. */
const char *
current_database_role(void)
{
	refuse_uncalled();
	return GetUserNameFromId(session_role(), false);
}

/* The owner of the database. */
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
 * The role that made the setting promote.actor.  PostgreSQL keeps that role, also for parallel
 * workers, but treats ALTER DATABASE and ALTER ROLE as the server's own settings.
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

/* Naming an actor needs two roles that may impersonate: return the one that may not; InvalidOid: both may. */
static Oid
unfit_to_name(void)
{
	Oid			by = named_by();

	if (!may_impersonate(session_role()))
		return session_role();
	return by == session_role() || may_impersonate(by) ? InvalidOid : by;
}

/*
 * The actor where promote.actor names nobody: the role that the session acts as, if its login
 * may impersonate; otherwise the login.
 */
static const char *
own_name(void)
{
	Oid			login = login_role();
	Oid			role = session_role();

	return GetUserNameFromId(login == role || may_impersonate(login) ? role : login, false);
}

/*
 * Refuse to name an actor where promote.actor named one before the library was loaded and the
 * value was lost.
 */
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
 * The actor.  Raises PM_IMPERSONATION where promote.actor names somebody without the right
 * to.  Two roles need that right: the one that the session acts as, because the record says
 * that it vouches for the actor, and the one that made the setting.
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

/* Who is acting: the actor and the database role. */
Person
current_person(void)
{
	return (Person) {.actor = current_actor(),.database_role = current_database_role()};
}

/* The database role of a name, as it is now; InvalidOid: there is none. */
static Oid
role_now(const char *role)
{
	/* this session's caches do not know yet what was revoked while it waited for a lock */
	AcceptInvalidationMessages();
	return get_role_oid(role, true);
}

/* Does a database role of that name exist? */
bool
role_exists(const char *role)
{
	return OidIsValid(role_now(role));
}

/*
 * Is a database role another one, or a direct or indirect member of it?  A superuser counts as
 * a member only where it was made one.  Both names are looked up now, so a dropped role is a
 * member of nothing.
 */
bool
role_is_member(const char *member, const char *role)
{
	Oid			member_oid = role_now(member);
	Oid			role_oid = role_now(role);

	return OidIsValid(member_oid) && OidIsValid(role_oid) &&
		is_member_of_role_nosuper(member_oid, role_oid);
}

/* May either of two roles act as the other?  Most actors are no roles, so that one look-up tells. */
static bool
shares_role(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || (role_exists(a) && (role_is_member(a, b) || role_is_member(b, a)));
}

/* Did nobody name the person behind that role? */
static bool
is_unnamed(const Person *person)
{
	return strcmp(person->actor, person->database_role) == 0;
}

/*
 * Are two names the same person, as far as promote can tell?  They are if the actors are equal
 * or one is a role that the other can take.  A person who acted by a service's role without a
 * name may be any person whom that service names.
 */
bool
same_person(const Person *a, const Person *b)
{
	return shares_role(a->actor, b->actor) ||
		((is_unnamed(a) || is_unnamed(b)) && shares_role(a->database_role, b->database_role));
}

/*
 * Why somebody does not count as a member of a role, by the catalogs and grants of now; NULL:
 * they do.  The database role that they acted as must be a member.  If that role may not
 * impersonate, the actor must be able to take it.
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
