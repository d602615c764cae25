/*
 * import_write.c: writing histories that are judged, a statement for each table.
 *
 * The rows have the dates and the people of elsewhere, and say when and by whom they were imported.  So does the log:
 * an event for each, revision.imported or deployment.imported, that the caller has written now, and one for the whole.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "declare/import.h"
#include "json/builder.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "ledger/record_mark.h"
#include "promotion/recording.h"

/* The columns of the rows that are written, in the order of their values. */
#define REVISION_COLUMNS "project, environment, component, revision, digest, version_constraint, release_channel, bundle," \
	" version, origin, source_environment, source_revision, mode, kept_marks, plan, message, actor, database_role," \
	" moved_by, moved_role, created_at, imported_at"
#define DEPLOYMENT_COLUMNS "project, environment, component, deployment, action, status, revision, base_deployment," \
	" base_revision, bundle, version, previous_version, rendered_digest, diff, message, actor, database_role, moved_by," \
	" moved_role, created_at, queued_at, worker, fencing, started_at, finished_at, approved_by, reason, imported_at"

/* Begin revisions. */
static void
begin_revisions(Batch *batch)
{
	static const char *const columns[] = {
		"place", "project", "environment", "component", "revision", "digest", "version_constraint", "release_channel",
		"bundle", "version", "origin", "source_environment", "source_revision", "mode", "kept_marks", "plan", "message",
		"actor", "database_role", "moved_by", "moved_role", "created_at", "imported_at"
	};

	*batch = (Batch) {.name = "new_revision",.of = "revision",.columns = columns};
	batch_begin(batch);
}

/* Add a revision of the instance in that place. */
static void
put_revision(Batch *batch, int place, const ImportedRevision *revision)
{
	Person		caller = current_person();

	batch_put(batch, AS_INT(place), AS_KEY(&revision->of->key), AS_INT(revision->number), AS_BYTEA(revision->digest),
			  AS_TEXT(revision->version_constraint), AS_TEXT(revision->release_channel), AS_TEXT(revision->of->bundle),
			  AS_TEXT(revision->version), AS_TEXT(revision->origin), AS_TEXT(revision->source_environment),
			  AS_NUMBER(revision->source_revision),
			  AS_TEXT(strcmp(revision->origin, "promotion") == 0 ? "replace" : NULL), AS_JSONB(revision->kept),
			  AS_BOOL(false), AS_TEXT(revision->message), AS_TEXT(revision->actor), AS_TEXT(caller.database_role),
			  AS_TEXT(caller.actor), AS_TEXT(caller.database_role), AS_TIME(revision->at),
			  AS_TIME(GetCurrentTransactionStartTimestamp()));
}

/* Begin deployments. */
static void
begin_deployments(Batch *batch)
{
	static const char *const columns[] = {
		"place", "project", "environment", "component", "deployment", "action", "status", "revision", "base_deployment",
		"base_revision", "bundle", "version", "previous_version", "rendered_digest", "diff", "message", "actor",
		"database_role", "moved_by", "moved_role", "created_at", "queued_at", "worker", "fencing", "started_at",
		"finished_at", "approved_by", "reason", "imported_at"
	};

	*batch = (Batch) {.name = "new_deployment",.of = "deployment",.columns = columns};
	batch_begin(batch);
}

