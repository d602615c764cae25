/*
 * proposal_single.c: one proposal, read row by row.
 *
 * To begin and end a statement that joins what a proposal is judged by takes longer than all that a promotion does
 * with it, where the proposal is the only one.  So the rows of one are looked up in their indexes, each once.  What is
 * read, and by which rules, is what promote_internal.proposal_state and promote_internal.proposal_from say, by which
 * sets are read: whoever changes the one changes the other, and promotion_set_random.sql, proposal_single.sql and
 * promotion_agrees.pl compare what comes of them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/row.h"
#include "json/digest.h"
#include "ledger/config_digest.h"
#include "promotion/deployment.h"
#include "promotion/past.h"
#include "promotion/proposal_single.h"
#include "registry/instance.h"
#include "registry/parameter.h"
#include "registry/release.h"
#include "registry/rule_hold.h"

/* ---- rows ---- */

/* An instance. */
typedef struct InstanceRow
{
	char	   *name;			/* NULL: it is not there */
	char	   *status;
	char	   *version_constraint;
	char	   *release_channel;
	int32		revision;
	int32		opened_revision;
	int32		deployment;
	int32		deployed_revision;	/* 0: none, as is deployed_by */
	int32		deployed_by;
	int32		changed_by;
} InstanceRow;

static const SqlField instance_fields[] = {
	SQL_FIELDS(InstanceRow, "i", name, status, version_constraint, release_channel, revision, opened_revision,
			   deployment, deployed_revision, deployed_by, changed_by)
};
static RowFields instance_columns = ROW_FIELDS(instance_fields);

/* An environment. */
typedef struct EnvironmentRow
{
	char	   *source_policy;
	char	   *version_policy;
	PromotionMode promotion_mode;
	bool		archived_at;	/* is it set? */
} EnvironmentRow;

static const SqlField environment_fields[] = {
	SQL_FIELDS(EnvironmentRow, "e", source_policy, version_policy),
	SQL_ENUM_FIELD(EnvironmentRow, promotion_mode, "e.promotion_mode", promotion_modes),
	SQL_PRESENT_FIELD(EnvironmentRow, archived_at, "e.archived_at")
};
static RowFields environment_columns = ROW_FIELDS(environment_fields);

/* A revision. */
typedef struct RevisionRow
{
	int32		revision;		/* 0: it is not there */
	bytea	   *digest;
	char	   *bundle;
	char	   *version;
	char	   *version_constraint;
	char	   *release_channel;
	char	   *mode;
	Jsonb	   *overrides;
	Jsonb	   *kept_marks;
	RevisionOrigin origin;
	char	   *source_environment;
	int32		source_revision;
	bool		only;			/* is it set? */
} RevisionRow;

static const SqlField revision_fields[] = {
	SQL_FIELDS(RevisionRow, "r", revision, digest, bundle, version, version_constraint, release_channel, mode,
			   overrides, kept_marks, source_environment, source_revision),
	SQL_ENUM_FIELD(RevisionRow, origin, "r.origin", revision_origins),
	SQL_PRESENT_FIELD(RevisionRow, only, "r.only")
};
static RowFields revision_columns = ROW_FIELDS(revision_fields);

/* A deployment. */
typedef struct DeploymentRow
{
	int32		deployment;		/* 0: it is not there */
	DeploymentAction action;
	DeploymentStatus status;
	int32		revision;
	char	   *bundle;
	char	   *version;
	bytea	   *rendered_digest;
	Jsonb	   *remote_references;
	Jsonb	   *diff;
	bool		destructive;
	bool		reverts;
	int32		base_deployment;
	int32		seen_change;
	bool		has_seen;		/* is that set? */
	TimestampTz started_at;
} DeploymentRow;

static const SqlField deployment_fields[] = {
	SQL_FIELDS(DeploymentRow, "d", deployment, revision, bundle, version, rendered_digest, remote_references,
			   started_at),
	SQL_ENUM_FIELD(DeploymentRow, action, "d.action", deployment_actions)
};
static RowFields deployment_columns = ROW_FIELDS(deployment_fields);

/* Of a plan. */
static const SqlField plan_fields[] = {
	SQL_FIELDS(DeploymentRow, "d", revision, version, rendered_digest, remote_references, diff, destructive, reverts,
			   base_deployment, seen_change),
	SQL_ENUM_FIELD(DeploymentRow, status, "d.status", deployment_statuses),
	SQL_PRESENT_FIELD(DeploymentRow, has_seen, "d.seen_change")
};
static RowFields plan_columns = ROW_FIELDS(plan_fields);

