/*
 * health.c: what is reported of instances, and the gates that look at it.
 *
 * A check is a name: a smoke test, a schema migration, a ticket.  Its last
 * report counts, so that a later failure withdraws the green light.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "gate/health.h"
#include "gate/state.h"
#include "grant/actor.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "registry/instance.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(promote_report_health);

#define CHECK_NAME_MAX_LENGTH 255	/* bytes; sql/gate/health.sql has it too */
#define WHITE_SPACE " \t\r\n"

/* A time and a duration in UTC, so that a day has 24 hours whatever the session's time zone. */
#define LATER(at, duration) \
	"((" at " AT TIME ZONE 'UTC') + " duration ") AT TIME ZONE 'UTC'"

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

/* Take the name of a check, which is to be found again by those who require it. */
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
	static OldStatement look = {
		.text = "SELECT EXISTS (SELECT FROM promote.revision AS r WHERE " OF_INSTANCE("r") " AND r.revision = $4)",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	instance_key_values(&health->key, values);
	values[3] = Int32GetDatum(health->revision);
	statement_run(sql, &look, values, NULL, false);
	if (!spi_bool(SPI_tuptable, 0, 1))
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("\"%s\" has no revision %d", instance_key_name(&health->key), health->revision),
				 errdetail("A report is about a revision that there is."),
				 errhint("promote.revision lists them; left out, it is about what the instance desires.")));
}

/*
 * Write the report, under the instance's lock.  The result has the row, its
 * number, revision and deployment, and whether it says something new.
 */
static void
write_report(const Sql *sql, const Health *health)
{
	static OldStatement write = {
		.text = "INSERT INTO promote.health_report AS h (project, environment, component, check_name, report,"
		" healthy, message, revision, deployed_by, since, reported_at, expires_at, actor, database_role)"
		" SELECT $1, $2, $3, $4, COALESCE(l.report, 0) + 1, $5, $6, COALESCE($8, NULLIF(i.revision, 0)), i.deployed_by,"
		" CASE WHEN l.healthy = $5 AND (NOT $5 OR l.expires_at > t.now OR l.expires_at IS NULL) THEN l.since ELSE t.now END,"
		" t.now, " LATER("t.now", "$7") ", $9, $10"
		" FROM promote.instance AS i"
		" LEFT JOIN LATERAL (SELECT r.* FROM promote.health_report AS r WHERE " OF_INSTANCE("r") " AND r.check_name = $4"
		"  ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, r.report DESC LIMIT 1) AS l ON true"
		/* a clock that was set back does not make a report older than the one before */
		" CROSS JOIN LATERAL (SELECT GREATEST(pg_catalog.clock_timestamp(), l.reported_at)) AS t (now)"
		" WHERE " OF_INSTANCE("i")
		" RETURNING h, h.report, h.revision, h.deployed_by, h.since = h.reported_at"
		" OR NOT EXISTS (SELECT FROM promote.health_report AS r WHERE " OF_INSTANCE("r") " AND r.check_name = $4"
		"  AND r.report = h.report - 1 AND r.revision IS NOT DISTINCT FROM h.revision"
		"  AND r.deployed_by IS NOT DISTINCT FROM h.deployed_by)",
		.parameters = 10,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, INTERVALOID, INT4OID, TEXTOID, TEXTOID}
	};
	Datum		values[10];
	bool		nulls[10] = {
		[5] = health->message == NULL,
		[6] = health->expires_after == NULL,
		[7] = health->revision == 0
	};

	instance_key_values(&health->key, values);
	values[3] = CStringGetTextDatum(health->check);
	values[4] = BoolGetDatum(health->healthy);
	values[5] = health->message ? CStringGetTextDatum(health->message) : (Datum) 0;
	values[6] = PointerGetDatum(health->expires_after);
	values[7] = Int32GetDatum(health->revision);
	values[8] = CStringGetTextDatum(current_actor());
	values[9] = CStringGetTextDatum(current_database_role());
	statement_run(sql, &write, values, nulls, false);
}

/*
 * Append a report to the instance's chain, and tell listeners where it says
 * something new.  What the reporter says is left out: it may quote anything.
 */
