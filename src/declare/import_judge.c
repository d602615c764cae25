/*
 * import_judge.c: whether histories can be so.
 *
 * History may break today's schemas, paths and rules: it was made under others.  What is desired now, the last
 * revision, has to hold as if somebody configured it, and releases have to be there.  Times go forward, and nothing is
 * of the future.  All instances are judged, and a refusal names those that are refused.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "compose/censor.h"
#include "declare/document.h"
#include "declare/import.h"
#include "json/limits.h"
#include "json/reader.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "parse/version.h"
#include "schema/format.h"

/* Refuse what is wrong with an element of a history. */
static void
refuse_element(const char *what, int number, const ImportedInstance *of, const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_DOCUMENT),
			 errmsg("%s %d of \"%s\" cannot be imported", what, number, of->name),
			 errdetail("%s", detail),
			 errhint("Mend the document: doc/reference/import.md says what holds of a history.")));
}

/* Refuse a revision. */
static void
refuse_revision(const ImportedRevision *revision, const char *detail)
{
	refuse_element("revision", revision->number, revision->of, detail);
}

/* Refuse a deployment. */
static void
refuse_deployment(const ImportedDeployment *deployment, const char *detail)
{
	refuse_element("deployment", deployment->number, deployment->of, detail);
}

/* Read a time as the schema has it; false: the calendar has none such. */
static bool
read_time(const char *said, TimestampTz *at)
{
	if (!schema_format_accepts(schema_format_find("date-time", strlen("date-time")), said, strlen(said)))
		return false;
	*at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(said), ObjectIdGetDatum(InvalidOid),
												  Int32GetDatum(-1)));
	return true;
}

/* Where a history leaves its instance. */
const char *
import_status(const ImportedInstance *of)
{
	if (of->changed_by == NULL)
		return "INITIALIZED";
	if (of->changed_by->status != DEPLOYMENT_COMPLETED)
		return "FAILED";
	return of->changed_by->action == ACTION_PROVISION ? "PROVISIONED" : "DECOMMISSIONED";
}

/* ---- what the document says by itself ---- */

/* Read what a revision desires. */
static void
read_desired(ImportedRevision *revision)
{
	JsonbValue	view = json_view(revision->params);
	bool		development;

	json_check_params(revision->params, "params");
	if (document_has_mask(&view))
		refuse_revision(revision, "Its params have a mask, " SENSITIVE_MASK ", in the place of a value.");
	version_parse_constraint(revision->said_constraint ? revision->said_constraint : revision->said_version,
							 &revision->version_constraint, &development);
	revision->release_channel = development ? VERSION_DEVELOPMENT : VERSION_STABLE;
	revision->digest = config_digest(revision->of->key.project, revision->params);
}

/* Read when it was desired. */
static void
read_revision_time(ImportedRevision *revision)
{
	if (!read_time(revision->said_at, &revision->at))
		refuse_revision(revision, "Its time is none of the calendar's.");
	if (revision->at > GetCurrentTimestamp())
		refuse_revision(revision, "Its time is still to come.");
	if (revision->number > 1 && revision->at < revision[-1].at)
		refuse_revision(revision, "It is older than the one before.");
}

/* Refuse what cannot have been promoted from there. */
static void
check_own_source(const ImportedRevision *revision)
{
	bool		own = revision->source_environment &&
		strcmp(revision->source_environment, revision->of->key.environment) == 0;

	if (revision->source_environment && strcmp(revision->origin, "edit") == 0)
		refuse_revision(revision, "It is an edit, and has a source.");
	if (own && strcmp(revision->origin, "promotion") == 0)
		refuse_revision(revision, "A promotion comes from another environment.");
	if (own && revision->source_revision >= revision->number)
		refuse_revision(revision, "Its source is not older than it is.");
}

/* Read the times of a deployment. */
static void
read_deployment_times(ImportedDeployment *deployment)
{
	deployment->started_at = DT_NOEND;
	if (!read_time(deployment->said_requested_at, &deployment->requested_at) ||
		!read_time(deployment->said_finished_at, &deployment->finished_at) ||
		(deployment->said_started_at && !read_time(deployment->said_started_at, &deployment->started_at)))
		refuse_deployment(deployment, "A time of it is none of the calendar's.");
	if (deployment->finished_at > GetCurrentTimestamp())
		refuse_deployment(deployment, "Its end is still to come.");
	if (deployment->finished_at < deployment->requested_at ||
		(deployment->said_started_at && (deployment->started_at < deployment->requested_at ||
										 deployment->started_at > deployment->finished_at)))
		refuse_deployment(deployment, "It did not begin between being asked for and its end.");
	if (deployment->number > 1 && deployment->requested_at < deployment[-1].requested_at)
		refuse_deployment(deployment, "It was asked for before the one before.");
}

