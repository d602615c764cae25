/*
 * event.c: the order of events, and consumers, which are told how far they have come.
 *
 * A row of the audit log gets its position from a sequence, when its transaction has a number already, and after that
 * the number of the transaction that begins next.  So a transaction that still runs, whose number is not below the
 * snapshot's xmin, has got its positions after every row whose settled_by is not above that xmin: below such a row
 * nothing comes up any more.  A chain's rows are written under a lock, so that their positions rise with seq.
 *
 * Positions outlive a dump.  settled_by is computed anew where a row is loaded, for it is a number of this server.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/xid8.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "grant/role.h"

PG_FUNCTION_INFO_V1(promote_next_position);
PG_FUNCTION_INFO_V1(promote_settled_by);
PG_FUNCTION_INFO_V1(promote_event_limit);
PG_FUNCTION_INFO_V1(promote_register_consumer);
PG_FUNCTION_INFO_V1(promote_remove_consumer);
PG_FUNCTION_INFO_V1(promote_next_events);
PG_FUNCTION_INFO_V1(promote_acknowledge_events);

#define FOLLOWED 1000			/* positions that are left out behind one that was loaded */
#define FEW_EVENTS 1000			/* that are read where no number is said */
#define MANY_EVENTS 100000		/* that can be read at once */

/* ---- positions ---- */

static Oid	sequence = InvalidOid;
static int64 passed = 0;		/* the sequence is not below this */

/* Look the sequence up, which is another one where the extension was made anew. */
static void
find_sequence(void)
{
	Oid			found = get_relname_relid("event_position", get_namespace_oid("promote_internal", false));

	if (found == sequence)
		return;
	sequence = found;
	passed = 0;
}

/*
 * Move the sequence behind a row that is loaded: a dump does not have it.  It goes some way further, so that this is
 * not done for each row.  Positions that nobody has are gaps.
 */
static void
follow_loaded(int64 position)
{
	static Statement behind = {"SELECT FROM promote_internal.event_position AS p WHERE p.last_value < $1"};
	static Statement follow = {"SELECT pg_catalog.setval('promote_internal.event_position', $1)"};
	int64		ahead = position > PG_INT64_MAX - FOLLOWED ? position : position + FOLLOWED;
	Sql			sql;

	sql_enter(&sql);
	/* nobody draws meanwhile, and no two set it */
	LockRelationOid(sequence, ShareRowExclusiveLock);
	if (sql_run(&sql, &behind, AS_BIGINT(position)).count > 0)
	{
		(void) sql_run(&sql, &follow, AS_BIGINT(ahead));
		passed = ahead;
	}
	else
		passed = position;
	UnlockRelationOid(sequence, ShareRowExclusiveLock);
	sql_leave(&sql);
}

/* promote_internal.next_position() returns bigint, see sql/ledger/audit.sql */
Datum
promote_next_position(PG_FUNCTION_ARGS)
{
	/* the transaction's number comes before the position */
	(void) GetTopTransactionId();
	find_sequence();
	passed = nextval_internal(sequence, false);
	PG_RETURN_INT64(passed);
}

/*
 * promote_internal.settled_by("position" bigint) returns xid8, see sql/ledger/audit.sql
 *
 * A row whose position was not drawn is loaded.  Whoever draws from here on comes behind it, and whoever has
 * drawn before has a number already.
 */
Datum
promote_settled_by(PG_FUNCTION_ARGS)
{
	int64		position = PG_GETARG_INT64(0);

	find_sequence();
	if (position > passed)
		follow_loaded(position);
	PG_RETURN_FULLTRANSACTIONID(ReadNextFullTransactionId());
}

