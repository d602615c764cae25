/*
 * canonical.c: canonical JSON (RFC 8785, the JSON Canonicalization Scheme).
 *
 * Equal documents have equal texts however they are spelled, and different
 * ones have different texts.  number.c spells the numbers, key_order.c sorts
 * the keys.  Strings are spelled as section 3.2.2.2 says: the short forms where
 * JSON has them, \u00xx for other controls, nothing else; bytes above 0x7F stay
 * as they are, for the text is UTF-8 whatever the database's encoding.
 *
 * Reads the document's bytes where they are (the format is described in
 * PostgreSQL's src/include/utils/jsonb.h) and writes through a pointer into a
 * buffer in which there is room for the worst case: this runs for every
 * document that is stored or compared.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/grow.h"
#include "json/canonical.h"
#include "json/key_order.h"
#include "json/number.h"

PG_FUNCTION_INFO_V1(promote_jsonb_canonical);

/* A long string is written in slices of this many bytes. */
#define SLICE 1024

/* Quotes, colon, bracket and comma, with some to spare: asked for with what they stand around. */
#define PUNCTUATION 8

/* Objects of so many keys at most are remembered, one for each remainder of their number. */
#define ALIKE_KEYS 16
#define ALIKE_SLOTS 8

/* An object that was written, whose keys another one may have as well: the entries of a diff all have the same. */
typedef struct Alike
{
	const JsonbContainer *object;	/* NULL: none yet */
	uint32		values;			/* where its keys end */
	JsonKey		keys[ALIKE_KEYS];	/* in canonical order */
} Alike;

/* What a walk over a document needs. */
typedef struct Writer
{
	CanonicalSink *sink;
	bool		is_utf8;		/* strings are as they have to be */
	Alike		alike[ALIKE_SLOTS];

	/*
	 * A stack: the keys of the objects that are being written, the innermost
	 * last.  It moves when it grows, and so does the next one.
	 */
	JsonKey    *keys;
	Size		used;
	Size		room;

	/* The text of those keys, each with a NUL, where it had to be converted. */
	StringInfoData converted;
} Writer;

static char *write_container(Writer *writer, char *to, const JsonbContainer *container);

/*
 * Have room for that many bytes.  Functions that write take where to write and
 * return where they ended, which so stays in a register.
 */
static inline char *
reserve(CanonicalSink *sink, char *to, Size room)
{
	if ((Size) (sink->end - to) >= room)
		return to;
	sink->at = to;
	sink->make_room(sink, room);
	return sink->at;
}

/* ---- strings ---- */

#define WORD sizeof(uint64)

/* The eight bytes of a word, all the same. */
#define EACH_BYTE(byte) (UINT64CONST(0x0101010101010101) * (byte))

/* Write a byte that has to be escaped, as section 3.2.2.2 says. */
static char *
write_escape(char *to, unsigned char byte)
{
	static const char short_form[32] = {
		['\b'] = 'b',['\t'] = 't',['\n'] = 'n',['\f'] = 'f',['\r'] = 'r'
	};

	*to++ = '\\';
	if (byte >= 0x20)
		*to++ = byte;
	else if (short_form[byte])
		*to++ = short_form[byte];
	else
	{
		memcpy(to, byte < 0x10 ? "u000" : "u001", 4);
		to[4] = "0123456789abcdef"[byte & 0x0F];
		to += 5;
	}
	return to;
}

/* Write a few bytes of a string, of which some have to be escaped. */
static char *
write_escaping(char *to, const char *from, int length)
{
	for (int i = 0; i < length; i++)
	{
		unsigned char byte = from[i];

		if (byte < 0x20 || byte == '"' || byte == '\\')
			to = write_escape(to, byte);
		else
			*to++ = byte;
	}
	return to;
}

