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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/batch.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/row.h"
#include "base/trigger.h"
#include "gate/approval.h"
#include "grant/grants.h"
#include "grant/role.h"
#include "ledger/guard.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_check_vote);
PG_FUNCTION_INFO_V1(promote_required_approvals);
PG_FUNCTION_INFO_V1(promote_open_votes);

/* A vote under a rule. */
typedef struct Vote
{
	int32		place;			/* of its case among those that were read */
	int32		number;
	char	   *rule;
	Person		by;
	bool		approved;		/* else rejected */
	TimestampTz at;
	const char *reason;			/* NULL: none was given */
	const char *void_because;	/* why it does not count; NULL: it does */
} Vote;

static const SqlField vote_fields[] = {
	SQL_FIELD(Vote, place, "k.place"),
	SQL_FIELD(Vote, number, "v.vote"),
	SQL_FIELD(Vote, rule, "v.rule"),
	SQL_FIELD(Vote, by.actor, "v.actor"),
	SQL_FIELD(Vote, by.database_role, "v.database_role"),
	SQL_FIELDS(Vote, "v", approved, at, reason)
};

/* A rule that applies to the case, and the votes that stand under it. */
typedef struct Poll
{
	int32		place;			/* of its case among those that were read */
	char	   *rule;
	char	   *role;
	int32		quorum;
	Interval   *expires_after;	/* NULL: never */
	bool		requester_counts;
	int32		last_vote;		/* of the instance, under whatever rule; 0: none */
	List	   *votes;			/* Vote *: in order; once judged, the last one of each person */
	int32		given;			/* approvals among them that count */
} Poll;

static const SqlField poll_fields[] = {
	SQL_FIELD(Poll, place, "k.place"), SQL_FIELD(Poll, last_vote, "l.vote"),
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
	int32		place;			/* of its case among those that were read */
	Person		by;
	PartKind	part;
} Part;

static const SqlField part_fields[] = {
	SQL_FIELD(Part, place, "k.place"),
	SQL_FIELD(Part, by.actor, "p.actor"),
	SQL_FIELD(Part, by.database_role, "p.database_role"),
	SQL_ENUM_FIELD(Part, part, "p.part", part_kinds)
};

/* A case with the rules that apply to it, the votes under them, and who has a part in it. */
typedef struct Ballot
{
	const GateCase *gate;
	List	   *polls;			/* Poll * */
	List	   *people[PART_MADE + 1];	/* Person *, by their part; read where somebody's approvals do not count */
} Ballot;

/* ---- reading ---- */

/* Add a rule that was read to the ballot of its case. */
static void
add_poll(Ballot *ballot, Poll *poll)
{
	poll->requester_counts &= !ballot->gate->separation_of_duty;
	ballot->polls = lappend(ballot->polls, poll);
}

/* Add a vote to the polls of its rule: rules of several scopes may have one name, and each judges by its own role. */
static void
add_vote(const Ballot *ballot, const Vote *vote)
{
	ListCell   *cell;

	foreach(cell, ballot->polls)
	{
		Poll	   *poll = lfirst(cell);

		if (strcmp(poll->rule, vote->rule) == 0)
			poll->votes = lappend(poll->votes, memcpy(palloc(sizeof(Vote)), vote, sizeof(Vote)));
	}
}

/* All cases. */
static bool
always(const Ballot *ballot)
{
	return true;
}

/* May there be rules that apply to the case? */
static bool
may_have_rules(const Ballot *ballot)
{
	return !GATE_KNOWS_NOTHING(ballot->gate, rules);
}

/* ---- of one case, row by row ---- */

/* A rule that may apply, and what tells whether it does. */
typedef struct RuleRow
{
	char	   *scope;
	char	   *component;		/* NULL: all */
	Jsonb	   *selector;
	Poll		poll;
} RuleRow;

static const SqlField rule_fields[] = {
	SQL_FIELDS(RuleRow, "r", scope, component, selector),
	SQL_FIELD(RuleRow, poll.rule, "r.rule"), SQL_FIELD(RuleRow, poll.role, "r.role"),
	SQL_FIELD(RuleRow, poll.quorum, "r.quorum"), SQL_FIELD(RuleRow, poll.expires_after, "r.expires_after"),
	SQL_FIELD(RuleRow, poll.requester_counts, "r.requester_counts")
};
static RowFields rule_columns = ROW_FIELDS(rule_fields);

static const SqlField last_vote_fields[] = {SQL_FIELD(Poll, last_vote, "a.vote")};
static RowFields last_vote_columns = ROW_FIELDS(last_vote_fields);

