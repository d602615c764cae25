/*
 * promotion_set.h: giving many instances a new desired state by one call.
 *
 * The caller fills in the elements, in the order of the rows that come out, and says of what kind they are: promotions,
 * or what else becomes a revision, whose kind says how it is read and composed.  All else is the same: what is refused
 * is gathered, rows are locked in key order, a page is judged together and written together.
 */
#ifndef PROMOTE_PROMOTION_PROMOTION_SET_H
#define PROMOTE_PROMOTION_PROMOTION_SET_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "base/attempt.h"
#include "base/batch.h"
#include "base/sql.h"
#include "promotion/promotion.h"
#include "promotion/sharing.h"
#include "promotion/stage.h"

/* One of the set. */
typedef struct PromotionElement
{
	const char *label;			/* what its row begins with; NULL: null */
	const char *source_name;	/* NULL: none was given, as below, or the key was */
	const char *destination_name;	/* also what a refusal calls it */
	InstanceKey source;
	InstanceKey destination;
	Jsonb	   *overrides;
	NullableDatum expected;		/* revision of the destination */
	int32		source_revision;	/* that is taken, whatever the options say; 0: what they say */
	const char *source_version; /* that is taken for the source's constraint; NULL: none */
	int32		target;			/* deployment that a rollback leads to; 0: it is none */
	bool		refused;		/* or left out from the start */
	const char *code;			/* SQLSTATE of the refusal, or a word for why it is left out */
	const char *problem;
	ArrayType  *missing;		/* text[]: what it needs and does not get, where the kind tells that; NULL: nothing */
} PromotionElement;

/* What becomes of an element of the page. */
typedef enum PromotionFate
{
	FATE_REFUSED,
	FATE_NEW,					/* a new revision is inserted */
	FATE_AGAIN,					/* the desired one gets another plan */
	FATE_ALONE,					/* it is written by itself, since it carries more than params */
	FATE_NOTHING				/* nothing is written */
} PromotionFate;

/* An element of the page on its way. */
typedef struct PromotionItem
{
	PromotionElement *element;
	PromotionFate fate;
	Promotion	promotion;
	Staging		staging;
	Staged		staged;
	RevisionRecord record;
	void	   *state;			/* what its kind keeps of it */
} PromotionItem;

typedef struct PromotionSet PromotionSet;

/* What the elements of a set are. */
typedef struct PromotionKind
{
	const char *what;			/* what refusals call them, in the plural */

	/* refuses an element by what can be told before anything is locked */
	void		(*check) (PromotionSet *set, PromotionElement *element);
	/* asks for the proposals of items, one for each, in their order */
	void		(*ask) (PromotionSet *set, PromotionItem **items, int count, Batch *asked);
	/* makes of the proposal that was read what is to be desired, and says how it is recorded, or refuses it */
	void		(*compose) (PromotionSet *set, PromotionItem *item);
	/* reads the proposals that were asked for; NULL: proposal_read_asked does */
	ProposedRevision **(*read) (PromotionSet *set, Batch *asked);
	bool		tells_missing;	/* have rows a column more, for what is missing? */
	bool		rescues;		/* are instances locked ahead of others, and within promote.rescue_timeout? */
} PromotionKind;

/* A call. */
struct PromotionSet
{
	FunctionCallInfo fcinfo;
	const PromotionKind *kind;
	int			options;		/* number of the first argument that says how to promote, see promotion_set.c */
	Oid			role;			/* that calls */
	bool		partial;		/* are those that are refused left out? */
	bool		previews;		/* is nothing locked and written? */
	bool		plan;
	bool		allow_replace;
	const char *message;
	int			count;
	PromotionElement *elements;
	void	   *state;			/* what its kind keeps of it */
	bool		is_chained;		/* is a destination a source, too? */

	/* filled in on the way */
	int			next;			/* the element, or that of the page, that a step is about */
	MemoryContext scratch;		/* for checking one element */
	Refusals	refusals;
	Sharing    *sharing;
	Sql			sql;			/* of the page */
	PromotionItem *page;
	int			page_count;
	PathSeen	path_seen;		/* by those that are judged by one view */
};

#define PROMOTION_OPTIONS 15	/* arguments that promotion_set_options takes */

extern void promotion_set_options(PromotionSet *set);
extern PromotionElement *promotion_set_elements(int count);
extern void promotion_set_parse(const char *name, const char *what, const char *action, InstanceKey *key);
extern void promotion_set_run(PromotionSet *set);
extern const PromotionKind promotion_kind;

#endif							/* PROMOTE_PROMOTION_PROMOTION_SET_H */
