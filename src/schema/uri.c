/*
 * uri.c: URIs and references to them (RFC 3986).
 *
 * A reference is resolved against a base and normalised, as far as that is
 * safe for all schemes (section 6.2.2): scheme and host in lower case, percent
 * signs followed by upper case, no dot segments.  So equal names are equal
 * strings.  Nothing is ever fetched.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"

#include "base/ascii.h"
#include "base/compat.h"
#include "schema/uri.h"

PG_FUNCTION_INFO_V1(promote_is_schema_uri);

/* The parts of a reference; text is NULL where one is undefined. */
typedef struct UriParts
{
	SchemaText	scheme;
	SchemaText	authority;
	SchemaText	path;			/* never undefined */
	SchemaText	query;
	SchemaText	fragment;
} UriParts;

/* The length of the scheme that a text begins with, without its colon; 0 if none. */
int
schema_uri_scheme_length(const char *text, int length)
{
	if (length == 0 || !ascii_is_letter(text[0]))
		return 0;
	for (int i = 1; i < length; i++)
	{
		if (text[i] == ':')
			return i;
		if (!ascii_is_letter(text[i]) && !ascii_is_digit(text[i]) && strchr("+-.", text[i]) == NULL)
			return 0;
	}
	return 0;
}

/* Move past so many bytes. */
static void
advance(SchemaText *rest, int length)
{
	rest->text += length;
	rest->length -= length;
}

/* Take from *rest all up to the first of some characters, or its end. */
static SchemaText
take_until(SchemaText *rest, const char *stops)
{
	SchemaText	taken = *rest;
	int			n = 0;

	while (n < rest->length && (rest->text[n] == '\0' || strchr(stops, rest->text[n]) == NULL))
		n++;
	taken.length = n;
	advance(rest, n);
	return taken;
}

/* Does the rest begin so?  If it does, that is skipped. */
static bool
skip(SchemaText *rest, const char *prefix)
{
	if (!schema_text_begins(rest, prefix))
		return false;
	advance(rest, strlen(prefix));
	return true;
}

/* Take a reference apart (RFC 3986, appendix B). */
static void
split(SchemaText rest, UriParts *parts)
{
	int			scheme = schema_uri_scheme_length(rest.text, rest.length);

	memset(parts, 0, sizeof(UriParts));
	if (scheme > 0)
	{
		parts->scheme = (SchemaText) {rest.text, scheme};
		advance(&rest, scheme + 1);
	}
	if (skip(&rest, "//"))
		parts->authority = take_until(&rest, "/?#");
	parts->path = take_until(&rest, "?#");
	if (skip(&rest, "?"))
		parts->query = take_until(&rest, "#");
	if (skip(&rest, "#"))
		parts->fragment = rest;
}

/* A path's last segment removed, as far as start, where the path begins in out. */
static void
drop_segment(StringInfo out, int start)
{
	while (out->len > start && out->data[out->len - 1] != '/')
		out->len--;
	if (out->len > start)
		out->len--;
	out->data[out->len] = '\0';
}

/* Is the rest one of the dot segments, up to a slash or the end? */
static bool
is_segment(const SchemaText *rest, const char *segment)
{
	int			length = strlen(segment);

	return schema_text_begins(rest, segment) && (rest->length == length || rest->text[length] == '/');
}

/* Append a path without "." and ".." (RFC 3986, section 5.2.4). */
static void
append_path(StringInfo out, SchemaText path)
{
	int			start = out->len;

	while (path.length > 0)
	{
		SchemaText	segment = path;

		if (is_segment(&path, "/."))
		{
			if (path.length == 2)
				appendStringInfoChar(out, '/');
			advance(&path, 2);
			continue;
		}
		if (is_segment(&path, "/.."))
		{
			drop_segment(out, start);
			if (path.length == 3)
				appendStringInfoChar(out, '/');
			advance(&path, 3);
			continue;
		}
		skip(&path, "/");
		take_until(&path, "/");
		segment.length = path.text - segment.text;
		appendBinaryStringInfo(out, segment.text, segment.length);
	}
}

/* Append what is the same in either case in lower case. */
static void
append_lower(StringInfo out, const SchemaText *text)
{
	for (int i = 0; i < text->length; i++)
		appendStringInfoChar(out, pg_ascii_tolower((unsigned char) text->text[i]));
}

