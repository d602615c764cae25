/*
 * environment.h: what verbs of whole environments have in common.
 */
#ifndef PROMOTE_ENVIRONMENT_ENVIRONMENT_H
#define PROMOTE_ENVIRONMENT_ENVIRONMENT_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "deployment/deploy_set.h"
#include "environment/scope.h"
#include "ledger/audit.h"
#include "parse/name.h"

/* An instance whose chain is told of what happens to its environment. */
typedef struct ToldInstance
{
	InstanceKey key;
	const Jsonb *facts;
} ToldInstance;

extern void environment_lock_instances(const Sql *sql, const InstanceKey *key);
extern void environment_tell(const Sql *sql, const char *event, const ToldInstance *instances, int count);
extern void environment_deploy(FunctionCallInfo fcinfo, const EnvironmentScope *scope, const Jsonb *expected,
							   Deploying *deploying);

#endif							/* PROMOTE_ENVIRONMENT_ENVIRONMENT_H */
