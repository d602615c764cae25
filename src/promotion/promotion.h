/*
 * promotion.h: promoting one instance's validated configuration to another instance of the
 * same component, in three steps: lock, read, write.
 */
#ifndef PROMOTE_PROMOTION_PROMOTION_H
#define PROMOTE_PROMOTION_PROMOTION_H

#include "postgres.h"

#include "fmgr.h"

#include "base/sql.h"
#include "parse/name.h"
#include "promotion/carry.h"
#include "promotion/choice.h"
#include "promotion/merging.h"
#include "promotion/proposal.h"
#include "promotion/sharing.h"
#include "promotion/stage.h"

/* A promotion: what was asked for, and what was read for it. */
typedef struct Promotion
{
	InstanceKey source;
	InstanceKey destination;
	Jsonb	   *overrides;
	bool		pin;			/* the version that the source runs, whatever its constraint? */
	Choice		choice;			/* what of the source is promoted */
	Carry		carry;			/* what else the source gives */
	int			options;		/* number of the first argument after the overrides */
	bool		reprovision;	/* may it bring back what was decommissioned? */
	Sharing    *sharing;		/* with other promotions of a set; NULL: it is not of one */
	const ProposedRevision *supposed;	/* what the source is supposed to desire; NULL: what it does */
	bool		previews;		/* are conflicts shown, and not refused? */
	bool		forks;			/* is the destination made for it? */
	PromotionMode mode;			/* by the call, or else the environment */
	Merging		merging;		/* of MODE_MERGE */
	ReleaseWish wish;			/* what the source gives of the release */
	const char *pinned_version;	/* that is given for the source's constraint; NULL: none */
	bool		edits;			/* is it an edit, of which source and destination are one, and overrides the patch? */
	char	   *edit_constraint;	/* version constraint that an edit brings; NULL: none */
	List	   *problems;		/* why it would be refused, for a preview: Problem * */
	Jsonb	   *source_params;	/* the source's params that are promoted */
	Jsonb	   *base;			/* the composed params before the overrides */
	ProposedRevision proposed;
} Promotion;

/* Why a promotion would be refused. */
typedef struct Problem
{
	const char *path;			/* NULL: the sentence says where */
	const char *sentence;		/* never with a value */
	bool		immutable;		/* would an immutable value change? */
} Problem;

extern void promotion_check_pair(const Promotion *promotion);
extern void promotion_check_choice(Promotion *promotion);
extern void promotion_require_carry(Oid role, const Promotion *promotion);
extern ReleaseWish promotion_release(const Sql *sql, const Promotion *promotion, bool read_only);
extern void promotion_suppose(Promotion *promotion);
extern void promotion_compose(const Sql *sql, Promotion *promotion, bool read_only);
extern Staging promotion_staging(const Promotion *promotion, const char *message);
extern void promotion_check_key(const char *key);
extern int32 promotion_revision_of(const Choice *choice);
extern bool promotion_source_moved(const Promotion *promotion);
extern void promotion_require_source(const Promotion *promotion);
extern void promotion_lock(const Sql *sql, const Promotion *promotion);
extern void promotion_read(const Sql *sql, Promotion *promotion, bool read_only);
extern void promotion_require_own_placeholders(const Promotion *promotion, const char *action);
extern void promotion_take_preset(const Sql *sql, Promotion *promotion, bool read_only);
extern bool promotion_moves_base(const Promotion *promotion);
extern void promotion_write(const Sql *sql, Promotion *promotion, const char *message, MemoryContext caller,
							Staged *staged);

#endif							/* PROMOTE_PROMOTION_PROMOTION_H */
