/*
 * backtest.c: what a policy, or a gate with other settings, would have stopped of
 * what was deployed.
 *
 * The gates themselves judge a case that is opened as it was: what a deployment
 * carries never changes, and is read from its row; the rules are supposed.  What
 * has moved since, such as what the source ran, is read as of the time at which
 * the deployment was judged.  Where what was kept does not tell, that is said, and
 * nothing is guessed. sql/report/backtest.sql finds the deployments by the rights
 * of whoever asks.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/attempt.h"
#include "base/errors.h"
#include "base/result.h"
#include "gate/window.h"
#include "grant/access.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "json/reader.h"
#include "promotion/deployment.h"
#include "registry/instance.h"
#include "report/timeline.h"

PG_FUNCTION_INFO_V1(promote_backtest_span);
PG_FUNCTION_INFO_V1(promote_backtest_policy);
PG_FUNCTION_INFO_V1(promote_backtest_gates);

#define MAX_WINDOWS 100			/* of a kind that are supposed at once; each deployment is held against all */
#define MAX_SHOWN 80			/* bytes of a key that a message shows */
#define ATTRIBUTES_MOVED "attributes, which a selector looks at, were changed since"

/* ---- a case of the past ---- */

/* A deployment of the past, as it is judged. */
typedef struct Backtest
{
	const Sql  *sql;
	GateCase	gate;
	GatePast	past;
	bool		imported;		/* did it run elsewhere, past all gates? */
	bool		proposed;		/* was it judged when the proposal was approved? */
	int32		opened_revision;	/* revisions up to it are of earlier generations of the environment */
	int32		source_opened;	/* of the source; 0 where there is none */
} Backtest;

static const SqlField past_fields[] = {
	SQL_FIELD(Backtest, past.running, "d.base_deployment"),
	SQL_PRESENT_FIELD(Backtest, imported, "d.imported_at"),
	SQL_PRESENT_FIELD(Backtest, proposed, "d.approved_by"),
	SQL_FIELD(Backtest, opened_revision, "(SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)"),
	SQL_FIELD(Backtest, source_opened, "(SELECT o.revision FROM promote_internal.opened_revision($1, $5, $3) AS o)")
};

/* Open the case of a deployment as it was at a time. */
static void
open_past(const Sql *sql, const InstanceKey *key, int32 deployment, TimestampTz at, Backtest *test)
{
	static Statement read = SQL_ROWS(past_fields, "SELECT $* FROM promote.deployment AS d WHERE " OF_INSTANCE("d")
									 " AND d.deployment = $4");
	SqlRows		rows;

	*test = (Backtest) {.sql = sql};
	gate_open(sql, key, deployment, at, &test->gate);
	rows = sql_read(sql, &read, AS_KEY(key), AS_INT(deployment), AS_TEXT(test->gate.source_environment));
	if (!sql_row(&rows, 0, test))
		refuse_unknown_deployment(sql, key, deployment);
	test->gate.past = &test->past;
}

/* Is what the deployment was made of of an earlier generation of its environment, or of the source's? */
static bool
is_of_earlier_generation(const Backtest *test)
{
	return test->gate.revision <= test->opened_revision ||
		(test->gate.source_environment && test->gate.source_revision <= test->source_opened);
}

/* Were attributes changed since the time of the case? */
static bool
attributes_moved(const Backtest *test)
{
	static Statement read = {"SELECT promote_internal.attributes_moved($1, $2, $3, $4)"};
	SqlRows		rows = sql_read(test->sql, &read, AS_KEY(&test->gate.key), AS_TIME(test->gate.at));

	return sql_bool(&rows, 0);
}

/* ---- settings ---- */

/* What is supposed of the rules; what is not there is as if no gate asked for it. */
typedef struct Supposed
{
	char	   *source_policy;	/* NULL: none */
	bool		require_plan;
	bool		require_artifact_digest;
	bool		require_proven_release;
	bool		require_no_reverts;
	Interval   *required_soak;	/* NULL: none */
	char	   *rule;			/* of approvals; NULL: every rule */
	int32		quorum;			/* 0: as the rule has it */
	Interval   *expires_after;	/* NULL: never */
	bool		requester_ignored;
	WindowSet  *windows;
} Supposed;

