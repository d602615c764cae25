/*
 * health.c: what is reported of instances, and the gates that look at it.
 *
 * A check is a name: a smoke test, a schema migration, a ticket.  Its last
 * report counts, so that a later failure withdraws the green light.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/errors.h"
#include "gate/gate.h"
#include "grant/actor.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_report_health);

#define CHECK_NAME_MAX_LENGTH 255	/* bytes; sql/gate/health.sql has it too */
#define WHITE_SPACE " \t\r\n"

/* A report as it is made. */
typedef struct Health
{
	InstanceKey key;
	char	   *check;
	bool		healthy;
	char	   *message;		/* NULL: none */
	Interval   *expires_after;	/* NULL: never */
	int32		revision;		/* 0: what the instance desires */
} Health;

/*
 * Take the name of a check.  Rules that require it name it letter for letter, so
 * white space around it is refused.
 */
static char *
argument_check(FunctionCallInfo fcinfo, int argument)
{
	char	   *check = argument_required(fcinfo, argument, "check's name");
	Size		length = strlen(check);

	if (length > CHECK_NAME_MAX_LENGTH || strspn(check, WHITE_SPACE) > 0 ||
		strchr(WHITE_SPACE, check[length - 1]) != NULL)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("not the name of a check"),
				 errdetail_plural("It has %zu byte, and may have %d; white space neither begins nor ends it.",
								  "It has %zu bytes, and may have %d; white space neither begins nor ends it.",
								  length, length, CHECK_NAME_MAX_LENGTH),
				 errhint("Say in a few words what was checked, as in 'smoke test'.")));
	return check;
}

/* Take how long a report counts; NULL: for ever. */
static Interval *
argument_duration(FunctionCallInfo fcinfo, int argument)
{
	Interval	none = {0};
	Interval	most = {.month = 100 * MONTHS_PER_YEAR};
	Datum		value;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = PG_GETARG_DATUM(argument);
	if (!DatumGetBool(DirectFunctionCall2(interval_gt, value, IntervalPGetDatum(&none))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, value, IntervalPGetDatum(&most))))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("a report cannot expire after %s", DatumGetCString(DirectFunctionCall1(interval_out, value))),
				 errdetail("It may count for more than no time and up to 100 years."),
				 errhint("Leave expires_after out where it is never to expire.")));
	return DatumGetIntervalP(value);
}

/* Refuse a report about a revision that is not there. */
static void
check_revision(const Sql *sql, const Health *health)
{
	static Statement look = {"SELECT FROM promote.revision AS r WHERE " OF_INSTANCE("r") " AND r.revision = $4"};

	if (sql_run(sql, &look, AS_KEY(&health->key), AS_INT(health->revision)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("\"%s\" has no revision %d", instance_key_name(&health->key), health->revision),
				 errdetail("A report is about a revision that there is."),
				 errhint("promote.revision lists them; left out, it is about what the instance desires.")));
}

/* A report as it was written. */
typedef struct Reported
{
	int32		report;
	int32		revision;		/* 0: there is none yet */
	int32		deployed_by;	/* 0: it is not provisioned */
	bool		is_new;			/* does it say something else than the last one? */
	HeapTupleHeader row;		/* the whole of it */
} Reported;

static const SqlField reported_fields[] = {
	SQL_FIELDS(Reported, "h", report, revision, deployed_by),
	SQL_FIELD(Reported, row, "h"),
	SQL_FIELD(Reported, is_new, "h.since = h.reported_at OR NOT EXISTS (SELECT FROM promote.health_report AS r"
			  " WHERE " OF_INSTANCE("r") " AND r.check_name = $4 AND r.report = h.report - 1"
			  " AND r.revision IS NOT DISTINCT FROM h.revision AND r.deployed_by IS NOT DISTINCT FROM h.deployed_by)")
};

/* Write the report, past the guards and under the instance's lock. */
static void
write_report(const Sql *sql, const Health *health, Reported *reported)
{
	static Statement write = SQL_ROWS(reported_fields,
									  "INSERT INTO promote.health_report AS h (project, environment, component, check_name,"
									  " report, healthy, message, revision, deployed_by, since, reported_at, expires_at,"
									  " actor, database_role)"
									  " SELECT $1, $2, $3, $4, n.report, $5, $6, COALESCE($8, NULLIF(n.revision, 0)),"
									  " n.deployed_by, n.since, n.now, promote_internal.later(n.now, $7), $9, $10"
									  " FROM promote_internal.next_report($1, $2, $3, $4, $5, $11) AS n RETURNING $*");
	SqlRows		rows = guarded_run(sql, &write, AS_KEY(&health->key), AS_TEXT(health->check), AS_BOOL(health->healthy),
								   AS_TEXT(health->message), AS_INTERVAL(health->expires_after),
								   AS_NUMBER(health->revision), AS_TEXT(current_actor()),
								   AS_TEXT(current_database_role()), AS_TIME(GetCurrentTimestamp()));

	if (!sql_row(&rows, 0, reported))
		elog(ERROR, "a row of promote was not written: a trigger or a rule has skipped it");
}

