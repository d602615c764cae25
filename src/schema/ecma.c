/*
 * ecma.c: regular expressions of ECMA-262 in the spelling of PostgreSQL's.
 *
 * JSON Schema's patterns are ECMA-262's, with its "u" flag.  PostgreSQL's
 * advanced regular expressions are close to them, but what the two spell
 * alike is not always the same, so a pattern is parsed here and written anew
 * for the engine; what has no equal there is refused.  Only whether a string
 * matches is asked, never where: laziness is dropped, and groups capture
 * only where a back reference needs them.
 *
 * Under the C collation the engine's \d and \w are ASCII's, as ECMA's are.
 *
 * The same walk judges whether a pattern is well formed.  It then writes
 * nothing, passes over what the engine lacks, and insists on what patterns
 * of schemas are forgiven.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/memutils.h"

#include "base/ascii.h"
#include "base/errors.h"
#include "schema/arena.h"
#include "schema/ecma.h"
#include "schema/unicode.h"

/* No upper bound of a quantifier. */
#define UNBOUNDED	(-1)

/* The most that the engine repeats with one quantifier. */
#define ENGINE_REPEAT_MAX	255

/*
 * The most characters and classes a pattern may come to once its repetitions
 * are written out.  The engine takes seconds and tens of megabytes beyond.
 */
#define PATTERN_WEIGHT_MAX	10000

/*
 * The most that its classes, written out, may come to, times the characters
 * that the pattern tells from others: each class is an edge for each kind of
 * character in it.  The engine takes a second or two at this, and from there
 * on with the square and more.
 */
#define PATTERN_EDGES_MAX	300000

/* Kinds of characters that a class of Unicode adds, and that \d and \w do. */
#define PROPERTY_KINDS		1
#define ESCAPE_KINDS		10

#define NO_CHARACTER		((pg_wchar) -1)
#define LAST_CHARACTER		((pg_wchar) 0x7ffffffe)

/* A capturing group of the pattern. */
typedef struct Group
{
	const pg_wchar *name;		/* NULL if it has none */
	int			name_length;
	int			number;			/* the engine's, 0 where it cannot capture */
	bool		closed;
} Group;

typedef struct Translator
{
	const SchemaPlace *place;
	pg_wchar   *wide;			/* the whole pattern */
	const pg_wchar *next;
	const pg_wchar *end;
	StringInfoData out;			/* of pg_wchar */
	bool		utf8;
	bool		capturing;		/* is there a back reference? */
	int			lookarounds;	/* how many are open */
	int			captures;		/* groups that the engine captures so far */
	int			group_count;
	Group	   *groups;
	uint64		weight;			/* of what is written so far */
	uint64		classes;		/* and how many classes are in it */
	Bitmapset  *characters;		/* that are named */
	uint64		kinds;			/* of characters that the engine tells apart */
	bool		judging;		/* only: is it well formed? */
	int			highest;		/* when judging: of the groups referred to by number */
	int			reference_count;
	Group	   *references;		/* when judging: those by name */
} Translator;

#define REFUSE_PATTERN(t, ...) SCHEMA_REFUSE((t)->place, SCHEMA_PATTERN_HINT, __VA_ARGS__)

/* Refuse what is well formed but has no equal in the engine. */
#define REFUSE_UNSUPPORTED(t, ...) \
	do { \
		if (!(t)->judging) \
			REFUSE_PATTERN(t, __VA_ARGS__); \
	} while (0)

/* Refuse what is not well formed but has one evident meaning. */
#define REFUSE_SLOPPY(t) \
	do { \
		if ((t)->judging) \
			REFUSE_PATTERN(t, "is not well formed."); \
	} while (0)

static void translate_alternatives(Translator *t);

/* White space of ECMA-262; ASCII's comes first. */
static const pg_wchar spaces[][2] = {
	{0x09, 0x0d}, {0x20, 0x20}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a},
	{0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}
};

#define ASCII_SPACES	2

/* Writing: a character that means what it means to the engine. */
static void
emit(Translator *t, pg_wchar c)
{
	if (!t->judging)
		appendBinaryStringInfo(&t->out, (const char *) &c, sizeof(c));
}

