/*
 * writer.h: jsonb laid out directly.
 *
 * A writer puts the bytes of a document where they belong, in one pass and
 * without an intermediate form: its buffer is the document.  What comes from
 * another document is copied as it lies there, a run of neighbours at a time.
 * The bytes are those that PostgreSQL's own builder (jsonb_util.c) makes of
 * the same value.
 *
 * The writer must be told before a container is opened how many children it
 * will have, and an object's keys come before its values and in their order
 * (json/reader.h, json_key_compare).  Who knows neither uses json/builder.h;
 * who makes a document out of runs of others may use json/splice.h.
 *
 *	json_open_object(&writer, &frame, 2);
 *	json_write_key(&writer, "a", 1);
 *	json_write_key(&writer, "b", 1);
 *	json_write_value(&writer, &value_of_a);
 *	json_write_value(&writer, &value_of_b);
 *	json_close(&writer);
 */
#ifndef PROMOTE_JSON_WRITER_H
#define PROMOTE_JSON_WRITER_H

#include "postgres.h"

#include "utils/jsonb.h"

/* A container that is being written; lives on its writer's stack. */
typedef struct JsonWriterFrame
{
	struct JsonWriterFrame *parent; /* NULL for the root */
	Size		start;			/* of its padding and itself, in the buffer */
	Size		header;			/* of its header, in the buffer */
	Size		base;			/* of its children's data, in the buffer */
	uint32		count;			/* JEntries it is to have */
	uint32		written;		/* JEntries it has */
} JsonWriterFrame;

/*
 * Where copying runs out of a container stands.  Runs that are asked for in
 * order are found without a search.
 */
typedef struct JsonOrigin
{
	const JsonbContainer *container;
	const char *base;			/* of its children's data */
	uint32		entry;			/* the number of the next child's entry, */
	uint32		offset;			/* and of its data, with its padding, from base */
} JsonOrigin;

typedef struct JsonWriter
{
	char	   *data;			/* the document, from its varlena header on */
	Size		length;
	Size		room;
	JsonWriterFrame *top;		/* the innermost open container, or NULL */
} JsonWriter;

extern void json_writer_init(JsonWriter *writer, Size expected);
extern void json_open_object(JsonWriter *writer, JsonWriterFrame *frame, uint32 pairs);
extern void json_open_array(JsonWriter *writer, JsonWriterFrame *frame, uint32 elements);
extern void json_close(JsonWriter *writer);
extern void json_write_key(JsonWriter *writer, const char *key, int length);
extern void json_write_value(JsonWriter *writer, const JsonbValue *value);
extern void json_origin_init(JsonOrigin *origin, const JsonbContainer *container);
extern void json_write_run(JsonWriter *writer, JsonOrigin *origin, uint32 from, uint32 to);
extern Jsonb *json_writer_finish(JsonWriter *writer);
extern Jsonb *json_from_view(const JsonbValue *view);
extern Jsonb *json_from_text(const char *text);

#endif							/* PROMOTE_JSON_WRITER_H */
