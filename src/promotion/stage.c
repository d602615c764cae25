/*
 * stage.c: what verbs that give an instance a new desired state have in common: reading a
 * proposal, writing the revision, and returning its row.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "json/digest.h"
#include "json/limits.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "promotion/carry.h"
#include "promotion/revision.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/rule_hold.h"

/*
 * Read a proposal for the destination, see proposal_from.  Raises PM_NOT_FOUND where the
 * destination or the source does not exist, and PM_NO_PATH where the source needs a path and
 * has none.
 */
void
stage_read(const Sql *sql, const InstanceKey *destination, const char *source_environment,
		   const char *version_constraint, const char *release_channel,
		   bool read_only, ProposedRevision *proposed)
{
	InstanceKey source = *destination;
	bool		from_another = strcmp(source_environment, destination->environment) != 0;
	Datum		view = !read_only && from_another ? rule_view() : (Datum) 0;

	if (view)
		rule_hold(RULE_PATHS, destination->project, destination->environment, view);
	if (proposal_from(sql, destination, source_environment, version_constraint, release_channel,
					  read_only, proposed))
	{
		proposed->view = view;
		proposal_require_history(proposed);
		path_require(sql, &proposed->key, proposed->source_environment, proposed->path_only, read_only);
		return;
	}
	source.environment = (char *) source_environment;
	require_instance(sql, &source);
	require_instance(sql, destination);
	elog(ERROR, "could not read instance \"%s\"", instance_key_name(destination));
}

/* Refuse an instance that is no longer at the expected revision; a NULL argument expects nothing. */
void
stage_check_revision(FunctionCallInfo fcinfo, int argument, const ProposedRevision *proposed)
{
	int32		expected;

	if (PG_ARGISNULL(argument))
		return;
	expected = PG_GETARG_INT32(argument);
	if (expected != proposed->current_revision)
		ereport(ERROR,
				(errcode(PM_REVISION_MOVED),
				 errmsg("\"%s\" is not at revision %d", proposed->proposal.instance, expected),
				 errdetail("Its desired revision is %d.", proposed->current_revision),
				 errhint("Look at the change since, and try again with expected_revision => %d.",
						 proposed->current_revision)));
}

/*
 * Does the proposal equal the desired state, by the same release?  A newer release that the
 * constraint selects now is a change.  Fills in the digest of the params.
 */
bool
stage_is_unchanged(const ProposedRevision *proposed)
{
	return proposed->current_revision > 0 &&
		json_digest_equal(proposed->digest, proposed->current_digest) &&
		strcmp(proposed->version_constraint, proposed->current_constraint) == 0 &&
		strcmp(proposed->release_channel, proposed->current_channel) == 0 &&
		strcmp(proposed->proposal.version, proposed->current_version) == 0;
}

/*
 * Does the last plan still show what the desired revision would do?  It does not after a
 * change of placeholders or of what runs.
 */
static bool
is_planned(const Sql *sql, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	bool		allow_replace = proposal->allow_replace;

	if (proposed->base_revision != proposed->current_revision)
		return false;
	/* permission for what the last plan shows is not asked for again */
	proposal->allow_replace = true;
	compose_check(proposal);
	proposal->allow_replace = allow_replace;
	carry_judge(sql, proposed, false);
	return json_digest_equal(config_digest(proposed->key.project, proposal->rendered), proposed->planned_digest) &&
		proposal->destructive == proposed->planned_destructive && carry_is_planned(proposed);
}

/* Store the configuration, unless it is stored already, and insert the revision. */
static void
insert_revision(const Sql *sql, const Staging *staging, const ProposedRevision *proposed, RevisionRecord *record)
{
	static Statement insert = {"WITH stored AS (INSERT INTO promote.config (project, params)"
		" VALUES ($1, $5) ON CONFLICT DO NOTHING)"
		" INSERT INTO promote.revision (project, environment, component, revision, digest,"
		" version_constraint, release_channel, origin, source_environment, source_revision,"
		" overrides, message, plan, allow_replace, bundle, version, kept_marks)"
		" VALUES ($1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"};
	const Proposal *proposal = &proposed->proposal;
	bool		copied = staging->source_environment != NULL;

	errand_run(sql, &(Errand) {.revision = record}, &insert, AS_KEY(&proposed->key), AS_INT(proposed->revision),
			   AS_JSONB(proposal->params), AS_BYTEA(proposed->digest), AS_TEXT(proposed->version_constraint),
			   AS_TEXT(proposed->release_channel), AS_TEXT(revision_origins[staging->origin]),
			   AS_TEXT(staging->source_environment),
			   AS_NUMBER(copied ? proposed->source_revision : 0), AS_JSONB(staging->overrides),
			   AS_TEXT(staging->message), AS_BOOL(proposed->plan), AS_BOOL(proposal->allow_replace),
			   AS_TEXT(proposal->bundle), AS_TEXT(proposal->version), AS_JSONB(compose_kept(proposal)));
}

/* An empty diff, in the given context. */
static Jsonb *
empty_diff(MemoryContext context)
{
	MemoryContext outer = MemoryContextSwitchTo(context);
	Jsonb	   *diff = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("[]")));

	MemoryContextSwitchTo(outer);
	return diff;
}

/* Judge the proposal and insert its revision, which the trigger records. */
static void
write_revision(const Sql *sql, const Staging *staging, ProposedRevision *proposed, RevisionRecord *record)
{
	compose_check(&proposed->proposal);
	proposed->revision = proposed->current_revision + 1;
	proposed->origin = staging->origin;
	record->judged = proposed;
	insert_revision(sql, staging, proposed, record);
	if (record->diff == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("revision %d of \"%s\" was not recorded", proposed->revision,
						proposed->proposal.instance),
				 errdetail("A trigger of promote.revision is disabled, or another one swallowed the row."),
				 errhint("ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision, and look for triggers that are not promote's.")));
}

/*
 * Write the proposed state, or only a missing plan where the state is the present one.  The
 * proposal was read under the instance's lock, and says what params to write and whether to
 * plan.  staged is allocated in the context caller.
 */
void
stage_write(const Sql *sql, const Staging *staging, ProposedRevision *proposed, MemoryContext caller,
			Staged *staged)
{
	RevisionRecord record = {NULL, caller, 0, NULL};

	proposal_require_release(sql, proposed);
	json_check_params(proposed->proposal.params, "params");
	proposed->digest = config_digest(proposed->key.project, proposed->proposal.params);
	staged->destination = MemoryContextStrdup(caller, proposed->proposal.instance);
	staged->old_revision = proposed->current_revision;
	staged->changed = !stage_is_unchanged(proposed) || proposed->carried;
	if (!stage_is_unchanged(proposed))
		write_revision(sql, staging, proposed, &record);
	else if (proposed->plan && !is_planned(sql, proposed))
	{
		compose_check(&proposed->proposal);
		revision_plan_again(sql, proposed, &record);
	}
	else if (proposed->carried)
		revision_tell(sql, proposed, &record);
	staged->new_revision = proposed->revision ? proposed->revision : proposed->current_revision;
	staged->deployment = record.deployment;
	staged->diff = record.diff ? record.diff : empty_diff(caller);
}

/* Return the row of a verb, whose columns are in sql/promotion/promotion.sql. */
Datum
stage_result(FunctionCallInfo fcinfo, const Staged *staged)
{
	return result_row(fcinfo, AS_TEXT(staged->destination), AS_NUMBER(staged->old_revision),
					  AS_NUMBER(staged->new_revision), AS_NUMBER(staged->deployment), AS_BOOL(staged->changed),
					  AS_JSONB(staged->diff));
}
