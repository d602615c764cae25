/*
 * overriding.c: overriding gates, in the open, and reviewing that afterwards.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "gate/approval.h"
#include "gate/override.h"
#include "ledger/guard.h"
#include "ledger/notify.h"
#include "registry/instance.h"
#include "registry/rule.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(promote_guard_override_rule);
PG_FUNCTION_INFO_V1(promote_override_gate);
PG_FUNCTION_INFO_V1(promote_review_override);

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

/* The reasons at a gate that stand, and may be overridden by the caller. */
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
	/* it is to approve it oneself */
	if (found != NIL && strcmp(code, "approval") == 0)
		approval_check_own(sql, gate);
	if (found != NIL && !override_may(sql, &gate->key, code, &person))
		refuse_override(gate, code,
						psprintf("Role \"%s\" is no member of a role that may.", person.database_role),
						"promote.override_rule has those who may.");
	return found;
}

/* Texts as an array. */
static Datum
text_array(const List *blockers, bool subjects)
{
	Datum	   *elements = palloc(list_length(blockers) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, blockers)
	{
		const Blocker *blocker = lfirst(cell);

		elements[count++] = CStringGetTextDatum(subjects ? blocker->subject : blocker->message);
	}
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Append what happened at a gate to the instance's chain. */
static void
record(const Sql *sql, const GateCase *gate, const char *event, Jsonb *data)
{
	Notice		notice = {gate->instance, 0, gate->deployment, "OVERRIDE", NULL};

	audit_note(sql, gate->key.project, gate->instance, event, data);
	notify(&notice);
}

/* Write an override of these reasons; returns its row, in SPI's memory. */
static Datum
write_override(const Sql *sql, const GateCase *gate, const char *code, const char *reason, const List *blockers)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.gate_override AS o (project, environment, component, deployment, code,"
		" override, plan_digest, subjects, messages, reason) VALUES ($1, $2, $3, $4, $5,"
		" 1 + (SELECT pg_catalog.count(*) FROM promote.gate_override AS b WHERE " OF_INSTANCE("b")
		"  AND b.deployment = $4 AND b.code = $5), $6, $7, $8, $9) RETURNING o, promote_internal.audit_facts(o, '{}')",
		.parameters = 9,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID}
	};
	bool		nulls[9] = {[5] = gate->plan_digest == NULL};
	Datum		values[9];
	bool		isnull;
	Datum		row;

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = CStringGetTextDatum(code);
	values[5] = PointerGetDatum(gate->plan_digest);
	values[6] = text_array(blockers, true);
	values[7] = text_array(blockers, false);
	values[8] = CStringGetTextDatum(reason);
	old_guarded_run(sql, &insert, values, nulls);
	row = spi_value(SPI_tuptable, 0, 1, &isnull);
	record(sql, gate, "gate.overridden", spi_jsonb(SPI_tuptable, 0, 2));
	return row;
}

/* The last override of a gate of a deployment; refuses where there is none. */
static Datum
last_override(const Sql *sql, const GateCase *gate, const char *code)
{
	static OldStatement read = {
		.text = "SELECT o FROM promote.gate_override AS o WHERE " OF_INSTANCE("o")
		" AND o.deployment = $4 AND o.code = $5 ORDER BY o.override DESC LIMIT 1",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID}
	};
	Datum		values[5];
	bool		isnull;

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = CStringGetTextDatum(code);
	statement_run(sql, &read, values, NULL, false);
	if (SPI_processed == 0)
		refuse_override(gate, code, "It does not block.",
						"promote.blockers shows what does; an override is for what somebody has seen.");
	return spi_value(SPI_tuptable, 0, 1, &isnull);
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
	gate_judge(&sql, &gate, false);
	blockers = standing(&sql, &gate, code);
	return deployment_result(&sql, blockers == NIL ? last_override(&sql, &gate, code) :
							 write_override(&sql, &gate, code, reason, blockers));
}

/* The overrides of a gate that nobody has looked at, and others than the caller made: their numbers. */
static ArrayType *
open_overrides(const Sql *sql, const GateCase *gate, const char *code)
{
	static OldStatement read = {
		.text = "SELECT o.override, o.actor, o.database_role FROM promote.gate_override AS o"
		" WHERE " OF_INSTANCE("o") " AND o.deployment = $4 AND o.code = $5"
		" AND NOT EXISTS (SELECT FROM promote.override_review AS x WHERE " OF_INSTANCE("x")
		"  AND x.deployment = $4 AND x.code = $5 AND x.override = o.override)",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID}
	};
	const Person person = current_person();
	SPITupleTable *rows;
	Datum		values[5];
	Datum	   *numbers;
	int			count = 0;

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = CStringGetTextDatum(code);
	statement_run(sql, &read, values, NULL, false);
	rows = SPI_tuptable;
	numbers = palloc(Max(rows->numvals, 1) * sizeof(Datum));
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		Person		by = {.actor = spi_text(rows, i, 2),.database_role = spi_text(rows, i, 3)};

		if (!same_person(&person, &by))
			numbers[count++] = Int32GetDatum(spi_integer(rows, i, 1));
	}
	return construct_array(numbers, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);
}

/* Note that they were looked at.  Returns how many. */
static int64
write_reviews(const Sql *sql, const GateCase *gate, const char *code, const char *review)
{
	static OldStatement insert = {
		.text = "INSERT INTO promote.override_review AS v (project, environment, component, deployment, code,"
		" override, review) SELECT $1, $2, $3, $4, $5, o.override, $6"
		" FROM pg_catalog.unnest($7) AS o (override) ORDER BY o.override RETURNING promote_internal.audit_facts(v, '{}')",
		.parameters = 7,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT4ARRAYOID}
	};
	bool		nulls[7] = {[5] = review == NULL};
	Datum		values[7];
	SPITupleTable *rows;

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = CStringGetTextDatum(code);
	values[5] = review ? CStringGetTextDatum(review) : (Datum) 0;
	values[6] = PointerGetDatum(open_overrides(sql, gate, code));
	old_guarded_run(sql, &insert, values, nulls);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
		record(sql, gate, "override.reviewed", spi_jsonb(rows, i, 1));
	return rows->numvals;
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
	int64		count;

	argument_instance_for(fcinfo, 0, "instance", "override", &gate.key);
	gate.deployment = argument_number(fcinfo, 1, "deployment");
	gate.instance = instance_key_name(&gate.key);
	sql_enter(&sql);
	instance_lock(&sql, &gate.key, true);
	deployment_load(&sql, &gate.key, gate.deployment, &deployment);
	(void) last_override(&sql, &gate, code);
	count = write_reviews(&sql, &gate, code, argument_text(fcinfo, 3));
	sql_leave(&sql);
	PG_RETURN_INT32((int32) count);
}

/*
 * promote_internal.guard_override_rule() returns trigger
 *
 * BEFORE INSERT or UPDATE of override_rule, for each row.  A role that is not
 * there lets nobody override: no error, for a dump may be restored before its
 * roles are.
 */
Datum
promote_guard_override_rule(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "guard_override_rule", "override_rule",
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *code = SPI_getvalue(row, row_type, SPI_fnumber(row_type, "code"));
	char	   *role = SPI_getvalue(row, row_type, SPI_fnumber(row_type, "role"));

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
