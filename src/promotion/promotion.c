/*
 * promotion.c: promoting one instance's validated configuration to another instance of the
 * same component.
 *
 * promote_instance and preview_promotion read the same rows in the same way and judge them by
 * the same code (proposal.c, compose.c).  Only the former writes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "grant/access.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "json/digest.h"
#include "json/reader.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "promotion/preview.h"
#include "promotion/promotion.h"
#include "promotion/proposal_single.h"
#include "registry/archived.h"
#include "registry/instance.h"
#include "registry/path.h"
#include "registry/preset.h"

PG_FUNCTION_INFO_V1(promote_promote_instance);
PG_FUNCTION_INFO_V1(promote_promote_to_next);
PG_FUNCTION_INFO_V1(promote_preview_promotion);

#define MAX_KEY_LENGTH 255		/* bytes of an idempotency key */

/* Refuse a source and a destination that do not fit each other, or of which one is archived. */
void
promotion_check_pair(const Promotion *promotion)
{
	const InstanceKey *source = &promotion->source;
	const InstanceKey *destination = &promotion->destination;

	if (strcmp(source->project, destination->project) != 0 ||
		strcmp(source->component, destination->component) != 0)
		ereport(ERROR,
				(errcode(PM_COMPONENT_MISMATCH),
				 errmsg("cannot promote \"%s\" to \"%s\"", instance_key_name(source),
						instance_key_name(destination)),
				 errdetail("The source is component \"%s\" of project \"%s\", the destination component \"%s\" of project \"%s\".",
						   source->component, source->project,
						   destination->component, destination->project),
				 errhint("Promote between instances of one component.")));
	if (instance_key_compare(source, destination) == 0)
		ereport(ERROR,
				(errcode(PM_SAME_INSTANCE),
				 errmsg("cannot promote \"%s\" to itself", instance_key_name(source)),
				 errdetail("The source and the destination are the same instance."),
				 errhint("Name another destination; promote.configure_instance edits an instance in place.")));
	require_in_use(source);
	require_in_use(destination);
}

/* The arguments after the overrides, counted from promotion->options on. */
enum Option
{
	COPY_SECRETS, COPY_REMOTE_REFERENCES, PLAN, MESSAGE, EXPECTED_REVISION, IDEMPOTENCY_KEY,
	ALLOW_REPLACE, PIN, REPROVISION, CHOICE,
	PREVIEW_PIN = PLAN, PREVIEW_REPROVISION, PREVIEW_CHOICE	/* a preview has no arguments between */
};

/*
 * Take the arguments that all functions on two instances begin with; action is the grant that
 * the destination needs.
 */
static void
take_arguments(FunctionCallInfo fcinfo, const char *action, Promotion *promotion)
{
	argument_instance_for(fcinfo, 0, "source", "view", &promotion->source);
	argument_instance_for(fcinfo, 1, "destination", action, &promotion->destination);
	promotion_check_pair(promotion);
	promotion->overrides = argument_overrides(fcinfo, 2, "overrides");
	promotion->options = 3;
}

/* Note in the proposal, whose release is known, what fills in what would be missing. */
void
promotion_take_preset(const Sql *sql, Promotion *promotion, bool read_only)
{
	Proposal   *proposal = &promotion->proposed.proposal;

	proposal->preset = preset_read(sql, proposal->bundle, proposal->version, promotion->choice.preset,
								   read_only);
	proposal->fill_defaults = promotion->choice.fill_defaults;
}

/* Refuse to pin to a source that runs nothing. */
static void
require_pinned(const Promotion *promotion)
{
	if (promotion->proposed.pinned && promotion->proposed.version_constraint == NULL)
		ereport(ERROR,
				(errcode(PM_NOT_DEPLOYED),
				 errmsg("\"%s\" runs no release that a promotion could be pinned to", instance_key_name(&promotion->source)),
				 errdetail(promotion->pin ? "The call has pin, and the source is not provisioned." :
						   "The version_policy of the component, or else of the destination's environment, is pinned, and the source is not provisioned."),
				 errhint("Deploy the source first, by promote.deploy_instance.")));
}

