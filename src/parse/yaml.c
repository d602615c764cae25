/*
 * yaml.c: promote.yaml_to_jsonb, YAML text to jsonb.
 *
 * libyaml scans and parses; what the events mean is decided here: the core
 * schema of YAML 1.2 for scalars, aliases expanded, merge keys resolved, and
 * everything refused that JSON cannot hold or that is more likely a mistake
 * or an attack than a configuration.
 *
 * The events become a tree of YamlNode, in which an alias is a pointer to its
 * anchor's node; only the builder, at the end, walks an alias once per use.
 * Every node knows what it comes to when it is written out, so that a bomb of
 * aliases is refused at the alias that passes the limit, before anything is
 * expanded.
 *
 * No value of the document ever gets into a message: it may be a secret.  Nor
 * do tags and names of anchors, which are what an unquoted password that
 * begins with !, & or * turns into.  Names of keys do.
 */
#include "postgres.h"

#include <yaml.h>

#include "access/detoast.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/grow.h"
#include "json/builder.h"
#include "json/reader.h"

/* The limits, all of them refused with PM_TOO_LARGE; doc/reference/yaml.md lists them. */
#define YAML_MAX_BYTES			(16 * 1024 * 1024)	/* of input, and of text written out */
#define YAML_MAX_NODES			1000000 /* keys and values, written out */
#define YAML_MAX_DEPTH			1000	/* sequences and mappings in each other */
#define YAML_MAX_DIGITS			1000	/* of a number, written out */
#define YAML_MAX_BITS			3321	/* of 0x and 0o: 10^1000 has 3322 */
#define YAML_MAX_DIRECTIVES		64	/* libyaml compares each %TAG with all others */

#define YAML_CORE_PREFIX		"tag:yaml.org,2002:"

typedef enum YamlKind
{
	YAML_SCALAR,
	YAML_SEQUENCE,
	YAML_MAPPING,
	YAML_ALIAS
} YamlKind;

typedef enum YamlTag
{
	YAML_TAG_NONE,				/* to be resolved by the core schema */
	YAML_TAG_PLAIN,				/* "!": a string, a sequence or a mapping */
	YAML_TAG_STR,
	YAML_TAG_INT,
	YAML_TAG_FLOAT,
	YAML_TAG_BOOL,
	YAML_TAG_NULL,
	YAML_TAG_SEQ,
	YAML_TAG_MAP
} YamlTag;

/* What a scalar is by its text. */
typedef enum YamlType
{
	YAML_UNRESOLVED,			/* not yet used as a value, only as a key */
	YAML_STRING,
	YAML_NULL,
	YAML_TRUE,
	YAML_FALSE,
	YAML_DECIMAL,				/* 12 */
	YAML_OCTAL,					/* 0o14 */
	YAML_HEXADECIMAL,			/* 0xc */
	YAML_FLOAT,					/* 1.2e1 */
	YAML_NOT_FINITE,			/* .nan, or .inf with any sign */
	YAML_INFINITE				/* .inf, which is taken for not finite */
} YamlType;

typedef struct YamlNode
{
	uint8		kind;			/* YamlKind */
	uint8		tag;			/* YamlTag */
	uint8		type;			/* YamlType, of a scalar */
	bool		plain;			/* scalar without quotes */
	bool		open;			/* collection that has not ended yet */
	int			line;			/* from 1 */
	int			column;			/* from 1, in characters */
	uint32		nodes;			/* keys and values, written out */
	uint32		bytes;			/* their text, written out */
	uint32		height;			/* levels of collections, 0 for a scalar */
	union
	{
		struct
		{
			char	   *text;	/* in the database's encoding */
			int			length;
			Numeric		number;
		}			scalar;
		struct
		{
			struct YamlNode **items;	/* of a mapping: key, value, key, ... */
			uint32		count;
			Size		capacity;
		}			children;
		struct YamlNode *target;	/* of an alias; never an alias itself */
	}			u;
} YamlNode;

/* The latest node of an anchor's name. */
typedef struct YamlAnchor
{
	const char *name;			/* the hash key: compared as a string */
	YamlNode   *node;
} YamlAnchor;

/* A key and its value, while a mapping is put in order. */
typedef struct YamlPair
{
	YamlNode   *key;			/* scalar, or an alias of one */
	YamlNode   *value;
	uint32		rank;			/* of two equal keys, the lower one wins */
} YamlPair;

typedef struct YamlPairs
{
	YamlPair   *pairs;
	uint32		count;
	Size		capacity;
	uint32		written;		/* pairs of the mapping itself; the rest is merged */
} YamlPairs;

/* One call.  parser and event own malloc'ed memory: see release_reader. */
typedef struct YamlReader
{
	yaml_parser_t parser;
	yaml_event_t event;			/* the current one */
	bool		initialized;
	const char *input;			/* UTF-8 */
	size_t		source_index;	/* a character's ordinal, and ... */
	const char *source;			/* ... where it is; both only move on */
	HTAB	   *anchors;
	uint32		nodes;			/* so far, written out */
	uint32		bytes;
} YamlReader;

