/*
 * approval.c: who has to agree to what is planned, and who has.
 *
 * A vote is recorded for a plan's digest and a rule, and never changed.  Each
 * use of a vote judges anew whether it counts: who has voted, which roles that
 * person has by now, and how old the vote is.  Rows are read by a snapshot that
 * was taken under the locks of the case, see registry/rule_hold.c; memberships
 * of roles are read from the catalogs as they are now.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/trigger.h"
#include "gate/approval.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/guard.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_check_approval_rule);
PG_FUNCTION_INFO_V1(promote_required_approvals);
PG_FUNCTION_INFO_V1(promote_open_votes);

/* A vote under a rule. */
typedef struct Vote
{
	int32		number;
	char	   *rule;
	Person		by;
	bool		approved;		/* else rejected */
	TimestampTz at;
	const char *reason;			/* NULL: none was given */
	const char *void_because;	/* why it does not count; NULL: it does */
} Vote;

static const SqlField vote_fields[] = {
	SQL_FIELD(Vote, number, "v.vote"),
	SQL_FIELD(Vote, rule, "v.rule"),
	SQL_FIELD(Vote, by.actor, "v.actor"),
	SQL_FIELD(Vote, by.database_role, "v.database_role"),
	SQL_FIELDS(Vote, "v", approved, at, reason)
};

/* A rule that applies to the case, and the votes that stand under it. */
typedef struct Poll
{
	char	   *rule;
	char	   *role;
	int32		quorum;
	Interval   *expires_after;	/* NULL: never */
	bool		requester_counts;
	List	   *votes;			/* Vote *: the last one of each person, in order */
	int32		given;			/* approvals among them that count */
} Poll;

static const SqlField poll_fields[] = {
	SQL_FIELDS(Poll, "r", rule, role, quorum, expires_after, requester_counts)
};

/* Somebody's part in what a case would deploy, see promote_internal.requesters. */
typedef enum PartKind
{
	PART_NONE, PART_ASKED, PART_MOVED, PART_MADE
} PartKind;

static const char *const part_kinds[] = {
	[PART_ASKED] = "asked", [PART_MOVED] = "moved", [PART_MADE] = "made", NULL
};

typedef struct Part
{
	Person		by;
	PartKind	part;
} Part;

static const SqlField part_fields[] = {
	SQL_FIELD(Part, by.actor, "p.actor"),
	SQL_FIELD(Part, by.database_role, "p.database_role"),
	SQL_ENUM_FIELD(Part, part, "p.part", part_kinds)
};

/* ---- reading ---- */

/* Read the rules that apply to the case, without votes. */
static List *
read_rules(const Sql *sql, const GateCase *gate)
{
	static Statement read = SQL_ROWS(poll_fields, "SELECT $* FROM promote.approval_rule AS r"
									 " WHERE r.scope = ANY (promote_internal.rule_scopes($1, $2))"
									 " AND (r.component IS NULL OR r.component = $3) AND $4 @> r.selector"
									 " ORDER BY r.rule, r.scope");
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_JSONB(gate->attributes));
	List	   *polls = sql_list(&rows, sizeof(Poll));
	ListCell   *cell;

	foreach(cell, polls)
		((Poll *) lfirst(cell))->requester_counts &= !gate->separation_of_duty;
	return polls;
}

/*
 * Does a vote replace an earlier one?  An approval is replaced by the next vote
 * of that person.  A rejection is replaced by a vote of that very actor only:
 * somebody else who can take the actor's role must not lift it.
 */
static bool
takes_place(const Vote *vote, const Vote *earlier)
{
	return earlier->approved ? same_person(&vote->by, &earlier->by) :
		strcmp(vote->by.actor, earlier->by.actor) == 0;
}

/* Is the person one of these people? */
static bool
is_among(const Person *person, const List *people)
{
	ListCell   *cell;

	foreach(cell, people)
		if (same_person(person, lfirst(cell)))
			return true;
	return false;
}

/* Add a vote to a poll, and remove the earlier votes that it replaces. */
static void
add_vote(Poll *poll, const Vote *vote)
{
	Vote	   *own = palloc(sizeof(Vote));
	ListCell   *cell;

	foreach(cell, poll->votes)
		if (takes_place(vote, lfirst(cell)))
			poll->votes = foreach_delete_current(poll->votes, cell);
	*own = *vote;
	poll->votes = lappend(poll->votes, own);
}