static const SqlField supposed_fields[] = {
	SQL_FIELD(Supposed, source_policy, "$1 ->> 'source_policy'"),
	SQL_FIELD(Supposed, require_plan, "($1 ->> 'require_plan')::boolean"),
	SQL_FIELD(Supposed, require_artifact_digest, "($1 ->> 'require_artifact_digest')::boolean"),
	SQL_FIELD(Supposed, require_proven_release, "($1 ->> 'require_proven_release')::boolean"),
	SQL_FIELD(Supposed, require_no_reverts, "($1 ->> 'require_no_reverts')::boolean"),
	SQL_FIELD(Supposed, required_soak, "($1 ->> 'required_soak')::interval"),
	SQL_FIELD(Supposed, rule, "$1 -> 'approvals' ->> 'rule'"),
	SQL_FIELD(Supposed, quorum, "COALESCE(NULLIF(($1 -> 'approvals' ->> 'quorum')::integer, 0), CASE WHEN $1 -> 'approvals' ? 'quorum' THEN -1 END)"),
	SQL_FIELD(Supposed, expires_after, "($1 -> 'approvals' ->> 'expires_after')::interval"),
	SQL_FIELD(Supposed, requester_ignored, "NOT ($1 -> 'approvals' ->> 'requester_counts')::boolean")
};

/* A setting that may be supposed, and the gate that judges by it. */
typedef struct Setting
{
	const char *name;
	const char *const *members; /* of its object, or of the objects in its array; NULL: it is a plain value */
	bool		decommission;	/* does it judge a DECOMMISSION, too? */
	bool		claimed;		/* is it judged again when a worker claims what was queued? */
	void		(*judge) (Backtest *test, const Supposed *supposed);	/* NULL: history does not tell */
	const char *untold;			/* why not */
} Setting;

static void judge_freeze(Backtest *test, const Supposed *supposed);
static void judge_window(Backtest *test, const Supposed *supposed);
static void judge_plan(Backtest *test, const Supposed *supposed);
static void judge_path(Backtest *test, const Supposed *supposed);
static void judge_artifact(Backtest *test, const Supposed *supposed);
static void judge_soak(Backtest *test, const Supposed *supposed);
static void judge_proven(Backtest *test, const Supposed *supposed);
static void judge_reverts(Backtest *test, const Supposed *supposed);
static void judge_approvals(Backtest *test, const Supposed *supposed);

static const char *const window_members[] = {
	"name", "reason", "component", "selector", "during", "rule", "zone", "starts_at", "duration", "exdates", NULL
};
static const char *const approval_members[] = {"rule", "quorum", "expires_after", "requester_counts", NULL};

static const Setting settings[] = {
	/* name, members, decommission, claimed, judge, untold */
	{"freeze", window_members, true, true, judge_freeze, NULL},
	{"change_window", window_members, true, true, judge_window, NULL},
	{"source_policy", NULL, false, false, judge_path, NULL},
	{"require_artifact_digest", NULL, false, false, judge_artifact, NULL},
	{"require_plan", NULL, false, false, judge_plan, NULL},
	{"required_soak", NULL, false, false, judge_soak, NULL},
	{"require_proven_release", NULL, false, false, judge_proven, NULL},
	{"require_no_reverts", NULL, false, false, judge_reverts, NULL},
	{"approvals", approval_members, true, false, judge_approvals, NULL},
	{"require_source_in_sync", NULL, false, false, NULL, "whether the source was in sync then was not kept"},
	{"require_no_drift", NULL, false, false, NULL, "which differences were open and not dismissed then was not kept"},
	{"require_expected", NULL, false, false, NULL, "by which parameters the source had been rendered by then was not kept"},
	{"require_structure", NULL, false, false, NULL, "of which shape the two environments were then was not kept"},
	{"max_deployments_per_window", NULL, true, false, NULL, "what would have been queued in its place is not known"}
};

/* Refuse settings, for a reason that is a sentence. */
static void
refuse_settings(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("these are not settings of gates"),
			 errdetail("%s", detail),
			 errhint("Pass an object such as {\"required_soak\": \"1 day\"}; the reference lists the settings.")));
}

/* Has the object a member of that name? */
static bool
has_member(const JsonbValue *object, const char *name)
{
	uint32		ordinal;

	return json_find_ordinal(object, name, strlen(name), &ordinal);
}

