/*
 * proposal.c: desired states that are proposed, read with all that they are
 * judged by.
 *
 * One SELECT serves previewing and staging; they differ only in where the
 * proposed rows come from.  What is done with a proposal after that is
 * compose.c's, for both.
 */
#include "postgres.h"

#include "errors.h"
#include "proposal.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * The proposing SELECT over a source of proposed rows n.  The release is the
 * one that the constraint stands for now; the former release is that of the
 * instance's last deployment.
 *
 * Everything is looked up by whole keys in LATERAL subqueries with a LIMIT,
 * which the planner does not take apart: however small a table was when the
 * plan was made, it cannot become a scan over part of a key.
 */
#define ONE_CONFIG(digest_of) \
	"(SELECT c.params FROM promote.config AS c WHERE c.project = i.project" \
	"  AND c.digest = " digest_of ".digest LIMIT 1)"
#define ONE_REVISION(number) \
	"(SELECT r.revision, r.digest FROM promote.revision AS r WHERE r.project = i.project" \
	"  AND r.environment = i.environment AND r.component = i.component" \
	"  AND r.revision = " number " LIMIT 1)"
#define PROPOSE(source) \
	"SELECT i.project, i.environment, i.component, i.name, i.revision, i.deployment," \
	" n.revision, n.params, old.params, running.params, e.parameters, c.bundle," \
	" rel.version, rel.params_schema, former.version, former.params_schema," \
	" n.version_constraint, n.release_channel, n.plan, n.allow_replace, n.digest," \
	" n.facts, n.actor, n.database_role, n.created_at, head.seq, head.hash, b.revision" \
	" FROM (" source ") AS n" \
	" JOIN promote.instance AS i ON i.project = n.project" \
	"  AND i.environment = n.environment AND i.component = n.component" \
	" CROSS JOIN LATERAL (SELECT e.parameters FROM promote.environment AS e" \
	"  WHERE e.project = i.project AND e.environment = i.environment LIMIT 1) AS e" \
	" CROSS JOIN LATERAL (SELECT c.bundle FROM promote.component AS c" \
	"  WHERE c.project = i.project AND c.component = i.component LIMIT 1) AS c" \
	" LEFT JOIN LATERAL " ONE_REVISION("COALESCE(n.revision - 1, i.revision)") " AS b ON true" \
	" LEFT JOIN LATERAL " ONE_CONFIG("b") " AS old ON true" \
	" LEFT JOIN LATERAL " ONE_REVISION("i.deployed_revision") " AS d ON true" \
	" LEFT JOIN LATERAL " ONE_CONFIG("d") " AS running ON true" \
	" LEFT JOIN LATERAL (SELECT p.bundle, p.version FROM promote.deployment AS p" \
	"  WHERE p.project = i.project AND p.environment = i.environment" \
	"  AND p.component = i.component AND p.deployment = i.deployment LIMIT 1) AS p ON true" \
	" LEFT JOIN LATERAL (SELECT f.version, f.params_schema FROM promote.bundle_release AS f" \
	"  WHERE f.bundle = p.bundle AND f.version = p.version LIMIT 1) AS former ON true" \
	" LEFT JOIN LATERAL promote.resolve_release(c.bundle, n.version_constraint," \
	"  n.release_channel) AS rel ON true" \
	" LEFT JOIN LATERAL (SELECT a.seq, a.hash FROM promote.audit_log AS a" \
	"  WHERE a.project = i.project AND a.subject = i.name" \
	"  ORDER BY a.seq DESC LIMIT 1) AS head ON true"

/* What rows of revision propose; keys is a table of keys k. */
#define FROM_REVISION(keys, number) \
	"SELECT k.project, k.environment, k.component, r.revision, params.params," \
	" r.version_constraint, r.release_channel, r.plan, r.allow_replace, r.digest," \
	" r.facts, r.actor, r.database_role, r.created_at" \
	" FROM " keys \
	" CROSS JOIN LATERAL (SELECT r.*, promote.audit_facts(r) AS facts" \
	"  FROM promote.revision AS r WHERE r.project = k.project" \
	"  AND r.environment = k.environment AND r.component = k.component" \
	"  AND r.revision = " number " LIMIT 1) AS r" \
	" CROSS JOIN LATERAL (SELECT c.params FROM promote.config AS c" \
	"  WHERE c.project = k.project AND c.digest = r.digest LIMIT 1) AS params"

#define FOR_UPDATE \
	" ORDER BY i.project, i.environment, i.component FOR NO KEY UPDATE OF i"

/*
 * Open a cursor over the rows of the transition table new_revision that are
 * new, in key order, with their instances locked.  Rows at or below their
 * instance's counter are not: a dump brings them back, and whatever was to be
 * recorded of them is in the dump as well.
 */
