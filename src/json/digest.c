/*
 * digest.c: canonical JSON (RFC 8785, the JSON Canonicalization Scheme) and
 * its SHA-256.
 *
 * Equal documents have equal digests however they are spelled, and different
 * ones have different digests.  Numbers: see number.c.  The text is UTF-8
 * whatever the database's encoding.
 */
#include "postgres.h"

#include "json/digest.h"
#include "json/reader.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(promote_jsonb_digest);
PG_FUNCTION_INFO_V1(promote_jsonb_canonical);

/* Canonical text is hashed in pieces of about this many bytes. */
#define FLUSH_AT 65536

/* Where canonical text goes. */
typedef struct Sink
{
	StringInfoData text;
	pg_cryptohash_ctx *hash;	/* NULL: the whole text is wanted */
} Sink;

/* One pair of an object, for sorting. */
typedef struct Pair
{
	JsonbValue	key;			/* its string is UTF-8 */
	JsonbValue	value;
} Pair;

static void append_canonical(Sink *sink, const JsonbValue *value);

/* Hash what has gathered, so that memory does not grow with the document. */
static void
flush(Sink *sink)
{
	if (pg_cryptohash_update(sink->hash, (uint8 *) sink->text.data, sink->text.len) < 0)
		elog(ERROR, "could not compute a SHA-256: %s", pg_cryptohash_error(sink->hash));
	resetStringInfo(&sink->text);
}

/* A string view in UTF-8; the same one where the database is in UTF-8. */
static JsonbValue
to_utf8(const JsonbValue *string)
{
	JsonbValue	converted = *string;
	char	   *utf8;

	if (GetDatabaseEncoding() == PG_UTF8)
		return converted;
	utf8 = pg_server_to_any(string->val.string.val, string->val.string.len, PG_UTF8);
	if (utf8 != string->val.string.val)
	{
		converted.val.string.val = utf8;
		converted.val.string.len = strlen(utf8);
	}
	return converted;
}

/*
 * Append a string of UTF-8 in quotes, escaping as RFC 8785 section 3.2.2.2
 * says: the short forms where JSON has them, \u00xx for other controls,
 * nothing else.
 */
static void
append_string(StringInfo out, const JsonbValue *string)
{
	static const char short_form[32] = {
		['\b'] = 'b',['\t'] = 't',['\n'] = 'n',['\f'] = 'f',['\r'] = 'r'
	};
	const char *text = string->val.string.val;
	int			length = string->val.string.len;
	int			start = 0;

	appendStringInfoCharMacro(out, '"');
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		appendBinaryStringInfo(out, text + start, i - start);
		start = i + 1;
		if (c >= 0x20)
			appendStringInfo(out, "\\%c", c);
		else if (short_form[c])
			appendStringInfo(out, "\\%c", short_form[c]);
		else
			appendStringInfo(out, "\\u%04x", c);
	}
	appendBinaryStringInfo(out, text + start, length - start);
	appendStringInfoCharMacro(out, '"');
}

/*
 * Order of keys: by their UTF-16 code units (RFC 8785 section 3.2.3).  That
 * is the order of UTF-8's bytes, except that the lead bytes of four-byte
 * sequences (F0 to F4, surrogates D800 to DFFF in UTF-16) come before EE and
 * EF (E000 to FFFF).
 */
static int
compare_pairs(const void *a, const void *b)
{
	const JsonbValue *left = &((const Pair *) a)->key;
	const JsonbValue *right = &((const Pair *) b)->key;
	int			shorter = Min(left->val.string.len, right->val.string.len);

	for (int i = 0; i < shorter; i++)
	{
		unsigned char l = left->val.string.val[i];
		unsigned char r = right->val.string.val[i];

		if (l == r)
			continue;
		if (l >= 0xEE && r >= 0xEE && (l >= 0xF0) != (r >= 0xF0))
			return l >= 0xF0 ? -1 : 1;
		return l < r ? -1 : 1;
	}
	return left->val.string.len - right->val.string.len;
}

/* Append an object's pairs in canonical order. */
static void
append_object(Sink *sink, const JsonbValue *object)
{
	uint32		count = json_count(object);
	Pair	   *pairs = MemoryContextAllocHuge(CurrentMemoryContext,
											   Max(count, 1) * sizeof(Pair));
	JsonCursor	cursor;

	json_cursor_init(&cursor, object->val.binary.data);
	for (uint32 i = 0; i < count; i++)
	{
		json_next_pair(&cursor, &pairs[i].key, &pairs[i].value);
		pairs[i].key = to_utf8(&pairs[i].key);
	}
	qsort(pairs, count, sizeof(Pair), compare_pairs);
	appendStringInfoChar(&sink->text, '{');
	for (uint32 i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(&sink->text, ',');
		append_string(&sink->text, &pairs[i].key);
		appendStringInfoChar(&sink->text, ':');
		append_canonical(sink, &pairs[i].value);
	}
	appendStringInfoChar(&sink->text, '}');
	pfree(pairs);
}

