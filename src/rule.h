/*
 * rule.h: no gap between what gates look at and what is done by it.
 */
#ifndef PROMOTE_RULE_H
#define PROMOTE_RULE_H

#include "postgres.h"

#include "name.h"

extern void rule_lock(const char *project, const char *environment);
extern void rule_lock_case(const InstanceKey *key);

#endif							/* PROMOTE_RULE_H */