static YamlNode *read_value(YamlReader *reader, int depth);
static void order_mapping(YamlNode *mapping);
static void write_node(JsonBuilder *builder, const YamlNode *node);

PG_FUNCTION_INFO_V1(promote_yaml_to_jsonb);

/* ---- refusals ---- */

/* Refuse the document at a place of it; line and column count from 1. */
pg_noreturn static void
refuse(int code, int line, int column,
	   const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s", message),
			 errdetail("Line %d, column %d: %s", line, column, detail),
			 errhint("%s", hint)));
}

/* Refuse the document at a node of it as something that is no YAML for JSON. */
pg_noreturn static void
refuse_node(const YamlNode *node,
			const char *message, const char *detail, const char *hint)
{
	refuse(PM_INVALID_YAML, node->line, node->column, message, detail, hint);
}

/* Refuse the document at a byte of the input. */
pg_noreturn static void
refuse_byte(int code, const char *input, size_t offset, const char *message, const char *detail, const char *hint)
{
	int			line = 1;
	int			column = 1;

	for (const char *at = input; *at && (size_t) (at - input) < offset; at++)
	{
		if (*at == '\n' || (*at == '\r' && at[1] != '\n'))
		{
			line++;
			column = 1;
		}
		else if (*at != '\r' && ((unsigned char) at[1] & 0xC0) != 0x80)
			column++;
	}
	refuse(code, line, column, message, detail, hint);
}

/* Raise that libyaml has no memory. */
pg_noreturn static void
refuse_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("The YAML parser could not allocate memory.")));
}

/* Raise what libyaml reports.  Its texts are constants without values. */
pg_noreturn static void
refuse_syntax(const YamlReader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *hint = "Correct the text at that place; a value that begins with, or holds, characters of YAML's syntax is to be quoted.";
	const char *problem = psprintf("%s%s%s.", parser->problem ? parser->problem : "syntax error",
								   parser->context ? " " : "", parser->context ? parser->context : "");

	if (parser->error == YAML_MEMORY_ERROR)
		refuse_memory();
	if (parser->error == YAML_READER_ERROR)
		refuse_byte(PM_INVALID_YAML, reader->input, parser->problem_offset, "invalid YAML", problem, hint);
	refuse(PM_INVALID_YAML, (int) parser->problem_mark.line + 1, (int) parser->problem_mark.column + 1,
		   "invalid YAML", problem, hint);
}

/* A key's name for a message: quoted, escaped, and of bounded length. */
static const char *
key_for_message(const YamlNode *key)
{
	StringInfoData name;
	int			length = pg_mbcliplen(key->u.scalar.text, key->u.scalar.length,
									  NAMEDATALEN - 1);

	initStringInfo(&name);
	escape_json(&name, pnstrdup(key->u.scalar.text, length));
	return name.data;
}

/*
 * Count what is about to be added against the limits.  An alias comes with
 * all that its node comes to, so the sums are those of the written document.
 */
static void
spend(YamlReader *reader, const YamlNode *at, uint32 nodes, uint32 bytes)
{
	/* no overflow: all four are within the limits, or of one scalar */
	reader->nodes += nodes;
	reader->bytes += bytes;
	if (reader->nodes > YAML_MAX_NODES || reader->bytes > YAML_MAX_BYTES)
		refuse(PM_TOO_LARGE, at->line, at->column, "YAML document is too large",
			   psprintf("With every alias written out, the document passes %d %s here.",
						reader->nodes > YAML_MAX_NODES ? YAML_MAX_NODES : YAML_MAX_BYTES,
						reader->nodes > YAML_MAX_NODES ? "keys and values" : "bytes of text"),
			   "Use fewer aliases, or split the document.");
}

/* Refuse what nests deeper than the limit. */
static void
check_depth(const YamlNode *at, uint32 depth)
{
	if (depth > YAML_MAX_DEPTH)
		refuse(PM_TOO_LARGE, at->line, at->column, "YAML document is nested too deeply",
			   psprintf("Sequences and mappings nest deeper than %d levels here.",
						YAML_MAX_DEPTH),
			   "Flatten the document.");
}

/* ---- events and the text behind them ---- */

/* Make the next event the current one. */
static void
next_event(YamlReader *reader)
{
	CHECK_FOR_INTERRUPTS();
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->parser, &reader->event))
		refuse_syntax(reader);
}

/* Free what libyaml allocated.  Called on every way out, errors included. */
static void
release_reader(YamlReader *reader)
{
	if (!reader->initialized)
		return;
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
	reader->initialized = false;
}

/*
 * The input at a mark.  Marks count characters; events come in the order of
 * the text, so that the way through it is walked only once.
 */
