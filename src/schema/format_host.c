/*
 * format_host.c: addresses and names of hosts, and mailboxes.
 *
 * Decided by grammar: nothing is looked up.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unicode/uchar.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#include "schema/format.h"

#define LABEL_MAX	63			/* RFC 1035, section 2.3.4 */
#define HOST_MAX	253			/* the 255 octets of the same, written with dots */
#define LOCAL_MAX	64			/* RFC 5321, section 4.5.3.1.1 */
#define MAILBOX_MAX	254			/* section 4.5.3.1.3, without the angle brackets */

static bool is_a_label(const char *label, const char *end);

/*
 * The text of an IPv4 address, a dotted-quad (RFC 2673, section 3.2) of which
 * no byte has leading zeros as RFC 3986 has it, or of an IPv6 address (RFC
 * 4291, section 2.2), as the system's library reads them.
 */
bool
format_address(const char *string, const char *end, int flags)
{
	char		text[INET6_ADDRSTRLEN];
	struct in6_addr address;	/* has room for either family's */

	if (end - string >= sizeof(text))
		return false;
	memcpy(text, string, end - string);
	text[end - string] = '\0';
	return inet_pton((flags & FORMAT_IPV6) ? AF_INET6 : AF_INET, text, &address) == 1;
}

/*
 * A label of a name (RFC 1123, section 2.1), up to a dot or the end; where
 * wide, with characters beyond ASCII.
 */
static bool
read_label(const char **next, const char *end, bool wide)
{
	const char *start = *next;

	while (*next < end && (ascii_is_letter(**next) || ascii_is_digit(**next) ||
						   **next == '-' || (wide && IS_HIGHBIT_SET(**next))))
		(*next)++;
	return *next > start && *next - start <= LABEL_MAX * (wide ? 4 : 1) &&
		*start != '-' && (*next)[-1] != '-';
}

/*
 * A host's name (RFC 1123, section 2.1): labels with a dot between each two;
 * those that start with xn-- have to stand for something (A-labels by RFC
 * 5890, section 2.3.2.1).
 */
bool
format_hostname(const char *string, const char *end, int flags)
{
	bool		wide = (flags & FORMAT_WIDE) != 0;

	if (end - string > HOST_MAX * (wide ? 4 : 1))
		return false;
	do
	{
		const char *start = string;

		if (!read_label(&string, end, wide))
			return false;
		if (string - start >= 4 && pg_strncasecmp(start, "xn--", 4) == 0 && !is_a_label(start, string))
			return false;
	} while (format_skip(&string, end, '.'));
	return string == end;
}

