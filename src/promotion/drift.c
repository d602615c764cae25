/*
 * drift.c: comparing what exists with what was deployed.
 *
 * A report is compared, leaf by leaf, with the rendered configuration of the PROVISION that
 * the instance runs by.  Each difference is an item.  It lasts from the first report that
 * shows it to the first report that does not, or until the next PROVISION.  Each item has the
 * instance's changed_by from when it was seen, so nothing has to be written to end it when
 * something is provisioned.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/errors.h"
#include "compose/entry.h"
#include "grant/actor.h"
#include "json/digest.h"
#include "json/merge.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "promotion/deployment.h"
#include "promotion/proposal_single.h"
#include "promotion/recording.h"
#include "promotion/stage.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_report_observed);
PG_FUNCTION_INFO_V1(promote_report_observed_digest);
PG_FUNCTION_INFO_V1(promote_adopt_drift);
PG_FUNCTION_INFO_V1(promote_dismiss_drift);

/* An instance, and what was last observed of it. */
typedef struct Observed
{
	InstanceKey key;
	int32		deployed_by;	/* 0: the instance is not provisioned */
	int32		changed_by;
	bytea	   *digest;			/* of the last report since then; NULL: none */
	bytea	   *document;		/* digest of the last full report since then; NULL: none */
	int32		differences;	/* number shown by the last report */
	Carried		deployed;		/* what deployed_by carries */
} Observed;

/* A report. */
typedef struct Report
{
	Observed	before;
	bytea	   *digest;
	Jsonb	   *document;		/* NULL: only the digest was reported */
	char	   *source;
} Report;

/* The outcome of a report: numbers of items. */
typedef struct Outcome
{
	int32		differences;
	int32		opened;
	int32		moved;			/* items whose observed value changed */
	int32		gone;
} Outcome;

static const SqlField observed_fields[] = {
	SQL_FIELDS(Observed, "i", deployed_by, changed_by),
	SQL_FIELDS(Observed, "o", digest, document, differences)
};

/*
 * Lock the instance, and read what was observed since the last PROVISION.  Refuses an instance
 * that is not provisioned, because nothing could have drifted.
 */
static void
read_observed(const Sql *sql, Observed *observed)
{
	static Statement read = SQL_ROWS(observed_fields, "SELECT $* FROM promote.instance AS i"
									 " LEFT JOIN promote.observation AS o ON " SAME_INSTANCE("o", "i")
									 "  AND o.changed_by = i.changed_by"
									 " WHERE " OF_INSTANCE("i"));
	SqlRows		rows;

	instance_lock(sql, &observed->key, true);
	rows = sql_run(sql, &read, AS_KEY(&observed->key));
	if (!sql_row(&rows, 0, observed))
		require_instance(sql, &observed->key);
	if (observed->deployed_by == 0)
		ereport(ERROR,
				(errcode(PM_NOT_DEPLOYED),
				 errmsg("instance \"%s\" is not provisioned", instance_key_name(&observed->key)),
				 errdetail("There is nothing that could differ from what was deployed."),
				 errhint("Deploy it first, with promote.deploy_instance.")));
}

/* Read what the instance runs. */
static void
read_deployed(const Sql *sql, Observed *observed)
{
	if (!deployment_carries(sql, &observed->key, observed->deployed_by, false,
							&observed->deployed))
		refuse_unknown_deployment(sql, &observed->key, observed->deployed_by);
}

/* The configuration with a digest; NULL: none is stored. */
static Jsonb *
read_config(const Sql *sql, const InstanceKey *key, const bytea *digest)
{
	static Statement read = {"SELECT c.params FROM promote.config AS c WHERE c.project = $1 AND c.digest = $2"};
	SqlRows		rows;

	if (digest == NULL)
		return NULL;
	rows = sql_run(sql, &read, AS_TEXT(key->project), AS_BYTEA(digest));
	return rows.count > 0 ? sql_jsonb(&rows, 0) : NULL;
}

