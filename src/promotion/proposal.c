/*
 * proposal.c: proposals of a desired state, read with everything that they are judged by.
 *
 * Previewing, promoting, editing and the trigger that records revisions read proposals by the
 * same SQL functions, in sql/promotion/revision.sql.  They differ only in where the proposal
 * comes from.  compose.c processes all of them further.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/batch.h"
#include "base/errors.h"
#include "base/sql.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "promotion/deployment.h"
#include "promotion/proposal.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/release.h"
#include "registry/remote_reference.h"
#include "registry/rule_hold.h"
#include "secret/secret.h"

const char *const revision_origins[] = {
	[ORIGIN_EDIT] = "edit",[ORIGIN_PROMOTION] = "promotion",[ORIGIN_FORK] = "fork",
	[ORIGIN_ROLLBACK] = "rollback",[ORIGIN_ADOPTION] = "adoption",[ORIGIN_MERGE] = "merge", NULL
};

const char *const promotion_modes[] = {
	[MODE_REPLACE] = "replace",[MODE_MERGE] = "merge", NULL
};

/* A column of a proposal, or of the state that it is judged by. */
#define PROPOSED(member, expression) SQL_FIELD(ProposedRevision, member, expression)

/* Of the state that it is judged by. */
#define STATE_FIELDS \
	PROPOSED(key.project, "x.project"), \
	PROPOSED(key.environment, "x.environment"), \
	PROPOSED(key.component, "x.component"), \
	PROPOSED(proposal.instance, "x.name"), \
	SQL_FIELDS(ProposedRevision, "x", current_revision, opened_revision, archived, current_deployment, \
			   current_constraint, current_channel, current_taken, deployed_by, decommissioned, path_only), \
	PROPOSED(current_digest, "x.own_digest"), \
	PROPOSED(current_bundle, "x.own_bundle"), \
	PROPOSED(current_version, "x.own_version"), \
	PROPOSED(proposal.own_params, "x.own_params"), \
	PROPOSED(proposal.own_kept, "x.own_kept"), \
	SQL_ENUM_FIELD(ProposedRevision, own_origin, "x.own_origin", revision_origins), \
	SQL_FIELDS(ProposedRevision, "x", own_source_params, own_source_constraint, own_source_channel), \
	PROPOSED(own_slots, "x.own_slots"), \
	SQL_FIELDS(ProposedRevision, "x", changed_by, plan_revision, plan_digest, plan_version, plan_params, \
			   plan_references, plan_diff, plan_destructive, plan_reverts, plan_base, plan_stands, has_secrets), \
	PROPOSED(proposal.parameters, "x.parameters"), \
	SQL_ENUM_FIELD(ProposedRevision, promotion_mode, "x.promotion_mode", promotion_modes), \
	PROPOSED(head.seq, "x.head"), \
	PROPOSED(head.hash, "x.head_hash"), \
	SQL_FIELDS(ProposedRevision, "x", digest_key, version_policy, runs_alone), \
	PROPOSED(running.revision, "x.run_revision"), \
	PROPOSED(running.bundle, "x.run_bundle"), \
	PROPOSED(running.version, "x.run_version"), \
	PROPOSED(running.version_constraint, "x.run_constraint"), \
	PROPOSED(running.release_channel, "x.run_channel"), \
	PROPOSED(running.rendered_digest, "x.run_digest"), \
	PROPOSED(running.params, "x.run_params"), \
	PROPOSED(running.template, "x.run_template"), \
	PROPOSED(running.schema, "x.run_schema"), \
	PROPOSED(running.slots, "x.run_slots"), \
	PROPOSED(running.references, "x.run_references"), \
	PROPOSED(running.kept, "x.run_kept"), \
	PROPOSED(running.started_at, "x.run_started")