static const char *
source_at(YamlReader *reader, const yaml_mark_t *mark)
{
	while (reader->source_index < mark->index && *reader->source)
	{
		reader->source += pg_utf_mblen((const unsigned char *) reader->source);
		reader->source_index++;
	}
	return reader->source;
}

/*
 * Is there a tag "!" before the current event's plain scalar?  libyaml drops
 * this one tag from its events.  The text of the event begins with its
 * properties, and a plain scalar itself cannot begin with "!".
 */
static bool
has_plain_tag(YamlReader *reader)
{
	const char *at = source_at(reader, &reader->event.start_mark);

	if (*at == '&')
		at += strcspn(at, " \t\r\n");
	for (;;)
	{
		at += strspn(at, " \t\r\n");
		if (*at != '#')
			break;
		at += strcspn(at, "\r\n");
	}
	return *at == '!';
}

/*
 * Look through the text for what must not reach libyaml.  It knows YAML 1.1's
 * line breaks, which are ordinary characters in YAML 1.2: a comment would end
 * at one, and strings would change.  And its time for tag directives is
 * quadratic in their number.
 */
static void
check_input(const char *input)
{
	int			directives = 0;

	for (const char *at = input; *at; at++)
	{
		if ((unsigned char) *at == 0xC2 ? (unsigned char) at[1] == 0x85 :
			(unsigned char) *at == 0xE2 && (unsigned char) at[1] == 0x80 &&
			((unsigned char) at[2] | 1) == 0xA9)
			refuse_byte(PM_INVALID_YAML, input, at - input, "ambiguous line break in YAML",
						"The characters U+0085, U+2028 and U+2029 end a line in YAML 1.1 and do not in YAML 1.2.",
						"Write the character as \\N, \\L or \\P in a double-quoted string.");
		if (*at == '%' && (at == input || at[-1] == '\n' || at[-1] == '\r') &&
			strncmp(at, "%TAG", 4) == 0 && ++directives > YAML_MAX_DIRECTIVES)
			refuse_byte(PM_TOO_LARGE, input, at - input, "too many directives in YAML",
						psprintf("More than %d lines begin with %%TAG.", YAML_MAX_DIRECTIVES),
						"Remove the tag directives: only the tags of YAML's core schema are known here.");
	}
}

/* ---- nodes ---- */

/* The node itself, or what the alias stands for. */
static YamlNode *
resolve(YamlNode *node)
{
	return node->kind == YAML_ALIAS ? node->u.target : node;
}

/* A new node for the current event. */
static YamlNode *
make_node(YamlReader *reader, YamlKind kind)
{
	YamlNode   *node = palloc0(sizeof(YamlNode));

	node->kind = kind;
	node->line = (int) reader->event.start_mark.line + 1;
	node->column = (int) reader->event.start_mark.column + 1;
	return node;
}

/* Hash and compare anchors by their names. */
static uint32
hash_anchor(const void *key, Size size)
{
	const char *name = *(const char *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) name, strlen(name)));
}