/* Add a deployment of the instance in that place.  Nobody has made a diff of it: it has an empty one. */
static void
put_deployment(Batch *batch, int place, const ImportedDeployment *deployment, const Jsonb *no_diff)
{
	const ImportedInstance *of = deployment->of;
	const ImportedDeployment *base = deployment->base;
	bool		began = deployment->started_at != DT_NOEND;
	Person		caller = current_person();

	batch_put(batch, AS_INT(place), AS_KEY(&of->key), AS_INT(deployment->number),
			  AS_TEXT(deployment_actions[deployment->action]), AS_TEXT(deployment_statuses[deployment->status]),
			  AS_INT(deployment->revision), AS_NUMBER(base ? base->number : 0), AS_NUMBER(base ? base->revision : 0),
			  AS_TEXT(of->bundle), AS_TEXT(deployment->version), AS_TEXT(base ? base->version : NULL),
			  AS_BYTEA(of->revisions[deployment->revision - 1].rendered_digest), AS_JSONB(no_diff),
			  AS_TEXT(deployment->message), AS_TEXT(deployment->actor), AS_TEXT(caller.database_role),
			  AS_TEXT(caller.actor), AS_TEXT(caller.database_role), AS_TIME(deployment->requested_at),
			  AS_TIME(deployment->requested_at), AS_TEXT(began ? deployment->worker : NULL), AS_INT(began ? 1 : 0),
			  AS_TIME(deployment->started_at), AS_TIME(deployment->finished_at), AS_TEXT(deployment->approved_by),
			  AS_TEXT(deployment->reason), AS_TIME(GetCurrentTransactionStartTimestamp()));
}

/* A document that is an empty array. */
static Jsonb *
empty_array(void)
{
	JsonBuilder builder;

	json_begin_array(&builder);
	return json_builder_finish(&builder);
}

/* Gather the rows of instances that are new, or of those that are not. */
static void
put_rows(const Import *import, bool is_new, Batch *revisions, Batch *deployments)
{
	Jsonb	   *no_diff = empty_array();

	begin_revisions(revisions);
	begin_deployments(deployments);
	for (int i = 0; i < import->count; i++)
	{
		const ImportedInstance *of = &import->instances[i];

		CHECK_FOR_INTERRUPTS();
		if (import_is_new(of) != is_new)
			continue;
		for (int n = 0; n < of->revision_count; n++)
			put_revision(revisions, i, &of->revisions[n]);
		for (int n = 0; n < of->deployment_count; n++)
			put_deployment(deployments, i, &of->deployments[n], no_diff);
	}
}

/* ---- instances that have a history ---- */

/* Note the places in which rows differ, and end the batch of these. */
static void
note_places(const Sql *sql, Statement *read, Batch *batch, bool *differs)
{
	SqlRows		rows = {NULL};

	if (batch->count > 0)
		rows = batch_run(sql, read, batch);
	for (uint64 i = 0; i < rows.count; i++)
		differs[sql_int(&rows, i)] = true;
	batch_end(batch);
}

/* Which instances with a history have another one than the document says? */
static bool *
find_others(const Import *import)
{
	static Statement revisions = {"SELECT DISTINCT k.place FROM new_revision AS k WHERE NOT EXISTS ("
		"SELECT FROM promote.revision AS r WHERE " SAME_INSTANCE("r", "k") " AND r.revision = k.revision"
		" AND r.imported_at IS NOT NULL AND (r.digest, r.version_constraint, r.release_channel, r.origin,"
		"  r.source_environment, r.source_revision, r.message, r.actor, r.created_at)"
		" IS NOT DISTINCT FROM (k.digest, k.version_constraint, k.release_channel, k.origin,"
		"  k.source_environment, k.source_revision, k.message, k.actor, k.created_at) OFFSET 0)"};
	static Statement deployments = {"SELECT DISTINCT k.place FROM new_deployment AS k WHERE NOT EXISTS ("
		"SELECT FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "k") " AND d.deployment = k.deployment"
		" AND d.imported_at IS NOT NULL AND (d.action, d.status, d.revision, d.version, d.message, d.actor, d.created_at,"
		"  d.worker, d.started_at, d.finished_at, d.approved_by, d.reason)"
		" IS NOT DISTINCT FROM (k.action, k.status, k.revision, k.version, k.message, k.actor, k.created_at,"
		"  k.worker, k.started_at, k.finished_at, k.approved_by, k.reason) OFFSET 0)"};
	bool	   *differs = palloc0(import->count * sizeof(bool));
	Batch		batches[2];

	put_rows(import, false, &batches[0], &batches[1]);
	note_places(import->sql, &revisions, &batches[0], differs);
	note_places(import->sql, &deployments, &batches[1], differs);
	for (int i = 0; i < import->count; i++)
	{
		const ImportedInstance *of = &import->instances[i];

		if (!import_is_new(of) && (of->imported_revisions != of->revision_count ||
								   of->imported_deployments != of->deployment_count))
			differs[i] = true;
	}
	return differs;
}

