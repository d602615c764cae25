/*
 * rollback.c: going back to what ran before.
 *
 * A rollback is one more new revision: it carries the configuration of an
 * old one and is bound to the release that ran with it.  rollback_instance and
 * rehearse_rollback make the proposal and find the obstacles by one function;
 * only rollback_instance writes.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "compose/entry.h"
#include "deployment/deploy.h"
#include "deployment/rollback.h"
#include "gate/gate.h"
#include "json/writer.h"
#include "ledger/config_digest.h"
#include "promotion/carry.h"
#include "promotion/diff.h"
#include "promotion/proposal_single.h"
#include "registry/instance.h"
#include "registry/remote_reference.h"
#include "registry/rescue.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_rollback_instance);
PG_FUNCTION_INFO_V1(promote_rehearse_rollback);

static const SqlField loss_fields[] = {
	SQL_FIELD(Obstacle, path, "l.address"),
	SQL_FIELD(Obstacle, message, "l.message")
};

/* Refuse a revision that the instance does not have. */
static void
refuse_wanted(const Rollback *rollback, const char *detail)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("\"%s\" has no revision %d", instance_key_name(&rollback->key), rollback->wanted),
			 errdetail_internal("%s", detail),
			 errhint("promote.revision lists them; leave the number out to go back to what ran before.")));
}

/* Take the arguments that both functions begin with; action is the grant that it takes. */
static void
take_arguments(FunctionCallInfo fcinfo, const char *action, Rollback *rollback)
{
	memset(rollback, 0, sizeof(*rollback));
	argument_instance_for(fcinfo, 0, "instance", action, &rollback->key);
	if (PG_ARGISNULL(1))
		return;
	rollback->wanted = PG_GETARG_INT32(1);
	if (rollback->wanted < 1)
		refuse_wanted(rollback, "Revisions are numbered from 1.");
}

/* Read where the rollback leads to. */
static void
read_target(const Sql *sql, Rollback *rollback)
{
	static const SqlField fields[] = {ROLLBACK_TARGET_FIELDS};
	static Statement read = SQL_ROWS(fields,
									 "SELECT $* FROM promote_internal.rollback_target($1, $2, $3, $4, NULL) AS t");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&rollback->key), AS_NUMBER(rollback->wanted));

	if (!sql_row(&rows, 0, rollback))
		require_instance(sql, &rollback->key);
}

/* The revisions that were deployed, the newest first, for a message; "" for none. */
static char *
deployed_revisions(const Sql *sql, const Rollback *rollback)
{
	static Statement read = {"SELECT promote_internal.deployed_revisions($1, $2, $3, $4)"};
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&rollback->key), AS_INT(rollback->wanted));

	return sql_text(&rows, 0);
}

/* Keep a copy of an obstacle.  An ObstacleCollector; the state is the rollback. */
static void
add_obstacle(void *state, const Obstacle *obstacle)
{
	Rollback   *rollback = state;
	Obstacle   *copy = palloc(sizeof(Obstacle));

	copy->sqlstate = obstacle->sqlstate;
	copy->path = obstacle->path ? pstrdup(obstacle->path) : NULL;
	copy->message = pstrdup(obstacle->message);
	rollback->obstacles = lappend(rollback->obstacles, copy);
}

/* Note an obstacle that has no path in the params. */
static void
add_sentence(Rollback *rollback, int sqlstate, const char *message)
{
	add_obstacle(rollback, &(Obstacle) {sqlstate, NULL, message});
}

/* Note that nothing ran that the rollback could lead to. */
static void
add_nothing_deployed(const Sql *sql, Rollback *rollback)
{
	char	   *deployed = deployed_revisions(sql, rollback);

	add_sentence(rollback, PM_NOT_DEPLOYED,
				 deployed[0] == '\0' ? psprintf("Nothing was deployed at \"%s\" yet.",
												instance_key_name(&rollback->key)) :
				 rollback->wanted > 0 ? psprintf("Revision %d was never deployed; these were: %s.",
												 rollback->wanted, deployed) :
				 psprintf("Nothing was deployed but revision %s, which is desired already.", deployed));
}

/*
 * By which constraint and channel the instance's own state is read to be proposed: the release that ran with the old
 * one.  Where that is what is desired already, it is proposed as it is, by its own constraint, and not staged again.
 */
ReleaseWish
rollback_release(const Rollback *rollback)
{
	return rollback->is_desired ? (ReleaseWish) {NULL, NULL} : (ReleaseWish) {rollback->version, rollback->channel};
}

