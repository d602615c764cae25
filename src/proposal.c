/*
 * proposal.c: desired states that are proposed, read with all that they are
 * judged by.
 *
 * One SELECT serves previewing, promoting, editing and the trigger that
 * records; they differ only in where the proposed rows come from.  What is
 * made of a proposal after that is compose.c's, for all of them.
 */
#include "postgres.h"

#include "errors.h"
#include "proposal.h"

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
#define SAME_INSTANCE(row, as) \
	row ".project = " as ".project AND " row ".environment = " as ".environment" \
	" AND " row ".component = " as ".component"
#define DIGEST_OF(instance, number) \
	"(SELECT r.digest FROM promote.revision AS r WHERE " SAME_INSTANCE("r", instance) \
	" AND r.revision = " number ")"
#define PARAMS_OF(instance, digest) \
	"(SELECT c.params FROM promote.config AS c WHERE c.project = " instance ".project" \
	" AND c.digest = " digest ")"
#define SCHEMA_OF(release) \
	"(SELECT f.params_schema FROM promote.bundle_release AS f" \
	" WHERE f.bundle = x.bundle AND f.version = " release ")"

/*
 * The proposing SELECT over a source of proposed rows n, and a condition on
 * them.  The release is the one that the constraint stands for now; the
 * former release is that of the instance's last deployment.  OFFSET keeps the
 * inner query's columns from being computed once for every use.
 *
 * Whoever writes locks the instances by a statement before: one that waited
 * for a lock would read everything else by the snapshot from before.
 */
#define PROPOSE(source, condition) \
	"SELECT x.project, x.environment, x.component, x.name, x.params," \
	" x.version_constraint, x.release_channel, x.current_revision, x.current_deployment," \
	" x.current_constraint, x.current_channel, x.old_digest, " PARAMS_OF("x", "x.old_digest") "," \
	" CASE WHEN x.deployed_revision IS NOT NULL THEN " \
	PARAMS_OF("x", DIGEST_OF("x", "x.deployed_revision")) " END, x.parameters, x.bundle," \
	" x.version, x.params_schema, x.former, " SCHEMA_OF("x.former") ", x.head," \
	" (SELECT a.hash FROM promote.audit_log AS a WHERE a.project = x.project" \
	"  AND a.subject = x.name AND a.seq = x.head), x.base_revision, x.source_revision," \
	" x.new_revision, x.plan, x.allow_replace, x.digest, x.facts, x.actor," \
	" x.database_role, x.created_at" \
	" FROM (SELECT i.project, i.environment, i.component, i.name," \
	" i.revision AS current_revision, i.deployment AS current_deployment," \
	" i.version_constraint AS current_constraint, i.release_channel AS current_channel," \
	" i.deployed_revision, (SELECT e.parameters FROM promote.environment AS e" \
	"  WHERE e.project = i.project AND e.environment = i.environment) AS parameters, c.bundle, rel.version, rel.params_schema," \
	" n.params, n.version_constraint, n.release_channel, n.source_revision," \
	" n.revision AS new_revision, n.plan, n.allow_replace, n.digest, n.facts, n.actor," \
	" n.database_role, n.created_at," \
	" COALESCE(n.revision - 1, i.revision) AS base_revision," \
	" " DIGEST_OF("i", "COALESCE(n.revision - 1, i.revision)") " AS old_digest," \
	" (SELECT p.version FROM promote.deployment AS p WHERE " SAME_INSTANCE("p", "i") \
	"  AND p.deployment = i.deployment) AS former," \
	" (SELECT a.seq FROM promote.audit_log AS a WHERE a.project = i.project" \
	"  AND a.subject = i.name ORDER BY a.seq DESC LIMIT 1) AS head" \
	" FROM (" source ") AS n" \
	" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "n") \
	" CROSS JOIN LATERAL (SELECT c.bundle FROM promote.component AS c" \
	"  WHERE c.project = i.project AND c.component = i.component LIMIT 1) AS c" \
	" LEFT JOIN LATERAL promote.resolve_release(c.bundle, n.version_constraint," \
	"  n.release_channel) AS rel ON true" condition " OFFSET 0) AS x"

