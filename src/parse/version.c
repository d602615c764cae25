/*
 * version.c: semantic versions, their order, and version constraints.
 *
 * The order of semver.org 2.0.0 is put into a sort key, a string of bytes
 * whose plain order is precedence, so that a btree over bytea answers what a
 * constraint selects.  A key is
 *
 *	major minor patch	each the number of digits in a byte, then the digits
 *	0xFF				for a release, or for each prerelease identifier
 *	  0x01 n digits		  a number of n digits
 *	  0x02 text 0x00	  anything else
 *	0x00				the end
 *
 * Numbers have no leading zeros, so more digits is greater, and no number is
 * too long to be compared.  Numbers sort before texts, a version with fewer
 * identifiers before one that goes on, and every prerelease before its
 * release.  Build metadata has no part in precedence and none in the key.
 *
 * A count of digits is at most 251, so the keys that begin with a prefix are
 * those from the prefix up to, not including, prefix || 0xFF.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/result.h"
#include "parse/version.h"

#define DIGITS			"0123456789"
#define IDENTIFIER		DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

#define KEY_NUMBER		0x01
#define KEY_TEXT		0x02
#define KEY_RELEASE		0xFF
#define KEY_END			0x00

#define DEV_SUFFIX		"+dev"

#define VERSION_MAX_LENGTH		255

/* Enough for the sort key of every version: two bytes more per identifier. */
#define VERSION_MAX_KEY			(2 * VERSION_MAX_LENGTH + 16)

/* A sort key; memcmp order, shorter first where one begins the other. */
typedef struct VersionKey
{
	int			length;
	unsigned char bytes[VERSION_MAX_KEY];
} VersionKey;

/* Where a text stopped being a version, in words; both NULL where it is one. */
typedef struct VersionProblem
{
	const char *part;			/* "major version" */
	const char *what;			/* "is missing" */
} VersionProblem;

/* Reads a version or a constraint from left to right. */
typedef struct VersionReader
{
	const char *at;
	VersionKey *key;			/* what was read, as a sort key */
	VersionProblem problem;
} VersionReader;

static const char *const core_parts[] = {"major version", "minor version", "patch version"};

PG_FUNCTION_INFO_V1(promote_check_version);
PG_FUNCTION_INFO_V1(promote_check_version_constraint);
PG_FUNCTION_INFO_V1(promote_is_version);
PG_FUNCTION_INFO_V1(promote_is_version_constraint);
PG_FUNCTION_INFO_V1(promote_version_key);
PG_FUNCTION_INFO_V1(promote_version_compare);
PG_FUNCTION_INFO_V1(promote_version_is_prerelease);
PG_FUNCTION_INFO_V1(promote_parse_version_constraint);
PG_FUNCTION_INFO_V1(promote_version_range);

/* ---- reading ---- */

/* Note what is wrong; returns false, for its caller to return. */
static bool
fail(VersionReader *reader, const char *part, const char *what)
{
	reader->problem.part = part;
	reader->problem.what = what;
	return false;
}

/* Begin to read a text; false if it is too long for the key. */
static bool
begin(VersionReader *reader, const char *text, VersionKey *key)
{
	reader->at = text;
	reader->key = key;
	reader->problem.part = reader->problem.what = NULL;
	key->length = 0;
	if (*text == '\0')
		return fail(reader, "text", "is empty");
	if (strnlen(text, VERSION_MAX_LENGTH + 1) > VERSION_MAX_LENGTH)
		return fail(reader, "text", "has more than 255 characters");
	return true;
}

/* Append a byte to a key, which has room for the longest version. */
static void
key_add_byte(VersionKey *key, unsigned char byte)
{
	Assert(key->length < VERSION_MAX_KEY);
	key->bytes[key->length++] = byte;
}

/* Append text to a key. */
static void
key_add_text(VersionKey *key, const char *text, int length)
{
	Assert(key->length + length <= VERSION_MAX_KEY);
	memcpy(key->bytes + key->length, text, length);
	key->length += length;
}

/* A number of the key: of more digits is greater, of as many by the digits. */
static void
key_add_number(VersionKey *key, const char *digits, int length)
{
	key_add_byte(key, length);
	key_add_text(key, digits, length);
}

/* A number of the core, by the name of its part. */
static bool
read_number(VersionReader *reader, const char *part)
{
	int			length = strspn(reader->at, DIGITS);

	if (length == 0)
		return fail(reader, part, *reader->at == '\0' || *reader->at == '.' ?
					"is missing" : "is not a number");
	if (length > 1 && *reader->at == '0')
		return fail(reader, part, "has a leading zero");
	key_add_number(reader->key, reader->at, length);
	reader->at += length;
	return true;
}

/* As many numbers of the core as wanted, with dots between them. */
static bool
read_core(VersionReader *reader, int wanted)
{
	for (int i = 0; i < wanted; i++)
	{
		if (i > 0 && *reader->at == '.')
			reader->at++;
		else if (i > 0)
			return fail(reader, core_parts[i], *reader->at == '\0' || *reader->at == '-' ||
						*reader->at == '+' ? "is missing" : "does not follow a dot");
		if (!read_number(reader, core_parts[i]))
			return false;
	}
	return true;
}

