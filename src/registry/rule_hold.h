/*
 * rule_hold.h: rules that change between a judgement and its commit.
 */
#ifndef PROMOTE_REGISTRY_RULE_HOLD_H
#define PROMOTE_REGISTRY_RULE_HOLD_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"

extern void rule_init(void);
extern Datum rule_view(void);
extern void rule_hold(const char *project, const char *environment, Datum view);
extern void rule_hold_paths(const char *project, const char *environment, Datum view);
extern void rule_hold_release(const char *bundle, const char *version, Datum view);
extern void rule_hold_case(const Sql *sql, const InstanceKey *key);
extern void rule_changed(const Sql *sql, const char *source, const char *project, const char *environment);
extern void rule_release_changed(const Sql *sql, const char *bundle, const char *version);

#endif							/* PROMOTE_REGISTRY_RULE_HOLD_H */