/* Read a deployment. */
static void
read_deployment(ImportedDeployment *deployment)
{
	const ImportedInstance *of = deployment->of;

	read_deployment_times(deployment);
	deployment->status = strcmp(deployment->outcome, "SUCCEEDED") == 0 ? DEPLOYMENT_COMPLETED :
		strcmp(deployment->outcome, "FAILED") == 0 ? DEPLOYMENT_FAILED : DEPLOYMENT_ABORTED;
	if (deployment->revision > of->revision_count)
		refuse_deployment(deployment, psprintf("There is no revision %d.", deployment->revision));
	if (deployment->requested_at < of->revisions[deployment->revision - 1].at)
		refuse_deployment(deployment, "It was asked for before its revision was made.");
}

/* The order in which deployments began.  A comparison for qsort. */
static int
compare_starts(const void *a, const void *b)
{
	const ImportedDeployment *one = *(ImportedDeployment *const *) a;
	const ImportedDeployment *other = *(ImportedDeployment *const *) b;

	if (one->started_at != other->started_at)
		return one->started_at < other->started_at ? -1 : 1;
	return one->number - other->number;
}

/* Those that began, in that order; returns how many. */
static int
take_started(ImportedInstance *of, ImportedDeployment **started)
{
	int			count = 0;

	for (int i = 0; i < of->deployment_count; i++)
		if (of->deployments[i].started_at != DT_NOEND)
			started[count++] = &of->deployments[i];
	qsort(started, count, sizeof(ImportedDeployment *), compare_starts);
	return count;
}

/* Carry the deployments out, one after the other, to see where they leave the instance. */
static void
replay(ImportedInstance *of)
{
	ImportedDeployment **started = palloc(Max(of->deployment_count, 1) * sizeof(ImportedDeployment *));
	int			count = take_started(of, started);

	for (int i = 0; i < count; i++)
	{
		ImportedDeployment *deployment = started[i];

		if (i > 0 && deployment->started_at < started[i - 1]->finished_at)
			refuse_deployment(deployment, psprintf("It began before deployment %d had ended, and one runs at a time.",
												   started[i - 1]->number));
		deployment->base = deployment->action == ACTION_PROVISION ? of->deployed_by : of->changed_by;
		of->changed_by = deployment;
		if (deployment->status == DEPLOYMENT_COMPLETED)
			of->deployed_by = deployment->action == ACTION_PROVISION ? deployment : NULL;
	}
}

/* Read the history of an instance. */
static void
read_history(ImportedInstance *of)
{
	for (int i = 0; i < of->revision_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_desired(&of->revisions[i]);
		read_revision_time(&of->revisions[i]);
		check_own_source(&of->revisions[i]);
	}
	for (int i = 0; i < of->deployment_count; i++)
		read_deployment(&of->deployments[i]);
	replay(of);
}

/* ---- what is there ---- */

static const SqlField state_fields[] = {
	SQL_FIELDS(ImportedInstance, "i", revision, deployment),
	SQL_FIELD(ImportedInstance, imported_revisions, "(SELECT pg_catalog.count(*) FROM promote.revision AS r"
			  " WHERE i.revision > 0 AND " SAME_INSTANCE("r", "k") " AND r.imported_at IS NOT NULL)::pg_catalog.int4"),
	SQL_FIELD(ImportedInstance, imported_deployments, "(SELECT pg_catalog.count(*) FROM promote.deployment AS d"
			  " WHERE i.revision > 0 AND " SAME_INSTANCE("d", "k") " AND d.imported_at IS NOT NULL)::pg_catalog.int4"),
	SQL_FIELD(ImportedInstance, bundle, "(SELECT m.bundle FROM promote.component AS m"
			  " WHERE m.project = k.project AND m.component = k.component)"),
	SQL_FIELD(ImportedInstance, opened_at, "(SELECT e.opened_at FROM promote.environment AS e"
			  " WHERE e.project = k.project AND e.environment = k.environment)"),
	SQL_FIELD(ImportedInstance, parameters, "promote_internal.parameters_of(k.project, k.environment)")
};

