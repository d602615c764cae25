/*
 * state.c: gates about what the source and the destination are, and what
 * the plan would do.
 *
 * What blocks can be seen in the views instance_status, drift_status,
 * resource_changes, config_changes and promotion_request.  The gates do not read
 * all of these: the order of their joins depends on what the tables held when the
 * statement was planned.  The functions of sql/gate/state.sql look up whole keys
 * instead, and tests compare them with the views.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "gate/gate.h"
#include "json/digest.h"

#define NAMES_SHOWN 5			/* in a message, of what may be many */

/* ---- the source ---- */

static const SqlField source_fields[] = {
	SQL_FIELDS(SourceStatus, "v", status, since, deployed_revision, deployed_version, deployed_digest, rendered_digest)
};

/* Read the status of the source, unless it is known; false: the source does not exist any more. */
static bool
read_source(const Sql *sql, const GateCase *gate, SourceStatus *source)
{
	static Statement read = SQL_ROWS(source_fields, "SELECT $* FROM promote.instance_status AS v WHERE v.instance = $1");
	SqlRows		rows;

	if (gate->known && gate->known->source)
	{
		*source = *gate->known->source;
		return true;
	}
	rows = sql_read(sql, &read, AS_TEXT(gate_source_name(gate)));
	return sql_row(&rows, 0, source);
}

/* Does the source run the configuration that was promoted?  That may be written otherwise, and be rendered the same. */
static bool
runs_promoted(const Sql *sql, const GateCase *gate, const SourceStatus *source)
{
	static Statement read = {"SELECT promote_internal.rendered_digest($1, $2, $3) = $4"};
	SqlRows		rows;

	if (json_digest_equal(source->deployed_digest, gate->source_digest))
		return true;
	rows = sql_read(sql, &read, AS_TEXT(gate->key.project), AS_TEXT(gate->source_environment),
					AS_BYTEA(gate->source_digest), AS_BYTEA(source->rendered_digest));
	return sql_bool(&rows, 0);
}

/*
 * Gate "source_in_sync": where the environment asks for it, the source has to
 * be in sync, and run the configuration and the release that were promoted.
 */
void
gate_source_in_sync(const Sql *sql, GateCase *gate)
{
	SourceStatus source;
	const char *subject;
	char	   *name;
	char	   *problem;

	if (!gate->require_source_in_sync || !gate_has_source(gate) || !read_source(sql, gate, &source))
		return;
	name = gate_source_name(gate);
	if (strcmp(source.status, "in_sync") != 0)
	{
		subject = source.status;
		problem = psprintf("the source \"%s\" is %s, not in_sync", name, source.status);
	}
	else if (!runs_promoted(sql, gate, &source))
	{
		subject = "configuration";
		problem = psprintf("the source \"%s\" runs revision %d, not the configuration of revision %d that was promoted",
						   name, source.deployed_revision, gate->source_revision);
	}
	else if (gate->version && source.deployed_version && strcmp(gate->version, source.deployed_version) != 0)
	{
		subject = "release";
		problem = psprintf("the source \"%s\" runs release %s, not %s", name, source.deployed_version, gate->version);
	}
	else
		return;
	gate_block(gate, "source_in_sync", subject, source.since, GATE_NO_TIME,
			   psprintf("whoever deploys \"%s\", or promotes what it runs", name), problem);
}

/* ---- the release ---- */

/* Did the release run where it has to have run, deployed and not failed? */
static bool
is_proven(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT FROM promote_internal.proving_runs($1, $2, $3, $4, $5, $6, $7, $8, $9) AS r LIMIT 1"};

	return sql_read(sql, &read, AS_KEY(&gate->key), AS_TEXT(gate->bundle), AS_TEXT(gate->version),
					AS_TEXT(gate->source_environment), AS_INT(gate->source_revision),
					AS_BOOL(gate->path_only), AS_TIME(gate->past ? gate->at : GATE_NO_TIME)).count > 0;
}

static const SqlField brought_fields[] = {
	SQL_FIELDS(GateCase, "b", source_environment, source_revision)
};

/*
 * Find where the release was promoted from: the case's own source, or that of what
 * was promoted below an edit or adopted drift, and goes along with it.
 */
static bool
find_release_source(const Sql *sql, const GateCase *gate, GateCase *from)
{
	static Statement read = SQL_ROWS(brought_fields,
									 "SELECT $* FROM promote_internal.brought_release($1, $2, $3, $4, $5, $6, $7) AS b");
	SqlRows		rows;

	*from = *gate;
	if (gate->source_environment)
		return gate_has_source(gate);
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision), AS_TEXT(gate->bundle),
					AS_TEXT(gate->version),
					sql_value(INT4OID, gate->past == NULL, Int32GetDatum(gate->past ? gate->past->running : 0)));
	return sql_row(&rows, 0, from);
}

