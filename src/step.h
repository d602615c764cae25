/*
 * step.h: the steps that deployments take.
 */
#ifndef PROMOTE_STEP_H
#define PROMOTE_STEP_H

#include "postgres.h"

#include "compat.h"

extern void refuse_step(const char *instance, int32 deployment, const char *from,
						const char *to) pg_attribute_noreturn();

#endif							/* PROMOTE_STEP_H */