/* Write ASCII text of the engine's own syntax. */
static void
emit_text(Translator *t, const char *text)
{
	for (; *text; text++)
		emit(t, (unsigned char) *text);
}

/* Write how often the atom before it is repeated, both within what the engine repeats. */
static void
emit_bounds(Translator *t, int least, int most)
{
	char		bounds[32];

	snprintf(bounds, sizeof(bounds), "{%d,%d}", least, most);
	emit_text(t, bounds);
}

/* Take down that the pattern tells a character from others. */
static void
distinguish(Translator *t, pg_wchar c)
{
	int			member = c & 0x1fffff;

	if (t->judging || c == LAST_CHARACTER || bms_is_member(member, t->characters))
		return;
	t->characters = bms_add_member(t->characters, member);
	t->kinds++;
}

/* A character that stands for itself, inside brackets or not. */
static void
write_literal(Translator *t, pg_wchar c)
{
	if (c > ' ' && c < 0x7f && strchr("\\^$.|?*+()[]{}-", (int) c))
		emit(t, '\\');
	emit(t, c);
}

/* Write a character that stands for itself, and take it down. */
static void
emit_literal(Translator *t, pg_wchar c)
{
	distinguish(t, c);
	write_literal(t, c);
}

/* Write a range within brackets, or its only character. */
static void
write_range(Translator *t, pg_wchar first, pg_wchar last)
{
	write_literal(t, first);
	if (last != first)
	{
		emit(t, '-');
		write_literal(t, last);
	}
}

/* Write a range, and take down where it begins and ends. */
static void
emit_range(Translator *t, pg_wchar first, pg_wchar last)
{
	distinguish(t, first);
	distinguish(t, last);
	write_range(t, first, last);
}

/* Reading: the character that comes n from here, without moving. */
static pg_wchar
peek(const Translator *t, int n)
{
	return t->end - t->next > n ? t->next[n] : NO_CHARACTER;
}

/* Move past text if it is what comes. */
static bool
skip(Translator *t, const char *text)
{
	int			length = strlen(text);

	for (int i = 0; i < length; i++)
		if (peek(t, i) != (unsigned char) text[i])
			return false;
	t->next += length;
	return true;
}

/* Exactly so many hexadecimal digits. */
static uint32
read_hex(Translator *t, int digits)
{
	uint32		code = 0;

	while (digits-- > 0)
	{
		int			digit = ascii_hex_value(peek(t, 0));

		if (digit < 0)
			REFUSE_PATTERN(t, "has an escape that lacks hexadecimal digits.");
		code = code * 16 + digit;
		t->next++;
	}
	return code;
}

/*
 * Convert a code point to the database's encoding, which is not UTF-8; false
 * where that has no such character.
 */
static bool
convert_code_point(uint32 code, unsigned char *bytes)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool converted = true;

	PG_TRY();
	{
		pg_unicode_to_server(code, bytes);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_UNTRANSLATABLE_CHARACTER)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		converted = false;
	}
	PG_END_TRY();
	return converted;
}

/* The character of a Unicode code point in the database's encoding. */
static pg_wchar
character_of(Translator *t, uint32 code)
{
	unsigned char bytes[MAX_UNICODE_EQUIVALENT_STRING + 1];
	pg_wchar	wide[MAX_UNICODE_EQUIVALENT_STRING + 1];

	if (code > 0x10ffff)
		REFUSE_PATTERN(t, "has an escape for something that is no Unicode character.");
	if (code >= 0xd800 && code <= 0xdfff)
		REFUSE_UNSUPPORTED(t, "has an escape for something that is no Unicode character.");
	if (code < 0x80 || t->utf8)
		return code;
	if (!convert_code_point(code, bytes))
		REFUSE_PATTERN(t, "has an escape for a character that the database's encoding lacks.");
	pg_mb2wchar_with_len((const char *) bytes, wide, strlen((const char *) bytes));
	return wide[0];
}

