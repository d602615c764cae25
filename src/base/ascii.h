/*
 * ascii.h: classes of ASCII characters, which do not depend on the locale.
 *
 * A byte of a character beyond ASCII belongs to no class.
 */
#ifndef PROMOTE_BASE_ASCII_H
#define PROMOTE_BASE_ASCII_H

#include "postgres.h"

/* 0 to 9 */
static inline bool
ascii_is_digit(uint32 c)
{
	return c >= '0' && c <= '9';
}

/* a to z, and A to Z */
static inline bool
ascii_is_letter(uint32 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Is a text, which is not empty, made of letters, digits and some others? */
static inline bool
ascii_is_word(const char *text, int length, const char *others)
{
	for (int i = 0; i < length; i++)
		if (!ascii_is_letter(text[i]) && !ascii_is_digit(text[i]) && (text[i] == '\0' || !strchr(others, text[i])))
			return false;
	return length > 0;
}

/* The value of a hexadecimal digit, or -1. */
static inline int
ascii_hex_value(uint32 c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (int) c - 'a' + 10 : -1;
}

#endif							/* PROMOTE_BASE_ASCII_H */
