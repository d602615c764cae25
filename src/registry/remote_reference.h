/*
 * remote_reference.h: remote references, which fill the input slots of instances.
 */
#ifndef PROMOTE_REGISTRY_REMOTE_REFERENCE_H
#define PROMOTE_REGISTRY_REMOTE_REFERENCE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "base/compat.h"
#include "base/sql.h"
#include "parse/name.h"

/* Slots are an object of a release, from field to declaration; references an object from field to text. */
extern Jsonb *reference_read(const Sql *sql, const InstanceKey *key, const Jsonb *slots, bool read_only);
extern List *reference_replaced(const Sql *sql, const InstanceKey *key, const Jsonb *slots,
								const Jsonb *references, bool read_only);
extern Jsonb *reference_over(const Jsonb *references, const Jsonb *over);
extern Jsonb *reference_render(const Jsonb *references, const Jsonb *parameters, List **problems);
extern void reference_require_rendered(const List *problems);
extern bool reference_same(const Jsonb *a, const Jsonb *b);
extern bool reference_store(const Sql *sql, const InstanceKey *key, const Jsonb *references);
pg_noreturn extern void refuse_replaced(const InstanceKey *key, const List *fields);

#endif							/* PROMOTE_REGISTRY_REMOTE_REFERENCE_H */