/* Does the escape of a surrogate's second half come, \udc00 to \udfff? */
static bool
is_low_surrogate(const Translator *t)
{
	return peek(t, 0) == '\\' && peek(t, 1) == 'u' && ascii_hex_value(peek(t, 2)) == 0xd &&
		ascii_hex_value(peek(t, 3)) >= 0xc && ascii_hex_value(peek(t, 4)) >= 0 && ascii_hex_value(peek(t, 5)) >= 0;
}

/* What follows \u: XXXX, a surrogate pair of two of these, or {X...}. */
static pg_wchar
read_unicode(Translator *t)
{
	uint32		code = 0;

	if (skip(t, "{"))
	{
		do
		{
			code = code * 16 + read_hex(t, 1);
			if (code > 0x10ffff)
				break;
		} while (peek(t, 0) != '}');
		t->next++;
		return character_of(t, code);
	}
	code = read_hex(t, 4);
	if (code >= 0xd800 && code <= 0xdbff && is_low_surrogate(t))
	{
		t->next += 2;
		code = 0x10000 + ((code - 0xd800) << 10) + (read_hex(t, 4) - 0xdc00);
	}
	return character_of(t, code);
}

/* The character that an escape stands for; the backslash is behind us. */
static pg_wchar
read_character_escape(Translator *t)
{
	pg_wchar	c = peek(t, 0);

	if (c == NO_CHARACTER)
		REFUSE_PATTERN(t, "ends with a backslash.");
	t->next++;
	switch (c)
	{
		case 't':
			return '\t';
		case 'n':
			return '\n';
		case 'v':
			return '\v';
		case 'f':
			return '\f';
		case 'r':
			return '\r';
		case 'x':
			return read_hex(t, 2);
		case 'u':
			return read_unicode(t);
		case 'c':
			c = peek(t, 0);
			if (c >= 0x80 || !isalpha((int) c))
				REFUSE_PATTERN(t, "has \\c without a letter.");
			t->next++;
			return c % 32;
		case '0':
			if (ascii_is_digit(peek(t, 0)))
				REFUSE_PATTERN(t, "has an octal escape.");
			return 0;
		default:
			if (c < 0x80 && isalnum((int) c))
				REFUSE_PATTERN(t, "has the unknown escape \\%c.", (int) c);
			if (c >= 0x80 || !strchr("^$\\.*+?()[]{}|/", (int) c))
				REFUSE_SLOPPY(t);
			return c;
	}
}

/* The inside of a bracket expression for \s, or for \S. */
static void
emit_spaces(Translator *t, bool negated)
{
	int			count = t->utf8 ? lengthof(spaces) : ASCII_SPACES;
	pg_wchar	first = 0;

	for (int i = 0; i < count; i++)
	{
		if (!negated)
			emit_range(t, spaces[i][0], spaces[i][1]);
		else
			emit_range(t, first, spaces[i][0] - 1);
		first = spaces[i][1] + 1;
	}
	if (negated)
		emit_range(t, first, LAST_CHARACTER);
}

/* The code point of a byte in the database's encoding, which is not UTF-8; 0 if it stands for none. */
static uint32
code_point_of_byte(unsigned char byte, Oid conversion)
{
	unsigned char bytes[2] = {byte, '\0'};
	unsigned char converted[MAX_CONVERSION_GROWTH + 1];

	if (byte < 0x80)
		return byte;
	if (!OidIsValid(conversion) ||
		pg_do_encoding_conversion_buf(conversion, GetDatabaseEncoding(), PG_UTF8, bytes, 1,
									  converted, sizeof(converted), true) != 1)
		return 0;
	return utf8_to_unicode(converted);
}

/*
 * Write those characters of a database with one byte for each that are in
 * the ranges, which are in order.  Where a byte has no meaning it is in none.
 */
static void
emit_bytes_in(Translator *t, const UnicodeRange *ranges, int count)
{
	Oid			conversion = FindDefaultConversionProc(GetDatabaseEncoding(), PG_UTF8);
	int			byte;

	for (byte = 1; byte <= 0xff; byte++)
	{
		uint32		code = code_point_of_byte(byte, conversion);

		for (int i = 0; i < count && code != 0 && ranges[i].first <= code; i++)
			if (code <= ranges[i].last)
				write_literal(t, byte);
	}
}

