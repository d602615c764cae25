/*
 * gate.c: the reasons why something may not be deployed.
 *
 * A gate is a function that adds its reasons to the case.  What the case is
 * stands in gate/case.c, and which gates there are in gate/judge.c.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "gate/gate.h"

/* Would something be provisioned, and not taken away? */
bool
gate_provisions(const GateCase *gate)
{
	return gate->action == ACTION_PROVISION;
}

/* Would something be deployed that was promoted from another instance, whose revision is there? */
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

/* The texts of a result's one column with commas between them, and how many there are beyond so many. */
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

/* A time and a duration, as promote_internal.later adds them: in UTC, whatever the session's time zone. */
TimestampTz
gate_later(TimestampTz at, const Interval *span)
{
	/* a timestamp without time zone counts the same microseconds, and knows no daylight saving */
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(at),
												 IntervalPGetDatum(span)));
}

/*
 * Add a reason why the case may not run.  The subject says what it is about
 * (NULL: nothing else than the case) in words that do not move with time: an
 * override holds for the subjects that it was given for.  Who asks the gate
 * takes back that it is overridable where its code is not.
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

/* The reasons that stand, for people, a line each. */
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

/* Refuse what is not to run: PM_GATES_CLOSED with every reason.  The case is judged. */
void
gate_refuse(const GateCase *gate)
{
	ereport(ERROR,
			(errcode(PM_GATES_CLOSED),
			 errmsg("\"%s\" may not be %s now", gate->instance, gate_provisions(gate) ? "deployed" : "decommissioned"),
			 errdetail_internal("%s", gate_reasons(gate)),
			 errhint("promote.blockers shows the same, promote.next_possible when time alone has opened the gates; promote.override_gate overrides what may be.")));
}
