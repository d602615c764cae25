/*
 * gate.c: the reasons why something may not be deployed.
 *
 * A gate is a function that adds its reasons to a case.  gate/case.c reads the
 * case, gate/judge.c lists the gates.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/refusal.h"
#include "gate/gate.h"

/* Would the case provision something, rather than decommission it? */
bool
gate_provisions(const GateCase *gate)
{
	return gate->action == ACTION_PROVISION;
}

/* Was the revision promoted from another instance, whose revision still exists? */
bool
gate_has_source(const GateCase *gate)
{
	return gate->source_environment && gate->source_digest;
}

/* Name of the instance that the revision was promoted from. */
char *
gate_source_name(const GateCase *gate)
{
	InstanceKey source = gate->key;

	source.environment = (char *) gate->source_environment;
	return instance_key_name(&source);
}

/* The texts of a result's one column with commas between them: up to most of them, and how many more there are. */
char *
gate_names(const SqlRows *rows, uint64 most)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint64 i = 0; i < rows->count && i < most; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", sql_text(rows, i));
	if (rows->count > most)
		appendStringInfo(&names, " and " UINT64_FORMAT " more", rows->count - most);
	return names.data;
}

/* Add a duration to a time as promote_internal.later does: in UTC, whatever the session's time zone. */
TimestampTz
gate_later(TimestampTz at, const Interval *span)
{
	/* a timestamp without time zone counts the same microseconds, and knows no daylight saving */
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(at),
												 IntervalPGetDatum(span)));
}

/*
 * Add a reason why the case may not run, and return it.  The subject says what
 * the reason is about; NULL: the case as a whole.  An override holds for the
 * subjects that it was given for, so the words of a subject change only when the
 * reason becomes another one.  The reason is marked as overridable: gate/judge.c
 * takes that back where the gate is not.
 */
Blocker *
gate_block(GateCase *gate, const char *code, const char *subject, TimestampTz since, TimestampTz until,
		   const char *liftable_by, const char *message)
{
	Blocker    *blocker = palloc0(sizeof(Blocker));

	blocker->code = code;
	blocker->subject = subject ? subject : "";
	blocker->message = message;
	blocker->since = since;
	blocker->until = until;
	blocker->liftable_by = liftable_by;
	blocker->overridable = true;
	gate->blockers = lappend(gate->blockers, blocker);
	return blocker;
}

/* Does any reason stand that was not overridden? */
bool
gate_is_closed(const GateCase *gate)
{
	ListCell   *cell;

	foreach(cell, gate->blockers)
		if (!((Blocker *) lfirst(cell))->overridden)
			return true;
	return false;
}

/* Add a reason to the array that is open. */
void
gate_build_reason(JsonBuilder *builder, const char *code, const char *message, TimestampTz until,
				  const char *liftable_by)
{
	json_build_begin_object(builder);
	json_build_field(builder, "code", code);
	json_build_field(builder, "message", message);
	if (until != GATE_NO_TIME)
		json_build_field(builder, "until", audit_time(until));
	if (liftable_by)
		json_build_field(builder, "liftable_by", liftable_by);
	json_build_end_object(builder);
}

/* The reasons that stand, a line each, for people. */
char *
gate_reasons(const GateCase *gate)
{
	StringInfoData lines;
	ListCell   *cell;

	initStringInfo(&lines);
	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (blocker->overridden)
			continue;
		appendStringInfo(&lines, "%s%s: %s", lines.len > 0 ? "\n" : "", blocker->code, blocker->message);
		if (blocker->until != GATE_NO_TIME)
			appendStringInfo(&lines, " (until %s)", timestamptz_to_str(blocker->until));
		if (blocker->liftable_by)
			appendStringInfo(&lines, " (%s)", blocker->liftable_by);
	}
	return lines.data;
}

/* A time of a blocker; NULL where it is not known. */
static const char *
time_or_null(TimestampTz at)
{
	return at == GATE_NO_TIME ? NULL : audit_time(at);
}

/* Refuse a case that was judged: PM_GATES_CLOSED with every reason that stands. */
void
gate_refuse(const GateCase *gate)
{
	RefusalItems items = {.count = 0};
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			refusal_item(&items, "code", blocker->code, "message", blocker->message,
						 "since", time_or_null(blocker->since), "until", time_or_null(blocker->until),
						 "liftable_by", blocker->liftable_by);
	}
	ereport(ERROR,
			(errcode(PM_GATES_CLOSED),
			 errmsg("\"%s\" may not be %s now", gate->instance, gate_provisions(gate) ? "deployed" : "decommissioned"),
			 errdetail_items(gate_reasons(gate), "blockers", &items),
			 errhint("promote.blockers%s shows the same, promote.next_possible when time alone has opened the gates; promote.override_gate overrides what may be.",
					 gate_provisions(gate) ? "" : "(..., action => 'DECOMMISSION')")));
}
