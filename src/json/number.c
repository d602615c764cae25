/*
 * number.c: the canonical spelling of a number.
 *
 * RFC 8785 section 3.2.2.3 spells a number as ECMAScript's Number::toString
 * does (ECMA-262, "Number::toString", radix 10).  That algorithm lays out the
 * significant digits of a decimal; here they are the number's own digits, all
 * of them.  The spelling is therefore the RFC's for every number that is the
 * shortest spelling of a double, and exact for all others, which a double
 * could not tell apart.
 */
#include "postgres.h"

#include "json/digest.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/* A positive decimal: 0.d1 d2 ... dk times 10 to the power of exponent. */
typedef struct Decimal
{
	char	   *digits;			/* d1 and dk are not 0 */
	int			count;			/* k; 0 for zero */
	int			exponent;
	bool		negative;
} Decimal;

/* Take apart numeric's output, which has no exponent: -00012.3400 */
static void
parse_decimal(char *text, Decimal *decimal)
{
	char	   *from = text;
	int			whole = 0;
	bool		in_fraction = false;

	decimal->negative = (*from == '-');
	if (decimal->negative)
		from++;
	decimal->digits = text;
	decimal->count = 0;
	for (; *from; from++)
	{
		if (*from == '.')
			in_fraction = true;
		else
		{
			/* a leading zero is dropped; in the fraction it moves the point */
			if (decimal->count > 0 || *from != '0')
			{
				text[decimal->count++] = *from;
				whole += in_fraction ? 0 : 1;
			}
			else if (in_fraction)
				whole--;
		}
	}
	while (decimal->count > 0 && text[decimal->count - 1] == '0')
		decimal->count--;
	decimal->exponent = whole;
}

/* Append n zeros. */
static void
append_zeros(StringInfo out, int n)
{
	while (n-- > 0)
		appendStringInfoChar(out, '0');
}

/* Steps 6 to 10 of Number::toString, with n the exponent and k the count. */
static void
append_decimal(StringInfo out, const Decimal *decimal)
{
	const char *digits = decimal->digits;
	int			k = decimal->count;
	int			n = decimal->exponent;

	if (k <= n && n <= 21)
	{
		appendBinaryStringInfo(out, digits, k);
		append_zeros(out, n - k);
	}
	else if (0 < n && n <= 21)
	{
		appendBinaryStringInfo(out, digits, n);
		appendStringInfoChar(out, '.');
		appendBinaryStringInfo(out, digits + n, k - n);
	}
	else if (-6 < n && n <= 0)
	{
		appendStringInfoString(out, "0.");
		append_zeros(out, -n);
		appendBinaryStringInfo(out, digits, k);
	}
	else
	{
		appendStringInfoChar(out, digits[0]);
		if (k > 1)
		{
			appendStringInfoChar(out, '.');
			appendBinaryStringInfo(out, digits + 1, k - 1);
		}
		appendStringInfo(out, "e%+d", n - 1);
	}
}

/* The number's canonical spelling, allocated in the current memory context. */
char *
json_canonical_number(Numeric number)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   NumericGetDatum(number)));
	StringInfoData out;
	Decimal		decimal;

	parse_decimal(text, &decimal);
	if (decimal.count == 0)
		return pstrdup("0");
	initStringInfo(&out);
	if (decimal.negative)
		appendStringInfoChar(&out, '-');
	append_decimal(&out, &decimal);
	pfree(text);
	return out.data;
}