/*
 * Write the characters that have a property, or have it not, for the inside
 * of a bracket expression.  A character that no string has goes with them,
 * for brackets may not be empty.
 */
static void
emit_property(Translator *t, const char *name, bool negated)
{
	int			count = 0;
	UnicodeRange *ranges = unicode_property_ranges(name, negated, &count);

	write_literal(t, LAST_CHARACTER);
	for (int i = 0; t->utf8 && i < count; i++)
		write_range(t, ranges[i].first, ranges[i].last);
	if (!t->utf8)
		emit_bytes_in(t, ranges, count);
	t->kinds += PROPERTY_KINDS;
	pfree(ranges);
}

/* What follows \p, or \P: a property's name in braces. */
static void
translate_property(Translator *t, bool negated)
{
	char		name[UNICODE_NAME_SPACE];
	int			length = 0;

	if (!skip(t, "{"))
		REFUSE_PATTERN(t, "has \\p without a property in braces.");
	while (length < UNICODE_NAME_SPACE - 1 && peek(t, 0) < 0x80 && peek(t, 0) > ' ' &&
		   peek(t, 0) != '}')
		name[length++] = *t->next++;
	name[length] = '\0';
	if (!skip(t, "}") || !unicode_property_known(name))
		REFUSE_PATTERN(t, "asks for the property \"%s\", which ECMA-262 does not name.", name);
	if (t->judging)
		return;
	if (!t->utf8 && pg_database_encoding_max_length() > 1)
		REFUSE_PATTERN(t, "has \\p, which is supported in databases with UTF-8 or one byte"
					   " for each character only.");
	emit_property(t, name, negated);
}

/*
 * If \d, \w, \s, \p{...} or one of their opposites comes, write it for the
 * inside of a bracket expression.
 */
static bool
translate_class_escape(Translator *t)
{
	pg_wchar	c = peek(t, 0) == '\\' ? peek(t, 1) : NO_CHARACTER;

	if (c == NO_CHARACTER || c >= 0x80 || !strchr("dDwWsSpP", (int) c))
		return false;
	t->next += 2;
	if (c == 's' || c == 'S')
		emit_spaces(t, c == 'S');
	else if (c == 'p' || c == 'P')
		translate_property(t, c == 'P');
	else
	{
		emit(t, '\\');
		emit(t, c);
	}
	return true;
}

/* One character of a bracket expression. */
static pg_wchar
read_class_character(Translator *t)
{
	if (t->next >= t->end)
		REFUSE_PATTERN(t, "has a bracket that is not closed.");
	if (!skip(t, "\\"))
		return *t->next++;
	if (skip(t, "b"))
		return '\b';
	if (skip(t, "-"))
		return '-';
	return read_character_escape(t);
}

/* A member of a bracket expression: a class, a character or a range. */
static void
translate_class_member(Translator *t)
{
	pg_wchar	first;
	pg_wchar	last;

	if (translate_class_escape(t))
	{
		if (peek(t, 0) == '-' && peek(t, 1) != ']')
			REFUSE_SLOPPY(t);
		return;
	}
	first = read_class_character(t);
	if (peek(t, 0) != '-' || peek(t, 1) == ']' || peek(t, 1) == NO_CHARACTER)
	{
		emit_literal(t, first);
		return;
	}
	t->next++;
	if (translate_class_escape(t))
	{
		/* [a-\d] is no range: all three stand for themselves */
		REFUSE_SLOPPY(t);
		emit_literal(t, first);
		emit_literal(t, '-');
		return;
	}
	last = read_class_character(t);
	if (last < first)
		REFUSE_PATTERN(t, "has a range in brackets that is out of order.");
	emit_range(t, first, last);
}

/* A bracket expression; the opening bracket is behind us. */
static void
translate_class(Translator *t)
{
	bool		negated = skip(t, "^");

	t->classes++;
	if (skip(t, "]"))
	{
		/* [] matches nothing, and [^] anything; neither can be said in brackets */
		emit_text(t, negated ? "." : "(?:(?!))");
		return;
	}
	emit_text(t, negated ? "[^" : "[");
	while (!skip(t, "]"))
	{
		CHECK_FOR_INTERRUPTS();
		translate_class_member(t);
	}
	emit(t, ']');
}