/* One prerelease identifier, into the key. */
static bool
read_prerelease_identifier(VersionReader *reader)
{
	int			length = strspn(reader->at, IDENTIFIER);
	bool		numeric = (int) strspn(reader->at, DIGITS) == length;

	if (length == 0)
		return fail(reader, "prerelease", "has an empty identifier or an invalid character");
	if (numeric && length > 1 && *reader->at == '0')
		return fail(reader, "prerelease", "has a number with a leading zero");
	key_add_byte(reader->key, numeric ? KEY_NUMBER : KEY_TEXT);
	if (numeric)
		key_add_number(reader->key, reader->at, length);
	else
	{
		key_add_text(reader->key, reader->at, length);
		key_add_byte(reader->key, KEY_END);
	}
	reader->at += length;
	return true;
}

/* The prerelease after its dash, or the mark of a release, and the key's end. */
static bool
read_prerelease(VersionReader *reader)
{
	if (*reader->at != '-')
		key_add_byte(reader->key, KEY_RELEASE);
	else
		do
		{
			reader->at++;
			if (!read_prerelease_identifier(reader))
				return false;
		} while (*reader->at == '.');
	key_add_byte(reader->key, KEY_END);
	return true;
}

/* Build metadata after its plus, which leaves no trace. */
static bool
read_build(VersionReader *reader)
{
	if (*reader->at != '+')
		return true;
	do
	{
		int			length = strspn(++reader->at, IDENTIFIER);

		if (length == 0)
			return fail(reader, "build metadata", "has an empty identifier or an invalid character");
		reader->at += length;
	} while (*reader->at == '.');
	return true;
}

/* The text must have ended; what it says of the last part otherwise. */
static bool
read_end(VersionReader *reader)
{
	if (*reader->at == '\0')
		return true;
	return fail(reader, "text", "goes on where a version would end");
}

/* A whole version.  On false the key is of no use and the problem is set. */
static bool
read_version(VersionReader *reader, const char *text, VersionKey *key)
{
	return begin(reader, text, key) && read_core(reader, 3) &&
		read_prerelease(reader) && read_build(reader) && read_end(reader);
}

/*
 * ~1 or ~1.2, whose key is the beginning that the keys of all the versions it
 * covers have in common.
 */
static bool
read_tilde(VersionReader *reader, const char *text, VersionKey *key)
{
	if (!begin(reader, text, key))
		return false;
	reader->at++;
	if (!read_number(reader, core_parts[0]))
		return false;
	if (*reader->at == '.')
	{
		reader->at++;
		if (!read_number(reader, core_parts[1]))
			return false;
	}
	return *reader->at == '\0' ||
		fail(reader, "range", "has more than a major and a minor version");
}

/* A constraint other than latest: the key of a version, or a common beginning. */
static bool
read_constraint(VersionReader *reader, const char *text, VersionKey *key)
{
	if (*text == '~')
		return read_tilde(reader, text, key);
	if (strchr(text, '+') != NULL && begin(reader, text, key))
		return fail(reader, "constraint", "has build metadata or a release channel");
	return read_version(reader, text, key);
}

/* Is it the constraint "latest"? */
static bool
is_latest(const char *text)
{
	return strcmp(text, "latest") == 0;
}

/* ---- refusals ---- */

/* Refuse a text as what it should be, for the part and the reason that the parser noted. */
pg_noreturn static void
refuse(const char *text, const char *what, const VersionProblem *problem, const char *hint)
{
	int			length = strlen(text);

	ereport(ERROR,
			(errcode(PM_INVALID_VERSION),
			 errmsg("invalid %s \"%s\"", what,
					pnstrdup(text, pg_mbcliplen(text, length, Min(length, NAMEDATALEN - 1)))),
			 errdetail("The %s %s.", problem->part, problem->what),
			 errhint("%s", hint)));
}

/* Refuse a constraint. */
pg_noreturn static void
refuse_constraint(const char *text, const VersionProblem *problem)
{
	refuse(text, "version constraint", problem,
		   "Valid forms are 1.2.3, ~1, ~1.2 and latest; where a release channel may be given, each may be followed by +dev.");
}

/* ---- what other files call ---- */

/*
 * Tell the constraint from the release channel that may follow it.  The
 * constraint is palloc'ed.  Raises PM_INVALID_VERSION.
 */
void
version_parse_constraint(const char *text, char **constraint, bool *development)
{
	int			length = strlen(text);
	int			suffix = strlen(DEV_SUFFIX);
	VersionReader reader;
	VersionKey	key;

	*development = length >= suffix && strcmp(text + length - suffix, DEV_SUFFIX) == 0;
	*constraint = pnstrdup(text, *development ? length - suffix : length);
	if (!is_latest(*constraint) && !read_constraint(&reader, *constraint, &key))
		refuse_constraint(text, &reader.problem);
}

