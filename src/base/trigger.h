/*
 * trigger.h: what every trigger function checks first.
 */
#ifndef PROMOTE_BASE_TRIGGER_H
#define PROMOTE_BASE_TRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

extern TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *function,
								 const char *table, TriggerEvent timing);

#endif							/* PROMOTE_BASE_TRIGGER_H */