/* Refuse a source that has not the revision that was chosen. */
static void
refuse_source(const Promotion *promotion)
{
	const Choice *choice = &promotion->choice;
	char	   *source = instance_key_name(&promotion->source);

	if (choice->source_state == SOURCE_RUNNING)
		ereport(ERROR,
				(errcode(PM_NOT_DEPLOYED),
				 errmsg("\"%s\" runs nothing that could be promoted", source),
				 errdetail("The call has source_state => 'running', and the source is not provisioned."),
				 errhint("Deploy the source first, by promote.deploy_instance, or promote what it desires.")));
	if (choice->source_revision)
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no revision %d of \"%s\"", choice->source_revision, source),
				 errdetail("The call has it as source_revision."),
				 errhint("promote.revision has the revisions of the source.")));
	refuse_unconfigured(&promotion->source, "Configure the source first, with promote.configure_instance.");
}

/* Would another revision of the source be promoted than was looked at? */
bool
promotion_source_moved(const Promotion *promotion)
{
	int32		expected = promotion->choice.expected_source_revision;

	return expected && expected != promotion->proposed.source_revision;
}

/* Refuse a source of which another revision would be promoted than was looked at. */
void
promotion_require_source(const Promotion *promotion)
{
	int32		expected = promotion->choice.expected_source_revision;
	int32		taken = promotion->proposed.source_revision;

	if (promotion_source_moved(promotion))
		ereport(ERROR,
				(errcode(PM_REVISION_MOVED),
				 errmsg("revision %d of \"%s\" is not what would be promoted", expected,
						instance_key_name(&promotion->source)),
				 errdetail("Revision %d would be.", taken),
				 errhint("Look at the change since, and try again with expected_source_revision => %d, or pass source_revision => %d.",
						 taken, expected)));
}

/* Which release an instance desires; both NULL: none. */
typedef struct OwnRelease
{
	char	   *constraint;
	char	   *channel;
} OwnRelease;

/* Read which release the destination desires. */
static void
read_own_release(const Sql *sql, const InstanceKey *destination, bool read_only, OwnRelease *own)
{
	static const SqlField fields[] = {
		SQL_FIELD(OwnRelease, constraint, "i.version_constraint"),
		SQL_FIELD(OwnRelease, channel, "i.release_channel")
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote.instance AS i WHERE " OF_INSTANCE("i"));
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(destination));

	(void) sql_row(&rows, 0, own);
}

/* Which revision of its source a choice takes: a number, or what stands for one where proposals are read. */
int32
promotion_revision_of(const Choice *choice)
{
	return choice->source_state == SOURCE_RUNNING ? PROPOSAL_RUNNING : choice->source_revision;
}

/*
 * Take what the source is supposed to desire for what it does, in a proposal that was read by the
 * constraint and the channel of that.
 */
void
promotion_suppose(Promotion *promotion)
{
	const ProposedRevision *supposed = promotion->supposed;
	ProposedRevision *proposed = &promotion->proposed;
	Proposal   *proposal = &proposed->proposal;
	bool		same;

	if (supposed == NULL)
		return;
	same = proposal_is_by(proposal, supposed->proposal.bundle, supposed->proposal.version);
	proposal->params = proposal->source_params = supposed->proposal.params;
	proposal->source_kept = unconstify(Jsonb *, supposed->staged_kept);
	proposal->other_schemas[2] = same ? NULL : supposed->proposal.schema;
	proposed->source_revision = supposed->revision;
	proposed->source_bundle = unconstify(char *, supposed->proposal.bundle);
	proposed->source_version = unconstify(char *, supposed->proposal.version);
	proposed->source_constraint = supposed->version_constraint;
	proposed->source_channel = supposed->release_channel;
}

