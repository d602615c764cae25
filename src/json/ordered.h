/*
 * ordered.h: documents as people read them: keys in the order of their bytes.
 */
#ifndef PROMOTE_JSON_ORDERED_H
#define PROMOTE_JSON_ORDERED_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* A key and its value, as views. */
typedef struct JsonOrderedPair
{
	JsonbValue	key;
	JsonbValue	value;
} JsonOrderedPair;

extern JsonOrderedPair *json_ordered_pairs(const JsonbValue *object);
extern text *json_indented(const Jsonb *document);
extern void json_append_number(StringInfo to, Numeric number);

#endif							/* PROMOTE_JSON_ORDERED_H */
