/*
 * stage.c: what verbs that give an instance a new desired state have in common: writing the
 * revision of a proposal, and returning its row.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "compose/overrides.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "promotion/carry.h"
#include "promotion/diff.h"
#include "promotion/stage.h"
#include "registry/path.h"
#include "registry/remote_reference.h"

/* Refuse an instance that is no longer at the expected revision; a NULL argument expects nothing. */
void
stage_check_revision(NullableDatum argument, const ProposedRevision *proposed)
{
	int32		desired = proposal_desired(proposed);

	if (!argument.isnull && value_int(argument) != desired)
		ereport(ERROR,
				(errcode(PM_REVISION_MOVED),
				 errmsg("\"%s\" is not at revision %d", proposed->proposal.instance, value_int(argument)),
				 errdetail("Its desired revision is %d.", desired),
				 errhint("Look at the change since, and try again with expected_revision => %d.", desired)));
}

/*
 * Does the proposal equal the desired state, by the same release?  A newer release that the
 * constraint selects now is a change.  The digest of the params is filled in.
 */
bool
stage_is_unchanged(const ProposedRevision *proposed)
{
	return !proposal_is_fresh(proposed) &&
		json_digest_equal(proposed->digest, proposed->current_digest) &&
		strcmp(proposed->version_constraint, proposed->current_constraint) == 0 &&
		strcmp(proposed->release_channel, proposed->current_channel) == 0 &&
		strcmp(proposed->proposal.version, proposed->current_version) == 0;
}

/*
 * Number a proposal: the desired revision, where it is that, or the next one.  Fills in the digest
 * of the params, which is known where they are the document of the desired revision.
 */
void
stage_number(ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	proposed->digest = proposal->params == proposal->own_params ? proposed->current_digest :
		config_digest(proposed->key.project, proposal->params);
	proposed->revision = proposed->current_revision + (stage_is_unchanged(proposed) ? 0 : 1);
}

/* Does the last plan still show what the desired revision, which is judged, would do to what runs? */
static bool
is_planned(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	return proposed->plan_stands && !proposed->carried && proposed->plan_revision == proposed->current_revision &&
		json_digest_equal(config_digest(proposed->key.project, proposal->rendered), proposed->plan_digest) &&
		strcmp(proposal->version, proposed->plan_version) == 0 &&
		proposal->destructive == proposed->plan_destructive &&
		reference_same(proposed->plan_references, proposed->references);
}

/* The columns of a revision that a verb writes, in the order of revision_values. */
#define REVISION_COLUMNS "project, environment, component, revision, digest," \
	" version_constraint, release_channel, origin, source_environment, source_revision," \
	" overrides, mode, \"only\", pinned_version, message, plan, allow_replace, bundle, version, kept_marks," \
	" actor, database_role, moved_by, moved_role"
#define COLUMNS 24				/* of these */

/* The values of these columns. */
static void
revision_values(const Staging *staging, const ProposedRevision *proposed, const Jsonb *kept, SqlValue *values)
{
	const Proposal *proposal = &proposed->proposal;
	bool		copied = staging->source_environment != NULL;
	Asking		asked = asking();
	const SqlValue columns[COLUMNS] = {
		AS_KEY(&proposed->key), AS_INT(proposed->revision), AS_BYTEA(proposed->digest),
		AS_TEXT(proposed->version_constraint), AS_TEXT(proposed->release_channel),
		AS_TEXT(revision_origins[staging->origin]), AS_TEXT(staging->source_environment),
		AS_NUMBER(copied ? proposed->source_revision : 0), AS_JSONB(overrides_shape(staging->overrides)),
		AS_TEXT(staging->mode), AS_TEXTS(staging->only), AS_TEXT(staging->pinned_version),
		AS_TEXT(staging->message), AS_BOOL(proposed->asks_plan), AS_BOOL(proposal->allow_replace),
		AS_TEXT(proposal->bundle), AS_TEXT(proposal->version), AS_JSONB(kept), AS_ASKING(&asked)
	};

	memcpy(values, columns, sizeof(columns));
}

/* Store the configuration, unless it is stored already, and insert the revision. */
static void
insert_revision(const Sql *sql, const Staging *staging, const ProposedRevision *proposed, RevisionRecord *record)
{
	static Statement insert = {"WITH stored AS (INSERT INTO promote.config (project, params)"
		" VALUES ($1, $25) ON CONFLICT DO NOTHING)"
		" INSERT INTO promote.revision (" REVISION_COLUMNS ")"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,"
		" $23, $24)"};
	RevisionRecords records = {record, 1};
	Errand		telling = {.revisions = &records,.asker = errand()->asker};
	SqlValue	values[COLUMNS + 1];

	revision_values(staging, proposed, compose_kept(&proposed->proposal), values);
	values[COLUMNS] = AS_JSONB(proposed->proposal.params);
	errand_call(sql, &telling, &insert, values, COLUMNS + 1);
}

/* Refuse to go on where the trigger has not told what it has recorded. */
static void
require_recorded(const ProposedRevision *proposed, const RevisionRecord *record)
{
	if (record->diff == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("revision %d of \"%s\" was not recorded", proposed->revision,
						proposed->proposal.instance),
				 errdetail("A trigger of promote.revision is disabled, or another one swallowed the row."),
				 errhint("ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision, and look for triggers that are not promote's.")));
}