/* Read the state of the source that was chosen by another constraint and channel, unless these are NULL. */
static void
read_proposal(const Sql *sql, Promotion *promotion, const char *constraint, const char *channel, bool read_only)
{
	proposal_from_revision(sql, &promotion->destination, promotion->source.environment,
						   promotion_revision_of(&promotion->choice), constraint, channel, read_only,
						   &promotion->proposed);
	promotion_suppose(promotion);
}

/* By which constraint and channel the source's state is read; NULL in them: by its own. */
ReleaseWish
promotion_release(const Sql *sql, const Promotion *promotion, bool read_only)
{
	OwnRelease	release = {promotion->pin ? PROPOSAL_PINNED : NULL, NULL};

	if (!choice_has_release(&promotion->choice))
		read_own_release(sql, &promotion->destination, read_only, &release);
	return (ReleaseWish) {release.constraint, release.channel};
}

/*
 * Find out what happens to what the destination has changed itself.  One without a configuration
 * has changed nothing, so that where merging is the rule it is promoted to as it would be else.
 */
static void
take_mode(Promotion *promotion)
{
	const ProposedRevision *proposed = &promotion->proposed;
	PromotionMode asked = promotion->choice.mode;

	promotion->mode = asked != MODE_UNKNOWN ? asked :
		proposal_is_fresh(proposed) ? MODE_REPLACE : proposed->promotion_mode;
	if (asked == MODE_UNKNOWN)
		choice_check_mode(&promotion->choice, proposed->promotion_mode);
}

/*
 * Read what a merge starts from, and merge the release, if that is taken: the proposal is read again
 * where the destination keeps a constraint or a channel of its own.
 */
static void
merge_release(const Sql *sql, Promotion *promotion, bool read_only)
{
	ProposedRevision *proposed = &promotion->proposed;
	Merging    *merging = &promotion->merging;
	const InstanceKey *source = &promotion->source;
	const ReleaseWish *wish = &promotion->wish;
	ReleaseWish merged;

	merging->choice = promotion->choice.on_conflict;
	merging_read(sql, source, proposed, read_only, merging);
	if (choice_has_release(&promotion->choice))
	{
		merged = merging_release(merging, wish, proposed);
		if (strcmp(merged.constraint, wish->constraint) != 0 || strcmp(merged.channel, wish->channel) != 0)
			read_proposal(sql, promotion, merged.constraint, merged.channel, read_only);
	}
}

/* Merge the params of the source, which are proposed, with the destination's, and refuse conflicts. */
static void
merge_params(const Sql *sql, Promotion *promotion, bool read_only)
{
	const ProposedRevision *proposed = &promotion->proposed;
	Merging    *merging = &promotion->merging;

	merging_begin(sql, &promotion->source, proposed, read_only, merging);
	promotion->base = merging_params(merging, &proposed->proposal, promotion->overrides, promotion->choice.only);
	if (!promotion->previews)
		merging_require(merging, &proposed->proposal);
}

/* Compose the params of the source, which are proposed, with the destination's. */
static void
compose(const Sql *sql, Promotion *promotion, bool read_only)
{
	const Proposal *proposal = &promotion->proposed.proposal;
	Only	   *only = promotion->choice.only;

	if (promotion->mode == MODE_MERGE)
		merge_params(sql, promotion, read_only);
	else
	{
		promotion->base = compose_base(proposal);
		if (only)
			promotion->base = compose_only(proposal, promotion->base, only);
	}
	if (only == NULL)
		return;
	carry_check_only(sql, &promotion->carry, only, &promotion->source, &promotion->proposed, read_only);
	only_require(only, instance_key_name(&promotion->destination));
}

