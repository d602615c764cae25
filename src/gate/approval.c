/*
 * approval.c: who has to agree to what is planned, and who has.
 *
 * A vote is recorded for a plan's digest and a rule, and never changed.
 * Whether it counts is judged whenever it is used: whose it is, which roles
 * that one has by then, and how old it is.  Everything is read by a snapshot
 * taken under the locks of the case, see rule.c; who is a member of which
 * role is what the catalogs say now.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "gate/approval.h"
#include "grant/grants.h"
#include "ledger/guard.h"
#include "registry/instance.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_check_approval_rule);
PG_FUNCTION_INFO_V1(promote_required_approvals);

/* A vote under a rule. */
typedef struct Vote
{
	int32		number;
	Person		by;
	bool		approved;		/* else rejected */
	TimestampTz at;
	const char *reason;			/* NULL: none was given */
	const char *void_because;	/* why it does not count; NULL: it does */
} Vote;

/* A rule that is about the case, and the votes that stand under it. */
typedef struct Poll
{
	char	   *rule;
	char	   *role;
	int32		quorum;
	Interval   *expires_after;	/* NULL: never */
	bool		requester_counts;
	List	   *votes;			/* of Vote *, the last one of each person, in order */
	int32		given;			/* of them, approvals that count */
} Poll;

/* ---- reading ---- */

/* The rules that are about the case, without votes. */
static List *
read_rules(const Sql *sql, const GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT r.rule, r.role, r.quorum, r.expires_after, r.requester_counts"
		" FROM promote.approval_rule AS r WHERE r.project = $1 AND r.environment = $2"
		" AND (r.component IS NULL OR r.component = $3) AND $4 @> r.selector ORDER BY r.rule",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, JSONBOID}
	};
	Datum		values[4];
	List	   *polls = NIL;

	instance_key_values(&gate->key, values);
	values[3] = JsonbPGetDatum(gate->attributes);
	statement_run(sql, &read, values, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Poll	   *poll = palloc0(sizeof(Poll));
		bool		forever;
		Datum		expires_after = spi_value(SPI_tuptable, i, 4, &forever);

		poll->rule = spi_text(SPI_tuptable, i, 1);
		poll->role = spi_text(SPI_tuptable, i, 2);
		poll->quorum = spi_integer(SPI_tuptable, i, 3);
		poll->expires_after = forever ? NULL : DatumGetIntervalP(expires_after);
		poll->requester_counts = spi_bool(SPI_tuptable, i, 5) && !gate->separation_of_duty;
		polls = lappend(polls, poll);
	}
	return polls;
}

/*
 * Does a vote take the place of an earlier one?  A rejection makes way for the
 * very actor alone: not for whoever can but take a role of theirs, who could
 * reject it in their place, and then approve.
 */
static bool
takes_place(const Vote *vote, const Vote *earlier)
{
	return earlier->approved ? same_person(&vote->by, &earlier->by) :
		strcmp(vote->by.actor, earlier->by.actor) == 0;
}

/* Is it one of these people? */
static bool
is_among(const Person *person, const List *people)
{
	ListCell   *cell;

	foreach(cell, people)
		if (same_person(person, lfirst(cell)))
			return true;
	return false;
}

/* Let a vote stand for its person, and no earlier one. */
static void
add_vote(Poll *poll, Vote *vote)
{
	ListCell   *cell;

	foreach(cell, poll->votes)
		if (takes_place(vote, lfirst(cell)))
			poll->votes = foreach_delete_current(poll->votes, cell);
	poll->votes = lappend(poll->votes, vote);
}

/* The poll of a rule; NULL: no such rule is about the case any more. */
static Poll *
find_poll(const List *polls, const char *rule)
{
	ListCell   *cell;

	foreach(cell, polls)
		if (strcmp(((Poll *) lfirst(cell))->rule, rule) == 0)
			return lfirst(cell);
	return NULL;
}

/*
 * Read the votes on the case's plan and its equals.  What was planned without
 * a document has the digest of its params, and that of another release, or with
 * other remote references, is not its equal.  Those on a proposal end with it
 * where it is rejected.
 */