/* Make the proposal that was read by rollback_release that of the old configuration. */
void
rollback_adopt(Rollback *rollback)
{
	ProposedRevision *proposed = &rollback->proposed;

	if (rollback->is_desired)
		/* by the release that it was judged by, it would be a change */
		proposed->current_version = unconstify(char *, rollback->version);
	else if (rollback->revision > 0)
	{
		proposed->proposal.params = proposed->proposal.source_params = rollback->params;
		proposed->proposal.source_kept = rollback->kept;
		proposed->proposal.other_schemas[2] = rollback->judged_schema;
		proposed->source_revision = rollback->revision;
		proposed->source_version = rollback->judged_version;
	}
}

/* Find what stands in the way of a proposal.  With allow_replace, immutable values do not. */
void
rollback_judge(const Sql *sql, Rollback *rollback, bool allow_replace)
{
	Proposal   *proposal = &rollback->proposed.proposal;
	ListCell   *cell;

	proposal->allow_replace = allow_replace;
	if (rollback->revision == 0)
	{
		add_nothing_deployed(sql, rollback);
		return;
	}
	if (rollback->block_reason)
		add_sentence(rollback, PM_RELEASE_BLOCKED,
					 psprintf("Release %s %s is blocked: %s", rollback->bundle, rollback->version,
							  rollback->block_reason));
	if (proposal->version == NULL)
		add_sentence(rollback, PM_NO_RELEASE,
					 psprintf("Release %s %s is no longer there.", rollback->bundle, rollback->version));
	else
	{
		compose_obstacles(proposal, add_obstacle, rollback);
		proposal_render_references(&rollback->proposed);
		foreach(cell, rollback->proposed.reference_problems)
		{
			const ReferenceProblem *problem = lfirst(cell);

			add_sentence(rollback, problem->sqlstate, problem->message);
		}
		carry_judge(sql, &rollback->proposed, false);
	}
}

/* Make the proposal and find what stands in its way. */
static void
read_rollback(const Sql *sql, Rollback *rollback, bool allow_replace)
{
	ReleaseWish release;

	read_target(sql, rollback);
	if (rollback->wanted > rollback->desired)
		refuse_wanted(rollback, rollback->desired == 0 ? "It has none at all." :
					  psprintf("Its revisions are numbered from 1 to %d.", rollback->desired));
	release = rollback_release(rollback);
	proposal_from(sql, &rollback->key, rollback->key.environment, release.constraint, release.channel, false,
				  &rollback->proposed);
	rollback_adopt(rollback);
	rollback_judge(sql, rollback, allow_replace);
}

/* What to do about an obstacle. */
static const char *
way_out(int sqlstate)
{
	switch (sqlstate)
	{
		case PM_NOT_DEPLOYED:
			return "Only what ran can be gone back to; promote.configure_instance edits what is desired.";
		case PM_RELEASE_BLOCKED:
			return "Roll back to another revision, or put the release back to use by promote.unblock_release.";
		case PM_NO_RELEASE:
			return "Publish the release again, or roll back to another revision.";
		case PM_INVALID_PLACEHOLDER:
			return "Give the environment the parameters named above.";
		case PM_SENSITIVE_REFERENCE:
			return "Remote references are shown everywhere: give them other parameters by promote.set_remote_reference.";
		case PM_IMMUTABLE:
			return "Roll back to another revision, or pass allow_replace => true: what runs would be replaced.";
		default:
			return "Roll back to another revision; promote.rehearse_rollback shows what each would change.";
	}
}

/* The code of an obstacle: the SQLSTATE, or "destructive" where it stops nothing. */
static char *
obstacle_code(const Obstacle *obstacle)
{
	/* unpack_sql_state has one buffer for all that it returns */
	return pstrdup(obstacle->sqlstate ? unpack_sql_state(obstacle->sqlstate) : "destructive");
}

/*
 * Note what the last recorded plan deletes or replaces.  That stops no rollback,
 * but a rehearsal has to show it: a rollback does not bring lost data back.
 */
static void
add_destructive(const Sql *sql, Rollback *rollback)
{
	static Statement read = SQL_ROWS(loss_fields, "SELECT $* FROM promote_internal.planned_losses($1, $2, $3) AS l");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&rollback->key));
	Obstacle	obstacle = {0};

	for (uint64 i = 0; sql_row(&rows, i, &obstacle); i++)
		add_obstacle(rollback, &obstacle);
}

/* Does the obstacle stop the rollback?  Immutable values do not if it may replace what runs. */
static bool
is_in_the_way(const Rollback *rollback, const Obstacle *obstacle)
{
	return obstacle->sqlstate != 0 &&
		(obstacle->sqlstate != PM_IMMUTABLE || !rollback->proposed.proposal.allow_replace);
}

