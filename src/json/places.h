/*
 * places.h: places of documents, and documents with some places of another.
 *
 * A place is a JSON Pointer (pointer.h), which is the same for a key and an
 * ordinal that is spelled like it: what is there tells which of them it is.
 */
#ifndef PROMOTE_JSON_PLACES_H
#define PROMOTE_JSON_PLACES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/pointer.h"

extern void json_place_of_path(const char *path, int length, JsonPointer *place);
extern bool json_place_look_up(const JsonbValue *root, JsonPointer place, JsonbValue *value);
extern bool json_place_step(const JsonbValue *container, const JsonToken *token, uint32 *index, JsonbValue *value);
extern Jsonb *json_take_places(const Jsonb *document, const Jsonb *other, const List *places);

#endif							/* PROMOTE_JSON_PLACES_H */