/* Are two anchors of the same name?  The key is a pointer to it. */
static int
match_anchor(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The table of anchors, in the current memory context. */
static HTAB *
make_anchors(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(const char *);
	control.entrysize = sizeof(YamlAnchor);
	control.hash = hash_anchor;
	control.match = match_anchor;
	control.hcxt = CurrentMemoryContext;
	return hash_create("anchors of a YAML document", 16, &control,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* From here on, aliases of that name mean this node. */
static void
set_anchor(YamlReader *reader, const yaml_char_t *anchor, YamlNode *node)
{
	const char *name = (const char *) anchor;
	YamlAnchor *entry;
	bool		found;

	if (anchor == NULL)
		return;
	entry = hash_search(reader->anchors, &name, HASH_ENTER, &found);
	if (!found)
		entry->name = pstrdup(name);
	entry->node = node;
}

/* Which tag a node has; refuses all that are not of the core schema. */
static YamlTag
read_tag(const YamlNode *node, const yaml_char_t *tag)
{
	static const struct
	{
		const char *name;
		YamlTag		tag;
	}			known[] = {
		{"!", YAML_TAG_PLAIN},
		{YAML_CORE_PREFIX "str", YAML_TAG_STR},
		{YAML_CORE_PREFIX "int", YAML_TAG_INT},
		{YAML_CORE_PREFIX "float", YAML_TAG_FLOAT},
		{YAML_CORE_PREFIX "bool", YAML_TAG_BOOL},
		{YAML_CORE_PREFIX "null", YAML_TAG_NULL},
		{YAML_CORE_PREFIX "seq", YAML_TAG_SEQ},
		{YAML_CORE_PREFIX "map", YAML_TAG_MAP},
	};

	if (tag == NULL)
		return YAML_TAG_NONE;
	for (int i = 0; i < (int) lengthof(known); i++)
		if (strcmp((const char *) tag, known[i].name) == 0)
			return known[i].tag;
	refuse_node(node, "unknown tag in YAML",
				"Only the tags of YAML's core schema are known: !!str, !!int, !!float, !!bool, !!null, !!map and !!seq.",
				"Remove the tag, or quote the value if it is to begin with an exclamation mark.");
}

/* Refuse a node whose tag says that it is something else. */
pg_noreturn static void
refuse_tag(const YamlNode *node)
{
	refuse_node(node, "YAML value does not fit its tag",
				"The tag names another kind of value than the one that follows it.",
				"Remove the tag, or correct the value.");
}

/* ---- scalars ---- */

/* Is the text all of these characters, and not empty? */
static bool
consists_of(const char *text, const char *characters)
{
	return *text != '\0' && text[strspn(text, characters)] == '\0';
}

/*
 * The kind of number a text is by the core schema, or a string.  In the order
 * of the schema: int is [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+; float is
 * [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
 */
static YamlType
classify_number(const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t		whole = strspn(at, "0123456789");
	size_t		fraction = 0;

	if (strncmp(text, "0o", 2) == 0)
		return consists_of(text + 2, "01234567") ? YAML_OCTAL : YAML_STRING;
	if (strncmp(text, "0x", 2) == 0)
		return consists_of(text + 2, "0123456789abcdefABCDEF") ? YAML_HEXADECIMAL : YAML_STRING;
	at += whole;
	if (whole > 0 && *at == '\0')
		return YAML_DECIMAL;
	if (*at == '.')
		at += 1 + (fraction = strspn(at + 1, "0123456789"));
	if (whole == 0 && fraction == 0)
		return YAML_STRING;
	if (*at == 'e' || *at == 'E')
	{
		at += at[1] == '-' || at[1] == '+' ? 2 : 1;
		return consists_of(at, "0123456789") ? YAML_FLOAT : YAML_STRING;
	}
	return *at == '\0' ? YAML_FLOAT : YAML_STRING;
}

/* What a plain scalar is by the core schema. */
static YamlType
classify(const char *text)
{
	static const struct
	{
		const char *word;
		YamlType	type;
	}			words[] = {
		{"", YAML_NULL}, {"~", YAML_NULL}, {"null", YAML_NULL}, {"Null", YAML_NULL}, {"NULL", YAML_NULL},
		{"true", YAML_TRUE}, {"True", YAML_TRUE}, {"TRUE", YAML_TRUE},
		{"false", YAML_FALSE}, {"False", YAML_FALSE}, {"FALSE", YAML_FALSE},
		{".nan", YAML_NOT_FINITE}, {".NaN", YAML_NOT_FINITE}, {".NAN", YAML_NOT_FINITE},
		{".inf", YAML_INFINITE}, {".Inf", YAML_INFINITE}, {".INF", YAML_INFINITE}
	};
	bool		is_signed = *text == '-' || *text == '+';

	for (int i = 0; i < lengthof(words); i++)
		if (strcmp(text + (is_signed && words[i].type == YAML_INFINITE), words[i].word) == 0)
			return Min(words[i].type, YAML_NOT_FINITE);
	return classify_number(text);
}

/* May a scalar of that type have that tag? */
static bool
type_fits_tag(YamlType type, YamlTag tag)
{
	static const uint32 fitting[] = {
		[YAML_TAG_NONE] = ~0,
		[YAML_TAG_INT] = 1 << YAML_DECIMAL | 1 << YAML_OCTAL | 1 << YAML_HEXADECIMAL,
		[YAML_TAG_FLOAT] = 1 << YAML_DECIMAL | 1 << YAML_FLOAT | 1 << YAML_NOT_FINITE,
		[YAML_TAG_BOOL] = 1 << YAML_TRUE | 1 << YAML_FALSE,
		[YAML_TAG_NULL] = 1 << YAML_NULL,
		[YAML_TAG_MAP] = 0
	};

	return (fitting[tag] >> type & 1) != 0;
}

/* The type of a scalar, by its tag, its quotes and its text. */
static YamlType
scalar_type(const YamlNode *node)
{
	YamlType	type;

	if (node->tag == YAML_TAG_STR || node->tag == YAML_TAG_PLAIN ||
		(node->tag == YAML_TAG_NONE && !node->plain))
		return YAML_STRING;
	type = classify(node->u.scalar.text);
	if (!type_fits_tag(type, node->tag))
		refuse_tag(node);
	return type;
}

/* Refuse a number that would be longer than is allowed. */
pg_noreturn static void
refuse_digits(const YamlNode *node)
{
	refuse(PM_TOO_LARGE, node->line, node->column, "number in YAML is too long",
		   psprintf("Written out, the number has more than %d digits.", YAML_MAX_DIGITS),
		   "Quote it if it is to be a string.");
}

/* An exponent's value, or one that is past every limit if it is longer. */
static int
read_exponent(const char *text)
{
	bool		negative = *text == '-';
	int			exponent = 0;

	if (*text == '-' || *text == '+')
		text++;
	for (; *text && exponent < 10 * YAML_MAX_DIGITS; text++)
		exponent = exponent * 10 + (*text - '0');
	return negative ? -exponent : exponent;
}

/*
 * The digits of a decimal number when it is written out without exponent;
 * refuses more than the limit, as written and as written out.
 */
static uint32
count_digits(const YamlNode *node)
{
	const char *text = node->u.scalar.text;
	const char *at = text + (*text == '-' || *text == '+');
	int			whole = strspn(at, "0123456789");
	int			fraction = 0;
	int			exponent = 0;

	/* a sign before and in the exponent, the point and the e */
	if (node->u.scalar.length > YAML_MAX_DIGITS + 4)
		refuse_digits(node);
	at += whole;
	if (*at == '.')
		at += 1 + (fraction = strspn(at + 1, "0123456789"));
	if (*at == 'e' || *at == 'E')
		exponent = read_exponent(at + 1);
	whole = Max(whole + exponent, 0);
	fraction = Max(fraction - exponent, 0);
	if (whole + fraction > YAML_MAX_DIGITS)
		refuse_digits(node);
	return whole + fraction;
}

/* number * shift + piece; frees the number it is given. */
static Numeric
shift_and_add(Numeric number, Numeric shift, int64 piece)
{
	Numeric		next = int64_to_numeric(piece);
	Datum		product = DirectFunctionCall2(numeric_mul, NumericGetDatum(number),
											  NumericGetDatum(shift));
	Datum		sum = DirectFunctionCall2(numeric_add, product, NumericGetDatum(next));

	pfree(number);
	pfree(next);
	pfree(DatumGetPointer(product));
	return DatumGetNumeric(sum);
}

/* The number that the digits of 0o or 0x stand for, in pieces of 27 or 28 bits. */
static Numeric
read_bits(const char *digits, int bits)
{
	int			piece = bits == 3 ? 9 : 7;
	int			left = strlen(digits);
	Numeric		number = int64_to_numeric(0);
	Numeric		shift = int64_to_numeric(INT64CONST(1) << (bits * piece));

	while (left > 0)
	{
		int			length = left % piece ? left % piece : piece;
		char	   *text = pnstrdup(digits, length);

		number = shift_and_add(number, shift, strtol(text, NULL, 1 << bits));
		pfree(text);
		digits += length;
		left -= length;
	}
	pfree(shift);
	return number;
}

/* Give a scalar its number; returns the digits it has, at least. */
static uint32
read_number(YamlNode *node, YamlType type)
{
	const char *text = node->u.scalar.text;
	int			bits = type == YAML_OCTAL ? 3 : 4;
	uint32		digits;

	if (type == YAML_OCTAL || type == YAML_HEXADECIMAL)
	{
		digits = node->u.scalar.length - 2;
		if (digits > YAML_MAX_BITS / bits)
			refuse_digits(node);
		node->u.scalar.number = read_bits(text + 2, bits);
		return digits;
	}
	digits = count_digits(node);
	node->u.scalar.number =
		DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1)));
	return digits;
}

