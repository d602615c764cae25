/*
 * overriding.c: overriding gates where everybody can see it, and reviewing the
 * overrides afterwards.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "gate/approval.h"
#include "ledger/audit.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "registry/instance.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_override_gate);
PG_FUNCTION_INFO_V1(promote_review_override);

#define OF_GATE(as) OF_INSTANCE(as) " AND " as ".deployment = $4 AND " as ".code = $5"
#define AS_GATE(gate, code) AS_KEY(&(gate)->key), AS_INT((gate)->deployment), AS_TEXT(code)

/* A row of promote.gate_override. */
typedef struct Override
{
	int32		number;
	Person		by;
	HeapTupleHeader row;		/* the whole of it */
	Jsonb	   *facts;			/* for the audit log */
} Override;

static const SqlField override_fields[] = {
	SQL_FIELD(Override, number, "o.override"),
	SQL_FIELD(Override, by.actor, "o.actor"),
	SQL_FIELD(Override, by.database_role, "o.database_role"),
	SQL_FIELD(Override, row, "o"),
	SQL_FIELD(Override, facts, "promote_internal.audit_facts(o, '{}')")
};

/* Refuse to override, saying why and what there is to do. */
static void
refuse_override(const GateCase *gate, const char *code, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(PM_NOT_OVERRIDABLE),
			 errmsg("gate \"%s\" of \"%s\" cannot be overridden", code, gate->instance),
			 errdetail_internal("%s", why),
			 errhint("%s", hint)));
}

/* The reasons of a gate that stand.  Refuses if the caller may not override one of them. */
static List *
standing(const Sql *sql, const GateCase *gate, const char *code)
{
	const Person person = current_person();
	List	   *found = NIL;
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		Blocker    *blocker = lfirst(cell);

		if (strcmp(blocker->code, code) != 0 || blocker->overridden)
			continue;
		if (!blocker->overridable)
			refuse_override(gate, code, "No override_rule of its environment allows it.",
							"Mend what blocks, or have a row in promote.override_rule.");
		found = lappend(found, blocker);
	}
	/* to override the approval is to approve */
	if (found != NIL && strcmp(code, "approval") == 0)
		approval_check_own(sql, gate);
	if (found != NIL && !override_may(sql, &gate->key, code, &person))
		refuse_override(gate, code,
						psprintf("Role \"%s\" is no member of a role that may.", person.database_role),
						"promote.override_rule has those who may.");
	return found;
}

/* The subjects or messages of reasons, as an array of text. */
static Datum
text_array(const List *blockers, bool subjects)
{
	List	   *texts = NIL;
	ListCell   *cell;

	foreach(cell, blockers)
	{
		const Blocker *blocker = lfirst(cell);

		texts = lappend(texts, unconstify(char *, subjects ? blocker->subject : blocker->message));
	}
	return names_array(texts);
}

/* Append what happened at a gate to the instance's chain, and tell listeners. */
static void
record(const Sql *sql, const GateCase *gate, const char *event, Jsonb *data)
{
	audit_note(sql, gate->key.project, gate->instance, event, data);
	notify(&(Notice) {gate->instance, 0, gate->deployment, "OVERRIDE", NULL});
}

/* Write an override of these reasons; returns its row, in SPI's memory. */
static Datum
write_override(const Sql *sql, const GateCase *gate, const char *code, const char *reason, const List *blockers)
{
	static Statement insert = SQL_ROWS(override_fields, "INSERT INTO promote.gate_override AS o (project, environment,"
									   " component, deployment, code, override, plan_digest, subjects, messages, reason)"
									   " VALUES ($1, $2, $3, $4, $5,"
									   " 1 + (SELECT pg_catalog.count(*) FROM promote.gate_override AS b WHERE " OF_GATE("b") "),"
									   " $6, $7, $8, $9) RETURNING $*");
	SqlRows		rows = guarded_run(sql, &insert, AS_GATE(gate, code), AS_BYTEA(gate->plan_digest),
								   AS_TEXTS(text_array(blockers, true)), AS_TEXTS(text_array(blockers, false)),
								   AS_TEXT(reason));
	Override	written;

	if (!sql_row(&rows, 0, &written))
		elog(ERROR, "the override was not written: a trigger or a rule has skipped it");
	record(sql, gate, "gate.overridden", written.facts);
	return PointerGetDatum(written.row);
}