/* Store the report. */
static void
write_observation(const Sql *sql, const Report *report, int32 differences)
{
	static Statement write = {"INSERT INTO promote.observation AS o (project, environment, component, digest,"
		" document, document_at, differences, changed_by, source, reported_at)"
		" SELECT $1, $2, $3, $4, $5, CASE WHEN $5 IS NOT NULL THEN t.now END, $6, $7, $8, t.now"
		" FROM pg_catalog.clock_timestamp() AS t (now)"
		" ON CONFLICT (project, environment, component) DO UPDATE SET digest = EXCLUDED.digest,"
		" document = CASE WHEN EXCLUDED.document IS NOT NULL OR o.changed_by <> EXCLUDED.changed_by"
		"  THEN EXCLUDED.document ELSE o.document END,"
		" document_at = CASE WHEN EXCLUDED.document IS NOT NULL OR o.changed_by <> EXCLUDED.changed_by"
		"  THEN EXCLUDED.document_at ELSE o.document_at END,"
		" differences = EXCLUDED.differences, changed_by = EXCLUDED.changed_by,"
		" source = EXCLUDED.source, reported_at = EXCLUDED.reported_at"};

	guarded_run(sql, &write, AS_KEY(&report->before.key), AS_BYTEA(report->digest),
				AS_BYTEA(report->document ? report->digest : NULL), AS_INT(differences),
				AS_INT(report->before.changed_by), AS_TEXT(report->source));
}

/* Update the time of a report that repeats the last one. */
static void
touch_observation(const Sql *sql, const Report *report)
{
	static Statement touch = {"UPDATE promote.observation AS o SET source = $4, reported_at = t.now,"
		" document_at = CASE WHEN o.document = o.digest THEN t.now ELSE o.document_at END"
		" FROM pg_catalog.clock_timestamp() AS t (now) WHERE " OF_INSTANCE("o")};

	guarded_run(sql, &touch, AS_KEY(&report->before.key), AS_TEXT(report->source));
}

/* The parts of an instance's desired state that mark sensitive values. */
typedef struct Desired
{
	Jsonb	   *params;
	Jsonb	   *schema;			/* of its release */
	Jsonb	   *kept;			/* paths that stay marked, see mask.h; NULL: none */
	Jsonb	   *parameters;
} Desired;

static const SqlField desired_fields[] = {
	SQL_FIELD(Desired, params, "c.params"),
	SQL_FIELD(Desired, schema, "f.params_schema"),
	SQL_FIELD(Desired, kept, "r.kept_marks"),
	SQL_FIELD(Desired, parameters, "promote_internal.parameters_of(i.project, i.environment)")
};

/* Add the desired state to the mask, because a person may have applied it before its deployment. */
static void
add_desired(const Sql *sql, Mask *mask, const InstanceKey *key)
{
	static Statement read = SQL_ROWS(desired_fields, "SELECT $* FROM promote.instance AS i"
									 " JOIN promote_internal.marked_revision AS r ON " SAME_INSTANCE("r", "i") " AND r.revision = i.revision"
									 " JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest"
									 " JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version"
									 " WHERE " OF_INSTANCE("i"));
	SqlRows		rows = sql_run(sql, &read, AS_KEY(key));
	Desired		desired;

	if (!sql_row(&rows, 0, &desired))
		return;
	mask_add_schema(mask, desired.schema);
	mask_add_both(mask, desired.params, desired.parameters, desired.kept);
}

/*
 * The differences between what was deployed and a document.  Values are masked that are
 * sensitive in the document, in anything that may run, or in the desired state.
 */
static Jsonb *
drift_of(const Sql *sql, const Observed *observed, Jsonb *document)
{
	const Carried *deployed = &observed->deployed;
	const Carried exists = {.params = document};
	Mask	   *mask = mask_create(deployed->schema);
	Entries		entries = {NULL};

	mask_add_origin(mask, deployed->params, deployed->kept);
	mask_add_origin(mask, document, NULL);
	compose_add_deployed(mask, deployments_running(sql, &observed->key, observed->deployed_by, false));
	add_desired(sql, mask, &observed->key);
	entries_add_leaves(&entries, mask, deployed, &exists);
	return entries_document(&entries);
}

/* The difference where only a digest was reported: one, at the root. */
static Jsonb *
drift_of_digest(const Carried *deployed, const bytea *digest)
{
	JsonBuilder	builder;

	json_begin_array(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "path", ".");
	json_build_field(&builder, "old", audit_hex(deployed->rendered_digest));
	json_build_field(&builder, "new", audit_hex(digest));
	return json_builder_finish(&builder);
}

/* Collect the paths of changes: a list of char *.  A JsonChangeCollector. */
static void
add_path(void *state, const JsonChange *change)
{
	List	  **paths = state;

	*paths = lappend(*paths, pstrdup(change->path));
}