/* Find how the instances are, which are locked.  Parameters of an environment are kept once. */
static void
find_instances(Import *import, Shared *shared)
{
	static Statement read = SQL_ROWS(state_fields, "SELECT $* FROM imported_instance AS k"
									 " CROSS JOIN LATERAL (SELECT i.revision, i.deployment FROM promote.instance AS i"
									 "  WHERE " SAME_INSTANCE("i", "k") " LIMIT 1) AS i ORDER BY k.place");
	static const char *const columns[] = {"place", "project", "environment", "component"};
	Batch		batch = {.name = "imported_instance",.columns = columns};
	SqlRows		rows;

	batch_begin(&batch);
	for (int i = 0; i < import->count; i++)
		batch_put(&batch, AS_INT(i), AS_KEY(&import->instances[i].key));
	rows = batch_run(import->sql, &read, &batch);
	rows.shared = shared;
	if (rows.count != import->count)
		elog(ERROR, "not every instance of a document was found");
	for (int i = 0; i < import->count; i++)
		(void) sql_row(&rows, i, &import->instances[i]);
	batch_end(&batch);
}

/* Compare a key with an instance's.  A comparison for bsearch. */
static int
compare_key(const void *key, const void *instance)
{
	return instance_key_compare(key, &((const ImportedInstance *) instance)->key);
}

/* The source of a revision, if the document has it. */
static const ImportedRevision *
find_source(const Import *import, const ImportedRevision *revision)
{
	const InstanceKey key = {revision->of->key.project, revision->source_environment, revision->of->key.component};
	const ImportedInstance *of;

	if (revision->source_environment == NULL)
		return NULL;
	of = bsearch(&key, import->instances, import->count, sizeof(ImportedInstance), compare_key);
	return of && revision->source_revision <= of->revision_count ? &of->revisions[revision->source_revision - 1] : NULL;
}

#define SOURCE_RELEASE "(SELECT f.params_schema FROM promote.bundle_release AS f" \
	" WHERE f.bundle = s.bundle AND f.version = s.version)"

static const SqlField found_fields[] = {
	SQL_FIELD(ImportedRevision, version, "f.version"),
	SQL_FIELD(ImportedRevision, fits, "f.fits"),
	SQL_FIELD(ImportedRevision, schema, "f.params_schema"),
	SQL_FIELD(ImportedRevision, source_at, "s.created_at"),
	SQL_FIELD(ImportedRevision, source_params, "promote_internal.config_params(k.project, s.digest)"),
	SQL_FIELD(ImportedRevision, source_parameters, "promote_internal.parameters_of(k.project, k.source_environment)"),
	SQL_FIELD(ImportedRevision, source_kept, "s.kept_marks"),
	SQL_FIELD(ImportedRevision, source_schema, SOURCE_RELEASE)
};

/* Find the releases of the revisions, and sources that the document does not have.  Schemas are kept once. */
static void
find_revisions(Import *import, Shared *shared)
{
	static Statement read = SQL_ROWS(found_fields, "SELECT $* FROM imported_revision AS k"
		" LEFT JOIN LATERAL (SELECT f.version::pg_catalog.text, f.params_schema,"
		"   promote_internal.release_fits(f.version, k.version_constraint, k.release_channel) AS fits"
		"  FROM promote.bundle_release AS f WHERE f.bundle = k.bundle AND f.version = COALESCE(k.version,"
		"   (SELECT rel.version FROM promote.resolve_release(k.bundle, k.version_constraint, k.release_channel) AS rel))"
		"  LIMIT 1) AS f ON true"
		" LEFT JOIN LATERAL (SELECT s.created_at, s.digest, s.kept_marks, s.bundle, s.version"
		"  FROM promote_internal.marked_revision AS s WHERE s.project = k.project"
		"   AND s.environment = k.source_environment AND s.component = k.component AND s.revision = k.source_revision"
		"  LIMIT 1) AS s ON true ORDER BY k.place");
	static const char *const columns[] = {
		"place", "project", "environment", "component", "bundle", "version", "version_constraint", "release_channel",
		"source_environment", "source_revision"
	};
	Batch		batch = {.name = "imported_revision",.columns = columns};
	SqlRows		rows;

	batch_begin(&batch);
	for (int i = 0; i < import->revision_count; i++)
	{
		ImportedRevision *revision = &import->revisions[i];

		revision->source = find_source(import, revision);
		batch_put(&batch, AS_INT(i), AS_KEY(&revision->of->key), AS_TEXT(revision->of->bundle),
				  AS_TEXT(revision->said_version), AS_TEXT(revision->version_constraint),
				  AS_TEXT(revision->release_channel), AS_TEXT(revision->source ? NULL : revision->source_environment),
				  AS_NUMBER(revision->source ? 0 : revision->source_revision));
	}
	rows = batch_run(import->sql, &read, &batch);
	rows.shared = shared;
	if (rows.count != import->revision_count)
		elog(ERROR, "not every revision of a document was looked for");
	for (int i = 0; i < import->revision_count; i++)
		(void) sql_row(&rows, i, &import->revisions[i]);
	batch_end(&batch);
}

