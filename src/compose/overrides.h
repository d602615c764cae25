/*
 * overrides.h: what overrides say of a place.
 */
#ifndef PROMOTE_COMPOSE_OVERRIDES_H
#define PROMOTE_COMPOSE_OVERRIDES_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef enum OverridesSay
{
	OVERRIDES_SILENT,			/* nothing of the place, nor of what is above it */
	OVERRIDES_INTO,				/* something of what is in it, so that it becomes an object if it is none */
	OVERRIDES_SET				/* it, or something above it, is set or removed */
} OverridesSay;

extern OverridesSay overrides_say(const Jsonb *overrides, const char *path);

#endif							/* PROMOTE_COMPOSE_OVERRIDES_H */