/*
 * Find out what a scalar is, once it is used as a value.  Keys do without it:
 * they are their text, whatever it looks like.
 */
static void
resolve_scalar(YamlReader *reader, YamlNode *node)
{
	YamlType	type = scalar_type(node);

	if (type == YAML_NOT_FINITE)
		refuse_node(node, "number in YAML is not finite",
					"JSON has no infinities and no NaN.",
					"Quote the value if it is to be a string, or leave it out.");
	if (type == YAML_DECIMAL || type == YAML_FLOAT ||
		type == YAML_OCTAL || type == YAML_HEXADECIMAL)
	{
		uint32		digits = read_number(node, type);

		if (digits > node->bytes)
		{
			spend(reader, node, 0, digits - node->bytes);
			node->bytes = digits;
		}
	}
	node->type = type;
}

/* Take over the text of the current event, a scalar, in the database's encoding. */
static void
take_text(YamlReader *reader, YamlNode *node)
{
	const char *value = (const char *) reader->event.data.scalar.value;
	size_t		length = reader->event.data.scalar.length;
	char	   *text;

	if (memchr(value, '\0', length) != NULL)
		refuse_node(node, "NUL character in YAML",
					"The string holds the character U+0000, which jsonb cannot store.",
					"Remove the escape \\0, \\x00 or \\u0000.");
	text = pg_any_to_server(value, length, PG_UTF8);
	node->u.scalar.length = text == value ? length : strlen(text);
	node->u.scalar.text = text == value ? pnstrdup(value, length) : text;
}

