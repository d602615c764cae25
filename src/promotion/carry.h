/*
 * carry.h: what a promotion carries besides params: remote references and
 * secrets; and how plans say of these what becomes of them.
 */
#ifndef PROMOTE_PROMOTION_CARRY_H
#define PROMOTE_PROMOTION_CARRY_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/proposal.h"

/* What is to be carried, and what of the source is. */
typedef struct Carry
{
	bool		secrets;
	bool		references;
	Jsonb	   *source_references;	/* of the slots that the destination's release has; NULL: none */
	List	   *refused;		/* slots in which that would replace what runs, and may not: char * */
} Carry;

/* What a promotion carries besides params. */
typedef enum CarriedKind
{
	CARRIED_REFERENCE, CARRIED_SECRET
} CarriedKind;

/* What becomes of a reference or a secret. */
typedef struct CarriedChange
{
	CarriedKind kind;
	const char *name;
	const char *change;			/* add, change or remove; keep: it stays, although it was to be copied */
	const char *old_value;		/* masked; NULL: none */
	const char *new_value;
	bool		from_source;
	bool		replaces;		/* what runs */
} CarriedChange;

extern void carry_take(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed,
					   bool write);
extern void carry_judge(const Sql *sql, ProposedRevision *proposed, bool read_only);
extern bool carry_is_planned(const ProposedRevision *proposed);
extern bool carry_has_secrets(const ProposedRevision *proposed);
extern List *carry_changes(const ProposedRevision *proposed, const Carry *carry);
extern const char *carry_kind_name(CarriedKind kind);
extern char *carry_path(const CarriedChange *change);
extern Jsonb *carry_diff(const ProposedRevision *proposed);
extern Jsonb *carry_added_to(Jsonb *diff, List *changes);
extern List *carry_differences(const Jsonb *old_references, const Jsonb *new_references);
extern Jsonb *carry_names(const ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_CARRY_H */
