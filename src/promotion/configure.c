/*
 * configure.c: editing an instance's desired state in place.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "parse/version.h"
#include "promotion/stage.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_configure_instance);

/* The constraint and channel of an argument; both NULL where the argument is. */
static void
take_constraint(const char *argument, char **constraint, const char **channel)
{
	bool		development;

	*constraint = NULL;
	*channel = NULL;
	if (argument == NULL)
		return;
	version_parse_constraint(argument, constraint, &development);
	*channel = development ? "development" : "stable";
}

/*
 * promote.configure_instance(instance text, patch jsonb, version_constraint
 * text, message text, expected_revision integer, plan boolean, allow_replace
 * boolean) returns a row, see sql/promotion/configure.sql
 */
Datum
promote_configure_instance(PG_FUNCTION_ARGS)
{
	Staging		staging = {.origin = ORIGIN_EDIT,.message = argument_text(fcinfo, 3)};
	InstanceKey key;
	char	   *constraint;
	const char *channel;
	ProposedRevision proposed;
	Proposal   *proposal = &proposed.proposal;
	Sql			sql;
	Staged		staged;

	argument_instance_for(fcinfo, 0, "instance", "configure", &key);
	staging.overrides = argument_overrides(fcinfo, 1, "patch");
	take_constraint(argument_text(fcinfo, 2), &constraint, &channel);
	sql_enter(&sql);
	instance_lock(&sql, &key, true);
	proposal_from(&sql, &key, key.environment, constraint, channel, false, &proposed);
	if (proposed.version_constraint == NULL)
		proposal_from(&sql, &key, key.environment, "latest", "stable", false, &proposed);
	stage_check_revision(fcinfo, 4, &proposed);
	proposal_require_release(&sql, &proposed);
	proposal->params = compose_edit(proposal, staging.overrides);
	proposal->allow_replace = argument_bool(fcinfo, 6, false);
	proposed.plan = argument_bool(fcinfo, 5, true);
	stage_write(&sql, &staging, &proposed, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}
