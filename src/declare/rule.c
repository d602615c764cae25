/*
 * rule.c: verbs of rules, which state the whole of a rule or take it away.
 *
 * Their arguments are columns, see call.c.  What a rule may be is said by the tables, and by rule_judge.c.
 */
#include "postgres.h"

#include "fmgr.h"

#include "declare/declare.h"

PG_FUNCTION_INFO_V1(promote_set_freeze);
PG_FUNCTION_INFO_V1(promote_remove_freeze);
PG_FUNCTION_INFO_V1(promote_set_change_window);
PG_FUNCTION_INFO_V1(promote_remove_change_window);
PG_FUNCTION_INFO_V1(promote_set_approval_rule);
PG_FUNCTION_INFO_V1(promote_remove_approval_rule);
PG_FUNCTION_INFO_V1(promote_set_required_check);
PG_FUNCTION_INFO_V1(promote_remove_required_check);
PG_FUNCTION_INFO_V1(promote_set_override_rule);
PG_FUNCTION_INFO_V1(promote_remove_override_rule);
PG_FUNCTION_INFO_V1(promote_set_policy);
PG_FUNCTION_INFO_V1(promote_remove_policy);

/* promote.set_freeze(name text, project text, ...) returns promote.declaration, see sql/declare/rule.sql */
Datum
promote_set_freeze(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "freeze_window", NULL, DECLARE_WHOLE);
}

/* promote.remove_freeze(name text) returns promote.declaration */
Datum
promote_remove_freeze(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "freeze_window");
}

/* promote.set_change_window(name text, project text, ...) returns promote.declaration, see sql/declare/rule.sql */
Datum
promote_set_change_window(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "change_window", NULL, DECLARE_WHOLE);
}

/* promote.remove_change_window(name text) returns promote.declaration */
Datum
promote_remove_change_window(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "change_window");
}

/*
 * promote.set_approval_rule(project text, environment text, rule text, role text, ...)
 * returns promote.declaration, see sql/declare/rule.sql
 */
Datum
promote_set_approval_rule(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "approval_rule", NULL, DECLARE_WHOLE);
}

/* promote.remove_approval_rule(project text, environment text, rule text) returns promote.declaration */
Datum
promote_remove_approval_rule(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "approval_rule");
}

/*
 * promote.set_required_check(project text, environment text, check_name text, ...)
 * returns promote.declaration, see sql/declare/rule.sql
 */
Datum
promote_set_required_check(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "required_check", NULL, DECLARE_WHOLE);
}

/*
 * promote.remove_required_check(project text, environment text, check_name text, "of" text)
 * returns promote.declaration
 */
Datum
promote_remove_required_check(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "required_check");
}

/*
 * promote.set_override_rule(project text, environment text, code text, role text, ...)
 * returns promote.declaration, see sql/declare/rule.sql
 */
Datum
promote_set_override_rule(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "override_rule", NULL, DECLARE_WHOLE);
}

/* promote.remove_override_rule(project text, environment text, code text, role text) returns promote.declaration */
Datum
promote_remove_override_rule(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "override_rule");
}

/* promote.set_policy(policy text, function text, ...) returns promote.declaration, see sql/declare/rule.sql */
Datum
promote_set_policy(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "policy", NULL, DECLARE_WHOLE);
}

/* promote.remove_policy(policy text) returns promote.declaration */
Datum
promote_remove_policy(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "policy");
}