/* atext (RFC 5322, section 3.2.3; beyond ASCII RFC 6531, section 3.3) */
static bool
is_atom_character(char c, bool wide)
{
	return ascii_is_letter(c) || ascii_is_digit(c) || (wide && IS_HIGHBIT_SET(c)) ||
		(c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Quoted-string (RFC 5321, section 4.1.2); the opening quote is behind us */
static bool
read_quoted(const char **next, const char *end, bool wide)
{
	while (*next < end)
	{
		char		c = *(*next)++;

		if (c == '"')
			return true;
		if (c == '\\')
		{
			if (*next >= end)
				return false;
			c = *(*next)++;
			if (IS_HIGHBIT_SET(c))
				return false;
		}
		if ((c < ' ' || c > '~') && !(wide && IS_HIGHBIT_SET(c)))
			return false;
	}
	return false;
}

/* Local-part (RFC 5321, section 4.1.2): atoms with dots between them, or a quoted string */
static bool
read_local_part(const char **next, const char *end, bool wide)
{
	if (format_skip(next, end, '"'))
		return read_quoted(next, end, wide);
	do
	{
		const char *start = *next;

		while (*next < end && is_atom_character(**next, wide))
			(*next)++;
		if (*next == start)
			return false;
	} while (format_skip(next, end, '.'));
	return true;
}

/*
 * What is between the brackets of address-literal (RFC 5321, section 4.1.3).
 * No tag but IPv6 has been standardized.
 */
static bool
is_address_literal(const char *string, const char *end)
{
	if (end - string > 5 && pg_strncasecmp(string, "IPv6:", 5) == 0)
		return format_address(string + 5, end, FORMAT_IPV6);
	return format_address(string, end, 0);
}

/*
 * Mailbox (RFC 5321, section 4.1.2; as RFC 6531, section 3.3, extends it, a
 * name's characters beyond ASCII may be any)
 */
bool
format_email(const char *string, const char *end, int flags)
{
	bool		wide = (flags & FORMAT_WIDE) != 0;
	const char *start = string;

	if (end - string > MAILBOX_MAX * (wide ? 4 : 1) || !read_local_part(&string, end, wide) ||
		string - start > LOCAL_MAX * (wide ? 4 : 1) || !format_skip(&string, end, '@'))
		return false;
	if (format_skip(&string, end, '['))
		return end > string && end[-1] == ']' && is_address_literal(string, end - 1);
	return format_hostname(string, end, flags);
}

/* ---- beyond ASCII ---- */

/* The longest name there is, in bytes, where each character takes four. */
#define NAME_BYTES	(HOST_MAX * 4)

/* First and last of the code points that RFC 5892, section 2.6, decides about. */
static const struct
{
	UChar32		first;
	UChar32		last;
	bool		allowed;		/* perhaps in a context that ICU checks */
}			exceptions[] =
{
	{0xb7, 0xb7, true}, {0xdf, 0xdf, true}, {0x375, 0x375, true}, {0x3c2, 0x3c2, true},
	{0x5f3, 0x5f4, true}, {0x640, 0x640, false}, {0x660, 0x669, true}, {0x6f0, 0x6f9, true},
	{0x6fd, 0x6fe, true}, {0x7fa, 0x7fa, false}, {0xf0b, 0xf0b, true}, {0x3007, 0x3007, true},
	{0x302e, 0x302f, false}, {0x3031, 0x3035, false}, {0x303b, 0x303b, false},
	{0x30fb, 0x30fb, true}
};

/* LetterDigits (RFC 5892, section 2.1) */
#define LETTER_DIGITS \
	(U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK | U_GC_LM_MASK | \
	 U_GC_MN_MASK | U_GC_MC_MASK)

/* ICU's object for the rules, made once and kept; NULL if there is no memory for it. */
static const UIDNA *
idna(void)
{
	static UIDNA *kept = NULL;
	UErrorCode	error = U_ZERO_ERROR;

	if (kept == NULL)
		kept = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
							   UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_ASCII |
							   UIDNA_NONTRANSITIONAL_TO_UNICODE, &error);
	return U_SUCCESS(error) ? kept : NULL;
}

/* IgnorableBlocks and OldHangulJamo (RFC 5892, sections 2.4 and 2.9) */
static bool
is_in_ignored_block(UChar32 c)
{
	int			syllable = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);

	return (c >= 0x20d0 && c <= 0x20ff) || (c >= 0x1d100 && c <= 0x1d24f) ||
		syllable == U_HST_LEADING_JAMO || syllable == U_HST_VOWEL_JAMO ||
		syllable == U_HST_TRAILING_JAMO;
}

/* May the code point be in a U-label, in the right context if need be (RFC 5892, section 3)? */
static bool
is_allowed(UChar32 c)
{
	for (int i = 0; i < lengthof(exceptions); i++)
		if (c >= exceptions[i].first && c <= exceptions[i].last)
			return exceptions[i].allowed;
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
		return true;
	return !u_hasBinaryProperty(c, UCHAR_CHANGES_WHEN_NFKC_CASEFOLDED) &&
		!u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) &&
		!is_in_ignored_block(c) && (U_MASK(u_charType(c)) & LETTER_DIGITS) != 0;
}