/* Of one that may run beside another. */
static const SqlField begin_fields[] = {
	SQL_FIELDS(DeploymentRow, "d", deployment),
	SQL_ENUM_FIELD(DeploymentRow, action, "d.action", deployment_actions)
};
static RowFields begin_columns = ROW_FIELDS(begin_fields);

/* Of a component, its bundle and its rule. */
typedef struct ComponentRow
{
	char	   *bundle;			/* NULL: it is not there */
	char	   *version_policy;
} ComponentRow;

static const SqlField component_fields[] = {
	SQL_FIELDS(ComponentRow, "m", bundle, version_policy)
};
static RowFields component_columns = ROW_FIELDS(component_fields);

/* Was a secret brought by a promotion? */
typedef struct SecretRow
{
	bool		promoted_at;	/* is it set? */
} SecretRow;

static const SqlField secret_fields[] = {
	SQL_PRESENT_FIELD(SecretRow, promoted_at, "s.promoted_at")
};
static RowFields secret_columns = ROW_FIELDS(secret_fields);

/* What a proposal is read by, and what more than one part of it may need. */
typedef struct Reading
{
	const Sql  *sql;
	Snapshot	snapshot;
	InstanceKey key;			/* of the destination */
	Datum		project;		/* as a text */
	InstanceRow instance;
	EnvironmentRow environment;
	RevisionRow own;			/* that it desires */
	Release		own_release;	/* of that */
	ProposedRevision *proposed;
} Reading;

/* ---- looking up ---- */

/* Read the row with a key; what it is read into is 0 or NULL where there is none. */
#define TAKE(reading, key, columns, into) \
	(memset((into), 0, sizeof(*(into))), \
	 (void) row_take(key, ForwardScanDirection, columns, (reading)->snapshot, into))

/* Read an instance. */
static void
take_instance(const Reading *reading, const InstanceKey *key, InstanceRow *instance)
{
	const RowKey row = {"instance", "instance_pkey", {AS_KEY(key)}, 3};

	TAKE(reading, &row, &instance_columns, instance);
}

/* Read an environment. */
static void
take_environment(const Reading *reading, const InstanceKey *key, EnvironmentRow *environment)
{
	const RowKey row = {"environment", "environment_pkey", {AS_ENVIRONMENT(key)}, 2};

	TAKE(reading, &row, &environment_columns, environment);
}

/* Read a revision, without the marks that its deployments keep. */
static void
take_bare_revision(const Reading *reading, const InstanceKey *key, int32 number, RevisionRow *revision)
{
	const RowKey row = {"revision", "revision_pkey", {AS_KEY(key), AS_INT(number)}, 4};

	TAKE(reading, &row, &revision_columns, revision);
}

/* Read a revision with its marks, as promote_internal.marked_revision has them. */
static void
take_revision(const Reading *reading, const InstanceKey *key, int32 number, RevisionRow *revision)
{
	take_bare_revision(reading, key, number, revision);
	if (revision->revision)
		revision->kept_marks = past_kept_marks(reading->sql, key, number, revision->kept_marks);
}

/* Read a deployment. */
static void
take_deployment(const Reading *reading, const InstanceKey *key, int32 number, DeploymentRow *deployment)
{
	const RowKey row = {"deployment", "deployment_pkey", {AS_KEY(key), AS_INT(number)}, 4};

	TAKE(reading, &row, &deployment_columns, deployment);
}

/* Read a release; that of the desired revision is not read again. */
static void
take_release(const Reading *reading, const char *bundle, const char *version, Release *release)
{
	if (reading->own_release.version && strcmp(bundle, reading->own.bundle) == 0 &&
		strcmp(version, reading->own.version) == 0)
		*release = reading->own_release;
	else
		release_take(bundle, version, reading->snapshot, release);
}

/* The configuration with a digest; NULL: there is none. */
static Jsonb *
params_of(const Reading *reading, const bytea *digest)
{
	return digest ? value_jsonb(config_take(reading->project, PointerGetDatum(digest), reading->snapshot)) : NULL;
}

/* Are two digests, or none, those of one document? */
static bool
same_digest(const bytea *a, const bytea *b)
{
	return a && b && json_digest_equal(a, b);
}

/* ---- the state that a proposal is judged by, as promote_internal.proposal_state has it ---- */

/* Was it promoted or forked as it is, nothing laid on top and nothing left out? */
static bool
is_taken(const RevisionRow *own, const RevisionRow *source)
{
	return own->origin && (own->origin == ORIGIN_PROMOTION || own->origin == ORIGIN_FORK) &&
		(own->mode == NULL || strcmp(own->mode, promotion_modes[MODE_MERGE]) != 0) && !own->only &&
		(own->overrides == NULL || (JB_ROOT_COUNT(own->overrides) == 0 && !JB_ROOT_IS_SCALAR(own->overrides))) &&
		same_digest(own->digest, source->digest);
}

