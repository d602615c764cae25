/*
 * word.c: sums of what the audit log and rows say, see word.h.
 *
 * Whoever forges rows does not know the key, which is made for one verification, and so cannot
 * choose what leaves a sum as it was.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/result.h"
#include "ledger/word.h"

#define DIGEST_CHARACTERS 43	/* of a digest in base64, without the padding that would follow */

/* The key that a subject is named by, its columns with slashes between: of ecomm-production-db ecomm/production/db. */
static char *
subject_key(const char *subject)
{
	const char *blank = strchr(subject, ' ');
	char	   *key = pstrdup(blank ? blank + 1 : subject);
	char	   *first = strchr(key, '-');

	if (blank == NULL && first)
		*first = *strrchr(key, '-') = '/';
	return key;
}

/* How an event names a row: without the key of the subject, if the row's key begins with that. */
char *
word_written(const char *subject, const char *row)
{
	const char *key = subject_key(subject);
	int			length = strlen(key);
	int			table = strcspn(row, " ");
	const char *rest = row + table + 1;

	if (row[table] == '\0' || strncmp(rest, key, length) != 0 || (rest[length] != '/' && rest[length] != '\0'))
		return pstrdup(row);
	return psprintf("%.*s%s", table, row, rest + length);
}

/* The row that an event names so, with its whole key. */
char *
word_row(const char *subject, const char *written)
{
	int			table = strcspn(written, " /");

	if (written[table] == ' ')
		return pstrdup(written);
	return psprintf("%.*s %s%s", table, written, subject_key(subject), written + table);
}

/* Bytes in base64, without padding. */
char *
word_base64(const uint8 *bytes, int length)
{
	int			size = pg_b64_enc_len(length);
	char	   *written = palloc(size + 1);

	if (pg_b64_encode((const void *) bytes, length, written, size) < 0)
		elog(ERROR, "could not write bytes in base64");
	written[(length * 8 + 5) / 6] = '\0';
	return written;
}

/* How an event writes a digest, which is given in hexadecimal. */
char *
word_digest(const char *hex)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	Assert(strlen(hex) == WORD_HEX_LENGTH);
	hex_decode(hex, WORD_HEX_LENGTH, (char *) digest);
	return word_base64(digest, sizeof(digest));
}

/* A digest as an event writes it, in hexadecimal, with a NUL.  False: it is none. */
bool
word_hex(const char *written, int length, char *hex)
{
	char		digest[PG_SHA256_DIGEST_LENGTH + 1];
	char		padded[DIGEST_CHARACTERS + 1];

	if (length != DIGEST_CHARACTERS)
		return false;
	memcpy(padded, written, DIGEST_CHARACTERS);
	padded[DIGEST_CHARACTERS] = '=';
	if (pg_b64_decode(padded, sizeof(padded), (void *) digest, sizeof(digest)) != PG_SHA256_DIGEST_LENGTH)
		return false;
	hex[hex_encode(digest, PG_SHA256_DIGEST_LENGTH, hex)] = '\0';
	return true;
}

/* Write what a word is about, a row in a chain.  No part of it holds a NUL. */
void
word_name(StringInfo word, const char *project, const char *subject, const char *name)
{
	resetStringInfo(word);
	appendBinaryStringInfo(word, project, strlen(project) + 1);
	appendBinaryStringInfo(word, subject, strlen(subject) + 1);
	appendStringInfoString(word, name);
}

/* A hash of what a word is about, whose last bits are its bucket. */
uint32
word_hash(const char *word, int length)
{
	return hash_bytes((const unsigned char *) word, length);
}

/* The buckets that an array of integers lists, as flags; NULL: all. */
bool *
word_buckets(NullableDatum list)
{
	bool	   *listed;
	Datum	   *numbers;
	int			count;

	if (list.isnull)
		return NULL;
	listed = palloc0(WORD_BUCKETS * sizeof(bool));
	deconstruct_array(DatumGetArrayTypeP(list.value), INT4OID, sizeof(int32), true, TYPALIGN_INT, &numbers, NULL,
					  &count);
	for (int i = 0; i < count; i++)
		listed[(uint32) DatumGetInt32(numbers[i]) % WORD_BUCKETS] = true;
	return listed;
}

/* Begin sums by a key, in the current memory context. */
Tally *
tally_begin(const bytea *key)
{
	Tally	   *tally = palloc0(sizeof(Tally));

	tally->key = key;
	tally->hash = pg_cryptohash_create(PG_SHA256);
	if (tally->hash == NULL)
		elog(ERROR, "could not start a SHA-256");
	return tally;
}

/* Add a word to the sum of its bucket.  The digest is as the log writes it, in hexadecimal. */
void
tally_add(Tally *tally, Speaker speaker, const char *word, int length, const char *digest)
{
	WordSum    *sum = &tally->sums[speaker][word_hash(word, length) % WORD_BUCKETS];
	uint64		hash[PG_SHA256_DIGEST_LENGTH / sizeof(uint64)];

	/* the NUL keeps the name and the digest apart */
	if (pg_cryptohash_init(tally->hash) < 0 ||
		pg_cryptohash_update(tally->hash, (const uint8 *) VARDATA_ANY(tally->key), VARSIZE_ANY_EXHDR(tally->key)) < 0 ||
		pg_cryptohash_update(tally->hash, (const uint8 *) word, length) < 0 ||
		pg_cryptohash_update(tally->hash, (const uint8 *) "", 1) < 0 ||
		pg_cryptohash_update(tally->hash, (const uint8 *) digest, strlen(digest)) < 0 ||
		pg_cryptohash_final(tally->hash, (uint8 *) hash, sizeof(hash)) < 0)
		elog(ERROR, "could not compute a SHA-256: %s", pg_cryptohash_error(tally->hash));
	sum->low += hash[0];
	sum->high += hash[1];
}

/* Return the sums that are not 0, as rows without a problem, and end the tally. */
void
tally_put(Tally *tally, FunctionCallInfo fcinfo)
{
	SqlValue	none = AS_TEXT(NULL);

	for (int speaker = 0; speaker < WORD_SPEAKERS; speaker++)
		for (int bucket = 0; bucket < WORD_BUCKETS; bucket++)
		{
			const WordSum *sum = &tally->sums[speaker][bucket];

			if (sum->low != 0 || sum->high != 0)
				result_put(fcinfo, none, none, sql_value(INT8OID, true, (Datum) 0), none, AS_INT(speaker),
						   AS_INT(bucket), AS_BIGINT((int64) sum->low), AS_BIGINT((int64) sum->high));
		}
	pg_cryptohash_free(tally->hash);
}
