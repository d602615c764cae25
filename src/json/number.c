/*
 * number.c: the canonical spelling of a number.
 *
 * RFC 8785 section 3.2.2.3 spells a number as ECMAScript's Number::toString
 * does (ECMA-262, radix 10).  That algorithm lays out the significant digits
 * of a decimal; here they are the number's own digits, all of them.  The
 * spelling is therefore the RFC's for every number that is the shortest
 * spelling of a double, and exact for all others, which a double could not
 * tell apart.  doc/reference/digest.md states the rule for readers.
 *
 * This is the one file that knows how numeric is stored, which is much faster
 * than to take its text apart.  The format is that of struct NumericData in
 * PostgreSQL's src/backend/utils/adt/numeric.c, the same from PostgreSQL 9.1
 * on: pg_upgrade depends on it.  After the varlena header come
 *
 *   long form:  uint16  sign (0x0000 or 0x4000) and display scale
 *               int16   weight
 *   short form: uint16  0x8000, sign (0x2000), display scale (6 bits),
 *                       weight (7 bits, two's complement)
 *   both:       int16[] digits to base 10000
 *
 * and the value is the sum of digit[i] * 10000 ^ (weight - i).  0xC000 marks
 * NaN and the infinities, which jsonb cannot hold.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/compat.h"
#include "json/number.h"

#define HEADER_FORM 0xC000
#define HEADER_NEGATIVE 0x4000	/* these two are forms of the long header */
#define HEADER_SHORT 0x8000
#define HEADER_SPECIAL 0xC000
#define SHORT_NEGATIVE 0x2000
#define SHORT_WEIGHT 0x003F
#define SHORT_WEIGHT_SIGN 0x0040

#define GROUP_DIGITS 4			/* decimal digits in a digit to base 10000 */
#define LAYOUT_ROOM 40			/* sign, point, zeros and exponent */

/* A number as it is stored. */
typedef struct Decimal
{
	const char *groups;			/* digits to base 10000, perhaps not aligned */
	int			count;			/* the first and the last are not 0 */
	int			weight;
	bool		negative;
} Decimal;

/* The 16 bits at an address that need not be aligned. */
static inline uint16
load16(const char *at)
{
	uint16		bits;

	memcpy(&bits, at, sizeof(bits));
	return bits;
}

/* A digit to base 10000. */
static inline int
group(const Decimal *decimal, int index)
{
	return load16(decimal->groups + index * sizeof(int16));
}

/* Take a number apart. */
static inline void
read_decimal(Numeric number, Decimal *decimal)
{
	const char *data = VARDATA_ANY(number);
	const char *end = data + VARSIZE_ANY_EXHDR(number);
	uint16		header = load16(data);

	if ((header & HEADER_FORM) == HEADER_SPECIAL)
		elog(ERROR, "a number in a document is not finite");
	if (header & HEADER_SHORT)
	{
		decimal->negative = (header & SHORT_NEGATIVE) != 0;
		decimal->weight = (header & SHORT_WEIGHT) -
			((header & SHORT_WEIGHT_SIGN) ? SHORT_WEIGHT + 1 : 0);
		decimal->groups = data + sizeof(uint16);
	}
	else
	{
		decimal->negative = (header & HEADER_FORM) == HEADER_NEGATIVE;
		decimal->weight = (int16) load16(data + sizeof(uint16));
		decimal->groups = data + 2 * sizeof(uint16);
	}
	decimal->count = (end - decimal->groups) / sizeof(int16);
}

/* Drop zeros at both ends, which numeric does not store; it costs nothing to be sure. */
static inline void
strip_zeros(Decimal *decimal)
{
	while (decimal->count > 0 && group(decimal, decimal->count - 1) == 0)
		decimal->count--;
	while (decimal->count > 0 && group(decimal, 0) == 0)
	{
		decimal->groups += sizeof(int16);
		decimal->count--;
		decimal->weight--;
	}
}

