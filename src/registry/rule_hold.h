/*
 * rule_hold.h: rules that change between a judgement and its commit.
 */
#ifndef PROMOTE_REGISTRY_RULE_HOLD_H
#define PROMOTE_REGISTRY_RULE_HOLD_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"

/* Which rules a transaction was judged by. */
typedef enum RuleKind
{
	RULE_ALL,					/* all rules of an environment, by project and environment */
	RULE_PATHS,					/* the paths to it */
	RULE_RELEASE				/* whether a release is blocked, and its stateful types, by bundle and version */
} RuleKind;

#define RULE_RELEASES "bundle_release"	/* the table that RULE_RELEASE is about */

extern void rule_init(void);
extern Datum rule_view(void);
extern void rule_hold(RuleKind kind, const char *first, const char *second, Datum view);
extern void rule_hold_case(const Sql *sql, const InstanceKey *key);
extern bool *rule_hold_cases(const Sql *sql, const InstanceKey *keys, int count);
extern void rule_changed(const Sql *sql, RuleKind kind, const char *source, const char *first, const char *second);

#endif							/* PROMOTE_REGISTRY_RULE_HOLD_H */
