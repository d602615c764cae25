/*
 * instance.h: naming, finding and locking instances.
 */
#ifndef PROMOTE_REGISTRY_INSTANCE_H
#define PROMOTE_REGISTRY_INSTANCE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/jsonb.h"

#include "base/sql.h"
#include "parse/name.h"

extern void require_instance(const Sql *sql, const InstanceKey *key);
extern void environment_find(const Sql *sql, const InstanceKey *key, bool read_only);
extern void environment_require(const Sql *sql, const InstanceKey *key, bool read_only);
extern void environment_hold(const Sql *sql, const InstanceKey *key);
extern void refuse_unconfigured(const InstanceKey *key, const char *hint);
extern void instance_lock(const Sql *sql, const InstanceKey *key, bool for_update);
extern bool *instances_lock(const Sql *sql, const InstanceKey *keys, int count, bool for_update);
extern bool *instances_find(const Sql *sql, const InstanceKey *keys, int count);
extern void instance_rescue(const Sql *sql, const InstanceKey *key, TimestampTz end);
extern void argument_instance(FunctionCallInfo fcinfo, int argument, const char *name,
							  InstanceKey *key);
extern void argument_instance_for(FunctionCallInfo fcinfo, int argument, const char *name,
								  const char *action, InstanceKey *key);
extern Jsonb *argument_params(FunctionCallInfo fcinfo, int argument, const char *what);
extern Jsonb *argument_overrides(FunctionCallInfo fcinfo, int argument, const char *what);
extern Jsonb *argument_optional_params(FunctionCallInfo fcinfo, int argument, const char *what);

#endif							/* PROMOTE_REGISTRY_INSTANCE_H */
