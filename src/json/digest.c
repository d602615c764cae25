/*
 * digest.c: the SHA-256 of canonical JSON.
 *
 * Hashes the text (canonical.c) while it is written, so that memory does not
 * grow with the document.  Knows nothing of what is in it.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "json/canonical.h"
#include "json/digest.h"
#include "json/reader.h"

PG_FUNCTION_INFO_V1(promote_jsonb_digest);

/* Canonical text is hashed in pieces of about this many bytes, which stay in a processor's cache. */
#define FLUSH_AT 16384

/* A sink that hashes. */
typedef struct HashSink
{
	CanonicalSink sink;			/* the first member: this is what the writer sees */
	pg_cryptohash_ctx *hash;
} HashSink;

/* Hash what has gathered. */
static void
flush(HashSink *to)
{
	CanonicalSink *sink = &to->sink;

	if (pg_cryptohash_update(to->hash, (uint8 *) sink->start, sink->at - sink->start) < 0)
		elog(ERROR, "could not compute a SHA-256: %s", pg_cryptohash_error(to->hash));
	sink->at = sink->start;
}

/* Make room by hashing, and by a larger buffer only for what does not fit into an empty one. */
static void
flush_for_room(CanonicalSink *sink, Size room)
{
	flush((HashSink *) sink);
	if ((Size) (sink->end - sink->start) >= room)
		return;
	pfree(sink->start);
	sink->start = sink->at = MemoryContextAllocHuge(CurrentMemoryContext, room);
	sink->end = sink->start + room;
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

/*
 * Documents that are worth remembering, in bytes.  A smaller one, such as an event of the audit log, would take the
 * place of a configuration or of a diff, which each step of its deployment asks for again.
 */
#define REMEMBER_FROM 2048
#define REMEMBER_TO (1024 * 1024)

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

/* Start to hash canonical text, through a buffer of that size. */
static void
begin(HashSink *to, Size size)
{
	to->sink = (CanonicalSink) {.start = palloc(size), .make_room = flush_for_room};
	to->sink.at = to->sink.start;
	to->sink.end = to->sink.start + size;
	to->hash = pg_cryptohash_create(PG_SHA256);
	if (to->hash == NULL || pg_cryptohash_init(to->hash) < 0)
		elog(ERROR, "could not start a SHA-256");
}

/* Finish the hash of what was written. */
static void
finish(HashSink *to, uint8 *digest)
{
	flush(to);
	if (pg_cryptohash_final(to->hash, digest, JSON_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not finish a SHA-256: %s", pg_cryptohash_error(to->hash));
	pg_cryptohash_free(to->hash);
	pfree(to->sink.start);
}

/* Compute the SHA-256 of a document's canonical text. */
static void
compute_digest(const Jsonb *document, uint8 *digest)
{
	HashSink	to;

	/* no more than what the longest string of a small document may need */
	begin(&to, Min((Size) VARSIZE(document) * JSON_ESCAPE_ROOM + 64, FLUSH_AT));
	json_write_canonical(&to.sink, document);
	finish(&to, digest);
}

/* SHA-256 of the document's canonical text, in the current memory context. */
bytea *
json_digest(const Jsonb *document)
{
	bytea	   *digest = palloc(VARHDRSZ + JSON_DIGEST_LENGTH);

	SET_VARSIZE(digest, VARHDRSZ + JSON_DIGEST_LENGTH);
	if (last.document && json_is_copy(last.document, document))
		memcpy(VARDATA(digest), last.digest, JSON_DIGEST_LENGTH);
	else
	{
		compute_digest(document, (uint8 *) VARDATA(digest));
		remember(document, digest);
	}
	return digest;
}

/* ---- objects that are never built ---- */

struct JsonDigest
{
	HashSink	to;
	bool		more;			/* is there a field already? */
};

/* Write a few bytes as they are. */
static void
write_bytes(CanonicalSink *sink, const char *bytes, int length)
{
	if (sink->end - sink->at < length)
		flush_for_room(sink, length);
	memcpy(sink->at, bytes, length);
	sink->at += length;
}

/* Write the name of a field, which has nothing that is escaped. */
static void
write_name(JsonDigest *digest, const char *name)
{
	CanonicalSink *sink = &digest->to.sink;

	write_bytes(sink, digest->more ? ",\"" : "{\"", 2);
	write_bytes(sink, name, strlen(name));
	write_bytes(sink, "\":", 2);
	digest->more = true;
}

/* Begin the digest of an object, in the current memory context. */
JsonDigest *
json_digest_begin(void)
{
	JsonDigest *digest = palloc(sizeof(JsonDigest));

	begin(&digest->to, FLUSH_AT / 4);
	digest->more = false;
	return digest;
}

/* Add a field that is a string; NULL: null. */
void
json_digest_string(JsonDigest *digest, const char *name, const char *text)
{
	write_name(digest, name);
	if (text)
		json_write_canonical_string(&digest->to.sink, text, strlen(text));
	else
		write_bytes(&digest->to.sink, "null", 4);
}

/* Add a field that is a whole number. */
void
json_digest_number(JsonDigest *digest, const char *name, int64 number)
{
	JsonbValue	value = {.type = jbvNumeric, .val.numeric = int64_to_numeric(number)};

	json_digest_document(digest, name, JsonbValueToJsonb(&value));
}

/* Add a field that is a document. */
void
json_digest_document(JsonDigest *digest, const char *name, const Jsonb *document)
{
	write_name(digest, name);
	json_write_canonical(&digest->to.sink, document);
}

/* The digest of an object that has a field at least, in the current memory context. */
bytea *
json_digest_end(JsonDigest *digest)
{
	bytea	   *result = palloc(VARHDRSZ + JSON_DIGEST_LENGTH);

	write_bytes(&digest->to.sink, "}", 1);
	SET_VARSIZE(result, VARHDRSZ + JSON_DIGEST_LENGTH);
	finish(&digest->to, (uint8 *) VARDATA(result));
	pfree(digest);
	return result;
}

/* promote.jsonb_digest(document jsonb) returns bytea */
Datum
promote_jsonb_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(json_digest(PG_GETARG_JSONB_P(0)));
}
