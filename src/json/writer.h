/*
 * writer.h: the one place where jsonb is built.
 *
 * A writer takes a document depth first: keys and values, in any key order
 * (a later equal key wins, as in jsonb's own parser).  Values may be views
 * into other documents; nothing is copied before json_writer_finish, so
 * their documents must live until then.
 *
 * PostgreSQL's own builder is behind it; everything that builds jsonb goes
 * through here, so that another builder is a change of one file.
 */
#ifndef PROMOTE_JSON_WRITER_H
#define PROMOTE_JSON_WRITER_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct JsonWriter
{
	JsonbParseState *state;		/* NULL outside every container */
	JsonbValue *result;			/* the finished root container */
	JsonbValue	scalar;			/* the root, where it is no container */
} JsonWriter;

extern void json_writer_init(JsonWriter *writer);
extern void json_write_begin_object(JsonWriter *writer);
extern void json_write_end_object(JsonWriter *writer);
extern void json_write_begin_array(JsonWriter *writer);
extern void json_write_end_array(JsonWriter *writer);
extern void json_write_key(JsonWriter *writer, const char *key, int length);
extern void json_write_value(JsonWriter *writer, const JsonbValue *value);
extern void json_write_string(JsonWriter *writer, const char *string, int length);
extern void json_write_integer(JsonWriter *writer, int64 integer);
extern void json_write_bool(JsonWriter *writer, bool boolean);
extern void json_write_null(JsonWriter *writer);
extern Jsonb *json_writer_finish(JsonWriter *writer);
extern Jsonb *json_from_view(const JsonbValue *view);

/* A key and a string value, both C strings; no value is JSON null. */
static inline void
json_write_field(JsonWriter *writer, const char *key, const char *string)
{
	json_write_key(writer, key, strlen(key));
	if (string)
		json_write_string(writer, string, strlen(string));
	else
		json_write_null(writer);
}

#endif							/* PROMOTE_JSON_WRITER_H */
