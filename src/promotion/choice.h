/*
 * choice.h: what of a source is promoted.
 */
#ifndef PROMOTE_PROMOTION_CHOICE_H
#define PROMOTE_PROMOTION_CHOICE_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"

#include "compose/merge.h"
#include "compose/only.h"
#include "json/builder.h"
#include "promotion/proposal.h"

/* Which of a source's states is promoted. */
typedef enum SourceState
{
	SOURCE_UNKNOWN,
	SOURCE_DESIRED, SOURCE_RUNNING
} SourceState;

/* The names of these in SQL. */
extern const char *const source_states[];

/* A choice; all zero, it is everything that the source desires. */
typedef struct Choice
{
	Only	   *only;			/* NULL: everything */
	int32		source_revision;	/* 0: that of its state */
	SourceState source_state;	/* SOURCE_UNKNOWN: desired */
	int32		expected_source_revision;	/* 0: any */
	char	   *preset;			/* name of one of the release's, for what would be missing; NULL: none */
	bool		fill_defaults;	/* do the schema's defaults fill in what is missing? */
	PromotionMode mode;			/* MODE_UNKNOWN: that of the destination's environment */
	MergeChoice on_conflict;	/* who wins where both changed the same, in a merge */
} Choice;

#define CHOICE_ARGUMENTS 8		/* that choice_take takes */

extern void choice_take(FunctionCallInfo fcinfo, int first, Choice *choice);
extern void choice_take_state(FunctionCallInfo fcinfo, int argument, Choice *choice);
extern void choice_take_filling(FunctionCallInfo fcinfo, int first, Choice *choice);
extern void choice_take_shared(FunctionCallInfo fcinfo, int first, Choice *choice);
extern void choice_check(const Choice *choice, const char *destination, bool pin, bool secrets, bool references);
extern void choice_check_mode(const Choice *choice, PromotionMode mode);
extern void choice_write(JsonBuilder *builder, const Choice *choice);
extern Jsonb *choice_document(const Choice *choice);
extern void choice_read(const Jsonb *object, const char *whose, Choice *choice, StringInfo problems);
extern void choice_require_read(StringInfo problems);
extern bool choice_has_release(const Choice *choice);
extern Datum choice_only(const Choice *choice);

#endif							/* PROMOTE_PROMOTION_CHOICE_H */
