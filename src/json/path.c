/*
 * path.c: locations of a document, spelled as jq spells them.
 *
 * A path is built in a StringInfo, empty at the root; a walker appends a step
 * on the way down and truncates on the way up.  What is built here is also
 * read here, step by step.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "base/ascii.h"
#include "base/compat.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/writer.h"

PG_FUNCTION_INFO_V1(promote_jsonb_at_path);

/* May the key be written without quotes?  As jq's manual, "Object Identifier-Index". */
static bool
is_identifier(const char *key, int length)
{
	return ascii_is_word(key, length, "_") && !ascii_is_digit(key[0]);
}

/* Append the step into an object; key need not be NUL-terminated. */
void
json_path_add_key(StringInfo path, const char *key, int length)
{
	char	   *copy;

	if (is_identifier(key, length))
	{
		appendStringInfoChar(path, '.');
		appendBinaryStringInfo(path, key, length);
		return;
	}
	copy = pnstrdup(key, length);
	appendStringInfoString(path, path->len == 0 ? ".[" : "[");
	escape_json(path, copy);
	appendStringInfoChar(path, ']');
	pfree(copy);
}

/* Append the step into an array, counted from 0. */
void
json_path_add_index(StringInfo path, uint32 index)
{
	appendStringInfo(path, path->len == 0 ? ".[%u]" : "[%u]", index);
}

/* Append the steps of a way. */
static void
add_way(StringInfo path, const JsonWay *way)
{
	JsonbValue	key;

	check_stack_depth();
	if (way->parent == NULL)
		return;
	add_way(path, way->parent);
	if (JsonContainerIsObject(way->container))
	{
		json_view_key(way->container, way->ordinal, &key);
		json_path_add_key(path, key.val.string.val, key.val.string.len);
	}
	else
		json_path_add_index(path, way->ordinal);
}

/* The text of a way, allocated. */
char *
json_way_text(const JsonWay *way)
{
	StringInfoData path;

	initStringInfo(&path);
	if (way->parent == NULL)
		appendStringInfoChar(&path, '.');
	add_way(&path, way);
	return path.data;
}

/* The path's text, which is "." at the root. */
const char *
json_path_text(const StringInfoData *path)
{
	return path->len == 0 ? "." : path->data;
}

/* Refuse what is no path. */
static void
refuse_path(const JsonPathReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("not a path"),
			 errdetail("\"%.*s\" cannot be read from character %d on.",
					   pg_mbcliplen(reader->start, reader->end - reader->start, 200), reader->start,
					   pg_mbstrlen_with_len(reader->start, reader->at - reader->start) + 1),
			 errhint("A path looks like .nodes[0].size or .[\"a key\"]; . is the whole document.")));
}

/* Start to read a path; its text must live as long as its steps are used. */
void
json_path_reader_init(JsonPathReader *reader, const char *path, int length)
{
	reader->start = reader->at = path;
	reader->end = path + length;
	if (length == 0 || *path != '.')
		refuse_path(reader);
	/* the root's own point, but for .key, whose point is the step's */
	if (length == 1 || path[1] == '[')
		reader->at++;
}

/* The end of the quoted key that starts at the reader, behind its quotation mark. */
static const char *
quoted_end(const JsonPathReader *reader)
{
	const char *at = reader->at + 1;

	for (; at < reader->end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	if (at >= reader->end)
		refuse_path(reader);
	return at + 1;
}

/* Read a quoted key, with JSON's escapes. */
static void
read_quoted(JsonPathReader *reader, JsonPathStep *step)
{
	const char *end = quoted_end(reader);
	int			length = end - reader->at;
	JsonbValue	key;

	step->key = reader->at + 1;
	step->length = length - 2;
	if (memchr(reader->at, '\\', length))
	{
		key = json_view(DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(reader->at, length)))));
		step->key = key.val.string.val;
		step->length = key.val.string.len;
	}
	reader->at = end;
}

/* Read an index. */
static void
read_index(JsonPathReader *reader, JsonPathStep *step)
{
	const char *from = reader->at;
	uint64		index = 0;

	for (; reader->at < reader->end && ascii_is_digit(*reader->at); reader->at++)
		index = Min(index * 10 + (*reader->at - '0'), (uint64) PG_UINT32_MAX);
	if (reader->at == from)
		refuse_path(reader);
	step->key = NULL;
	step->index = (uint32) index;
}

/* Read what stands in brackets. */
static void
read_bracket(JsonPathReader *reader, JsonPathStep *step)
{
	reader->at++;
	if (reader->at < reader->end && *reader->at == '"')
		read_quoted(reader, step);
	else
		read_index(reader, step);
	if (reader->at >= reader->end || *reader->at != ']')
		refuse_path(reader);
	reader->at++;
}

/* Read a key without quotes. */
static void
read_identifier(JsonPathReader *reader, JsonPathStep *step)
{
	const char *from = ++reader->at;

	while (reader->at < reader->end && *reader->at != '.' && *reader->at != '[')
		reader->at++;
	step->key = from;
	step->length = reader->at - from;
	if (!is_identifier(step->key, step->length))
	{
		reader->at = from;
		refuse_path(reader);
	}
}

/*
 * Read the next step; false at the end.  A key points into the path, or, where
 * it had escapes, into the current memory context.
 */
bool
json_path_next(JsonPathReader *reader, JsonPathStep *step)
{
	if (reader->at >= reader->end)
		return false;
	if (*reader->at == '[')
		read_bracket(reader, step);
	else if (*reader->at == '.')
		read_identifier(reader, step);
	else
		refuse_path(reader);
	return true;
}

/* Take one step down from a value, with the child's ordinal; false where it leads nowhere. */
bool
json_path_take(const JsonbValue *from, const JsonPathStep *step, uint32 *index, JsonbValue *value)
{
	*index = step->index;
	if (step->key ? !json_is_object(from) || !json_find_ordinal(from, step->key, step->length, index) :
		!json_is_array(from) || *index >= json_count(from))
		return false;
	json_view_child(from->val.binary.data, *index, value);
	return true;
}

/* The value at a path, as a view into the document; false where there is none. */
bool
json_path_look_up(const JsonbValue *root, const char *path, int length, JsonbValue *value)
{
	JsonPathReader reader;
	JsonPathStep step;
	JsonbValue	from;
	uint32		index;
	bool		found = true;

	*value = *root;
	json_path_reader_init(&reader, path, length);
	/* a path is read to its end, so that a wrong one is refused whatever is in the document */
	while (json_path_next(&reader, &step))
	{
		from = *value;
		found = found && json_path_take(&from, &step, &index, value);
	}
	return found;
}

/* promote.jsonb_at_path(document jsonb, path text) returns jsonb */
Datum
promote_jsonb_at_path(PG_FUNCTION_ARGS)
{
	text	   *path = PG_GETARG_TEXT_PP(1);
	JsonbValue	value;
	JsonbValue	root = json_view(PG_GETARG_JSONB_P(0));

	if (!json_path_look_up(&root, VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path), &value))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(json_from_view(&value));
}