/* Refuse a rollback that obstacles stop, with all of them, by the SQLSTATE of the first. */
void
rollback_require(const Rollback *rollback)
{
	int			sqlstate = 0;
	StringInfoData reasons;
	ListCell   *cell;

	initStringInfo(&reasons);
	foreach(cell, rollback->obstacles)
	{
		const Obstacle *obstacle = lfirst(cell);

		if (!is_in_the_way(rollback, obstacle))
			continue;
		if (sqlstate == 0)
			sqlstate = obstacle->sqlstate;
		appendStringInfo(&reasons, "%s%s%s%s", reasons.len > 0 ? "\n" : "",
						 obstacle->path ? obstacle->path : "", obstacle->path ? ": " : "",
						 obstacle->message);
	}
	if (sqlstate)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("\"%s\" cannot be rolled back", instance_key_name(&rollback->key)),
				 errdetail_internal("%s", reasons.data),
				 errhint("%s", way_out(sqlstate))));
}

/*
 * Stage a rollback to a revision, with a plan.  staged is filled in the memory
 * context caller.
 */
void
rollback_stage(const Sql *sql, const InstanceKey *key, int32 revision, const char *message,
			   MemoryContext caller, Staged *staged)
{
	Rollback	rollback = {.key = *key,.wanted = revision};
	Staging		staging = {
		.origin = ORIGIN_ROLLBACK,
		.source_environment = key->environment,
		.message = message
	};

	instance_lock(sql, key, true);
	read_rollback(sql, &rollback, false);
	rollback_require(&rollback);
	rollback.proposed.plan = true;
	stage_write(sql, &staging, &rollback.proposed, caller, staged);
}

/*
 * promote.rollback_instance(instance text, to_revision integer, message text,
 * expected_revision integer, plan boolean, allow_replace boolean) returns a
 * row, see sql/deployment/rollback.sql
 */