/* The decimal digits of a digit to base 10000, without leading zeros. */
static inline int
group_length(int value)
{
	return value >= 1000 ? 4 : value >= 100 ? 3 : value >= 10 ? 2 : 1;
}

/* Write all four decimal digits of a digit to base 10000; returns their end. */
static inline char *
write_group(char *to, unsigned int value)
{
	unsigned int high = value / 100;
	unsigned int low = value % 100;

	to[0] = '0' + high / 10;
	to[1] = '0' + high % 10;
	to[2] = '0' + low / 10;
	to[3] = '0' + low % 10;
	return to + GROUP_DIGITS;
}

/* Write the first digit to base 10000, without leading zeros; returns its end. */
static inline char *
write_first_group(char *to, unsigned int value)
{
	if (value >= 1000)
		return write_group(to, value);
	if (value >= 100)
		*to++ = '0' + value / 100;
	if (value >= 10)
		*to++ = '0' + value / 10 % 10;
	*to++ = '0' + value % 10;
	return to;
}

/* Write all significant digits, from the first to the last that is not 0; returns their end. */
static inline char *
write_digits(char *to, const Decimal *decimal)
{
	to = write_first_group(to, group(decimal, 0));
	for (int i = 1; i < decimal->count; i++)
		to = write_group(to, group(decimal, i));
	while (to[-1] == '0')
		to--;
	return to;
}

/* Write n zeros; returns their end. */
static inline char *
write_zeros(char *to, int n)
{
	memset(to, '0', n);
	return to + n;
}

/* Put a point before `at`, where the digits up to `end` make room; returns their new end. */
static inline char *
insert_point(char *at, char *end)
{
	memmove(at + 1, at, end - at);
	*at = '.';
	return end + 1;
}

/* Write an exponent with its sign; returns its end. */
static char *
write_exponent(char *to, int exponent)
{
	*to++ = 'e';
	*to++ = exponent < 0 ? '-' : '+';
	return to + pg_ultoa_n(abs(exponent), to);
}

/* Bytes that are enough for the number's canonical spelling. */
Size
json_number_room(Numeric number)
{
	return VARSIZE_ANY(number) / sizeof(int16) * GROUP_DIGITS + LAYOUT_ROOM;
}

/*
 * Write the number's canonical spelling, without a terminating NUL; returns
 * its end.  After the sign these are steps 6 to 10 of Number::toString: n is
 * its n, and k is the number of digits.
 */
char *
json_write_number(char *to, Numeric number)
{
	Decimal		decimal;
	char	   *digits;
	int			n,
				k;

	read_decimal(number, &decimal);
	strip_zeros(&decimal);
	if (decimal.count == 0)
		return write_zeros(to, 1);
	if (decimal.negative)
		*to++ = '-';
	n = decimal.weight * GROUP_DIGITS + group_length(group(&decimal, 0));
	if (-6 < n && n <= 0)
	{
		*to++ = '0';
		*to++ = '.';
		return write_digits(write_zeros(to, -n), &decimal);
	}
	digits = to;
	to = write_digits(to, &decimal);
	k = to - digits;
	if (-6 < n && n <= 21)
		return k <= n ? write_zeros(to, n - k) : insert_point(digits + n, to);
	if (k > 1)
		to = insert_point(digits + 1, to);
	return write_exponent(to, n - 1);
}

/* A number as documents have it, to compare with theirs. */
static Datum
number_of(int32 number)
{
	return DirectFunctionCall1(int4_numeric, Int32GetDatum(number));
}

/* A whole number from 1 on that fits an integer; 0: the value is none. */
int32
json_whole_number(const JsonbValue *value)
{
	Datum		number;

	if (value->type != jbvNumeric)
		return 0;
	number = NumericGetDatum(value->val.numeric);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number, number_of(1))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number, number_of(PG_INT32_MAX))) ||
		DatumGetBool(DirectFunctionCall2(numeric_ne, number, DirectFunctionCall1(numeric_floor, number))))
		return 0;
	return DatumGetInt32(DirectFunctionCall1(numeric_int4, number));
}
