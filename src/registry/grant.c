/*
 * grant.c: rows of promote.grants, written by the verbs or by plain DML.
 *
 * Two kinds of privileges let a role into promote: EXECUTE on the functions that are not for
 * PUBLIC, and SELECT on the tables with row-level security.  This file calls them the door.
 * The first grant of a role opens the door, and the removal of its last grant closes it.
 * Behind the door, functions ask grants.c and tables have row-level security.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/audit.h"
#include "registry/instance.h"
#include "registry/rescue.h"

PG_FUNCTION_INFO_V1(promote_open_door);
PG_FUNCTION_INFO_V1(promote_grant_action);
PG_FUNCTION_INFO_V1(promote_revoke_action);
PG_FUNCTION_INFO_V1(promote_refresh_grants);

/* ---- the door ---- */

/*
 * Lock the doors until the transaction ends.  Without this lock, one session could remove what
 * it sees as a role's last grant while another adds one, and two sessions that change the
 * privileges of one object would fail.  Raises PM_HELD where that takes too long, because a
 * grant must be revocable in time.  The lock's class is no catalog: anybody can lock the
 * extension itself by a function that DEPENDS ON it.
 */
static void
lock_doors(const Sql *sql)
{
	rescue_object(sql, table_oid("grants"), 0, ExclusiveLock, "the grants", NULL);
}

/* Open or close the door for a role, under the lock. */
static void
move_door(const Sql *sql, const char *role, bool open)
{
	static Statement door = {"SELECT d.command FROM promote_internal.door_commands($1, $2) AS d (command)"};
	SqlRows		rows = sql_run(sql, &door, AS_TEXT(role), AS_BOOL(open));

	for (uint64 i = 0; i < rows.count; i++)
		sql_command(sql, sql_text(&rows, i));
}

/*
 * Does the role have any grant now, whatever the transaction's snapshot shows?  Grants that the
 * current command has written are seen if own.
 */
static bool
has_grants(const Sql *sql, const char *role, bool own)
{
	static Statement look = {"SELECT FROM promote.grants AS g WHERE g.role = $1 LIMIT 1"};
	SqlRows		rows;

	if (own)
		CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	rows = sql_read(sql, &look, AS_TEXT(role));
	PopActiveSnapshot();
	return rows.count > 0;
}

/*
 * promote_internal.open_door() returns trigger
 *
 * AFTER INSERT OR DELETE of grants, for each row.  A role that does not exist, as when a dump
 * is restored before its roles, has no door.  A subscription opens none either: who may call what
 * here is granted here, by promote.refresh_grants.
 */
Datum
promote_open_door(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "grants", TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	char	   *role = trigger_text(data, data->tg_trigtuple, "role");
	Oid			oid = get_role_oid(role, true);
	Sql			sql;

	if (trigger_is_applied(fcinfo))
	{
		grants_changed();
		return PointerGetDatum(NULL);
	}
	sql_enter(&sql);
	lock_doors(&sql);
	if (OidIsValid(oid) && TRIGGER_FIRED_BY_INSERT(data->tg_event) && !grants_is_marked(oid))
		move_door(&sql, role, true);
	if (OidIsValid(oid) && TRIGGER_FIRED_BY_DELETE(data->tg_event) && !has_grants(&sql, role, true))
		move_door(&sql, role, false);
	sql_leave(&sql);
	grants_changed();
	return PointerGetDatum(NULL);
}

/* ---- rows ---- */

/* Refuse a grant. */
static void
refuse_grant(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_INVALID_GRANT),
			 errmsg("this cannot be granted"),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/*
 * Refuse to open the door to a role while other grants carry its name.  Such rows were meant
 * for a dropped role of that name, or written before the role existed, and they would count
 * for the new role.  Rows that the statement itself inserted are not visible here.
 */
static void
refuse_inherited(const char *role)
{
	Sql			sql;

	if (grants_is_marked(get_role_oid(role, false)))
		return;
	sql_enter(&sql);
	/* wait for others who open a door now */
	lock_doors(&sql);
	if (!grants_is_marked(get_role_oid(role, false)) && has_grants(&sql, role, false))
		refuse_grant(psprintf("Grants of role \"%s\" are there already, but were not given to this role of that name.", role),
					 "Take them back by promote.revoke_action, or let them count by promote.refresh_grants(role).");
	sql_leave(&sql);
}