/* Of what is proposed. */
#define SOURCE_FIELDS \
	PROPOSED(proposal.params, "n.params"), \
	PROPOSED(proposal.bundle, "n.bundle"), \
	PROPOSED(proposal.version, "n.version"), \
	PROPOSED(proposal.schema, "n.params_schema"), \
	PROPOSED(proposal.source_parameters, "n.source_parameters"), \
	PROPOSED(proposal.kept, "n.kept_marks"), \
	PROPOSED(proposal.source_kept, "n.source_kept"), \
	PROPOSED(proposal.allow_replace, "n.allow_replace"), \
	SQL_FIELDS(ProposedRevision, "n", revision, version_constraint, release_channel, block_reason, slots, \
			   source_environment, source_revision, source_bundle, source_version, plan, fits, digest, facts, actor, \
			   database_role, created_at), \
	SQL_FIELDS(ProposedRevision, "n", source_constraint, source_channel), \
	PROPOSED(pinned, "n.pinned"), \
	SQL_ENUM_FIELD(ProposedRevision, origin, "n.origin", revision_origins)

static const SqlField proposal_fields[] = {STATE_FIELDS, SOURCE_FIELDS};

/* The proposals of new revisions, in key order: the keys are sorted, and not what is read by them. */
static Statement new_proposals = SQL_ROWS(proposal_fields, "SELECT $* FROM (SELECT k.project, k.environment,"
	"  k.component, k.revision FROM new_revision AS k ORDER BY k.project, k.environment, k.component OFFSET 0) AS k,"
	" LATERAL promote_internal.proposal_of(k.project, k.environment, k.component, k.revision) AS n,"
	" LATERAL (SELECT * FROM promote_internal.proposal_state(k.project, k.environment, k.component) LIMIT 1) AS x"
	" WHERE k.revision > x.current_revision");

/*
 * Lock the instances of the new rows in the transition table new_revision, in key order.
 * Returns how many there are.  Rows up to the instance's counter are not new: a dump restores
 * them, with everything that was recorded about them.
 */
uint64
proposal_lock_new(const Sql *sql)
{
	static Statement lock = {"SELECT pg_catalog.count(*) FROM (SELECT FROM new_revision AS k"
		" JOIN promote.instance AS i ON " SAME_INSTANCE("i", "k")
		" WHERE k.revision > i.revision ORDER BY i.project, i.environment, i.component FOR NO KEY UPDATE OF i) AS l"};
	SqlRows		rows = sql_run(sql, &lock);

	return sql_wide(&rows, 0);
}

/* Open a cursor over what proposal_lock_new locked, in key order. */
Portal
proposal_open_new(const Sql *sql)
{
	return sql_open(sql, &new_proposals, false);
}

/* Fetch that many rows, for proposal_read_all. */
SqlRows
proposal_fetch_new(Portal cursor, long count)
{
	SPI_cursor_fetch(cursor, true, count);
	return sql_fetched(&new_proposals);
}

/* Is nothing desired yet?  What an earlier generation of the environment has desired does not count. */
bool
proposal_is_fresh(const ProposedRevision *proposed)
{
	return proposed->current_revision == proposed->opened_revision;
}

/* The number of the revision that is desired; 0: none, also where an earlier generation of the environment had some. */
int32
proposal_desired(const ProposedRevision *proposed)
{
	return proposal_is_fresh(proposed) ? 0 : proposed->current_revision;
}

/*
 * Refuse an instance whose environment is archived, or whose counter names a revision that is missing, as after an
 * incomplete restore.
 */
void
proposal_require_history(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if (proposed->archived)
		refuse_archived(&proposed->key);
	if ((proposal_is_fresh(proposed) || proposal->own_params) &&
		(proposed->deployed_by == 0 || proposal->runs) &&
		(proposed->source_revision == 0 || proposal->params))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("the history of \"%s\" is not complete", proposal->instance),
			 errdetail("A revision that it or its source is said to be at, or its configuration, is not there."),
			 errhint("Restore the dump as a whole; promote.verify_audit() tells what is missing.")));
}

/* Is a release the one of a proposal? */
bool
proposal_is_by(const Proposal *proposal, const char *bundle, const char *version)
{
	return proposal->version && strcmp(bundle, proposal->bundle) == 0 && strcmp(version, proposal->version) == 0;
}

/* Releases whose schemas were read for proposals that are read together; these are what equal inputs are told by. */
typedef struct ReadSchemas
{
	Shared	   *shared;			/* NULL: nothing is shared */
	List	   *names;			/* bundle and version of each, with a blank between */
	List	   *schemas;
} ReadSchemas;