/* A sort key in the current memory context. */
static bytea *
key_bytes(const VersionKey *key)
{
	return cstring_to_text_with_len((const char *) key->bytes, key->length);
}

/* The lowest key that a constraint covers; empty for latest.  Raises PM_INVALID_VERSION. */
static void
lowest_key(const char *constraint, VersionKey *lower)
{
	VersionReader reader;

	lower->length = 0;
	if (!is_latest(constraint) && !read_constraint(&reader, constraint, lower))
		refuse_constraint(constraint, &reader.problem);
}

/*
 * The sort keys of the versions that a constraint covers, from lower up to, not including, upper.
 * Raises PM_INVALID_VERSION.
 */
void
version_range(const char *constraint, bytea **lower, bytea **upper)
{
	VersionKey	key;

	lowest_key(constraint, &key);
	*lower = key_bytes(&key);
	/* no key goes on after a whole one, and every byte after a part is less */
	key_add_byte(&key, *constraint == '~' || key.length == 0 ? 0xFF : KEY_END);
	*upper = key_bytes(&key);
}

/* ---- SQL functions ---- */

/* The sort key of a function's argument, a version; raises PM_INVALID_VERSION. */
static void
argument_key(FunctionCallInfo fcinfo, int argument, VersionKey *key)
{
	const char *version = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	VersionReader reader;

	if (!read_version(&reader, version, key))
		refuse(version, "version", &reader.problem,
			   "A version is MAJOR.MINOR.PATCH, such as 1.2.3 or 1.2.3-rc.1, as semver.org 2.0.0 has it.");
}

/* promote_internal.check_version(text) RETURNS boolean: true, or PM_INVALID_VERSION */
Datum
promote_check_version(PG_FUNCTION_ARGS)
{
	VersionKey	key;

	argument_key(fcinfo, 0, &key);
	PG_RETURN_BOOL(true);
}

/* promote_internal.check_version_constraint(text) RETURNS boolean: true, or PM_INVALID_VERSION */
Datum
promote_check_version_constraint(PG_FUNCTION_ARGS)
{
	VersionKey	lower;

	lowest_key(text_to_cstring(PG_GETARG_TEXT_PP(0)), &lower);
	PG_RETURN_BOOL(true);
}

/* promote.is_version(text) RETURNS boolean */
Datum
promote_is_version(PG_FUNCTION_ARGS)
{
	VersionReader reader;
	VersionKey	key;

	PG_RETURN_BOOL(read_version(&reader, text_to_cstring(PG_GETARG_TEXT_PP(0)), &key));
}

/* promote.is_version_constraint(text) RETURNS boolean: without a release channel */
Datum
promote_is_version_constraint(PG_FUNCTION_ARGS)
{
	const char *constraint = text_to_cstring(PG_GETARG_TEXT_PP(0));
	VersionReader reader;
	VersionKey	key;

	PG_RETURN_BOOL(is_latest(constraint) || read_constraint(&reader, constraint, &key));
}

/* promote.version_key(text) RETURNS bytea */
Datum
promote_version_key(PG_FUNCTION_ARGS)
{
	VersionKey	key;

	argument_key(fcinfo, 0, &key);
	return PointerGetDatum(key_bytes(&key));
}

/* promote.version_compare(text, text) RETURNS integer: -1, 0 or 1 */
Datum
promote_version_compare(PG_FUNCTION_ARGS)
{
	VersionKey	a;
	VersionKey	b;
	int			order;

	argument_key(fcinfo, 0, &a);
	argument_key(fcinfo, 1, &b);
	order = memcmp(a.bytes, b.bytes, Min(a.length, b.length));
	if (order == 0)
		order = a.length - b.length;
	PG_RETURN_INT32((order > 0) - (order < 0));
}

/* promote.version_is_prerelease(text) RETURNS boolean */
Datum
promote_version_is_prerelease(PG_FUNCTION_ARGS)
{
	VersionKey	key;

	argument_key(fcinfo, 0, &key);
	/* 0xFF and the end are the last two bytes of a release's key, and of no other */
	PG_RETURN_BOOL(key.bytes[key.length - 2] != KEY_RELEASE);
}

/* promote.parse_version_constraint(text, OUT version_constraint text, OUT release_channel text) */
Datum
promote_parse_version_constraint(PG_FUNCTION_ARGS)
{
	char	   *constraint;
	bool		development;

	version_parse_constraint(text_to_cstring(PG_GETARG_TEXT_PP(0)), &constraint, &development);
	return result_row(fcinfo, AS_TEXT(constraint), AS_TEXT(development ? VERSION_DEVELOPMENT : VERSION_STABLE));
}

/*
 * promote.version_range(text, OUT lower bytea, OUT upper bytea): the sort keys
 * of the versions a constraint covers, from lower up to, not including, upper
 */
Datum
promote_version_range(PG_FUNCTION_ARGS)
{
	bytea	   *lower;
	bytea	   *upper;

	version_range(text_to_cstring(PG_GETARG_TEXT_PP(0)), &lower, &upper);
	return result_row(fcinfo, AS_BYTEA(lower), AS_BYTEA(upper));
}
