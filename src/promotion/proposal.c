/*
 * proposal.c: desired states that are proposed, read with all that they are
 * judged by.
 *
 * One SELECT serves previewing, promoting, editing and the trigger that
 * records; they differ only in where the proposed rows come from.  What is
 * made of a proposal after that is compose.c's, for all of them.
 */
#include "postgres.h"

#include "base/errors.h"
#include "promotion/proposal.h"
#include "registry/release.h"
#include "registry/remote_reference.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * The parts of the proposing SELECT.  Everything is looked up by whole keys
 * in subqueries, which the planner does not take apart: however small a table
 * was when the plan was made, it cannot become a scan over a part of a key.
 * Scalar ones where one column is wanted, for they cost less to start.
 */
#define PARAMS_OF(instance, digest) \
	"(SELECT c.params FROM promote.config AS c WHERE c.project = " instance ".project" \
	" AND c.digest = " digest ")"
#define SCHEMA_OF(release_bundle, release_version) \
	"(SELECT f.params_schema FROM promote.bundle_release AS f" \
	" WHERE f.bundle = " release_bundle " AND f.version = " release_version ")"
#define PARAMETERS_OF(instance) \
	"(SELECT e.parameters FROM promote.environment AS e" \
	" WHERE e.project = " instance ".project AND e.environment = " instance ".environment)"
#define BUNDLE_OF(instance) \
	"(SELECT m.bundle FROM promote.component AS m" \
	" WHERE m.project = " instance ".project AND m.component = " instance ".component LIMIT 1)"

/*
 * The proposing SELECT over a source of proposed rows n, and a condition on
 * them.  OFFSET keeps the inner query's columns from being computed once for
 * every use.  What few proposals need is read after it, see read_rest.
 *
 * Whoever writes locks the instances by a statement before: one that waited
 * for a lock would read everything else by the snapshot from before.
 */
#define PROPOSE(source, condition) \
	"SELECT x.project, x.environment, x.component, x.name, x.params," \
	" x.version_constraint, x.release_channel, x.bundle, x.version, x.params_schema," \
	" x.current_revision, x.current_deployment, x.current_constraint, x.current_channel," \
	" x.own_digest, x.own_bundle, x.own_version, " PARAMS_OF("x", "x.own_digest") "," \
	" x.head, (SELECT a.hash FROM promote.audit_log AS a WHERE a.project = x.project" \
	"  AND a.subject = x.name AND a.seq = x.head)," \
	" x.plan_revision, x.plan_digest, x.plan_bundle, x.plan_version, x.plan_destructive," \
	" CASE WHEN x.plan_digest <> x.own_digest THEN " PARAMS_OF("x", "x.plan_digest") " END," \
	" x.deployed_by, x.parameters, x.source_revision, x.source_parameters," \
	" x.source_bundle, x.source_version, x.new_revision, x.plan, x.allow_replace, x.fits," \
	" x.digest, x.facts, x.actor, x.database_role, x.created_at, x.source_environment," \
	" x.path_only, x.origin," \
	" (SELECT f.block_reason FROM promote.bundle_release AS f" \
	"  WHERE f.bundle = x.bundle AND f.version = x.version)," \
	" (SELECT NULLIF(f.remote_references, '{}') FROM promote.bundle_release AS f" \
	"  WHERE f.bundle = x.bundle AND f.version = x.version), x.plan_references," \
	" x.kept_marks, x.own_kept, x.source_kept, CASE WHEN x.plan_revision <> x.current_revision" \
	"  THEN (SELECT " KEPT_OF("r") " FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "x") \
	"  AND r.revision = x.plan_revision) ELSE x.own_kept END" \
	" FROM (SELECT i.project, i.environment, i.component, i.name," \
	" i.revision AS current_revision, i.deployment AS current_deployment," \
	" i.version_constraint AS current_constraint, i.release_channel AS current_channel," \
	" i.deployed_by, n.params, n.version_constraint, n.release_channel, n.bundle," \
	" n.version, n.params_schema, n.source_revision, n.source_parameters, n.source_bundle," \
	" n.source_version, n.revision AS new_revision, n.plan, n.allow_replace, n.fits," \
	" n.digest, n.facts, n.actor, n.database_role, n.created_at, n.source_environment, n.origin," \
	" n.kept_marks, n.source_kept, b.kept_marks AS own_kept, b.digest AS own_digest, b.bundle AS own_bundle, b.version AS own_version," \
	" p.revision AS plan_revision, p.rendered_digest AS plan_digest, p.bundle AS plan_bundle," \
	" p.version AS plan_version, p.destructive AS plan_destructive," \
	" p.remote_references AS plan_references," \
	" e.parameters, e.source_policy = 'path' AS path_only," \
	" (SELECT a.seq FROM promote.audit_log AS a WHERE a.project = i.project" \
	"  AND a.subject = i.name ORDER BY a.seq DESC LIMIT 1) AS head" \
	" FROM (" source ") AS n" \
	" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "n") \
	" LEFT JOIN LATERAL (SELECT e.parameters, e.source_policy FROM promote.environment AS e" \
	"  WHERE e.project = i.project AND e.environment = i.environment LIMIT 1) AS e ON true" \
	" LEFT JOIN LATERAL (SELECT r.digest, r.bundle, r.version, " KEPT_OF("r") " AS kept_marks" \
	"  FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "i") \
	"  AND r.revision = i.revision LIMIT 1) AS b ON true" \
	" LEFT JOIN LATERAL (SELECT d.revision, d.rendered_digest, d.bundle, d.version, d.destructive," \
	"  d.remote_references" \
	"  FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "i") " AND d.action = 'PLAN'" \
	"  AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')" \
	"  ORDER BY d.revision DESC, d.deployment DESC LIMIT 1) AS p ON true" \
	condition " OFFSET 0) AS x"

