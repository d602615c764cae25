/*
 * version.h: semantic versions and version constraints.
 *
 * Versions are those of semver.org 2.0.0, of at most 255 characters.  A
 * constraint is 1.2.3, ~1, ~1.2 or latest; a caller of promote may append
 * +dev to it, which is told apart as the release channel.
 */
#ifndef PROMOTE_PARSE_VERSION_H
#define PROMOTE_PARSE_VERSION_H

#include "postgres.h"

#define VERSION_MAX_LENGTH		255

/* Enough for the sort key of every version: two bytes more per identifier. */
#define VERSION_MAX_KEY			(2 * VERSION_MAX_LENGTH + 16)

#define VERSION_STABLE			"stable"
#define VERSION_DEVELOPMENT		"development"

/* A sort key; memcmp order, shorter first where one begins the other. */
typedef struct VersionKey
{
	int			length;
	unsigned char bytes[VERSION_MAX_KEY];
} VersionKey;

extern bool version_is_valid(const char *text);
extern bool version_constraint_is_valid(const char *text);
extern void version_make_key(const char *text, VersionKey *key);
extern int	version_key_compare(const VersionKey *a, const VersionKey *b);
extern void version_parse_constraint(const char *text, char **constraint, bool *development);
extern void version_constraint_range(const char *constraint, VersionKey *lower, VersionKey *upper);

#endif							/* PROMOTE_PARSE_VERSION_H */
