/*
 * escape.c: the characters of a string in canonical JSON.
 *
 * RFC 8785 section 3.2.2.2: the short forms where JSON has them, \u00xx for
 * other controls, nothing else.  Knows nothing of jsonb or of encodings other
 * than UTF-8, whose bytes above 0x7F stay as they are.
 */
#include "postgres.h"

#include "json/escape.h"

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
char *
json_write_escaped(char *to, const char *from, int length)
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
