/*
 * proposal.c: proposals of a desired state, read with everything that they are judged by.
 *
 * Previewing, promoting, editing and the trigger that records revisions read proposals by the
 * same SQL functions, in sql/promotion/revision.sql.  They differ only in where the proposal
 * comes from.  compose.c processes all of them further.
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/sql.h"
#include "json/render.h"
#include "promotion/deployment.h"
#include "promotion/proposal.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/release.h"
#include "registry/remote_reference.h"
#include "registry/rule_hold.h"

const char *const revision_origins[] = {
	[ORIGIN_EDIT] = "edit",[ORIGIN_PROMOTION] = "promotion",[ORIGIN_FORK] = "fork",
	[ORIGIN_ROLLBACK] = "rollback",[ORIGIN_ADOPTION] = "adoption",[ORIGIN_MERGE] = "merge", NULL
};

const char *const promotion_modes[] = {
	[MODE_REPLACE] = "replace",[MODE_MERGE] = "merge", NULL
};

/* A column of a proposal, or of the state that it is judged by. */
#define PROPOSED(member, expression) SQL_FIELD(ProposedRevision, member, expression)

static const SqlField proposal_fields[] = {
	PROPOSED(key.project, "x.project"),
	PROPOSED(key.environment, "x.environment"),
	PROPOSED(key.component, "x.component"),
	PROPOSED(proposal.instance, "x.name"),
	SQL_FIELDS(ProposedRevision, "x", current_revision, current_deployment, current_constraint, current_channel,
			   deployed_by, decommissioned, path_only),
	PROPOSED(current_digest, "x.own_digest"),
	PROPOSED(current_bundle, "x.own_bundle"),
	PROPOSED(current_version, "x.own_version"),
	PROPOSED(proposal.own_params, "x.own_params"),
	PROPOSED(proposal.own_kept, "x.own_kept"),
	PROPOSED(own_slots, "x.own_slots"),
	SQL_FIELDS(ProposedRevision, "x", changed_by, plan_revision, plan_digest, plan_version, plan_constraint,
			   plan_channel, plan_params, plan_references, plan_diff, plan_destructive, plan_base, plan_stands,
			   waiting_secrets),
	PROPOSED(proposal.parameters, "x.parameters"),
	SQL_ENUM_FIELD(ProposedRevision, promotion_mode, "x.promotion_mode", promotion_modes),
	PROPOSED(head.seq, "x.head"),
	PROPOSED(head.hash, "x.head_hash"),
	PROPOSED(proposal.params, "n.params"),
	PROPOSED(proposal.bundle, "n.bundle"),
	PROPOSED(proposal.version, "n.version"),
	PROPOSED(proposal.schema, "n.params_schema"),
	PROPOSED(proposal.source_parameters, "n.source_parameters"),
	PROPOSED(proposal.kept, "n.kept_marks"),
	PROPOSED(proposal.source_kept, "n.source_kept"),
	PROPOSED(proposal.allow_replace, "n.allow_replace"),
	SQL_FIELDS(ProposedRevision, "n", revision, version_constraint, release_channel, block_reason, slots,
			   source_environment, source_revision, source_bundle, source_version, plan, fits, digest, facts, actor,
			   database_role, created_at),
	SQL_FIELDS(ProposedRevision, "n", source_constraint, source_channel),
	PROPOSED(pinned, "n.pinned"),
	SQL_ENUM_FIELD(ProposedRevision, origin, "n.origin", revision_origins)
};

/* The proposals of new revisions, in key order. */
static Statement new_proposals = SQL_ROWS(proposal_fields, "SELECT $* FROM new_revision AS k,"
	" LATERAL promote_internal.proposal_of(k.project, k.environment, k.component, k.revision) AS n,"
	" LATERAL promote_internal.proposal_state(k.project, k.environment, k.component) AS x"
	" WHERE k.revision > x.current_revision ORDER BY k.project, k.environment, k.component");

/*
 * Lock the instances of the new rows in the transition table new_revision, in key order.
 * Returns how many there are.  Rows up to the instance's counter are not new: a dump restores
 * them, with everything that was recorded about them.
 */
