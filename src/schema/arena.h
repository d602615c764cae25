/*
 * arena.h: memory of compiled schemas, and of what is found out about them.
 */
#ifndef PROMOTE_SCHEMA_ARENA_H
#define PROMOTE_SCHEMA_ARENA_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "schema/schema.h"

extern void *schema_allocate(Size size, Size count);
extern HTAB *schema_table(const char *name, Size key, Size entry, MemoryContext context);
extern MemoryContext schema_begin_keeping(void);
extern void schema_keep(const Schema *schema, MemoryContext caller);

#endif							/* PROMOTE_SCHEMA_ARENA_H */