/*
 * What rows of revision propose, by the rows k of a table of keys.  A release
 * that was chosen by hand must be one that the constraint allows.
 */
#define FROM_REVISION(table) \
	"SELECT k.project, k.environment, k.component, r.revision, " PARAMS_OF("k", "r.digest") \
	" AS params, r.version_constraint, r.release_channel, r.bundle, r.version, " \
	SCHEMA_OF("r.bundle", "r.version") " AS params_schema, r.source_revision," \
	" NULL::jsonb AS source_parameters, s.bundle AS source_bundle, s.version AS source_version," \
	" r.plan, r.allow_replace, r.bundle = " BUNDLE_OF("k") \
	" AND promote.version_key(r.version) >= (promote.version_range(r.version_constraint)).lower" \
	" AND promote.version_key(r.version) < (promote.version_range(r.version_constraint)).upper" \
	" AND (r.release_channel = 'development' OR r.version_constraint ~ '^[0-9]'" \
	"  OR NOT promote.version_is_prerelease(r.version)) AS fits," \
	" r.digest, r.facts, r.actor, r.database_role, r.created_at, r.source_environment, r.origin," \
	" r.kept_marks, s.kept_marks AS source_kept" \
	" FROM " table " AS k" \
	" CROSS JOIN LATERAL (SELECT r.*, promote_internal.audit_facts(r) AS facts" \
	"  FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "k") \
	"  AND r.revision = k.revision LIMIT 1) AS r" \
	" LEFT JOIN LATERAL (SELECT s.bundle, s.version, " KEPT_OF("s") " AS kept_marks FROM promote.revision AS s" \
	"  WHERE s.project = k.project AND s.environment = r.source_environment" \
	"  AND s.component = k.component AND s.revision = r.source_revision LIMIT 1) AS s ON true"

/*
 * What an instance s desires, as a proposal for the instance of the first
 * three parameters: by the newest release that the constraint allows now.
 */
