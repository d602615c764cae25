/*
 * format_uri.c: URIs, IRIs and templates of these.
 *
 * By the generic grammar of RFC 3986, which RFC 3987 extends beyond ASCII:
 * no scheme's own rules, and nothing is fetched.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "schema/format.h"
#include "schema/uri.h"

/* A text that is read, and whether characters beyond ASCII are among what it may hold. */
typedef struct UriReader
{
	const char *next;
	const char *end;
	bool		wide;
} UriReader;

/* "%" and two hexadecimal digits (RFC 3986, section 2.1) */
static bool
read_percent(const char **next, const char *end)
{
	if (!schema_uri_is_encoded(*next, end - *next))
		return false;
	*next += 3;
	return true;
}

/* iprivate (RFC 3987, section 2.2) */
static bool
is_private(pg_wchar c)
{
	return (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && (c & 0xffff) < 0xfffe);
}

/* ucschar (RFC 3987, section 2.2) */
static bool
is_ucs(pg_wchar c)
{
	if (c < 0x10000)
		return (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) ||
			(c >= 0xfdf0 && c <= 0xffef);
	return c < 0xf0000 && (c & 0xffff) < 0xfffe && (c < 0xe0000 || c >= 0xe1000);
}

/* A character beyond ASCII, which is of the private ones where those are allowed. */
static bool
read_wide(const char **next, const char *end, bool private)
{
	int			length = pg_utf_mblen((const unsigned char *) *next);
	pg_wchar	c;

	if (length < 2 || length > end - *next)
		return false;
	c = utf8_to_unicode((const unsigned char *) *next);
	if (!is_ucs(c) && !(private && is_private(c)))
		return false;
	*next += length;
	return true;
}

/*
 * Move past all characters that are unreserved, sub-delims, percent-encoded
 * or in more (RFC 3986, sections 2.2 and 2.3).  What comes then is another.
 */
static void
read_characters(UriReader *uri, const char *more, bool private)
{
	while (uri->next < uri->end)
	{
		char		c = *uri->next;

		if (ascii_is_letter(c) || ascii_is_digit(c) ||
			(c != '\0' && (strchr("-._~!$&'()*+,;=", c) || strchr(more, c))))
			uri->next++;
		else if (!(c == '%' && read_percent(&uri->next, uri->end)) &&
				 !(uri->wide && IS_HIGHBIT_SET(c) && read_wide(&uri->next, uri->end, private)))
			return;
	}
}

/* IPvFuture (RFC 3986, section 3.2.2) */
static bool
is_future_address(const char *string, const char *end)
{
	UriReader	rest = {NULL, end, false};
	const char *version;

	if (!format_skip(&string, end, 'v') && !format_skip(&string, end, 'V'))
		return false;
	version = string;
	while (string < end && ascii_hex_value(*string) >= 0)
		string++;
	if (string == version || !format_skip(&string, end, '.') || string == end ||
		memchr(string, '%', end - string) != NULL)
		return false;
	rest.next = string;
	read_characters(&rest, ":", false);
	return rest.next == end;
}

/* IP-literal (RFC 3986, section 3.2.2); the opening bracket is behind us */
static bool
read_address(UriReader *uri)
{
	const char *start = uri->next;
	const char *close = memchr(start, ']', uri->end - start);

	if (close == NULL || !(format_address(start, close, FORMAT_IPV6) || is_future_address(start, close)))
		return false;
	uri->next = close + 1;
	return true;
}

/* Where the authority ends (RFC 3986, section 3.2) */
static const char *
authority_end(const UriReader *uri)
{
	const char *end = uri->next;

	while (end < uri->end && *end != '/' && *end != '?' && *end != '#')
		end++;
	return end;
}

