/*
 * promotion.h: one instance's validated configuration, to another instance of
 * the same component, in steps: lock, read, write.
 */
#ifndef PROMOTE_PROMOTION_PROMOTION_H
#define PROMOTE_PROMOTION_PROMOTION_H

#include "postgres.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/carry.h"
#include "promotion/proposal.h"
#include "promotion/stage.h"

/* A promotion as it is asked for, and what is read for it. */
typedef struct Promotion
{
	InstanceKey source;
	InstanceKey destination;
	Jsonb	   *overrides;
	Carry		carry;			/* what else is to come from the source */
	int			options;		/* the first argument behind the overrides */
	Jsonb	   *source_params;	/* what the source desires */
	Jsonb	   *base;			/* what becomes of them before the overrides */
	ProposedRevision proposed;
} Promotion;

extern void promotion_lock(const Sql *sql, const Promotion *promotion);
extern void promotion_read(const Sql *sql, Promotion *promotion, bool read_only);
extern void promotion_write(const Sql *sql, Promotion *promotion, const char *message, MemoryContext caller,
							Staged *staged);

#endif							/* PROMOTE_PROMOTION_PROMOTION_H */
