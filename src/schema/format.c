/*
 * format.c: which formats there are, and what is shared by all of them.
 *
 * The larger ones have files of their own (format_*.c); regex asks the
 * translator of patterns.  A format says something of a string alone: no
 * catalog, no network and no clock is looked at.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "schema/ecma.h"
#include "schema/format.h"

PG_FUNCTION_INFO_V1(promote_jsonb_format_valid);

/*
 * json-pointer (RFC 6901, section 3).  All that matters is ASCII, which is
 * no part of another character in any of the server's encodings.
 */
static bool
format_json_pointer(const char *string, const char *end, int flags)
{
	if (string < end && *string != '/')
		return false;
	for (; string < end; string++)
		if (*string == '~' && (end - string < 2 || (string[1] != '0' && string[1] != '1')))
			return false;
	return true;
}

/* non-negative-integer (Relative JSON Pointer, section 3): without leading zeros */
static bool
read_integer(const char **next, const char *end)
{
	const char *start = *next;
	int			digits = format_skip_digits(next, end);

	return digits > 0 && (*start != '0' || digits == 1);
}

/* relative-json-pointer (draft-bhutton-relative-json-pointer-00, section 3) */
static bool
format_relative_json_pointer(const char *string, const char *end, int flags)
{
	if (!read_integer(&string, end))
		return false;
	if ((format_skip(&string, end, '+') || format_skip(&string, end, '-')) &&
		!read_integer(&string, end))
		return false;
	if (format_skip(&string, end, '#'))
		return string == end;
	return format_json_pointer(string, end, 0);
}

/* UUID (RFC 9562, section 4): any version and variant */
static bool
format_uuid(const char *string, const char *end, int flags)
{
	if (end - string != 36)
		return false;
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? string[i] != '-' : ascii_hex_value(string[i]) < 0)
			return false;
	return true;
}

/* A regular expression of ECMA-262 with the flag "u"; allocates. */
static bool
format_regex(const char *string, const char *end, int flags)
{
	return schema_pattern_well_formed(string, end - string);
}

/* All formats, by name. */
static const struct
{
	const char *name;
	FormatCheck check;
	int			flags;
}			formats[] =
{
	{"date", format_date_time, FORMAT_DATE},
	{"date-time", format_date_time, FORMAT_DATE | FORMAT_TIME},
	{"duration", format_duration},
	{"email", format_email},
	{"hostname", format_hostname},
	{"idn-email", format_email, FORMAT_WIDE},
	{"idn-hostname", format_idn_hostname, FORMAT_WIDE},
	{"ipv4", format_address},
	{"ipv6", format_address, FORMAT_IPV6},
	{"iri", format_uri, FORMAT_WIDE},
	{"iri-reference", format_uri, FORMAT_WIDE | FORMAT_REFERENCE},
	{"json-pointer", format_json_pointer},
	{"regex", format_regex, FORMAT_WIDE},
	{"relative-json-pointer", format_relative_json_pointer},
	{"time", format_date_time, FORMAT_TIME},
	{"uri", format_uri},
	{"uri-reference", format_uri, FORMAT_REFERENCE},
	{"uri-template", format_uri_template, FORMAT_WIDE},
	{"uuid", format_uuid}
};

/* The format of that name, which need not be NUL-terminated, or -1. */
int
schema_format_find(const char *name, int length)
{
	for (int i = 0; i < lengthof(formats); i++)
		if (strlen(formats[i].name) == length && memcmp(formats[i].name, name, length) == 0)
			return i;
	return -1;
}

/* Is there no byte of a character beyond ASCII? */
static bool
is_ascii(const char *string, int length)
{
	for (int i = 0; i < length; i++)
		if (IS_HIGHBIT_SET(string[i]))
			return false;
	return true;
}

/*
 * The string in UTF-8, allocated, of *length bytes; NULL if it has something
 * that Unicode lacks, or the database's encoding says nothing of characters.
 */
static char *
to_utf8(const char *string, int *length)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	Size		space = (Size) *length * MAX_CONVERSION_GROWTH + 1;
	char	   *result;

	if (!OidIsValid(conversion) || space > MaxAllocSize)
		return NULL;
	result = palloc(space);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, (unsigned char *) string,
									  *length, (unsigned char *) result, space, true) == *length)
	{
		*length = strlen(result);
		return result;
	}
	pfree(result);
	return NULL;
}

/*
 * Is the string of that format?  It is in the database's encoding and need
 * not be NUL-terminated.  Nothing that it holds raises an error.
 */
bool
schema_format_accepts(int format, const char *string, int length)
{
	FormatCheck check = formats[format].check;
	char	   *converted;
	bool		accepted;

	if ((formats[format].flags & FORMAT_WIDE) == 0 || GetDatabaseEncoding() == PG_UTF8 || is_ascii(string, length))
		return check(string, string + length, formats[format].flags);
	converted = to_utf8(string, &length);
	if (converted == NULL)
		return false;
	accepted = check(converted, converted + length, formats[format].flags);
	pfree(converted);
	return accepted;
}

/* Refuse a name that no format has. */
static void
refuse_format(const text *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
		appendStringInfo(&names, i == 0 ? "%s" : ", %s", formats[i].name);
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("unknown format"),
			 errdetail("There is no format \"%s\".", text_to_cstring(name)),
			 errhint("The formats are %s.", names.data)));
}

/* jsonb_format_valid(format, value): is the text of the format of that name? */
Datum
promote_jsonb_format_valid(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	text	   *value = PG_GETARG_TEXT_PP(1);
	int			format = schema_format_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	bool		accepted;

	if (format < 0)
		refuse_format(name);
	accepted = schema_format_accepts(format, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_FREE_IF_COPY(name, 0);
	PG_FREE_IF_COPY(value, 1);
	PG_RETURN_BOOL(accepted);
}
