/*
 * grants.c: who may do what.
 *
 * What a role may is gathered from promote.grants once and kept until a
 * grant, a membership or a role changes, so that row-level security asks for
 * each row without reading anything.
 *
 * A row counts only while its role has a privilege on the table of its own,
 * which the row's trigger gives it (registry/grant.c).  DROP OWNED takes that away
 * with all others, and without it PostgreSQL drops no role: so a role that is
 * made again under an old name begins with nothing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/sql.h"
#include "grant/grants.h"
#include "grant/role.h"

PG_FUNCTION_INFO_V1(promote_may);
PG_FUNCTION_INFO_V1(promote_may_view);
PG_FUNCTION_INFO_V1(promote_visible_projects);

/* The actions; the bit of each in a mask is that of its place. */
static const char *const actions[] = {
	"view", "configure", "promote", "plan", "deploy", "approve", "override", "decommission",
	"secrets", "work", "admin", "audit", "impersonate"
};

#define VIEW 1
#define IMPERSONATE (1 << (lengthof(actions) - 1))
#define AUDIT (1 << (lengthof(actions) - 2))
#define ADMIN (1 << (lengthof(actions) - 3))
#define ROWS (1 << lengthof(actions))	/* to see rows: no action, but what actions imply */

/* Where actions are granted: '' stands for all. */
typedef struct Scope
{
	char		project[64];
	char		environment[64];
} Scope;

/* What is granted there. */
typedef struct Granted
{
	Scope		scope;			/* the key */
	uint32		actions;		/* by the very scope */
	uint32		within;			/* in some environment of that project; environment '' */
} Granted;

/* What one role may, as it was read last. */
static struct
{
	Oid			role;			/* InvalidOid: nothing was read, or it has changed since */
	bool		exempt;			/* it needs no grants */
	uint32		anywhere;		/* actions that it has somewhere */
	HTAB	   *scopes;			/* of Granted */
	Oid			table;			/* promote.grants */
}			held;

/* ---- keeping what was read ---- */

/* Forget it: a role or a membership has changed. */
static void
forget_roles(Datum argument, int cache, uint32 hash)
{
	held.role = InvalidOid;
}

/* Forget it: a grant has changed, or a privilege on their table, or its owner. */
static void
forget_grants(Datum argument, Oid relation)
{
	if (relation == InvalidOid || relation == held.table)
		held.role = InvalidOid;
}

/* Tell all sessions, at commit, and this one at once that grants have changed. */
void
grants_changed(void)
{
	CacheInvalidateRelcacheByRelid(table_oid("grants"));
}

/* Has the role itself a privilege on the table of grants? */
bool
grants_is_marked(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table_oid("grants")));
	bool		isnull;
	Datum		value;
	bool		found = false;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for table promote.grants");
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
	{
		Acl		   *acl = DatumGetAclP(value);

		for (int i = 0; i < ACL_NUM(acl); i++)
			found |= ACL_DAT(acl)[i].ai_grantee == role &&
				(ACLITEM_GET_PRIVS(ACL_DAT(acl)[i]) & ACL_SELECT) != 0;
	}
	ReleaseSysCache(tuple);
	return found;
}

/* The bit of an action, or of what actions imply; 0: there is none of that name. */
static uint32
action_bit(const char *action)
{
	if (strcmp(action, GRANTS_ROWS) == 0)
		return ROWS;
	for (int i = 0; i < lengthof(actions); i++)
		if (strcmp(actions[i], action) == 0)
			return 1 << i;
	return 0;
}

/* Is there an action of that name? */
bool
grants_is_action(const char *action)
{
	return (action_bit(action) & ~ROWS) != 0;
}

/* A scope as the key of what is granted there; NULL stands for all. */
static Scope
make_scope(const char *project, const char *environment)
{
	Scope		scope;

	memset(&scope, 0, sizeof(scope));
	strlcpy(scope.project, project ? project : "", sizeof(scope.project));
	strlcpy(scope.environment, environment ? environment : "", sizeof(scope.environment));
	return scope;
}

/* The entry of a scope, made where there is none. */
static Granted *
granted_entry(const char *project, const char *environment)
{
	Scope		scope = make_scope(project, environment);
	bool		found;
	Granted    *entry = hash_search(held.scopes, &scope, HASH_ENTER, &found);

	if (!found)
		entry->actions = entry->within = 0;
	return entry;
}

/* A row of grants. */
typedef struct Grant
{
	char	   *role;
	char	   *project;		/* NULL: all */
	char	   *environment;	/* NULL: all */
	char	   *action;
} Grant;

