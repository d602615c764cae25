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