static void
read_votes(const Sql *sql, const GateCase *gate, const List *polls)
{
	static OldStatement read = {
		.text = "SELECT a.vote, a.rule, a.actor, a.database_role, a.decision = 'approved', a.created_at, a.reason"
		" FROM promote.approval AS a WHERE " OF_INSTANCE("a") " AND a.plan_digest = $4"
		" AND EXISTS (SELECT FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "a")
		"  AND d.deployment = a.deployment AND d.status <> 'REJECTED' AND d.bundle = $5 AND d.version = $6"
		"  AND ($7 = 0 OR d.remote_references IS NOT DISTINCT FROM (SELECT p.remote_references"
		"   FROM promote.deployment AS p WHERE " OF_INSTANCE("p") " AND p.deployment = $7))) ORDER BY a.vote",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID, INT4OID}
	};
	bool		nulls[7] = {[5] = gate->version == NULL};
	Datum		values[7];
	bool		isnull;

	instance_key_values(&gate->key, values);
	values[3] = PointerGetDatum(gate->plan_digest);
	values[4] = CStringGetTextDatum(gate->bundle);
	values[5] = gate->version ? CStringGetTextDatum(gate->version) : (Datum) 0;
	values[6] = Int32GetDatum(gate->plan);
	statement_run(sql, &read, values, nulls, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Poll	   *poll = find_poll(polls, spi_text(SPI_tuptable, i, 2));
		Vote	   *vote = palloc0(sizeof(Vote));

		vote->number = spi_integer(SPI_tuptable, i, 1);
		vote->by.actor = spi_text(SPI_tuptable, i, 3);
		vote->by.database_role = spi_text(SPI_tuptable, i, 4);
		vote->approved = spi_bool(SPI_tuptable, i, 5);
		vote->at = DatumGetTimestampTz(spi_value(SPI_tuptable, i, 6, &isnull));
		vote->reason = spi_text(SPI_tuptable, i, 7);
		if (poll)
			add_vote(poll, vote);
	}
}

/* Something of the deployment that provisioned the instance of the first three parameters last, as SQL. */
#define LAST_PROVISIONED(column) \
	"SELECT d." column " FROM promote.deployment AS d WHERE " OF_INSTANCE("d") \
	" AND d.action <> 'PLAN' AND d.started_at IS NOT NULL AND d.action = 'PROVISION' AND d.status = 'COMPLETED'" \
	" ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.started_at DESC LIMIT 1"