/* A row of promote.approval. */
typedef struct VoteRow
{
	int32		deployment;		/* that was voted on */
	char	   *decision;
	Vote		vote;
} VoteRow;

static const SqlField vote_row_fields[] = {
	SQL_FIELDS(VoteRow, "a", deployment, decision),
	SQL_FIELD(VoteRow, vote.number, "a.vote"), SQL_FIELD(VoteRow, vote.rule, "a.rule"),
	SQL_FIELD(VoteRow, vote.by.actor, "a.actor"), SQL_FIELD(VoteRow, vote.by.database_role, "a.database_role"),
	SQL_FIELD(VoteRow, vote.at, "a.created_at"), SQL_FIELD(VoteRow, vote.reason, "a.reason")
};
static RowFields vote_columns = ROW_FIELDS(vote_row_fields);

/* Does a rule of the case's scopes apply to it? */
static bool
rule_applies(const RuleRow *rule, const GateCase *gate)
{
	return (rule->component == NULL || strcmp(rule->component, gate->key.component) == 0) &&
		DatumGetBool(DirectFunctionCall2(jsonb_contains, JsonbPGetDatum(gate->attributes),
										 JsonbPGetDatum(rule->selector)));
}

/* Compare rules by their names, and then by their scopes.  A list_sort_comparator. */
static int
compare_rules(const ListCell *a, const ListCell *b)
{
	const RuleRow *one = lfirst(a);
	const RuleRow *other = lfirst(b);
	int			order = strcmp(one->poll.rule, other->poll.rule);

	return order != 0 ? order : strcmp(one->scope, other->scope);
}

/* The rules of a scope that apply to the case, added to others: RuleRow *. */
static List *
add_rules(List *rules, const GateCase *gate, const char *scope)
{
	const RowKey key = {"approval_rule", "approval_rule_pkey", {AS_TEXT(scope)}, 1};
	RuleRow		found = {0};
	RowScan		scan;

	row_open(&scan, &key, ForwardScanDirection, GetActiveSnapshot());
	while (row_next(&scan, &rule_columns, &found))
	{
		CHECK_FOR_INTERRUPTS();
		if (rule_applies(&found, gate))
			rules = lappend(rules, memcpy(palloc(sizeof(RuleRow)), &found, sizeof(RuleRow)));
	}
	row_close(&scan);
	return rules;
}

/* Read the rules that apply to one case, by the scopes of promote_internal.rule_scopes. */
static void
take_rules(Ballot *ballot)
{
	const GateCase *gate = ballot->gate;
	const RowKey votes = {"approval", "approval_pkey", {AS_KEY(&gate->key)}, 3};
	const char *const projects[] = {gate->key.project, "*"};
	const char *const environments[] = {gate->key.environment, "*"};
	Poll		last = {0};
	List	   *rules = NIL;
	ListCell   *cell;

	for (int i = 0; i < lengthof(projects) * lengthof(environments); i++)
		rules = add_rules(rules, gate, psprintf("%s-%s", projects[i / 2], environments[i % 2]));
	if (rules == NIL)
		return;
	list_sort(rules, compare_rules);
	(void) row_take(&votes, BackwardScanDirection, &last_vote_columns, GetActiveSnapshot(), &last);
	foreach(cell, rules)
	{
		Poll	   *poll = &((RuleRow *) lfirst(cell))->poll;

		poll->last_vote = last.last_vote;
		add_poll(ballot, poll);
	}
}

/*
 * Read the votes on the plan of one case, as promote_internal.votes has them.  False: somebody has voted on another
 * deployment of that digest, and these votes have to be compared with the case.
 */
static bool
take_votes(const Ballot *ballot)
{
	const GateCase *gate = ballot->gate;
	const RowKey key = {"approval", "approval_plan_idx", {AS_KEY(&gate->key), AS_BYTEA(gate->plan_digest)}, 4};
	const RowKey instance = {"instance", "instance_pkey", {AS_KEY(&gate->key)}, 3};
	VoteRow		found = {0};
	bool		own = true;
	List	   *votes = NIL;
	ListCell   *cell;
	RowScan		scan;

	row_open(&scan, &key, ForwardScanDirection, GetActiveSnapshot());
	while (own && row_next(&scan, &vote_columns, &found))
	{
		CHECK_FOR_INTERRUPTS();
		found.vote.approved = strcmp(found.decision, "approved") == 0;
		/* a PLAN that has a digest is no proposal any more, so that its votes stay */
		own = found.deployment == gate->deployment && gate->plan == gate->deployment;
		votes = lappend(votes, memcpy(palloc(sizeof(Vote)), &found.vote, sizeof(Vote)));
	}
	row_close(&scan);
	/* of another generation of the environment? */
	if (own && votes != NIL &&
		gate->revision > value_int(row_column(&instance, "opened_revision", GetActiveSnapshot())))
		foreach(cell, votes)
			add_vote(ballot, lfirst(cell));
	return own;
}

