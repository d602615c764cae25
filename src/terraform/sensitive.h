/*
 * sensitive.h: what a plan itself says is secret.
 */
#ifndef PROMOTE_TERRAFORM_SENSITIVE_H
#define PROMOTE_TERRAFORM_SENSITIVE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "compose/censor.h"

extern Secrets *plan_secrets(const JsonbValue *plan);

#endif							/* PROMOTE_TERRAFORM_SENSITIVE_H */
