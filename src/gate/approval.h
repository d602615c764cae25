/*
 * approval.h: who has to agree to what is planned, and who has.
 */
#ifndef PROMOTE_GATE_APPROVAL_H
#define PROMOTE_GATE_APPROVAL_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/sql.h"
#include "gate/gate.h"
#include "grant/actor.h"
#include "json/builder.h"
#include "promotion/deployment.h"

#define APPROVAL_VOTED "voted"	/* the code of a vote that stands already */

/* What has become of a vote. */
typedef struct VoteOutcome
{
	int32		given;			/* rules under which it was recorded */
	int32		standing;		/* rules under which the person has voted so already */
	const char *code;			/* why not under another rule, the first of them; NULL: there is none */
	StringInfoData words;		/* a line for each such rule, and for each of those that stand */
} VoteOutcome;

extern bool approval_votes_on(const Deployment *deployment);
extern bool approval_is_own(const Sql *sql, const GateCase *gate, const Person *person);
extern void approval_vote(const Sql *sql, const GateCase *gates, int count, bool approved, const char *reason,
						  VoteOutcome *outcomes);
extern void approval_check_own(const Sql *sql, const GateCase *gate);
extern void approvals_counted(const Sql *sql, const GateCase *gate, JsonBuilder *builder);

#endif							/* PROMOTE_GATE_APPROVAL_H */