/*
 * Read the votes on the case's plan and on equal plans, each into the polls of its rule: rules of
 * several scopes may have one name, and each poll judges its votes by its own role.  A vote under a
 * rule that does not apply to the case any more is left out.
 */
static void
read_votes(const Sql *sql, const GateCase *gate, const List *polls)
{
	static Statement read = SQL_ROWS(vote_fields, "SELECT $* FROM promote_internal.votes($1, $2, $3, $4, $5, $6, $7) AS v"
									 " ORDER BY v.vote");
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_BYTEA(gate->plan_digest), AS_TEXT(gate->bundle),
								AS_TEXT(gate->version), AS_INT(gate->plan));
	ListCell   *cell;

	foreach(cell, sql_list(&rows, sizeof(Vote)))
	{
		const Vote *vote = lfirst(cell);
		ListCell   *of;

		foreach(of, polls)
			if (strcmp(((Poll *) lfirst(of))->rule, vote->rule) == 0)
				add_vote(lfirst(of), vote);
	}
}

/*
 * The people who have asked for the case, see promote_internal.requesters.  Whoever
 * moves a request has not asked for what it does, unless it does what they made.
 * Whoever made a revision has not asked to decommission it.  A DECOMMISSION
 * without a proposal is asked for by the caller, now.
 */
static List *
read_requesters(const Sql *sql, const GateCase *gate)
{
	static Statement read = SQL_ROWS(part_fields, "SELECT $* FROM promote_internal.requesters($1, $2, $3, $4, $5, $6, $7, $8) AS p");
	bool		provisions = gate_provisions(gate);
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(provisions ? gate->revision : 0),
								AS_INT(gate->plan), AS_INT(gate->deployment), AS_TEXT(gate->bundle),
								AS_TEXT(provisions ? gate->version : NULL));
	List	   *people[] = {[PART_ASKED] = NIL, [PART_MOVED] = NIL, [PART_MADE] = NIL};
	ListCell   *cell;

	foreach(cell, sql_list(&rows, sizeof(Part)))
	{
		Part	   *part = lfirst(cell);

		people[part->part] = lappend(people[part->part], &part->by);
	}
	foreach(cell, people[PART_MOVED])
		if (is_among(lfirst(cell), people[PART_MADE]))
			people[PART_ASKED] = lappend(people[PART_ASKED], lfirst(cell));
	if (!provisions && gate->deployment == 0)
	{
		Person	   *caller = palloc(sizeof(Person));

		*caller = current_person();
		people[PART_ASKED] = lappend(people[PART_ASKED], caller);
	}
	return people[PART_ASKED];
}

/* ---- judging ---- */

/* When a vote stops counting; GATE_NO_TIME: never. */
static TimestampTz
expiry(const Poll *poll, const Vote *vote)
{
	return poll->expires_after ? gate_later(vote->at, poll->expires_after) : GATE_NO_TIME;
}

/* Why a vote does not count; NULL: it counts.  Rejections do not expire, and those of requesters count. */
static const char *
void_because(const GateCase *gate, const Poll *poll, const Vote *vote, const List *requesters)
{
	const char *why = not_member_because(&vote->by, poll->role);

	if (why)
		return why;
	if (vote->approved && expiry(poll, vote) <= gate->at)
		return psprintf("it expired at %s", timestamptz_to_str(expiry(poll, vote)));
	if (vote->approved && !poll->requester_counts && is_among(&vote->by, requesters))
		return "it is the requester's own";
	return NULL;
}

/* Judge each vote of a rule, and count the approvals that count. */
static void
judge_votes(const GateCase *gate, Poll *poll, const List *requesters)
{
	ListCell   *cell;

	poll->given = 0;
	foreach(cell, poll->votes)
	{
		Vote	   *vote = lfirst(cell);

		vote->void_because = void_because(gate, poll, vote, requesters);
		if (vote->approved && vote->void_because == NULL)
			poll->given++;
	}
}

/*
 * Read the rules that apply to the case, and judge the votes under them.  The
 * active snapshot is the one that the case is judged by.
 */