/* ---- of many cases, by a statement each ---- */

/* Read rows for the cases of many ballots to which something applies, by one statement over judged_case. */
static SqlRows
read_cases(const Sql *sql, Statement *read, const Ballot *ballots, int count, bool (*applies) (const Ballot *ballot))
{
	static const char *const columns[] = {
		"place", "project", "environment", "component", "attributes", "plan_digest", "bundle", "version", "plan",
		"deployment", "made_revision", "made_version"
	};
	Batch		batch = {.name = "judged_case",.columns = columns};
	SqlRows		rows = {NULL};

	batch_begin(&batch);
	for (int i = 0; i < count; i++)
	{
		const GateCase *gate = ballots[i].gate;
		bool		provisions = gate_provisions(gate);

		if (applies(&ballots[i]))
			batch_put(&batch, AS_INT(i), AS_KEY(&gate->key), AS_JSONB(gate->attributes), AS_BYTEA(gate->plan_digest),
					  AS_TEXT(gate->bundle), AS_TEXT(gate->version), AS_INT(gate->plan), AS_INT(gate->deployment),
					  AS_INT(provisions ? gate->revision : 0), AS_TEXT(provisions ? gate->version : NULL));
	}
	if (batch.count > 0)
		rows = batch_call(sql, read, SQL_READ, &batch, NULL, 0);
	batch_end(&batch);
	return rows;
}

