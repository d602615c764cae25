/*
 * format_check.h: what decides about each format.
 *
 * All of these take the string from its first byte up to end, in one pass
 * from left to right, and neither allocate nor raise unless they say so.
 * Those that are told of characters beyond ASCII want UTF-8.
 */
#ifndef PROMOTE_SCHEMA_FORMAT_CHECK_H
#define PROMOTE_SCHEMA_FORMAT_CHECK_H

#include "postgres.h"

typedef bool (*FormatCheck) (const char *string, const char *end);

static inline bool
format_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
format_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
format_is_hex(char c)
{
	return format_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Move past the character c if it is what comes. */
static inline bool
format_skip(const char **next, const char *end, char c)
{
	if (*next >= end || **next != c)
		return false;
	(*next)++;
	return true;
}

/* format_time.c */
extern bool format_date_time(const char *string, const char *end);
extern bool format_date(const char *string, const char *end);
extern bool format_time(const char *string, const char *end);
extern bool format_duration(const char *string, const char *end);

/* format_host.c */
extern bool format_ipv4(const char *string, const char *end);
extern bool format_ipv6(const char *string, const char *end);
extern bool format_hostname(const char *string, const char *end);
extern bool format_email(const char *string, const char *end);
extern bool format_idn_email(const char *string, const char *end);

/* format_idn.c */
extern bool format_idn_hostname(const char *string, const char *end);
extern bool format_is_a_label(const char *label, const char *end);

/* format_uri.c */
extern bool format_uri(const char *string, const char *end);
extern bool format_uri_reference(const char *string, const char *end);
extern bool format_iri(const char *string, const char *end);
extern bool format_iri_reference(const char *string, const char *end);
extern bool format_uri_template(const char *string, const char *end);

#endif							/* PROMOTE_SCHEMA_FORMAT_CHECK_H */