/* Append an array's elements. */
static void
append_array(Sink *sink, const JsonbValue *array)
{
	JsonCursor	cursor;
	JsonbValue	element;

	json_cursor_init(&cursor, array->val.binary.data);
	appendStringInfoChar(&sink->text, '[');
	while (json_next_element(&cursor, &element))
	{
		if (cursor.next > 1)
			appendStringInfoChar(&sink->text, ',');
		append_canonical(sink, &element);
	}
	appendStringInfoChar(&sink->text, ']');
}

/* Append any value. */
static void
append_canonical(Sink *sink, const JsonbValue *value)
{
	JsonbValue	string;
	char	   *number;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(&sink->text, "null");
			break;
		case jbvBool:
			appendStringInfoString(&sink->text, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			number = json_canonical_number(value->val.numeric);
			appendStringInfoString(&sink->text, number);
			pfree(number);
			break;
		case jbvString:
			string = to_utf8(value);
			append_string(&sink->text, &string);
			break;
		default:
			if (json_is_object(value))
				append_object(sink, value);
			else
				append_array(sink, value);
	}
	if (sink->hash && sink->text.len >= FLUSH_AT)
		flush(sink);
}

/*
 * The last document of some size that was digested, and its digest.  One
 * promotion asks for the same digest when it compares, when it stores (the
 * digest is a generated column) and when it records.
 */
static struct
{
	Jsonb	   *document;		/* NULL: none yet */
	Size		room;
	uint8		digest[JSON_DIGEST_LENGTH];
}			last;

/* Documents that are worth remembering, in bytes. */
#define REMEMBER_FROM 512
#define REMEMBER_TO (1024 * 1024)

/* Is this the document that was digested last? */
static bool
is_last(const Jsonb *document)
{
	return last.document && VARSIZE(last.document) == VARSIZE(document) &&
		memcmp(last.document, document, VARSIZE(document)) == 0;
}

/* Remember a document and its digest. */
static void
remember(const Jsonb *document, const bytea *digest)
{
	Size		size = VARSIZE(document);

	if (size < REMEMBER_FROM || size > REMEMBER_TO)
		return;
	if (last.room < size)
	{
		Jsonb	   *room = MemoryContextAlloc(TopMemoryContext, size);

		if (last.document)
			pfree(last.document);
		last.document = room;
		last.room = size;
	}
	memcpy(last.document, document, size);
	memcpy(last.digest, VARDATA(digest), JSON_DIGEST_LENGTH);
}

/* Compute the SHA-256 of a document's canonical text. */
static void
compute_digest(const Jsonb *document, uint8 *digest)
{
	Sink		sink;
	JsonbValue	view;

	initStringInfo(&sink.text);
	sink.hash = pg_cryptohash_create(PG_SHA256);
	if (sink.hash == NULL || pg_cryptohash_init(sink.hash) < 0)
		elog(ERROR, "could not start a SHA-256");
	json_root(document, &view);
	append_canonical(&sink, &view);
	flush(&sink);
	if (pg_cryptohash_final(sink.hash, digest, JSON_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not finish a SHA-256: %s", pg_cryptohash_error(sink.hash));
	pg_cryptohash_free(sink.hash);
	pfree(sink.text.data);
}

/* SHA-256 of the document's canonical text, in the current memory context. */
bytea *
json_digest(const Jsonb *document)
{
	bytea	   *digest = palloc(VARHDRSZ + JSON_DIGEST_LENGTH);

	SET_VARSIZE(digest, VARHDRSZ + JSON_DIGEST_LENGTH);
	if (is_last(document))
		memcpy(VARDATA(digest), last.digest, JSON_DIGEST_LENGTH);
	else
	{
		compute_digest(document, (uint8 *) VARDATA(digest));
		remember(document, digest);
	}
	return digest;
}

/* promote.jsonb_digest(document jsonb) returns bytea */
Datum
promote_jsonb_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(json_digest(PG_GETARG_JSONB_P(0)));
}

/*
 * promote.jsonb_canonical(document jsonb) returns text, in the database's
 * encoding; it fails where that lacks a character only if the document does.
 */
Datum
promote_jsonb_canonical(PG_FUNCTION_ARGS)
{
	Sink		sink;
	JsonbValue	view;

	initStringInfo(&sink.text);
	sink.hash = NULL;
	json_root(PG_GETARG_JSONB_P(0), &view);
	append_canonical(&sink, &view);
	PG_RETURN_TEXT_P(cstring_to_text(pg_any_to_server(sink.text.data, sink.text.len, PG_UTF8)));
}