static List *
read_polls(const Sql *sql, const GateCase *gate)
{
	List	   *polls = read_rules(sql, gate);
	List	   *requesters;
	ListCell   *cell;

	if (polls == NIL || gate->plan_digest == NULL)
		return polls;
	read_votes(sql, gate, polls);
	requesters = read_requesters(sql, gate);
	foreach(cell, polls)
		judge_votes(gate, lfirst(cell), requesters);
	return polls;
}

/* Since when the plan, or else the deployment, waits for approvals; GATE_NO_TIME: it is not queued yet. */
static TimestampTz
planned_at(const Sql *sql, const GateCase *gate)
{
	static Statement read = {"SELECT COALESCE(d.finished_at, d.created_at) FROM promote.deployment AS d"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4"};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->plan > 0 ? gate->plan : gate->deployment));

	return rows.count > 0 ? sql_time(&rows, 0) : GATE_NO_TIME;
}

/* The actors whose approvals, or rejections, count in a poll: char *. */
static List *
voters(const Poll *poll, bool approved)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (vote->void_because == NULL && vote->approved == approved)
			names = lappend(names, (char *) vote->by.actor);
	}
	return names;
}

/* The actors whose votes do not count in a poll, each with the reason: char *. */
static List *
not_counted(const Poll *poll)
{
	List	   *reasons = NIL;
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (vote->void_because)
			reasons = lappend(reasons, psprintf("%s: %s", vote->by.actor, vote->void_because));
	}
	return reasons;
}

/* Say how far a rule is met. */
static char *
describe(const Poll *poll)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "rule \"%s\" asks for %d of role \"%s\": %d given", poll->rule,
					 poll->quorum, poll->role, poll->given);
	if (poll->given > 0)
		appendStringInfo(&text, ", by %s", names_joined(voters(poll, true)));
	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (vote->approved && vote->void_because)
			appendStringInfo(&text, "; that of %s does not count: %s", vote->by.actor, vote->void_because);
	}
	if (!role_exists(poll->role))
		appendStringInfo(&text, "; there is no role \"%s\"", poll->role);
	return text.data;
}

/* Block for each person who has rejected the case under a rule; named holds those whom earlier rules have named. */
static void
block_rejected(GateCase *gate, const Poll *poll, List **named)
{
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		Vote	   *vote = lfirst(cell);

		if (vote->approved || vote->void_because || is_among(&vote->by, *named))
			continue;
		gate_block(gate, "rejected", vote->by.actor, vote->at, GATE_NO_TIME, vote->by.actor,
				   psprintf("%s has rejected it: %s", vote->by.actor, vote->reason));
		*named = lappend(*named, &vote->by);
	}
}

/*
 * The gates "approval" and "rejected": every rule of the environment is met, and
 * nobody whose approval is asked for has rejected the case.
 */
void
gate_approval(const Sql *sql, GateCase *gate)
{
	List	   *polls = read_polls(sql, gate);
	List	   *named = NIL;
	TimestampTz since = GATE_NO_TIME;
	ListCell   *cell;

	if (polls != NIL && gate->plan_digest == NULL)
	{
		gate_block(gate, "approval", NULL, GATE_NO_TIME, GATE_NO_TIME, "promote.plan_instance and a worker",
				   "it cannot be approved: plan it first");
		return;
	}
	foreach(cell, polls)
	{
		const Poll *poll = lfirst(cell);

		if (poll->given >= poll->quorum)
			continue;
		if (since == GATE_NO_TIME)
			since = planned_at(sql, gate);
		/* the subject has what the rule asks for: a rule that was changed is another reason */
		gate_block(gate, "approval", psprintf("%s: %d of %s", poll->rule, poll->quorum, poll->role), since, GATE_NO_TIME,
				   psprintf("role %s", poll->role), describe(poll));
	}
	foreach(cell, polls)
		block_rejected(gate, lfirst(cell), &named);
}

/* Build the array of the approvals that count under a rule. */
static void
build_votes(JsonBuilder *builder, const Poll *poll)
{
	ListCell   *cell;

	json_build_array_field(builder, "votes");
	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (!vote->approved || vote->void_because)
			continue;
		json_build_begin_object(builder);
		json_build_number(builder, "vote", vote->number);
		json_build_field(builder, "actor", vote->by.actor);
		json_build_field(builder, "database_role", vote->by.database_role);
		json_build_field(builder, "at", audit_time(vote->at));
		json_build_end_object(builder);
	}
	json_build_end_array(builder);
}