/* Put what is desired, and what that was promoted from. */
static void
put_own(const Reading *reading)
{
	ProposedRevision *proposed = reading->proposed;
	const RevisionRow *own = &reading->own;
	InstanceKey from = {reading->key.project, own->source_environment, reading->key.component};
	RevisionRow source = {0};

	if ((own->origin == ORIGIN_PROMOTION || own->origin == ORIGIN_FORK) && own->source_environment)
		take_bare_revision(reading, &from, own->source_revision, &source);
	proposed->current_taken = is_taken(own, &source);
	proposed->current_digest = own->digest;
	proposed->current_bundle = own->bundle;
	proposed->current_version = own->version;
	proposed->proposal.own_params = params_of(reading, own->digest);
	proposed->proposal.own_kept = own->kept_marks;
	proposed->own_origin = own->origin;
	if (source.digest && !same_digest(source.digest, own->digest))
		proposed->own_source_params = params_of(reading, source.digest);
	proposed->own_source_constraint = source.version_constraint;
	proposed->own_source_channel = source.release_channel;
	proposed->own_slots = reading->own_release.slots;
}

/* Does a plan start from what will run when it is carried out? */
static bool
plan_stands(const DeploymentRow *plan, const InstanceRow *instance)
{
	if (plan->base_deployment != instance->deployed_by)
		return false;
	/* what is claimed from now on starts from what runs then */
	return plan->status == DEPLOYMENT_PROPOSED || plan->status == DEPLOYMENT_PENDING ||
		plan->status == DEPLOYMENT_APPROVED || (plan->has_seen && plan->seen_change == instance->changed_by);
}

/* Put the last plan that came to something. */
static void
put_plan(const Reading *reading)
{
	ProposedRevision *proposed = reading->proposed;
	const InstanceRow *instance = &reading->instance;
	const RowKey last = {"deployment", "deployment_plan_idx", {AS_KEY(&reading->key)}, 3};
	DeploymentRow plan = {0};

	/* of another generation of the environment? */
	if (!row_take(&last, BackwardScanDirection, &plan_columns, reading->snapshot, &plan) ||
		plan.revision <= instance->opened_revision)
		return;
	proposed->plan_revision = plan.revision;
	proposed->plan_digest = plan.rendered_digest;
	proposed->plan_version = plan.version;
	/* needed where something waited before */
	if (reading->own.digest && !same_digest(plan.rendered_digest, reading->own.digest) &&
		(instance->revision != instance->deployed_revision ||
		 (plan.base_deployment && plan.base_deployment == instance->deployed_by)))
		proposed->plan_params = params_of(reading, plan.rendered_digest);
	proposed->plan_references = plan.remote_references;
	proposed->plan_diff = plan.diff;
	proposed->plan_destructive = plan.destructive;
	proposed->plan_reverts = plan.reverts;
	proposed->plan_base = plan.base_deployment;
	proposed->plan_stands = plan_stands(&plan, instance);
}

/* Has a promotion brought secrets? */
static bool
has_secrets(const Reading *reading)
{
	const RowKey key = {"secret", "secret_pkey", {AS_KEY(&reading->key)}, 3};
	SecretRow	secret = {false};
	RowScan		scan;

	row_open(&scan, &key, ForwardScanDirection, reading->snapshot);
	while (!secret.promoted_at && row_next(&scan, &secret_columns, &secret))
		CHECK_FOR_INTERRUPTS();
	row_close(&scan);
	return secret.promoted_at;
}

/* Has no other PROVISION begun since, or at the same time? */
static bool
runs_alone(const Reading *reading, TimestampTz since)
{
	RowKey		key = {"deployment", "deployment_run_idx", {AS_KEY(&reading->key)}, 3,
	{{BTGreaterEqualStrategyNumber, AS_TIME(since)}}};
	DeploymentRow other = {0};
	bool		alone = true;
	RowScan		scan;

	if (since == DT_NOEND)
		return true;
	row_open(&scan, &key, ForwardScanDirection, reading->snapshot);
	while (alone && row_next(&scan, &begin_columns, &other))
	{
		CHECK_FOR_INTERRUPTS();
		alone = other.action != ACTION_PROVISION || other.deployment == reading->instance.deployed_by;
	}
	row_close(&scan);
	return alone;
}