Portal
proposal_open_new(void)
{
	static Statement statement = {
		.text = PROPOSE(FROM_REVISION("new_revision AS k", "k.revision"))
		" WHERE n.revision > i.revision" FOR_UPDATE
	};

	return statement_open(&statement, NULL, NULL, false);
}

/* Open a cursor over the instance's desired revision, with the row locked. */
Portal
proposal_open_desired(const InstanceKey *key)
{
	static Statement statement = {
		.text = PROPOSE(FROM_REVISION("promote.instance AS k", "k.revision")
						" WHERE k.project = $1 AND k.environment = $2 AND k.component = $3")
		FOR_UPDATE,
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
 * Open a cursor over one proposal that is not written anywhere.  Reads with
 * the caller's snapshot and locks nothing.
 */
Portal
proposal_open_preview(const InstanceKey *key, const Jsonb *params,
					  const char *version_constraint, const char *release_channel)
{
	static Statement statement = {
		.text = PROPOSE("SELECT $1 AS project, $2 AS environment, $3 AS component,"
						" NULL::integer AS revision, $4 AS params, $5 AS version_constraint,"
						" $6 AS release_channel, false AS plan, true AS allow_replace,"
						" NULL::bytea AS digest, NULL::jsonb AS facts, NULL::text AS actor,"
						" NULL::text AS database_role, NULL::timestamptz AS created_at"),
		.parameters = 6,
		.types = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID}
	};
	Datum		values[6] = {
		CStringGetTextDatum(key->project),
		CStringGetTextDatum(key->environment),
		CStringGetTextDatum(key->component),
		JsonbPGetDatum(params),
		CStringGetTextDatum(version_constraint),
		CStringGetTextDatum(release_channel)
	};

	return statement_open(&statement, values, NULL, true);
}

/*
 * Take a row of the proposing SELECT, in the current memory context.  Raises
 * PM_NO_RELEASE where the constraint stands for nothing.
 */
void
proposal_read(SPITupleTable *rows, uint64 row, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	bool		isnull;

	memset(proposed, 0, sizeof(*proposed));
	proposed->key.project = spi_text(rows, row, 1);
	proposed->key.environment = spi_text(rows, row, 2);
	proposed->key.component = spi_text(rows, row, 3);
	proposal->instance = spi_text(rows, row, 4);
	proposed->current_revision = spi_integer(rows, row, 5);
	proposed->current_deployment = spi_integer(rows, row, 6);
	proposed->revision = spi_integer(rows, row, 7);
	proposal->params = spi_jsonb(rows, row, 8);
	proposal->old_params = spi_jsonb(rows, row, 9);
	proposal->deployed_params = spi_jsonb(rows, row, 10);
	proposal->parameters = spi_jsonb(rows, row, 11);
	proposal->bundle = spi_text(rows, row, 12);
	proposal->version = spi_text(rows, row, 13);
	if (proposal->version == NULL)
		refuse_no_release(proposal->bundle, spi_text(rows, row, 17),
						  spi_text(rows, row, 18));
	proposal->schema = spi_jsonb(rows, row, 14);
	proposed->previous_version = spi_text(rows, row, 15);
	proposal->old_schema = spi_jsonb(rows, row, 16);
	proposed->plan = spi_bool(rows, row, 19);
	proposal->allow_replace = spi_bool(rows, row, 20);
	proposed->digest = spi_bytea(rows, row, 21);
	proposed->facts = spi_jsonb(rows, row, 22);
	proposed->actor = spi_text(rows, row, 23);
	proposed->database_role = spi_text(rows, row, 24);
	proposed->created_at = DatumGetTimestampTz(spi_value(rows, row, 25, &isnull));
	proposed->head.seq = DatumGetInt64(spi_value(rows, row, 26, &isnull));
	proposed->head.hash = spi_bytea(rows, row, 27);
	proposed->base_revision = spi_integer(rows, row, 28);
}

/*
 * Refuse a constraint that no release of the bundle satisfies, listing the
 * newest there are.  Runs inside a scope of spi.h.
 */
void
refuse_no_release(const char *bundle, const char *version_constraint,
				  const char *release_channel)
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
	ereport(ERROR,
			(errcode(PM_NO_RELEASE),
			 errmsg("no release of bundle \"%s\" matches %s%s", bundle, version_constraint,
					strcmp(release_channel, "development") == 0 ? "+dev" : ""),
			 versions.len > 0 ?
			 errdetail("The newest releases are %s.", versions.data) :
			 errdetail("The bundle has no releases."),
			 versions.len > 0 ?
			 errhint("Use a constraint that one of them satisfies; prereleases need +dev behind it.") :
			 errhint("Publish one: INSERT INTO promote.bundle_release.")));
}
