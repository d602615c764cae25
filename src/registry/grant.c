/*
 * grant.c: rows of promote.grants, by the verbs and by plain DML.
 *
 * The first grant of a role opens the door: it gives the role EXECUTE of what
 * is not for PUBLIC and SELECT of what is read by rows; the last one that goes
 * closes it.  Inside, functions ask grants.c, and tables have row-level
 * security.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/audit.h"
#include "registry/rescue.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(promote_guard_grant);
PG_FUNCTION_INFO_V1(promote_open_door);
PG_FUNCTION_INFO_V1(promote_grant_action);
PG_FUNCTION_INFO_V1(promote_revoke_action);
PG_FUNCTION_INFO_V1(promote_refresh_grants);

/*
 * What the door gives, a statement per row; $1 is GRANT or REVOKE, $2 TO or
 * FROM, $3 the role.  Not among it: promote_internal, what is for the owner
 * alone, and the columns that hold what is sensitive as it is, or a digest of
 * little else.
 */
static OldStatement door = {
	.text = "WITH member AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d"
	" JOIN pg_catalog.pg_extension AS e ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
	" AND d.refobjid = e.oid WHERE d.deptype = 'e' AND e.extname = 'promote'),"
	" withheld (relation, attribute) AS (VALUES ('config', 'params'), ('revision', 'overrides'), ('audit_log', 'rows'),"
	" ('environment', 'parameters'), ('project', 'digest_key'), ('promotion_request', 'overrides'), ('secret', 'ciphertext'),"
	" ('idempotency_key', 'request'))"
	" SELECT pg_catalog.format('%s EXECUTE ON ROUTINE %s %s %I', $1,"
	" pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::pg_catalog.text, ', '), $2, $3)"
	" FROM member AS m JOIN pg_catalog.pg_proc AS p ON p.oid = m.objid"
	" WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
	" AND p.pronamespace = 'promote'::pg_catalog.regnamespace AND p.proacl IS NOT NULL"
	" AND p.proname NOT IN ('restore_guards', 'config_digest', 'secret_fingerprint')"
	" AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS a WHERE a.grantee = 0)"
	" UNION ALL"
	" SELECT pg_catalog.format('%s SELECT%s ON TABLE %s %s %I', $1, (SELECT"
	" pg_catalog.format(' (%s)', pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', '))"
	" FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" AND (c.relname, a.attname) NOT IN (SELECT w.relation, w.attribute FROM withheld AS w)"
	" HAVING c.relname IN (SELECT w.relation FROM withheld AS w)),"
	" c.oid::pg_catalog.regclass, $2, $3)"
	" FROM member AS m JOIN pg_catalog.pg_class AS c ON c.oid = m.objid"
	" WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind IN ('r', 'v')"
	" AND c.relnamespace = 'promote'::pg_catalog.regnamespace",
	.parameters = 3,
	.types = {TEXTOID, TEXTOID, TEXTOID}
};

/* ---- the door ---- */

/*
 * Wait for whoever else gives or takes grants, to the end of the transaction:
 * what one sees as the last grant of a role the other may add to, and two
 * sessions that change one object's privileges would fail.  PM_HELD where that
 * takes too long: what was granted is to be taken back in time.  The class is
 * no catalog: the extension itself anybody can lock, by a function of theirs
 * that DEPENDS ON it.
 */
static void
lock_doors(void)
{
	Oid			table = get_relname_relid("grants", get_namespace_oid("promote", false));
	Sql			sql;

	sql_enter(&sql);
	rescue_object(&sql, table, 0, ExclusiveLock, "the grants", NULL);
	sql_leave(&sql);
}

