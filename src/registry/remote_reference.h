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
#include "compose/mask.h"
#include "parse/name.h"

/* Why a reference cannot be deployed. */
typedef struct ReferenceProblem
{
	int			sqlstate;		/* PM_INVALID_PLACEHOLDER or PM_SENSITIVE_REFERENCE */
	const char *message;		/* a sentence; never a value */
} ReferenceProblem;

/* Slots are an object of a release, from field to declaration; references an object from field to text. */
extern Jsonb *reference_read(const Sql *sql, const InstanceKey *key, bool read_only);
extern Jsonb *reference_own(const Sql *sql, const InstanceKey *key, bool read_only);
extern Jsonb *reference_siblings(const Jsonb *references);
extern Jsonb *reference_relative(const InstanceKey *key, const Jsonb *references);
extern Jsonb *reference_declared(const Jsonb *references, const Jsonb *slots);
extern List *reference_replaced(const Sql *sql, const InstanceKey *key, const Jsonb *slots,
								const Jsonb *references, bool read_only);
extern Jsonb *reference_over(const Jsonb *references, const Jsonb *over);
extern Jsonb *reference_render(const InstanceKey *key, const Jsonb *references, const Jsonb *parameters, Mask *mask,
							   List **problems);
extern void reference_require_rendered(const List *problems);
extern bool reference_same(const Jsonb *a, const Jsonb *b);
extern bool reference_store(const Sql *sql, const InstanceKey *key, const Jsonb *references);
pg_noreturn extern void refuse_replaced(const InstanceKey *key, const List *fields);

#endif							/* PROMOTE_REGISTRY_REMOTE_REFERENCE_H */
