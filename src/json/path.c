/*
 * path.c: locations of a document, spelled as jq spells them.
 *
 * A path is built in a StringInfo, empty at the root; a walker appends a step
 * on the way down and truncates on the way up.
 */
#include "postgres.h"

#include "json/path.h"

#include "utils/json.h"

/* May the key be written without quotes?  As jq's manual, "Object Identifier-Index". */
static bool
is_identifier(const char *key, int length)
{
	int			i;

	if (length == 0 || (key[0] >= '0' && key[0] <= '9'))
		return false;
	for (i = 0; i < length; i++)
		if (!((key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z') ||
			  (key[i] >= '0' && key[i] <= '9') || key[i] == '_'))
			return false;
	return true;
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

/* The path's text, which is "." at the root. */
const char *
json_path_text(const StringInfoData *path)
{
	return path->len == 0 ? "." : path->data;
}