/* The setting of that name; NULL: there is none. */
static const Setting *
setting_of(const JsonbValue *key)
{
	for (int i = 0; i < lengthof(settings); i++)
		if (strlen(settings[i].name) == key->val.string.len &&
			memcmp(settings[i].name, key->val.string.val, key->val.string.len) == 0)
			return &settings[i];
	return NULL;
}

/* Refuse an object with members that a setting's have not. */
static void
check_members(const Setting *setting, const JsonbValue *object)
{
	uint32		known = 0;
	List	   *names = NIL;

	if (!json_is_object(object))
		refuse_settings(psprintf("\"%s\" is an object.", setting->name));
	for (int i = 0; setting->members[i]; i++)
	{
		known += has_member(object, setting->members[i]);
		names = lappend(names, (char *) setting->members[i]);
	}
	if (known < json_count(object))
		refuse_settings(psprintf("\"%s\" has members that are none of %s.", setting->name,
								 names_joined(names)));
}

/* Refuse a setting of a wrong kind: one is a plain value, an object, or an array of objects. */
static void
check_setting(const Setting *setting, const JsonbValue *value)
{
	JsonCursor	cursor;
	JsonbValue	element;

	if (setting->members == NULL && value->type == jbvBinary)
		refuse_settings(psprintf("\"%s\" is a plain value.", setting->name));
	if (setting->members == NULL)
		return;
	if (setting->members != window_members || !json_is_array(value))
	{
		check_members(setting, value);
		return;
	}
	if (json_count(value) > MAX_WINDOWS)
		refuse_settings(psprintf("\"%s\" has at most %d windows.", setting->name, MAX_WINDOWS));
	json_cursor_init(&cursor, value->val.binary.data);
	while (json_next_element(&cursor, &element))
		check_members(setting, &element);
}

/* Settings that are being read. */
typedef struct SettingsReading
{
	const Sql  *sql;
	const Jsonb *document;
	Supposed	supposed;
} SettingsReading;

/* Read settings whose members are known.  Raises what is wrong with their values; attempt runs this. */
static void
read_settings(void *state)
{
	static Statement read = SQL_ROWS(supposed_fields, "SELECT $*");
	SettingsReading *reading = state;
	SqlRows		rows = sql_read(reading->sql, &read, AS_JSONB(reading->document));

	(void) sql_row(&rows, 0, &reading->supposed);
	reading->supposed.windows = window_suppose(reading->sql, reading->document);
}

/* A key as a message shows it. */
static char *
shown(const JsonbValue *key)
{
	return pnstrdup(key->val.string.val, pg_mbcliplen(key->val.string.val, key->val.string.len, MAX_SHOWN));
}

/* Is a duration longer than so many months?  Compared as the tables of rules do, which have the same bounds. */
static bool
is_longer(Interval *span, int32 months)
{
	Interval	bound = {.month = months};

	return DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(span), IntervalPGetDatum(&bound)));
}

/* Is a duration less than none? */
static bool
is_negative(Interval *span)
{
	Interval	none = {0};

	return DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(span), IntervalPGetDatum(&none)));
}

/* Refuse what is not an object of settings, PM_INVALID_ARGUMENT or PM_INVALID_WINDOW. */
static void
require_settings(const Sql *sql, const Jsonb *document)
{
	SettingsReading reading = {sql, document};
	const Supposed *supposed = &reading.supposed;
	JsonbValue	root;
	JsonbValue	key;
	JsonbValue	value;
	JsonCursor	cursor;
	Refusal		refusal;

	json_root(document, &root);
	if (!json_is_object(&root) || json_count(&root) == 0)
		refuse_settings("It is an object with at least one setting.");
	json_cursor_init(&cursor, root.val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		const Setting *setting = setting_of(&key);

		if (setting == NULL)
			refuse_settings(psprintf("There is no setting \"%s\".", shown(&key)));
		check_setting(setting, &value);
	}
	if (!attempt(read_settings, &reading, &refusal))
	{
		if (refusal.sqlstate == PM_INVALID_WINDOW)
			ReThrowError(refusal.error);
		refuse_settings(psprintf("A value cannot be read: %s.", refusal.message));
	}
	if (supposed->source_policy && strcmp(supposed->source_policy, "any") != 0 && strcmp(supposed->source_policy, "path") != 0)
		refuse_settings("\"source_policy\" is any or path.");
	if (has_member(&root, "approvals") && supposed->quorum < 0)
		refuse_settings("\"quorum\" is 1 or more.");
	if (supposed->required_soak &&
		(is_negative(supposed->required_soak) || is_longer(supposed->required_soak, MONTHS_PER_YEAR)))
		refuse_settings("\"required_soak\" is from 0 to 1 year.");
	if (supposed->expires_after &&
		(!is_longer(supposed->expires_after, 0) || is_longer(supposed->expires_after, 100 * MONTHS_PER_YEAR)))
		refuse_settings("\"expires_after\" is more than 0, and at most 100 years.");
}