/* Any character but those that end a line. */
static void
emit_any(Translator *t)
{
	t->classes++;
	emit_text(t, "[^\n\r");
	if (t->utf8)
		emit_range(t, 0x2028, 0x2029);
	emit(t, ']');
}

/* A character of a group's name.  What is beyond ASCII is known in UTF-8 only. */
static bool
skip_name_character(Translator *t, bool first)
{
	pg_wchar	c = peek(t, 0);

	if (t->judging && skip(t, "\\u"))
		c = read_unicode(t);
	else if (c != NO_CHARACTER)
		t->next++;
	if (c == NO_CHARACTER || (c >= 0x80 && !t->utf8))
		return c != NO_CHARACTER;
	return first ? unicode_starts_name(c) : unicode_continues_name(c);
}

/* A group's name, up to the closing bracket. */
static void
read_name(Translator *t, const pg_wchar **name, int *length)
{
	*name = t->next;
	while (t->next < t->end && *t->next != '>')
		if (!skip_name_character(t, t->next == *name))
			REFUSE_PATTERN(t, "has a group whose name is not an identifier.");
	*length = t->next - *name;
	if (!skip(t, ">") || *length == 0)
		REFUSE_PATTERN(t, "has a group whose name is empty or does not end.");
}

/* The capturing group of that name, or NULL. */
static Group *
find_group(Translator *t, const pg_wchar *name, int length)
{
	for (int i = 0; i < t->group_count; i++)
		if (t->groups[i].name && t->groups[i].name_length == length &&
			memcmp(t->groups[i].name, name, length * sizeof(pg_wchar)) == 0)
			return &t->groups[i];
	return NULL;
}

/*
 * A reference to a group that has ended.  One to a group that has not
 * matches the empty string in ECMA-262, which nobody means.
 */
static void
emit_back_reference(Translator *t, const Group *group)
{
	char		text[32];

	if (t->judging)
		return;
	if (group == NULL || !group->closed)
		REFUSE_PATTERN(t, "has a back reference to a group that does not end before it.");
	if (group->number == 0 || t->lookarounds > 0)
		REFUSE_PATTERN(t, "has a back reference into or within a lookaround,"
					   " which is not supported.");
	snprintf(text, sizeof(text), "(?:\\%d)", group->number);
	emit_text(t, text);
}

/* Digits as a number; what is too large for any pattern is cut off. */
static bool
read_count(Translator *t, int *count)
{
	if (!ascii_is_digit(peek(t, 0)))
		return false;
	*count = 0;
	for (; ascii_is_digit(peek(t, 0)); t->next++)
		*count = Min(*count * 10 + (int) (peek(t, 0) - '0'), 1000000);
	return true;
}

/* A reference by name; when judging, whether there is such a group is seen at the end. */
static void
refer_by_name(Translator *t, const pg_wchar *name, int length)
{
	Group	   *reference;

	if (!t->judging)
	{
		emit_back_reference(t, find_group(t, name, length));
		return;
	}
	reference = &t->references[t->reference_count++];
	reference->name = name;
	reference->name_length = length;
}

/* An escape outside of brackets; false if it takes no quantifier. */
static bool
translate_escape(Translator *t)
{
	pg_wchar	c = peek(t, 1);

	if (c == 'b' || c == 'B')
	{
		t->next += 2;
		emit_text(t, c == 'b' ? "\\y" : "\\Y");
		return false;
	}
	if (c >= '1' && c <= '9')
	{
		int			number;

		t->next++;
		read_count(t, &number);
		t->highest = Max(t->highest, number);
		emit_back_reference(t, number <= t->group_count ? &t->groups[number - 1] : NULL);
		return true;
	}
	if (c == 'k' && peek(t, 2) == '<')
	{
		const pg_wchar *name;
		int			length;

		t->next += 3;
		read_name(t, &name, &length);
		refer_by_name(t, name, length);
		return true;
	}
	if (c < 0x80 && strchr("dDwWsSpP", (int) c))
	{
		t->classes++;
		emit(t, '[');
		translate_class_escape(t);
		emit(t, ']');
		return true;
	}
	t->next++;
	emit_literal(t, read_character_escape(t));
	return true;
}