/* Judge the proposal and insert its revision, which the trigger records. */
static void
write_revision(const Sql *sql, const Staging *staging, ProposedRevision *proposed, RevisionRecord *record)
{
	proposal_check(proposed);
	proposed->origin = staging->origin;
	proposed->asks_plan = proposed->plan;
	record->judged = proposed;
	insert_revision(sql, staging, proposed, record);
	require_recorded(proposed, record);
}

/* Begin to gather revisions, which are inserted by one statement. */
void
stage_begin_batch(StagedSet *set)
{
	static const char *const columns[COLUMNS] = {
		"project", "environment", "component", "revision", "digest", "version_constraint", "release_channel",
		"origin", "source_environment", "source_revision", "overrides", "mode", "only", "pinned_version", "message",
		"plan", "allow_replace", "bundle", "version", "kept_marks", "actor", "database_role", "moved_by", "moved_role"
	};

	*set = (StagedSet) {.rows = {.name = "staged_revision",.of = "revision",.columns = columns}};
	batch_begin(&set->rows);
}

/*
 * Add the revision of a proposal that is new, judged and decided, whose configuration is stored.
 * The trigger tells the record what it has recorded.
 */
void
stage_put(StagedSet *set, const Staging *staging, ProposedRevision *proposed, RevisionRecord *record)
{
	SqlValue	values[COLUMNS];

	record->judged = proposed;
	set->records = lappend(set->records, record);
	revision_values(staging, proposed, proposed->staged_kept, values);
	batch_put_values(&set->rows, values, COLUMNS);
}

/* Insert all revisions that were gathered, and end the set. */
void
stage_write_batch(const Sql *sql, StagedSet *set)
{
	static Statement insert = {"INSERT INTO promote.revision (" REVISION_COLUMNS ")"
		" SELECT " REVISION_COLUMNS " FROM staged_revision"};
	int			count = list_length(set->records);
	RevisionRecords records = {palloc(Max(count, 1) * sizeof(RevisionRecord)), count};
	Errand		telling = {.revisions = &records,.asker = errand()->asker};

	for (int i = 0; i < count; i++)
		records.list[i] = *(RevisionRecord *) list_nth(set->records, i);
	if (count > 0)
	{
		batch_open(&set->rows);
		errand_run(sql, &telling, &insert);
	}
	batch_end(&set->rows);
	for (int i = 0; i < count; i++)
	{
		require_recorded(records.list[i].judged, &records.list[i]);
		*(RevisionRecord *) list_nth(set->records, i) = records.list[i];
	}
}

/* Check a proposal that is the desired state already, and make its diff. */
void
stage_look_again(const Sql *sql, ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	bool		allow_replace = proposal->allow_replace;

	/* permission for what the last plan shows is not asked for again */
	proposal->allow_replace = true;
	proposal_check(proposed);
	proposal->allow_replace = allow_replace;
	carry_judge(sql, proposed, false);
	(void) proposal_diff(sql, proposed, false);
}

/* Decide whether such a proposal gets a plan: if it asks for one, and anything waits that has none. */
void
stage_decide_again(ProposedRevision *proposed)
{
	if (proposed->plan && proposal_waits(proposed) && !is_planned(proposed))
		proposal_check(proposed);
	else
		proposed->plan = false;
}

/* Judge a proposal that is the desired state already. */
void
stage_judge_again(const Sql *sql, ProposedRevision *proposed)
{
	stage_look_again(sql, proposed);
	stage_decide_again(proposed);
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
 * Number a proposal that was read under the instance's lock, and say in staged, which is allocated
 * in the context caller, what it comes to.  True if it is a new revision.  Whether the params are too
 * large is for proposal_check, which follows in any case.
 */
bool
stage_begin(const Sql *sql, const Staging *staging, ProposedRevision *proposed, MemoryContext caller, Staged *staged)
{
	bool		unchanged;

	proposal_require_release(sql, proposed);
	stage_number(proposed);
	staged->destination = MemoryContextStrdup(caller, proposed->proposal.instance);
	staged->old_revision = proposal_desired(proposed);
	unchanged = proposed->revision == proposed->current_revision;
	staged->changed = !unchanged || proposed->carried;
	if (unchanged && (staging->moves_base || came_without_path(sql, proposed)))
		proposed->revision++;
	staged->new_revision = proposed->revision;
	return proposed->revision > proposed->current_revision;
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

	if (stage_begin(sql, staging, proposed, caller, staged))
		write_revision(sql, staging, proposed, &record);
	else
	{
		stage_judge_again(sql, proposed);
		revision_record_again(sql, proposed, &record);
	}
	staged->deployment = record.deployment;
	staged->diff = record.diff;
}

/* Return the row of a verb, whose columns are in sql/promotion/promotion.sql. */
Datum
stage_result(FunctionCallInfo fcinfo, const Staged *staged)
{
	return result_row(fcinfo, AS_TEXT(staged->destination), AS_NUMBER(staged->old_revision),
					  AS_NUMBER(staged->new_revision), AS_NUMBER(staged->deployment), AS_BOOL(staged->changed),
					  AS_JSONB(staged->diff));
}
