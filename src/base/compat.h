/*
 * compat.h: all that differs between PostgreSQL's releases, 15 to 19.
 *
 * Names the newest interface and supplies it where an older server lacks it.
 */
#ifndef PROMOTE_BASE_COMPAT_H
#define PROMOTE_BASE_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "promote needs PostgreSQL 15 or newer"
#endif

/* PostgreSQL 16 took the layout of variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 16 asks for any object's privileges in one way. */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"

static inline AclResult
object_aclcheck(Oid class, Oid object, Oid role, AclMode mode)
{
	Assert(class == ProcedureRelationId || class == NamespaceRelationId);
	return class == ProcedureRelationId ? pg_proc_aclcheck(object, role, mode) :
		pg_namespace_aclcheck(object, role, mode);
}
#endif

/* Before PostgreSQL 16 whoever has CREATEROLE can be a member of any role but superusers. */
#define CREATEROLE_IS_ANY_ROLE (PG_VERSION_NUM < 160000)

/* PostgreSQL 16 tells what it knows of a setting by its name. */
#include "utils/guc.h"
#include "utils/guc_tables.h"

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

/* PostgreSQL 17 lets the caller own the lexer of JSON. */
#include "common/jsonapi.h"

static inline JsonLexContext *
json_lexer(const char *text, size_t length, int encoding)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, length, encoding, false);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, text), length, encoding, false);
#endif
}

/* PostgreSQL 15 and 16 have this only since one of their minor releases. */
#if PG_VERSION_NUM < 170000
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/inval.h"

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

/* PostgreSQL 18 asks whether a primary key that is deferrable will do. */
#if PG_VERSION_NUM < 180000
#include "utils/relcache.h"
#define RelationGetPrimaryKeyIndex(relation, deferrable_ok) (RelationGetPrimaryKeyIndex) (relation)
#endif

/* PostgreSQL 18 says before a function that it does not return, as C11 does, and no longer behind. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* PostgreSQL 19 wants to be told that a row's description is complete, before it is used for anything. */
#if PG_VERSION_NUM < 190000
#include "access/tupdesc.h"

static inline void
TupleDescFinalize(TupleDesc row_type)
{
}
#endif

#endif							/* PROMOTE_BASE_COMPAT_H */