/* Build the array of the rules that apply to the case, each with the approvals that count. */
void
approvals_counted(const Sql *sql, const GateCase *gate, JsonBuilder *builder)
{
	List	   *polls;
	ListCell   *cell;

	sql_push_latest();
	polls = read_polls(sql, gate);
	PopActiveSnapshot();
	json_build_begin_array(builder);
	foreach(cell, polls)
	{
		const Poll *poll = lfirst(cell);

		json_build_begin_object(builder);
		json_build_field(builder, "rule", poll->rule);
		json_build_field(builder, "role", poll->role);
		json_build_number(builder, "quorum", poll->quorum);
		build_votes(builder, poll);
		json_build_end_object(builder);
	}
	json_build_end_array(builder);
}

/* ---- voting ---- */

/* Is the deployment a completed PLAN?  Votes on one are recorded and do not change its status. */
bool
approval_votes_on(const Deployment *deployment)
{
	return deployment->action == ACTION_PLAN && deployment->status == DEPLOYMENT_COMPLETED;
}

/* The vote of a person that stands under a rule, preferably a rejection; NULL: there is none. */
static const Vote *
vote_of(const Poll *poll, const Person *person)
{
	const Vote	approval = {.by = *person,.approved = true};
	const Vote *last = NULL;
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (!vote->approved && takes_place(&approval, vote))
			return vote;
		if (same_person(person, &vote->by))
			last = vote;
	}
	return last;
}

/* Why somebody does not vote under a rule. */
typedef struct NoVote
{
	const char *code;			/* NULL: they can; APPROVAL_VOTED: they have */
	char	   *words;			/* as a sentence; NULL with it */
} NoVote;

/* Judge whether somebody can vote under a rule. */
static NoVote
no_vote(const GateCase *gate, const Poll *poll, const Person *person, bool approved, const List *requesters)
{
	const Vote *vote = vote_of(poll, person);

	if (!role_is_member(person->database_role, poll->role))
		return (NoVote) {"not_member", psprintf("Rule \"%s\" asks for role \"%s\", which \"%s\" is no member of.",
												poll->rule, poll->role, person->database_role)};
	if (approved && !poll->requester_counts && is_among(person, requesters))
		return (NoVote) {"requester", psprintf("Rule \"%s\" does not count who has asked for it, as \"%s\" has.",
											   poll->rule, person->actor)};
	if (vote && vote->approved == approved && (!approved || expiry(poll, vote) > gate->at))
		return (NoVote) {
			/* somebody else's vote is not repeated, though it is of the same person as far as promote can tell */
			.code = strcmp(vote->by.actor, person->actor) == 0 ? APPROVAL_VOTED : "same_person",
			.words = psprintf("By rule \"%s\" \"%s\" has %s it already, by vote %d.", poll->rule, vote->by.actor,
							  approved ? "approved" : "rejected", vote->number)
		};
	return (NoVote) {NULL, NULL};
}

/* Number of the instance's last vote; 0: none. */
static int32
last_vote(const Sql *sql, const InstanceKey *key)
{
	static Statement read = {"SELECT a.vote FROM promote.approval AS a WHERE " OF_INSTANCE("a")
		" ORDER BY a.project DESC, a.environment DESC, a.component DESC, a.vote DESC LIMIT 1"};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(key));

	return rows.count > 0 ? sql_int(&rows, 0) : 0;
}