/* The paths of the leaves whose value differs from the report before, as an array of texts. */
static Datum
moved_paths(const Sql *sql, const Report *report)
{
	Jsonb	   *before = read_config(sql, &report->before.key, report->before.document);
	List	   *paths = NIL;

	if (report->document == NULL)
		paths = list_make1(".");
	/* without an earlier report nothing has changed */
	else if (before)
		json_leaf_diff(before, NULL, report->document, NULL, add_path, &paths);
	return names_array(paths);
}

/* The condition for an instance's open items. */
#define OPEN_ITEMS(row) OF_INSTANCE(row) " AND " row ".closed_at IS NULL"

/* The number of the instance's last item. */
#define LAST_ITEM \
	"COALESCE((SELECT d.item FROM promote.drift_item AS d WHERE " OF_INSTANCE("d") \
	" ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.item DESC LIMIT 1), 0)"

static const SqlField outcome_fields[] = {
	SQL_FIELDS(Outcome, "c", opened, moved, gone)
};

/*
 * Update the items from a report.  Items that the report does not show are closed.  Items with
 * another value stay open, but are no longer dismissed or adopted.  New differences open
 * items.
 */
static void
write_items(const Sql *sql, const Report *report, const Jsonb *diff, Outcome *outcome)
{
	static Statement write = SQL_ROWS(outcome_fields, "WITH step AS MATERIALIZED ("
		"SELECT s.* FROM promote_internal.drift_steps($1, $2, $3, $4, $7, $5, $6) AS s),"
		" ended AS (UPDATE promote.drift_item AS d SET how = 'deployed',"
		" closed_at = pg_catalog.clock_timestamp() WHERE " OPEN_ITEMS("d") " AND d.changed_by <> $4),"
		" gone AS (UPDATE promote.drift_item AS d SET how = 'gone',"
		" closed_at = pg_catalog.clock_timestamp() WHERE " OPEN_ITEMS("d")
		" AND d.changed_by = $4 AND (d.kind = 'digest' AND $7 = 'config'"
		"  OR d.kind = $7 AND d.item IN (SELECT s.item FROM step AS s WHERE s.path IS NULL))"
		" RETURNING d.item),"
		" moved AS (UPDATE promote.drift_item AS d SET observed = s.observed, sensitive = s.sensitive,"
		" deployed = CASE WHEN s.sensitive THEN s.deployed ELSE d.deployed END,"
		" source = $8, adopted_revision = NULL, dismissed_at = NULL, dismissed_by = NULL, reason = NULL"
		" FROM step AS s WHERE " OF_INSTANCE("d") " AND d.item = s.item AND s.moved RETURNING d.item),"
		/* values that a mask covers now, although they did not change */
		" masked AS (UPDATE promote.drift_item AS d SET observed = s.observed, deployed = s.deployed, sensitive = true"
		" FROM step AS s WHERE " OF_INSTANCE("d")
		" AND d.item = s.item AND NOT s.moved AND s.newly_sensitive),"
		" opened AS (INSERT INTO promote.drift_item (project, environment, component, item, kind,"
		" path, deployed, observed, sensitive, changed_by, source, since)"
		" SELECT $1, $2, $3, " LAST_ITEM " + pg_catalog.row_number() OVER (ORDER BY s.place), $7, s.path, s.deployed,"
		" s.observed, s.sensitive, $4, $8, pg_catalog.clock_timestamp()"
		" FROM step AS s WHERE s.item IS NULL RETURNING item)"
		" SELECT $* FROM (SELECT (SELECT pg_catalog.count(*) FROM opened)::integer AS opened,"
		"  (SELECT pg_catalog.count(*) FROM moved)::integer AS moved,"
		"  (SELECT pg_catalog.count(*) FROM gone)::integer AS gone) AS c");
	SqlRows		rows = guarded_run(sql, &write, AS_KEY(&report->before.key), AS_INT(report->before.changed_by),
								   AS_JSONB(diff), AS_TEXTS(moved_paths(sql, report)),
								   AS_TEXT(report->document ? "config" : "digest"), AS_TEXT(report->source));

	sql_row(&rows, 0, outcome);
}

/* Begin the facts of an event about drift: who reports, and about what. */
static void
begin_facts(JsonBuilder *builder, const Observed *observed)
{
	audit_begin(builder);
	json_build_number(builder, "deployment", observed->deployed_by);
}

/* End the facts, and append the event to the instance's chain. */
static void
append_facts(const Sql *sql, JsonBuilder *builder, const Observed *observed, const char *event)
{
	const char *name = instance_key_name(&observed->key);

	audit_note_facts(sql, observed->key.project, name, event, builder);
}

