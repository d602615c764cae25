/*
 * voting.c: approving and rejecting: what becomes of votes.
 */
#include "postgres.h"

#include "base/errors.h"
#include "deployment/voting.h"
#include "gate/approval.h"
#include "ledger/notify.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

/* Tell listeners that there was a vote. */
static void
notify_vote(const GateCase *gate, bool approved)
{
	Notice		notice = {gate->instance, 0, gate->deployment, approved ? "APPROVE" : "REJECT", NULL};

	notify(&notice);
}

/*
 * Record the caller's vote on a completed plan.  Raises PM_INVALID_APPROVAL
 * where it would count under no rule.  Runs under
 * the locks of the case.
 */
void
approval_vote_plan(const Sql *sql, const Deployment *plan, bool approved, const char *reason)
{
	GateCase	gate;
	StringInfoData refused;

	initStringInfo(&refused);
	gate_open(sql, &plan->key, plan->deployment, GetCurrentTimestamp(), &gate);
	if (approval_vote(sql, &gate, approved, reason, &refused) == 0)
		ereport(ERROR,
				(errcode(PM_INVALID_APPROVAL),
				 errmsg("\"%s\" has no vote on plan %d of \"%s\"", current_actor(), plan->deployment,
						gate.instance),
				 refused.len > 0 ? errdetail_internal("%s", refused.data) :
				 errdetail("No rule of environment \"%s\" asks for approvals of it.", plan->key.environment),
				 errhint("promote.approval_status shows whose approval is asked for; the rules are in promote.approval_rule.")));
	notify_vote(&gate, approved);
}

/*
 * Record the caller's vote on a proposal.  True where it has to stay one,
 * because others have to approve, too, or another gate is closed: a NOTICE
 * says so.  Where nothing was recorded it is up to the gates.  Runs under the locks of the case.
 */
bool
approval_vote_proposal(const Sql *sql, const Deployment *proposal, const char *message)
{
	GateCase	gate;
	StringInfoData refused;

	if (proposal->action == ACTION_PLAN)
		return false;
	initStringInfo(&refused);
	gate_open(sql, &proposal->key, proposal->deployment, GetCurrentTimestamp(), &gate);
	approval_check_own(sql, &gate);
	if (gate.plan_digest == NULL || approval_vote(sql, &gate, true, message, &refused) == 0)
		return false;
	notify_vote(&gate, true);
	gate_judge(sql, &gate, false);
	if (!gate_is_closed(&gate))
		return false;
	ereport(NOTICE,
			(errmsg("deployment %d of \"%s\" stays a proposal", proposal->deployment, gate.instance),
			 errdetail_internal("%s", gate_reasons(&gate)),
			 errhint("The approval is kept.")));
	return true;
}