uint64
proposal_lock_new(const Sql *sql)
{
	static Statement lock = {"SELECT FROM new_revision AS k JOIN promote.instance AS i ON " SAME_INSTANCE("i", "k")
		" WHERE k.revision > i.revision ORDER BY i.project, i.environment, i.component FOR NO KEY UPDATE OF i"};

	return sql_run(sql, &lock).count;
}

/* Open a cursor over what proposal_lock_new locked, in key order. */
Portal
proposal_open_new(const Sql *sql)
{
	return sql_open(sql, &new_proposals, false);
}

/* Fetch that many rows, for proposal_read. */
SqlRows
proposal_fetch_new(Portal cursor, long count)
{
	SPI_cursor_fetch(cursor, true, count);
	return sql_fetched(&new_proposals);
}

/* Refuse an instance whose counter names a revision that is missing, as after an incomplete restore. */
void
proposal_require_history(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if ((proposed->current_revision == 0 || proposal->own_params) &&
		(proposed->deployed_by == 0 || proposal->runs) &&
		(proposed->source_revision == 0 || proposal->params))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("the history of \"%s\" is not complete", proposal->instance),
			 errdetail("A revision that it or its source is said to be at, or its configuration, is not there."),
			 errhint("Restore the dump as a whole; promote.verify_audit() tells what is missing.")));
}

/* The schema of a release; NULL where it is the proposal's own schema, or there is none. */
static Jsonb *
other_schema(const Sql *sql, const Proposal *proposal, const char *bundle, const char *version, bool read_only)
{
	static Statement read = {"SELECT f.params_schema FROM promote.bundle_release AS f"
		" WHERE f.bundle = $1 AND f.version = $2"};
	SqlRows		rows;

	if (version == NULL || proposal->version == NULL ||
		(strcmp(bundle, proposal->bundle) == 0 && strcmp(version, proposal->version) == 0))
		return NULL;
	rows = sql_read_if(sql, read_only, &read, AS_TEXT(bundle), AS_TEXT(version));
	return rows.count > 0 ? sql_jsonb(&rows, 0) : NULL;
}

/*
 * Take a row of a proposal, in the current memory context, and read what only few proposals
 * need: the schemas of other releases, and what runs.  False where the row does not exist.
 */
bool
proposal_read(const Sql *sql, SqlRows *rows, uint64 row, bool read_only, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;

	memset(proposed, 0, sizeof(*proposed));
	if (!sql_row(rows, row, proposed))
		return false;
	proposal->source_params = proposal->params;
	if (proposed->slots || proposed->own_slots)
		proposed->set_references = reference_read(sql, &proposed->key, read_only);
	proposed->written_references = reference_declared(proposed->set_references, proposed->slots);
	if (proposed->deployed_by > 0)
		proposal->deployed = deployments_running(sql, &proposed->key, proposed->deployed_by, read_only);
	proposal->runs = deployment_running(proposal->deployed, proposed->deployed_by);
	proposal->other_schemas[0] =
		other_schema(sql, proposal, proposed->current_bundle, proposed->current_version, read_only);
	proposal->other_schemas[1] = proposal->runs ? proposal->runs->schema : NULL;
	proposal->other_schemas[2] =
		other_schema(sql, proposal, proposed->source_bundle, proposed->source_version, read_only);
	return true;
}

/* Have references placeholders? */
static bool
has_templates(const Jsonb *references)
{
	return references && json_has_placeholders(references);
}

/*
 * Render the remote references of a proposal whose params are rendered.  Whoever sees a reference sees all of it: what
 * of the params must not be seen is not rendered into one.
 */
void
proposal_render_references(ProposedRevision *proposed)
{
	const Jsonb *parameters = proposed->proposal.parameters;
	Mask	   *mask = has_templates(proposed->set_references) || has_templates(proposed->written_references) ?
		compose_mask(&proposed->proposal) : NULL;

	proposed->present_references = reference_render(proposed->set_references, parameters, mask, NULL);
	proposed->own_references = reference_declared(proposed->present_references, proposed->own_slots);
	proposed->reference_problems = NIL;
	proposed->references = reference_render(proposed->written_references, parameters, mask,
											&proposed->reference_problems);
}

/* Check a proposal as compose_check does, and refuse remote references that cannot be deployed. */
void
proposal_check(ProposedRevision *proposed)
{
	compose_check(&proposed->proposal);
	proposal_render_references(proposed);
	reference_require_rendered(proposed->reference_problems);
}

