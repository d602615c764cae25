/*
 * apply.c: what one revision changed, and nothing else, onto another instance of the component.
 *
 * It is a merge: what both began with is the revision before, the source is the revision, and
 * the destination is what is desired there.  A hotfix comes back like this, or one change comes
 * along without those around it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "grant/access.h"
#include "json/builder.h"
#include "promotion/merging.h"
#include "promotion/past.h"
#include "promotion/promotion.h"
#include "promotion/proposal_single.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/release.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_apply_revision);

/* A call, and what is read for it. */
typedef struct Application
{
	InstanceKey source;
	InstanceKey destination;
	int32		revision;
	Jsonb	   *overrides;
	PastRevision *taken;		/* that revision */
	PastRevision *before;		/* the one before it; NULL: it is the first */
	Jsonb	   *taken_params;
	Jsonb	   *taken_schema;
	Jsonb	   *source_parameters;
	Merging		merging;		/* from the one before it, if there is one */
	ProposedRevision proposed;
} Application;

/* Take the arguments that say what to apply where. */
static void
take_arguments(FunctionCallInfo fcinfo, Application *application)
{
	const InstanceKey *source = &application->source;
	const InstanceKey *destination = &application->destination;

	argument_instance_for(fcinfo, 0, "source", "view", &application->source);
	application->revision = argument_number(fcinfo, 1, "revision");
	argument_instance_for(fcinfo, 2, "destination", "promote", &application->destination);
	require_in_use(source);
	if (strcmp(source->project, destination->project) != 0 || strcmp(source->component, destination->component) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("cannot apply a revision of \"%s\" to \"%s\"", instance_key_name(source),
						instance_key_name(destination)),
				 errdetail("One is component \"%s\" of project \"%s\", the other component \"%s\" of project \"%s\".",
						   source->component, source->project, destination->component, destination->project),
				 errhint("Apply revisions between instances of one component.")));
	application->merging.choice = merge_choice(argument_text(fcinfo, 5));
	application->overrides = argument_overrides(fcinfo, 6, "overrides");
}

/* Lock both instances in key order, the source only against updates; or the one that is both. */
static void
lock_both(const Sql *sql, const Application *application)
{
	const Promotion pair = {.source = application->source,.destination = application->destination};

	if (instance_key_compare(&pair.source, &pair.destination) == 0)
		instance_lock(sql, &pair.destination, true);
	else
		promotion_lock(sql, &pair);
}

/* Take the revision before for what both began with. */
static void
take_base(const Sql *sql, const PastRevision *before, const char *project, Merging *merging)
{
	merging->base = (MergeBase) {
		past_params_kept(project, before), before->kept,
		release_schema(sql, before->bundle, before->version, true)
	};
	merging->had = merging->gave = (ReleaseWish) {before->version_constraint, before->release_channel};
}

/* Read the revision and the one before it, as they are committed now. */
static void
read_revisions(const Sql *sql, Application *application)
{
	const InstanceKey *source = &application->source;

	sql_push_latest();
	application->taken = past_require(sql, source, application->revision);
	application->before = past_before(sql, source, application->revision);
	application->taken_params = past_params_kept(source->project, application->taken);
	application->taken_schema = release_schema(sql, application->taken->bundle, application->taken->version, true);
	application->source_parameters = past_parameters(source);
	application->merging.base.params = json_empty_object();
	if (application->before)
		take_base(sql, application->before, source->project, &application->merging);
	PopActiveSnapshot();
}

/* Say that the proposal, which was read of the destination itself, comes from the revision. */
static void
name_source(Application *application)
{
	const PastRevision *taken = application->taken;
	ProposedRevision *proposed = &application->proposed;
	Proposal   *proposal = &proposed->proposal;
	bool		same = proposal->version && strcmp(proposal->bundle, taken->bundle) == 0 &&
		strcmp(proposal->version, taken->version) == 0;

	proposed->source_environment = application->source.environment;
	proposed->source_revision = taken->revision;
	proposed->source_bundle = taken->bundle;
	proposed->source_version = taken->version;
	proposal->params = proposal->source_params = application->taken_params;
	proposal->source_parameters = application->source_parameters;
	proposal->source_kept = taken->kept;
	proposal->other_schemas[2] = same ? NULL : application->taken_schema;
}

/* Read what the destination desires, by the release that is merged. */
static void
read_destination(const Sql *sql, Application *application)
{
	const InstanceKey *destination = &application->destination;
	ProposedRevision *proposed = &application->proposed;
	bool		from_another = strcmp(application->source.environment, destination->environment) != 0;
	Datum		view = rule_view();
	const ReleaseWish wish = {application->taken->version_constraint, application->taken->release_channel};
	ReleaseWish merged;

	if (from_another)
		rule_hold(RULE_PATHS, destination->project, destination->environment, view);
	proposal_from(sql, destination, destination->environment, NULL, NULL, false, proposed);
	if (proposal_is_fresh(proposed))
		refuse_unconfigured(destination,
							"Give it its first configuration: what a revision changed needs something to be applied to.");
	merged = merging_release(&application->merging, &wish, proposed);
	if (strcmp(merged.constraint, proposed->current_constraint) != 0 ||
		strcmp(merged.channel, proposed->current_channel) != 0)
		proposal_from(sql, destination, destination->environment, merged.constraint, merged.channel, false, proposed);
	proposed->view = view;
	path_require(sql, destination, application->source.environment, proposed->path_only, false, NULL);
}

/* Refuse a release that is missing or blocked, and what was decommissioned. */
static void
check_destination(const Sql *sql, const Application *application)
{
	const ProposedRevision *proposed = &application->proposed;

	proposal_require_release(sql, proposed);
	proposal_require_unblocked(proposed, ORIGIN_MERGE);
	proposal_require_alive(proposed);
}

/* Merge, and refuse conflicts: those of the release and of the params together. */
static void
merge_params(Application *application)
{
	Proposal   *proposal = &application->proposed.proposal;
	Jsonb	   *merged = merging_params(&application->merging, proposal, application->overrides, NULL);

	merging_require(&application->merging, proposal);
	proposal->params = compose_overrides(proposal, merged, application->overrides);
}

/*
 * promote.apply_revision(instance text, revision integer, to_instance text, message text,
 * expected_revision integer, on_conflict text, overrides jsonb, plan boolean, allow_replace
 * boolean) returns a row, see sql/promotion/apply.sql
 */
Datum
promote_apply_revision(PG_FUNCTION_ARGS)
{
	Staging		staging = {.origin = ORIGIN_MERGE,.message = argument_text(fcinfo, 3)};
	Application application = {{NULL}};
	Sql			sql;
	Staged		staged;

	take_arguments(fcinfo, &application);
	staging.source_environment = application.source.environment;
	staging.overrides = application.overrides;
	sql_enter(&sql);
	lock_both(&sql, &application);
	read_revisions(&sql, &application);
	read_destination(&sql, &application);
	stage_check_revision(fcinfo->args[4], &application.proposed);
	check_destination(&sql, &application);
	name_source(&application);
	merge_params(&application);
	application.proposed.plan = argument_bool(fcinfo, 7, true);
	application.proposed.proposal.allow_replace = argument_bool(fcinfo, 8, false);
	stage_write(&sql, &staging, &application.proposed, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}