/* Refuse instances that have a history, unless it is the one of the document: then they stay as they are. */
void
import_refuse_others(const Import *import)
{
	bool	   *differs = find_others(import);
	Refusals	refusals;

	refusals_begin(&refusals);
	for (int i = 0; i < import->count; i++)
		if (differs[i])
			refusals_note(&refusals, import->instances[i].name, PM_APPEND_ONLY,
						  import->instances[i].imported_revisions > 0 ?
						  "it was imported with another history, and history is never rewritten" :
						  "it has a history already, and nothing is put before that");
	refusals_raise(&refusals, import->count, "instances");
}

/* ---- writing ---- */

/* Store the configurations, as they are desired and as they are rendered. */
static void
write_configs(const Import *import)
{
	Batch		configs;

	config_begin_batch(&configs);
	for (int i = 0; i < import->revision_count; i++)
	{
		const ImportedRevision *revision = &import->revisions[i];

		config_put(&configs, import->project, revision->digest, revision->params);
		if (revision->rendered != revision->params)
			config_put(&configs, import->project, revision->rendered_digest, revision->rendered);
	}
	config_write(import->sql, &configs);
}

/* Insert rows, and end the batch of them.  Returns what the log says of each, in their order. */
static SqlRows
insert_rows(const Import *import, Statement *insert, Batch *batch)
{
	static const Errand importing = {.records = true,.imports = true};
	SqlRows		rows = {NULL};

	if (batch->count > 0)
	{
		batch_open(batch);
		rows = errand_run(import->sql, &importing, insert);
		if (rows.count != batch->count)
			elog(ERROR, "not every row of a history was written");
	}
	batch_end(batch);
	return rows;
}

/* Bring the instances where their histories leave them. */
static void
move_instances(const Import *import)
{
	static Statement move = {"UPDATE promote.instance AS i SET revision = k.revision, deployment = k.deployment,"
		" version_constraint = k.version_constraint, release_channel = k.release_channel, status = k.status,"
		" deployed_revision = k.deployed_revision, deployed_by = k.deployed_by, changed_by = COALESCE(k.changed_by, 0)"
		" FROM moved_instance AS k WHERE " SAME_INSTANCE("i", "k")};
	static const char *const columns[] = {
		"project", "environment", "component", "revision", "deployment", "version_constraint", "release_channel", "status",
		"deployed_revision", "deployed_by", "changed_by"
	};
	Batch		moves = {.name = "moved_instance",.of = "instance",.columns = columns};

	batch_begin(&moves);
	for (int i = 0; i < import->count; i++)
	{
		const ImportedInstance *of = &import->instances[i];
		const ImportedRevision *last = &of->revisions[of->revision_count - 1];

		if (import_is_new(of))
			batch_put(&moves, AS_KEY(&of->key), AS_INT(of->revision_count), AS_INT(of->deployment_count),
					  AS_TEXT(last->version_constraint), AS_TEXT(last->release_channel), AS_TEXT(import_status(of)),
					  AS_NUMBER(of->deployed_by ? of->deployed_by->revision : 0),
					  AS_NUMBER(of->deployed_by ? of->deployed_by->number : 0),
					  AS_NUMBER(of->changed_by ? of->changed_by->number : 0));
	}
	if (moves.count > 0)
		(void) guarded_rows(import->sql, &move, &moves);
	batch_end(&moves);
}