/* Enter a capturing group; its index, for the number it ends with. */
static int
open_group(Translator *t, const pg_wchar *name, int length)
{
	Group	   *group = &t->groups[t->group_count];

	if (name && !t->judging && find_group(t, name, length))
		REFUSE_PATTERN(t, "has two groups of one name.");
	group->name = name;
	group->name_length = length;
	group->number = t->capturing && t->lookarounds == 0 ? ++t->captures : 0;
	emit_text(t, group->number > 0 ? "(" : "(?:");
	return t->group_count++;
}

/* The inside of a group of any kind, and its closing parenthesis. */
static void
translate_group_body(Translator *t)
{
	translate_alternatives(t);
	if (!skip(t, ")"))
		REFUSE_PATTERN(t, "has a parenthesis that is not closed.");
	emit(t, ')');
}

/* A group; the parenthesis is behind us.  False if it takes no quantifier. */
static bool
translate_group(Translator *t)
{
	static const char *const lookarounds[] = {"?=", "?!", "?<=", "?<!"};
	const pg_wchar *name = NULL;
	int			length = 0;
	int			index;

	for (int i = 0; i < lengthof(lookarounds); i++)
		if (skip(t, lookarounds[i]))
		{
			emit(t, '(');
			emit_text(t, lookarounds[i]);
			t->lookarounds++;
			translate_group_body(t);
			t->lookarounds--;
			return false;
		}
	if (skip(t, "?:"))
	{
		emit_text(t, "(?:");
		translate_group_body(t);
		return true;
	}
	if (skip(t, "?<"))
		read_name(t, &name, &length);
	else if (peek(t, 0) == '?')
		REFUSE_PATTERN(t, "has an unknown kind of group after \"(?\".");
	index = open_group(t, name, length);
	translate_group_body(t);
	t->groups[index].closed = true;
	return true;
}

/* Is the number whose digits end at end greater than the other, though both be too large to count? */
static bool
is_greater(const pg_wchar *digits, const pg_wchar *end, const pg_wchar *other, const pg_wchar *other_end)
{
	while (digits < end && *digits == '0')
		digits++;
	while (other < other_end && *other == '0')
		other++;
	if (end - digits != other_end - other)
		return end - digits > other_end - other;
	while (digits < end && *digits == *other)
		digits++, other++;
	return digits < end && *digits > *other;
}

/* m of {n,m}, or nothing for no upper bound; n is raised above an m that is less. */
static void
read_upper_bound(Translator *t, const pg_wchar *lower, int *least, int *most)
{
	const pg_wchar *lower_end = t->next - 1;
	const pg_wchar *upper = t->next;

	if (!read_count(t, most))
		*most = UNBOUNDED;
	else if (is_greater(lower, lower_end, upper, t->next))
		*least = *most + 1;
}

/*
 * {n}, {n,} or {n,m}, with -1 for no upper bound.  False, without moving,
 * where the brace does not start a quantifier and so stands for itself.
 */
static bool
read_bounds(Translator *t, int *least, int *most)
{
	const pg_wchar *start = t->next;

	if (skip(t, "{") && read_count(t, least))
	{
		*most = *least;
		if (skip(t, ","))
			read_upper_bound(t, start + 1, least, most);
		if (skip(t, "}"))
			return true;
	}
	t->next = start;
	return false;
}

/* Any quantifier that comes here. */
static bool
read_quantifier(Translator *t, int *least, int *most)
{
	pg_wchar	c = peek(t, 0);

	if (c == '{')
		return read_bounds(t, least, most);
	if (c != '*' && c != '+' && c != '?')
		return false;
	*least = c == '+' ? 1 : 0;
	*most = c == '?' ? 1 : UNBOUNDED;
	t->next++;
	return true;
}

/* The atom, so many times; both within what the engine repeats. */
static void
emit_times(Translator *t, const char *atom, int size, int least, int most)
{
	if (most == 0)
		return;
	appendBinaryStringInfo(&t->out, atom, size);
	emit_bounds(t, least, most);
}