/* The schema of a release; NULL where it is the proposal's own schema, or there is none. */
static Jsonb *
other_schema(const Sql *sql, const Proposal *proposal, const char *bundle, const char *version, bool read_only,
			 ReadSchemas *read)
{
	char	   *name;
	Jsonb	   *schema;

	if (version == NULL || proposal->version == NULL || proposal_is_by(proposal, bundle, version))
		return NULL;
	name = psprintf("%s %s", bundle, version);
	for (int i = 0; i < list_length(read->names); i++)
		if (strcmp(list_nth(read->names, i), name) == 0)
			return list_nth(read->schemas, i);
	schema = release_schema(sql, bundle, version, read_only);
	if (schema && read->shared)
		schema = shared_value(read->shared, JsonbPGetDatum(schema));
	read->names = lappend(read->names, name);
	read->schemas = lappend(read->schemas, schema);
	return schema;
}

/* What runs, where nothing else may, as a list in the current memory context; NIL: it has to be asked for. */
static List *
running_alone(ProposedRevision *proposed)
{
	Carried    *running;

	proposed->running.deployment = proposed->deployed_by;
	if (!proposed->runs_alone)
		return NIL;
	running = palloc(sizeof(Carried));
	*running = proposed->running;
	return list_make1(running);
}

/*
 * Read what only few proposals need, of one whose row and whose running deployments were read.  What is not only to be
 * read is locked.
 */
static void
read_rest(const Sql *sql, bool read_only, ProposedRevision *proposed, ReadSchemas *read)
{
	Proposal   *proposal = &proposed->proposal;

	if (!read_only && proposed->digest_key)
		config_digest_hold(proposed->key.project, proposed->digest_key);
	proposal->source_params = proposal->params;
	if (proposed->slots || proposed->own_slots)
		proposed->set_references = reference_read(sql, &proposed->key, read_only);
	proposed->written_references = reference_declared(proposed->set_references, proposed->slots);
	proposal->runs = deployment_running(proposal->deployed, proposed->deployed_by);
	if (proposed->has_secrets)
		proposed->waiting_secrets = secrets_waiting(sql, &proposed->key, carried_began(proposal->runs), read_only);
	proposal->other_schemas[0] =
		other_schema(sql, proposal, proposed->current_bundle, proposed->current_version, read_only, read);
	proposal->other_schemas[1] = proposal->runs ? proposal->runs->schema : NULL;
	proposal->other_schemas[2] =
		other_schema(sql, proposal, proposed->source_bundle, proposed->source_version, read_only, read);
}

/* Read what only few proposals need, of one whose row was read: the schemas of other releases, and what else runs. */
void
proposal_read_rest(const Sql *sql, bool read_only, ProposedRevision *proposed)
{
	ReadSchemas read = {NULL};

	proposed->proposal.deployed = running_alone(proposed);
	if (proposed->deployed_by > 0 && !proposed->runs_alone)
		proposed->proposal.deployed = deployments_running(sql, &proposed->key, proposed->deployed_by, read_only);
	read_rest(sql, read_only, proposed, &read);
}

/* Take all rows, in the current memory context, of which nothing else is read yet. */
static ProposedRevision *
take_rows(SqlRows *rows)
{
	ProposedRevision *proposed = palloc0(Max(rows->count, 1) * sizeof(ProposedRevision));

	for (uint64 i = 0; i < rows->count; i++)
		(void) sql_row(rows, i, &proposed[i]);
	return proposed;
}

/* Read the rest of so many as proposal_read_rest does: what else may run is read by one statement. */
static void
read_rest_of_all(const Sql *sql, ProposedRevision *proposed, uint64 count, Shared *shared)
{
	static const char *const columns[] = {"project", "environment", "component", "deployed_by", "place"};
	List	  **running = palloc0(Max(count, 1) * sizeof(List *));
	Batch		instances = {.name = "running_instance",.columns = columns};
	ReadSchemas read = {shared};

	batch_begin(&instances);
	for (uint64 i = 0; i < count; i++)
	{
		running[i] = running_alone(&proposed[i]);
		if (proposed[i].deployed_by > 0 && !proposed[i].runs_alone)
			batch_put(&instances, AS_KEY(&proposed[i].key), AS_INT(proposed[i].deployed_by), AS_INT((int32) i));
	}
	deployments_running_of(sql, &instances, shared, running);
	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		proposed[i].proposal.deployed = running[i];
		read_rest(sql, false, &proposed[i], &read);
	}
}