/* Record a report that differs from the one before, without any of its values. */
static void
record_report(const Sql *sql, const Report *report, const Outcome *outcome)
{
	JsonBuilder	builder;

	begin_facts(&builder, &report->before);
	json_build_field(&builder, "digest", audit_hex(report->digest));
	json_build_field(&builder, "source", report->source);
	json_build_number(&builder, "differences", outcome->differences);
	json_build_number(&builder, "opened", outcome->opened);
	json_build_number(&builder, "moved", outcome->moved);
	json_build_number(&builder, "gone", outcome->gone);
	append_facts(sql, &builder, &report->before, "drift.reported");
}

/* Store and record a report that differs from the one before. */
static void
write_report(const Sql *sql, Report *report, Outcome *outcome)
{
	Observed   *before = &report->before;
	const Jsonb *diff;

	read_deployed(sql, before);
	if (report->document == NULL)
		report->document = read_config(sql, &before->key, report->digest);
	else if (!json_digest_equal(report->digest, before->deployed.rendered_digest))
		config_store(sql, before->key.project, report->document);
	diff = report->document ? drift_of(sql, before, report->document) :
		drift_of_digest(&before->deployed, report->digest);
	outcome->differences = JB_ROOT_COUNT(diff);
	write_observation(sql, report, outcome->differences);
	write_items(sql, report, diff, outcome);
	record_report(sql, report, outcome);
}

/* Does an open item still show a value that is masked now? */
static bool
is_marked_anew(const Sql *sql, Report *report)
{
	static Statement look = {"SELECT COALESCE(pg_catalog.bool_or(s.newly_sensitive), false)"
		" FROM promote_internal.drift_steps($1, $2, $3, $4, 'config', $5, '{}') AS s"};
	Observed   *before = &report->before;
	Jsonb	   *document;
	SqlRows		rows;

	if (before->differences == 0)
		return false;
	document = report->document ? report->document : read_config(sql, &before->key, report->digest);
	if (document == NULL)
		return false;
	read_deployed(sql, before);
	rows = sql_run(sql, &look, AS_KEY(&before->key), AS_INT(before->changed_by),
				   AS_JSONB(drift_of(sql, before, document)));
	return sql_bool(&rows, 0);
}

/* Does a report repeat the one before? */
static bool
is_repeated(const Sql *sql, Report *report)
{
	const Observed *before = &report->before;

	return json_digest_equal(report->digest, before->digest) &&
		(report->document == NULL || json_digest_equal(before->document, report->digest)) &&
		!is_marked_anew(sql, report);
}

/* Process a report.  Returns the number of differences that it shows. */
static int32
take_report(Report *report)
{
	Outcome		outcome = {0};
	Sql			sql;

	sql_enter(&sql);
	read_observed(&sql, &report->before);
	if (is_repeated(&sql, report))
	{
		touch_observation(&sql, report);
		outcome.differences = report->before.differences;
	}
	else
		write_report(&sql, report, &outcome);
	sql_leave(&sql);
	return outcome.differences;
}

/* promote.report_observed(instance text, observed jsonb, source text) returns integer */
Datum
promote_report_observed(PG_FUNCTION_ARGS)
{
	Report		report = {0};

	argument_instance_for(fcinfo, 0, "instance", "work", &report.before.key);
	report.document = argument_params(fcinfo, 1, "observed params");
	report.digest = config_digest(report.before.key.project, report.document);
	report.source = argument_required(fcinfo, 2, "source");
	PG_RETURN_INT32(take_report(&report));
}

/* promote.report_observed_digest(instance text, digest bytea, source text) returns integer */
Datum
promote_report_observed_digest(PG_FUNCTION_ARGS)
{
	Report		report = {0};

	argument_instance_for(fcinfo, 0, "instance", "work", &report.before.key);
	report.digest = PG_ARGISNULL(1) ? NULL : PG_GETARG_BYTEA_PP(1);
	if (report.digest == NULL || VARSIZE_ANY_EXHDR(report.digest) != JSON_DIGEST_LENGTH)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the digest is %s", report.digest ? "not one" : "missing"),
				 errdetail("It has to have %d bytes.", JSON_DIGEST_LENGTH),
				 errhint("Pass promote.jsonb_digest of what was observed.")));
	report.digest = config_digest_of(report.before.key.project, report.digest);
	report.source = argument_required(fcinfo, 2, "source");
	PG_RETURN_INT32(take_report(&report));
}

