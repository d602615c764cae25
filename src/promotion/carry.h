/*
 * carry.h: what a promotion carries besides params (remote references and secrets), and how
 * plans show it.
 */
#ifndef PROMOTE_PROMOTION_CARRY_H
#define PROMOTE_PROMOTION_CARRY_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/proposal.h"

/* What a promotion carries. */
typedef struct Carry
{
	bool		secrets;
	bool		references;
	Jsonb	   *source_references;	/* for slots that the destination's release declares; NULL: none */
	List	   *refused;		/* slots in which copying would replace what runs without permission: char * */
} Carry;

/* The kinds of what a promotion carries besides params. */
typedef enum CarriedKind
{
	CARRIED_REFERENCE, CARRIED_SECRET
} CarriedKind;

/* What happens to a reference or a secret. */
typedef struct CarriedChange
{
	CarriedKind kind;
	const char *name;
	const char *change;			/* add, change or remove; keep: the source has none */
	const char *old_value;		/* masked; NULL: none */
	const char *new_value;
	bool		from_source;
	bool		replaces;		/* something that runs */
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
