/*
 * access.c: refusing callers without a grant, and code that may not act in the session.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"

#include "base/errors.h"
#include "base/refusal.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"

/* A scope in words, for messages. */
static char *
scope_words(const char *project, const char *environment)
{
	if (project == NULL)
		return environment ? psprintf("environments \"%s\" of all projects", environment) :
			pstrdup("all projects");
	return environment ? psprintf("environment \"%s\" of project \"%s\"", environment, project) :
		psprintf("all of project \"%s\"", project);
}

/* Refuse a role that was not granted the action in that scope, which is called so in words. */
static void
refuse_access(Oid role, const char *action, const char *project, const char *environment, const char *where)
{
	RefusalItems items = {.count = 0};
	const char *name = GetUserNameFromId(role, false);

	if (strcmp(action, GRANTS_ROWS) == 0)
		action = "view";
	refusal_item(&items, "role", name, "action", action, "project", project, "environment", environment);
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("not allowed: %s", action),
			 errdetail_items(psprintf("Role \"%s\" has no grant \"%s\" for %s.", name, action, where), "grants", &items),
			 errhint("Who has \"admin\" there can give it: promote.grant_action.")));
}

/*
 * Refuse a server where nothing is changed, and a role whose code may not act in this session.  The
 * actions view and audit only read, so they are allowed.
 */
static void
require_actor(Oid role, const char *action)
{
	if (grants_only_ask(action))
		return;
	require_primary();
	require_accountable(role);
}

/* Refuse a role without a grant for the action. */
static void
require_grant(Oid role, const char *action, const char *project, const char *environment)
{
	if (!grants_role_may(role, action, project, environment))
		refuse_access(role, action, project, environment, scope_words(project, environment));
}

/* Refuse a role that was not granted the action. */
void
access_require_of(Oid role, const char *action, const char *project, const char *environment)
{
	require_actor(role, action);
	require_grant(role, action, project, environment);
}

/* Refuse the current user unless the action was granted there, for what is only read. */
void
access_require_to_read(const char *action, const char *project, const char *environment)
{
	require_grant(rights_role(), action, project, environment);
}

/* Refuse the current user unless the action was granted there. */
void
access_require_in(const char *action, const char *project, const char *environment)
{
	access_require_of(rights_role(), action, project, environment);
}

/* Refuse the current user unless the action was granted for an instance. */
void
access_require(const char *action, const InstanceKey *key)
{
	access_require_in(action, key->project, key->environment);
}

/*
 * Refuse a role that has asked for something before and has no grant for it by now, or is gone.
 * Another session acts on its behalf.
 */
void
access_require_still(const char *role, const char *action, const InstanceKey *key)
{
	Oid			id = get_role_oid(role, true);

	if (!OidIsValid(id))
		ereport(ERROR,
				(errcode(PM_NOT_GRANTED),
				 errmsg("not allowed: %s", action),
				 errdetail("Role \"%s\", which has asked for it, does not exist any more.", role),
				 errhint("Ask for it as another role.")));
	if (!grants_role_may(id, action, key->project, key->environment))
		refuse_access(id, action, key->project, key->environment, scope_words(key->project, key->environment));
}

/*
 * Refuse the current user who may see nothing of a project.  The refusal does not tell whether
 * the project exists.
 */
void
access_require_sight(const char *project)
{
	if (!grants_sees(project))
		refuse_access(rights_role(), "view", project, NULL, project ? psprintf("anything of project \"%s\"", project) : "anything");
}

/* Where the current user may do something; NULL: everywhere.  Refuses a user who may do it nowhere. */
ArrayType *
access_scopes(const char *action)
{
	require_actor(rights_role(), action);
	if (grants_may(action, NULL, NULL))
		return NULL;
	if (!grants_anywhere(action))
		refuse_access(rights_role(), action, NULL, NULL, "anything");
	return grants_scopes(action);
}