/*
 * Gate "release_unproven": unless the environment does without, the release of
 * what was promoted ran at the source, or upstream of it.  Who chooses a release by
 * an edit has no source, and is not judged.  An override holds for the release that
 * it was given for.
 */
void
gate_release_unproven(const Sql *sql, GateCase *gate)
{
	GateCase	from;
	char	   *where;

	if (!gate->require_proven_release || gate->version == NULL || (gate->known && gate->known->proven) ||
		!find_release_source(sql, gate, &from) || is_proven(sql, &from))
		return;
	where = gate->path_only ? psprintf("anywhere upstream of \"%s\"", gate->key.environment) :
		psprintf("at \"%s\", nor where that was promoted from", gate_source_name(&from));
	gate_block(gate, "release_unproven", psprintf("%s %s", gate->bundle, gate->version), GATE_NO_TIME, GATE_NO_TIME,
			   psprintf("whoever deploys it at \"%s\" first", gate_source_name(&from)),
			   psprintf("release %s has not run %s", gate->version, where));
}

/* ---- what the destination has set itself ---- */

/*
 * Gate "reverts": where the environment asks for it, somebody has to answer for a promotion that undoes what the
 * destination had set itself.  The plan says what; what was promoted without one is not let through unseen.  An
 * override holds for the revisions that it was given for.
 */
void
gate_reverts(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT v.name FROM promote_internal.planned_reverts($1, $2, $3, $4, $5) AS v ORDER BY v.place"};
	SqlRows		rows;

	if (!gate->require_no_reverts)
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision),
					AS_NUMBER(gate->plan != 0 ? gate->plan : gate->deployment));
	if (rows.count > 0 && sql_text(&rows, 0) == NULL)
		gate_block(gate, "reverts", "no plan", GATE_NO_TIME, GATE_NO_TIME, "whoever plans it, by promote.plan_instance",
				   psprintf("revision %d was promoted without a plan, so that nobody knows what it undoes", gate->revision));
	else if (rows.count > 0)
		gate_block(gate, "reverts", gate_names(&rows, rows.count), GATE_NO_TIME, GATE_NO_TIME,
				   "whoever promotes with overrides that keep it, or merges",
				   psprintf("a promotion undoes what \"%s\" had set itself: %s", gate->instance,
							gate_names(&rows, NAMES_SHOWN)));
}

/* ---- drift at the destination ---- */

/* Something that differs from what was deployed. */
typedef struct Difference
{
	char	   *path;
	TimestampTz since;
} Difference;

static const SqlField difference_fields[] = {
	SQL_FIELDS(Difference, "x", path, since)
};

/* Would this deploy once more what was deployed?  Then it puts right what differs. */
static bool
puts_right(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT r.deployment FROM promote_internal.repeated_run($1, $2, $3, $4, $5, $6, $7) AS r"};

	return sql_read(sql, &read, AS_KEY(&gate->key), AS_BYTEA(gate->digest), AS_TEXT(gate->version),
					AS_INT(gate->plan), AS_BYTEA(gate->rendered_digest)).count > 0;
}

/* May any difference be open that the revision does not adopt?  A quick look, before open_difference is read. */
static bool
may_differ(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT FROM promote_internal.differing_instance AS x WHERE " OF_INSTANCE("x")
		" AND x.adopted_revision IS DISTINCT FROM $4 LIMIT 1"};

	return sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision)).count > 0;
}

/* The last observation, for a subject: the first bytes of the keyed digest of what was reported; "": none. */
static char *
observed(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT pg_catalog.concat(', as observed by ', pg_catalog.left(pg_catalog.encode(o.digest, 'hex'), 16))"
		" FROM promote.observation AS o WHERE " OF_INSTANCE("o")};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key));

	return rows.count > 0 ? sql_text(&rows, 0) : "";
}

/*
 * Gate "drift": where the environment asks for it, the destination must not
 * differ from what was deployed there.  Differences that were dismissed, or that
 * the revision adopts, do not block.  Nor do any if what was deployed is deployed
 * once more, for that puts them right.
 */
void
gate_drift(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(difference_fields, "SELECT $* FROM promote_internal.open_difference AS x"
									 " WHERE " OF_INSTANCE("x") " AND x.adopted_revision IS DISTINCT FROM $4 ORDER BY x.path");
	TimestampTz since = GATE_NO_TIME;
	StringInfoData names;
	StringInfoData subject;
	SqlRows		rows;

	if (!gate->require_no_drift || (gate->known && !gate->known->differs) || !may_differ(sql, gate))
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->revision));
	if (rows.count == 0 || puts_right(sql, gate))
		return;
	initStringInfo(&names);
	initStringInfo(&subject);
	for (uint64 i = 0; i < rows.count; i++)
	{
		const char *comma = i > 0 ? ", " : "";
		Difference	difference;

		(void) sql_row(&rows, i, &difference);
		since = Min(since, difference.since);
		if (i < NAMES_SHOWN)
			appendStringInfo(&names, "%s%s", comma, difference.path);
		/* a path that has drifted again, or further, is another reason */
		appendStringInfo(&subject, "%s%s since %s", comma, difference.path, audit_time(difference.since));
	}
	if (rows.count > NAMES_SHOWN)
		appendStringInfo(&names, " and " UINT64_FORMAT " more", rows.count - NAMES_SHOWN);
	appendStringInfoString(&subject, observed(sql, gate));
	gate_block(gate, "drift", subject.data, since, GATE_NO_TIME, "whoever adopts or dismisses it",
			   psprintf("\"%s\" differs from what was deployed: %s", gate->instance, names.data));
}