#define FROM_INSTANCE \
	"SELECT $1 AS project, $2 AS environment, $3 AS component, NULL::integer AS revision, " \
	PARAMS_OF("s", "d.digest") " AS params," \
	" COALESCE($5, s.version_constraint) AS version_constraint," \
	" COALESCE($6, s.release_channel) AS release_channel, m.bundle, rel.version," \
	" rel.params_schema, s.revision AS source_revision, " PARAMETERS_OF("s") \
	" AS source_parameters, d.bundle AS source_bundle, d.version AS source_version," \
	" false AS plan, false AS allow_replace, true AS fits, NULL::bytea AS digest," \
	" NULL::jsonb AS facts, NULL::text AS actor, NULL::text AS database_role," \
	" NULL::timestamptz AS created_at, s.environment AS source_environment, NULL::text AS origin," \
	" NULL::jsonb AS kept_marks, d.kept_marks AS source_kept" \
	" FROM promote.instance AS s" \
	" CROSS JOIN LATERAL " BUNDLE_OF("s") " AS m" \
	" LEFT JOIN LATERAL (SELECT r.digest, r.bundle, r.version, " KEPT_OF("r") " AS kept_marks FROM promote.revision AS r" \
	"  WHERE " SAME_INSTANCE("r", "s") " AND r.revision = s.revision LIMIT 1) AS d ON true" \
	" LEFT JOIN LATERAL promote.resolve_release(m.bundle," \
	"  COALESCE($5, s.version_constraint), COALESCE($6, s.release_channel)) AS rel ON true" \
	" WHERE s.project = $1 AND s.environment = $4 AND s.component = $3"

/*
 * Lock the instances of the rows of the transition table new_revision that
 * are new, in key order; returns how many.  Rows at or below their instance's
 * counter are not new: a dump brings them back, and whatever was to be
 * recorded of them is in the dump as well.
 */
uint64
proposal_lock_new(const Sql *sql)
{
	static OldStatement statement = {
		.text = "SELECT FROM new_revision AS k JOIN promote.instance AS i ON "
		SAME_INSTANCE("i", "k") " WHERE k.revision > i.revision"
		" ORDER BY i.project, i.environment, i.component FOR NO KEY UPDATE OF i"
	};
	uint64		count;

	statement_run(sql, &statement, NULL, NULL, false);
	count = SPI_processed;
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* Open a cursor over what proposal_lock_new has locked, in key order. */
Portal
proposal_open_new(const Sql *sql)
{
	static OldStatement statement = {
		.text = PROPOSE(FROM_REVISION("new_revision"), " WHERE n.revision > i.revision"
						" ORDER BY i.project, i.environment, i.component")
	};

	return statement_open(sql, &statement, NULL, NULL, false);
}

/*
 * Read what an instance of the destination's component in another
 * environment, or the destination itself, desires, as a proposal for the
 * destination; with another constraint and channel, where these are given.
 * Locks nothing.  False where one of the two instances is not there.
 */
bool
proposal_from(const Sql *sql, const InstanceKey *destination, const char *source_environment,
			  const char *version_constraint, const char *release_channel,
			  bool read_only, ProposedRevision *proposed)
{
	static OldStatement statement = {
		.text = PROPOSE(FROM_INSTANCE, ""),
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	bool		nulls[6] = {[4] = version_constraint == NULL,[5] = release_channel == NULL};
	Datum		values[6] = {
		CStringGetTextDatum(destination->project),
		CStringGetTextDatum(destination->environment),
		CStringGetTextDatum(destination->component),
		CStringGetTextDatum(source_environment),
		nulls[4] ? (Datum) 0 : CStringGetTextDatum(version_constraint),
		nulls[5] ? (Datum) 0 : CStringGetTextDatum(release_channel)
	};

	statement_run(sql, &statement, values, nulls, read_only);
	if (SPI_processed == 0)
		return false;
	proposal_read(sql, SPI_tuptable, 0, read_only, proposed);
	return true;
}

/*
 * Refuse to go on where an instance's counter promises a revision that is not
 * there, as after half a restore.
 */
void
proposal_require_history(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if ((proposed->current_revision == 0 || proposal->own_params) &&
		(proposed->current_deployment == 0 || proposed->base_revision == 0 || proposal->planned) &&
		(proposed->source_revision == 0 || proposal->params))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("the history of \"%s\" is not complete", proposal->instance),
			 errdetail("A revision that it or its source is said to be at, or its configuration, is not there."),
			 errhint("Restore the dump as a whole; promote.verify_audit() tells what is missing.")));
}

/* A release, of which there may be none: its strings are NULL then. */
typedef struct Release
{
	const char *bundle;
	const char *version;
} Release;