/*
 * Append a report to the instance's chain, and tell listeners if it says
 * something new.  The reporter's message is left out: it may quote anything.
 */
static void
record_report(const Sql *sql, const Health *health, const Reported *reported)
{
	const char *name = instance_key_name(&health->key);
	JsonBuilder	builder;

	audit_begin(&builder);
	json_build_field(&builder, "check", health->check);
	json_build_number(&builder, "report", reported->report);
	json_build_flag(&builder, "healthy", health->healthy);
	json_build_number(&builder, "revision", reported->revision);
	json_build_number(&builder, "deployment", reported->deployed_by);
	audit_note_facts(sql, health->key.project, name, "health.reported", &builder);
	if (reported->is_new)
		notify(&(Notice) {name, reported->revision, 0, "HEALTH", health->healthy ? "HEALTHY" : "UNHEALTHY"});
}

/*
 * promote.report_health(instance text, check_name text, healthy boolean,
 * message text, expires_after interval, revision integer) returns
 * promote.health_report
 */
Datum
promote_report_health(PG_FUNCTION_ARGS)
{
	Health		health = {0};
	Reported	reported;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "work", &health.key);
	health.check = argument_check(fcinfo, 1);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the verdict is missing"),
				 errdetail("The argument healthy is null."),
				 errhint("Pass true or false; where it is not known, report nothing.")));
	health.healthy = PG_GETARG_BOOL(2);
	health.message = argument_text(fcinfo, 3);
	health.expires_after = argument_duration(fcinfo, 4);
	health.revision = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT32(5);
	sql_enter(&sql);
	instance_lock(&sql, &health.key, true);
	if (!PG_ARGISNULL(5))
		check_revision(&sql, &health);
	write_report(&sql, &health, &reported);
	record_report(&sql, &health, &reported);
	return deployment_result(&sql, PointerGetDatum(reported.row));
}

/* A required check without a green light. */
typedef struct Missing
{
	char	   *check;
	bool		of_source;		/* do the source's reports count, or the destination's? */
	bool		per_revision;	/* do only reports about the revision count? */
	bool		reported;
	bool		healthy;
	char	   *message;		/* NULL: none */
	TimestampTz since;
	TimestampTz expires_at;		/* GATE_NO_TIME: it does not */
} Missing;

static const SqlField missing_fields[] = {
	SQL_FIELD(Missing, check, "m.check_name"),
	SQL_FIELDS(Missing, "m", of_source, per_revision, reported, healthy, message, since, expires_at)
};

/* Block because a required check has no green light, and say why. */
static void
block_missing(GateCase *gate, const Missing *missing)
{
	const char *instance = missing->of_source ? gate_source_name(gate) : gate->instance;
	const char *of = !missing->per_revision ? psprintf("\"%s\"", instance) :
		psprintf("revision %d of \"%s\"", missing->of_source ? gate->source_revision : gate->revision, instance);
	const char *state = "never reported";
	const char *message;
	TimestampTz since = GATE_NO_TIME;

	if (!missing->reported)
		message = psprintf("check \"%s\" was never reported of %s", missing->check, of);
	else if (!missing->healthy)
	{
		message = psprintf("check \"%s\" has failed of %s%s%s", missing->check, of,
						   missing->message ? ": " : "", missing->message ? missing->message : "");
		state = "failed";
		since = missing->since;
	}
	else
	{
		message = psprintf("the last report of check \"%s\" of %s has expired", missing->check, of);
		state = "expired";
		since = missing->expires_at;
	}
	/* a check that fails again after it was healthy is another reason */
	gate_block(gate, "health",
			   psprintf("%s of %s: %s%s", missing->check, instance, state,
						since == GATE_NO_TIME ? "" : psprintf(" since %s", audit_time(since))),
			   since, GATE_NO_TIME, psprintf("whoever reports check \"%s\" of \"%s\" healthy", missing->check, instance),
			   message);
}

/* Gate "health": every check that the environment requires has to be healthy at the time of the case. */
void
gate_health(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(missing_fields, "SELECT $* FROM promote_internal.missing_checks($1, $2, $3, $4, $5, $6,"
									 " $7, $8) AS m ORDER BY m.check_name, m.of_source");
	SqlRows		rows;

	if (gate->known && !gate->known->checks)
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision), AS_TEXT(gate->source_environment),
					AS_INT(gate->source_revision), AS_JSONB(gate->attributes), AS_TIME(gate->at));
	for (uint64 i = 0; i < rows.count; i++)
	{
		Missing		missing;

		(void) sql_row(&rows, i, &missing);
		block_missing(gate, &missing);
	}
}

