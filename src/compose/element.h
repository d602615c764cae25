/*
 * element.h: elements of arrays, told apart by the key that a schema gives the array ("$md.key").
 */
#ifndef PROMOTE_COMPOSE_ELEMENT_H
#define PROMOTE_COMPOSE_ELEMENT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "schema/schema.h"

#define ELEMENT_DOCUMENTS 3

/* The documents whose arrays are looked at, under one schema. */
typedef struct ElementKeys
{
	const Jsonb *schema;
	const Jsonb *documents[ELEMENT_DOCUMENTS];	/* NULL: there are no more */
	SchemaKeys *keys[ELEMENT_DOCUMENTS];	/* NULL: not looked up yet */
} ElementKeys;

/* An element with its name, the value of its key. */
typedef struct NamedElement
{
	JsonbValue	name;
	int			document;		/* which of several arrays it is in */
	uint32		ordinal;
} NamedElement;

extern const char *element_key(ElementKeys *keys, const JsonbValue *const *arrays, const char **other);
extern bool element_name(const JsonbValue *element, const char *key, JsonbValue *name);
extern int	element_compare(const void *a, const void *b);
extern uint32 *element_match(void *keys, const JsonbValue *source, const JsonbValue *own);

#endif							/* PROMOTE_COMPOSE_ELEMENT_H */