/* promote_internal.event_limit(max_events integer) returns integer */
Datum
promote_event_limit(PG_FUNCTION_ARGS)
{
	int32		limit = PG_ARGISNULL(0) ? FEW_EVENTS : PG_GETARG_INT32(0);

	if (limit < 1 || limit > MANY_EVENTS)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("so many events cannot be read at once: %d", limit),
				 errdetail("A call returns 1 to %d events.", MANY_EVENTS),
				 errhint("Read them in parts, each behind the last position of the one before.")));
	PG_RETURN_INT32(limit);
}

/* ---- consumers ---- */

/* A consumer's row. */
typedef struct Consumer
{
	char	   *name;
	char	   *project;		/* NULL: all */
	char	   *environment;	/* NULL: all */
	ArrayType  *events;			/* NULL: all */
	int64		position;
	char	   *database_role;	/* whose it is */
} Consumer;

/* Refuse a consumer that is another role's.  The tables' owner may act for all. */
static void
require_own(const Sql *sql, const Consumer *consumer)
{
	Oid			owner = get_role_oid(consumer->database_role, true);

	if ((OidIsValid(owner) && has_privs_of_role(sql->user, owner)) || superuser_arg(sql->user) ||
		has_privs_of_role(sql->user, tables_owner()))
		return;
	ereport(ERROR,
			(errcode(PM_OTHERS_CONSUMER),
			 errmsg("the consumer \"%s\" is another role's", consumer->name),
			 errdetail("Role \"%s\" has registered it.", consumer->database_role),
			 errhint("Act as that role, or register a consumer of your own: promote.register_consumer.")));
}

/* Read a consumer of the caller's, whose row is locked if it is to be changed.  False: there is none of that name. */
static bool
find_consumer(const Sql *sql, char *name, bool lock, Consumer *consumer)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Consumer, "c", project, environment, events, position, database_role)
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote.consumer AS c WHERE c.consumer = $1");
	static Statement hold = SQL_ROWS(fields, "SELECT $* FROM promote.consumer AS c WHERE c.consumer = $1 FOR UPDATE");
	SqlRows		rows = lock ? sql_run(sql, &hold, AS_TEXT(name)) : sql_read(sql, &read, AS_TEXT(name));

	*consumer = (Consumer) {.name = name};
	if (!sql_row(&rows, 0, consumer))
		return false;
	require_own(sql, consumer);
	return true;
}

/* As find_consumer, and refuse a name that is nobody's. */
static void
require_consumer(const Sql *sql, char *name, bool lock, Consumer *consumer)
{
	if (!find_consumer(sql, name, lock, consumer))
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no consumer \"%s\"", name),
				 errdetail("Nobody has registered it, or it was removed."),
				 errhint("Register it by promote.register_consumer.")));
}

/* Refuse a position below zero. */
static void
check_position(int64 position)
{
	if (position < 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("no event has the position " INT64_FORMAT, position),
				 errdetail("Positions are above zero."),
				 errhint("Pass the position of an event that promote.events has returned, or 0 for none.")));
}

/* Refuse a position that is nothing to acknowledge. */
static void
refuse_position(const Consumer *consumer, int64 position, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_NOT_ACKNOWLEDGED),
			 errmsg("\"%s\" cannot acknowledge the position " INT64_FORMAT, consumer->name, position),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/*
 * Refuse a position of which promote.events cannot have shown everything.  Below an event that is settled nothing comes
 * up any more, so that one at the position or behind it is looked for: the position itself may be somebody's who is
 * still to commit.
 */
static void
refuse_future(const Sql *sql, const Consumer *consumer, int64 position)
{
	static Statement settled = {"SELECT promote_internal.settled_position($1)"};
	static Statement unsettled = {"SELECT FROM promote.audit_log AS a WHERE a.position > $1 AND a.position <= $2 AND a.settled_by >"
		" (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())) LIMIT 1"};
	static Statement behind = {"SELECT FROM promote.audit_log AS a WHERE a.position >= $1 AND a.settled_by <="
		" (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())) LIMIT 1"};
	SqlRows		rows;

	if (sql_run(sql, &behind, AS_BIGINT(position)).count > 0 &&
		sql_run(sql, &unsettled, AS_BIGINT(consumer->position), AS_BIGINT(position)).count == 0)
		return;
	rows = sql_run(sql, &settled, AS_BIGINT(consumer->position));
	refuse_position(consumer, position,
					psprintf("There are events up to " INT64_FORMAT " that it can have read.", sql_wide(&rows, 0)),
					"Acknowledge the position of an event that was read.");
}

