/*
 * builder.h: making documents of which nothing is known before.
 *
 * A builder takes a document depth first: keys and values, in any key order
 * (a later equal key wins, as in jsonb's own parser), containers of any size.
 * It keeps a note for each of them and hands all to a writer at the end.
 * Values may be views into other documents; nothing is copied before
 * json_builder_finish, so keys, strings and documents must live until then.
 * What is still open ends there.
 */
#ifndef PROMOTE_JSON_BUILDER_H
#define PROMOTE_JSON_BUILDER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/reader.h"

/* One key, value, or container that is opened here. */
typedef struct JsonNote JsonNote;

typedef struct JsonBuilder
{
	JsonNote   *notes;			/* in the order they came */
	Size		count;
	Size		room;
	Size		open;			/* the innermost open container's note, or none */
} JsonBuilder;

extern void json_builder_init(JsonBuilder *builder);
extern void json_build_begin_object(JsonBuilder *builder);
extern void json_build_begin_array(JsonBuilder *builder);
extern void json_build_begin_like(JsonBuilder *builder, const JsonbValue *container);
extern void json_build_end(JsonBuilder *builder);
extern void json_build_key(JsonBuilder *builder, const char *key, int length);
extern void json_build_value(JsonBuilder *builder, const JsonbValue *value);
extern void json_build_string(JsonBuilder *builder, const char *string, int length);
extern void json_build_integer(JsonBuilder *builder, int64 integer);
extern void json_build_bool(JsonBuilder *builder, bool boolean);
extern void json_build_null(JsonBuilder *builder);
extern Jsonb *json_builder_finish(JsonBuilder *builder);

/* Start a document that is an object. */
static inline void
json_begin_object(JsonBuilder *builder)
{
	json_builder_init(builder);
	json_build_begin_object(builder);
}

/* Start a document that is an array. */
static inline void
json_begin_array(JsonBuilder *builder)
{
	json_builder_init(builder);
	json_build_begin_array(builder);
}

/* What reads better where it is plain which kind of container ends. */
#define json_build_end_object(builder) json_build_end(builder)
#define json_build_end_array(builder) json_build_end(builder)

/* The key of a child of a container, where that is an object. */
static inline void
json_build_key_of(JsonBuilder *builder, const JsonbValue *container, const JsonChild *child)
{
	if (json_is_object(container))
		json_build_key(builder, child->key.val.string.val, child->key.val.string.len);
}

/* A key and a string value, both C strings; no value is JSON null. */
static inline void
json_build_field(JsonBuilder *builder, const char *key, const char *string)
{
	json_build_key(builder, key, strlen(key));
	if (string)
		json_build_string(builder, string, strlen(string));
	else
		json_build_null(builder);
}

/* A key and true or false. */
static inline void
json_build_flag(JsonBuilder *builder, const char *key, bool flag)
{
	json_build_key(builder, key, strlen(key));
	json_build_bool(builder, flag);
}

/* A key and a whole document. */
static inline void
json_build_document(JsonBuilder *builder, const char *key, const Jsonb *document)
{
	JsonbValue	view = json_view(document);

	json_build_key(builder, key, strlen(key));
	json_build_value(builder, &view);
}

/* A key and an integer. */
static inline void
json_build_number(JsonBuilder *builder, const char *key, int64 number)
{
	json_build_key(builder, key, strlen(key));
	json_build_integer(builder, number);
}

/* A key and an array that is opened; json_build_end_array ends it. */
static inline void
json_build_array_field(JsonBuilder *builder, const char *key)
{
	json_build_key(builder, key, strlen(key));
	json_build_begin_array(builder);
}

/* A key and an array of strings, a list of char *. */
static inline void
json_build_strings(JsonBuilder *builder, const char *key, const List *strings)
{
	ListCell   *cell;

	json_build_array_field(builder, key);
	foreach(cell, strings)
		json_build_string(builder, lfirst(cell), strlen(lfirst(cell)));
	json_build_end_array(builder);
}

/* All fields of an object; of none where it is NULL. */
static inline void
json_build_fields(JsonBuilder *builder, const Jsonb *object)
{
	if (object == NULL)
		return;
	json_foreach_in(child, &object->root)
	{
		json_build_key(builder, child.key.val.string.val, child.key.val.string.len);
		json_build_value(builder, &child.value);
	}
}

/* The document {}. */
static inline Jsonb *
json_empty_object(void)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	return json_builder_finish(&builder);
}

#endif							/* PROMOTE_JSON_BUILDER_H */
