/*
 * step.h: the steps that deployments take.
 */
#ifndef PROMOTE_DEPLOYMENT_STEP_H
#define PROMOTE_DEPLOYMENT_STEP_H

#include "postgres.h"

#include "base/compat.h"

pg_noreturn extern void refuse_step(const char *instance, int32 deployment, const char *from,
								const char *to);

#endif							/* PROMOTE_DEPLOYMENT_STEP_H */