/* Note how far a consumer has come. */
static void
move_consumer(const Sql *sql, const Consumer *consumer, int64 position)
{
	static Statement move = {"UPDATE promote.consumer AS c SET position = $2, acknowledged_at = pg_catalog.clock_timestamp()"
		" WHERE c.consumer = $1 AND c.position < $2"};

	(void) sql_run(sql, &move, AS_TEXT(consumer->name), AS_BIGINT(position));
}

/*
 * promote.acknowledge_events(consumer text, up_to bigint) returns bigint, see sql/ledger/event.sql
 */
Datum
promote_acknowledge_events(PG_FUNCTION_ARGS)
{
	char	   *name = argument_required(fcinfo, 0, "consumer");
	Consumer	consumer;
	int64		position;
	Sql			sql;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the position is missing"),
				 errdetail("The argument \"up_to\" is null."),
				 errhint("Pass the position of the last event that was taken.")));
	position = PG_GETARG_INT64(1);
	check_position(position);
	access_require_sight(NULL);
	require_primary();
	require_accountable(rights_role());
	sql_enter(&sql);
	require_consumer(&sql, name, true, &consumer);
	if (position < consumer.position)
		refuse_position(&consumer, position,
						psprintf("It has acknowledged all up to " INT64_FORMAT " already.", consumer.position),
						"Go on behind that.");
	if (position > consumer.position)
	{
		refuse_future(&sql, &consumer, position);
		move_consumer(&sql, &consumer, position);
	}
	sql_leave(&sql);
	PG_RETURN_INT64(position);
}

/*
 * Read events by the rights of the caller, and by the snapshot of the statement that calls.  Whatever the statistics
 * are, the index gives the order: nothing is sorted, and nothing is read that is not returned or passed over.
 */
static SqlRows
read_events(const Sql *sql, const Consumer *consumer, SqlValue max_events)
{
	static Statement read = {"SELECT e.* FROM promote.events($1, $2, $3, $4, $5) AS e"};
	Oid			owner;
	int			context;
	int			level = NewGUCNestLevel();
	SqlRows		rows;

	sql_set_local("enable_sort", "off");
	sql_set_local("enable_bitmapscan", "off");
	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(sql->user, context);
	rows = sql_read(sql, &read, AS_BIGINT(consumer->position), max_events, AS_TEXT(consumer->project),
					AS_TEXT(consumer->environment), AS_TEXTS(PointerGetDatum(consumer->events)));
	SetUserIdAndSecContext(owner, context);
	AtEOXact_GUC(false, level);
	return rows;
}

/* Move a consumer past events that are not for it: the statement's snapshot has shown that there are no others. */
static void
pass_over(const Sql *sql, const Consumer *consumer)
{
	static Statement settled = {"SELECT promote_internal.settled_position($1)"};
	SqlRows		rows = sql_read(sql, &settled, AS_BIGINT(consumer->position));
	int64		position = sql_wide(&rows, 0);

	if (position > consumer->position && !XactReadOnly)
		move_consumer(sql, consumer, position);
}

/*
 * promote.next_events(consumer text, max_events integer) returns table, see sql/ledger/event.sql
 */