/* Are all of these code points allowed, and is there one beyond ASCII? */
static bool
is_u_label(const char *label, int length)
{
	bool		wide = false;
	int			i = 0;

	while (i < length)
	{
		UChar32		c;

		U8_NEXT((const uint8_t *) label, i, length, c);
		if (c < 0 || !is_allowed(c))
			return false;
		wide |= c >= 0x80;
	}
	return wide;
}

/*
 * Does a label that starts with xn-- stand for a U-label, and is it the one
 * way to write that (RFC 5890, section 2.3.2.1)?
 */
static bool
is_a_label(const char *label, const char *end)
{
	char		decoded[4 * LABEL_MAX];
	char		encoded[LABEL_MAX + 1];
	UIDNAInfo	info = UIDNA_INFO_INITIALIZER;
	UErrorCode	error = U_ZERO_ERROR;
	int			length;

	if (idna() == NULL || end - label > LABEL_MAX)
		return false;
	length = uidna_labelToUnicodeUTF8(idna(), label, end - label, decoded, sizeof(decoded),
									  &info, &error);
	if (U_FAILURE(error) || info.errors != 0 || !is_u_label(decoded, length))
		return false;
	length = uidna_labelToASCII_UTF8(idna(), decoded, length, encoded, sizeof(encoded),
									 &info, &error);
	return U_SUCCESS(error) && info.errors == 0 && length == end - label &&
		pg_strncasecmp(encoded, label, length) == 0;
}

/* Is the text in Unicode's normalization form C, as U-labels are (RFC 5890, section 2.3.2.1)? */
static bool
is_composed(const char *name, int length)
{
	UChar		wide[NAME_BYTES];
	UErrorCode	error = U_ZERO_ERROR;
	int32_t		units;

	u_strFromUTF8(wide, lengthof(wide), &units, name, length, &error);
	if (U_FAILURE(error))
		return false;
	return unorm2_isNormalized(unorm2_getNFCInstance(&error), wide, units, &error) && U_SUCCESS(error);
}

/*
 * The name with a plain dot for each character that separates labels (RFC
 * 3490, section 3.1), of which it has at most as many bytes.  Its length.
 */
static int
plain_dots(const char *name, const char *end, char *plain)
{
	static const char *const dots[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};
	int			length = 0;

	while (name < end)
	{
		int			i;

		for (i = 0; i < lengthof(dots); i++)
			if (end - name >= 3 && memcmp(name, dots[i], 3) == 0)
				break;
		plain[length++] = i < lengthof(dots) ? '.' : *name;
		name += i < lengthof(dots) ? 3 : 1;
	}
	return length;
}

/* Is each label a U-label, or one of plain ASCII? */
static bool
are_labels(const char *name, const char *end)
{
	const char *dot;

	do
	{
		dot = memchr(name, '.', end - name);
		if (dot == NULL)
			dot = end;
		if (!format_hostname(name, dot, 0) && !is_u_label(name, dot - name))
			return false;
		name = dot + 1;
	} while (dot < end);
	return true;
}

/* A host's name that may have U-labels (RFC 5890, section 2.3.2.3; RFC 5891 to 5893) */
bool
format_idn_hostname(const char *string, const char *end, int flags)
{
	char		plain[NAME_BYTES];
	char		encoded[NAME_BYTES];
	UIDNAInfo	info = UIDNA_INFO_INITIALIZER;
	UErrorCode	error = U_ZERO_ERROR;
	int			length;

	if (end - string > NAME_BYTES || idna() == NULL)
		return false;
	length = plain_dots(string, end, plain);
	if (!are_labels(plain, plain + length) || !is_composed(plain, length))
		return false;
	length = uidna_nameToASCII_UTF8(idna(), plain, length, encoded, sizeof(encoded),
									&info, &error);
	return U_SUCCESS(error) && info.errors == 0 && length <= HOST_MAX;
}