/* Take one row of grants in, if it counts for the role. */
static void
take_grant(Oid role, const Grant *grant)
{
	Oid			grantee = get_role_oid(grant->role, true);
	uint32		bit = action_bit(grant->action);

	if (!OidIsValid(grantee) || !has_privs_of_role(role, grantee) || !grants_is_marked(grantee))
		return;
	granted_entry(grant->project, grant->environment)->actions |= bit;
	granted_entry(grant->project, NULL)->within |= bit;
	held.anywhere |= bit;
}

/* Read all grants that count for a role, as they are committed now. */
static void
read_grants(Oid role)
{
	static const SqlField fields[] = {
		SQL_FIELD(Grant, role, "g.role"), SQL_FIELD(Grant, project, "g.project"),
		SQL_FIELD(Grant, environment, "g.environment"), SQL_FIELD(Grant, action, "g.action")
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote.grants AS g");
	SqlRows		rows;
	Grant		grant;
	Sql			sql;

	sql_enter(&sql);
	sql_push_latest();
	rows = sql_read(&sql, &read);
	for (uint64 i = 0; sql_row(&rows, i, &grant); i++)
		take_grant(role, &grant);
	PopActiveSnapshot();
	sql_leave(&sql);
}

/* Watch what changes whose grants count, from the first question on. */
static void
watch_changes(void)
{
	static bool watching = false;

	if (watching)
		return;
	watching = true;
	CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_roles, (Datum) 0);
	CacheRegisterRelcacheCallback(forget_grants, (Datum) 0);
}

/* Begin anew.  An error on the way leaves nothing behind that is gone. */
static void
empty_access(void)
{
	HASHCTL		control = {.keysize = sizeof(Scope),.entrysize = sizeof(Granted)};
	HTAB	   *old = held.scopes;

	watch_changes();
	held.anywhere = 0;
	held.scopes = NULL;
	if (old)
		hash_destroy(old);
	held.table = table_oid("grants");
	held.scopes = hash_create("what promote grants to a role", 16, &control, HASH_ELEM | HASH_BLOBS);
}

/*
 * Have what a role may at hand.  What changes while it is read is read at the
 * next call: the callbacks reset held.role, which is set before.
 */
static void
load_access(Oid role)
{
	AcceptInvalidationMessages();
	if (OidIsValid(held.role) && held.role == role)
		return;
	held.role = InvalidOid;
	empty_access();
	held.exempt = superuser_arg(role) || has_privs_of_role(role, tables_owner());
	held.role = role;
	if (held.exempt)
		return;
	PG_TRY();
	{
		read_grants(role);
	}
	PG_CATCH();
	{
		held.role = InvalidOid;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* ---- asking ---- */

/* What is granted in a scope by itself, or in the environments within; 0: nothing. */
static uint32
granted_in(const char *project, const char *environment, bool within)
{
	Scope		scope = make_scope(project, environment);
	Granted    *entry = hash_search(held.scopes, &scope, HASH_FIND, NULL);

	return entry == NULL ? 0 : within ? entry->within : entry->actions;
}

/*
 * Do the actions in a mask allow one?  Each but impersonating implies to see
 * rows, and each but that and auditing to view; an admin may audit.
 */
static bool
allows(uint32 mask, uint32 action)
{
	if (action == ROWS)
		return (mask & ~IMPERSONATE) != 0;
	if (action == VIEW)
		return (mask & ~(IMPERSONATE | AUDIT)) != 0;
	if (action == AUDIT)
		return (mask & (AUDIT | ADMIN)) != 0;
	return (mask & action) != 0;
}

/*
 * May a role do that in an environment; in all of a project, NULL environment;
 * everywhere, NULL project?
 */
bool
grants_role_may(Oid role, const char *action, const char *project, const char *environment)
{
	uint32		bit = action_bit(action);
	uint32		mask;

	if (bit == 0)
		elog(ERROR, "\"%s\" is not an action", action);
	load_access(role);
	if (held.exempt)
		return true;
	mask = granted_in(NULL, NULL, false);
	if (project)
		mask |= granted_in(project, NULL, false);
	if (environment)
		mask |= granted_in(NULL, environment, false);
	if (project && environment)
		mask |= granted_in(project, environment, false);
	return allows(mask, bit);
}

/* May the current user? */
bool
grants_may(const char *action, const char *project, const char *environment)
{
	return grants_role_may(rights_role(), action, project, environment);
}

/* Does the current user need no grants? */
bool
grants_is_exempt(void)
{
	load_access(rights_role());
	return held.exempt;
}

/* Does the current user see rows of anything of a project; with NULL, of anything at all? */
bool
grants_sees(const char *project)
{
	load_access(rights_role());
	if (held.exempt)
		return true;
	if (project == NULL)
		return allows(held.anywhere, ROWS);
	return allows(granted_in(NULL, NULL, true) | granted_in(project, NULL, true), ROWS);
}

/* Is an action one that only asks, and leaves nothing behind? */
bool
grants_only_ask(const char *action)
{
	return (action_bit(action) & (ROWS | VIEW | AUDIT)) != 0;
}

/* May the current user do something anywhere at all? */
bool
grants_anywhere(const char *action)
{
	load_access(rights_role());
	return held.exempt || allows(held.anywhere, action_bit(action));
}

/* Add a text to an array, which is in that memory context. */
static void
add_text(ArrayBuildState *state, const char *text, MemoryContext context)
{
	(void) accumArrayResult(state, CStringGetTextDatum(text), false, TEXTOID, context);
}

/* Where the current user, who may not everywhere, may do something: an array of promote.grants.scope. */
ArrayType *
grants_scopes(const char *action)
{
	ArrayBuildState *state = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	uint32		bit = action_bit(action);
	HASH_SEQ_STATUS scan;
	Granted    *entry;

	load_access(rights_role());
	hash_seq_init(&scan, held.scopes);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (allows(entry->actions, bit))
			add_text(state, psprintf("%s-%s", entry->scope.project[0] ? entry->scope.project : "*",
									 entry->scope.environment[0] ? entry->scope.environment : "*"),
					 CurrentMemoryContext);
	return DatumGetArrayTypeP(makeArrayResult(state, CurrentMemoryContext));
}

/* ---- the same questions from SQL ---- */

/* A name argument; NULL for NULL. */
static char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

/* promote.may(action text, project text, environment text) returns boolean */
Datum
promote_may(PG_FUNCTION_ARGS)
{
	char	   *action = argument_required(fcinfo, 0, "action");

	if (!grants_is_action(action))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("\"%s\" is not an action", action),
				 errdetail("Actions are " ACTION_NAMES "."),
				 errhint("Correct the name.")));
	PG_RETURN_BOOL(grants_may(action, name_argument(fcinfo, 1), name_argument(fcinfo, 2)));
}