static void
record_report(const Sql *sql, const Health *health, int32 report, int32 revision, int32 deployed_by, bool is_new)
{
	const char *name = instance_key_name(&health->key);
	JsonBuilder	builder;

	audit_begin(&builder);
	json_build_field(&builder, "check", health->check);
	json_build_number(&builder, "report", report);
	json_build_key(&builder, "healthy", strlen("healthy"));
	json_build_bool(&builder, health->healthy);
	json_build_number(&builder, "revision", revision);
	json_build_number(&builder, "deployment", deployed_by);
	audit_note_facts(sql, health->key.project, name, "health.reported", &builder);
	if (is_new)
		notify(&(Notice) {name, revision, 0, "HEALTH", health->healthy ? "HEALTHY" : "UNHEALTHY"});
}

/* Take a report, past the guards; returns its row, in the caller's memory context. */
static Datum
take_report(const Sql *sql, const Health *health, MemoryContext caller)
{
	SPITupleTable *rows;
	MemoryContext inner;
	Datum		row;
	bool		isnull;

	write_report(sql, health);
	rows = SPI_tuptable;
	inner = MemoryContextSwitchTo(caller);
	row = datumCopy(spi_value(rows, 0, 1, &isnull), false, -1);
	MemoryContextSwitchTo(inner);
	record_report(sql, health, spi_integer(rows, 0, 2), spi_integer(rows, 0, 3), spi_integer(rows, 0, 4), spi_bool(rows, 0, 5));
	return row;
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
	Sql			sql;
	volatile Datum row = (Datum) 0;
	bool		was;

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
	was = guard_open(true);
	PG_TRY();
	{
		row = take_report(&sql, &health, sql.caller);
	}
	PG_FINALLY();
	{
		guard_open(was);
	}
	PG_END_TRY();
	sql_leave(&sql);
	return row;
}

/* A required check without a green light, as the gate's statement returns it. */
typedef struct Missing
{
	char	   *check;
	char	   *instance;		/* whose reports count */
	int32		revision;		/* that they have to be about; 0: any */
	bool		reported;
	bool		healthy;
	char	   *message;		/* NULL: none */
	TimestampTz since;
	TimestampTz expired_at;
} Missing;

/* Say of a required check that it has no green light, and why. */
static void
block_missing(GateCase *gate, const Missing *missing)
{
	const char *of = missing->revision == 0 ? psprintf("\"%s\"", missing->instance) :
		psprintf("revision %d of \"%s\"", missing->revision, missing->instance);
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
		since = missing->expired_at;
	}
	gate_block(gate, "health", true, since, GATE_NO_TIME,
			   psprintf("whoever reports check \"%s\" of \"%s\" healthy", missing->check, missing->instance), message);
	/* that it fails again, once it was well, is another reason */
	gate_about(gate, psprintf("%s of %s: %s%s", missing->check, missing->instance, state,
							  since == GATE_NO_TIME ? "" : psprintf(" since %s", audit_time(since))));
}

/* Read a row of the gate's statement. */
static void
read_missing(const GateCase *gate, uint64 row, Missing *missing)
{
	SPITupleTable *rows = SPI_tuptable;
	bool		isnull;
	bool		source = spi_bool(rows, row, 2);

	missing->check = spi_text(rows, row, 1);
	missing->instance = source ? gate_source_name(gate) : pstrdup(gate->instance);
	missing->revision = !spi_bool(rows, row, 3) ? 0 : source ? gate->source_revision : gate->revision;
	(void) spi_value(rows, row, 4, &isnull);
	missing->reported = !isnull;
	missing->healthy = spi_bool(rows, row, 4);
	missing->message = spi_text(rows, row, 5);
	missing->since = DatumGetTimestampTz(spi_value(rows, row, 6, &isnull));
	missing->expired_at = DatumGetTimestampTz(spi_value(rows, row, 7, &isnull));
}