/*
 * Warn where "admin" goes to somebody with CREATEROLE: the role itself, one that it can take,
 * or a member.  Before PostgreSQL 16, CREATEROLE allows to join any role but a superuser, so
 * such an admin could also join a role that holds the other grants.
 */
static void
warn_of_createrole(const char *role)
{
	static Statement look = {"SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS r"
		" WHERE r.rolcreaterole AND NOT r.rolsuper AND (pg_catalog.pg_has_role(r.oid, $1::pg_catalog.name, 'MEMBER')"
		" OR pg_catalog.pg_has_role($1::pg_catalog.name, r.oid, 'MEMBER'))"
		" AND NOT (SELECT s.rolsuper FROM pg_catalog.pg_roles AS s WHERE s.rolname = $1) ORDER BY r.rolname <> $1, r.rolname LIMIT 1"};
	SqlRows		rows;
	Sql			sql;

	sql_enter(&sql);
	rows = sql_read(&sql, &look, AS_TEXT(role));
	if (rows.count > 0)
		ereport(WARNING,
				(errmsg("\"admin\" is every action for who can make roles"),
				 errdetail("Role \"%s\" has CREATEROLE: it can be a member of any role, and grant that what it may not grant itself.",
						   sql_text(&rows, 0)),
				 errhint("Let somebody without CREATEROLE be \"admin\", or update to PostgreSQL 16.")));
	sql_leave(&sql);
}

/*
 * promote_internal.guard_grant() returns trigger
 *
 * BEFORE INSERT OR UPDATE of grants, for each row: refuses updates, because a grant is given
 * and taken back, and warns of roles that do not exist.
 */
