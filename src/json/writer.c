/*
 * writer.c: the one place where jsonb is built, upon PostgreSQL's builder.
 *
 * Keeps which kind of container is open, so that a value is pushed as an
 * element or as a pair's value without its writer having to say which.
 */
#include "postgres.h"

#include "json/writer.h"

#include "utils/numeric.h"

/* Start a document in the current memory context. */
void
json_writer_init(JsonWriter *writer)
{
	writer->state = NULL;
	writer->result = NULL;
}

/* Push a token that opens or closes a container. */
static void
push(JsonWriter *writer, JsonbIteratorToken token)
{
	writer->result = pushJsonbValue(&writer->state, token, NULL);
}

void
json_write_begin_object(JsonWriter *writer)
{
	push(writer, WJB_BEGIN_OBJECT);
}

void
json_write_end_object(JsonWriter *writer)
{
	push(writer, WJB_END_OBJECT);
}

void
json_write_begin_array(JsonWriter *writer)
{
	push(writer, WJB_BEGIN_ARRAY);
}

void
json_write_end_array(JsonWriter *writer)
{
	push(writer, WJB_END_ARRAY);
}

/* The key of the value that is written next; only inside an object. */
void
json_write_key(JsonWriter *writer, const char *key, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) key;
	value.val.string.len = length;
	pushJsonbValue(&writer->state, WJB_KEY, &value);
}

/*
 * A value of any kind: scalar or view of a container.  The caller keeps what
 * it points to until the document is finished.
 */
void
json_write_value(JsonWriter *writer, const JsonbValue *value)
{
	if (writer->state == NULL && value->type == jbvBinary)
	{
		/* a whole container as the document: pushed element by element */
		JsonbIterator *iterator = JsonbIteratorInit(value->val.binary.data);
		JsonbValue	item;
		JsonbIteratorToken token;

		while ((token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE)
			writer->result = pushJsonbValue(&writer->state, token,
											token < WJB_BEGIN_ARRAY ? &item : NULL);
	}
	else if (writer->state == NULL)
	{
		writer->scalar = *value;
		writer->result = &writer->scalar;
	}
	else
		pushJsonbValue(&writer->state,
					   writer->state->contVal.type == jbvArray ? WJB_ELEM : WJB_VALUE,
					   (JsonbValue *) value);
}

/* A string; the bytes must live until the document is finished. */
void
json_write_string(JsonWriter *writer, const char *string, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) string;
	value.val.string.len = length;
	json_write_value(writer, &value);
}

/* A whole number. */
void
json_write_integer(JsonWriter *writer, int64 integer)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(integer);
	json_write_value(writer, &value);
}

void
json_write_bool(JsonWriter *writer, bool boolean)
{
	JsonbValue	value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	json_write_value(writer, &value);
}

void
json_write_null(JsonWriter *writer)
{
	JsonbValue	value;

	value.type = jbvNull;
	json_write_value(writer, &value);
}

/*
 * The finished document, allocated in the current memory context.  Raises
 * PostgreSQL's own errors where the format's limits are exceeded.
 */
Jsonb *
json_writer_finish(JsonWriter *writer)
{
	Assert(writer->result != NULL && writer->state == NULL);
	return JsonbValueToJsonb(writer->result);
}

/* A document of its own out of a view into another. */
Jsonb *
json_from_view(const JsonbValue *view)
{
	JsonWriter	writer;

	json_writer_init(&writer);
	json_write_value(&writer, view);
	return json_writer_finish(&writer);
}