/* Refuse a destination that is to keep its release, and has none. */
static void
refuse_keeping(const Promotion *promotion)
{
	ereport(ERROR,
			(errcode(PM_NOT_CONFIGURED),
			 errmsg("\"%s\" has no release of its own to keep", instance_key_name(&promotion->destination)),
			 errdetail("It has no configuration yet, and \"only\" leaves the release out."),
			 errhint("Name " ONLY_RELEASE " as well.")));
}

/*
 * Compose the destination's desired state of what was read of both instances.  A destination
 * without a configuration has nothing of its own.
 */
void
promotion_compose(const Sql *sql, Promotion *promotion, bool read_only)
{
	ProposedRevision *proposed = &promotion->proposed;
	Proposal   *proposal = &proposed->proposal;

	if (proposed->source_revision == 0)
		refuse_source(promotion);
	promotion_require_source(promotion);
	if (proposal_is_fresh(proposed) && !choice_has_release(&promotion->choice))
		refuse_keeping(promotion);
	require_pinned(promotion);
	promotion->pinned_version = proposed->pinned ? proposed->version_constraint : NULL;
	promotion->wish = (ReleaseWish) {proposed->version_constraint, proposed->release_channel};
	take_mode(promotion);
	if (promotion->mode == MODE_MERGE)
		merge_release(sql, promotion, read_only);
	proposal_require_release(sql, proposed);
	proposal_require_unblocked(proposed, ORIGIN_PROMOTION);
	promotion_take_preset(sql, promotion, read_only);
	promotion->source_params = proposal->params;
	proposed->origin = promotion->forks ? ORIGIN_FORK : ORIGIN_PROMOTION;
	if (promotion->sharing && promotion->mode != MODE_MERGE && promotion->choice.only == NULL &&
		sharing_compose(promotion->sharing, proposal, promotion->overrides))
		return;
	compose(sql, promotion, read_only);
	proposal->params = compose_overrides(proposal, promotion->base, promotion->overrides);
}

/* Read both instances, and compose the destination's desired state. */
void
promotion_read(const Sql *sql, Promotion *promotion, bool read_only)
{
	ReleaseWish release = promotion_release(sql, promotion, read_only);

	read_proposal(sql, promotion, release.constraint, release.channel, read_only);
	promotion_compose(sql, promotion, read_only);
}

/* Lock both instances in key order; the source only against updates.  Refuses one that was archived meanwhile. */
void
promotion_lock(const Sql *sql, const Promotion *promotion)
{
	bool		source_first = instance_key_compare(&promotion->source,
													&promotion->destination) < 0;

	instance_lock(sql, source_first ? &promotion->source : &promotion->destination, !source_first);
	instance_lock(sql, source_first ? &promotion->destination : &promotion->source, source_first);
	require_in_use(&promotion->source);
}

/* Refuse to carry secrets unless the role has the grant for secrets at both instances: PM701. */
void
promotion_require_carry(Oid role, const Promotion *promotion)
{
	const InstanceKey *source = &promotion->source;
	const InstanceKey *destination = &promotion->destination;

	if (!promotion->carry.secrets)
		return;
	access_require_of(role, "secrets", source->project, source->environment);
	access_require_of(role, "secrets", destination->project, destination->environment);
}

/* Take the arguments that say what else to carry. */
static void
take_carry(FunctionCallInfo fcinfo, Oid role, Promotion *promotion)
{
	promotion->carry = (Carry) {
		.secrets = argument_bool(fcinfo, promotion->options + COPY_SECRETS, false),
		.references = argument_bool(fcinfo, promotion->options + COPY_REMOTE_REFERENCES, false)
	};
	promotion_require_carry(role, promotion);
}

/* Refuse an idempotency key that is empty or too long. */
void
promotion_check_key(const char *key)
{
	if (key && (key[0] == '\0' || strlen(key) > MAX_KEY_LENGTH))
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("invalid idempotency key"),
				 errdetail("It has %zu bytes; 1 to %d are allowed.", strlen(key), MAX_KEY_LENGTH),
				 errhint("Use a request's id, such as a UUID, or leave the argument out.")));
}

