/*
 * refusal.h: what programs are told of a refusal, beside the words for people.
 *
 * Whoever refuses for several reasons makes an item of each, beside the line in DETAIL.  What a program is given of
 * an item is what the line says, taken apart: nothing that DETAIL would not show.
 */
#ifndef PROMOTE_BASE_REFUSAL_H
#define PROMOTE_BASE_REFUSAL_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* Reasons, or other items, of one kind. */
typedef struct RefusalItems
{
	StringInfoData json;		/* objects, with commas between them; data is NULL with none */
	uint64		count;
} RefusalItems;

extern void refusal_init(void);
extern void refusal_mention(const char *instance);
extern const char *refusal_condition(int sqlstate);
extern void refusal_add(RefusalItems *items, const char *const *members, int count);
extern int	errdetail_items(const char *detail, const char *name, const RefusalItems *items);

/* Add an item: names and values in turn, all of them text; a member whose value is NULL is left out. */
#define refusal_item(items, ...) \
	refusal_add(items, (const char *const[]) {__VA_ARGS__}, lengthof(((const char *const[]) {__VA_ARGS__})))

#endif							/* PROMOTE_BASE_REFUSAL_H */