/* Open or close the door for a role.  Runs under the lock. */
static void
move_door(const Sql *sql, const char *role, bool open)
{
	Datum		values[3] = {
		CStringGetTextDatum(open ? "GRANT" : "REVOKE"),
		CStringGetTextDatum(open ? "TO" : "FROM"),
		CStringGetTextDatum(role)
	};
	SPITupleTable *rows;
	uint64		count;

	statement_run(sql, &door, values, NULL, false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		sql_command(sql, spi_text(rows, i, 1));
}

/* Has the role any grant now, whatever the transaction's snapshot shows? */
static bool
has_grants(const Sql *sql, const char *role)
{
	static OldStatement look = {
		.text = "SELECT FROM promote.grants AS g WHERE g.role = $1 LIMIT 1",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(role)};

	sql_push_latest();
	statement_run(sql, &look, values, NULL, true);
	PopActiveSnapshot();
	return SPI_processed > 0;
}

/*
 * promote_internal.open_door() returns trigger
 *
 * AFTER INSERT OR DELETE of grants, for each row.  A role that is not there,
 * as where a dump is restored before its roles are, has no door.
 */
Datum
promote_open_door(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "open_door", "grants",
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *role = SPI_getvalue(data->tg_trigtuple, row_type, SPI_fnumber(row_type, "role"));
	Oid			oid = get_role_oid(role, true);
	Sql			sql;

	lock_doors();
	sql_enter(&sql);
	if (OidIsValid(oid) && TRIGGER_FIRED_BY_INSERT(data->tg_event) && !access_is_marked(oid))
		move_door(&sql, role, true);
	if (OidIsValid(oid) && TRIGGER_FIRED_BY_DELETE(data->tg_event) && !has_grants(&sql, role))
		move_door(&sql, role, false);
	sql_leave(&sql);
	access_changed();
	return PointerGetDatum(NULL);
}

/* ---- rows ---- */

/* Refuse a grant for the reason given. */
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
 * Refuse to open the door to a role to whose name others were granted: rows of
 * one of that name that is gone, or from before there was one, would count
 * with the new one.  What the statement itself has inserted is not seen.
 */
static void
refuse_inherited(const char *role)
{
	static OldStatement look = {
		.text = "SELECT FROM promote.grants AS g WHERE g.role = $1 LIMIT 1",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(role)};
	Sql			sql;

	if (access_is_marked(get_role_oid(role, false)))
		return;
	/* whoever opens it at this moment is waited for */
	lock_doors();
	if (access_is_marked(get_role_oid(role, false)))
		return;
	sql_enter(&sql);
	PushActiveSnapshot(GetLatestSnapshot());
	statement_run(&sql, &look, values, NULL, true);
	PopActiveSnapshot();
	if (SPI_processed > 0)
		refuse_grant(psprintf("Grants of role \"%s\" are there already, but were not given to this role of that name.", role),
					 "Take them back by promote.revoke_action, or let them count by promote.refresh_grants(role).");
	sql_leave(&sql);
}

/*
 * Warn where "admin" goes to somebody with CREATEROLE, by the role itself, one
 * that it can take, or a member.  Before PostgreSQL 16 that makes any role but
 * a superuser, and a member of any: also of one that was granted the rest.
 */
static void
warn_of_createrole(const char *role)
{
	static OldStatement look = {
		.text = "SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles AS r"
		" WHERE r.rolcreaterole AND NOT r.rolsuper AND (pg_catalog.pg_has_role(r.oid, $1::pg_catalog.name, 'MEMBER')"
		" OR pg_catalog.pg_has_role($1::pg_catalog.name, r.oid, 'MEMBER'))"
		" AND NOT (SELECT s.rolsuper FROM pg_catalog.pg_roles AS s WHERE s.rolname = $1) ORDER BY r.rolname <> $1, r.rolname LIMIT 1",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(role)};
	Sql			sql;

	sql_enter(&sql);
	statement_run(&sql, &look, values, NULL, true);
	if (SPI_processed > 0)
		ereport(WARNING,
				(errmsg("\"admin\" is every action for who can make roles"),
				 errdetail("Role \"%s\" has CREATEROLE: it can be a member of any role, and grant that what it may not grant itself.",
						   spi_text(SPI_tuptable, 0, 1)),
				 errhint("Let somebody without CREATEROLE be \"admin\", or update to PostgreSQL 16.")));
	sql_leave(&sql);
}

/*
 * promote_internal.guard_grant() returns trigger
 *
 * BEFORE INSERT OR UPDATE of grants, for each row.  A grant is given and taken
 * back; what is not granted by name is no grant.
 */
Datum
promote_guard_grant(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_grant", "grants",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *role = SPI_getvalue(data->tg_trigtuple, row_type, SPI_fnumber(row_type, "role"));
	char	   *action = SPI_getvalue(data->tg_trigtuple, row_type, SPI_fnumber(row_type, "action"));

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

/* What the verbs of grants take. */
typedef struct Grant
{
	char	   *role;
	char	   *action;
	char	   *project;		/* NULL: all */
	char	   *environment;	/* NULL: all */
} Grant;

/* Is one of those that the session could act as a member of the role? */
static bool
is_oneself(const char *role)
{
	Oid			oid = get_role_oid(role, true);

	return OidIsValid(oid) && is_caller_member(oid);
}

/* Take the arguments, and refuse who may not grant there. */
static void
take_grant_arguments(FunctionCallInfo fcinfo, Grant *grant)
{
	grant->role = argument_required(fcinfo, 0, "role");
	grant->action = argument_required(fcinfo, 1, "action");
	grant->project = argument_text(fcinfo, 2);
	grant->environment = argument_text(fcinfo, 3);
	access_require_in("admin", grant->project, grant->environment);
	if (!access_is_action(grant->action))
		refuse_grant(psprintf("\"%s\" is not an action; actions are " ACTION_NAMES ".", grant->action),
					 "Correct the name.");
	if (strcmp(grant->action, "impersonate") == 0 && (grant->project || grant->environment))
		refuse_grant("A name that a session acts by counts in all projects.",
					 "Leave the project and the environment out.");
}

/* Refuse a grant of nothing, to nobody, or to oneself. */
static void
check_grant(const Sql *sql, const Grant *grant)
{
	static OldStatement look = {
		.text = "SELECT FROM promote.project AS p WHERE ($1 IS NULL OR p.project = $1) AND ($2 IS NULL OR EXISTS"
		" (SELECT FROM promote.environment AS e WHERE e.project = p.project AND e.environment = $2)) LIMIT 1",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	bool		nulls[2];
	Datum		values[2] = {
		text_or_null(grant->project, &nulls[0]), text_or_null(grant->environment, &nulls[1])
	};

	if (!role_exists(grant->role))
		refuse_grant(psprintf("There is no role \"%s\".", grant->role), "CREATE ROLE first.");
	if (nulls[0] && nulls[1])
		return;
	statement_run(sql, &look, values, nulls, false);
	if (SPI_processed == 0)
		refuse_grant(nulls[1] ? psprintf("There is no project \"%s\".", grant->project) :
					 psprintf("There is no environment \"%s\" %s.", grant->environment,
							  nulls[0] ? "in any project" : psprintf("in project \"%s\"", grant->project)),
					 "Correct the name, or insert it first.");
}

/* Run a statement of a grant's four columns; true if it has changed something. */
static bool
write_grant(const Sql *sql, OldStatement *statement, const Grant *grant)
{
	bool		nulls[4] = {false, false};
	Datum		values[4] = {
		CStringGetTextDatum(grant->role),
		CStringGetTextDatum(grant->action),
		text_or_null(grant->project, &nulls[2]),
		text_or_null(grant->environment, &nulls[3])
	};

	statement_run(sql, statement, values, nulls, false);
	return SPI_processed > 0;
}

/* Give a grant or take it back, by the statement; true if that has changed something. */
static Datum
change_grant(FunctionCallInfo fcinfo, OldStatement *statement, bool give)
{
	Grant		grant;
	Sql			sql;
	bool		changed;

	take_grant_arguments(fcinfo, &grant);
	if (give && !access_is_exempt() && is_oneself(grant.role))
		refuse_grant(psprintf("Role \"%s\" is the caller's own, or one that the caller is a member of.", grant.role),
					 "Let somebody else who is \"admin\" there grant it.");
	sql_enter(&sql);
	if (give)
		check_grant(&sql, &grant);
	changed = write_grant(&sql, statement, &grant);
	sql_leave(&sql);
	PG_RETURN_BOOL(changed);
}

/* promote.grant_action(role, action, project, environment) returns boolean */
Datum
promote_grant_action(PG_FUNCTION_ARGS)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.grants (role, action, project, environment) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};

	return change_grant(fcinfo, &insert, true);
}

/* promote.revoke_action(role, action, project, environment) returns boolean */
Datum
promote_revoke_action(PG_FUNCTION_ARGS)
{
	static OldStatement delete = {
		.text = "DELETE FROM promote.grants AS g WHERE g.role = $1 AND g.action = $2"
		" AND g.project IS NOT DISTINCT FROM $3 AND g.environment IS NOT DISTINCT FROM $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};

	return change_grant(fcinfo, &delete, false);
}

/* The roles that have grants and whose door is open. */
static List *
open_roles(const Sql *sql)
{
	static OldStatement read = {
		.text = "SELECT DISTINCT g.role FROM promote.grants AS g"
		" JOIN pg_catalog.pg_roles AS r ON r.rolname = g.role ORDER BY g.role"
	};
	List	   *roles = NIL;

	statement_run(sql, &read, NULL, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *role = spi_text(SPI_tuptable, i, 1);

		if (access_is_marked(get_role_oid(role, false)))
			roles = lappend(roles, role);
	}
	return roles;
}

/* A role whose door is to be opened: one that is there and has grants. */
static List *
named_role(const Sql *sql, char *role)
{
	if (!role_exists(role) || !has_grants(sql, role))
		refuse_grant(psprintf("There is no role \"%s\", or it has no grants.", role),
					 "CREATE ROLE, or promote.grant_action.");
	return list_make1(role);
}

/* Record for whom the door was opened, in the chain of what belongs to no project. */
static void
record_refreshed(const Sql *sql, const List *roles)
{
	JsonBuilder facts;
	ListCell   *cell;

	audit_begin(&facts);
	json_build_key(&facts, "roles", strlen("roles"));
	json_build_begin_array(&facts);
	foreach(cell, roles)
		json_build_string(&facts, lfirst(cell), strlen(lfirst(cell)));
	json_build_end_array(&facts);
	audit_note_facts(sql, "*", "*", "grants.refreshed", &facts);
}

/*
 * promote.refresh_grants(role text) returns integer
 *
 * Opens the door anew: to a role that was created after its grants, or with
 * NULL to all for whom it is open, where an update brought new functions.
 * Returns how many roles these are.
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
	lock_doors();
	sql_enter(&sql);
	roles = role ? named_role(&sql, role) : open_roles(&sql);
	foreach(cell, roles)
		move_door(&sql, lfirst(cell), true);
	record_refreshed(&sql, roles);
	/* the list goes with the scope */
	count = list_length(roles);
	sql_leave(&sql);
	access_changed();
	PG_RETURN_INT32(count);
}