/* A scalar of the current event, not resolved yet. */
static YamlNode *
read_scalar(YamlReader *reader)
{
	YamlNode   *node = make_node(reader, YAML_SCALAR);

	node->plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->tag = read_tag(node, reader->event.data.scalar.tag);
	if (node->plain && node->tag == YAML_TAG_NONE &&
		reader->event.data.scalar.length > 0 && has_plain_tag(reader))
		node->tag = YAML_TAG_PLAIN;
	take_text(reader, node);
	node->nodes = 1;
	node->bytes = node->u.scalar.length;
	spend(reader, node, node->nodes, node->bytes);
	set_anchor(reader, reader->event.data.scalar.anchor, node);
	return node;
}

/* ---- collections and aliases ---- */

/* An alias of the current event; depth is that of the collections around it. */
static YamlNode *
read_alias(YamlReader *reader, int depth)
{
	YamlNode   *node = make_node(reader, YAML_ALIAS);
	const char *name = (const char *) reader->event.data.alias.anchor;
	YamlAnchor *entry = hash_search(reader->anchors, &name, HASH_FIND, NULL);

	if (entry == NULL)
		refuse_node(node, "unknown alias in YAML",
					"No anchor before this place has the alias's name.",
					"Define the anchor first, or quote the value if it is to begin with an asterisk.");
	if (entry->node->open)
		refuse_node(node, "recursive alias in YAML",
					"The alias stands inside the very node it refers to.",
					"Write the value out: JSON has no references.");
	node->u.target = entry->node;
	node->nodes = entry->node->nodes;
	node->bytes = entry->node->bytes;
	node->height = entry->node->height;
	check_depth(node, depth + node->height);
	spend(reader, node, node->nodes, node->bytes);
	return node;
}

/* A collection of the current event, empty and open. */
static YamlNode *
open_collection(YamlReader *reader, YamlKind kind, const yaml_char_t *anchor,
				const yaml_char_t *tag, int depth)
{
	YamlNode   *node = make_node(reader, kind);
	YamlTag		own_tag = kind == YAML_SEQUENCE ? YAML_TAG_SEQ : YAML_TAG_MAP;

	check_depth(node, depth);
	node->tag = read_tag(node, tag);
	if (node->tag != YAML_TAG_NONE && node->tag != YAML_TAG_PLAIN && node->tag != own_tag)
		refuse_tag(node);
	node->open = true;
	node->height = 1;
	/* sums up to the end of the collection give what is within */
	node->nodes = reader->nodes;
	node->bytes = reader->bytes;
	spend(reader, node, 1, 0);
	set_anchor(reader, anchor, node);
	return node;
}

/* Close a collection; from now on it knows how much is in it. */
static void
close_collection(const YamlReader *reader, YamlNode *node)
{
	node->nodes = reader->nodes - node->nodes;
	node->bytes = reader->bytes - node->bytes;
	node->open = false;
}

/* Append to a collection. */
static void
add_child(YamlNode *node, YamlNode *child)
{
	GROW(node->u.children.items, node->u.children.count, node->u.children.capacity);
	node->u.children.items[node->u.children.count++] = child;
	node->height = Max(node->height, child->height + 1);
}

/* The sequence whose start is the current event; ends at its last event. */
static YamlNode *
read_sequence(YamlReader *reader, int depth)
{
	YamlNode   *node = open_collection(reader, YAML_SEQUENCE,
									   reader->event.data.sequence_start.anchor,
									   reader->event.data.sequence_start.tag, depth);

	for (next_event(reader); reader->event.type != YAML_SEQUENCE_END_EVENT; next_event(reader))
		add_child(node, read_value(reader, depth));
	close_collection(reader, node);
	return node;
}

/* The key at the current event: a scalar, or an alias of one. */
static YamlNode *
read_key(YamlReader *reader, int depth)
{
	YamlNode   *key = NULL;

	if (reader->event.type == YAML_SCALAR_EVENT)
	{
		key = read_scalar(reader);
		(void) scalar_type(key);	/* checks its tag */
		return key;
	}
	if (reader->event.type == YAML_ALIAS_EVENT)
		key = read_alias(reader, depth);
	if (key == NULL || resolve(key)->kind != YAML_SCALAR)
		refuse_node(make_node(reader, YAML_MAPPING), "key in YAML is not a scalar",
					"A sequence or a mapping cannot be a key: keys of JSON are strings.",
					"Use a string as the key; quote one that begins with a bracket or a brace.");
	return key;
}

/* The mapping whose start is the current event; ends at its last event. */
static YamlNode *
read_mapping(YamlReader *reader, int depth)
{
	YamlNode   *node = open_collection(reader, YAML_MAPPING,
									   reader->event.data.mapping_start.anchor,
									   reader->event.data.mapping_start.tag, depth);

	for (next_event(reader); reader->event.type != YAML_MAPPING_END_EVENT; next_event(reader))
	{
		add_child(node, read_key(reader, depth));
		next_event(reader);
		add_child(node, read_value(reader, depth));
	}
	order_mapping(node);
	close_collection(reader, node);
	return node;
}

/*
 * The node that begins with the current event, as a value; depth is that of
 * the collections around it.
 */
