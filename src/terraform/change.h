/*
 * change.h: what one planned change does to its resource, leaf by leaf, and what a plan itself says
 * is secret.
 */
#ifndef PROMOTE_TERRAFORM_CHANGE_H
#define PROMOTE_TERRAFORM_CHANGE_H

#include "postgres.h"

#include "common/cryptohash.h"
#include "utils/jsonb.h"

#include "compose/censor.h"

#define PLAN_SENSITIVE 0x01		/* the one flag of the marks that a plan's notes are made into */

#define PLAN_FINGERPRINT_LENGTH 16

/* A resource before and after, and what is said of both; jbvNull where it is not there. */
typedef struct PlanSides
{
	JsonbValue	before;
	JsonbValue	after;
	JsonbValue	after_unknown;
	JsonbValue	before_sensitive;
	JsonbValue	after_sensitive;
} PlanSides;

/* One leaf. */
typedef struct PlanLeaf
{
	const char *path;
	JsonbValue	old_value;		/* jbvObject: there is none */
	JsonbValue	new_value;
	bool		sensitive;
	bool		unknown;
} PlanLeaf;

/* All leaves that change, in the current memory context and views into the plan. */
typedef struct PlanLeaves
{
	PlanLeaf   *leaves;
	uint32		count;
	Size		room;
	Size		path_bytes;
} PlanLeaves;

extern Secrets *plan_secrets(const JsonbValue *plan);
extern JsonMark *plan_marks(const JsonbValue *value, const JsonbValue *note,
							const JsonbValue *other_note);
extern void plan_sides_read(const JsonbValue *change, PlanSides *sides);
extern void plan_leaves_find(const PlanSides *sides, const Secrets *declared,
							 const Secrets *derived, PlanLeaves *found);
extern Jsonb *plan_leaves_diff(const PlanLeaves *found);
extern void plan_fingerprint(pg_cryptohash_ctx *hash, const char *const *words, int count,
							 const PlanLeaves *found, uint8 *fingerprint);

#endif							/* PROMOTE_TERRAFORM_CHANGE_H */