/* Gate "health": every check that the environment requires has to be green at that time. */
void
gate_health(const Sql *sql, GateCase *gate)
{
#define LAST_REPORT(condition, order) \
	"(SELECT r.healthy, r.message, r.since, r.reported_at, r.expires_at FROM promote.health_report AS r" \
	" WHERE r.project = $1 AND r.environment = w.environment AND r.component = $3 AND r.check_name = c.check_name" \
	" AND " condition " ORDER BY r.project DESC, r.environment DESC, r.component DESC, r.check_name DESC, " order \
	" r.report DESC LIMIT 1)"
	static OldStatement read = {
		.text = "SELECT c.check_name, w.source, c.per_revision, l.healthy, l.message, l.since, x.expires_at"
		" FROM promote.required_check AS c"
		" CROSS JOIN LATERAL (SELECT c.of = 'source', CASE WHEN c.of = 'source' THEN $4 ELSE $2 END,"
		"  CASE WHEN c.of = 'source' THEN $6 ELSE $5 END) AS w (source, environment, revision)"
		" LEFT JOIN LATERAL (" LAST_REPORT("NOT c.per_revision", "") " UNION ALL "
		LAST_REPORT("c.per_revision AND r.revision = w.revision", "r.revision DESC,") " LIMIT 1) AS l ON true"
		" CROSS JOIN LATERAL (SELECT LEAST(l.expires_at, " LATER("l.reported_at", "c.expires_after") ")) AS x (expires_at)"
		" WHERE c.project = $1 AND c.environment = $2 AND (c.component = $3 OR c.component IS NULL)"
		" AND c.selector <@ $7 AND w.environment IS NOT NULL"
		/* of a revision that is not there yet nothing can be reported */
		" AND (c.of = 'source' OR NOT c.per_revision OR $5 > 0)"
		" AND (l.healthy AND (x.expires_at > $8 OR x.expires_at IS NULL)) IS NOT TRUE"
		" ORDER BY c.check_name, c.of",
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, JSONBOID, TIMESTAMPTZOID}
	};
	bool		nulls[8] = {[3] = gate->source_environment == NULL};
	Datum		values[8];
	uint64		count;

	instance_key_values(&gate->key, values);
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(gate->source_environment);
	values[4] = Int32GetDatum(gate->revision);
	values[5] = Int32GetDatum(gate->source_revision);
	values[6] = JsonbPGetDatum(gate->attributes);
	values[7] = TimestampTzGetDatum(gate->at);
	statement_run(sql, &read, values, nulls, true);
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		Missing		missing;

		read_missing(gate, i, &missing);
		block_missing(gate, &missing);
	}
}

/* What the source has been through. */
typedef struct Soak
{
	char	   *source;
	char	   *status;			/* the instance's */
	int32		revision;		/* that it runs; 0: none */
	char	   *version;		/* NULL with it */
	bool		same;			/* is that what was promoted? */
	TimestampTz since;			/* it has run that, unbroken; GATE_NO_TIME: it does not */
	TimestampTz unhealthy_at;	/* last report of ill health since; GATE_NO_TIME: none */
	char	   *failing;		/* check whose last report that is; NULL: none */
} Soak;

/* The first check of the source whose last report is of ill health, and not from before it ran that; NULL: none. */
static char *
read_failing(const Sql *sql, const GateCase *gate, TimestampTz since)
{
	static OldStatement read = {
		.text = "SELECT v.check_name FROM promote.instance_health AS v WHERE " OF_INSTANCE("v")
		" AND NOT v.healthy AND v.reported_at >= $4 ORDER BY v.check_name LIMIT 1",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		values[4];

	instance_key_values(&gate->key, values);
	values[1] = CStringGetTextDatum(gate->source_environment);
	values[3] = TimestampTzGetDatum(since);
	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? spi_text(SPI_tuptable, 0, 1) : NULL;
}

/*
 * Read what the source has been through.  A run begins with the first
 * completed PROVISION behind the last thing that may have made it another one:
 * whatever carried something else, failed, or was broken off.
 */
static bool
read_soak(const Sql *sql, const GateCase *gate, Soak *soak)
{
#define DIGEST_OF(d) \
	"(SELECT r.digest FROM promote.revision AS r WHERE " SAME_INSTANCE("r", d) " AND r.revision = " d ".revision)"
	static OldStatement read = {
		.text = "SELECT i.status, i.deployed_revision, run.version, run.same, began.at, bad.at"
		" FROM promote.instance AS i"
		" LEFT JOIN LATERAL (SELECT d.version, d.rendered_digest, d.version = $5 AND " DIGEST_OF("d") " = $4 AS same"
		"  FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "i") " AND d.deployment = i.deployed_by LIMIT 1) AS run ON true"
		" LEFT JOIN LATERAL (SELECT b.started_at FROM promote.deployment AS b WHERE " SAME_INSTANCE("b", "i")
		"  AND run.same AND b.action <> 'PLAN' AND b.started_at IS NOT NULL"
		"  AND NOT (b.action = 'PROVISION' AND b.status NOT IN ('FAILED', 'ABORTED') AND b.version = $5"
		"   AND b.rendered_digest = run.rendered_digest AND " DIGEST_OF("b") " = $4)"
		"  ORDER BY b.project DESC, b.environment DESC, b.component DESC, b.started_at DESC LIMIT 1) AS other ON true"
		" LEFT JOIN LATERAL (SELECT m.finished_at AS at FROM promote.deployment AS m WHERE " SAME_INSTANCE("m", "i")
		"  AND run.same AND m.action <> 'PLAN' AND m.status = 'COMPLETED'"
		"  AND m.started_at > COALESCE(other.started_at, '-infinity')"
		"  ORDER BY m.project, m.environment, m.component, m.started_at LIMIT 1) AS began ON true"
		" LEFT JOIN LATERAL (SELECT h.reported_at AS at FROM promote.health_report AS h WHERE " SAME_INSTANCE("h", "i")
		"  AND NOT h.healthy AND h.reported_at >= began.at"
		"  ORDER BY h.project DESC, h.environment DESC, h.component DESC, h.reported_at DESC LIMIT 1) AS bad ON true"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, BYTEAOID, TEXTOID}
	};
	bool		nulls[5] = {[4] = gate->version == NULL};
	Datum		values[5];

	instance_key_values(&gate->key, values);
	values[1] = CStringGetTextDatum(gate->source_environment);
	values[3] = PointerGetDatum(gate->source_digest);
	values[4] = gate->version ? CStringGetTextDatum(gate->version) : (Datum) 0;
	statement_run(sql, &read, values, nulls, true);
	if (SPI_processed == 0)
		return false;
	*soak = (Soak) {
		.source = gate_source_name(gate),
		.status = spi_text(SPI_tuptable, 0, 1),
		.revision = spi_integer(SPI_tuptable, 0, 2),
		.version = spi_text(SPI_tuptable, 0, 3),
		.same = spi_bool(SPI_tuptable, 0, 4),
		.since = spi_time(SPI_tuptable, 0, 5),
		.unhealthy_at = spi_time(SPI_tuptable, 0, 6)
	};
	if (soak->unhealthy_at != GATE_NO_TIME)
		soak->failing = read_failing(sql, gate, soak->since);
	return true;
}