/* Read the rules that apply to the cases, without votes but for the number of the instance's last. */
static void
read_rules(const Sql *sql, Ballot *ballots, int count)
{
	static Statement read = SQL_ROWS(poll_fields, "SELECT $* FROM judged_case AS k JOIN promote.approval_rule AS r"
									 " ON r.scope = ANY (promote_internal.rule_scopes(k.project, k.environment))"
									 " AND (r.component IS NULL OR r.component = k.component) AND k.attributes @> r.selector"
									 " LEFT JOIN LATERAL (SELECT a.vote FROM promote.approval AS a WHERE " SAME_INSTANCE("a", "k")
									 "  ORDER BY a.project DESC, a.environment DESC, a.component DESC, a.vote DESC LIMIT 1) AS l ON true"
									 " ORDER BY k.place, r.rule, r.scope");
	SqlRows		rows = read_cases(sql, &read, ballots, count, may_have_rules);

	for (uint64 i = 0; i < rows.count; i++)
	{
		Poll	   *poll = palloc0(sizeof(Poll));

		(void) sql_row(&rows, i, poll);
		add_poll(&ballots[poll->place], poll);
	}
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

/* Are there votes to be read on the case? */
static bool
may_have_votes(const Ballot *ballot)
{
	return ballot->polls != NIL && ballot->gate->plan_digest;
}

/*
 * Read the votes on the cases' plans and on equal plans, each into the polls of its rule.  A vote
 * under a rule that does not apply to the case any more is left out.
 */
static void
read_votes(const Sql *sql, const Ballot *ballots, int count)
{
	static Statement read = SQL_ROWS(vote_fields, "SELECT $* FROM judged_case AS k"
									 " CROSS JOIN LATERAL promote_internal.votes(k.project, k.environment, k.component,"
									 "  k.plan_digest, k.bundle, k.version, k.plan) AS v ORDER BY k.place, v.vote");
	SqlRows		rows = read_cases(sql, &read, ballots, count, may_have_votes);
	Vote		vote;

	for (uint64 i = 0; i < rows.count; i++)
	{
		(void) sql_row(&rows, i, &vote);
		add_vote(&ballots[vote.place], &vote);
	}
}

/* Is there a rule by which it matters who has asked for the case? */
static bool
asks_who(const Ballot *ballot)
{
	ListCell   *cell;

	foreach(cell, ballot->polls)
		if (!((Poll *) lfirst(cell))->requester_counts)
			return true;
	return false;
}

/* Complete the people of a case who have asked for it. */
static void
add_askers(Ballot *ballot)
{
	ListCell   *cell;

	foreach(cell, ballot->people[PART_MOVED])
		if (is_among(lfirst(cell), ballot->people[PART_MADE]))
			ballot->people[PART_ASKED] = lappend(ballot->people[PART_ASKED], lfirst(cell));
	if (!gate_provisions(ballot->gate) && ballot->gate->deployment == 0)
	{
		Person	   *caller = palloc(sizeof(Person));

		*caller = current_person();
		ballot->people[PART_ASKED] = lappend(ballot->people[PART_ASKED], caller);
	}
}

/*
 * Read the people who have asked for the cases, see promote_internal.requesters.  Whoever
 * moves a request has not asked for what it does, unless it does what they made.
 * Whoever made a revision has not asked to decommission it.  A DECOMMISSION
 * without a proposal is asked for by the caller, now.
 */
static void
read_requesters(const Sql *sql, Ballot *ballots, int count, bool (*applies) (const Ballot *ballot))
{
	static Statement read = SQL_ROWS(part_fields, "SELECT $* FROM judged_case AS k"
									 " CROSS JOIN LATERAL promote_internal.requesters(k.project, k.environment, k.component,"
									 "  k.made_revision, k.plan, k.deployment, k.bundle, k.made_version) AS p");
	SqlRows		rows = read_cases(sql, &read, ballots, count, applies);

	for (uint64 i = 0; i < rows.count; i++)
	{
		Part	   *part = palloc(sizeof(Part));
		List	  **people;

		(void) sql_row(&rows, i, part);
		people = ballots[part->place].people;
		people[part->part] = lappend(people[part->part], &part->by);
	}
	for (int i = 0; i < count; i++)
		if (applies(&ballots[i]))
			add_askers(&ballots[i]);
}

/* The people who have asked for a case. */
static List *
requesters_of(const Sql *sql, const GateCase *gate)
{
	Ballot		ballot = {.gate = gate};

	read_requesters(sql, &ballot, 1, always);
	return ballot.people[PART_ASKED];
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

/* Does a vote of a poll stand?  Else a later one has replaced it. */
static bool
stands(const Poll *poll, int number)
{
	for (int later = number + 1; later < list_length(poll->votes); later++)
		if (takes_place(list_nth(poll->votes, later), list_nth(poll->votes, number)))
			return false;
	return true;
}

/* Judge each vote of a rule that stands, drop the others, and count the approvals that count. */
static void
judge_votes(const GateCase *gate, Poll *poll, const List *requesters)
{
	List	   *standing = NIL;
	ListCell   *cell;

	for (int i = 0; i < list_length(poll->votes); i++)
		if (stands(poll, i))
			standing = lappend(standing, list_nth(poll->votes, i));
	poll->votes = standing;
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
 * Read the rules that apply to cases, and the votes under them.  The active snapshot is the one that
 * the cases are judged by.  To get statements ready for one case takes longer than to look its few
 * rows up; what comes of both is the same, as approval_single.sql holds.
 */
static void
read_ballots(const Sql *sql, Ballot *ballots, int count)
{
	bool		single = count == 1;

	if (!single)
		read_rules(sql, ballots, count);
	else if (may_have_rules(ballots))
		take_rules(ballots);
	read_requesters(sql, ballots, count, asks_who);
	if (!single || (may_have_votes(ballots) && !take_votes(ballots)))
		read_votes(sql, ballots, count);
}

/* Read the rules that apply to the case, and judge the votes under them. */
static List *
read_polls(const Sql *sql, const GateCase *gate)
{
	Ballot		ballot = {.gate = gate};
	ListCell   *cell;

	read_ballots(sql, &ballot, 1);
	foreach(cell, ballot.polls)
		judge_votes(gate, lfirst(cell), ballot.people[PART_ASKED]);
	return ballot.polls;
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

	for (int i = 0; i < list_length(poll->votes); i++)
	{
		const Vote *vote = list_nth(poll->votes, i);
		bool		lifted = !vote->approved && takes_place(&approval, vote);

		if ((!lifted && !same_person(person, &vote->by)) || !stands(poll, i))
			continue;
		if (lifted)
			return vote;
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

/* Votes of the caller's that are to be recorded. */
typedef struct Casting
{
	const Sql  *sql;
	bool		approved;
	const char *reason;			/* NULL: none was given */
	Batch		votes;			/* rows of promote.approval */
} Casting;

/* Judge by every rule of a case whether the caller can vote, and add a vote where they can. */
static void
cast_votes(Casting *casting, const Person *person, const Ballot *ballot, VoteOutcome *outcome)
{
	const GateCase *gate = ballot->gate;
	ListCell   *cell;

	*outcome = (VoteOutcome) {.given = 0};
	initStringInfo(&outcome->words);
	foreach(cell, ballot->polls)
	{
		const Poll *poll = lfirst(cell);
		NoVote		no = no_vote(gate, poll, person, casting->approved, ballot->people[PART_ASKED]);

		if (no.code)
			add_no_vote(outcome, &no);
		else
			batch_put(&casting->votes, AS_KEY(&gate->key), AS_INT(gate->deployment),
					  AS_INT(poll->last_vote + ++outcome->given), AS_BYTEA(gate->plan_digest), AS_TEXT(poll->rule),
					  AS_TEXT(casting->approved ? "approved" : "rejected"), AS_TEXT(casting->reason));
	}
}

/* Write the votes, and what the audit log says of each. */
static void
write_votes(Casting *casting, const Ballot *ballots, int count, const VoteOutcome *outcomes)
{
#define VOTE_COLUMNS "project, environment, component, deployment, vote, plan_digest, rule, decision, reason"
	static Statement insert = {"INSERT INTO promote.approval AS a (" VOTE_COLUMNS ") SELECT " VOTE_COLUMNS
		" FROM new_approval RETURNING promote_internal.audit_facts(a, '{}')"};
	SqlRows		rows = guarded_rows(casting->sql, &insert, &casting->votes);
	uint64		next = 0;
	Batch		batch;

	if (rows.count != casting->votes.count)
		elog(ERROR, "the votes of a set were not all written");
	audit_begin_batch(&batch);
	for (int i = 0; i < count; i++)
	{
		const GateCase *gate = ballots[i].gate;
		AuditHead	head;

		if (outcomes[i].given > 0)
			audit_read_head(gate->key.project, gate->instance, &head);
		for (int given = 0; given < outcomes[i].given; given++)
			audit_put(&batch, &head, gate->key.project, gate->instance,
					  &(AuditEntry) {casting->approved ? "approval.given" : "approval.refused", sql_jsonb(&rows, next++)}, 1);
	}
	audit_write(casting->sql, &batch);
}

/*
 * Record the caller's vote on cases of several instances, of each at most one, under every rule that
 * lets them vote.  A vote that stands is not given again.  The locks of the cases are held.
 */
void
approval_vote(const Sql *sql, const GateCase *gates, int count, bool approved, const char *reason,
			  VoteOutcome *outcomes)
{
	static const char *const columns[] = {
		"project", "environment", "component", "deployment", "vote", "plan_digest", "rule", "decision", "reason"
	};
	Casting		casting = {sql, approved, reason, {.name = "new_approval",.of = "approval",.columns = columns}};
	const Person person = current_person();
	Ballot	   *ballots = palloc0(count * sizeof(Ballot));

	for (int i = 0; i < count; i++)
		ballots[i].gate = &gates[i];
	sql_push_latest();
	read_ballots(sql, ballots, count);
	PopActiveSnapshot();
	batch_begin(&casting.votes);
	for (int i = 0; i < count; i++)
		cast_votes(&casting, &person, &ballots[i], &outcomes[i]);
	if (casting.votes.count > 0)
		write_votes(&casting, ballots, count, outcomes);
	batch_end(&casting.votes);
}

/*
 * Does the environment separate duties, and has the person asked for the case?
 * Reads by the active snapshot.
 */
bool
approval_is_own(const Sql *sql, const GateCase *gate, const Person *person)
{
	return gate->separation_of_duty && is_among(person, requesters_of(sql, gate));
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
TRIGGER_FUNCTION(promote_check_approval_rule)
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

/*
 * promote_internal.check_vote(vote integer, decision text, reason text) returns boolean: false for a
 * number that is none, or PM_INVALID_ARGUMENT
 */
Datum
promote_check_vote(PG_FUNCTION_ARGS)
{
	char	   *decision = argument_text(fcinfo, 1);
	char	   *reason = argument_text(fcinfo, 2);

	if (decision && strcmp(decision, "approved") != 0 && strcmp(decision, "rejected") != 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("invalid decision"),
				 errdetail("It is approved or rejected."),
				 errhint("Use approve_deployment or reject_deployment.")));
	if (decision && strcmp(decision, "rejected") == 0 && (reason == NULL || *reason == '\0'))
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("invalid rejection"),
				 errdetail("It has no reason."),
				 errhint("Say why.")));
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && PG_GETARG_INT32(0) > 0);
}

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
	List	   *requesters = requesters_of(sql, gate);
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