/*
 * The digest of a call's arguments, by which a repeated call is recognized: keyed, since it is one
 * of overrides and of little else.
 */
static bytea *
request_digest(FunctionCallInfo fcinfo, const Promotion *promotion)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, "source", instance_key_name(&promotion->source));
	json_build_document(&builder, "overrides", promotion->overrides);
	json_build_flag(&builder, "plan", argument_bool(fcinfo, promotion->options + PLAN, true));
	json_build_field(&builder, "message", argument_text(fcinfo, promotion->options + MESSAGE));
	json_build_flag(&builder, "allow_replace", argument_bool(fcinfo, promotion->options + ALLOW_REPLACE, false));
	/* only if it was asked for, so that keys of earlier versions stay valid */
	if (promotion->carry.secrets)
		json_build_field(&builder, "copy_secrets", "true");
	if (promotion->carry.references)
		json_build_field(&builder, "copy_remote_references", "true");
	if (promotion->pin)
		json_build_field(&builder, "pin", "true");
	if (promotion->reprovision)
		json_build_field(&builder, "reprovision", "true");
	choice_write(&builder, &promotion->choice);
	return config_digest_apart(promotion->destination.project, "call",
							   json_digest(json_builder_finish(&builder)));
}

/* A result that was stored under an idempotency key. */
typedef struct KeptResult
{
	bytea	   *request;		/* digest of the call's arguments */
	Staged		staged;
} KeptResult;

static const SqlField kept_fields[] = {
	SQL_FIELD(KeptResult, request, "k.request"),
	SQL_FIELD(KeptResult, staged.old_revision, "k.old_revision"),
	SQL_FIELD(KeptResult, staged.new_revision, "k.new_revision"),
	SQL_FIELD(KeptResult, staged.deployment, "k.deployment"),
	SQL_FIELD(KeptResult, staged.changed, "k.changed"),
	SQL_FIELD(KeptResult, staged.diff, "k.diff")
};

/*
 * Look up a call by its idempotency key.  True, with the stored result in staged, if the same
 * call was made before.  Raises PM_KEY_REUSED if another call used the key.
 */
static bool
find_result(const Sql *sql, const Promotion *promotion, const char *key, const bytea *request,
			MemoryContext caller, Staged *staged)
{
	static Statement find = SQL_ROWS(kept_fields, "SELECT $* FROM promote.idempotency_key AS k"
									 " WHERE " OF_INSTANCE("k") " AND k.idempotency_key = $4");
	SqlRows		rows = sql_run(sql, &find, AS_KEY(&promotion->destination), AS_TEXT(key));
	KeptResult	kept;
	MemoryContext outer;

	if (!sql_row(&rows, 0, &kept))
		return false;
	if (!json_digest_equal(kept.request, request))
		ereport(ERROR,
				(errcode(PM_KEY_REUSED),
				 errmsg("idempotency key \"%s\" was used for another call", key),
				 errdetail("It belongs to a promotion into \"%s\" with other arguments.",
						   instance_key_name(&promotion->destination)),
				 errhint("Use a new key for a new promotion.")));
	outer = MemoryContextSwitchTo(caller);
	*staged = kept.staged;
	staged->destination = instance_key_name(&promotion->destination);
	staged->diff = DatumGetJsonbPCopy(JsonbPGetDatum(kept.staged.diff));
	MemoryContextSwitchTo(outer);
	return true;
}