/* Why the source soaks nothing now; NULL: it does. */
static char *
soaks_nothing(const GateCase *gate, const Soak *soak)
{
	if (soak->revision == 0)
		return psprintf("the source \"%s\" is not provisioned", soak->source);
	if (!soak->same)
		return psprintf("the source \"%s\" runs revision %d by release %s, not what was promoted of revision %d by release %s",
						soak->source, soak->revision, soak->version, gate->source_revision,
						gate->version ? gate->version : "that there is none of");
	if (soak->since == GATE_NO_TIME && strcmp(soak->status, "FAILED") == 0)
		return psprintf("the last deployment of the source \"%s\" has failed", soak->source);
	if (soak->since == GATE_NO_TIME)
		return psprintf("something else is being deployed to the source \"%s\"", soak->source);
	if (soak->failing)
		return psprintf("check \"%s\" of the source \"%s\" has failed", soak->failing, soak->source);
	return NULL;
}

/* A time and a duration, in UTC. */
static TimestampTz
later(TimestampTz at, Interval *duration)
{
	/* a timestamp without time zone counts the same microseconds, and knows no daylight saving */
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(at),
												 IntervalPGetDatum(duration)));
}

/* Gate "soak": the source must have run what was promoted for long enough, in good health. */
void
gate_soak(const Sql *sql, GateCase *gate)
{
	Interval	none = {0};
	Soak		soak;
	char	   *problem;
	TimestampTz from;
	TimestampTz until;

	if (!gate_has_source(gate) || gate->required_soak == NULL ||
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(gate->required_soak), IntervalPGetDatum(&none))) ||
		!read_soak(sql, gate, &soak))
		return;
	problem = soaks_nothing(gate, &soak);
	if (problem)
	{
		gate_block(gate, "soak", true, soak.unhealthy_at, GATE_NO_TIME, psprintf("whoever sees to \"%s\"", soak.source), problem);
		gate_about(gate, problem);
		return;
	}
	from = soak.unhealthy_at != GATE_NO_TIME ? soak.unhealthy_at : soak.since;
	until = later(from, gate->required_soak);
	if (until > gate->at)
	{
		gate_block(gate, "soak", true, from, until, NULL,
				   psprintf("the source \"%s\" has not run it for %s%s", soak.source,
							DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(gate->required_soak))),
							soak.unhealthy_at != GATE_NO_TIME ? " since it was last reported unhealthy" : " yet"));
		/* another run, or another report of ill health, is another reason */
		gate_about(gate, psprintf("since %s", audit_time(from)));
	}
}