static const SqlField release_fields[] = {
	SQL_FIELD(ImportedDeployment, is_there, "EXISTS (SELECT FROM promote.bundle_release AS f"
			  " WHERE f.bundle = k.bundle AND f.version = k.version)")
};

/* Find the releases of the deployments. */
static void
find_deployments(Import *import)
{
	static Statement read = SQL_ROWS(release_fields, "SELECT $* FROM imported_deployment AS k ORDER BY k.place");
	static const char *const columns[] = {"place", "bundle", "version"};
	Batch		batch = {.name = "imported_deployment",.columns = columns};
	SqlRows		rows;

	batch_begin(&batch);
	for (int i = 0; i < import->deployment_count; i++)
	{
		ImportedDeployment *deployment = &import->deployments[i];

		deployment->version = deployment->said_version ? deployment->said_version :
			deployment->of->revisions[deployment->revision - 1].version;
		batch_put(&batch, AS_INT(i), AS_TEXT(deployment->of->bundle), AS_TEXT(deployment->version));
	}
	if (batch.count > 0)
	{
		rows = batch_run(import->sql, &read, &batch);
		for (uint64 i = 0; i < rows.count; i++)
			(void) sql_row(&rows, i, &import->deployments[i]);
	}
	batch_end(&batch);
}

/* ---- what it comes to here ---- */

/* Refuse a release that is not there, or that the constraint does not allow. */
static void
check_release(const ImportedRevision *revision)
{
	if (revision->version == NULL)
		ereport(ERROR,
				(errcode(PM_NO_RELEASE),
				 errmsg("the release of revision %d of \"%s\" does not exist", revision->number, revision->of->name),
				 errdetail("Bundle \"%s\" has no release %s.", revision->of->bundle,
						   revision->said_version ? revision->said_version : revision->said_constraint),
				 errhint("Publish it first, by promote.publish_release, with the schema that it had.")));
	if (!revision->fits)
		refuse_revision(revision, psprintf("Its constraint %s does not allow %s.", revision->said_constraint,
										   revision->version));
}

/* Refuse a source that is not there, or that is not older. */
static void
check_source(const ImportedRevision *revision)
{
	bool		own = revision->source && revision->source->of == revision->of;

	if (revision->source_environment == NULL || own)
		return;
	if (revision->source == NULL && revision->source_params == NULL)
		refuse_revision(revision, "Its source is neither in the document nor here.");
	if ((revision->source ? revision->source->at : revision->source_at) >= revision->at)
		refuse_revision(revision, "Its source is not older than it is.");
}

/* Judge what is desired now as promote.configure_instance would. */
static void
check_desired(const ImportedRevision *revision)
{
	Proposal	proposal = {
		.instance = revision->of->name,
		.params = revision->params,
		.parameters = revision->of->parameters,
		.bundle = revision->of->bundle,
		.version = revision->version,
		.schema = revision->schema
	};

	compose_check(&proposal);
}

