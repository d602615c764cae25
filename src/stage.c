/*
 * stage.c: what the verbs that give an instance a new desired state share:
 * locking it, reading a proposal for it, writing the revision, and the row that
 * they return.
 */
#include "postgres.h"

#include "carry.h"
#include "compat.h"
#include "config_digest.h"
#include "errors.h"
#include "grants.h"
#include "json/digest.h"
#include "json/limits.h"
#include "json/builder.h"
#include "promotion_path.h"
#include "rescue.h"
#include "revision.h"
#include "rule.h"
#include "stage.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

/*
 * Refuse the instance if it is not there, naming the first part of it that is
 * not there either.  Runs inside a scope of spi.h.
 */
void
require_instance(const InstanceKey *key)
{
	static Statement look = {
		.text = "SELECT EXISTS (SELECT FROM promote.project AS p WHERE p.project = $1),"
		" EXISTS (SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2),"
		" EXISTS (SELECT FROM promote.component AS c WHERE c.project = $1 AND c.component = $3),"
		" EXISTS (SELECT FROM promote.instance AS i WHERE i.project = $1 AND i.environment = $2"
		"  AND i.component = $3)",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	const char *parts[] = {"project", "environment", "component", "instance"};
	const char *names[] = {key->project, key->environment, key->component, instance_key_name(key)};
	Datum		values[3];
	int			missing;

	instance_key_values(key, values);
	statement_run(&look, values, NULL, false);
	for (missing = 0; missing < 3; missing++)
		if (!spi_bool(SPI_tuptable, 0, missing + 1))
			break;
	if (missing == 3 && spi_bool(SPI_tuptable, 0, 4))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("instance \"%s\" does not exist", names[3]),
			 missing == 0 ? errdetail("There is no project \"%s\".", names[0]) :
			 missing == 3 ? errdetail("Its project, environment and component exist.") :
			 errdetail("Project \"%s\" has no %s \"%s\".", names[0], parts[missing], names[missing]),
			 errhint("Check the spelling, or INSERT the row into promote.%s.", parts[missing])));
}

/* Refuse an instance that has no revision. */
void
refuse_unconfigured(const InstanceKey *key, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_NOT_CONFIGURED),
			 errmsg("instance \"%s\" has no configuration yet", instance_key_name(key)),
			 errdetail("It has no revision."),
			 errhint("%s", hint)));
}

/* The instance's row, as one to be locked: for update, or only against updates. */
static RowToLock
instance_row(const InstanceKey *key, bool for_update, Datum *values)
{
#define LOCK(mode) {.text = "SELECT i.ctid FROM promote.instance AS i WHERE i.project = $1" \
	" AND i.environment = $2 AND i.component = $3" mode,.parameters = 3,.types = {TEXTOID, TEXTOID, TEXTOID}}
	static Statement share = LOCK(" FOR SHARE SKIP LOCKED");
	static Statement update = LOCK(" FOR NO KEY UPDATE SKIP LOCKED");
	static Statement find = LOCK("");

	instance_key_values(key, values);
	return (RowToLock) {
		.table = "instance",
		.what = psprintf("\"%s\"", instance_key_name(key)),
		.project = key->project,
		.at_once = for_update ? &update : &share,
		.find = &find,
		.values = values
	};
}

/*
 * Lock the instance's row: for update, or only against updates, as a source
 * is.  Raises PM_NOT_FOUND where there is none, and 40001 where the snapshot of
 * the transaction does not show it as it is.
 */
void
stage_lock(const InstanceKey *key, bool for_update)
{
	Datum		values[3];
	RowToLock	row = instance_row(key, for_update, values);

	if (row_lock(&row))
		return;
	require_instance(key);
	refuse_unseen();
}

/* Lock it for update in an emergency: PM_HELD where others do not let go of it in time. */
void
stage_rescue(const InstanceKey *key)
{
	Datum		values[3];
	RowToLock	row = instance_row(key, true, values);

	if (row_rescue(&row))
		return;
	require_instance(key);
	refuse_unseen();
}

/*
 * Read a proposal for the destination, see proposal_from.  Raises
 * PM_NOT_FOUND where it or the source is not there, and PM_NO_PATH where the
 * source must be on a path and is not.
 */
void
stage_read(const InstanceKey *destination, const char *source_environment,
		   const char *version_constraint, const char *release_channel,
		   bool read_only, ProposedRevision *proposed)
{
	InstanceKey source = *destination;
	bool		from_another = strcmp(source_environment, destination->environment) != 0;
	Datum		view = !read_only && from_another ? rule_view() : (Datum) 0;

	if (view)
		rule_hold_paths(destination->project, destination->environment, view);
	if (proposal_from(destination, source_environment, version_constraint, release_channel,
					  read_only, proposed))
	{
		proposed->view = view;
		proposal_require_history(proposed);
		path_require(proposed, read_only);
		return;
	}
	source.environment = (char *) source_environment;
	require_instance(&source);
	require_instance(destination);
	elog(ERROR, "could not read instance \"%s\"", instance_key_name(destination));
}