/*
 * The paths, sorted bytewise, of leaves whose observed value differs from the desired state
 * and was not dismissed.  rendered is the desired state and document is what was observed.
 */
static char **
read_paths(const Sql *sql, const Observed *observed, const Jsonb *rendered, const Jsonb *document, int *count)
{
	static Statement read = {"SELECT d.path FROM promote.drift_item AS d WHERE " OPEN_ITEMS("d")
		" AND d.changed_by = $4 AND d.kind = 'config' AND d.dismissed_at IS NULL"
		" AND promote.jsonb_at_path($5, d.path) IS DISTINCT FROM promote.jsonb_at_path($6, d.path)"
		" ORDER BY d.path"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&observed->key), AS_INT(observed->changed_by),
							   AS_JSONB(rendered), AS_JSONB(document));
	char	  **paths;

	*count = rows.count;
	paths = palloc_extended(Max(*count, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *count; i++)
		paths[i] = sql_text(&rows, i);
	return paths;
}

/*
 * Set the observed values in the desired state.  Returns the number of changed leaves.  Where
 * the desired state has these values already, nothing is set.
 */
static int
adopt(const Sql *sql, const Observed *observed, Proposal *proposal)
{
	Jsonb	   *document = read_config(sql, &observed->key, observed->document);
	Jsonb	   *rendered = json_render(proposal->params, proposal->parameters, true);
	int			count;
	char	  **paths = read_paths(sql, observed, rendered, document, &count);

	proposal->observed = document;
	proposal->params = json_carry(proposal->params, observed->deployed.params, document,
								  paths, count);
	return count;
}

/* Refuse to adopt where only a digest was reported. */
static void
check_document(const Observed *observed)
{
	if (json_digest_equal(observed->digest, observed->document))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("what is at \"%s\" is not known", instance_key_name(&observed->key)),
			 observed->digest ?
			 errdetail("The last report was of a digest, of which no configuration is known.") :
			 errdetail("Nothing was reported since it was provisioned last."),
			 errhint("Report the configuration itself, with promote.report_observed.")));
}

/* Note which revision adopted the differences, and record the adoption. */
static void
record_adoption(const Sql *sql, const Observed *observed, const Staged *staged, int count)
{
	static Statement note = {"UPDATE promote.drift_item AS d SET adopted_revision = $5 WHERE " OPEN_ITEMS("d")
		" AND d.changed_by = $4 AND d.kind = 'config' AND d.dismissed_at IS NULL"
		" AND d.adopted_revision IS DISTINCT FROM $5"};
	SqlRows		noted = guarded_run(sql, &note, AS_KEY(&observed->key), AS_INT(observed->changed_by),
									AS_INT(staged->new_revision));
	JsonBuilder	builder;

	if (!staged->changed && noted.count == 0)
		return;
	begin_facts(&builder, observed);
	json_build_field(&builder, "digest", audit_hex(observed->digest));
	json_build_number(&builder, "revision", staged->new_revision);
	json_build_number(&builder, "adopted", count);
	append_facts(sql, &builder, observed, "drift.adopted");
}

/*
 * promote.adopt_drift(instance text, message text, expected_revision integer,
 * plan boolean, allow_replace boolean) returns a row, see sql/promotion/drift.sql
 */
Datum
promote_adopt_drift(PG_FUNCTION_ARGS)
{
	Staging		staging = {.origin = ORIGIN_ADOPTION,.message = argument_text(fcinfo, 1)};
	Observed	observed = {0};
	ProposedRevision proposed;
	Sql			sql;
	Staged		staged;
	int			count;

	argument_instance_for(fcinfo, 0, "instance", "configure", &observed.key);
	sql_enter(&sql);
	read_observed(&sql, &observed);
	proposal_from(&sql, &observed.key, observed.key.environment, NULL, NULL, false, &proposed);
	stage_check_revision(fcinfo->args[2], &proposed);
	check_document(&observed);
	read_deployed(&sql, &observed);
	count = adopt(&sql, &observed, &proposed.proposal);
	proposed.proposal.allow_replace = argument_bool(fcinfo, 4, false);
	proposed.plan = argument_bool(fcinfo, 3, true);
	stage_write(&sql, &staging, &proposed, sql.caller, &staged);
	record_adoption(&sql, &observed, &staged, count);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}