/* Put what runs, as promote_internal.carried has it; what was read of the desired revision is not read again. */
static void
put_running(const Reading *reading)
{
	ProposedRevision *proposed = reading->proposed;
	Carried    *running = &proposed->running;
	RevisionRow revision = reading->own;
	Release		release;
	DeploymentRow run;
	Jsonb	   *params;

	running->started_at = DT_NOEND;
	if (reading->instance.deployed_by == 0)
		return;
	take_deployment(reading, &reading->key, reading->instance.deployed_by, &run);
	if (run.deployment == 0)
		return;
	if (run.revision != revision.revision)
		take_revision(reading, &reading->key, run.revision, &revision);
	take_release(reading, run.bundle, run.version, &release);
	params = same_digest(run.rendered_digest, reading->own.digest) ? proposed->proposal.own_params :
		params_of(reading, run.rendered_digest);
	if (revision.revision == 0 || release.version == NULL || params == NULL)
		return;
	*running = (Carried) {
		.revision = run.revision,.bundle = run.bundle,.version = run.version,
		.version_constraint = revision.version_constraint,.release_channel = revision.release_channel,
		.rendered_digest = run.rendered_digest,.params = params,
		.template = same_digest(revision.digest, run.rendered_digest) ? NULL : params_of(reading, revision.digest),
		.schema = release.schema,.slots = release.slots,.references = run.remote_references,
		.kept = revision.kept_marks,.started_at = run.started_at
	};
	proposed->runs_alone = runs_alone(reading, run.started_at);
}

/* Put the present state of the destination.  False: it is not there. */
static bool
put_state(Reading *reading)
{
	ProposedRevision *proposed = reading->proposed;
	const InstanceRow *instance = &reading->instance;
	const EnvironmentRow *environment = &reading->environment;
	const RowKey project = {"project_key", "project_key_pkey", {AS_TEXT(reading->key.project)}, 1};

	take_instance(reading, &reading->key, &reading->instance);
	if (instance->name == NULL)
		return false;
	take_environment(reading, &reading->key, &reading->environment);
	take_revision(reading, &reading->key, instance->revision, &reading->own);
	if (reading->own.revision)
		release_take(reading->own.bundle, reading->own.version, reading->snapshot, &reading->own_release);
	proposed->key = reading->key;
	proposed->proposal.instance = instance->name;
	proposed->current_revision = instance->revision;
	proposed->opened_revision = instance->opened_revision;
	proposed->archived = environment->archived_at;
	proposed->current_deployment = instance->deployment;
	proposed->current_constraint = instance->version_constraint;
	proposed->current_channel = instance->release_channel;
	proposed->deployed_by = instance->deployed_by;
	proposed->changed_by = instance->changed_by;
	proposed->decommissioned = instance->status && strcmp(instance->status, "DECOMMISSIONED") == 0;
	proposed->proposal.parameters = parameters_of(reading->key.project, reading->key.environment, reading->snapshot);
	proposed->path_only = environment->source_policy && strcmp(environment->source_policy, "path") == 0;
	proposed->promotion_mode = environment->promotion_mode;
	/* what is opened anew begins with rules of its own */
	proposed->version_policy = environment->archived_at ? "constraint" : environment->version_policy;
	proposed->digest_key = value_bytea(row_column(&project, "digest_key", reading->snapshot));
	put_own(reading);
	put_plan(reading);
	proposed->has_secrets = has_secrets(reading);
	audit_take_head(reading->key.project, instance->name, reading->snapshot, &proposed->head);
	put_running(reading);
	return true;
}

/* ---- what is proposed, as promote_internal.proposal_from has it ---- */

/* What is asked for of a source. */
typedef struct Asked
{
	const char *environment;
	int32		revision;
	const char *version_constraint;
	const char *release_channel;
} Asked;

/* Is the version that the source runs taken? */
static bool
is_pinned(const Reading *reading, const Asked *asked, const ComponentRow *component)
{
	const char *by = asked->version_constraint ? asked->version_constraint :
		component->version_policy ? component->version_policy : reading->proposed->version_policy;

	return strcmp(asked->environment, reading->key.environment) != 0 && by && strcmp(by, PROPOSAL_PINNED) == 0;
}

/* The number of the source's revision that is asked for; 0: none. */
static int32
source_number(const Asked *asked, const InstanceRow *source)
{
	return asked->revision == PROPOSAL_DESIRED ? source->revision :
		asked->revision == PROPOSAL_RUNNING ? source->deployed_revision : Max(asked->revision, 0);
}

