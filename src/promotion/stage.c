/*
 * stage.c: what verbs that give an instance a new desired state have in common: writing the
 * revision of a proposal, and returning its row.
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
#include "promotion/stage.h"
#include "registry/path.h"

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
 * constraint selects now is a change.  The digest of the params is filled in.
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
	proposal_check(proposed);
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
		" overrides, message, plan, allow_replace, bundle, version, kept_marks,"
		" actor, database_role, moved_by, moved_role)"
		" VALUES ($1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"};
	const Proposal *proposal = &proposed->proposal;
	bool		copied = staging->source_environment != NULL;
	Asking		asked = asking();
	Errand		telling = {.revision = record,.asker = errand()->asker};

	errand_run(sql, &telling, &insert, AS_KEY(&proposed->key), AS_INT(proposed->revision),
			   AS_JSONB(proposal->params), AS_BYTEA(proposed->digest), AS_TEXT(proposed->version_constraint),
			   AS_TEXT(proposed->release_channel), AS_TEXT(revision_origins[staging->origin]),
			   AS_TEXT(staging->source_environment),
			   AS_NUMBER(copied ? proposed->source_revision : 0), AS_JSONB(staging->overrides),
			   AS_TEXT(staging->message), AS_BOOL(proposed->plan), AS_BOOL(proposal->allow_replace),
			   AS_TEXT(proposal->bundle), AS_TEXT(proposal->version), AS_JSONB(compose_kept(proposal)),
			   AS_ASKING(&asked));
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
	proposal_check(proposed);
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
 * Does the desired revision come from where the environment takes nothing from any more?  Then
 * it cannot be deployed, and the same state from elsewhere, or by an edit, is a new revision.
 */
static bool
came_without_path(const Sql *sql, const ProposedRevision *proposed)
{
	static Statement read = {"SELECT r.source_environment FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		" AND r.revision = $4 AND r.source_environment <> r.environment"};
	SqlRows		rows;
	List	   *sources;

	if (!proposed->path_only)
		return false;
	rows = sql_run(sql, &read, AS_KEY(&proposed->key), AS_INT(proposed->current_revision));
	return rows.count > 0 && !path_leads(sql, &proposed->key, sql_text(&rows, 0), false, &sources);
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
	bool		unchanged;

	proposal_require_release(sql, proposed);
	json_check_params(proposed->proposal.params, "params");
	proposed->digest = config_digest(proposed->key.project, proposed->proposal.params);
	staged->destination = MemoryContextStrdup(caller, proposed->proposal.instance);
	staged->old_revision = proposed->current_revision;
	unchanged = stage_is_unchanged(proposed);
	staged->changed = !unchanged || proposed->carried;
	if (!unchanged || came_without_path(sql, proposed))
		write_revision(sql, staging, proposed, &record);
	else if (proposed->plan && !is_planned(sql, proposed))
	{
		proposal_check(proposed);
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
