/*
 * kind.c: the kinds of rows that can be declared.
 *
 * Their columns stand here with the grant that changing one takes.  Columns that verbs keep, such as counters and
 * times, are not declared.  What a column's default is, and what the key, is said by the table.
 */
#include "postgres.h"

#include "declare/declare.h"
#include "declare/reopen.h"
#include "declare/rule_judge.h"

/* Windows have time zones as pg_timezone_names spells them. */
#define SPELLED_ZONE "promote_internal.spell_zone(%s)"

static DeclaredKind kinds[] = {
	{.name = "project",.action = "register",.everywhere = true,
		.instead = "Remove what is in it first. What has history stays.",
	.columns = {{"description"}, {"attributes"}}},
	{.name = "environment",.action = "register",.counts = "t.archived_at IS NULL",.open = reopen_environment,
		.instead = "Remove its instances, parameters, rules, paths and grants first. What has history is ended by promote.archive_environment.",
		.columns = {
			{"description"}, {"attributes"}, {"reference_defaults"},
			{"require_plan", "rules"}, {"decommission_protection", "rules"}, {"max_lost_leases", "rules"},
			{"source_policy", "rules"}, {"require_source_in_sync", "rules"}, {"required_soak", "rules"},
			{"require_no_drift", "rules"}, {"require_expected", "rules"}, {"require_proven_release", "rules"},
			{"require_no_reverts", "rules"}, {"require_artifact_digest", "rules"}, {"require_structure", "rules"},
			{"version_policy", "rules"}, {"promotion_mode", "rules"}, {"separation_of_duty", "rules"}
	}},
	{.name = "parameter_set",.action = "register",
		.columns = {
			{"parameters",.masked_by = "sensitive OPERATOR(pg_catalog.<>) '{}'"}, {"sensitive"}, {"descriptions"}
	}},
	{.name = "bundle",.action = "register",
		.instead = "Remove its releases and components first. What has history stays.",
	.columns = {{"description"}}},
	{.name = "bundle_release",.action = "publish",.fixed = true,
		.instead = "Take it out of use by promote.block_release.",
		.columns = {
			{"params_schema"}, {"stateful_types"}, {"secrets"}, {"remote_references"}, {"presets"}, {"artifact_digest"},
			{"source_commit"}, {"changelog"}, {"attributes"}
	}},
	{.name = "component",.action = "register",
		.instead = "Remove its instances, dependencies and rules first. What has history stays.",
	.columns = {{"bundle"}, {"description"}, {"attributes"}, {"version_policy"}}},
	{.name = "component_dependency",.action = "register",
	.columns = {{"description"}}},
	{.name = "instance",.action = "register",
		.instead = "Its history stays. Take away what it runs by promote.decommission_instance.",
	.columns = {{"attributes"}}},
	{.name = "promotion_path",.action = "register",
	.columns = {{"description"}}},
	{.name = "approval_rule",.action = "rules",
		.columns = {
			{"role"}, {"quorum"}, {"expires_after"}, {"requester_counts"}, {"component"}, {"selector"}, {"description"}
	}},
	{.name = "override_rule",.action = "rules",.judge = rule_judge_override,
	.columns = {{"description"}}},
	{.name = "freeze_window",.action = "rules",
		.columns = {
			{"project"}, {"environment"}, {"component"}, {"selector"}, {"reason"}, {"during"}, {"rule"},
			{"zone",.spelled = SPELLED_ZONE}, {"starts_at"}, {"duration",.exact = true}, {"exdates"}
	}},
	{.name = "change_window",.action = "rules",
		.columns = {
			{"project"}, {"environment"}, {"component"}, {"selector"}, {"reason"}, {"during"}, {"rule"},
			{"zone",.spelled = SPELLED_ZONE}, {"starts_at"}, {"duration",.exact = true}, {"exdates"},
			{"max_deployments_per_window"}
	}},
	{.name = "required_check",.action = "rules",
	.columns = {{"per_revision"}, {"expires_after"}, {"component"}, {"selector"}, {"description"}}},
	{.name = "policy",.action = "rules",.judge = rule_judge_policy,
		.columns = {
			{"function"}, {"project"}, {"environment"}, {"component"}, {"selector"}, {"code"}, {"timeout"}, {"enabled"},
			{"description"}
	}}
};

/* The kind of that name, which is a table's. */
DeclaredKind *
declare_kind(const char *name)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	elog(ERROR, "nothing of the kind \"%s\" can be declared", name);
}