/* ---- gates ---- */

/* Judge by the freezes or change windows that are supposed, unless nobody knows whom they were about. */
static void
judge_times(Backtest *test, const Supposed *supposed, void (*gate_judges) (const Sql *sql, GateCase *gate))
{
	if (window_selects(supposed->windows) && attributes_moved(test))
		test->past.untold = ATTRIBUTES_MOVED;
	else
	{
		test->gate.windows = supposed->windows;
		gate_judges(test->sql, &test->gate);
	}
}

/* By freezes. */
static void
judge_freeze(Backtest *test, const Supposed *supposed)
{
	judge_times(test, supposed, gate_freeze);
}

/* By change windows. */
static void
judge_window(Backtest *test, const Supposed *supposed)
{
	judge_times(test, supposed, gate_window);
}

/* What is deployed follows a plan. */
static void
judge_plan(Backtest *test, const Supposed *supposed)
{
	if (!supposed->require_plan || test->gate.plan != 0)
		return;
	if (test->imported)
		test->past.untold = "it was imported, and what was planned elsewhere was not kept";
	else
		gate_block(&test->gate, "plan", NULL, GATE_NO_TIME, GATE_NO_TIME, NULL, "it was deployed without a plan");
}

/* Promotions come along paths, those of now: they are a rule. */
static void
judge_path(Backtest *test, const Supposed *supposed)
{
	test->gate.path_only = supposed->source_policy && strcmp(supposed->source_policy, "path") == 0;
	gate_path(test->sql, &test->gate);
}

/* Releases have an artifact digest, which they are published with, or never get. */
static void
judge_artifact(Backtest *test, const Supposed *supposed)
{
	test->gate.require_artifact_digest = supposed->require_artifact_digest;
	gate_artifact(test->sql, &test->gate);
}

/* Let a gate judge that looks at other deployments, unless these are of an earlier generation. */
static void
judge_runs(Backtest *test, void (*gate_judges) (const Sql *sql, GateCase *gate))
{
	if (is_of_earlier_generation(test))
		test->past.untold = "an environment was archived and opened anew since";
	else
		gate_judges(test->sql, &test->gate);
}

/* The source had run what was promoted for long enough. */
static void
judge_soak(Backtest *test, const Supposed *supposed)
{
	test->gate.required_soak = supposed->required_soak;
	judge_runs(test, gate_soak);
}

/* The release had run where it came from. */
static void
judge_proven(Backtest *test, const Supposed *supposed)
{
	test->gate.require_proven_release = supposed->require_proven_release;
	judge_runs(test, gate_release_unproven);
}

/* A promotion undid nothing of the destination's own, by what its plan says. */
static void
judge_reverts(Backtest *test, const Supposed *supposed)
{
	test->gate.require_no_reverts = supposed->require_no_reverts;
	if (supposed->require_no_reverts && test->gate.plan == 0)
		test->past.untold = "it followed no plan, which would say what it undid";
	else
		gate_reverts(test->sql, &test->gate);
}

/* ---- approvals ---- */

/* A vote that counted when the gates were judged, and its rule; a rule without votes has one row. */
typedef struct CountedVote
{
	int32		place;			/* of the rule */
	char	   *rule;
	char	   *role;
	int32		quorum;
	Person		by;				/* actor NULL: nobody has voted */
	TimestampTz at;
} CountedVote;

static const SqlField counted_fields[] = {
	SQL_FIELD(CountedVote, place, "p.place::integer"),
	SQL_FIELD(CountedVote, rule, "p.poll ->> 'rule'"),
	SQL_FIELD(CountedVote, role, "p.poll ->> 'role'"),
	SQL_FIELD(CountedVote, quorum, "(p.poll -> 'quorum')::integer"),
	SQL_FIELD(CountedVote, by.actor, "v.vote ->> 'actor'"),
	SQL_FIELD(CountedVote, by.database_role, "v.vote ->> 'database_role'"),
	SQL_FIELD(CountedVote, at, "(v.vote ->> 'at')::timestamptz")
};

