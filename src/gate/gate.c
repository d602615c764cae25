/*
 * gate.c: the reasons why something may not be deployed.
 *
 * A gate is a function of its area that adds its reasons to the case.  What
 * the case is stands in gate/case.c, and which gates there are in
 * gate/judge.c.
 */
#include "postgres.h"

#include "base/errors.h"
#include "gate/gate.h"

#include "lib/stringinfo.h"

/* Add a reason why the case may not run; the strings are copied. */
void
gate_block(GateCase *gate, const char *code, bool overridable, TimestampTz since,
		   TimestampTz until, const char *liftable_by, const char *message)
{
	Blocker    *blocker = palloc0(sizeof(Blocker));

	blocker->code = pstrdup(code);
	blocker->subject = "";
	blocker->message = pstrdup(message);
	blocker->since = since;
	blocker->until = until;
	blocker->liftable_by = liftable_by ? pstrdup(liftable_by) : NULL;
	blocker->overridable = overridable;
	gate->blockers = lappend(gate->blockers, blocker);
}

/*
 * Say what the last reason is about, in words that do not move with time: an
 * override holds for the subjects that it was given for.
 */
void
gate_about(GateCase *gate, const char *subject)
{
	((Blocker *) llast(gate->blockers))->subject = pstrdup(subject);
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
			 errmsg("\"%s\" may not be %s now", gate->instance,
					strcmp(gate->action, "PROVISION") == 0 ? "deployed" : "decommissioned"),
			 errdetail_internal("%s", gate_reasons(gate)),
			 errhint("promote.blockers shows the same, promote.next_possible when time alone has opened the gates; promote.override_gate overrides what may be.")));
}
