/*
 * grants.c: who may do what.
 *
 * The grants of a role are read from promote.grants once and kept until a grant, a membership
 * or a role changes.  So row-level security can ask for each row without reading anything.
 *
 * A row counts only while its role itself has a privilege on the table promote.grants.  The
 * row's trigger gives that privilege (registry/grant.c).  PostgreSQL drops no role that has
 * privileges, and DROP OWNED takes them away.  So a new role with an old name starts without
 * grants.
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

/* The actions; an action's place here is its bit in a mask. */
static const char *const actions[] = {
	"view", "configure", "promote", "plan", "deploy", "approve", "override", "decommission",
	"secrets", "work", "register", "publish", "rules", "import", "admin", "audit", "impersonate"
};

#define VIEW 1
#define IMPERSONATE (1 << (lengthof(actions) - 1))
#define AUDIT (1 << (lengthof(actions) - 2))
#define ADMIN (1 << (lengthof(actions) - 3))
#define ROWS (1 << lengthof(actions))	/* the bit for seeing rows, which is no action but implied by actions */

/* A scope of grants: '' stands for all. */
typedef struct Scope
{
	char		project[64];
	char		environment[64];
} Scope;

/* The grants in a scope. */
typedef struct Granted
{
	Scope		scope;			/* the key */
	uint32		actions;		/* granted in exactly this scope */
	uint32		within;			/* granted in some environment of the project; only where environment is '' */
} Granted;

/* The grants of the role that was read last. */
static struct
{
	Oid			role;			/* InvalidOid: nothing was read, or something has changed since */
	bool		exempt;			/* the role needs no grants */
	uint32		anywhere;		/* the actions that it has in some scope */
	HTAB	   *scopes;			/* of Granted; with all scopes of the role */
	Oid			table;			/* promote.grants */
}			held;

/* ---- the cache ---- */

/* Forget the cache: a role or a membership has changed. */
static void
forget_roles(Datum argument, int cache, uint32 hash)
{
	held.role = InvalidOid;
}

/* Forget the cache: a grant, a privilege on the table of grants, or the table's owner has changed. */
static void
forget_grants(Datum argument, Oid relation)
{
	if (relation == InvalidOid || relation == held.table)
		held.role = InvalidOid;
}

/* Tell this session now, and all others at commit, that grants have changed. */
void
grants_changed(void)
{
	CacheInvalidateRelcacheByRelid(table_oid("grants"));
}

/* Does the role itself have a privilege on the table of grants? */
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

/* The bit of an action, or of GRANTS_ROWS; 0: no action has that name. */
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

/* Does an action of that name exist? */
bool
grants_is_action(const char *action)
{
	return (action_bit(action) & ~ROWS) != 0;
}

/* A scope as a hash key; NULL stands for all. */
static Scope
make_scope(const char *project, const char *environment)
{
	Scope		scope;

	memset(&scope, 0, sizeof(scope));
	strlcpy(scope.project, project ? project : "", sizeof(scope.project));
	strlcpy(scope.environment, environment ? environment : "", sizeof(scope.environment));
	return scope;
}

/* The entry of a scope; it is made where there is none. */
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

/* A row of promote.grants. */
typedef struct Grant
{
	char	   *role;
	char	   *project;		/* NULL: all */
	char	   *environment;	/* NULL: all */
	char	   *action;
} Grant;

/* Add a row of promote.grants to the cache, if it counts for the role. */
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

/* Read all grants that count for a role, by a snapshot of now. */
static void
read_grants(Oid role)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Grant, "g", role, project, environment, action)
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

/* Register the callbacks for changes that affect grants, at the first question. */
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

/* Empty the cache.  After an error it holds no pointer to freed memory. */
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
 * Fill the cache for a role.  held.role is set before the rows are read: a callback that
 * resets it meanwhile makes the next call read again.
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

/* The actions granted in exactly that scope or, if within, in the environments inside it. */
static uint32
granted_in(const char *project, const char *environment, bool within)
{
	Scope		scope = make_scope(project, environment);
	Granted    *entry = hash_search(held.scopes, &scope, HASH_FIND, NULL);

	return entry == NULL ? 0 : within ? entry->within : entry->actions;
}

/*
 * Does a mask of actions allow one?  Every action but impersonate implies to see rows, every
 * action but impersonate and audit implies view, and admin implies audit.
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
 * May a role do something in an environment?  A NULL environment asks for all of the project,
 * a NULL project for everything.
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

/* May the current user do something in that scope? */
bool
grants_may(const char *action, const char *project, const char *environment)
{
	return grants_role_may(rights_role(), action, project, environment);
}

/* Does a role need no grants? */
bool
grants_is_exempt(Oid role)
{
	load_access(role);
	return held.exempt;
}

/* Does the current user see any row of a project?  NULL asks for any row at all. */
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

/* Does an action only read? */
bool
grants_only_ask(const char *action)
{
	return (action_bit(action) & (ROWS | VIEW | AUDIT)) != 0;
}

/* May the current user do something anywhere? */
bool
grants_anywhere(const char *action)
{
	load_access(rights_role());
	return held.exempt || allows(held.anywhere, action_bit(action));
}

/* Add a text to an array. */
static void
add_text(ArrayBuildState *state, const char *text)
{
	(void) accumArrayResult(state, CStringGetTextDatum(text), false, TEXTOID, CurrentMemoryContext);
}

/* Where the current user may do something, if it is not everywhere: an array of promote.grants.scope. */
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
									 entry->scope.environment[0] ? entry->scope.environment : "*"));
	return DatumGetArrayTypeP(makeArrayResult(state, CurrentMemoryContext));
}

/* ---- SQL functions ---- */

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
	PG_RETURN_BOOL(grants_may(action, value_text(fcinfo->args[1]), value_text(fcinfo->args[2])));
}

/*
 * promote_internal.may_view(project text, environment text) returns boolean
 *
 * Row-level security asks this for each row.  A row without an environment is seen by those
 * who see anything of its project; a row without a project by those who see anything at all.
 */
Datum
promote_may_view(PG_FUNCTION_ARGS)
{
	char	   *project = value_text(fcinfo->args[0]);
	char	   *environment = value_text(fcinfo->args[1]);

	if (environment && project)
		PG_RETURN_BOOL(grants_may(GRANTS_ROWS, project, environment));
	PG_RETURN_BOOL(grants_sees(project));
}

/* The projects of which the current user sees something, taken from the grants; NULL: all projects. */
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
			add_text(state, entry->scope.project);
	return DatumGetArrayTypeP(makeArrayResult(state, CurrentMemoryContext));
}

/* All existing projects by the active snapshot, an array of text that is valid until the scope is left. */
Datum
grants_all_projects(const Sql *sql)
{
	static Statement read = {"SELECT ARRAY(SELECT p.project::pg_catalog.text FROM promote.project AS p)"};
	SqlRows		rows = sql_read(sql, &read);

	return sql_datum(&rows, 0).value;
}

/*
 * promote_internal.visible_projects() returns text[]
 *
 * Row-level security compares projects with this array, once per statement, so that an index
 * that begins with the project can be used.
 */
Datum
promote_visible_projects(PG_FUNCTION_ARGS)
{
	ArrayType  *granted = grants_projects();
	Datum		all;
	Sql			sql;

	if (granted)
		PG_RETURN_ARRAYTYPE_P(granted);
	sql_enter(&sql);
	sql_push_latest();
	all = SPI_datumTransfer(grants_all_projects(&sql), false, -1);
	PopActiveSnapshot();
	sql_leave(&sql);
	return all;
}
