/*
 * overrides.h: what is laid on top of a document: a merge patch (RFC 7396), an
 * object, or a JSON Patch (RFC 6902), an array.
 */
#ifndef PROMOTE_COMPOSE_OVERRIDES_H
#define PROMOTE_COMPOSE_OVERRIDES_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json/pointer.h"

typedef struct Overrides
{
	const Jsonb *document;
	bool		is_patch;		/* a JSON Patch? */
	List	   *places;			/* that a JSON Patch sets: JsonPointer * */
	List	   *arrays;			/* those of them whose elements it may only shift */
	JsonPointer **sorted;		/* these, so that what is below a place follows it; NULL: none */
} Overrides;

extern void overrides_read(Overrides *overrides, const Jsonb *document);
extern bool overrides_are_empty(const Overrides *overrides);
extern bool overrides_set(const Overrides *overrides, const char *path);
extern bool overrides_decide(const Overrides *overrides, const char *path, bool has_object);
extern bool overrides_make_objects(const Overrides *overrides, const Jsonb *base);
extern Jsonb *overrides_apply(const Overrides *overrides, const Jsonb *base);
extern Jsonb *overrides_apply_again(const Overrides *overrides, const Jsonb *changed, const Jsonb *result);
extern Jsonb *overrides_shape(const Jsonb *document);
extern Jsonb *overrides_argument(FunctionCallInfo fcinfo, int argument);

#endif							/* PROMOTE_COMPOSE_OVERRIDES_H */
