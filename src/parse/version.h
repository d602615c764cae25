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

#define VERSION_STABLE			"stable"
#define VERSION_DEVELOPMENT		"development"

extern void version_range(const char *constraint, bytea **lower, bytea **upper);
extern void version_parse_constraint(const char *text, char **constraint, bool *development);

#endif							/* PROMOTE_PARSE_VERSION_H */
