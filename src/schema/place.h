/*
 * place.h: places in a schema and in what it refers to; refusing what is there.
 */
#ifndef PROMOTE_SCHEMA_PLACE_H
#define PROMOTE_SCHEMA_PLACE_H

#include "postgres.h"

#include "base/errors.h"

/*
 * A place in a document: the way to it from the root, last step first.  A
 * token need not be NUL-terminated and is not escaped.  That of a root is the
 * document's URI, NULL for the schema itself.
 */
typedef struct SchemaPlace
{
	const struct SchemaPlace *parent;	/* NULL at the root */
	const char *token;
	int			length;
} SchemaPlace;

extern const SchemaPlace *schema_place_step(const SchemaPlace *parent, const char *token, int length);
extern const SchemaPlace *schema_place_item(const SchemaPlace *parent, uint32 index);
extern const char *schema_place_text(const SchemaPlace *place);

/* Refuse the schema for what is at place: "<place> <complaint>". */
#define SCHEMA_REFUSE(place, hint, ...) \
	ereport(ERROR, \
			(errcode(PM_INVALID_SCHEMA), \
			 errmsg("invalid JSON Schema"), \
			 errdetail("%s %s", schema_place_text(place), psprintf(__VA_ARGS__)), \
			 errhint("%s", hint)))

#endif							/* PROMOTE_SCHEMA_PLACE_H */
