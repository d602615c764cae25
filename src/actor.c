/*
 * actor.c: who is acting: the database role, which nobody can choose, and
 * beside it the actor, who is the person.
 *
 * Whoever may impersonate (promote.grants) says who the person is, by the
 * setting promote.actor or by SET ROLE.  Anybody else is who they logged in
 * as, whatever role they take: a group that one is a member of makes nobody
 * another person.  All that is judged at every use, for a setting may be there
 * before its rules are: from ALTER ROLE, a connection's options, or another
 * role.
 */
#include "postgres.h"

#include "actor.h"
#include "errors.h"
#include "grants.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
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

/* Define the setting promote.actor. */
void
actor_init(void)
{
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

/* May a role say that somebody else is acting? */
static bool
may_impersonate(Oid role)
{
	return access_role_may(role, "impersonate", NULL, NULL);
}

/*
 * Who acts where promote.actor names nobody: the role that the session acts
 * as, if its login may impersonate; else the login.
 */
static const char *
own_name(void)
{
	Oid			login = GetSessionUserId();
	Oid			role = GetOuterUserId();

	return GetUserNameFromId(login == role || may_impersonate(login) ? role : login, false);
}

/* The actor; PM_IMPERSONATION where promote.actor names one without the right to. */
const char *
current_actor(void)
{
	const char *own;

	if (actor_setting == NULL || actor_setting[0] == '\0')
		return own_name();
	if (may_impersonate(GetOuterUserId()))
		return actor_setting;
	own = own_name();
	if (strcmp(own, actor_setting) != 0)
		ereport(ERROR,
				(errcode(PM_IMPERSONATION),
				 errmsg("not allowed: to act as \"%s\"", actor_setting),
				 errdetail("The setting promote.actor names another than \"%s\", and role \"%s\" has no grant \"impersonate\".",
						   own, current_database_role()),
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