/*
 * Dismiss the differences that reports show at a path, or everywhere where path is NULL.
 * Returns how many were not already dismissed for that reason.
 */
static int32
dismiss_reported(const Sql *sql, const Observed *observed, const char *reason, const char *path)
{
	static Statement write = {"UPDATE promote.drift_item AS d SET dismissed_at = pg_catalog.clock_timestamp(),"
		" dismissed_by = $7, reason = $5 WHERE " OPEN_ITEMS("d")
		" AND d.changed_by = $4 AND d.kind <> 'resource' AND d.reason IS DISTINCT FROM $5"
		" AND ($6 IS NULL AND d.dismissed_at IS NULL OR d.path = $6)"};

	return guarded_run(sql, &write, AS_KEY(&observed->key), AS_INT(observed->changed_by), AS_TEXT(reason),
					   AS_TEXT(path), AS_TEXT(current_actor())).count;
}

/*
 * Dismiss the differences that recorded plans show; dismissing makes each of them an item.  An
 * earlier item with another reason or another value is closed.
 */
static int32
dismiss_planned(const Sql *sql, const Observed *observed, const char *reason, const char *path)
{
	static Statement write = {"WITH shown AS MATERIALIZED (SELECT v.path, v.observed_value, v.since, v.source"
		" FROM promote.drift_status AS v WHERE v.instance = $8 AND v.kind = 'resource'"
		" AND v.reason IS DISTINCT FROM $5 AND ($6 IS NULL AND NOT v.dismissed OR v.path = $6)),"
		" ended AS (UPDATE promote.drift_item AS d SET how = 'gone',"
		" closed_at = pg_catalog.clock_timestamp() WHERE " OPEN_ITEMS("d")
		" AND d.kind = 'resource' AND (d.path IN (SELECT s.path FROM shown AS s)) IS TRUE)"
		" INSERT INTO promote.drift_item (project, environment, component, item, kind, path,"
		" observed, sensitive, changed_by, source, since, dismissed_at, dismissed_by, reason)"
		" SELECT $1, $2, $3, " LAST_ITEM " + pg_catalog.row_number() OVER (), 'resource', s.path, s.observed_value,"
		" false, $4, s.source, s.since, pg_catalog.clock_timestamp(), $7, $5 FROM shown AS s"};

	return guarded_run(sql, &write, AS_KEY(&observed->key), AS_INT(observed->changed_by), AS_TEXT(reason),
					   AS_TEXT(path), AS_TEXT(current_actor()), AS_TEXT(instance_key_name(&observed->key))).count;
}

/* Refuse a path at which nothing differs. */
static void
check_path(const Sql *sql, const Observed *observed, const char *path)
{
	static Statement look = {"SELECT FROM promote.drift_status AS v WHERE v.instance = $1 AND v.path = $2"};

	if (sql_run(sql, &look, AS_TEXT(instance_key_name(&observed->key)), AS_TEXT(path)).count == 0)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("nothing of \"%s\" differs there", instance_key_name(&observed->key)),
				 errdetail("No report shows a difference at %s.", path),
				 errhint("promote.drift_status lists what differs.")));
}

/* Record where and why drift was dismissed. */
static void
record_dismissal(const Sql *sql, const Observed *observed, const char *reason, const char *path, int32 count)
{
	JsonBuilder	builder;

	begin_facts(&builder, observed);
	json_build_field(&builder, "reason", reason);
	if (path)
		json_build_field(&builder, "path", path);
	json_build_number(&builder, "dismissed", count);
	append_facts(sql, &builder, observed, "drift.dismissed");
}

/* promote.dismiss_drift(instance text, reason text, path text) returns integer */
Datum
promote_dismiss_drift(PG_FUNCTION_ARGS)
{
	Observed	observed = {0};
	char	   *reason;
	char	   *path;
	Sql			sql;
	int32		count;

	argument_instance_for(fcinfo, 0, "instance", "configure", &observed.key);
	reason = argument_required(fcinfo, 1, "reason");
	path = PG_ARGISNULL(2) ? NULL : argument_required(fcinfo, 2, "path");
	sql_enter(&sql);
	read_observed(&sql, &observed);
	if (path)
		check_path(&sql, &observed, path);
	count = dismiss_reported(&sql, &observed, reason, path) +
		dismiss_planned(&sql, &observed, reason, path);
	if (count > 0)
		record_dismissal(&sql, &observed, reason, path, count);
	sql_leave(&sql);
	PG_RETURN_INT32(count);
}