/* ---- what the plan would do ---- */

/* Gate "destructive": the plan must not delete or replace what holds data. */
void
gate_destructive(const Sql *sql, GateCase *gate)
{
	static Statement read = {"SELECT c.address FROM promote_internal.destructive_changes($1, $2, $3, $4) AS c ORDER BY c.change"};
	SqlRows		rows;

	if (gate->plan == 0 || GATE_KNOWS_NOTHING(gate, recorded))
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->plan));
	if (rows.count > 0)
		gate_block(gate, "destructive", gate_names(&rows, rows.count), GATE_NO_TIME, GATE_NO_TIME,
				   "whoever changes what is desired, so that another plan does not",
				   psprintf("plan %d deletes or replaces resources that hold data: %s", gate->plan,
							gate_names(&rows, NAMES_SHOWN)));
}

/* Block because of what the source never had: values, or changes. */
static void
block_unexpected(GateCase *gate, const SqlRows *rows, const char *what)
{
	if (rows->count > 0)
		gate_block(gate, "unexpected", gate_names(rows, rows->count), GATE_NO_TIME, GATE_NO_TIME,
				   psprintf("whoever deploys it at \"%s\" first", gate_source_name(gate)),
				   psprintf("%s that \"%s\" never had: %s", what, gate_source_name(gate), gate_names(rows, NAMES_SHOWN)));
}

/*
 * Gate "unexpected": where the environment asks for it, a promotion brings nothing
 * that its source has not been through: no value that the source never ran with,
 * and no change that none of the plans recorded for the source had.
 */
void
gate_unexpected(const Sql *sql, GateCase *gate)
{
	static Statement read_values = {"SELECT v.path FROM promote_internal.unexpected_values($1, $2, $3, $4, $5, $6, $7) AS v"
		" ORDER BY v.place"};
	static Statement read_changes = {"SELECT c.address FROM promote_internal.unexpected_changes($1, $2, $3, $4, $5, $6) AS c"
		" ORDER BY c.change"};
	SqlRows		rows;

	if (!gate->require_expected || !gate_has_source(gate))
		return;
	rows = sql_read(sql, &read_values, AS_KEY(&gate->key), AS_INT(gate->plan != 0 ? gate->plan : gate->deployment),
					AS_TEXT(gate->source_environment), AS_BYTEA(gate->digest), AS_BYTEA(gate->source_digest));
	block_unexpected(gate, &rows, "the configuration gets values");
	if (gate->plan == 0)
		return;
	rows = sql_read(sql, &read_changes, AS_KEY(&gate->key), AS_INT(gate->plan), AS_TEXT(gate->source_environment),
					AS_INT(gate->revision));
	block_unexpected(gate, &rows, psprintf("plan %d makes changes", gate->plan));
}

/* ---- requests ---- */

/* A request that holds the destination. */
typedef struct Holder
{
	int32		request;
	TimestampTz since;
	char	   *source_environment;
	char	   *status;
	char	   *actor;
} Holder;

static const SqlField holder_fields[] = {
	SQL_FIELDS(Holder, "h", request, since, source_environment, status, actor)
};

/*
 * Gate "request": only the request that holds an instance deploys it.  A
 * deployment is the request's if the request has staged its revision, to promote
 * or to roll back, whoever calls the verb.
 */
void
gate_request(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(holder_fields, "SELECT $* FROM promote_internal.holding_request AS h"
									 " WHERE " OF_INSTANCE("h") " AND ($4 IN (h.revision, h.rollback_revision)) IS NOT TRUE");
	Holder		holder;
	SqlRows		rows;

	if (gate->known && !gate->known->held)
		return;
	/* no request decommissions anything */
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_NUMBER(gate_provisions(gate) ? gate->revision : 0));
	if (sql_row(&rows, 0, &holder))
		gate_block(gate, "request", psprintf("request %d", holder.request), holder.since, GATE_NO_TIME,
				   psprintf("whoever ends request %d by promote.cancel_request", holder.request),
				   psprintf("request %d holds \"%s\" (%s to %s, %s, opened by %s)", holder.request, gate->instance,
							holder.source_environment, gate->key.environment, holder.status, holder.actor));
}
