/*
 * compat.h: everything that differs between PostgreSQL 15 and 19.
 *
 * This file names the newest interface and supplies it where an older server lacks it.
 */
#ifndef PROMOTE_BASE_COMPAT_H
#define PROMOTE_BASE_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "promote needs PostgreSQL 15 or newer"
#endif

/* PostgreSQL 16 moved the layout of variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 16 checks the privileges on every kind of object by one function. */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"

/* Check a role's privilege on a function or a schema; promote checks no other class. */
static inline AclResult
object_aclcheck(Oid class, Oid object, Oid role, AclMode mode)
{
	Assert(class == ProcedureRelationId || class == NamespaceRelationId);
	return class == ProcedureRelationId ? pg_proc_aclcheck(object, role, mode) :
		pg_namespace_aclcheck(object, role, mode);
}
#endif

/* Before PostgreSQL 16, a role with CREATEROLE can make itself a member of any role that is no superuser. */
#define CREATEROLE_IS_ANY_ROLE (PG_VERSION_NUM < 160000)

#include "utils/guc.h"
#include "utils/guc_tables.h"

/*
 * What the server knows of a setting.  PostgreSQL 16 can find it by name.  Raises an error
 * where the setting does not exist.
 */
static inline struct config_generic *
setting_by_name(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, false, ERROR);
#else
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	elog(ERROR, "there is no setting \"%s\"", name);
	return NULL;
#endif
}

#include "common/jsonapi.h"

/* A lexer for a JSON text.  Since PostgreSQL 17 the caller may supply the lexer's memory; promote does not. */
static inline JsonLexContext *
json_lexer(const char *text, size_t length, int encoding)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, length, encoding, false);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, text), length, encoding, false);
#endif
}

#if PG_VERSION_NUM < 170000
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/inval.h"

/*
 * Lock an object of the database unless another session holds it.  The first minor releases of
 * 15 and 16 lack this.
 */
static inline bool
conditional_lock_database_object(Oid class, Oid object, uint16 part, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, class, object, part);
	if (LockAcquire(&tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}
#define ConditionalLockDatabaseObject conditional_lock_database_object
#endif

/* Prepares memory that all sessions share. */
typedef void (*SharedInit) (void *memory);

#if PG_VERSION_NUM >= 190000
/* PostgreSQL 19 hands an argument on to what prepares the memory: here, a pointer to a SharedInit. */
static inline void
call_shared_init(void *memory, void *init)
{
	(*(SharedInit *) init) (memory);
}
#endif

#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#else
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#endif

/*
 * Memory of that name that all sessions share until the server ends; the first one prepares it.
 * PostgreSQL 17 finds it by its name.  Before, a few bytes of the main memory, of which the server
 * keeps some for extensions that it does not load itself, have the number of a dynamic segment.
 * Raises an error where there is no room.
 */
static inline void *
shared_memory(const char *name, size_t size, SharedInit init)
{
#if PG_VERSION_NUM >= 190000
	bool		found;

	return GetNamedDSMSegment(name, size, call_shared_init, &found, &init);
#elif PG_VERSION_NUM >= 170000
	bool		found;

	return GetNamedDSMSegment(name, size, init, &found);
#else
	dsm_segment *segment;
	dsm_handle *handle;
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	handle = ShmemInitStruct(name, sizeof(dsm_handle), &found);
	if (!found)
		*handle = DSM_HANDLE_INVALID;
	if (*handle == DSM_HANDLE_INVALID)
	{
		segment = dsm_create(size, 0);
		init(dsm_segment_address(segment));
		dsm_pin_segment(segment);
		*handle = dsm_segment_handle(segment);
	}
	else if ((segment = dsm_attach(*handle)) == NULL)
		elog(ERROR, "the shared memory \"%s\" is gone", name);
	dsm_pin_mapping(segment);
	LWLockRelease(AddinShmemInitLock);
	return dsm_segment_address(segment);
#endif
}

/* PostgreSQL 18 added a parameter that allows deferrable primary keys. */
#if PG_VERSION_NUM < 180000
#include "utils/relcache.h"
#define RelationGetPrimaryKeyIndex(relation, deferrable_ok) (RelationGetPrimaryKeyIndex) (relation)
#endif

/* PostgreSQL 18 moved the mark of a function that does not return in front of its declaration, as in C11. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

#if PG_VERSION_NUM < 190000
#include "access/tupdesc.h"

/* PostgreSQL 19 must be told that a row's description is complete before anything uses it. */
static inline void
TupleDescFinalize(TupleDesc row_type)
{
}
#endif

#endif							/* PROMOTE_BASE_COMPAT_H */