/* Write a vote of the caller's, and what the audit log says of it. */
static void
write_vote(const Sql *sql, const GateCase *gate, const Poll *poll, int32 number, bool approved, const char *reason)
{
	static Statement insert = {"INSERT INTO promote.approval AS a (project, environment, component, deployment, vote,"
		" plan_digest, rule, decision, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		" RETURNING promote_internal.audit_facts(a, '{}')"};
	SqlRows		rows = guarded_run(sql, &insert, AS_KEY(&gate->key), AS_INT(gate->deployment), AS_INT(number),
								   AS_BYTEA(gate->plan_digest), AS_TEXT(poll->rule),
								   AS_TEXT(approved ? "approved" : "rejected"), AS_TEXT(reason));

	audit_note(sql, gate->key.project, gate->instance, approved ? "approval.given" : "approval.refused",
			   sql_jsonb(&rows, 0));
}

/* Add to the outcome that a rule does not take the vote. */
static void
add_no_vote(VoteOutcome *outcome, const NoVote *no)
{
	appendStringInfo(&outcome->words, "%s%s", outcome->words.len > 0 ? "\n" : "", no->words);
	if (strcmp(no->code, APPROVAL_VOTED) == 0)
		outcome->standing++;
	else if (outcome->code == NULL)
		outcome->code = no->code;
}

/*
 * Record the caller's vote under every rule that lets them vote.  A vote that
 * stands is not given again.  The locks of the case are held.
 */
void
approval_vote(const Sql *sql, const GateCase *gate, bool approved, const char *reason, VoteOutcome *outcome)
{
	const Person person = current_person();
	List	   *polls;
	List	   *requesters;
	ListCell   *cell;
	int32		last;

	*outcome = (VoteOutcome) {.given = 0};
	initStringInfo(&outcome->words);
	sql_push_latest();
	polls = read_polls(sql, gate);
	requesters = read_requesters(sql, gate);
	last = last_vote(sql, &gate->key);
	PopActiveSnapshot();
	foreach(cell, polls)
	{
		NoVote		no = no_vote(gate, lfirst(cell), &person, approved, requesters);

		if (no.code)
			add_no_vote(outcome, &no);
		else
			write_vote(sql, gate, lfirst(cell), last + ++outcome->given, approved, reason);
	}
}

/*
 * Does the environment separate duties, and has the person asked for the case?
 * Reads by the active snapshot.
 */
bool
approval_is_own(const Sql *sql, const GateCase *gate, const Person *person)
{
	return gate->separation_of_duty && is_among(person, read_requesters(sql, gate));
}

/*
 * Where duties are separated, refuse a caller who approves what they have asked
 * for, whoever else has approved it: PM_INVALID_APPROVAL.
 */
void
approval_check_own(const Sql *sql, const GateCase *gate)
{
	const Person person = current_person();
	bool		own;

	if (!gate->separation_of_duty)
		return;
	sql_push_latest();
	own = approval_is_own(sql, gate, &person);
	PopActiveSnapshot();
	if (own)
		ereport(ERROR,
				(errcode(PM_INVALID_APPROVAL),
				 errmsg("\"%s\" cannot approve deployment %d of \"%s\"", person.actor, gate->deployment,
						gate->instance),
				 errdetail("Its environment separates duties, and \"%s\" has asked for it.", person.actor),
				 errhint("Let somebody else approve it.")));
}

/* ---- rules ---- */

/* How many people can approve by a role: its members that can log in, without superusers. */
static int32
members_of(const char *role)
{
	static Statement read = {"SELECT pg_catalog.count(*)::integer FROM pg_catalog.pg_roles AS r"
		" WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid,"
		" (SELECT o.oid FROM pg_catalog.pg_roles AS o WHERE o.rolname = $1), 'MEMBER')"};
	Sql			sql;
	SqlRows		rows;
	int32		count;

	sql_enter(&sql);
	rows = sql_run(&sql, &read, AS_TEXT(role));
	count = sql_int(&rows, 0);
	sql_leave(&sql);
	return count;
}

/*
 * promote_internal.check_approval_rule() returns trigger
 *
 * BEFORE INSERT or UPDATE of approval_rule, for each row.  Warns of a rule that
 * nobody can meet.  A role that does not exist is no error, since a dump may be
 * restored before its roles.
 */
Datum
promote_check_approval_rule(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "approval_rule", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *rule = trigger_text(data, row, "rule");
	char	   *role = trigger_text(data, row, "role");
	int32		quorum = trigger_int(data, row, "quorum");
	int32		members;

	/* constraints refuse NULL behind us */
	if (rule == NULL || role == NULL)
		return PointerGetDatum(row);
	members = role_exists(role) ? members_of(role) : 0;
	if (!role_exists(role))
		ereport(WARNING,
				(errmsg("role \"%s\" does not exist", role),
				 errdetail("Nobody can approve by rule \"%s\".", rule),
				 errhint("CREATE ROLE, or name another one.")));
	else if (quorum > members)
		ereport(WARNING,
				(errmsg("rule \"%s\" asks for more than there are", rule),
				 errdetail("The quorum is %d, and role \"%s\" has %d members that can log in.",
						   quorum, role, members),
				 errhint("GRANT the role to more, or ask for fewer.")));
	return PointerGetDatum(row);
}

/* ---- for SQL ---- */

/* Put a row for each rule. */
static void
put_polls(FunctionCallInfo fcinfo, const List *polls)
{
	ListCell   *cell;

	foreach(cell, polls)
	{
		const Poll *poll = lfirst(cell);

		result_put(fcinfo, AS_TEXT(poll->rule), AS_TEXT(poll->role), AS_INT(poll->quorum), AS_INT(poll->given),
				   AS_INT(Max(poll->quorum - poll->given, 0)), AS_TEXTS(names_array(voters(poll, true))),
				   AS_TEXTS(names_array(voters(poll, false))), AS_TEXTS(names_array(not_counted(poll))));
	}
}

/* promote.required_approvals(instance text, deployment integer) returns table, see sql/gate/approval.sql */
Datum
promote_required_approvals(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	int32		deployment = value_int(fcinfo->args[1]);
	GateCase	gate;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", GRANTS_ROWS, &key);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	gate_open(&sql, &key, deployment, GetCurrentTimestamp(), &gate);
	sql_push_latest();
	put_polls(fcinfo, read_polls(&sql, &gate));
	PopActiveSnapshot();
	sql_leave(&sql);
	return (Datum) 0;
}

/* Is the deployment of the case a proposal, and one to plan? */
static bool
is_proposed(const Sql *sql, const GateCase *gate, bool *plans)
{
	static Statement read = {"SELECT d.action = 'PLAN' FROM promote.deployment AS d"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4 AND d.status = 'PROPOSED'"};
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->deployment));

	*plans = rows.count > 0 && sql_bool(&rows, 0);
	return rows.count > 0;
}

