/*
 * rule_judge.c: what a role with the grant for rules may not make of them.
 *
 * The owner of the tables may do by a row whatever the tables allow.  Whoever was granted rules may do as much where
 * the grant counts, but for what would reach beyond that: the freezes of everybody, and the sessions of others.
 */
#include "postgres.h"

#include "declare/declare.h"
#include "declare/rule_judge.h"
#include "gate/gate.h"
#include "grant/access.h"
#include "json/reader.h"

/*
 * Refuse a new or changed rule by which freezes are overridden, but to who has the grant everywhere: an override opens
 * the freezes of everybody as well, not only those of the rule's project.
 */
void
rule_judge_override(const Sql *sql, const Jsonb *given)
{
	const char *code = declare_given(given, "code");

	if (code && strcmp(code, "freeze") == 0)
		access_require_of(sql->user, "rules", NULL, NULL);
}

/* Is a policy given that is not to be asked? */
static bool
is_disabled(const Jsonb *given)
{
	JsonbValue	value;
	const char *text = declare_given(given, "enabled");

	return text ? text[0] == 'f' : json_find_in(given, "enabled", &value) && value.type == jbvBool && !value.val.boolean;
}

/* Refuse a new or changed policy that is asked, and whose function the caller may not have others run. */
void
rule_judge_policy(const Sql *sql, const Jsonb *given)
{
	const char *function = declare_given(given, "function");

	if (function && !is_disabled(given))
		policy_require_function(sql->user, function);
}
