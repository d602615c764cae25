/*
 * document.h: reading the JSON of a Terraform or OpenTofu plan.
 */
#ifndef PROMOTE_TERRAFORM_DOCUMENT_H
#define PROMOTE_TERRAFORM_DOCUMENT_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "compose/censor.h"

/* The columns of a row of a planned change, in their order. */
typedef enum PlanColumn
{
	PLAN_CHANGE,				/* its number in the document, from 1 */
	PLAN_ORIGIN,
	PLAN_ADDRESS,
	PLAN_PREVIOUS_ADDRESS,
	PLAN_DEPOSED,
	PLAN_MODE,
	PLAN_TYPE,
	PLAN_PROVIDER,
	PLAN_ACTION,
	PLAN_CREATE_BEFORE_DESTROY,
	PLAN_IMPORTING,
	PLAN_ACTION_REASON,
	PLAN_REPLACE_PATHS,
	PLAN_DIFF,
	PLAN_FINGERPRINT,
	PLAN_COLUMNS
} PlanColumn;

/* What the document says of itself. */
typedef struct PlanSummary
{
	Jsonb	   *facts;			/* an object */
	bool		errored;
	bool		incomplete;
	bool		deferred;
} PlanSummary;

extern void plan_document_read(const Jsonb *plan, const Secrets *secrets, Tuplestorestate *rows,
							   TupleDesc row_type, PlanSummary *summary);

#endif							/* PROMOTE_TERRAFORM_DOCUMENT_H */