/* Store the result under the idempotency key, under the destination's lock. */
static void
keep_result(const Sql *sql, const Promotion *promotion, const char *key, const bytea *request,
			const Staged *staged)
{
	static Statement keep = {"INSERT INTO promote.idempotency_key (project, environment, component,"
		" idempotency_key, request, old_revision, new_revision, deployment, changed, diff)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"};
	JsonBuilder facts;

	guarded_run(sql, &keep, AS_KEY(&promotion->destination), AS_TEXT(key), AS_BYTEA(request),
				AS_INT(staged->old_revision), AS_INT(staged->new_revision), AS_NUMBER(staged->deployment),
				AS_BOOL(staged->changed), AS_JSONB(staged->diff));
	audit_begin(&facts);
	json_build_field(&facts, "idempotency_key", key);
	audit_note_facts(sql, promotion->destination.project, instance_key_name(&promotion->destination),
					 "idempotency_key.inserted", &facts);
}

/* Has the source changed since what a merge starts from, so that the next one starts from there? */
bool
promotion_moves_base(const Promotion *promotion)
{
	return promotion->mode == MODE_MERGE && promotion->merging.is_moved;
}

/* How a promotion is recorded. */
Staging
promotion_staging(const Promotion *promotion, const char *message)
{
	return (Staging) {
		.origin = promotion->forks ? ORIGIN_FORK : ORIGIN_PROMOTION,
		.source_environment = promotion->source.environment,
		.overrides = promotion->overrides,
		.mode = promotion_modes[promotion->mode],
		.only = choice_only(&promotion->choice),
		.pinned_version = promotion->pinned_version,
		.moves_base = promotion_moves_base(promotion),
		.message = message
	};
}

/*
 * Carry what else was asked for, and write the destination's desired state.  The proposal that
 * was read says whether to plan, and whether running values may be replaced.
 */
void
promotion_write(const Sql *sql, Promotion *promotion, const char *message, MemoryContext caller,
				Staged *staged)
{
	Staging		staging = promotion_staging(promotion, message);

	/* secrets are written with the number */
	if (promotion->carry.secrets)
		stage_number(&promotion->proposed);
	carry_take(sql, &promotion->carry, &promotion->source, &promotion->proposed, true);
	stage_write(sql, &staging, &promotion->proposed, caller, staged);
}

/* Check what of the source is promoted against what else was asked for. */
void
promotion_check_choice(Promotion *promotion)
{
	choice_check(&promotion->choice, instance_key_name(&promotion->destination), promotion->pin,
				 promotion->carry.secrets, promotion->carry.references);
	promotion->carry.only = promotion->choice.only;
}

/* Take the arguments that say what of the source is promoted; the others about that have been taken. */
static void
take_choice(FunctionCallInfo fcinfo, int first, Promotion *promotion)
{
	choice_take(fcinfo, promotion->options + first, &promotion->choice);
	promotion_check_choice(promotion);
}

/* Promote, unless the idempotency key shows that the call was made before. */
static void
promote(const Sql *sql, FunctionCallInfo fcinfo, Promotion *promotion, MemoryContext caller, Staged *staged)
{
	char	   *key = argument_text(fcinfo, promotion->options + IDEMPOTENCY_KEY);
	bytea	   *request = NULL;

	promotion->pin = argument_bool(fcinfo, promotion->options + PIN, false);
	promotion->reprovision = argument_bool(fcinfo, promotion->options + REPROVISION, false);
	take_choice(fcinfo, CHOICE, promotion);
	promotion_check_key(key);
	promotion_lock(sql, promotion);
	if (key)
		request = request_digest(fcinfo, promotion);
	if (key && find_result(sql, promotion, key, request, caller, staged))
		return;
	promotion_read(sql, promotion, false);
	if (!promotion->reprovision)
		proposal_require_alive(&promotion->proposed);
	stage_check_revision(fcinfo->args[promotion->options + EXPECTED_REVISION], &promotion->proposed);
	promotion->proposed.plan = argument_bool(fcinfo, promotion->options + PLAN, true);
	promotion->proposed.proposal.allow_replace = argument_bool(fcinfo, promotion->options + ALLOW_REPLACE, false);
	promotion_write(sql, promotion, argument_text(fcinfo, promotion->options + MESSAGE), caller, staged);
	if (key)
		keep_result(sql, promotion, key, request, staged);
}