/* The atom, from least to most times beyond what the engine repeats. */
static void
emit_many(Translator *t, const char *atom, int size, int least, int most)
{
	int			times = most / ENGINE_REPEAT_MAX;

	if (times > 0)
	{
		emit_text(t, "(?:");
		emit_times(t, atom, size, least > 0 ? ENGINE_REPEAT_MAX : 0, ENGINE_REPEAT_MAX);
		emit(t, ')');
		emit_bounds(t, times, times);
	}
	emit_times(t, atom, size, least > 0 ? most % ENGINE_REPEAT_MAX : 0, most % ENGINE_REPEAT_MAX);
}

/*
 * Write an atom that ends the output, and starts there at start, again with
 * bounds that are too large for the engine: x{0,1000} as
 * (?:(?:x{0,255}){3}x{0,235}).
 */
static void
rewrite_bounds(Translator *t, int start, int captures, int least, int most)
{
	int			size = t->out.len - start;
	char	   *atom;

	if (t->captures > captures)
		REFUSE_PATTERN(t, "repeats a group more than %d times that has a back reference.",
					   ENGINE_REPEAT_MAX);
	atom = palloc(size);
	memcpy(atom, t->out.data + start, size);
	t->out.len = start;
	emit_text(t, "(?:");
	if (least > 0)
		emit_many(t, atom, size, least, least);
	if (most == UNBOUNDED)
	{
		appendBinaryStringInfo(&t->out, atom, size);
		emit(t, '*');
	}
	else if (most > least)
		emit_many(t, atom, size, 0, most - least);
	emit(t, ')');
	pfree(atom);
}

/* A quantifier after the atom that starts in the output at start. */
static void
emit_quantifier(Translator *t, int start, int captures, int least, int most)
{
	char		bounds[32];

	if (t->judging)
		return;
	if (least > ENGINE_REPEAT_MAX || most > ENGINE_REPEAT_MAX)
		rewrite_bounds(t, start, captures, least, most);
	else if (most != UNBOUNDED)
		emit_bounds(t, least, most);
	else
	{
		snprintf(bounds, sizeof(bounds), least == 0 ? "*" : "{%d,}", least);
		emit_text(t, bounds);
	}
}

/* The weight of a pattern so far, with the last atom so many times. */
static void
weigh(Translator *t, uint64 weight_before, uint64 classes_before, int times)
{
	if (times > 1)
	{
		t->weight = weight_before + (t->weight - weight_before) * times;
		t->classes = classes_before + (t->classes - classes_before) * times;
	}
	if (t->judging)
		return;
	if (t->weight > PATTERN_WEIGHT_MAX || t->classes * t->kinds > PATTERN_EDGES_MAX)
		SCHEMA_REFUSE(t->place, "Repeat less, or bound the length with \"maxLength\".",
					  "is too large once its repetitions are written out.");
}

/* An atom or assertion; false if it takes no quantifier. */
static bool
translate_atom(Translator *t)
{
	pg_wchar	c = peek(t, 0);
	int			ignored;

	t->weight++;
	if (c == '\\')
		return translate_escape(t);
	if (read_quantifier(t, &ignored, &ignored))
		REFUSE_PATTERN(t, "has a quantifier with nothing before it to repeat.");
	t->next++;
	switch (c)
	{
		case '^':
		case '$':
			emit(t, c);
			return false;
		case '(':
			return translate_group(t);
		case '[':
			translate_class(t);
			return true;
		case '.':
			emit_any(t);
			return true;
		case '{':
		case '}':
		case ']':
			REFUSE_SLOPPY(t);
			emit_literal(t, c);
			return true;
		default:
			emit_literal(t, c);
			return true;
	}
}

/* An atom with its quantifier, if it has one. */
static void
translate_term(Translator *t)
{
	int			start = t->out.len;
	int			captures = t->captures;
	uint64		weight = t->weight;
	uint64		classes = t->classes;
	bool		repeatable = translate_atom(t);
	int			least = 1;
	int			most = 1;

	if (read_quantifier(t, &least, &most))
	{
		if (!repeatable)
			REFUSE_PATTERN(t, "has a quantifier after something that matches no character.");
		if (most != UNBOUNDED && most < least)
			REFUSE_PATTERN(t, "has a quantifier whose bounds are out of order.");
		skip(t, "?");
		weigh(t, weight, classes, Max(least, most));
		emit_quantifier(t, start, captures, least, most);
	}
	weigh(t, weight, classes, 1);
}

