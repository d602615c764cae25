/*
 * recording.c: writing what judged proposals come to: instances that move, plans, and what the audit log says.
 *
 * One proposal is written by a statement for each table, with parameters.  A set of them is gathered in batches, and
 * written by the same statements over all of its rows.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/compat.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "ledger/record_mark.h"
#include "promotion/carry.h"
#include "promotion/deployment.h"
#include "promotion/diff.h"
#include "promotion/recording.h"
#include "registry/rule_hold.h"

/* Hold the release that a new revision takes over. */
static void
hold_release(const ProposedRevision *proposed)
{
	if (proposed->revision > proposed->current_revision && proposal_minds_blocks(proposed->origin))
		rule_hold(RULE_RELEASE, proposed->proposal.bundle, proposed->proposal.version,
				  proposed->view ? proposed->view : rule_view());
}

/*
 * Update the instance's counters and desired state.  The last look at the release's block
 * happens here; later blocks are found at commit.
 */
static void
move_instance(const Sql *sql, ProposedRevision *proposed)
{
	static Statement move = {"UPDATE promote.instance AS i SET revision = $4, deployment = $5,"
		" version_constraint = $6, release_channel = $7 WHERE " OF_INSTANCE("i")
		" RETURNING (SELECT f.block_reason FROM promote.bundle_release AS f"
		"  WHERE f.bundle = $8 AND f.version = $9)"};
	SqlRows		rows;

	hold_release(proposed);
	rows = guarded_run(sql, &move, AS_KEY(&proposed->key), AS_INT(proposed->revision),
					   AS_INT(proposed->current_deployment + (proposed->plan ? 1 : 0)),
					   AS_TEXT(proposed->version_constraint), AS_TEXT(proposed->release_channel),
					   AS_TEXT(proposed->proposal.bundle), AS_TEXT(proposed->proposal.version));
	if (proposed->revision == proposed->current_revision)
		return;
	proposed->block_reason = sql_text(&rows, 0);
	proposal_require_unblocked(proposed, proposed->origin);
}

/* Store a configuration, unless it is stored already. */
void
config_store(const Sql *sql, const char *project, const Jsonb *params)
{
	static Statement store = {"INSERT INTO promote.config (project, params) VALUES ($1, $2) ON CONFLICT DO NOTHING"};

	sql_run(sql, &store, AS_TEXT(project), AS_JSONB(params));
}

/*
 * The digest of the rendered params.  They are stored first where placeholders make them
 * differ from the revision's own.
 */
static bytea *
store_rendered(const Sql *sql, const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if (proposal->rendered == proposal->params)
		return proposed->digest;
	config_store(sql, proposed->key.project, proposal->rendered);
	return config_digest(proposed->key.project, proposal->rendered);
}

/* The diff of a proposal as a value that is stored and returned, which nothing here reads: it may be compressed. */
static const Jsonb *
stored_diff(const ProposedRevision *proposed)
{
	return proposed->packed_diff ? proposed->packed_diff : proposed->diff;
}

/* What a PLAN of a proposal carries. */
static DeploymentOrder
plan_order(const ProposedRevision *proposed, bytea *rendered_digest, const Jsonb *kept)
{
	const Proposal *proposal = &proposed->proposal;

	return (DeploymentOrder) {
		.action = ACTION_PLAN,
		.status = DEPLOYMENT_PENDING,
		.revision = proposed->revision,
		.base = proposal->runs,
		.bundle = proposal->bundle,
		.version = proposal->version,
		.rendered_digest = rendered_digest,
		.references = proposed->references,
		.diff = stored_diff(proposed),
		.kept = kept,
		.destructive = proposal->destructive,
		.reverts = proposed->reverts,
		.message = proposed->message
	};
}

/* Queue the PLAN.  Returns what the audit log says of it. */
static Jsonb *
queue_plan(const Sql *sql, const ProposedRevision *proposed, const Jsonb *kept)
{
	DeploymentOrder order = plan_order(proposed, store_rendered(sql, proposed), kept);

	return deployment_insert(sql, &proposed->key, proposed->current_deployment + 1, &order);
}

/* The number of the PLAN that a proposal gets; 0: none. */
static int32
plan_number(const ProposedRevision *proposed)
{
	return proposed->plan ? proposed->current_deployment + 1 : 0;
}

/* Notify listeners of what a judged proposal does to its instance. */
static void
tell(const ProposedRevision *proposed, int32 revision)
{
	notify(&(Notice) {
		.instance = proposed->proposal.instance,
		.revision = revision,
		.deployment = plan_number(proposed),
		.carried = carry_names(proposed)
	});
}