Datum
promote_next_events(PG_FUNCTION_ARGS)
{
	char	   *name = argument_required(fcinfo, 0, "consumer");
	SqlValue	max_events = sql_value(INT4OID, PG_ARGISNULL(1), PG_GETARG_DATUM(1));
	Consumer	consumer;
	SqlRows		rows;
	Sql			sql;

	access_require_sight(NULL);
	require_accountable(rights_role());
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	require_consumer(&sql, name, false, &consumer);
	rows = read_events(&sql, &consumer, max_events);
	result_add_rows(fcinfo, &rows);
	if (rows.count == 0)
		pass_over(&sql, &consumer);
	sql_leave(&sql);
	return (Datum) 0;
}

/* The position that a new consumer begins behind. */
static int64
first_position(const Sql *sql, FunctionCallInfo fcinfo, const Consumer *consumer)
{
	static Statement present = {"SELECT promote_internal.present_position()"};
	SqlRows		rows;
	int64		position;

	if (PG_ARGISNULL(4))
	{
		rows = sql_run(sql, &present);
		return sql_wide(&rows, 0);
	}
	position = PG_GETARG_INT64(4);
	check_position(position);
	if (position > 0)
		refuse_future(sql, consumer, position);
	return position;
}

/* Refuse somebody who would see nothing of what the consumer reads. */
static void
check_scope(const char *project, const char *environment)
{
	if (project && environment)
		access_require_in(GRANTS_ROWS, project, environment);
	else
		access_require_sight(project);
}

/*
 * promote.register_consumer(consumer text, project text, environment text, events text[], after_position bigint)
 * returns record, see sql/ledger/event.sql
 */
Datum
promote_register_consumer(PG_FUNCTION_ARGS)
{
	static Statement insert = {"INSERT INTO promote.consumer (consumer, project, environment, events, position)"
		" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (consumer) DO NOTHING"};
	static Statement change = {"UPDATE promote.consumer AS c SET project = $2, environment = $3, events = $4 WHERE c.consumer = $1"
		" AND (c.project, c.environment, c.events) IS DISTINCT FROM ($2, $3, $4)"};
	char	   *name = argument_required(fcinfo, 0, "consumer");
	SqlValue	project = AS_TEXT(argument_text(fcinfo, 1));
	SqlValue	environment = AS_TEXT(argument_text(fcinfo, 2));
	SqlValue	events = sql_value(TEXTARRAYOID, PG_ARGISNULL(3), PG_GETARG_DATUM(3));
	Consumer	consumer = {.name = name};
	bool		registered = false;
	bool		changed = false;
	Sql			sql;

	check_scope(argument_text(fcinfo, 1), argument_text(fcinfo, 2));
	require_primary();
	require_accountable(rights_role());
	sql_enter(&sql);
	if (!find_consumer(&sql, name, true, &consumer))
	{
		consumer.position = first_position(&sql, fcinfo, &consumer);
		registered = sql_run(&sql, &insert, AS_TEXT(name), project, environment, events,
							 AS_BIGINT(consumer.position)).count > 0;
		/* another session may have been faster */
		require_consumer(&sql, name, true, &consumer);
	}
	if (!registered)
		changed = sql_run(&sql, &change, AS_TEXT(name), project, environment, events).count > 0;
	sql_leave(&sql);
	return result_row(fcinfo, AS_BOOL(registered), AS_BOOL(changed), AS_BIGINT(consumer.position));
}

/*
 * promote.remove_consumer(consumer text) returns boolean, see sql/ledger/event.sql
 */
Datum
promote_remove_consumer(PG_FUNCTION_ARGS)
{
	static Statement forget = {"DELETE FROM promote.consumer AS c WHERE c.consumer = $1"};
	char	   *name = argument_required(fcinfo, 0, "consumer");
	Consumer	consumer;
	bool		found;
	Sql			sql;

	access_require_sight(NULL);
	require_primary();
	require_accountable(rights_role());
	sql_enter(&sql);
	found = find_consumer(&sql, name, true, &consumer);
	if (found)
		(void) sql_run(&sql, &forget, AS_TEXT(name));
	sql_leave(&sql);
	PG_RETURN_BOOL(found);
}
