/*
 * reference.h: what a $ref or a $dynamicRef refers to.
 */
#ifndef PROMOTE_SCHEMA_REFERENCE_H
#define PROMOTE_SCHEMA_REFERENCE_H

#include "postgres.h"

#include "schema/resource.h"

/* What a reference leads to. */
typedef struct SchemaTarget
{
	SchemaResource *resource;	/* NULL: it is left open */
	JsonbValue	value;
	const SchemaPlace *place;	/* NULL: there is nothing */
	const SchemaName *anchor;	/* that it was found by, or NULL */
} SchemaTarget;

extern SchemaTarget schema_find_target(SchemaCompiler *compiler, const JsonbValue *reference,
									   const SchemaPlace *place);

#endif							/* PROMOTE_SCHEMA_REFERENCE_H */
