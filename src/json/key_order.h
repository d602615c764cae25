/*
 * key_order.h: sorting an object's keys as RFC 8785 orders them.
 */
#ifndef PROMOTE_JSON_KEY_ORDER_H
#define PROMOTE_JSON_KEY_ORDER_H

#include "postgres.h"

#include "utils/jsonb.h"

/* One key, small enough for a million of them. */
typedef struct JsonKey
{
	uint64		head;			/* its first bytes, for comparing; see key_order.c */
	uint32		index;			/* which key of the object this is */
	uint32		offset;			/* of its text, UTF-8, from the text of all */
} JsonKey;

/* Where the text of an object's keys is. */
typedef struct JsonKeyText
{
	const char *base;
	const JEntry *entries;		/* say how long each is; NULL: they end in NUL */
} JsonKeyText;

/* Length of a key's text. */
static inline uint32
json_key_length(const JsonKeyText *text, const JsonKey *key)
{
	JEntry		entry;

	if (text->entries == NULL)
		return strlen(text->base + key->offset);
	entry = text->entries[key->index];
	return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) - key->offset : JBE_OFFLENFLD(entry);
}

extern uint64 json_key_head(const char *text, uint32 length);
extern void json_sort_keys(const JsonKeyText *text, JsonKey *keys, uint32 count, JsonKey *spare);

#endif							/* PROMOTE_JSON_KEY_ORDER_H */