Datum
TRIGGER_FUNCTION(promote_guard_grant)
{
	TriggerData *data = trigger_data(fcinfo, "grants", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	char	   *role = trigger_text(data, data->tg_trigtuple, "role");
	char	   *action = trigger_text(data, data->tg_trigtuple, "action");

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		ereport(ERROR,
				(errcode(PM_INVALID_GRANT),
				 errmsg("a grant is not changed"),
				 errdetail("It is given and taken back, and both are recorded."),
				 errhint("DELETE the one and INSERT the other.")));
	if (role && role_exists(role))
		refuse_inherited(role);
	else if (role)
		ereport(WARNING,
				(errmsg("role \"%s\" does not exist", role),
				 errdetail("The grant counts for nobody."),
				 errhint("CREATE ROLE, and then promote.refresh_grants(role).")));
	if (CREATEROLE_IS_ANY_ROLE && role && action && strcmp(action, "admin") == 0 && role_exists(role))
		warn_of_createrole(role);
	return PointerGetDatum(data->tg_trigtuple);
}

/* The arguments of the verbs for grants. */
typedef struct Grant
{
	char	   *role;
	char	   *action;
	char	   *project;		/* NULL: all */
	char	   *environment;	/* NULL: all */
} Grant;

/* Is the role one that the session could act as a member of? */
static bool
is_oneself(const char *role)
{
	Oid			oid = get_role_oid(role, true);

	return OidIsValid(oid) && is_caller_member(rights_role(), oid);
}

/* Take the arguments, and refuse callers who may not grant there. */
static void
take_grant_arguments(FunctionCallInfo fcinfo, Grant *grant)
{
	grant->role = argument_required(fcinfo, 0, "role");
	grant->action = argument_required(fcinfo, 1, "action");
	grant->project = argument_text(fcinfo, 2);
	grant->environment = argument_text(fcinfo, 3);
	access_require_in("admin", grant->project, grant->environment);
	if (!grants_is_action(grant->action))
		refuse_grant(psprintf("\"%s\" is not an action; actions are " ACTION_NAMES ".", grant->action),
					 "Correct the name.");
	if (strcmp(grant->action, "impersonate") == 0 && (grant->project || grant->environment))
		refuse_grant("A name that a session acts by counts in all projects.",
					 "Leave the project and the environment out.");
}

/* Refuse a grant to an unknown role, or in what is not there; an environment is not archived until it is committed. */
static void
check_grant(const Sql *sql, const Grant *grant)
{
	static Statement look = {"SELECT FROM promote.project AS p WHERE ($1 IS NULL OR p.project = $1) AND ($2 IS NULL OR EXISTS"
		" (SELECT FROM promote.environment AS e WHERE e.project = p.project AND e.environment = $2)) LIMIT 1"};

	if (!role_exists(grant->role))
		refuse_grant(psprintf("There is no role \"%s\".", grant->role), "CREATE ROLE first.");
	if (grant->project == NULL && grant->environment == NULL)
		return;
	if (grant->project && grant->environment)
		environment_hold(sql, &(InstanceKey) {grant->project, grant->environment});
	if (sql_run(sql, &look, AS_TEXT(grant->project), AS_TEXT(grant->environment)).count == 0)
		refuse_grant(grant->environment == NULL ? psprintf("There is no project \"%s\".", grant->project) :
					 psprintf("There is no environment \"%s\" %s.", grant->environment,
							  grant->project == NULL ? "in any project" : psprintf("in project \"%s\"", grant->project)),
					 "Correct the name, or insert it first.");
}

/* Insert or delete a grant by the statement; true if that changed something. */
static Datum
change_grant(FunctionCallInfo fcinfo, Statement *statement, bool give)
{
	Grant		grant;
	Sql			sql;
	bool		changed;

	take_grant_arguments(fcinfo, &grant);
	if (give && !grants_is_exempt(rights_role()) && is_oneself(grant.role))
		refuse_grant(psprintf("Role \"%s\" is the caller's own, or one that the caller is a member of.", grant.role),
					 "Let somebody else who is \"admin\" there grant it.");
	sql_enter(&sql);
	if (give)
		check_grant(&sql, &grant);
	changed = sql_run(&sql, statement, AS_TEXT(grant.role), AS_TEXT(grant.action), AS_TEXT(grant.project),
					  AS_TEXT(grant.environment)).count > 0;
	sql_leave(&sql);
	PG_RETURN_BOOL(changed);
}

/* promote.grant_action(role, action, project, environment) returns boolean */
Datum
promote_grant_action(PG_FUNCTION_ARGS)
{
	static Statement insert = {"INSERT INTO promote.grants (role, action, project, environment) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING"};

	return change_grant(fcinfo, &insert, true);
}

/* promote.revoke_action(role, action, project, environment) returns boolean */
Datum
promote_revoke_action(PG_FUNCTION_ARGS)
{
	static Statement delete = {"DELETE FROM promote.grants AS g WHERE g.role = $1 AND g.action = $2"
		" AND g.project IS NOT DISTINCT FROM $3 AND g.environment IS NOT DISTINCT FROM $4"};

	return change_grant(fcinfo, &delete, false);
}

/* The roles that have grants and an open door. */
static List *
open_roles(const Sql *sql)
{
	static Statement read = {"SELECT DISTINCT g.role FROM promote.grants AS g"
		" JOIN pg_catalog.pg_roles AS r ON r.rolname = g.role ORDER BY g.role"};
	SqlRows		rows = sql_run(sql, &read);
	List	   *roles = NIL;

	for (uint64 i = 0; i < rows.count; i++)
	{
		char	   *role = sql_text(&rows, i);

		if (grants_is_marked(get_role_oid(role, false)))
			roles = lappend(roles, role);
	}
	return roles;
}

/* The role whose door to open: it must exist and have grants. */
static List *
named_role(const Sql *sql, char *role)
{
	if (!role_exists(role) || !has_grants(sql, role, true))
		refuse_grant(psprintf("There is no role \"%s\", or it has no grants.", role),
					 "CREATE ROLE, or promote.grant_action.");
	return list_make1(role);
}

/* Record for which roles the door was opened again, in the chain for what has no project. */
static void
record_refreshed(const Sql *sql, const List *roles)
{
	JsonBuilder facts;

	audit_begin(&facts);
	json_build_strings(&facts, "roles", roles);
	audit_note_facts(sql, AUDIT_NO_PROJECT, AUDIT_NO_PROJECT, "grants.refreshed", &facts);
}

/*
 * promote.refresh_grants(role text) returns integer
 *
 * Opens the door again: for a role that was created after its grants, or, with NULL, for all
 * roles with an open door, because an update brought new functions.  Returns the number of
 * roles.
 */
Datum
promote_refresh_grants(PG_FUNCTION_ARGS)
{
	char	   *role = argument_text(fcinfo, 0);
	List	   *roles;
	ListCell   *cell;
	Sql			sql;
	int			count;

	access_require_in("admin", NULL, NULL);
	sql_enter(&sql);
	lock_doors(&sql);
	roles = role ? named_role(&sql, role) : open_roles(&sql);
	foreach(cell, roles)
		move_door(&sql, lfirst(cell), true);
	record_refreshed(&sql, roles);
	/* sql_leave frees the list */
	count = list_length(roles);
	sql_leave(&sql);
	grants_changed();
	PG_RETURN_INT32(count);
}
