/*
 * edit.h: a document that is being changed, place by place.
 *
 * Containers are opened only where a change is in them, and all others stay
 * what they are in the document they come from.  A change costs the way to its
 * place, not the size of the document; copying within the document costs
 * nothing but the way, however much is copied.
 *
 *	json_edit_init(&edit, document);
 *	json_edit_locate(&edit, pointer, &place);
 *	json_edit_put(&edit, &place, json_node_of(&value));
 *	result = json_edit_finish(&edit);
 */
#ifndef PROMOTE_JSON_EDIT_H
#define PROMOTE_JSON_EDIT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "json/pointer.h"

/* A value of the document.  Who holds one hands it on, or drops it. */
typedef struct JsonNode JsonNode;

/* What is at a place. */
typedef enum JsonPlaceState
{
	JSON_PLACE_TAKEN,			/* a value */
	JSON_PLACE_FREE,			/* nothing, but something may be added there */
	JSON_PLACE_NO_PARENT,		/* no such place: a value above it is missing */
	JSON_PLACE_IN_SCALAR,		/* a value above it is no container */
	JSON_PLACE_NO_INDEX,		/* a token for an array that is no index */
	JSON_PLACE_PAST_END			/* an index with a gap before it */
} JsonPlaceState;

/* A place; valid until the next change, or the next search for a place. */
typedef struct JsonPlace
{
	JsonPlaceState state;
	JsonNode   *container;		/* NULL: the document's root */
	JsonToken	key;			/* the last token */
	uint32		index;			/* in the container: of the value, or for it */
	bool		in_array;		/* is that an array? */
	bool		is_last;		/* is the value the last of its container? */
	const char *rest;			/* what of the pointer was not walked: it ends in
								 * front of this */
} JsonPlace;

typedef struct JsonEdit
{
	JsonNode   *root;
	JsonNode  **way;			/* the containers down to the place last searched for */
	Size		way_length;
	Size		way_room;
} JsonEdit;

extern void json_edit_init(JsonEdit *edit, const Jsonb *document);
extern void json_edit_locate(JsonEdit *edit, JsonPointer pointer, JsonPlace *place);
extern void json_edit_put(JsonEdit *edit, const JsonPlace *place, JsonNode *node);
extern void json_edit_replace(JsonEdit *edit, const JsonPlace *place, JsonNode *node);
extern JsonNode *json_edit_take(JsonEdit *edit, const JsonPlace *place);
extern JsonNode *json_edit_share(JsonEdit *edit, const JsonPlace *place);
extern bool json_edit_equals(JsonEdit *edit, const JsonPlace *place, const JsonbValue *value);
extern bool json_edit_holds(JsonEdit *edit, const JsonPlace *place, const char *string);
extern uint64 json_edit_size(const JsonEdit *edit);
extern Jsonb *json_edit_finish(JsonEdit *edit);
extern JsonNode *json_node_of(const JsonbValue *value);
extern void json_node_drop(JsonNode *node);

#endif							/* PROMOTE_JSON_EDIT_H */