/*
 * Take all rows, in the current memory context, with what only few of them need.  Documents are shared where
 * rows->shared says so.
 */
ProposedRevision *
proposal_read_all(const Sql *sql, SqlRows *rows)
{
	ProposedRevision *proposed = take_rows(rows);

	read_rest_of_all(sql, proposed, rows->count, rows->shared);
	return proposed;
}

/*
 * Read what instances desire themselves, as proposal_from does of one, by one statement: rows own_instance with key
 * and place, which are locked.  The proposals are in the order of the places, and are not checked.  Documents that
 * many have are shared.
 */
ProposedRevision *
proposals_own(const Sql *sql, const Batch *instances, Shared *shared, uint64 *count)
{
	static Statement read = SQL_ROWS(proposal_fields, "SELECT $*"
		" FROM own_instance AS k,"
		" LATERAL (SELECT n.* FROM promote_internal.proposal_from(k.project, k.environment, k.component, NULL,"
		"  NULL, NULL, NULL) AS n LIMIT 1) AS n,"
		" LATERAL (SELECT x.* FROM promote_internal.proposal_state(k.project, k.environment, k.component) AS x LIMIT 1) AS x"
		" ORDER BY k.place");
	SqlRows		rows = batch_run(sql, &read, instances);

	rows.shared = shared;
	*count = rows.count;
	return proposal_read_all(sql, &rows);
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

	proposed->present_references = reference_render(&proposed->key, proposed->set_references, parameters, mask, NULL);
	proposed->own_references = reference_declared(proposed->present_references, proposed->own_slots);
	proposed->reference_problems = NIL;
	proposed->references = reference_render(&proposed->key, proposed->written_references, parameters, mask,
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
 * Refuse a proposal whose history is not complete, or whose source needs a path and has none, and
 * hold the paths if it comes from another environment.  The view, taken before the proposal was
 * read, is 0 where nothing is written.
 */
void
proposal_require_source(const Sql *sql, ProposedRevision *proposed, Datum view, bool read_only)
{
	proposed->view = view;
	if (view && strcmp(proposed->source_environment, proposed->key.environment) != 0)
		rule_hold(RULE_PATHS, proposed->key.project, proposed->key.environment, view);
	proposal_require_history(proposed);
	path_require(sql, &proposed->key, proposed->source_environment, proposed->path_only, read_only,
				 proposed->path_seen);
}

/* Begin to ask for several proposals, which are read by one statement. */
void
proposal_begin_asked(Batch *asked)
{
	static const char *const columns[] = {
		"project", "environment", "component", "source_environment", "version_constraint", "release_channel",
		"source_revision", "place"
	};

	*asked = (Batch) {.name = "asked_proposal",.columns = columns};
	batch_begin(asked);
}

/* Ask for a proposal, as proposal_from_revision reads one. */
void
proposal_ask(Batch *asked, const InstanceKey *destination, const char *source_environment, int32 source_revision,
			 const char *version_constraint, const char *release_channel)
{
	batch_put(asked, AS_KEY(destination), AS_TEXT(source_environment), AS_TEXT(version_constraint),
			  AS_TEXT(release_channel), AS_NUMBER(source_revision), AS_INT((int32) asked->count));
}

/* Of a state what is asked for stands where later that stands which was found. */
static const SqlField asked_fields[] = {
	STATE_FIELDS, PROPOSED(place, "k.place"),
	SQL_FIELDS(ProposedRevision, "k", source_environment, version_constraint, release_channel, source_revision)
};

/* By which policy of the destination's environment a source is asked for; NULL: by none, it is the instance itself. */
static const char *
asked_policy(const ProposedRevision *asked)
{
	return strcmp(asked->source_environment, asked->key.environment) == 0 ? NULL : asked->version_policy;
}

/* Are two texts, or none, the same? */
static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Is the same asked for by both? */
static bool
same_source(const ProposedRevision *a, const ProposedRevision *b)
{
	return strcmp(a->key.project, b->key.project) == 0 && strcmp(a->key.component, b->key.component) == 0 &&
		strcmp(a->source_environment, b->source_environment) == 0 && a->source_revision == b->source_revision &&
		same_text(a->version_constraint, b->version_constraint) &&
		same_text(a->release_channel, b->release_channel) && same_text(asked_policy(a), asked_policy(b));
}

/*
 * Read what is asked for of sources for so many states: what follows each other with the same source, as where one
 * goes to many environments, once.
 */
static void
read_sources(const Sql *sql, ProposedRevision *asked, uint64 count, Shared *shared)
{
	static const SqlField fields[] = {SOURCE_FIELDS};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM asked_source AS k"
									 " LEFT JOIN LATERAL (SELECT * FROM promote_internal.proposal_from(k.project,"
									 "  k.environment, k.component, k.policy, k.version_constraint, k.release_channel,"
									 "  k.revision) LIMIT 1) AS n ON true");
	static const char *const columns[] = {
		"project", "environment", "component", "policy", "version_constraint", "release_channel", "revision"
	};
	Batch		sources = {.name = "asked_source",.columns = columns};
	uint64	   *source = palloc(count * sizeof(uint64));
	SqlRows		rows;

	batch_begin(&sources);
	for (uint64 i = 0; i < count; i++)
	{
		if (i == 0 || !same_source(&asked[i - 1], &asked[i]))
			batch_put(&sources, AS_TEXT(asked[i].key.project), AS_TEXT(asked[i].source_environment),
					  AS_TEXT(asked[i].key.component), AS_TEXT(asked_policy(&asked[i])),
					  AS_TEXT(asked[i].version_constraint), AS_TEXT(asked[i].release_channel),
					  AS_NUMBER(asked[i].source_revision));
		source[i] = sources.count - 1;
	}
	rows = batch_run(sql, &read, &sources);
	rows.shared = shared;
	if (rows.count != sources.count)
		elog(ERROR, "not every source of a set was read");
	for (uint64 i = 0; i < count; i++)
		(void) sql_row(&rows, source[i], &asked[i]);
	batch_end(&sources);
}

/* Read what was asked for, the states by a statement, and end the batch. */
static ProposedRevision **
read_asked(const Sql *sql, Statement *read, Batch *asked, const Jsonb *parameters, Shared *shared)
{
	ProposedRevision **found = palloc0(Max(asked->count, 1) * sizeof(ProposedRevision *));
	ProposedRevision *all;
	SqlRows		rows = {read};

	if (asked->count > 0)
	{
		batch_open(asked);
		rows = parameters ? sql_run(sql, read, AS_JSONB(parameters)) : sql_run(sql, read);
		rows.shared = shared;
	}
	batch_end(asked);
	all = take_rows(&rows);
	if (rows.count > 0)
		read_sources(sql, all, rows.count, shared);
	read_rest_of_all(sql, all, rows.count, shared);
	for (uint64 i = 0; i < rows.count; i++)
		if (all[i].source_environment)
			found[all[i].place] = &all[i];
	return found;
}

/*
 * Read what was asked for, in that order, and end the batch.  NULL stands for a proposal whose
 * source or destination is not there.  Documents are shared.  proposal_require_source judges each.
 */
ProposedRevision **
proposal_read_asked(const Sql *sql, Batch *asked, Shared *shared)
{
	static Statement read = SQL_ROWS(asked_fields, "SELECT $* FROM asked_proposal AS k,"
		" LATERAL (SELECT * FROM promote_internal.proposal_state(k.project, k.environment, k.component) LIMIT 1) AS x");

	return read_asked(sql, &read, asked, NULL, shared);
}

/* As proposal_read_asked, for destinations as they would be in an environment that is opened with these parameters. */
ProposedRevision **
proposal_read_fresh(const Sql *sql, Batch *asked, const Jsonb *parameters, Shared *shared)
{
	static Statement read = SQL_ROWS(asked_fields, "SELECT $* FROM asked_proposal AS k,"
		" LATERAL (SELECT * FROM promote_internal.fresh_state(k.project, k.environment, k.component, $1) LIMIT 1) AS x");

	return read_asked(sql, &read, asked, parameters, shared);
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
