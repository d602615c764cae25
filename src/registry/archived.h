/*
 * archived.h: environments that are over.
 */
#ifndef PROMOTE_REGISTRY_ARCHIVED_H
#define PROMOTE_REGISTRY_ARCHIVED_H

#include "postgres.h"

#include "base/compat.h"
#include "parse/name.h"

extern void archived_changed(void);
extern void require_in_use(const InstanceKey *key);
pg_noreturn extern void refuse_archived(const InstanceKey *key);

#endif							/* PROMOTE_REGISTRY_ARCHIVED_H */