/* Alternatives, up to the end or a closing parenthesis. */
static void
translate_alternatives(Translator *t)
{
	check_stack_depth();
	while (t->next < t->end && *t->next != ')')
	{
		CHECK_FOR_INTERRUPTS();
		if (skip(t, "|"))
			emit(t, '|');
		else
			translate_term(t);
	}
}

/* Count what may be groups and references, and see whether there are any of these. */
static void
survey(Translator *t)
{
	const pg_wchar *c;
	int			groups = 0;
	int			names = 0;

	for (c = t->next; c < t->end; c++)
	{
		if (*c == '(')
			groups++;
		else if (*c == '\\' && ++c < t->end)
		{
			names += *c == 'k';
			t->capturing |= (*c >= '1' && *c <= '9') || *c == 'k';
		}
	}
	t->groups = schema_allocate(sizeof(Group), Max(groups, 1));
	t->references = schema_allocate(sizeof(Group), Max(names, 1));
}

/* Translate or judge all of a pattern in that encoding. */
static void
translate_pattern(Translator *t, const char *source, int length, int encoding)
{
	t->next = t->wide = schema_allocate(sizeof(pg_wchar), (Size) length + 1);
	t->end = t->wide + pg_encoding_mb2wchar_with_len(encoding, source, t->wide, length);
	t->utf8 = encoding == PG_UTF8;
	t->kinds = ESCAPE_KINDS;
	initStringInfo(&t->out);
	survey(t);
	translate_alternatives(t);
	if (t->next < t->end)
		REFUSE_PATTERN(t, "has a closing parenthesis that was not opened.");
}

/*
 * Write the pattern into out, which is initialized here, as characters of
 * the engine; its weight is returned.  Raises PM_INVALID_SCHEMA for place.
 */
uint64
schema_translate_pattern(const char *source, int length, const SchemaPlace *place, StringInfo out)
{
	Translator	t = {.place = place};

	translate_pattern(&t, source, length, GetDatabaseEncoding());
	pfree(t.wide);
	pfree(t.groups);
	pfree(t.references);
	bms_free(t.characters);
	*out = t.out;
	return t.weight;
}

/* The order of two groups by their names, of which any may be absent; for qsort and bsearch. */
static int
compare_names(const void *left, const void *right)
{
	const Group *a = left;
	const Group *b = right;

	if (a->name_length != b->name_length)
		return a->name_length < b->name_length ? -1 : 1;
	return a->name_length == 0 ? 0 :
		memcmp(a->name, b->name, a->name_length * sizeof(pg_wchar));
}

/* When judging, at the end: have groups different names, and is there a group for each reference? */
static bool
references_hold(Translator *t)
{
	if (t->highest > t->group_count)
		return false;
	qsort(t->groups, t->group_count, sizeof(Group), compare_names);
	for (int i = 1; i < t->group_count; i++)
		if (t->groups[i].name && compare_names(&t->groups[i - 1], &t->groups[i]) == 0)
			return false;
	for (int i = 0; i < t->reference_count; i++)
		if (!bsearch(&t->references[i], t->groups, t->group_count, sizeof(Group), compare_names))
			return false;
	return true;
}

/*
 * Is that, in UTF-8, a regular expression of ECMA-262 with the flag "u",
 * whether the engine can carry it out or not?  One that is nested deeper
 * than the stack allows counts as none.
 */
bool
schema_pattern_well_formed(const char *source, int length)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "promote pattern",
												  ALLOCSET_DEFAULT_SIZES);
	volatile bool result = false;

	PG_TRY();
	{
		Translator	t = {.judging = true};

		MemoryContextSwitchTo(scratch);
		translate_pattern(&t, source, length, PG_UTF8);
		result = references_hold(&t);
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		/* only memory is held, so no subtransaction has to be rolled back */
		if (code != PM_INVALID_SCHEMA && code != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return result;
}