/* Is any byte of a word 0?  (The usual trick: borrow from it.) */
static inline uint64
zero_bytes(uint64 word)
{
	return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* Has any byte of a word to be escaped?  Those below 0x20 borrow from a word of 0x20s. */
static inline bool
needs_escape(uint64 word)
{
	uint64		control = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);

	return (control | zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\'))) != 0;
}

/* Write four to seven bytes of a string: two halves, which may overlap. */
static inline char *
write_half(char *to, const char *from, int length)
{
	uint32		first,
				last;

	memcpy(&first, from, sizeof(first));
	memcpy(&last, from + length - sizeof(last), sizeof(last));
	if (needs_escape((uint64) first << 32 | last))
		return write_escaping(to, from, length);
	memcpy(to, &first, sizeof(first));
	memcpy(to + length - sizeof(last), &last, sizeof(last));
	return to + length;
}

/*
 * Write a string of UTF-8 without its quotes; returns its end.  There has to
 * be room for JSON_ESCAPE_ROOM times its length.
 */
static inline char *
write_escaped(char *to, const char *from, int length)
{
	for (; length >= WORD; from += WORD, length -= WORD)
	{
		uint64		word;

		memcpy(&word, from, WORD);
		if (needs_escape(word))
			to = write_escaping(to, from, WORD);
		else
		{
			memcpy(to, &word, WORD);
			to += WORD;
		}
	}
	if (length >= WORD / 2)
		return write_half(to, from, length);
	return write_escaping(to, from, length);
}

/* Write a string of UTF-8 without quotes; there is room for PUNCTUATION behind it. */
static inline char *
write_text(CanonicalSink *sink, char *to, const char *text, int length)
{
	for (; length > SLICE; text += SLICE, length -= SLICE)
	{
		CHECK_FOR_INTERRUPTS();
		to = write_escaped(reserve(sink, to, SLICE * JSON_ESCAPE_ROOM), text, SLICE);
	}
	return write_escaped(reserve(sink, to, length * JSON_ESCAPE_ROOM + PUNCTUATION), text, length);
}

/*
 * How much of a string in the database's encoding to convert at a time: whole
 * characters.  SQL_ASCII does not know where those end, but there the string
 * is only checked, which takes no memory.
 */
static int
slice_length(const char *text, int length)
{
	int			slice = pg_mbcliplen(text, length, SLICE);

	/* a broken character is left to the conversion to refuse */
	if (GetDatabaseEncoding() == PG_SQL_ASCII || slice <= 0 || slice > length)
		return length;
	return slice;
}

/* Write a string in the database's encoding without quotes; there is room for PUNCTUATION behind it. */
static char *
write_converted(CanonicalSink *sink, char *to, const char *text, int length)
{
	while (length > 0)
	{
		int			slice = slice_length(text, length);
		char	   *utf8 = pg_server_to_any(text, slice, PG_UTF8);

		to = write_text(sink, to, utf8, utf8 == text ? slice : strlen(utf8));
		if (utf8 != text)
			pfree(utf8);
		text += slice;
		length -= slice;
		CHECK_FOR_INTERRUPTS();
	}
	return reserve(sink, to, PUNCTUATION);
}

/* Write a string value. */
static inline char *
write_string(Writer *writer, char *to, const char *text, int length)
{
	to = reserve(writer->sink, to, PUNCTUATION);
	*to++ = '"';
	if (writer->is_utf8)
		to = write_text(writer->sink, to, text, length);
	else
		to = write_converted(writer->sink, to, text, length);
	*to++ = '"';
	return to;
}

/* Write a number. */
static inline char *
write_number(CanonicalSink *sink, char *to, Numeric number)
{
	return json_write_number(reserve(sink, to, json_number_room(number) + PUNCTUATION), number);
}

/* Write true, false or null. */
static inline char *
write_literal(CanonicalSink *sink, char *to, JEntry entry)
{
	const char *literal = JBE_ISNULL(entry) ? "null" : JBE_ISBOOL_TRUE(entry) ? "true" : "false";
	int			length = JBE_ISBOOL_FALSE(entry) ? 5 : 4;

	to = reserve(sink, to, length + PUNCTUATION);
	memcpy(to, literal, length);
	return to + length;
}

/*
 * Write the value that an entry describes, whose data starts offset bytes
 * after base.  There is room for one byte behind it, for something follows
 * every value: a comma or a bracket.
 */
static inline char *
write_value(Writer *writer, char *to, JEntry entry, const char *base, uint32 offset)
{
	if (JBE_ISSTRING(entry))
		return write_string(writer, to, base + offset,
							JBE_OFFLENFLD(entry) - (JBE_HAS_OFF(entry) ? offset : 0));
	if (JBE_ISNUMERIC(entry))
		return write_number(writer->sink, to, (Numeric) (base + INTALIGN(offset)));
	if (JBE_ISCONTAINER(entry))
		return write_container(writer, to, (const JsonbContainer *) (base + INTALIGN(offset)));
	return write_literal(writer->sink, to, entry);
}

/* Write an array's elements; without brackets where it is a root that stands for a scalar. */
static char *
write_array(Writer *writer, char *to, const JsonbContainer *array)
{
	uint32		count = JsonContainerSize(array);
	const char *base = (const char *) &array->children[count];
	bool		is_scalar = JsonContainerIsScalar(array);
	uint32		offset = 0;

	to = reserve(writer->sink, to, PUNCTUATION);
	if (!is_scalar)
		*to++ = '[';
	for (uint32 i = 0; i < count; i++)
	{
		JEntry		entry = array->children[i];

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			*to++ = ',';
		to = write_value(writer, to, entry, base, offset);
		JBE_ADVANCE_OFFSET(offset, entry);
	}
	if (!is_scalar)
		*to++ = ']';
	return to;
}

/* Append a key in UTF-8 to the converted ones; returns its offset among them. */
static uint32
convert_key(Writer *writer, const char *text, int length)
{
	uint32		offset = writer->converted.len;
	char	   *utf8 = pg_server_to_any(text, length, PG_UTF8);

	appendBinaryStringInfo(&writer->converted, utf8, utf8 == text ? length : strlen(utf8));
	appendStringInfoChar(&writer->converted, '\0');
	if (utf8 != text)
		pfree(utf8);
	return offset;
}

/* The text of an object's keys. */
static inline JsonKeyText
key_text(const Writer *writer, const JsonbContainer *object)
{
	JsonKeyText text;

	if (writer->is_utf8)
	{
		text.base = (const char *) &object->children[JsonContainerSize(object) * 2];
		text.entries = object->children;
	}
	else
	{
		text.base = writer->converted.data;
		text.entries = NULL;
	}
	return text;
}

/* Put an object's keys on the stack, as they are stored; returns where they end and values begin. */
static uint32
collect_keys(Writer *writer, const JsonbContainer *object, JsonKey *keys)
{
	uint32		count = JsonContainerSize(object);
	const char *base = (const char *) &object->children[count * 2];
	uint32		offset = 0;

	for (uint32 i = 0; i < count; i++)
	{
		const char *key = base + offset;
		uint32		start = offset;

		JBE_ADVANCE_OFFSET(offset, object->children[i]);
		keys[i].index = i;
		keys[i].offset = start;
		if (writer->is_utf8)
			keys[i].head = json_key_head(key, offset - start);
		else
		{
			keys[i].offset = convert_key(writer, key, offset - start);
			key = writer->converted.data + keys[i].offset;
			keys[i].head = json_key_head(key, strlen(key));
		}
	}
	return offset;
}

/* Note where each of an object's values starts, the first one at offset. */
static void
locate_values(const JsonbContainer *object, uint32 offset, uint32 *offsets)
{
	uint32		count = JsonContainerSize(object);

	for (uint32 i = 0; i < count; i++)
	{
		offsets[i] = offset;
		JBE_ADVANCE_OFFSET(offset, object->children[count + i]);
	}
}

/* Are the keys of an object those of the one that is remembered? */
static inline bool
has_keys_of(const JsonbContainer *object, const Alike *alike)
{
	uint32		count = JsonContainerSize(object);

	return alike->object && JsonContainerSize(alike->object) == count &&
		memcmp(object->children, alike->object->children, count * sizeof(JEntry)) == 0 &&
		memcmp(&object->children[count * 2], &alike->object->children[count * 2], alike->values) == 0;
}

/* The slot for objects of so many keys; NULL: they are not remembered. */
static inline Alike *
alike_slot(Writer *writer, uint32 count)
{
	return writer->is_utf8 && count > 0 && count <= ALIKE_KEYS ? &writer->alike[count % ALIKE_SLOTS] : NULL;
}

/* Put an object's keys on the stack in canonical order; returns where they end and values begin. */
static uint32
order_keys(Writer *writer, const JsonbContainer *object, JsonKey *keys)
{
	uint32		count = JsonContainerSize(object);
	Alike	   *alike = alike_slot(writer, count);
	JsonKeyText text;
	uint32		values;

	if (alike && has_keys_of(object, alike))
	{
		memcpy(keys, alike->keys, count * sizeof(JsonKey));
		return alike->values;
	}
	values = collect_keys(writer, object, keys);
	text = key_text(writer, object);
	json_sort_keys(&text, keys, count, keys + count);
	if (alike)
	{
		alike->object = object;
		alike->values = values;
		memcpy(alike->keys, keys, count * sizeof(JsonKey));
	}
	return values;
}

/*
 * Put an object's keys on the stack in canonical order, and above them where
 * its values start, by their place in the object; the same room serves before
 * for sorting.  Returns the index of the first key.
 */
static Size
push_object(Writer *writer, const JsonbContainer *object)
{
	uint32		count = JsonContainerSize(object);
	Size		room = (Size) count + (count + 1) / 2;
	Size		first = writer->used;
	JsonKey    *keys;
	uint32		values;

	writer->keys = grow(writer->keys, writer->used, room, &writer->room, sizeof(JsonKey));
	keys = writer->keys + first;
	values = order_keys(writer, object, keys);
	locate_values(object, values, (uint32 *) (keys + count));
	writer->used += room;
	return first;
}

/* Write a key with its quotes and the colon. */
static inline char *
write_key(CanonicalSink *sink, char *to, const JsonKeyText *text, const JsonKey *key)
{
	to = reserve(sink, to, PUNCTUATION);
	*to++ = '"';
	to = write_text(sink, to, text->base + key->offset, json_key_length(text, key));
	*to++ = '"';
	*to++ = ':';
	return to;
}

/* Write an object's pairs in canonical order. */
static char *
write_object(Writer *writer, char *to, const JsonbContainer *object)
{
	uint32		count = JsonContainerSize(object);
	const char *base = (const char *) &object->children[count * 2];
	int			converted = writer->converted.len;
	Size		first = push_object(writer, object);

	to = reserve(writer->sink, to, PUNCTUATION);
	*to++ = '{';
	for (uint32 i = 0; i < count; i++)
	{
		/* looked up for each pair: both stacks may have moved */
		const JsonKey *key = &writer->keys[first + i];
		const uint32 *offsets = (const uint32 *) &writer->keys[first + count];
		JsonKeyText text = key_text(writer, object);

		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			*to++ = ',';
		to = write_key(writer->sink, to, &text, key);
		to = write_value(writer, to, object->children[count + key->index], base, offsets[key->index]);
	}
	*to++ = '}';
	writer->used = first;
	writer->converted.len = converted;
	return to;
}

/* Write an array or object; there is room for one byte behind it. */
static char *
write_container(Writer *writer, char *to, const JsonbContainer *container)
{
	check_stack_depth();
	to = JsonContainerIsObject(container) ? write_object(writer, to, container) :
		write_array(writer, to, container);
	return reserve(writer->sink, to, 1);
}

/* Write a document's canonical text; what the sink still holds at the end is its caller's to take. */
void
json_write_canonical(CanonicalSink *sink, const Jsonb *document)
{
	Writer		writer = {.sink = sink, .is_utf8 = GetDatabaseEncoding() == PG_UTF8};

	if (!writer.is_utf8)
		initStringInfo(&writer.converted);
	sink->at = write_container(&writer, sink->at, &document->root);
	if (writer.keys)
		pfree(writer.keys);
	if (!writer.is_utf8)
		pfree(writer.converted.data);
}

/* Write the canonical text of a string, in the database's encoding. */
void
json_write_canonical_string(CanonicalSink *sink, const char *text, int length)
{
	Writer		writer = {.sink = sink, .is_utf8 = GetDatabaseEncoding() == PG_UTF8};

	sink->at = write_string(&writer, sink->at, text, length);
}

/* Enlarge the buffer by half. */
static void
enlarge(CanonicalSink *sink, Size room)
{
	Size		length = sink->at - sink->start;
	Size		size = sink->end - sink->start;

	size = Max(length + room, Min(size + size / 2, MaxAllocSize));
	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the canonical text of a document is too long"),
				 errdetail("It would have more than %zu bytes.", (Size) MaxAllocSize),
				 errhint("Use jsonb_digest, which does not need the whole text.")));
	sink->start = repalloc(sink->start, size);
	sink->at = sink->start + length;
	sink->end = sink->start + size;
}