static const SqlField person_fields[] = {
	SQL_FIELD(Person, actor, "a.actor"), SQL_FIELD(Person, database_role, "a.database_role")
};

/* Is a person among those who had asked for the deployment: Person *? */
static bool
has_asked(const Person *person, const List *askers)
{
	ListCell   *cell;

	foreach(cell, askers)
		if (same_person(person, lfirst(cell)))
			return true;
	return false;
}

/* Would a vote that counted still have? */
static bool
still_counts(const Backtest *test, const Supposed *supposed, const CountedVote *vote, const List *askers)
{
	if (vote->by.actor == NULL || has_asked(&vote->by, askers))
		return false;
	return supposed->expires_after == NULL || gate_later(vote->at, supposed->expires_after) > test->gate.at;
}

/* Block where a rule, whose votes are rows from first to last, would not have been met. */
static void
judge_rule(Backtest *test, const Supposed *supposed, const List *votes, int first, int last, const List *askers)
{
	const CountedVote *rule = list_nth(votes, first);
	int32		quorum = supposed->quorum > 0 ? supposed->quorum : rule->quorum;
	List	   *names = NIL;

	for (int i = first; i <= last; i++)
	{
		const CountedVote *vote = list_nth(votes, i);

		if (still_counts(test, supposed, vote, askers))
			names = lappend(names, (char *) vote->by.actor);
	}
	if (list_length(names) < quorum)
		gate_block(&test->gate, "approval", rule->rule, GATE_NO_TIME, GATE_NO_TIME, psprintf("role %s", rule->role),
				   psprintf("rule \"%s\" would have asked for %d of role \"%s\": %d given%s%s", rule->rule, quorum, rule->role,
							list_length(names), names == NIL ? "" : ", by ", names_joined(names)));
}

/*
 * The approvals that counted then would have been enough.  Where no rule asked for
 * any, nobody knows who would have given them.
 */
static void
judge_approvals(Backtest *test, const Supposed *supposed)
{
	static Statement read = SQL_ROWS(counted_fields, "SELECT $* FROM promote.deployment AS d"
									 " CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(d.gates -> 'approvals')"
									 "  WITH ORDINALITY AS p (poll, place)"
									 " LEFT JOIN LATERAL pg_catalog.jsonb_array_elements(p.poll -> 'votes') AS v (vote) ON true"
									 " WHERE " OF_INSTANCE("d") " AND d.deployment = $4 AND ($5 IS NULL OR p.poll ->> 'rule' = $5)"
									 " ORDER BY p.place");
	static Statement read_askers = SQL_ROWS(person_fields, "SELECT $* FROM promote_internal.asked_then($1, $2, $3, $4) AS a");
	List	   *votes;
	List	   *askers = NIL;
	int32		deployment = test->gate.deployment;
	SqlRows		rows = sql_read(test->sql, &read, AS_KEY(&test->gate.key), AS_INT(deployment), AS_TEXT(supposed->rule));

	votes = sql_list(&rows, sizeof(CountedVote));
	if (votes == NIL)
	{
		test->past.untold = test->imported ? "it was imported, and nobody was asked here to approve it" :
			"no such rule asked anybody to approve it then";
		return;
	}
	if (supposed->requester_ignored)
	{
		rows = sql_read(test->sql, &read_askers, AS_KEY(&test->gate.key), AS_INT(deployment));
		askers = sql_list(&rows, sizeof(Person));
	}
	for (int first = 0; first < list_length(votes);)
	{
		int			last = first;

		while (last + 1 < list_length(votes) &&
			   ((CountedVote *) list_nth(votes, last + 1))->place == ((CountedVote *) list_nth(votes, first))->place)
			last++;
		judge_rule(test, supposed, votes, first, last, askers);
		first = last + 1;
	}
}

/* ---- for SQL ---- */

/* Where a policy counts. */
typedef struct PolicyScope
{
	char	   *project;		/* NULL: everywhere; so the others */
	char	   *environment;
	char	   *component;
} PolicyScope;

static const SqlField scope_fields[] = {
	SQL_FIELDS(PolicyScope, "p", project, environment, component)
};