/* The last override of a gate of a deployment; refuses where there is none. */
static Datum
last_override(const Sql *sql, const GateCase *gate, const char *code)
{
	static Statement read = {"SELECT o FROM promote.gate_override AS o WHERE " OF_GATE("o")
		" ORDER BY o.override DESC LIMIT 1"};
	SqlRows		rows = sql_run(sql, &read, AS_GATE(gate, code));

	if (rows.count == 0)
		refuse_override(gate, code, "It does not block.",
						"promote.blockers shows what does; an override is for what somebody has seen.");
	return sql_datum(&rows, 0).value;
}

/*
 * promote.override_gate(instance text, deployment integer, code text, reason
 * text) returns promote.gate_override
 */
Datum
promote_override_gate(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	Sql			sql;
	GateCase	gate;
	int32		deployment;
	char	   *code = argument_required(fcinfo, 2, "code");
	char	   *reason = argument_required(fcinfo, 3, "reason");
	List	   *blockers;

	argument_instance_for(fcinfo, 0, "instance", "override", &key);
	deployment = argument_number(fcinfo, 1, "deployment");
	sql_enter(&sql);
	rule_hold_case(&sql, &key);
	gate_open(&sql, &key, deployment, GetCurrentTimestamp(), &gate);
	gate_judge(&sql, &gate, GATES_ALL);
	blockers = standing(&sql, &gate, code);
	return deployment_result(&sql, blockers == NIL ? last_override(&sql, &gate, code) :
							 write_override(&sql, &gate, code, reason, blockers));
}

/*
 * Write a review of each override of a gate that has none and that somebody else
 * than the caller has made.  Returns how many these are.
 */
static int32
write_reviews(const Sql *sql, const GateCase *gate, const char *code, const char *review)
{
	static Statement read = SQL_ROWS(override_fields, "SELECT $* FROM promote.gate_override AS o WHERE " OF_GATE("o")
									 " AND NOT EXISTS (SELECT FROM promote.override_review AS x WHERE " OF_GATE("x")
									 "  AND x.override = o.override) ORDER BY o.override");
	static Statement insert = {"INSERT INTO promote.override_review AS v (project, environment, component, deployment,"
		" code, override, review) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING promote_internal.audit_facts(v, '{}')"};
	const Person person = current_person();
	SqlRows		rows = sql_run(sql, &read, AS_GATE(gate, code));
	Override	open;
	int32		count = 0;

	for (uint64 i = 0; sql_row(&rows, i, &open); i++)
		if (!same_person(&person, &open.by))
		{
			SqlRows		written = guarded_run(sql, &insert, AS_GATE(gate, code), AS_INT(open.number), AS_TEXT(review));

			record(sql, gate, "override.reviewed", sql_jsonb(&written, 0));
			count++;
		}
	return count;
}

/*
 * promote.review_override(instance text, deployment integer, code text,
 * review text) returns integer
 */
Datum
promote_review_override(PG_FUNCTION_ARGS)
{
	Sql			sql;
	GateCase	gate = {.blockers = NIL};
	Deployment	deployment;
	char	   *code = argument_required(fcinfo, 2, "code");
	int32		count;

	argument_instance_for(fcinfo, 0, "instance", "override", &gate.key);
	gate.deployment = argument_number(fcinfo, 1, "deployment");
	gate.instance = instance_key_name(&gate.key);
	sql_enter(&sql);
	instance_lock(&sql, &gate.key, true);
	deployment_load(&sql, &gate.key, gate.deployment, &deployment);
	(void) last_override(&sql, &gate, code);
	count = write_reviews(&sql, &gate, code, argument_text(fcinfo, 3));
	sql_leave(&sql);
	PG_RETURN_INT32(count);
}

/*
 * promote_internal.guard_override_rule() returns trigger
 *
 * BEFORE INSERT or UPDATE of override_rule, for each row.  A role that does not
 * exist gets a warning, not an error, since a dump may be restored before its
 * roles.
 */
Datum
TRIGGER_FUNCTION(promote_guard_override_rule)
{
	TriggerData *data = trigger_data(fcinfo, "override_rule", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *code = trigger_text(data, row, "code");
	char	   *role = trigger_text(data, row, "role");

	if (code && !gate_is_overridable(code))
		ereport(ERROR,
				(errcode(PM_NOT_OVERRIDABLE),
				 errmsg("gate \"%s\" is never overridden", code),
				 errdetail("What it blocks would not be what was reviewed, or not be possible."),
				 errhint("promote.gates() shows which may be.")));
	if (role && !role_exists(role))
		ereport(WARNING,
				(errmsg("role \"%s\" does not exist", role),
				 errdetail("Nobody may override gate \"%s\" by this rule.", code),
				 errhint("CREATE ROLE, or name another one.")));
	return PointerGetDatum(row);
}
