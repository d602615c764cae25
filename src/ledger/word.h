/*
 * word.h: what the audit log says last of each row, against the rows, without holding either.
 *
 * A word says that in some chain a row has some digest.  The words of the log and those of the
 * rows are the same set if the sums of their keyed hashes are the same.  Sums are kept by
 * buckets, into which words fall by chain and row, so that what differs is found in a few.
 */
#ifndef PROMOTE_LEDGER_WORD_H
#define PROMOTE_LEDGER_WORD_H

#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

#include "base/value.h"

#define WORD_BUCKETS 4096
#define WORD_HEX_LENGTH (2 * PG_SHA256_DIGEST_LENGTH)
#define WORD_KEY_LENGTH 32		/* bytes of the key that a verification makes */

/* Who has said it: the log, a row, or a row that nothing has to tell of yet. */
typedef enum Speaker
{
	WORD_OF_LOG, WORD_OF_ROW, WORD_OF_OPEN_ROW, WORD_SPEAKERS
} Speaker;

/* The sum of the hashes of a bucket, which overflows as it likes. */
typedef struct WordSum
{
	uint64		low;
	uint64		high;
} WordSum;

/* The sums of what was said. */
typedef struct Tally
{
	const bytea *key;
	pg_cryptohash_ctx *hash;
	WordSum		sums[WORD_SPEAKERS][WORD_BUCKETS];
} Tally;

extern char *word_written(const char *subject, const char *row);
extern char *word_row(const char *subject, const char *written);
extern char *word_base64(const uint8 *bytes, int length);
extern char *word_digest(const char *hex);
extern bool word_hex(const char *written, int length, char *hex);
extern void word_name(StringInfo word, const char *project, const char *subject, const char *name);
extern uint32 word_hash(const char *word, int length);
extern bool *word_buckets(NullableDatum list);
extern Tally *tally_begin(const bytea *key);
extern void tally_add(Tally *tally, Speaker speaker, const char *word, int length, const char *digest);
extern void tally_put(Tally *tally, FunctionCallInfo fcinfo);

#endif							/* PROMOTE_LEDGER_WORD_H */