/* The revision that was provisioned last; 0: none was. */
static int32
last_provisioned(const Sql *sql, const InstanceKey *key)
{
	static OldStatement read = {
		.text = LAST_PROVISIONED("revision"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(key, values);
	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* Add somebody to people. */
static List *
add_person(List *people, Person person)
{
	Person	   *copy = palloc(sizeof(Person));

	*copy = person;
	return lappend(people, copy);
}

/* Add the people of a result, whose columns are the actor and the database role. */
static List *
add_people(List *people)
{
	for (uint64 i = 0; i < SPI_processed; i++)
		people = add_person(people, (Person) {.actor = spi_text(SPI_tuptable, i, 1),.database_role = spi_text(SPI_tuptable, i, 2)});
	return people;
}

/*
 * Add who has set or removed remote references that are others than what was
 * provisioned last has, in slots of the case's release: they are configuration,
 * and make no revision.  Of one that is removed its chain tells by whom.
 */
static List *
add_reference_authors(const Sql *sql, const GateCase *gate, List *people)
{
	static OldStatement read = {
		.text = "SELECT w.actor, w.database_role FROM (SELECT (" LAST_PROVISIONED("remote_references") ") AS carried OFFSET 0) AS p"
		" JOIN promote.bundle_release AS f ON f.bundle = $4 AND f.version = $5"
		" CROSS JOIN LATERAL (SELECT x.actor, x.database_role FROM promote.remote_reference AS x WHERE " OF_INSTANCE("x")
		"   AND f.remote_references ? x.field AND x.reference IS DISTINCT FROM p.carried ->> x.field"
		"  UNION ALL SELECT a.actor, a.database_role FROM pg_catalog.jsonb_object_keys(p.carried) AS k (field)"
		"   CROSS JOIN LATERAL (SELECT a.actor, a.database_role FROM promote.audit_log AS a WHERE a.project = $1"
		"    AND a.subject = pg_catalog.concat('remote_reference ', pg_catalog.concat_ws('/', $1, $2, $3, k.field))"
		"    ORDER BY a.seq DESC LIMIT 1) AS a WHERE f.remote_references ? k.field"
		"   AND NOT EXISTS (SELECT FROM promote.remote_reference AS x WHERE " OF_INSTANCE("x") " AND x.field = k.field)) AS w",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[5];

	if (gate->version == NULL)
		return people;
	instance_key_values(&gate->key, values);
	values[3] = CStringGetTextDatum(gate->bundle);
	values[4] = CStringGetTextDatum(gate->version);
	statement_run(sql, &read, values, NULL, true);
	return add_people(people);
}

/*
 * Those who have asked for the case: who made its revision, and those before it
 * that have come to nothing yet, for what these have changed goes along, as do
 * remote references; who made its plan, and its proposal; and who opened a
 * request that has staged one of the revisions, be it over or not: whoever moves
 * that on need not be the same.  Who takes something away without a proposal asks
 * for that now.
 */
static List *
read_requesters(const Sql *sql, const GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT r.actor, r.database_role FROM promote.revision AS r WHERE " OF_INSTANCE("r")
		" AND r.revision BETWEEN $4 AND $5 UNION SELECT d.actor, d.database_role FROM promote.deployment AS d"
		" WHERE " OF_INSTANCE("d") " AND d.deployment IN ($6, $7)"
		" UNION SELECT q.actor, q.database_role FROM promote.promotion_request_item AS t"
		" JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request"
		" WHERE t.project = $1 AND t.destination_environment = $2 AND t.component = $3"
		" AND (t.revision BETWEEN $4 AND $5 OR t.rollback_revision BETWEEN $4 AND $5)",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, INT4OID}
	};
	/* whoever made what is taken away has not asked for that */
	bool		provision = strcmp(gate->action, "PROVISION") == 0;
	Datum		values[7];
	List	   *people;

	instance_key_values(&gate->key, values);
	values[3] = Int32GetDatum(provision ? Min(last_provisioned(sql, &gate->key) + 1, gate->revision) : 0);
	values[4] = Int32GetDatum(provision ? gate->revision : 0);
	values[5] = Int32GetDatum(gate->plan);
	values[6] = Int32GetDatum(gate->deployment);
	statement_run(sql, &read, values, NULL, true);
	people = add_people(NIL);
	if (provision)
		people = add_reference_authors(sql, gate, people);
	else if (gate->deployment == 0)
		people = add_person(people, current_person());
	return people;
}

/* ---- judging ---- */

/* When a vote ends to count; GATE_NO_TIME: never. */
static TimestampTz
expiry(const Poll *poll, const Vote *vote)
{
	if (poll->expires_after == NULL)
		return GATE_NO_TIME;
	/* in UTC, whatever the session's time zone: a timestamp counts the same microseconds */
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(vote->at),
												 IntervalPGetDatum(poll->expires_after)));
}

/* Why a vote does not count; NULL: it does.  Rejections neither expire nor are anybody's own. */
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

/* Judge the votes of a rule, and count. */
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
 * The rules that are about the case, with the votes as they count.  Runs
 * under the snapshot that the case is judged by.
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

/* Since when there is what has to be approved; GATE_NO_TIME: it is not queued yet. */
static TimestampTz
planned_at(const Sql *sql, const GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT COALESCE(d.finished_at, d.created_at) FROM promote.deployment AS d"
		" WHERE " OF_INSTANCE("d") " AND d.deployment = $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		values[4];

	deployment_values(&gate->key, gate->plan > 0 ? gate->plan : gate->deployment, values);
	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? spi_time(SPI_tuptable, 0, 1) : GATE_NO_TIME;
}

/* Who of a poll approved, or rejected, as it counts, with commas between them. */
static char *
names_of(const Poll *poll, bool approved)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (vote->void_because == NULL && vote->approved == approved)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", vote->by.actor);
	}
	return names.data;
}

/* How far a rule is met, in words. */
static char *
describe(const Poll *poll)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "rule \"%s\" asks for %d of role \"%s\": %d given", poll->rule,
					 poll->quorum, poll->role, poll->given);
	if (poll->given > 0)
		appendStringInfo(&text, ", by %s", names_of(poll, true));
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

/* Add whoever has rejected the case under a rule, unless a rule before has said so. */
static void
block_rejected(GateCase *gate, const Poll *poll, List **named)
{
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		Vote	   *vote = lfirst(cell);

		if (vote->approved || vote->void_because || is_among(&vote->by, *named))
			continue;
		gate_block(gate, "rejected", false, vote->at, GATE_NO_TIME, vote->by.actor,
				   psprintf("%s has rejected it: %s", vote->by.actor, vote->reason));
		gate_about(gate, vote->by.actor);
		*named = lappend(*named, &vote->by);
	}
}