static YamlNode *
read_value(YamlReader *reader, int depth)
{
	YamlNode   *node;
	YamlNode   *target;

	check_stack_depth();
	switch (reader->event.type)
	{
		case YAML_ALIAS_EVENT:
			node = read_alias(reader, depth);
			break;
		case YAML_SCALAR_EVENT:
			node = read_scalar(reader);
			break;
		case YAML_SEQUENCE_START_EVENT:
			return read_sequence(reader, depth + 1);
		case YAML_MAPPING_START_EVENT:
			return read_mapping(reader, depth + 1);
		default:
			elog(ERROR, "unexpected YAML event %d", (int) reader->event.type);
	}
	target = resolve(node);
	if (target->kind == YAML_SCALAR && target->type == YAML_UNRESOLVED)
		resolve_scalar(reader, target);
	return node;
}

/*
 * Keys of a mapping: merged, unique, and in jsonb's order
 */

/* Is it the merge key, a plain "<<" written here? */
static bool
is_merge_key(const YamlNode *key)
{
	return key->kind == YAML_SCALAR && key->plain && key->tag == YAML_TAG_NONE &&
		strcmp(key->u.scalar.text, "<<") == 0;
}

/* Order keys, without regard to rank. */
static int
compare_keys(const YamlPair *a, const YamlPair *b)
{
	const YamlNode *a_key = resolve(a->key);
	const YamlNode *b_key = resolve(b->key);

	return json_key_compare(a_key->u.scalar.text, a_key->u.scalar.length,
							b_key->u.scalar.text, b_key->u.scalar.length);
}

/* qsort callback: by key, equal ones by rank. */
static int
compare_pairs(const void *a, const void *b)
{
	const YamlPair *a_pair = a;
	const YamlPair *b_pair = b;
	int			order = compare_keys(a_pair, b_pair);

	if (order == 0)
		order = a_pair->rank < b_pair->rank ? -1 : 1;
	return order;
}

/* Refuse a mapping that has a key twice, at the second. */
pg_noreturn static void
refuse_duplicate(const YamlNode *at, const YamlNode *key)
{
	refuse_node(at, "duplicate key in YAML",
				psprintf("The key %s is in this mapping already.", key_for_message(key)),
				"Remove one of the two, or rename it.");
}

/* Append a pair to a list that grows. */
static void
add_pair(YamlPairs *list, YamlNode *key, YamlNode *value)
{
	GROW(list->pairs, list->count, list->capacity);
	list->pairs[list->count] = (YamlPair) {key, value, list->count};
	list->count++;
}

/* Add the pairs of a mapping that is merged; at is where it is named. */
static void
merge_mapping(YamlPairs *list, YamlNode *at)
{
	YamlNode   *mapping = resolve(at);

	if (mapping->kind != YAML_MAPPING)
		refuse_node(at, "merge key in YAML without a mapping",
					"The value of the key << must be a mapping or a sequence of mappings.",
					"Refer to a mapping, or quote the key \"<<\" if it is to be an ordinary key.");
	for (uint32 i = 0; i < mapping->u.children.count; i += 2)
		add_pair(list, mapping->u.children.items[i], mapping->u.children.items[i + 1]);
}

/* Add what a merge key's value stands for; earlier mappings win. */
static void
merge_value(YamlPairs *list, YamlNode *value)
{
	YamlNode   *target = resolve(value);

	if (target->kind != YAML_SEQUENCE)
		merge_mapping(list, value);
	else
		for (uint32 i = 0; i < target->u.children.count; i++)
			merge_mapping(list, target->u.children.items[i]);
}

/* The pairs written in the mapping, then those merged into it. */
static void
collect_pairs(YamlPairs *list, const YamlNode *mapping)
{
	YamlNode  **items = mapping->u.children.items;
	YamlNode   *merged = NULL;

	for (uint32 i = 0; i < mapping->u.children.count; i += 2)
	{
		if (!is_merge_key(items[i]))
			add_pair(list, items[i], items[i + 1]);
		else if (merged == NULL)
			merged = items[i + 1];
		else
			refuse_duplicate(items[i], items[i]);
	}
	list->written = list->count;
	if (merged != NULL)
		merge_value(list, merged);
}

/*
 * Replace the children of a mapping by its pairs in the order of their keys,
 * merge keys resolved.  Refuses duplicates among the written ones; a merged
 * pair gives way to any of a lower rank.
 */
static void
order_mapping(YamlNode *mapping)
{
	YamlPairs	list = {0};

	collect_pairs(&list, mapping);
	if (list.count > 1)
		qsort(list.pairs, list.count, sizeof(YamlPair), compare_pairs);
	mapping->u.children.count = 0;
	mapping->height = 1;
	for (uint32 i = 0; i < list.count; i++)
	{
		if (i > 0 && compare_keys(&list.pairs[i - 1], &list.pairs[i]) == 0)
		{
			if (list.pairs[i].rank < list.written)
				refuse_duplicate(list.pairs[i].key, resolve(list.pairs[i].key));
			continue;
		}
		add_child(mapping, list.pairs[i].key);
		add_child(mapping, list.pairs[i].value);
	}
	if (list.pairs != NULL)
		pfree(list.pairs);
}