/* The constraint by which a release is taken; NULL: there is none. */
static char *
constraint_of(const Reading *reading, const Asked *asked, const InstanceKey *key, const InstanceRow *source,
			  const RevisionRow *revision)
{
	DeploymentRow run = {0};

	if (!reading->proposed->pinned)
		return asked->version_constraint ? pstrdup(asked->version_constraint) : revision->version_constraint;
	if (source->deployed_by)
		take_deployment(reading, key, source->deployed_by, &run);
	return run.version;
}

/* Put the release that the proposal would run. */
static void
put_release(const Reading *reading, const char *bundle)
{
	ProposedRevision *proposed = reading->proposed;
	Release		release = {NULL};

	char	   *version = NULL;

	if (proposed->version_constraint && proposed->release_channel)
		version = release_newest(bundle, proposed->version_constraint, proposed->release_channel, reading->snapshot);
	if (version)
		take_release(reading, bundle, version, &release);
	proposed->proposal.version = release.version;
	proposed->proposal.schema = release.schema;
	proposed->block_reason = release.block_reason;
	proposed->slots = release.slots;
}

/* Put what is proposed; what the destination desires itself is not read again.  False: the source is not there. */
static bool
put_source(const Reading *reading, const Asked *asked)
{
	ProposedRevision *proposed = reading->proposed;
	InstanceKey key = {reading->key.project, unconstify(char *, asked->environment), reading->key.component};
	const RowKey component_key = {"component", "component_pkey", {AS_TEXT(key.project), AS_TEXT(key.component)}, 2};
	bool		is_own = strcmp(asked->environment, reading->key.environment) == 0;
	InstanceRow source = reading->instance;
	EnvironmentRow environment = reading->environment;
	RevisionRow revision = reading->own;
	ComponentRow component;

	if (!is_own)
	{
		take_instance(reading, &key, &source);
		take_environment(reading, &key, &environment);
	}
	TAKE(reading, &component_key, &component_columns, &component);
	if (source.name == NULL || component.bundle == NULL)
		return false;
	if (!is_own || source_number(asked, &source) != revision.revision)
		take_revision(reading, &key, source_number(asked, &source), &revision);
	proposed->pinned = is_pinned(reading, asked, &component);
	proposed->version_constraint = constraint_of(reading, asked, &key, &source, &revision);
	proposed->release_channel = asked->release_channel ? pstrdup(asked->release_channel) : revision.release_channel;
	proposed->proposal.bundle = component.bundle;
	put_release(reading, component.bundle);
	proposed->proposal.params = same_digest(revision.digest, reading->own.digest) ? proposed->proposal.own_params :
		params_of(reading, revision.digest);
	proposed->proposal.source_parameters = is_own ? proposed->proposal.parameters :
		parameters_of(key.project, key.environment, reading->snapshot);
	proposed->proposal.source_kept = revision.kept_marks;
	proposed->source_environment = pstrdup(asked->environment);
	proposed->source_revision = asked->revision != PROPOSAL_DESIRED ? revision.revision :
		source.revision == source.opened_revision ? 0 : source.revision;
	proposed->source_bundle = revision.bundle;
	proposed->source_version = revision.version;
	proposed->source_constraint = revision.version_constraint;
	proposed->source_channel = revision.release_channel;
	proposed->fits = true;
	proposed->created_at = DT_NOEND;
	return true;
}

/* ---- what other files call ---- */

/* Read the rows of a proposal.  False: its destination or its source is not there. */
static bool
read_rows(const Sql *sql, const InstanceKey *destination, const Asked *asked, bool read_only,
		  ProposedRevision *proposed)
{
	Reading		reading = {
		.sql = sql,.key = *destination,.project = CStringGetTextDatum(destination->project),.proposed = proposed
	};
	bool		latest = !read_only && !sql->reads;
	bool		found;

	memset(proposed, 0, sizeof(*proposed));
	if (latest)
		sql_push_latest();
	reading.snapshot = GetActiveSnapshot();
	found = put_state(&reading) && put_source(&reading, asked);
	if (latest)
		PopActiveSnapshot();
	return found;
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
	const Asked asked = {source_environment, source_revision, version_constraint, release_channel};
	InstanceKey source = {destination->project, unconstify(char *, source_environment), destination->component};
	bool		from_another = strcmp(source_environment, destination->environment) != 0;
	Datum		view = !read_only && from_another ? rule_view() : (Datum) 0;

	if (!read_rows(sql, destination, &asked, read_only, proposed))
	{
		require_instance(sql, &source);
		require_instance(sql, destination);
		elog(ERROR, "could not read instance \"%s\"", instance_key_name(destination));
	}
	proposal_read_rest(sql, read_only, proposed);
	proposal_require_source(sql, proposed, view, read_only);
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
