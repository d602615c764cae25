/*
 * plan_secrets.h: what a plan itself says is secret.
 */
#ifndef PROMOTE_PLAN_SECRETS_H
#define PROMOTE_PLAN_SECRETS_H

#include "postgres.h"

#include "secrets.h"
#include "utils/jsonb.h"

extern Secrets *plan_secrets(const JsonbValue *plan);

#endif							/* PROMOTE_PLAN_SECRETS_H */