/* Has somebody rejected the case under one of the rules? */
static bool
is_rejected(const List *polls)
{
	ListCell   *cell;

	foreach(cell, polls)
		if (voters(lfirst(cell), false) != NIL)
			return true;
	return false;
}

/* Put a row for each rule that waits for the approval of the caller. */
static void
put_open_polls(FunctionCallInfo fcinfo, const GateCase *gate, const List *polls, const Person *person,
			   const List *requesters)
{
	ListCell   *cell;

	foreach(cell, polls)
	{
		const Poll *poll = lfirst(cell);

		if (poll->given < poll->quorum && no_vote(gate, poll, person, true, requesters).code == NULL)
			result_put(fcinfo, AS_TEXT(poll->rule), AS_TEXT(poll->role), AS_INT(poll->quorum), AS_INT(poll->given),
					   AS_INT(poll->quorum - poll->given));
	}
}

/*
 * Put the rows of promote.open_votes.  Whoever may approve decides a proposal that
 * no rule is about; none is about planning.  What cannot be voted on before it is
 * planned has no rows.
 */
static void
put_open_votes(FunctionCallInfo fcinfo, const Sql *sql, const GateCase *gate)
{
	const Person person = current_person();
	List	   *polls = read_polls(sql, gate);
	List	   *requesters = read_requesters(sql, gate);
	bool		plans;
	bool		proposed = is_proposed(sql, gate, &plans);

	if (!plans && (is_rejected(polls) || (gate->separation_of_duty && is_among(&person, requesters))))
		return;
	if (proposed && (plans || polls == NIL))
		result_put(fcinfo, AS_TEXT(NULL), AS_TEXT(NULL), AS_INT(1), AS_INT(0), AS_INT(1));
	else if (gate->plan_digest)
		put_open_polls(fcinfo, gate, polls, &person, requesters);
}

/* promote.open_votes(instance text, deployment integer) returns table, see sql/gate/approval.sql */
Datum
promote_open_votes(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	int32		deployment;
	GateCase	gate;
	Sql			sql;
	bool		may_approve;

	argument_instance_for(fcinfo, 0, "instance", GRANTS_ROWS, &key);
	deployment = argument_number(fcinfo, 1, "deployment");
	/* in what nobody has called there is no caller to vote */
	may_approve = !is_uncalled() && grants_may("approve", key.project, key.environment);
	InitMaterializedSRF(fcinfo, 0);
	if (!may_approve)
		return (Datum) 0;
	sql_enter(&sql);
	gate_open(&sql, &key, deployment, GetCurrentTimestamp(), &gate);
	sql_push_latest();
	put_open_votes(fcinfo, &sql, &gate);
	PopActiveSnapshot();
	sql_leave(&sql);
	return (Datum) 0;
}