/*
 * Refuse where the instance has moved on from the revision that an argument
 * expects; NULL expects nothing.
 */
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
 * Is what is proposed what is desired already?  By the same release, too: a
 * newer one that the constraint stands for now is a change.  The digest of the
 * params is filled in.
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
 * Does the last plan still say what the desired revision would do?  With
 * other values of the placeholders, or something else running, it does not.
 */
static bool
is_planned(ProposedRevision *proposed)
{
	Proposal   *proposal = &proposed->proposal;
	bool		allow_replace = proposal->allow_replace;

	if (proposed->base_revision != proposed->current_revision)
		return false;
	/* what was planned already is not asked for again */
	proposal->allow_replace = true;
	compose_check(proposal);
	proposal->allow_replace = allow_replace;
	carry_judge(proposed, false);
	return json_digest_equal(config_digest(proposed->key.project, proposal->rendered), proposed->planned_digest) &&
		proposal->destructive == proposed->planned_destructive && carry_is_planned(proposed);
}

/* Store the configuration, unless it is there, and the revision. */
static void
insert_revision(const Staging *staging, const ProposedRevision *proposed)
{
	static Statement insert = {
		.text = "WITH stored AS (INSERT INTO promote.config (project, params)"
		" VALUES ($1, $5) ON CONFLICT DO NOTHING)"
		" INSERT INTO promote.revision (project, environment, component, revision, digest,"
		" version_constraint, release_channel, origin, source_environment, source_revision,"
		" overrides, message, plan, allow_replace, bundle, version, kept_marks)"
		" VALUES ($1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
		.parameters = 18,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, JSONBOID, BYTEAOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, INT4OID, JSONBOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID, JSONBOID}
	};
	const Jsonb *kept = compose_kept(&proposed->proposal);
	Datum		values[18];
	bool		nulls[18] = {
		[9] = staging->source_environment == NULL,
		[10] = staging->source_environment == NULL,
		[11] = staging->overrides == NULL,
		[12] = staging->message == NULL,
		[17] = kept == NULL
	};

	instance_key_values(&proposed->key, values);
	values[3] = Int32GetDatum(proposed->revision);
	values[4] = JsonbPGetDatum(proposed->proposal.params);
	values[5] = PointerGetDatum(proposed->digest);
	values[6] = CStringGetTextDatum(proposed->version_constraint);
	values[7] = CStringGetTextDatum(proposed->release_channel);
	values[8] = CStringGetTextDatum(staging->origin);
	values[9] = nulls[9] ? (Datum) 0 : CStringGetTextDatum(staging->source_environment);
	values[10] = Int32GetDatum(proposed->source_revision);
	values[11] = PointerGetDatum(staging->overrides);
	values[12] = nulls[12] ? (Datum) 0 : CStringGetTextDatum(staging->message);
	values[13] = BoolGetDatum(proposed->plan);
	values[14] = BoolGetDatum(proposed->proposal.allow_replace);
	values[15] = CStringGetTextDatum(proposed->proposal.bundle);
	values[16] = CStringGetTextDatum(proposed->proposal.version);
	values[17] = PointerGetDatum(kept);
	statement_run(&insert, values, nulls, false);
}

/* The empty diff, in the given context. */
static Jsonb *
empty_diff(MemoryContext context)
{
	MemoryContext outer = MemoryContextSwitchTo(context);
	JsonBuilder	builder;
	Jsonb	   *diff;

	json_builder_init(&builder);
	json_build_begin_array(&builder);
	json_build_end_array(&builder);
	diff = json_builder_finish(&builder);
	MemoryContextSwitchTo(outer);
	return diff;
}

/* Judge the proposal and write its revision, which the trigger records. */
static void
write_revision(const Staging *staging, ProposedRevision *proposed, RevisionRecord *record)
{
	RevisionRecord *was;

	compose_check(&proposed->proposal);
	proposed->revision = proposed->current_revision + 1;
	proposed->origin = staging->origin;
	record->judged = proposed;
	was = revision_record_to(record);
	PG_TRY();
	{
		insert_revision(staging, proposed);
	}
	PG_FINALLY();
	{
		revision_record_to(was);
	}
	PG_END_TRY();
	if (record->diff == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("revision %d of \"%s\" was not recorded", proposed->revision,
						proposed->proposal.instance),
				 errdetail("A trigger of promote.revision is disabled, or another one swallowed the row."),
				 errhint("ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision, and look for triggers that are not promote's.")));
}

/*
 * Write the proposed state, or nothing where it is the present one (but the
 * plan that the revision may lack).  The proposal was read under the
 * instance's lock, and has its params and whether to plan; caller is where
 * what is staged goes.
 */