/* Give the caller a copy of what was recorded. */
void
record_leave(RevisionRecord *record, const ProposedRevision *proposed)
{
	const Jsonb *diff = stored_diff(proposed);

	record->deployment = plan_number(proposed);
	record->diff = MemoryContextAlloc(record->context, VARSIZE(diff));
	memcpy(record->diff, diff, VARSIZE(diff));
}

/* The name of a revision's row in the log. */
static char *
revision_name(const ProposedRevision *proposed)
{
	const InstanceKey *key = &proposed->key;

	return psprintf("revision %s/%s/%s/%d", key->project, key->environment, key->component, proposed->revision);
}

/*
 * Record a judged proposal: update the instance, queue the plan if there is anything to deploy,
 * append to the chain, notify.  A revision that is not new only gets a plan.
 */
void
record_proposal(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record)
{
	AuditEntry	entries[AUDIT_MAX_ENTRIES];
	int			count = 0;

	proposed->is_staged = record != NULL;
	if (proposed->plan || record)
		proposal_decide(sql, proposed);
	move_instance(sql, proposed);
	if (proposed->revision > proposed->current_revision)
	{
		entries[count++] = (AuditEntry) {"revision.created", proposed->facts};
		mark_row(proposed->key.project, proposed->proposal.instance, revision_name(proposed),
				 audit_hex(json_digest(proposed->facts)));
	}
	if (proposed->plan)
		entries[count++] = (AuditEntry) {"deployment.created",
			queue_plan(sql, proposed, proposal_plan_kept(proposed))};
	audit_append(sql, &proposed->head, proposed->key.project, proposed->proposal.instance,
				 entries, count);
	tell(proposed, proposed->revision);
	if (record)
		record_leave(record, proposed);
}

/*
 * Record a proposal that is the desired revision already, whose diff was made: queue another plan
 * if it asks for one, and tell listeners if a promotion changed references or secrets.  The
 * proposal is judged, under the instance's lock.
 */
void
revision_record_again(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record)
{
	if (proposed->plan)
		record_proposal(sql, proposed, record);
	else
	{
		if (proposed->carried)
			tell(proposed, proposed->current_revision);
		record_leave(record, proposed);
	}
}

/* ---- sets ---- */

/* Begin to gather configurations, which are stored by one statement. */
void
config_begin_batch(Batch *configs)
{
	static const char *const columns[] = {"project", "digest", "params"};

	*configs = (Batch) {.name = "new_config",.of = "config",.columns = columns};
	batch_begin(configs);
}

/* Add a configuration with its digest. */
void
config_put(Batch *configs, const char *project, const bytea *digest, const Jsonb *params)
{
	batch_put(configs, AS_TEXT(project), AS_BYTEA(digest), AS_JSONB(params));
}

/* Store the configurations that were gathered and are not stored yet, and end the batch. */
void
config_write(const Sql *sql, Batch *configs)
{
	static Statement store = {"INSERT INTO promote.config (project, digest, params)"
		" SELECT b.project, b.digest, b.params FROM new_config AS b ON CONFLICT DO NOTHING"};

	if (configs->count > 0)
	{
		batch_open(configs);
		guarded_run(sql, &store);
	}
	batch_end(configs);
}

/* What the log gets of a proposal, and what listeners are told. */
typedef struct RecordedChain
{
	const char *project;
	const char *instance;
	AuditHead	head;
	const Jsonb *facts;			/* of the new revision; NULL: there is none */
	const char *row;			/* its name in the log */
	const char *digest;			/* of the facts, hexadecimal */
	int32		revision;
	int32		deployment;		/* the plan's number; 0: no plan */
	const Jsonb *carried;		/* names of references and secrets; NULL: none */
} RecordedChain;

/* Begin to gather proposals, in the current memory context. */
void
recording_begin(Recording *recording)
{
	static const char *const move_columns[] = {
		"project", "environment", "component", "revision", "deployment", "version_constraint", "release_channel"
	};

	*recording = (Recording) {
		.context = CurrentMemoryContext,
		.moves = {.name = "moved_instance",.of = "instance",.columns = move_columns}
	};
	batch_begin(&recording->moves);
	config_begin_batch(&recording->configs);
	deployment_begin_batch(&recording->plans);
}

/* A copy of a document in the current memory context; NULL stays NULL. */
static Jsonb *
copy_document(const Jsonb *document)
{
	return document ? DatumGetJsonbPCopy(JsonbPGetDatum(document)) : NULL;
}

