/*
 * configure.c: editing an instance's desired state in place, and previewing that.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "base/argument.h"
#include "base/compat.h"
#include "grant/grants.h"
#include "parse/version.h"
#include "promotion/preview.h"
#include "promotion/promotion.h"
#include "promotion/proposal_single.h"
#include "promotion/stage.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_configure_instance);
PG_FUNCTION_INFO_V1(promote_preview_configuration);

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

/* Take the arguments that an edit and its preview begin with; action is the grant that the instance needs. */
static void
take_edit(FunctionCallInfo fcinfo, const char *action, Promotion *edit)
{
	argument_instance_for(fcinfo, 0, "instance", action, &edit->destination);
	edit->source = edit->destination;
	edit->overrides = argument_overrides(fcinfo, 1, "patch");
	edit->edit_constraint = argument_text(fcinfo, 2);
	edit->edits = true;
}

/* Read the instance, and compose what it is to desire. */
static void
read_edit(const Sql *sql, Promotion *edit, bool read_only)
{
	const InstanceKey *key = &edit->destination;
	ProposedRevision *proposed = &edit->proposed;
	Proposal   *proposal = &proposed->proposal;
	char	   *constraint;
	const char *channel;

	take_constraint(edit->edit_constraint, &constraint, &channel);
	proposal_from(sql, key, key->environment, constraint, channel, read_only, proposed);
	if (proposed->version_constraint == NULL)
		proposal_from(sql, key, key->environment, "latest", "stable", read_only, proposed);
	proposal_require_release(sql, proposed);
	promotion_take_preset(sql, edit, read_only);
	edit->base = edit->source_params = compose_edit_base(proposal);
	proposal->params = compose_edit(proposal, edit->base, edit->overrides);
}

/*
 * promote.configure_instance(instance text, patch jsonb, version_constraint
 * text, message text, expected_revision integer, plan boolean, allow_replace
 * boolean, preset text, fill_defaults boolean) returns a row, see
 * sql/promotion/configure.sql
 */
Datum
promote_configure_instance(PG_FUNCTION_ARGS)
{
	Staging		staging = {.origin = ORIGIN_EDIT,.message = argument_text(fcinfo, 3)};
	Promotion	edit = {.edits = true};
	Sql			sql;
	Staged		staged;

	take_edit(fcinfo, "configure", &edit);
	choice_take_filling(fcinfo, 7, &edit.choice);
	staging.overrides = edit.overrides;
	sql_enter(&sql);
	instance_lock(&sql, &edit.destination, true);
	read_edit(&sql, &edit, false);
	stage_check_revision(fcinfo->args[4], &edit.proposed);
	edit.proposed.proposal.allow_replace = argument_bool(fcinfo, 6, false);
	edit.proposed.plan = argument_bool(fcinfo, 5, true);
	stage_write(&sql, &staging, &edit.proposed, sql.caller, &staged);
	sql_leave(&sql);
	return stage_result(fcinfo, &staged);
}

/*
 * promote.preview_configuration(instance text, patch jsonb, version_constraint
 * text, preset text, fill_defaults boolean) returns table, see
 * sql/promotion/configure.sql
 */
Datum
promote_preview_configuration(PG_FUNCTION_ARGS)
{
	Promotion	edit = {.edits = true};
	Sql			sql;
	bool		views_only;

	take_edit(fcinfo, "view", &edit);
	promotion_require_own_placeholders(&edit, "configure");
	views_only = !grants_may("configure", edit.destination.project, edit.destination.environment);
	choice_take_filling(fcinfo, 3, &edit.choice);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	read_edit(&sql, &edit, true);
	preview_judge(&sql, &edit);
	preview_put(&sql, fcinfo, &edit, views_only);
	sql_leave(&sql);
	return (Datum) 0;
}