/*
 * The gates approval and rejected: every rule of the environment is met, and
 * nobody whose approval is asked for has said no.
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
		gate_block(gate, "approval", true, GATE_NO_TIME, GATE_NO_TIME, "promote.plan_instance and a worker",
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
		gate_block(gate, "approval", true, since, GATE_NO_TIME,
				   psprintf("role %s", poll->role), describe(poll));
		/* what the rule asks for by now is another reason */
		gate_about(gate, psprintf("%s: %d of %s", poll->rule, poll->quorum, poll->role));
	}
	foreach(cell, polls)
		block_rejected(gate, lfirst(cell), &named);
}

/* The votes of a rule that count, as an array. */
static void
build_votes(JsonBuilder *builder, const Poll *poll)
{
	ListCell   *cell;

	json_build_key(builder, "votes", strlen("votes"));
	json_build_begin_array(builder);
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

/* Put which approvals count for the case, an array of its rules. */
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

/* Is it a PLAN that has come to its end, which is voted on and stays as it is? */
bool
approval_votes_on(const Deployment *deployment)
{
	return deployment->action == ACTION_PLAN && deployment->status == DEPLOYMENT_COMPLETED;
}

/* The vote of a person that stands under a rule, a rejection of theirs before all; NULL: none. */
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

/* Why somebody cannot vote under a rule, as a sentence; NULL: they can. */
static char *
no_vote_because(const GateCase *gate, const Poll *poll, const Person *person, bool approved,
				const List *requesters)
{
	const Vote *vote = vote_of(poll, person);

	if (!role_is_member(person->database_role, poll->role))
		return psprintf("Rule \"%s\" asks for role \"%s\", which \"%s\" is no member of.",
						poll->rule, poll->role, person->database_role);
	if (approved && !poll->requester_counts && is_among(person, requesters))
		return psprintf("Rule \"%s\" does not count who has asked for it, as \"%s\" has.",
						poll->rule, person->actor);
	if (vote && vote->approved == approved && (!approved || expiry(poll, vote) > gate->at))
		return psprintf("By rule \"%s\" \"%s\" has %s it already, by vote %d.", poll->rule,
						vote->by.actor, approved ? "approved" : "rejected", vote->number);
	return NULL;
}

/* Number of the instance's last vote; 0: none. */
static int32
last_vote(const Sql *sql, const InstanceKey *key)
{
	static OldStatement read = {
		.text = "SELECT a.vote FROM promote.approval AS a WHERE " OF_INSTANCE("a")
		" ORDER BY a.project DESC, a.environment DESC, a.component DESC, a.vote DESC LIMIT 1",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(key, values);
	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* Write a vote of the caller's, and what the audit log says of it. */
static void
write_vote(const Sql *sql, const GateCase *gate, const Poll *poll, int32 number, bool approved, const char *reason)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.approval AS a (project, environment, component, deployment, vote, plan_digest,"
		" rule, decision, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING promote_internal.audit_facts(a, '{}')",
		.parameters = 9,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, BYTEAOID, TEXTOID, TEXTOID, TEXTOID}
	};
	bool		nulls[9] = {[8] = reason == NULL};
	Datum		values[9];

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = Int32GetDatum(number);
	values[5] = PointerGetDatum(gate->plan_digest);
	values[6] = CStringGetTextDatum(poll->rule);
	values[7] = CStringGetTextDatum(approved ? "approved" : "rejected");
	values[8] = nulls[8] ? (Datum) 0 : CStringGetTextDatum(reason);
	old_guarded_run(sql, &insert, values, nulls);
	audit_note(sql, gate->key.project, gate->instance, approved ? "approval.given" : "approval.refused",
			   spi_jsonb(SPI_tuptable, 0, 1));
}

/*
 * Record the caller's vote under every rule where they have one.  Returns how
 * many; why there is none under the others goes to refused, a line each.
 * Runs under the locks of the case.
 */
int32
approval_vote(const Sql *sql, const GateCase *gate, bool approved, const char *reason, StringInfo refused)
{
	const Person person = current_person();
	List	   *polls;
	List	   *requesters;
	ListCell   *cell;
	int32		last;
	int32		count = 0;

	sql_push_latest();
	polls = read_polls(sql, gate);
	requesters = read_requesters(sql, gate);
	last = last_vote(sql, &gate->key);
	PopActiveSnapshot();
	foreach(cell, polls)
	{
		char	   *why = no_vote_because(gate, lfirst(cell), &person, approved, requesters);

		if (why)
			appendStringInfo(refused, "%s%s", refused->len > 0 ? "\n" : "", why);
		else
			write_vote(sql, gate, lfirst(cell), last + ++count, approved, reason);
	}
	return count;
}

/*
 * Are duties separated, and has somebody asked for the case?  Runs inside a
 * scope of sql.h, by the snapshot that is active.
 */
bool
approval_is_own(const Sql *sql, const GateCase *gate, const Person *person)
{
	return gate->separation_of_duty && is_among(person, read_requesters(sql, gate));
}

/*
 * Refuse to approve one's own proposal where duties are separated, also where
 * those whom rules ask for have approved it: PM_INVALID_APPROVAL.
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

/* How many may approve by a role: its members that can log in, superusers left out. */
static int64
members_of(const char *role)
{
	static OldStatement read = {
		.text = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles AS r WHERE r.rolcanlogin AND NOT r.rolsuper"
		" AND pg_catalog.pg_has_role(r.oid, (SELECT o.oid FROM pg_catalog.pg_roles AS o WHERE o.rolname = $1), 'MEMBER')",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Sql			sql;
	Datum		values[1];
	bool		isnull;
	int64		count;

	sql_enter(&sql);
	values[0] = CStringGetTextDatum(role);
	statement_run(&sql, &read, values, NULL, false);
	count = DatumGetInt64(spi_value(SPI_tuptable, 0, 1, &isnull));
	sql_leave(&sql);
	return count;
}

/*
 * promote_internal.check_approval_rule() returns trigger
 *
 * BEFORE INSERT or UPDATE of approval_rule, for each row.  A role that is not
 * there approves nothing: no error, for a dump may be restored before its
 * roles are.
 */
Datum
promote_check_approval_rule(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "check_approval_rule", "approval_rule",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *rule = SPI_getvalue(row, row_type, SPI_fnumber(row_type, "rule"));
	char	   *role = SPI_getvalue(row, row_type, SPI_fnumber(row_type, "role"));
	bool		isnull;
	int32		quorum = DatumGetInt32(SPI_getbinval(row, row_type, SPI_fnumber(row_type, "quorum"), &isnull));
	int64		members;

	if (rule == NULL || role == NULL || isnull)
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
				 errdetail("The quorum is %d, and role \"%s\" has " INT64_FORMAT " members that can log in.",
						   quorum, role, members),
				 errhint("GRANT the role to more, or ask for fewer.")));
	return PointerGetDatum(row);
}