/* ---- the log ---- */

/* The chains of a call, and what the log says of its rows. */
typedef struct Chains
{
	const Import *import;
	Batch		events;
	SqlRows		revisions;
	SqlRows		deployments;
	uint64		revision;		/* the one that is told next, as deployment */
	uint64		deployment;
} Chains;

/* Tell of one row, which the event covers. */
static void
tell_row(Chains *chains, ImportedInstance *of, const char *table, int number, const Jsonb *facts)
{
	AuditEntry	entry = {psprintf("%s.imported", table), facts};
	const InstanceKey *key = &of->key;

	mark_row(key->project, of->name,
			 psprintf("%s %s/%s/%s/%d", table, key->project, key->environment, key->component, number),
			 audit_hex(json_digest(facts)));
	audit_put(&chains->events, &of->head, key->project, of->name, &entry, 1);
}

/* Tell of the revisions and the deployments of an instance, in the order of their times. */
static void
tell_history(Chains *chains, ImportedInstance *of)
{
	int			revision = 0;
	int			deployment = 0;

	audit_read_head(of->key.project, of->name, &of->head);
	while (revision < of->revision_count || deployment < of->deployment_count)
	{
		CHECK_FOR_INTERRUPTS();
		if (deployment == of->deployment_count ||
			(revision < of->revision_count && of->revisions[revision].at <= of->deployments[deployment].requested_at))
			tell_row(chains, of, "revision", ++revision, sql_jsonb(&chains->revisions, chains->revision++));
		else
			tell_row(chains, of, "deployment", ++deployment, sql_jsonb(&chains->deployments, chains->deployment++));
	}
}

/* Tell of the import of an instance: of its row, as it was moved. */
static void
tell_import(Chains *chains, ImportedInstance *of)
{
	JsonBuilder facts;
	AuditEntry	entry = {.event = "history.imported"};

	audit_begin(&facts);
	json_build_number(&facts, "revisions", of->revision_count);
	json_build_number(&facts, "deployments", of->deployment_count);
	json_build_field(&facts, "status", import_status(of));
	if (chains->import->message)
		json_build_field(&facts, "message", chains->import->message);
	entry.data = json_builder_finish(&facts);
	audit_put(&chains->events, &of->head, of->key.project, of->name, &entry, 1);
	notify(&(Notice) {.instance = of->name,.revision = of->revision_count,.deployment = of->deployment_count});
}

/* Do something with each instance that is new. */
static void
each_new(Chains *chains, void (*step) (Chains *chains, ImportedInstance *of))
{
	for (int i = 0; i < chains->import->count; i++)
		if (import_is_new(&chains->import->instances[i]))
			step(chains, &chains->import->instances[i]);
}

/* Write what was judged. */
void
import_write(const Import *import)
{
	static Statement revisions = {"INSERT INTO promote.revision AS r (" REVISION_COLUMNS ")"
		" SELECT " REVISION_COLUMNS " FROM new_revision RETURNING promote_internal.audit_facts(r)"};
	static Statement deployments = {"INSERT INTO promote.deployment AS d (" DEPLOYMENT_COLUMNS ")"
		" SELECT " DEPLOYMENT_COLUMNS " FROM new_deployment RETURNING promote_internal.audit_facts(d)"};
	Chains		chains = {.import = import};
	Batch		batches[2];

	put_rows(import, true, &batches[0], &batches[1]);
	if (batches[0].count > 0)
		write_configs(import);
	chains.revisions = insert_rows(import, &revisions, &batches[0]);
	chains.deployments = insert_rows(import, &deployments, &batches[1]);
	audit_begin_batch(&chains.events);
	each_new(&chains, tell_history);
	/* its row is covered by the last event of its chain */
	move_instances(import);
	each_new(&chains, tell_import);
	audit_write(import->sql, &chains.events);
}