/* A document's canonical text in UTF-8, as a text value, in the current memory context. */
static text *
canonical_text(const Jsonb *document)
{
	Size		size = Min(VARSIZE(document) + 64, MaxAllocSize);	/* most texts fit */
	CanonicalSink sink = {.start = palloc(size), .make_room = enlarge};

	sink.at = sink.start + VARHDRSZ;
	sink.end = sink.start + size;
	json_write_canonical(&sink, document);
	SET_VARSIZE(sink.start, sink.at - sink.start);
	return (text *) sink.start;
}

/*
 * promote.jsonb_canonical(document jsonb) returns text, in the database's
 * encoding; it fails where that lacks a character only if the document does.
 */
Datum
promote_jsonb_canonical(PG_FUNCTION_ARGS)
{
	text	   *canonical = canonical_text(PG_GETARG_JSONB_P(0));
	char	   *data = VARDATA(canonical);
	char	   *converted;

	if (GetDatabaseEncoding() == PG_UTF8)
		PG_RETURN_TEXT_P(canonical);
	converted = pg_any_to_server(data, VARSIZE(canonical) - VARHDRSZ, PG_UTF8);
	if (converted == data)
		PG_RETURN_TEXT_P(canonical);
	PG_RETURN_TEXT_P(cstring_to_text(converted));
}