/* A copy of a text that outlives the scope; NULL: none. */
static char *
keep(const Sql *sql, const char *text)
{
	return text ? MemoryContextStrdup(sql->caller, text) : NULL;
}

/*
 * Find where a policy counts, in a project or, where that is NULL, anywhere.
 * Refuses one that the caller does not see.
 */
static void
find_policy(const char *name, const char *project, PolicyScope *scope)
{
	static Statement read = SQL_ROWS(scope_fields, "SELECT $* FROM promote.policy AS p WHERE p.policy = $1"
									 " AND (p.project = $2 OR p.project IS NULL OR $2 IS NULL)");
	PolicyScope found = {NULL};
	Sql			sql;
	SqlRows		rows;
	bool		there;

	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(name), AS_TEXT(project));
	there = sql_row(&rows, 0, &found);
	*scope = (PolicyScope) {keep(&sql, found.project), keep(&sql, found.environment), keep(&sql, found.component)};
	sql_leave(&sql);
	if (!there || (scope->project && !grants_sees(scope->project)))
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no policy \"%s\"", name),
				 errdetail("None of that name counts there, as far as you see."),
				 errhint("promote.policy lists the policies; what is none yet is passed as body.")));
}

/* Refuse a call without a policy and a query, or with both. */
static void
refuse_no_policy(void)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("it is not clear what is to be asked"),
			 errdetail("Either a policy is asked, or a query as body."),
			 errhint("Pass the name of the policy, or body with a project.")));
}

/* The project of a call that names none: that of its policy. */
static char *
project_of(const PolicyScope *scope)
{
	if (scope->project == NULL)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the project is missing"),
				 errdetail("What is asked counts in more than one."),
				 errhint("Pass the project whose history is looked at.")));
	return scope->project;
}

/*
 * promote_internal.backtest_span(project text, since timestamptz, until
 * timestamptz, environment text, policy text, body text, settings jsonb) returns
 * record: project, since, until, environment, policy_environment, policy_component
 *
 * Of settings, policy and body one is asked, and checked here, so that what cannot
 * be asked is refused where there is nothing to ask about, too.
 */
Datum
promote_backtest_span(PG_FUNCTION_ARGS)
{
	char	   *policy = argument_text(fcinfo, 4);
	char	   *body = argument_text(fcinfo, 5);
	char	   *project;
	char	   *environment;
	PolicyScope scope = {NULL};
	TimestampTz since;
	TimestampTz until;
	Sql			sql;

	/* who may view nothing learns nothing of policies */
	(void) access_scopes("view");
	project = PG_ARGISNULL(0) && PG_ARGISNULL(6) ? NULL : report_project(fcinfo);
	environment = project ? report_environment(fcinfo, 3, "view", project) : NULL;
	if (PG_ARGISNULL(6) && (policy == NULL) == (body == NULL))
		refuse_no_policy();
	if (policy)
		find_policy(policy, project, &scope);
	if (project == NULL)
	{
		project = project_of(&scope);
		environment = report_environment(fcinfo, 3, "view", project);
	}
	report_take_span(fcinfo, &since, &until);
	sql_enter(&sql);
	if (body)
		policy_require_text(&sql, body);
	if (!PG_ARGISNULL(6))
		require_settings(&sql, PG_GETARG_JSONB_P(6));
	sql_leave(&sql);
	return result_row(fcinfo, AS_TEXT(project), sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(since)),
					  sql_value(TIMESTAMPTZOID, false, TimestampTzGetDatum(until)), AS_TEXT(environment),
					  AS_TEXT(scope.environment), AS_TEXT(scope.component));
}

/* Has a policy a selector that leaves some instances out? */
static bool
policy_selects(const Sql *sql, const char *policy)
{
	static Statement read = {"SELECT FROM promote.policy AS p WHERE p.policy = $1 AND p.selector <> '{}'"};

	return sql_read(sql, &read, AS_TEXT(policy)).count > 0;
}

/* Put a row of what a policy says. */
static void
put_answer(FunctionCallInfo fcinfo, const char *verdict, const char *code, const char *message, TimestampTz until)
{
	result_put(fcinfo, AS_TEXT(verdict), AS_TEXT(code), AS_TEXT(message), AS_TIME(until));
}