/* Append an authority: what follows the user in lower case. */
static void
append_authority(StringInfo out, const SchemaText *authority)
{
	SchemaText	rest = *authority;
	SchemaText	user = take_until(&rest, "@");

	if (rest.length > 0)
		appendBinaryStringInfo(out, user.text, user.length);
	else
		rest = user;
	append_lower(out, &rest);
}

/* Put the digits after percent signs into upper case. */
static void
raise_digits(StringInfo out)
{
	for (int i = 0; i + 2 < out->len; i++)
		if (schema_uri_is_encoded(out->data + i, out->len - i))
		{
			out->data[i + 1] = pg_ascii_toupper((unsigned char) out->data[i + 1]);
			out->data[i + 2] = pg_ascii_toupper((unsigned char) out->data[i + 2]);
		}
}

/* The base's path up to its last slash, and the reference's behind it. */
static SchemaText
merge_paths(const UriParts *base, const SchemaText *path)
{
	StringInfoData merged;
	int			kept = base->path.length;

	initStringInfo(&merged);
	while (kept > 0 && base->path.text[kept - 1] != '/')
		kept--;
	if (base->authority.text && base->path.length == 0)
		appendStringInfoChar(&merged, '/');
	appendBinaryStringInfo(&merged, base->path.text, kept);
	appendBinaryStringInfo(&merged, path->text, path->length);
	return (SchemaText) {merged.data, merged.len};
}

/*
 * Fill in from the base what the reference lacks (RFC 3986, section 5.2.2).
 * Returns what was allocated for that, or NULL.
 */
static char *
transform(UriParts *reference, const UriParts *base)
{
	if (reference->scheme.text)
		return NULL;
	reference->scheme = base->scheme;
	if (reference->authority.text)
		return NULL;
	reference->authority = base->authority;
	if (reference->path.length == 0)
	{
		reference->path = base->path;
		if (reference->query.text == NULL)
			reference->query = base->query;
	}
	else if (reference->path.text[0] != '/')
	{
		reference->path = merge_paths(base, &reference->path);
		return (char *) reference->path.text;
	}
	return NULL;
}

/*
 * The URI that a reference means relative to a base (NULL for none), normalised
 * and without its fragment, in the current memory context; relative if both are.
 * *fragment, unless NULL, is the part of the reference behind "#".
 */
SchemaText
schema_uri_resolve(const SchemaText *base, SchemaText reference, SchemaText *fragment)
{
	UriParts	base_parts;
	UriParts	parts;
	StringInfoData uri;
	char	   *merged;

	split(base ? *base : (SchemaText) {"", 0}, &base_parts);
	split(reference, &parts);
	if (fragment)
		*fragment = parts.fragment;
	merged = transform(&parts, &base_parts);
	initStringInfo(&uri);
	if (parts.scheme.text)
	{
		append_lower(&uri, &parts.scheme);
		appendStringInfoChar(&uri, ':');
	}
	if (parts.authority.text)
	{
		appendStringInfoString(&uri, "//");
		append_authority(&uri, &parts.authority);
	}
	append_path(&uri, parts.path);
	if (merged)
		pfree(merged);
	if (parts.query.text)
	{
		appendStringInfoChar(&uri, '?');
		appendBinaryStringInfo(&uri, parts.query.text, parts.query.length);
	}
	raise_digits(&uri);
	return (SchemaText) {uri.data, uri.len};
}

/* Can every character stand in a URI (RFC 3986, section 2), or in an IRI? */
static bool
has_uri_characters(const SchemaText *uri)
{
	for (int i = 0; i < uri->length; i++)
	{
		unsigned char c = uri->text[i];

		if (c <= ' ' || c == 0x7f || (c < 0x80 && strchr("\"<>\\^`{|}", c)))
			return false;
		if (c == '%' && !schema_uri_is_encoded(uri->text + i, uri->length - i))
			return false;
	}
	return true;
}

/*
 * is_schema_uri(uri): can a document be registered under it?  It must be
 * absolute, without a fragment, and spelled as references to it are.
 */
Datum
promote_is_schema_uri(PG_FUNCTION_ARGS)
{
	text	   *argument = PG_GETARG_TEXT_PP(0);
	SchemaText	uri = {VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument)};
	SchemaText	fragment;
	SchemaText	normal = schema_uri_resolve(NULL, uri, &fragment);

	PG_RETURN_BOOL(uri.length <= SCHEMA_URI_LENGTH_MAX && schema_uri_is_absolute(&uri) && fragment.text == NULL &&
				   has_uri_characters(&uri) && normal.length == uri.length &&
				   memcmp(normal.text, uri.text, uri.length) == 0);
}