Datum
promote_rollback_instance(PG_FUNCTION_ARGS)
{
	Rollback	rollback;
	Staging		staging = {.origin = ORIGIN_ROLLBACK,.message = argument_text(fcinfo, 2)};
	Sql			sql;
	Staged		staged;

	take_arguments(fcinfo, "promote", &rollback);
	staging.source_environment = rollback.key.environment;
	sql_enter(&sql);
	instance_rescue(&sql, &rollback.key, rescue_deadline());
	read_rollback(&sql, &rollback, argument_bool(fcinfo, 5, false));
	stage_check_revision(fcinfo->args[3], &rollback.proposed);
	rollback_require(&rollback);
	rollback.proposed.plan = argument_bool(fcinfo, 4, true);
	stage_write(&sql, &staging, &rollback.proposed, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}

/* A rehearsal in the course of being shown. */
typedef struct Rehearsal
{
	FunctionCallInfo fcinfo;
	int			changes;
} Rehearsal;

/* A row of a rehearsal; NULL is SQL's. */
typedef struct RehearsalRow
{
	const char *kind;			/* of an entry; or obstacle or gate */
	const char *code;			/* of an obstacle or gate, as is message */
	const char *path;
	const char *change;			/* of a change, as are those that follow */
	const Jsonb *old_value;
	const Jsonb *new_value;
	bool		immutable;
	bool		sensitive;
	int32		since;			/* 0: none */
	const char *message;
} RehearsalRow;

/* Put a row. */
static void
put_row(const Rehearsal *rehearsal, const RehearsalRow *row)
{
	bool		unmarked = row->change == NULL;

	result_put(rehearsal->fcinfo, AS_TEXT(row->kind), AS_TEXT(row->code), AS_TEXT(row->path), AS_TEXT(row->change),
			AS_JSONB(row->old_value), AS_JSONB(row->new_value),
			sql_value(BOOLOID, unmarked, BoolGetDatum(row->immutable)),
			sql_value(BOOLOID, unmarked, BoolGetDatum(row->sensitive)), AS_NUMBER(row->since), AS_TEXT(row->message));
}

/* Put what would change of what runs. */
static void
put_entry(Rehearsal *rehearsal, const Entry *entry)
{
	put_row(rehearsal, &(RehearsalRow) {
			.kind = entry_kind_name(entry),.path = entry->path,.change = entry_change(entry),
			.old_value = entry_old(entry),.new_value = entry_new(entry),
			.immutable = (entry->flags & SCHEMA_IMMUTABLE) != 0,
			.sensitive = (entry->flags & SCHEMA_SENSITIVE) != 0,.since = entry->since});
	rehearsal->changes++;
}

/*
 * Put the gates of time that would keep the rollback from being deployed now.
 * Other gates need a plan, and there is none yet.
 */
static void
put_gates(const Sql *sql, const Rehearsal *rehearsal, const Rollback *rollback)
{
	DeploymentOrder order = {.action = ACTION_PROVISION,.revision = rollback->revision,
		.bundle = rollback->bundle,.version = rollback->version};
	GateCase	gate;
	ListCell   *cell;

	gate_open_order(sql, &rollback->key, &order, &gate);
	/* a rollback has no source but the instance itself */
	gate.source_environment = NULL;
	gate_judge_time(sql, &gate, gate.now);
	foreach(cell, gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		put_row(rehearsal, &(RehearsalRow) {.kind = "gate",.code = blocker->code,.message = blocker->message});
	}
}

/* Put all rows: what would change, if it can be rendered, and what stands in the way. */
static void
put_rehearsal(const Sql *sql, Rehearsal *rehearsal, Rollback *rollback)
{
	const Proposal *proposal = &rollback->proposed.proposal;
	Entries		entries = {NULL};
	ListCell   *cell;

	if (proposal->rendered)
	{
		stage_number(&rollback->proposed);
		proposal_entries(sql, &rollback->proposed, false, compose_mask(proposal), &entries);
	}
	for (Size i = 0; i < entries.count; i++)
		put_entry(rehearsal, &entries.list[i]);
	foreach(cell, rollback->obstacles)
	{
		const Obstacle *obstacle = lfirst(cell);

		put_row(rehearsal, &(RehearsalRow) {.kind = "obstacle",.code = obstacle_code(obstacle),
				.path = obstacle->path,.message = obstacle->message});
	}
	if (rollback->version)
		put_gates(sql, rehearsal, rollback);
}

/* Add a number to the object that is open; 0 is left out. */
static void
add_number(JsonBuilder *builder, const char *key, int32 number)
{
	if (number != 0)
		json_build_number(builder, key, number);
}

/* Add the digest of a document to the object that is open; NULL is left out. */
static void
add_digest(JsonBuilder *builder, const Rollback *rollback, const char *key, const Jsonb *document)
{
	if (document)
		json_build_field(builder, key, audit_hex(config_digest(rollback->key.project, document)));
}

/*
 * Append the rehearsal to the instance's chain, which is locked: where it would
 * lead to and by which release, the digests of what was shown, and the codes of
 * the obstacles.
 */
static void
record_rehearsal(const Sql *sql, const Rehearsal *rehearsal, Rollback *rollback)
{
	const Proposal *proposal = &rollback->proposed.proposal;
	AuditEntry	entry = {"rollback.rehearsed"};
	List	   *codes = NIL;
	JsonBuilder	builder;
	ListCell   *cell;

	audit_begin(&builder);
	add_number(&builder, "revision", rollback->desired);
	add_number(&builder, "to_revision", rollback->revision);
	if (rollback->version)
		json_build_field(&builder, "version", rollback->version);
	add_digest(&builder, rollback, "rendered_digest", proposal->rendered);
	if (proposal->rendered)
		add_digest(&builder, rollback, "diff", proposal_diff(sql, &rollback->proposed, false));
	json_build_number(&builder, "changes", rehearsal->changes);
	foreach(cell, rollback->obstacles)
		codes = lappend(codes, obstacle_code(lfirst(cell)));
	json_build_strings(&builder, "obstacles", codes);
	entry.data = json_builder_finish(&builder);
	audit_append(sql, &rollback->proposed.head, rollback->key.project, instance_key_name(&rollback->key), &entry, 1);
}

/*
 * promote.rehearse_rollback(instance text, to_revision integer, record
 * boolean) returns table, see sql/deployment/rollback.sql
 */
Datum
promote_rehearse_rollback(PG_FUNCTION_ARGS)
{
	/* a standby keeps nothing, and answers */
	bool		record = argument_bool(fcinfo, 2, false) && !RecoveryInProgress();
	Rehearsal	rehearsal = {fcinfo};
	Rollback	rollback;
	Sql			sql;

	take_arguments(fcinfo, record ? "promote" : "view", &rollback);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	if (record)
		instance_lock(&sql, &rollback.key, true);
	read_rollback(&sql, &rollback, false);
	add_destructive(&sql, &rollback);
	put_rehearsal(&sql, &rehearsal, &rollback);
	if (record)
		record_rehearsal(&sql, &rehearsal, &rollback);
	sql_leave(&sql);
	return (Datum) 0;
}