/* authority (RFC 3986, section 3.2); the two slashes are behind us */
static bool
read_authority(UriReader *uri)
{
	UriReader	part = {uri->next, authority_end(uri), uri->wide};
	const char *at = memchr(part.next, '@', part.end - part.next);

	if (at != NULL)
	{
		read_characters(&part, ":", false);
		if (part.next != at)
			return false;
		part.next++;
	}
	if (format_skip(&part.next, part.end, '['))
	{
		if (!read_address(&part))
			return false;
	}
	else
		read_characters(&part, "", false);
	if (format_skip(&part.next, part.end, ':'))
		(void) format_skip_digits(&part.next, part.end);
	uri->next = part.end;
	return part.next == part.end;
}

/* scheme and its colon (RFC 3986, section 3.1); does not move if there is none */
static bool
read_scheme(UriReader *uri)
{
	int			length = schema_uri_scheme_length(uri->next, uri->end - uri->next);

	uri->next += length > 0 ? length + 1 : 0;
	return length > 0;
}

/*
 * What follows a scheme, or is a reference without one: authority, path,
 * query and fragment (RFC 3986, sections 3 and 4.2).
 */
static bool
read_rest(UriReader *uri, bool relative)
{
	if (uri->end - uri->next >= 2 && uri->next[0] == '/' && uri->next[1] == '/')
	{
		uri->next += 2;
		if (!read_authority(uri))
			return false;
	}
	else if (relative)
	{
		/* path-noscheme: no colon in the first segment */
		read_characters(uri, "@", false);
		if (uri->next < uri->end && *uri->next == ':')
			return false;
	}
	read_characters(uri, ":@/", false);
	if (format_skip(&uri->next, uri->end, '?'))
		read_characters(uri, ":@/?", true);
	if (format_skip(&uri->next, uri->end, '#'))
		read_characters(uri, ":@/?", false);
	return uri->next == uri->end;
}

/* URI or URI-reference (RFC 3986, sections 3 and 4.1), or IRI or IRI-reference (RFC 3987, section 2.2) */
bool
format_uri(const char *string, const char *end, int flags)
{
	UriReader	uri = {string, end, (flags & FORMAT_WIDE) != 0};
	bool		absolute = read_scheme(&uri);

	return (absolute || (flags & FORMAT_REFERENCE)) && read_rest(&uri, !absolute);
}

/* varname (RFC 6570, section 2.3) */
static bool
read_variable_name(const char **next, const char *end)
{
	do
	{
		const char *start = *next;

		while (*next < end && (ascii_is_letter(**next) || ascii_is_digit(**next) ||
							   **next == '_' || **next == '%'))
		{
			if (**next != '%')
				(*next)++;
			else if (!read_percent(next, end))
				return false;
		}
		if (*next == start)
			return false;
	} while (format_skip(next, end, '.'));
	return true;
}

/* varspec (RFC 6570, sections 2.3 and 2.4) */
static bool
read_variable(const char **next, const char *end)
{
	const char *start;

	if (!read_variable_name(next, end))
		return false;
	if (format_skip(next, end, '*') || !format_skip(next, end, ':'))
		return true;
	start = *next;
	(void) format_skip_digits(next, Min(start + 4, end));
	return *next > start && *start != '0';
}

/* expression (RFC 6570, section 2.2); the opening brace is behind us */
static bool
read_expression(const char **next, const char *end)
{
	if (*next < end && **next != '\0' && strchr("+#./;?&=,!@|", **next))
		(*next)++;
	do
	{
		if (!read_variable(next, end))
			return false;
	} while (format_skip(next, end, ','));
	return format_skip(next, end, '}');
}

/* URI-Template (RFC 6570, section 2), with the apostrophe that its erratum 6937 gives back */
bool
format_uri_template(const char *string, const char *end, int flags)
{
	while (string < end)
	{
		char		c = *string;

		if (IS_HIGHBIT_SET(c))
		{
			if (!read_wide(&string, end, true))
				return false;
		}
		else if (c == '%')
		{
			if (!read_percent(&string, end))
				return false;
		}
		else
		{
			string++;
			if (c == '{' ? !read_expression(&string, end) :
				(c <= ' ' || c == 0x7f || strchr("\"<>\\^`|}", c) != NULL))
				return false;
		}
	}
	return true;
}