void
stage_write(const Staging *staging, ProposedRevision *proposed, MemoryContext caller,
			Staged *staged)
{
	RevisionRecord record = {NULL, caller, 0, NULL};

	proposal_require_release(proposed);
	json_check_params(proposed->proposal.params, "params");
	proposed->digest = config_digest(proposed->key.project, proposed->proposal.params);
	staged->destination = MemoryContextStrdup(caller, proposed->proposal.instance);
	staged->old_revision = proposed->current_revision;
	staged->changed = !stage_is_unchanged(proposed) || proposed->carried;
	if (!stage_is_unchanged(proposed))
		write_revision(staging, proposed, &record);
	else if (proposed->plan && !is_planned(proposed))
	{
		compose_check(&proposed->proposal);
		revision_plan_again(proposed, &record);
	}
	else if (proposed->carried)
		revision_tell(proposed, &record);
	staged->new_revision = proposed->revision ? proposed->revision : proposed->current_revision;
	staged->deployment = record.deployment;
	staged->diff = record.diff ? record.diff : empty_diff(caller);
}

/* The row that a verb returns: sql/promotion.sql has its columns. */
Datum
stage_result(FunctionCallInfo fcinfo, const Staged *staged)
{
	TupleDesc	row_type;
	bool		nulls[6] = {
		[1] = staged->old_revision == 0,
		[2] = staged->new_revision == 0,
		[3] = staged->deployment == 0
	};
	Datum		values[6] = {
		CStringGetTextDatum(staged->destination),
		Int32GetDatum(staged->old_revision),
		Int32GetDatum(staged->new_revision),
		Int32GetDatum(staged->deployment),
		BoolGetDatum(staged->changed),
		JsonbPGetDatum(staged->diff)
	};

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls));
}

/* A text argument as a C string; NULL where it is NULL.  Words, not documents: PM_TOO_LARGE. */
char *
argument_text(FunctionCallInfo fcinfo, int argument)
{
	text	   *value;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = PG_GETARG_TEXT_PP(argument);
	if (VARSIZE_ANY_EXHDR(value) > ARGUMENT_MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("a text is too large"),
				 errdetail("It has %zu bytes, and may have %d.", VARSIZE_ANY_EXHDR(value),
						   ARGUMENT_MAX_BYTES),
				 errhint("Say it in fewer words, or in parts.")));
	return text_to_cstring(value);
}

/* An argument that is a time; NULL is now.  Refuses the ends of time. */
TimestampTz
argument_time(FunctionCallInfo fcinfo, int argument, const char *name)
{
	TimestampTz at = PG_ARGISNULL(argument) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(argument);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the time \"%s\" is out of bounds", name),
				 errdetail("It is infinite."),
				 errhint("Pass a point in time.")));
	return at;
}

/* A boolean argument; NULL stands for the default. */
bool
argument_bool(FunctionCallInfo fcinfo, int argument, bool otherwise)
{
	return PG_ARGISNULL(argument) ? otherwise : PG_GETARG_BOOL(argument);
}

/* An argument that names an instance.  Raises PM_INVALID_NAME. */
void
argument_instance(FunctionCallInfo fcinfo, int argument, const char *name,
				  InstanceKey *key)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(PM_INVALID_NAME),
				 errmsg("the %s is missing", name),
				 errdetail("The argument is null."),
				 errhint("Name an instance, as in 'ecomm-staging-db'.")));
	instance_key_parse(argument_text(fcinfo, argument), key);
}

/* The same, for a verb: refuses who may not do that to the instance, whether or not there is one. */
void
argument_instance_for(FunctionCallInfo fcinfo, int argument, const char *name,
					  const char *action, InstanceKey *key)
{
	argument_instance(fcinfo, argument, name, key);
	access_require(action, key);
}

/* An argument that is an object within the limits. */
Jsonb *
argument_params(FunctionCallInfo fcinfo, int argument, const char *what)
{
	Jsonb	   *document;

	/* a variable that was never set must not pass for "no overrides" */
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the %s must be a JSON object", what),
				 errdetail("%s null.", json_by_number(what, "It is", "They are")),
				 errhint("Pass '{}' where there %s none.", json_by_number(what, "is", "are"))));
	document = PG_GETARG_JSONB_P(argument);
	json_check_params(document, what);
	return document;
}

/* Refuse an argument that says nothing. */
static void
refuse_missing(const char *name)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("the %s is missing", name),
			 errdetail("The argument is null or empty."),
			 errhint("Pass it.")));
}

/* A text argument that must say something. */
char *
argument_required(FunctionCallInfo fcinfo, int argument, const char *name)
{
	char	   *value = argument_text(fcinfo, argument);

	if (value == NULL || value[strspn(value, " \t\r\n")] == '\0')
		refuse_missing(name);
	return value;
}

/* A number of a deployment, or of a claim. */
int32
argument_number(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		refuse_missing(name);
	return PG_GETARG_INT32(argument);
}

/* One of the actions of deployments. */
const char *
argument_action(const char *action)
{
	static const char *const actions[] = {"PLAN", "PROVISION", "DECOMMISSION"};

	for (int i = 0; i < lengthof(actions); i++)
		if (strcmp(action, actions[i]) == 0)
			return actions[i];
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("\"%s\" is not an action of deployments", action),
			 errdetail("Actions are PLAN, PROVISION and DECOMMISSION."),
			 errhint("Write it in capitals.")));
	return NULL;
}