/* The schema of a release that is not the proposal's own; NULL where it is. */
static Jsonb *
read_schema(const Sql *sql, const Proposal *proposal, const Release *release, bool read_only)
{
	static OldStatement statement = {
		.text = "SELECT f.params_schema FROM promote.bundle_release AS f"
		" WHERE f.bundle = $1 AND f.version = $2",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2];
	Jsonb	   *schema = NULL;

	if (release->version == NULL || proposal->version == NULL ||
		(strcmp(release->bundle, proposal->bundle) == 0 &&
		 strcmp(release->version, proposal->version) == 0))
		return NULL;
	values[0] = CStringGetTextDatum(release->bundle);
	values[1] = CStringGetTextDatum(release->version);
	statement_run(sql, &statement, values, NULL, read_only);
	if (SPI_processed > 0)
		schema = DatumGetJsonbPCopy(JsonbPGetDatum(spi_jsonb(SPI_tuptable, 0, 1)));
	SPI_freetuptable(SPI_tuptable);
	return schema;
}

/* A copy of a document, which may be NULL. */
static Jsonb *
copy_of(const Jsonb *document)
{
	return document ? DatumGetJsonbPCopy(JsonbPGetDatum(document)) : NULL;
}

/*
 * What may run: what was provisioned last, and whatever a PROVISION began
 * since that did not complete; where nothing was (0), since a DECOMMISSION.
 */
List *
proposal_deployed(const Sql *sql, const InstanceKey *key, int32 deployed_by, bool read_only)
{
	static OldStatement statement = {
		.text = "SELECT c.params, f.params_schema, r.kept_marks FROM promote.deployment AS d"
		" CROSS JOIN LATERAL (SELECT c.params FROM promote.config AS c WHERE c.project = d.project"
		"  AND c.digest = d.rendered_digest LIMIT 1) AS c"
		" CROSS JOIN LATERAL (SELECT f.params_schema FROM promote.bundle_release AS f"
		"  WHERE f.bundle = d.bundle AND f.version = d.version LIMIT 1) AS f"
		" CROSS JOIN LATERAL (SELECT " KEPT_OF("r") " AS kept_marks FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "d")
		"  AND r.revision = d.revision LIMIT 1) AS r"
		" WHERE " OF_INSTANCE("d") " AND d.action <> 'PLAN' AND d.action = 'PROVISION'"
		" AND d.started_at >= COALESCE((SELECT b.started_at FROM promote.deployment AS b"
		"  WHERE " OF_INSTANCE("b") " AND b.deployment = $4),"
		" (SELECT pg_catalog.max(b.started_at) FROM promote.deployment AS b WHERE " OF_INSTANCE("b")
		"  AND b.action <> 'PLAN' AND b.action = 'DECOMMISSION' AND b.status = 'COMPLETED'), '-infinity')",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];
	List	   *deployed = NIL;

	instance_key_values(key, values);
	values[3] = Int32GetDatum(deployed_by);
	statement_run(sql, &statement, values, NULL, read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		DeployedParams *runs = palloc(sizeof(DeployedParams));

		runs->params = copy_of(spi_jsonb(SPI_tuptable, i, 1));
		runs->schema = copy_of(spi_jsonb(SPI_tuptable, i, 2));
		runs->kept = copy_of(spi_jsonb(SPI_tuptable, i, 3));
		deployed = lappend(deployed, runs);
	}
	SPI_freetuptable(SPI_tuptable);
	return deployed;
}

/*
 * Take a row of the proposing SELECT, in the current memory context, and read
 * what few proposals need: the schemas of other releases, and what runs.
 */