/*
 * Read a proposal for the destination: the desired state of the same component in another
 * environment, or of the destination itself, with another constraint and channel if these are
 * given.  The constraint PROPOSAL_PINNED stands for the version that the other runs.  Instead of
 * what the other desires, one of its revisions is read, or PROPOSAL_RUNNING: no source_revision is
 * set where there is none.  Takes no locks.  Raises PM_NOT_FOUND where the destination or the
 * source does not exist, and PM_NO_PATH where the source needs a path and has none.
 */
void
proposal_from_revision(const Sql *sql, const InstanceKey *destination, const char *source_environment,
					   int32 source_revision, const char *version_constraint, const char *release_channel,
					   bool read_only, ProposedRevision *proposed)
{
	static Statement read = SQL_ROWS(proposal_fields, "SELECT $*"
		" FROM promote_internal.proposal_from($1, $2, $3, $4, $5, $6, $7) AS n,"
		" promote_internal.proposal_state($1, $2, $3) AS x");
	InstanceKey source = {destination->project, (char *) source_environment, destination->component};
	bool		from_another = strcmp(source_environment, destination->environment) != 0;
	Datum		view = !read_only && from_another ? rule_view() : (Datum) 0;
	SqlRows		rows;

	if (view)
		rule_hold(RULE_PATHS, destination->project, destination->environment, view);
	rows = sql_read_if(sql, read_only, &read, AS_KEY(destination), AS_TEXT(source_environment),
					   AS_TEXT(version_constraint), AS_TEXT(release_channel),
					   AS_NUMBER(source_revision));
	if (!proposal_read(sql, &rows, 0, read_only, proposed))
	{
		require_instance(sql, &source);
		require_instance(sql, destination);
		elog(ERROR, "could not read instance \"%s\"", instance_key_name(destination));
	}
	proposed->view = view;
	proposal_require_history(proposed);
	path_require(sql, &proposed->key, proposed->source_environment, proposed->path_only, read_only);
}

/* Read a proposal of what the destination, or the same component in another environment, desires. */
void
proposal_from(const Sql *sql, const InstanceKey *destination, const char *source_environment,
			  const char *version_constraint, const char *release_channel,
			  bool read_only, ProposedRevision *proposed)
{
	proposal_from_revision(sql, destination, source_environment, PROPOSAL_DESIRED, version_constraint,
						   release_channel, read_only, proposed);
}

/*
 * Is a blocked release refused for a revision of that origin?  Edits and adopted drift may use
 * one, because they describe what exists, or what is to be after unblocking.
 */
bool
proposal_minds_blocks(RevisionOrigin origin)
{
	return origin != ORIGIN_EDIT && origin != ORIGIN_ADOPTION;
}

/*
 * Refuse a proposal that takes over a state with a blocked release, as a promotion, a fork, a
 * merge or a rollback does.
 */
void
proposal_require_unblocked(const ProposedRevision *proposed, RevisionOrigin origin)
{
	if (proposed->block_reason && proposal_minds_blocks(origin))
		refuse_blocked_release(proposed->proposal.bundle, proposed->proposal.version,
							   proposed->block_reason);
}

/* Why a promotion leaves its destination alone that was decommissioned. */
char *
proposal_would_revive(const InstanceKey *destination)
{
	return psprintf("\"%s\" was decommissioned: deploying it would bring it back", instance_key_name(destination));
}

/* Refuse a promotion that does not say so to bring back what was decommissioned: PM_DECOMMISSIONED. */
void
proposal_require_alive(const ProposedRevision *proposed)
{
	if (proposed->decommissioned)
		ereport(ERROR,
				(errcode(PM_DECOMMISSIONED),
				 errmsg("cannot promote to \"%s\"", proposed->proposal.instance),
				 errdetail_internal("%s.", proposal_would_revive(&proposed->key)),
				 errhint("If it is to come back, call promote.promote_instance with reprovision => true; then everything is added.")));
}

/* Refuse a proposal whose constraint no release satisfies. */
void
proposal_require_release(const Sql *sql, const ProposedRevision *proposed)
{
	if (proposed->proposal.version == NULL)
		refuse_no_release(sql, proposed->proposal.bundle, proposed->version_constraint,
						  proposed->release_channel);
}