/* ---- documents ---- */

/* The one document of the text, as a tree in the current memory context. */
static YamlNode *
read_document(YamlReader *reader)
{
	YamlNode   *root;

	next_event(reader);			/* start of the stream */
	next_event(reader);
	if (reader->event.type == YAML_STREAM_END_EVENT)
		refuse_node(make_node(reader, YAML_SCALAR), "YAML without a document",
					"The text is empty, or holds nothing but comments.",
					"Give a document; write null if that is what is meant.");
	next_event(reader);			/* start of the document */
	root = read_value(reader, 0);
	next_event(reader);			/* end of the document */
	next_event(reader);
	if (reader->event.type != YAML_STREAM_END_EVENT)
		refuse_node(make_node(reader, YAML_SCALAR), "more than one document in YAML",
					"A second document begins here.",
					"Give each document to a call of its own.");
	return root;
}

/* Read the text with libyaml; nothing of libyaml's is left, also after an error. */
static YamlNode *
read_text(const char *input)
{
	/* not on the stack, where longjmp would make its fields indeterminate */
	YamlReader *reader = palloc0(sizeof(YamlReader));
	YamlNode   *root;

	reader->input = reader->source = input;
	reader->anchors = make_anchors();
	check_input(input);
	PG_TRY();
	{
		if (!yaml_parser_initialize(&reader->parser))
			refuse_memory();
		reader->initialized = true;
		yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&reader->parser, (const unsigned char *) input,
									 strlen(input));
		root = read_document(reader);
	}
	PG_FINALLY();
	{
		release_reader(reader);
	}
	PG_END_TRY();
	return root;
}

/* Write a scalar; its text must live until the document is finished. */
static void
write_scalar(JsonBuilder *builder, const YamlNode *node)
{
	JsonbValue	value;

	switch (node->type)
	{
		case YAML_STRING:
			json_build_string(builder, node->u.scalar.text, node->u.scalar.length);
			break;
		case YAML_NULL:
			json_build_null(builder);
			break;
		case YAML_TRUE:
		case YAML_FALSE:
			json_build_bool(builder, node->type == YAML_TRUE);
			break;
		default:
			value.type = jbvNumeric;
			value.val.numeric = node->u.scalar.number;
			json_build_value(builder, &value);
	}
}

/* Write the children of a mapping. */
static void
write_mapping(JsonBuilder *builder, const YamlNode *node)
{
	json_build_begin_object(builder);
	for (uint32 i = 0; i < node->u.children.count; i += 2)
	{
		const YamlNode *key = resolve(node->u.children.items[i]);

		json_build_key(builder, key->u.scalar.text, key->u.scalar.length);
		write_node(builder, node->u.children.items[i + 1]);
	}
	json_build_end_object(builder);
}

/* Write a node, and what is in it; an alias as what it stands for. */
static void
write_node(JsonBuilder *builder, const YamlNode *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	node = resolve(unconstify(YamlNode *, node));
	if (node->kind == YAML_SCALAR)
		write_scalar(builder, node);
	else if (node->kind == YAML_MAPPING)
		write_mapping(builder, node);
	else
	{
		json_build_begin_array(builder);
		for (uint32 i = 0; i < node->u.children.count; i++)
			write_node(builder, node->u.children.items[i]);
		json_build_end_array(builder);
	}
}

/* Refuse an argument past the limit, before it is even detoasted. */
static void
check_size(Datum argument)
{
	Size		size = toast_raw_datum_size(argument) - VARHDRSZ;

	if (size > YAML_MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("YAML document is too large"),
				 errdetail("The text has %zu bytes, and the limit is %d.",
						   size, YAML_MAX_BYTES),
				 errhint("Split the document.")));
}

/* promote.yaml_to_jsonb(text) RETURNS jsonb */
Datum
promote_yaml_to_jsonb(PG_FUNCTION_ARGS)
{
	MemoryContext work;
	MemoryContext caller;
	JsonBuilder	builder;
	Jsonb	   *result;
	char	   *input;

	check_size(PG_GETARG_DATUM(0));
	work = AllocSetContextCreate(CurrentMemoryContext, "promote YAML document",
								 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	input = text_to_cstring(PG_GETARG_TEXT_PP(0));
	input = pg_server_to_any(input, strlen(input), PG_UTF8);
	json_builder_init(&builder);
	write_node(&builder, read_text(input));
	MemoryContextSwitchTo(caller);
	result = json_builder_finish(&builder);
	MemoryContextDelete(work);
	PG_RETURN_JSONB_P(result);
}