void
proposal_read(const Sql *sql, SPITupleTable *rows, uint64 row, bool read_only, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	Release		releases[lengthof(proposal->other_schemas)];
	int32		deployed_by;
	bool		isnull;
	int			column = 0;

	memset(proposed, 0, sizeof(*proposed));
	proposed->key.project = spi_text(rows, row, ++column);
	proposed->key.environment = spi_text(rows, row, ++column);
	proposed->key.component = spi_text(rows, row, ++column);
	proposal->instance = spi_text(rows, row, ++column);
	proposal->params = proposal->source_params = spi_jsonb(rows, row, ++column);
	proposed->version_constraint = spi_text(rows, row, ++column);
	proposed->release_channel = spi_text(rows, row, ++column);
	proposal->bundle = spi_text(rows, row, ++column);
	proposal->version = spi_text(rows, row, ++column);
	proposal->schema = spi_jsonb(rows, row, ++column);
	proposed->current_revision = spi_integer(rows, row, ++column);
	proposed->current_deployment = spi_integer(rows, row, ++column);
	proposed->current_constraint = spi_text(rows, row, ++column);
	proposed->current_channel = spi_text(rows, row, ++column);
	proposed->current_digest = spi_bytea(rows, row, ++column);
	releases[0].bundle = spi_text(rows, row, ++column);
	releases[0].version = proposed->current_version = spi_text(rows, row, ++column);
	proposal->own_params = spi_jsonb(rows, row, ++column);
	proposed->head.seq = DatumGetInt64(spi_value(rows, row, ++column, &isnull));
	proposed->head.hash = spi_bytea(rows, row, ++column);
	proposed->base_revision = spi_integer(rows, row, ++column);
	proposed->planned_digest = spi_bytea(rows, row, ++column);
	releases[1].bundle = spi_text(rows, row, ++column);
	releases[1].version = proposed->previous_version = spi_text(rows, row, ++column);
	proposed->planned_destructive = spi_bool(rows, row, ++column);
	proposal->planned = spi_jsonb(rows, row, ++column);
	if (proposal->planned == NULL && proposed->planned_digest)
		proposal->planned = proposal->own_params;
	deployed_by = spi_integer(rows, row, ++column);
	proposal->parameters = spi_jsonb(rows, row, ++column);
	proposed->source_revision = spi_integer(rows, row, ++column);
	proposal->source_parameters = spi_jsonb(rows, row, ++column);
	releases[2].bundle = spi_text(rows, row, ++column);
	releases[2].version = proposed->source_version = spi_text(rows, row, ++column);
	proposed->revision = spi_integer(rows, row, ++column);
	proposed->plan = spi_bool(rows, row, ++column);
	proposal->allow_replace = spi_bool(rows, row, ++column);
	proposed->fits = spi_bool(rows, row, ++column);
	proposed->digest = spi_bytea(rows, row, ++column);
	proposed->facts = spi_jsonb(rows, row, ++column);
	proposed->actor = spi_text(rows, row, ++column);
	proposed->database_role = spi_text(rows, row, ++column);
	proposed->created_at = DatumGetTimestampTz(spi_value(rows, row, ++column, &isnull));
	proposed->source_environment = spi_text(rows, row, ++column);
	proposed->path_only = spi_bool(rows, row, ++column);
	proposed->origin = spi_text(rows, row, ++column);
	proposed->block_reason = spi_text(rows, row, ++column);
	proposed->slots = spi_jsonb(rows, row, ++column);
	proposed->planned_references = spi_jsonb(rows, row, ++column);
	proposal->kept = spi_jsonb(rows, row, ++column);
	proposal->own_kept = spi_jsonb(rows, row, ++column);
	proposal->source_kept = spi_jsonb(rows, row, ++column);
	proposal->planned_kept = spi_jsonb(rows, row, ++column);
	proposed->references = reference_read(sql, &proposed->key, proposed->slots, read_only);
	for (int i = 0; i < lengthof(releases); i++)
		proposal->other_schemas[i] = read_schema(sql, proposal, &releases[i], read_only);
	if (deployed_by > 0)
		proposal->deployed = proposal_deployed(sql, &proposed->key, deployed_by, read_only);
}

/*
 * May a revision of that origin not be of a blocked release?  Edits and adopted
 * drift may be of one: they say what is there, or what is to be once it is
 * unblocked.
 */
bool
proposal_minds_blocks(const char *origin)
{
	return strcmp(origin, "edit") != 0 && strcmp(origin, "adoption") != 0;
}

/*
 * Refuse a proposal to take over, as a promotion, a fork or a rollback does, a
 * state by a release that is blocked.
 */
void
proposal_require_unblocked(const ProposedRevision *proposed, const char *origin)
{
	if (proposed->block_reason && proposal_minds_blocks(origin))
		refuse_blocked_release(proposed->proposal.bundle, proposed->proposal.version,
							   proposed->block_reason);
}

/* Refuse a proposal whose constraint stands for no release. */
void
proposal_require_release(const Sql *sql, const ProposedRevision *proposed)
{
	if (proposed->proposal.version == NULL)
		refuse_no_release(sql, proposed->proposal.bundle, proposed->version_constraint,
						  proposed->release_channel);
}
