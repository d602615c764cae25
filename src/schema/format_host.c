/*
 * format_host.c: addresses and names of hosts, and mailboxes.
 *
 * Decided by grammar: nothing is looked up.
 */
#include "postgres.h"

#include "schema/format_check.h"

#define LABEL_MAX	63			/* RFC 1035, section 2.3.4 */
#define HOST_MAX	253			/* the 255 octets of the same, written with dots */
#define LOCAL_MAX	64			/* RFC 5321, section 4.5.3.1.1 */
#define MAILBOX_MAX	254			/* section 4.5.3.1.3, without the angle brackets */

/* dec-octet (RFC 3986, section 3.2.2): 0 to 255 without leading zeros */
static bool
read_octet(const char **next, const char *end)
{
	const char *start = *next;
	int			value = 0;

	while (*next < end && format_is_digit(**next) && *next - start < 3)
		value = value * 10 + (*(*next)++ - '0');
	return *next > start && value <= 255 && (*start != '0' || *next - start == 1);
}

/* dotted-quad (RFC 2673, section 3.2), each of its bytes as RFC 3986 has it */
bool
format_ipv4(const char *string, const char *end)
{
	int			i;

	for (i = 0; i < 4; i++)
		if ((i > 0 && !format_skip(&string, end, '.')) || !read_octet(&string, end))
			return false;
	return string == end;
}

/* Up to four hexadecimal digits. */
static bool
read_group(const char **next, const char *end)
{
	const char *start = *next;

	while (*next < end && format_is_hex(**next) && *next - start < 4)
		(*next)++;
	return *next > start;
}

/*
 * The text of an IPv6 address (RFC 4291, section 2.2): eight groups, the last
 * two perhaps as an IPv4 address, and a double colon in place of one or more.
 */
bool
format_ipv6(const char *string, const char *end)
{
	int			groups = 0;
	bool		compressed = false;

	if (end - string >= 2 && string[0] == ':' && string[1] == ':')
	{
		compressed = true;
		string += 2;
	}
	while (string < end)
	{
		const char *start = string;

		if (!read_group(&string, end))
			return false;
		if (string < end && *string == '.')
		{
			groups += 2;
			return format_ipv4(start, end) && (compressed ? groups < 8 : groups == 8);
		}
		groups++;
		if (string == end)
			break;
		if (groups > 7 || !format_skip(&string, end, ':') || string == end)
			return false;
		if (format_skip(&string, end, ':'))
		{
			if (compressed)
				return false;
			compressed = true;
		}
	}
	return compressed ? groups < 8 : groups == 8;
}

/*
 * A label of a name (RFC 1123, section 2.1), up to a dot or the end; where
 * wide, with characters beyond ASCII.
 */
static bool
read_label(const char **next, const char *end, bool wide)
{
	const char *start = *next;

	while (*next < end && (format_is_letter(**next) || format_is_digit(**next) ||
						   **next == '-' || (wide && IS_HIGHBIT_SET(**next))))
		(*next)++;
	return *next > start && *next - start <= LABEL_MAX * (wide ? 4 : 1) &&
		*start != '-' && (*next)[-1] != '-';
}

/* Labels with a dot between each two; those that start with xn-- have to stand for something. */
static bool
is_name(const char *string, const char *end, bool wide)
{
	if (end - string > HOST_MAX * (wide ? 4 : 1))
		return false;
	do
	{
		const char *start = string;

		if (!read_label(&string, end, wide))
			return false;
		if (string - start >= 4 && pg_strncasecmp(start, "xn--", 4) == 0 &&
			!format_is_a_label(start, string))
			return false;
	} while (format_skip(&string, end, '.'));
	return string == end;
}

/* A host's name (RFC 1123, section 2.1; A-labels by RFC 5890, section 2.3.2.1) */
bool
format_hostname(const char *string, const char *end)
{
	return is_name(string, end, false);
}

/* atext (RFC 5322, section 3.2.3; beyond ASCII RFC 6531, section 3.3) */
static bool
is_atom_character(char c, bool wide)
{
	return format_is_letter(c) || format_is_digit(c) || (wide && IS_HIGHBIT_SET(c)) ||
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
		return format_ipv6(string + 5, end);
	return format_ipv4(string, end);
}

/* Mailbox (RFC 5321, section 4.1.2) */
static bool
is_mailbox(const char *string, const char *end, bool wide)
{
	const char *start = string;

	if (end - string > MAILBOX_MAX * (wide ? 4 : 1) || !read_local_part(&string, end, wide) ||
		string - start > LOCAL_MAX * (wide ? 4 : 1) || !format_skip(&string, end, '@'))
		return false;
	if (format_skip(&string, end, '['))
		return end > string && end[-1] == ']' && is_address_literal(string, end - 1);
	return is_name(string, end, wide);
}

/* Mailbox (RFC 5321, section 4.1.2) */
bool
format_email(const char *string, const char *end)
{
	return is_mailbox(string, end, false);
}

/* Mailbox as RFC 6531, section 3.3, extends it; a name's characters beyond ASCII may be any */
bool
format_idn_email(const char *string, const char *end)
{
	return is_mailbox(string, end, true);
}