/*
 * promote_internal.may_view(project text, environment text) returns boolean
 *
 * Asked for each row by row-level security: a row of no environment is seen
 * by whoever sees anything of its project, one of no project by whoever sees
 * anything at all.
 */
Datum
promote_may_view(PG_FUNCTION_ARGS)
{
	char	   *project = name_argument(fcinfo, 0);
	char	   *environment = name_argument(fcinfo, 1);

	if (environment && project)
		PG_RETURN_BOOL(grants_may(GRANTS_ROWS, project, environment));
	PG_RETURN_BOOL(grants_sees(project));
}

/* Add all projects there are to an array. */
static void
add_all_projects(ArrayBuildState *state, MemoryContext context)
{
	static Statement read = {"SELECT p.project FROM promote.project AS p"};
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	sql_push_latest();
	rows = sql_read(&sql, &read);
	for (uint64 i = 0; i < rows.count; i++)
		add_text(state, sql_text(&rows, i), context);
	PopActiveSnapshot();
	sql_leave(&sql);
}

/*
 * The projects of which the current user sees something, as far as grants name
 * them; NULL: all there are.
 */
ArrayType *
grants_projects(void)
{
	ArrayBuildState *state = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	HASH_SEQ_STATUS scan;
	Granted    *entry;

	load_access(rights_role());
	if (held.exempt || allows(granted_in(NULL, NULL, true), ROWS))
		return NULL;
	hash_seq_init(&scan, held.scopes);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->scope.project[0] && entry->scope.environment[0] == '\0' && allows(entry->within, ROWS))
			add_text(state, entry->scope.project, CurrentMemoryContext);
	return DatumGetArrayTypeP(makeArrayResult(state, CurrentMemoryContext));
}

/*
 * promote_internal.visible_projects() returns text[]
 *
 * Row-level security compares with it, once per statement, so that an index
 * that begins with the project finds the rows.
 */
Datum
promote_visible_projects(PG_FUNCTION_ARGS)
{
	ArrayType  *granted = grants_projects();
	ArrayBuildState *state;

	if (granted)
		PG_RETURN_ARRAYTYPE_P(granted);
	state = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	add_all_projects(state, CurrentMemoryContext);
	PG_RETURN_DATUM(makeArrayResult(state, CurrentMemoryContext));
}