/* ---- for SQL ---- */

/* Some of a poll's votes, as an array of names: approvals that count, rejections that count, or what does not. */
static Datum
names_array(const Poll *poll, bool counts, bool approved)
{
	Datum	   *names = palloc(Max(list_length(poll->votes), 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, poll->votes)
	{
		const Vote *vote = lfirst(cell);

		if (!counts && vote->void_because)
			names[count++] = CStringGetTextDatum(psprintf("%s: %s", vote->by.actor, vote->void_because));
		else if (counts && vote->void_because == NULL && vote->approved == approved)
			names[count++] = CStringGetTextDatum(vote->by.actor);
	}
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Put a row for each rule. */
static void
put_polls(ReturnSetInfo *result, const List *polls)
{
	ListCell   *cell;

	foreach(cell, polls)
	{
		const Poll *poll = lfirst(cell);
		bool		nulls[8] = {false};
		Datum		values[8] = {
			CStringGetTextDatum(poll->rule),
			CStringGetTextDatum(poll->role),
			Int32GetDatum(poll->quorum),
			Int32GetDatum(poll->given),
			Int32GetDatum(Max(poll->quorum - poll->given, 0)),
			names_array(poll, true, true),
			names_array(poll, true, false),
			names_array(poll, false, false)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* promote.required_approvals(instance text, deployment integer) returns table, see sql/gate/approval.sql */
Datum
promote_required_approvals(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	int32		deployment = PG_ARGISNULL(1) ? 0 : argument_number(fcinfo, 1, "deployment");
	GateCase	gate;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", ACCESS_ROWS, &key);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	gate_open(&sql, &key, deployment, GetCurrentTimestamp(), &gate);
	sql_push_latest();
	put_polls((ReturnSetInfo *) fcinfo->resultinfo, read_polls(&sql, &gate));
	PopActiveSnapshot();
	sql_leave(&sql);
	return (Datum) 0;
}