/* Judge the history of an instance that has none. */
static void
judge_history(ImportedInstance *of)
{
	if (of->opened_at != DT_NOEND && of->revisions[0].at < of->opened_at)
		refuse_revision(&of->revisions[0], "It is older than its environment, which was opened again since.");
	for (int i = 0; i < of->revision_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_release(&of->revisions[i]);
		check_source(&of->revisions[i]);
	}
	for (int i = 0; i < of->deployment_count; i++)
		if (!of->deployments[i].is_there)
			refuse_deployment(&of->deployments[i],
							  psprintf("Bundle \"%s\" has no release %s.", of->bundle, of->deployments[i].version));
	check_desired(&of->revisions[of->revision_count - 1]);
}

/* ---- what is rendered, and what of it must not be seen ---- */

/*
 * Render a revision, as far as today's parameters allow, and find the paths that keep marks: what was sensitive in the
 * revision before, or at its source, is so as well where its own release says nothing of it.  Both were done before.
 */
static void
mark(ImportedRevision *revision)
{
	const ImportedRevision *before = revision->number > 1 ? &revision[-1] : NULL;
	const ImportedRevision *source = revision->source;
	Jsonb	   *source_schema = source ? source->schema : revision->source_schema;
	Proposal	proposal = {
		.instance = revision->of->name,
		.params = revision->params,
		.parameters = revision->of->parameters,
		.bundle = revision->of->bundle,
		.version = revision->version,
		.schema = revision->schema,
		.own_params = before ? before->params : NULL,
		.own_kept = before ? before->kept : NULL,
		.source_params = source ? source->params : revision->source_params,
		.source_parameters = source ? source->of->parameters : revision->source_parameters,
		.source_kept = source ? source->kept : revision->source_kept,
		.other_schemas = {
			before && before->schema != revision->schema ? before->schema : NULL, NULL,
			source_schema != revision->schema ? source_schema : NULL
		}
	};

	proposal.rendered = json_render(revision->params, revision->of->parameters, true);
	revision->rendered = proposal.rendered;
	revision->rendered_digest = proposal.rendered == revision->params ? revision->digest :
		config_digest(revision->of->key.project, proposal.rendered);
	revision->kept = compose_kept(&proposal);
}

/* The order in which revisions were made: sources are older.  A comparison for qsort. */
static int
compare_times(const void *a, const void *b)
{
	const ImportedRevision *one = *(ImportedRevision *const *) a;
	const ImportedRevision *other = *(ImportedRevision *const *) b;

	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	/* of one instance in the order of their numbers */
	return one < other ? -1 : one > other;
}

/* Mark all revisions. */
static void
mark_all(Import *import)
{
	ImportedRevision **all = MemoryContextAllocHuge(CurrentMemoryContext,
													import->revision_count * sizeof(ImportedRevision *));

	for (int i = 0; i < import->revision_count; i++)
		all[i] = &import->revisions[i];
	qsort(all, import->revision_count, sizeof(ImportedRevision *), compare_times);
	for (int i = 0; i < import->revision_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		mark(all[i]);
	}
	pfree(all);
}

/* ---- all of it ---- */

/* An instance, and what is done with it. */
typedef struct Step
{
	void		(*judge) (ImportedInstance *of);
	ImportedInstance *of;
} Step;

/* Judge one instance.  A step of attempt. */
static void
judge_one(void *state)
{
	Step	   *step = state;

	step->judge(step->of);
}

/* Judge each instance, or each that is new, and raise why some are refused. */
static void
judge_each(const Import *import, void (*judge) (ImportedInstance *of), bool only_new)
{
	Refusals	refusals;
	Refusal		refusal;

	refusals_begin(&refusals);
	for (int i = 0; i < import->count; i++)
	{
		Step		step = {judge, &import->instances[i]};

		if ((!only_new || import_is_new(step.of)) && !refusals_attempt(judge_one, &step, &refusals, &refusal))
			refusals_add(&refusals, step.of->name, &refusal);
	}
	refusals_raise(&refusals, import->count, "instances");
}

/* Read what a document, whose instances are locked, says by itself, and find what there is of it. */
void
import_find(Import *import)
{
	Shared	   *shared = shared_create(CurrentMemoryContext);

	judge_each(import, read_history, false);
	find_instances(import, shared);
	find_revisions(import, shared);
	find_deployments(import);
}

/* Judge the histories of instances that are new. */
void
import_judge(Import *import)
{
	judge_each(import, judge_history, true);
	mark_all(import);
}