/* Gather what the log gets. */
static void
add_chain(Recording *recording, const ProposedRevision *proposed)
{
	MemoryContext inner = MemoryContextSwitchTo(recording->context);
	RecordedChain *chain = palloc0(sizeof(RecordedChain));

	chain->project = pstrdup(proposed->key.project);
	chain->instance = pstrdup(proposed->proposal.instance);
	chain->head.seq = proposed->head.seq;
	if (proposed->head.hash)
		chain->head.hash = DatumGetByteaPCopy(PointerGetDatum(proposed->head.hash));
	if (proposed->revision > proposed->current_revision)
	{
		chain->facts = copy_document(proposed->facts);
		chain->row = revision_name(proposed);
		chain->digest = audit_hex(json_digest(proposed->facts));
	}
	chain->revision = proposed->revision;
	chain->deployment = plan_number(proposed);
	chain->carried = carry_names(proposed);
	recording->chains = lappend(recording->chains, chain);
	MemoryContextSwitchTo(inner);
}

/* The digest of the rendered params of a proposal, which are gathered where they differ from the revision's own. */
static bytea *
add_rendered(Recording *recording, const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	if (proposal->rendered == proposal->params)
		return proposed->digest;
	if (!proposed->rendered_known)
		config_put(&recording->configs, proposed->key.project, proposed->rendered_digest, proposal->rendered);
	return proposed->rendered_digest;
}

/*
 * Gather a judged proposal, of which nothing is needed any more afterwards: what it comes to is decided, see
 * proposal_decide, and where there is a plan, its rendered digest and the paths that stay marked by it are set.
 */
void
recording_add(Recording *recording, const ProposedRevision *proposed)
{
	hold_release(proposed);
	batch_put(&recording->moves, AS_KEY(&proposed->key), AS_INT(proposed->revision),
			  AS_INT(proposed->current_deployment + (proposed->plan ? 1 : 0)),
			  AS_TEXT(proposed->version_constraint), AS_TEXT(proposed->release_channel));
	if (proposed->plan)
	{
		DeploymentOrder order = plan_order(proposed, add_rendered(recording, proposed), proposed->plan_kept);

		deployment_put(&recording->plans, &proposed->key, proposed->current_deployment + 1, &order);
	}
	add_chain(recording, proposed);
}

/* Move the instances. */
static void
write_moves(const Sql *sql, Batch *moves)
{
	static Statement move = {"UPDATE promote.instance AS i SET revision = b.revision, deployment = b.deployment,"
		" version_constraint = b.version_constraint, release_channel = b.release_channel"
		" FROM moved_instance AS b WHERE " SAME_INSTANCE("i", "b")};

	batch_open(moves);
	if (guarded_run(sql, &move).count != moves->count)
		elog(ERROR, "not every instance of a set was moved");
	batch_end(moves);
}

/* Append to the chains, whose new revisions are marked. */
static void
write_chains(const Sql *sql, const Recording *recording, const SqlRows *facts)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "promote chain", ALLOCSET_DEFAULT_SIZES);
	Batch		batch;
	uint64		plan = 0;
	ListCell   *cell;

	audit_begin_batch(&batch);
	foreach(cell, recording->chains)
	{
		RecordedChain *chain = lfirst(cell);
		AuditEntry	entries[AUDIT_MAX_ENTRIES];
		int			count = 0;
		MemoryContext outer = MemoryContextSwitchTo(scratch);

		if (chain->facts)
			entries[count++] = (AuditEntry) {"revision.created", chain->facts};
		if (chain->deployment)
			entries[count++] = (AuditEntry) {"deployment.created", sql_jsonb(facts, plan++)};
		audit_put(&batch, &chain->head, chain->project, chain->instance, entries, count);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
	audit_write(sql, &batch);
}

/* Write all that was gathered, and end the recording. */
void
recording_write(const Sql *sql, Recording *recording)
{
	SqlRows		facts;
	ListCell   *cell;

	if (recording->chains == NIL)
		return;
	write_moves(sql, &recording->moves);
	config_write(sql, &recording->configs);
	foreach(cell, recording->chains)
	{
		const RecordedChain *chain = lfirst(cell);

		if (chain->facts)
			mark_row(chain->project, chain->instance, chain->row, chain->digest);
	}
	facts = deployment_write(sql, &recording->plans);
	write_chains(sql, recording, &facts);
	foreach(cell, recording->chains)
	{
		const RecordedChain *chain = lfirst(cell);

		notify(&(Notice) {
			.instance = chain->instance,
			.revision = chain->revision,
			.deployment = chain->deployment,
			.carried = chain->carried
		});
	}
}