/*
 * promote.promote_instance(src text, dst text, overrides jsonb,
 * copy_secrets boolean, copy_remote_references boolean, plan boolean,
 * message text, expected_revision integer, idempotency_key text,
 * allow_replace boolean, pin boolean, reprovision boolean, and the arguments
 * of choice_take) returns a row, see sql/promotion/promotion.sql
 */
Datum
promote_promote_instance(PG_FUNCTION_ARGS)
{
	Promotion	promotion = {.pin = false};
	Sql			sql;
	Staged		staged;

	take_arguments(fcinfo, "promote", &promotion);
	take_carry(fcinfo, rights_role(), &promotion);
	sql_enter(&sql);
	promote(&sql, fcinfo, &promotion, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}

/*
 * promote.promote_to_next(instance text, overrides jsonb, and the further
 * arguments of promote_instance) returns the same row, see
 * sql/registry/path.sql
 */
Datum
promote_promote_to_next(PG_FUNCTION_ARGS)
{
	Promotion	promotion = {.pin = false};
	Sql			sql;
	Staged		staged;

	argument_instance_for(fcinfo, 0, "instance", "view", &promotion.source);
	promotion.overrides = argument_overrides(fcinfo, 1, "overrides");
	promotion.options = 2;
	sql_enter(&sql);
	promotion.destination = promotion.source;
	promotion.destination.environment = path_next(&sql, &promotion.source);
	access_require_of(sql.user, "promote", promotion.destination.project, promotion.destination.environment);
	take_carry(fcinfo, sql.user, &promotion);
	promote(&sql, fcinfo, &promotion, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}

/*
 * Refuse placeholders in what a preview lays on top from callers without the grant action there,
 * by which they could write it.  The rendered value would show parameters that only those who may
 * set or use them may see.
 */
void
promotion_require_own_placeholders(const Promotion *promotion, const char *action)
{
	const InstanceKey *destination = &promotion->destination;
	const JsonbValue overrides = json_view(promotion->overrides);

	if (!json_strings_may_render(&overrides) ||
		grants_may(action, destination->project, destination->environment))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_GRANTED),
			 errmsg("not allowed: placeholders in %s", promotion->edits ? "the patch" : "overrides"),
			 errdetail("Role \"%s\" has no grant \"%s\" for \"%s\", whose parameters would replace them.",
					   GetUserNameFromId(rights_role(), false), action, instance_key_name(destination)),
			 errhint("Preview without strings that hold \"{{\". Who has \"admin\" there can give the grant: promote.grant_action.")));
}

/*
 * promote.preview_promotion(src text, dst text, overrides jsonb, copy_secrets
 * boolean, copy_remote_references boolean, pin boolean, reprovision boolean, and the arguments of
 * choice_take) returns table, see sql/promotion/promotion.sql
 */
Datum
promote_preview_promotion(PG_FUNCTION_ARGS)
{
	Promotion	promotion = {.previews = true};
	Sql			sql;
	bool		views_only;

	take_arguments(fcinfo, "view", &promotion);
	promotion_require_own_placeholders(&promotion, "promote");
	views_only = !grants_may("promote", promotion.destination.project, promotion.destination.environment);
	take_carry(fcinfo, rights_role(), &promotion);
	promotion.pin = argument_bool(fcinfo, promotion.options + PREVIEW_PIN, false);
	promotion.reprovision = argument_bool(fcinfo, promotion.options + PREVIEW_REPROVISION, false);
	take_choice(fcinfo, PREVIEW_CHOICE, &promotion);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	promotion_read(&sql, &promotion, true);
	if (!promotion.reprovision)
		proposal_require_alive(&promotion.proposed);
	preview_judge(&sql, &promotion);
	preview_put(&sql, fcinfo, &promotion, views_only);
	sql_leave(&sql);
	return (Datum) 0;
}