/* Put what was said of a case, or that it passes. */
static void
put_answers(FunctionCallInfo fcinfo, const Backtest *test)
{
	ListCell   *cell;

	foreach(cell, test->gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		put_answer(fcinfo, blocker->broken ? "error" : "blocked", blocker->code, blocker->message, blocker->until);
	}
	if (test->gate.blockers == NIL)
		put_answer(fcinfo, "passed", NULL, NULL, GATE_NO_TIME);
}

/*
 * promote_internal.backtest_policy(instance text, deployment integer, at
 * timestamptz, policy text, body text) returns table, see sql/report/backtest.sql
 */
Datum
promote_backtest_policy(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	char	   *policy = argument_text(fcinfo, 3);
	Backtest	test;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	InitMaterializedSRF(fcinfo, 0);
	CHECK_FOR_INTERRUPTS();
	sql_enter(&sql);
	open_past(&sql, &key, argument_number(fcinfo, 1, "deployment"), argument_time(fcinfo, 2, "at"), &test);
	/* what was not proposed had no number yet when it was judged, but for that of its plan */
	if (!test.proposed)
		test.gate.deployment = 0;
	if (policy == NULL)
	{
		policy_judge_text(&sql, &test.gate, argument_required(fcinfo, 4, "body"));
		put_answers(fcinfo, &test);
	}
	else if (policy_selects(&sql, policy) && attributes_moved(&test))
		put_answer(fcinfo, "undecided", "selector", ATTRIBUTES_MOVED, GATE_NO_TIME);
	else if (policy_judge(&sql, &test.gate, policy))
		put_answers(fcinfo, &test);
	sql_leave(&sql);
	return (Datum) 0;
}

/* Put a row of what gates say. */
static void
put_verdict(FunctionCallInfo fcinfo, const Backtest *test, const char *verdict, const char *code, const char *message,
			TimestampTz until)
{
	result_put(fcinfo, AS_TIME(test->gate.at), AS_TEXT(verdict), AS_TEXT(code), AS_TEXT(message), AS_TIME(until));
}

/*
 * Judge a deployment by a setting, and put what is said of it.  Returns whether
 * anything was.  What was let through when it was ordered may be held when it is
 * claimed.
 */
static bool
put_setting(FunctionCallInfo fcinfo, Backtest *test, const Setting *setting, const Supposed *supposed,
			const char *verdict)
{
	ListCell   *cell;

	test->gate.blockers = NIL;
	test->past.untold = setting->untold;
	if (setting->judge)
		setting->judge(test, supposed);
	foreach(cell, test->gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		put_verdict(fcinfo, test, verdict, blocker->code, blocker->message, blocker->until);
	}
	if (test->past.untold)
		put_verdict(fcinfo, test, "undecided", setting->name, test->past.untold, GATE_NO_TIME);
	return test->gate.blockers != NIL || test->past.untold;
}

/*
 * promote_internal.backtest_gates(instance text, deployment integer, ordered_at
 * timestamptz, begun_at timestamptz, settings jsonb) returns table, see
 * sql/report/backtest.sql
 */
Datum
promote_backtest_gates(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	SettingsReading reading = {.document = value_jsonb(fcinfo->args[4])};
	TimestampTz ordered_at = argument_time(fcinfo, 2, "ordered_at");
	TimestampTz begun_at = argument_time(fcinfo, 3, "begun_at");
	bool		said = false;
	Backtest	test;
	JsonbValue	root;
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &key);
	if (reading.document == NULL)
		argument_missing("settings");
	InitMaterializedSRF(fcinfo, 0);
	CHECK_FOR_INTERRUPTS();
	sql_enter(&sql);
	reading.sql = &sql;
	read_settings(&reading);
	open_past(&sql, &key, argument_number(fcinfo, 1, "deployment"), ordered_at, &test);
	json_root(reading.document, &root);
	for (int i = 0; i < lengthof(settings); i++)
	{
		const Setting *setting = &settings[i];

		if (!has_member(&root, setting->name) || !(setting->decommission || gate_provisions(&test.gate)))
			continue;
		if (put_setting(fcinfo, &test, setting, &reading.supposed, "blocked"))
			said = true;
		else if (setting->claimed)
		{
			test.gate.at = begun_at;
			said |= put_setting(fcinfo, &test, setting, &reading.supposed, "held");
			test.gate.at = ordered_at;
		}
	}
	if (!said)
		put_verdict(fcinfo, &test, "passed", NULL, NULL, GATE_NO_TIME);
	sql_leave(&sql);
	return (Datum) 0;
}
