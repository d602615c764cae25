/*
 * rule_judge.h: what a role with the grant for rules may not make of them.
 */
#ifndef PROMOTE_DECLARE_RULE_JUDGE_H
#define PROMOTE_DECLARE_RULE_JUDGE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "base/sql.h"

extern void rule_judge_override(const Sql *sql, const Jsonb *given);
extern void rule_judge_policy(const Sql *sql, const Jsonb *given);

#endif							/* PROMOTE_DECLARE_RULE_JUDGE_H */