/* What rows of revision propose, by the rows k of a table of keys. */
#define FROM_REVISION(table) \
	"SELECT k.project, k.environment, k.component, r.revision, " PARAMS_OF("k", "r.digest") \
	" AS params, r.version_constraint, r.release_channel, NULL::integer AS source_revision," \
	" r.plan, r.allow_replace, r.digest, r.facts, r.actor, r.database_role, r.created_at" \
	" FROM " table " AS k" \
	" CROSS JOIN LATERAL (SELECT r.*, promote.audit_facts(r) AS facts" \
	"  FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "k") \
	"  AND r.revision = k.revision LIMIT 1) AS r"

/*
 * Lock the instances of the rows of the transition table new_revision that
 * are new, in key order; returns how many.  Rows at or below their instance's
 * counter are not new: a dump brings them back, and whatever was to be
 * recorded of them is in the dump as well.
 */
uint64
proposal_lock_new(void)
{
	static Statement statement = {
		.text = "SELECT FROM new_revision AS k JOIN promote.instance AS i ON "
		SAME_INSTANCE("i", "k") " WHERE k.revision > i.revision"
		" ORDER BY i.project, i.environment, i.component FOR NO KEY UPDATE OF i"
	};
	uint64		count;

	statement_run(&statement, NULL, NULL, false);
	count = SPI_processed;
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* Open a cursor over what proposal_lock_new has locked, in key order. */
Portal
proposal_open_new(void)
{
	static Statement statement = {
		.text = PROPOSE(FROM_REVISION("new_revision"), " WHERE n.revision > i.revision"
						" ORDER BY i.project, i.environment, i.component")
	};

	return statement_open(&statement, NULL, NULL, false);
}

/* Open a cursor over the desired revision of an instance, which is locked. */
Portal
proposal_open_desired(const InstanceKey *key)
{
	static Statement statement = {
		.text = PROPOSE(FROM_REVISION("promote.instance") " WHERE k.project = $1"
						" AND k.environment = $2 AND k.component = $3", ""),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3] = {
		CStringGetTextDatum(key->project),
		CStringGetTextDatum(key->environment),
		CStringGetTextDatum(key->component)
	};

	return statement_open(&statement, values, NULL, false);
}

/*
 * Read what an instance of the destination's component in another
 * environment, or the destination itself, desires, as a proposal for the
 * destination; with another constraint and channel, where these are given.
 * Locks nothing.  False where one of the two instances is not there.
 */
bool
proposal_from(const InstanceKey *destination, const char *source_environment,
			  const char *version_constraint, const char *release_channel,
			  bool read_only, ProposedRevision *proposed)
{
	static Statement statement = {
		.text = PROPOSE("SELECT $1 AS project, $2 AS environment, $3 AS component,"
						" NULL::integer AS revision, " PARAMS_OF("s", DIGEST_OF("s", "s.revision"))
						" AS params, COALESCE($5, s.version_constraint) AS version_constraint,"
						" COALESCE($6, s.release_channel) AS release_channel,"
						" s.revision AS source_revision, false AS plan, false AS allow_replace,"
						" NULL::bytea AS digest, NULL::jsonb AS facts, NULL::text AS actor,"
						" NULL::text AS database_role, NULL::timestamptz AS created_at"
						" FROM promote.instance AS s WHERE s.project = $1"
						" AND s.environment = $4 AND s.component = $3", ""),
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

	statement_run(&statement, values, nulls, read_only);
	if (SPI_processed == 0)
		return false;
	proposal_read(SPI_tuptable, 0, proposed);
	return true;
}

/* Take a row of the proposing SELECT, in the current memory context. */
void
proposal_read(SPITupleTable *rows, uint64 row, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	bool		isnull;
	int			column = 0;

	memset(proposed, 0, sizeof(*proposed));
	proposed->key.project = spi_text(rows, row, ++column);
	proposed->key.environment = spi_text(rows, row, ++column);
	proposed->key.component = spi_text(rows, row, ++column);
	proposal->instance = spi_text(rows, row, ++column);
	proposal->params = spi_jsonb(rows, row, ++column);
	proposed->version_constraint = spi_text(rows, row, ++column);
	proposed->release_channel = spi_text(rows, row, ++column);
	proposed->current_revision = spi_integer(rows, row, ++column);
	proposed->current_deployment = spi_integer(rows, row, ++column);
	proposed->current_constraint = spi_text(rows, row, ++column);
	proposed->current_channel = spi_text(rows, row, ++column);
	proposed->current_digest = spi_bytea(rows, row, ++column);
	proposal->old_params = spi_jsonb(rows, row, ++column);
	proposal->deployed_params = spi_jsonb(rows, row, ++column);
	proposal->parameters = spi_jsonb(rows, row, ++column);
	proposal->bundle = spi_text(rows, row, ++column);
	proposal->version = spi_text(rows, row, ++column);
	proposal->schema = spi_jsonb(rows, row, ++column);
	proposed->previous_version = spi_text(rows, row, ++column);
	proposal->old_schema = spi_jsonb(rows, row, ++column);
	proposed->head.seq = DatumGetInt64(spi_value(rows, row, ++column, &isnull));
	proposed->head.hash = spi_bytea(rows, row, ++column);
	proposed->base_revision = spi_integer(rows, row, ++column);
	proposed->source_revision = spi_integer(rows, row, ++column);
	proposed->revision = spi_integer(rows, row, ++column);
	proposed->plan = spi_bool(rows, row, ++column);
	proposal->allow_replace = spi_bool(rows, row, ++column);
	proposed->digest = spi_bytea(rows, row, ++column);
	proposed->facts = spi_jsonb(rows, row, ++column);
	proposed->actor = spi_text(rows, row, ++column);
	proposed->database_role = spi_text(rows, row, ++column);
	proposed->created_at = DatumGetTimestampTz(spi_value(rows, row, ++column, &isnull));
}

/* The newest releases of a bundle, for a message; "" where it has none. */
static char *
newest_releases(const char *bundle)
{
	static Statement newest = {
		.text = "SELECT r.version::pg_catalog.text FROM promote.bundle_release AS r"
		" WHERE r.bundle = $1 ORDER BY r.bundle DESC, r.sort_key DESC LIMIT 5",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(bundle)};
	StringInfoData versions;

	statement_run(&newest, values, NULL, true);
	initStringInfo(&versions);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&versions, "%s%s", i > 0 ? ", " : "", spi_text(SPI_tuptable, i, 1));
	return versions.data;
}

/*
 * Refuse a proposal whose constraint stands for no release, listing the
 * newest there are.  Runs inside a scope of spi.h.
 */
void
proposal_require_release(const ProposedRevision *proposed)
{
	const char *bundle = proposed->proposal.bundle;
	const char *dev = strcmp(proposed->release_channel, "development") == 0 ? "+dev" : "";
	char	   *versions;

	if (proposed->proposal.version)
		return;
	versions = newest_releases(bundle);
	if (versions[0] == '\0')
		ereport(ERROR,
				(errcode(PM_NO_RELEASE),
				 errmsg("no release of bundle \"%s\" matches %s%s", bundle,
						proposed->version_constraint, dev),
				 errdetail("The bundle has no releases."),
				 errhint("Publish one: INSERT INTO promote.bundle_release.")));
	ereport(ERROR,
			(errcode(PM_NO_RELEASE),
			 errmsg("no release of bundle \"%s\" matches %s%s", bundle,
					proposed->version_constraint, dev),
			 errdetail("The newest releases are %s.", versions),
			 errhint("Use a constraint that one of them satisfies; prereleases need +dev behind it.")));
}