/* What the source has been through. */
typedef struct Soak
{
	bool		failed;			/* has the last deployment of the instance failed? */
	int32		revision;		/* that it runs; 0: none */
	char	   *version;		/* NULL with it */
	bool		same;			/* does it run what was promoted? */
	TimestampTz since;			/* it has run that without a break; GATE_NO_TIME: it does not */
	TimestampTz unhealthy_at;	/* last report of ill health since; GATE_NO_TIME: none */
	char	   *failing;		/* a check whose last report that is; NULL: none */
	char	   *untold;			/* of what was: why history does not tell; NULL: it does */
} Soak;

static const SqlField soak_fields[] = {
	SQL_FIELDS(Soak, "s", failed, revision, version, same, since, unhealthy_at, failing)
};

static const SqlField past_soak_fields[] = {
	SQL_FIELDS(Soak, "s", failed, revision, version, same, since, unhealthy_at, failing, untold)
};

/* Read what the source has been through: by now, or by the time that a case of the past is judged for. */
static bool
read_soak(const Sql *sql, const GateCase *gate, Soak *soak)
{
	static Statement read = SQL_ROWS(soak_fields, "SELECT $* FROM promote_internal.soak($1, $2, $3, $4, $5) AS s");
	static Statement read_past = SQL_ROWS(past_soak_fields,
										  "SELECT $* FROM promote_internal.soak_at($1, $2, $3, $4, $5, $6) AS s");
	SqlRows		rows;

	soak->untold = NULL;
	if (gate->past)
		rows = sql_read(sql, &read_past, AS_TEXT(gate->key.project), AS_TEXT(gate->source_environment),
						AS_TEXT(gate->key.component), AS_BYTEA(gate->source_digest), AS_TEXT(gate->version),
						AS_TIME(gate->at));
	else
		rows = sql_read(sql, &read, AS_TEXT(gate->key.project), AS_TEXT(gate->source_environment),
						AS_TEXT(gate->key.component), AS_BYTEA(gate->source_digest), AS_TEXT(gate->version));
	return sql_row(&rows, 0, soak);
}

/* Why the source is not soaking what was promoted; NULL: it is. */
static char *
soaks_nothing(const GateCase *gate, const Soak *soak, const char *source)
{
	if (soak->revision == 0)
		return psprintf("the source \"%s\" is not provisioned", source);
	if (!soak->same)
		return psprintf("the source \"%s\" runs revision %d by release %s, not what was promoted of revision %d by release %s",
						source, soak->revision, soak->version, gate->source_revision,
						gate->version ? gate->version : "that there is none of");
	if (soak->since == GATE_NO_TIME && soak->failed)
		return psprintf("the last deployment of the source \"%s\" has failed", source);
	if (soak->since == GATE_NO_TIME)
		return psprintf("something else is being deployed to the source \"%s\"", source);
	if (soak->failing)
		return psprintf("check \"%s\" of the source \"%s\" has failed", soak->failing, source);
	return NULL;
}

/* Block if the source will not have soaked for long enough at the time of the case. */
static void
block_soaking(GateCase *gate, const Soak *soak, const char *source)
{
	bool		was_ill = soak->unhealthy_at != GATE_NO_TIME;
	TimestampTz from = was_ill ? soak->unhealthy_at : soak->since;
	TimestampTz until = gate_later(from, gate->required_soak);
	char	   *span;

	if (until <= gate->at)
		return;
	span = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(gate->required_soak)));
	/* another run, or another report of ill health, is another reason */
	gate_block(gate, "soak", psprintf("since %s", audit_time(from)), from, until, NULL,
			   psprintf("the source \"%s\" has not run it for %s%s", source, span,
						was_ill ? " since it was last reported unhealthy" : " yet"));
}

/* Gate "soak": the source must have run what was promoted for long enough, in good health. */
void
gate_soak(const Sql *sql, GateCase *gate)
{
	Interval	none = {0};
	Soak		soak;
	char	   *source;
	char	   *problem;

	if (!gate_has_source(gate) || gate->required_soak == NULL ||
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(gate->required_soak),
										  IntervalPGetDatum(&none))))
		return;
	if (gate->known && gate->known->supposed)
	{
		block_soaking(gate, &(Soak) {.since = gate->now,.unhealthy_at = GATE_NO_TIME}, gate_source_name(gate));
		return;
	}
	if (!read_soak(sql, gate, &soak))
		return;
	if (soak.untold)
	{
		gate->past->untold = soak.untold;
		return;
	}
	source = gate_source_name(gate);
	problem = soaks_nothing(gate, &soak, source);
	if (problem)
		gate_block(gate, "soak", problem, soak.unhealthy_at, GATE_NO_TIME, psprintf("whoever sees to \"%s\"", source), problem);
	else
		block_soaking(gate, &soak, source);
}
