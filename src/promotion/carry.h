/*
 * carry.h: what a promotion carries besides params: remote references and secrets.
 */
#ifndef PROMOTE_PROMOTION_CARRY_H
#define PROMOTE_PROMOTION_CARRY_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/only.h"
#include "parse/name.h"
#include "promotion/proposal.h"

/* What a promotion carries. */
typedef struct Carry
{
	bool		secrets;
	bool		references;		/* all; else those alone that go along unasked */
	const Only *only;			/* the names of those alone; NULL: all */
	Jsonb	   *source_references;	/* for slots that the destination's release declares, as written; NULL: none */
	List	   *refused;		/* slots in which copying would replace what runs without permission: char * */
} Carry;

extern void carry_take(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed,
					   bool write);
extern bool carry_is_needed(const Sql *sql, const Carry *carry, const InstanceKey *source,
							const ProposedRevision *proposed, bool read_only);
extern void carry_check_only(const Sql *sql, const Carry *carry, Only *only, const InstanceKey *source,
							 const ProposedRevision *proposed, bool read_only);
extern void carry_judge(const Sql *sql, ProposedRevision *proposed, bool read_only);
extern bool carry_has_secrets(const ProposedRevision *proposed);
extern bool carry_has_references(const ProposedRevision *proposed);
extern Jsonb *carry_names(const ProposedRevision *proposed);

#endif							/* PROMOTE_PROMOTION_CARRY_H */
