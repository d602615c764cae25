/*
 * key_order.c: sorting an object's keys as RFC 8785 orders them.
 *
 * Section 3.2.3 compares keys by their UTF-16 code units.  That is the order
 * of UTF-8's bytes, except that the lead bytes of four-byte sequences (F0 to
 * F4, surrogates D800 to DFFF in UTF-16) come before EE and EF (E000 to
 * FFFF).  Knows nothing of values or of output.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bswap.h"

#include "json/key_order.h"

#define HEAD_BYTES sizeof(uint64)
#define HIGH_BITS UINT64CONST(0x8080808080808080)

/* Objects of up to this many keys are sorted by insertion. */
#define FEW_KEYS 12

/* Bytes in an order in which unsigned comparison is UTF-16's: EE and EF go behind F4. */
static inline unsigned char
utf16_rank(unsigned char byte)
{
	if (byte < 0xEE)
		return byte;
	return byte >= 0xF0 ? byte - 2 : byte + 5;
}

/* Four bytes, the first in the highest place. */
static inline uint64
load_half(const char *text)
{
	uint32		half;

	memcpy(&half, text, sizeof(half));
	return pg_ntoh32(half);
}

/*
 * Up to eight bytes, the first in the highest place, with zeros behind; none
 * of them is 0 in a key.  Fewer than eight are loaded in parts that overlap,
 * so that nothing behind them is read.
 */
static inline uint64
load_head(const char *text, uint32 length)
{
	const unsigned char *byte = (const unsigned char *) text;
	uint64		head;

	if (length >= HEAD_BYTES)
	{
		memcpy(&head, text, HEAD_BYTES);
		return pg_ntoh64(head);
	}
	if (length >= 4)
		return load_half(text) << 32 | load_half(text + length - 4) << (64 - 8 * length);
	if (length == 0)
		return 0;
	return (uint64) byte[0] << 56 | (uint64) byte[length / 2] << (56 - 8 * (length / 2)) |
		(uint64) byte[length - 1] << (64 - 8 * length);
}

/*
 * The first bytes of a text as a number: where those of two texts differ, the
 * order of the numbers is that of the texts.
 */
uint64
json_key_head(const char *text, uint32 length)
{
	uint64		head = load_head(text, length);
	uint64		ranked = 0;

	if ((head & HIGH_BITS) == 0)
		return head;
	for (int shift = 56; shift >= 0; shift -= 8)
		ranked |= (uint64) utf16_rank(head >> shift & 0xFF) << shift;
	return ranked;
}

/* Does a key come before another one with the same head? */
static bool
rest_before(const JsonKeyText *text, const JsonKey *a, const JsonKey *b)
{
	uint32		a_length = json_key_length(text, a);
	uint32		b_length = json_key_length(text, b);

	for (uint32 at = HEAD_BYTES; at < a_length && at < b_length; at += HEAD_BYTES)
	{
		uint64		a_head = json_key_head(text->base + a->offset + at, a_length - at);
		uint64		b_head = json_key_head(text->base + b->offset + at, b_length - at);

		if (a_head != b_head)
			return a_head < b_head;
	}
	return a_length < b_length;
}

/* Does a key come before another one? */
static inline bool
before(const JsonKeyText *text, const JsonKey *a, const JsonKey *b)
{
	return a->head != b->head ? a->head < b->head : rest_before(text, a, b);
}

/* Sort a few keys in place. */
static void
insertion_sort(const JsonKeyText *text, JsonKey *keys, uint32 count)
{
	for (uint32 i = 1; i < count; i++)
	{
		JsonKey		key = keys[i];
		uint32		to = i;

		for (; to > 0 && before(text, &key, &keys[to - 1]); to--)
			keys[to] = keys[to - 1];
		keys[to] = key;
	}
}

/* The end of the run of keys in ascending order that starts at `from`. */
static uint32
run_end(const JsonKeyText *text, const JsonKey *keys, uint32 from, uint32 count)
{
	uint32		end = from + 1;

	while (end < count && before(text, &keys[end - 1], &keys[end]))
		end++;
	return end;
}

/* Merge the runs that end at middle and at end, from the start; spare takes the first one. */
static void
merge_forward(const JsonKeyText *text, JsonKey *keys, uint32 middle, uint32 end, JsonKey *spare)
{
	uint32		left = 0;
	uint32		right = middle;
	uint32		to = 0;

	memcpy(spare, keys, middle * sizeof(JsonKey));
	while (left < middle && right < end)
	{
		if (before(text, &keys[right], &spare[left]))
			keys[to++] = keys[right++];
		else
			keys[to++] = spare[left++];
	}
	memcpy(&keys[to], &spare[left], (middle - left) * sizeof(JsonKey));
}

/* Merge the runs that end at middle and at end, from the end; spare takes the second one. */
static void
merge_backward(const JsonKeyText *text, JsonKey *keys, uint32 middle, uint32 end, JsonKey *spare)
{
	uint32		left = middle;
	uint32		right = end - middle;

	memcpy(spare, &keys[middle], right * sizeof(JsonKey));
	while (left > 0 && right > 0)
	{
		uint32		to = left + right - 1;

		if (before(text, &spare[right - 1], &keys[left - 1]))
			keys[to] = keys[--left];
		else
			keys[to] = spare[--right];
	}
	memcpy(&keys[left], spare, right * sizeof(JsonKey));
}

/* Merge two runs; the shorter one is copied, so that spare needs half their room. */
static void
merge_runs(const JsonKeyText *text, JsonKey *keys, uint32 middle, uint32 end, JsonKey *spare)
{
	CHECK_FOR_INTERRUPTS();
	if (middle <= end - middle)
		merge_forward(text, keys, middle, end, spare);
	else
		merge_backward(text, keys, middle, end, spare);
}

/*
 * Sort an object's keys.  jsonb stores them by length and then by bytes, which
 * makes one ascending run per length, almost always; so runs are found and
 * merged, in pairs, until there is one.  spare has room for half as many keys;
 * it is not used for a few.
 */
void
json_sort_keys(const JsonKeyText *text, JsonKey *keys, uint32 count, JsonKey *spare)
{
	uint32		runs = count <= FEW_KEYS ? 1 : 2;

	if (runs == 1)
		insertion_sort(text, keys, count);
	while (runs > 1)
	{
		uint32		end;

		runs = 0;
		for (uint32 from = 0; from < count; from = end, runs++)
		{
			uint32		middle = run_end(text, keys, from, count);

			end = middle < count ? run_end(text, keys, middle, count) : middle;
			if (end > middle)
				merge_runs(text, keys + from, middle - from, end - from, spare);
		}
	}
}
