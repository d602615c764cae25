/*
 * rescue.h: emergency verbs wait for a bounded time only.
 */
#ifndef PROMOTE_REGISTRY_RESCUE_H
#define PROMOTE_REGISTRY_RESCUE_H

#include "postgres.h"

#include "storage/lock.h"

#include "base/sql.h"

/* A row to lock. */
typedef struct RowToLock
{
	const char *table;			/* a table of promote */
	const char *what;			/* a unique name of the row, for people */
	const char *project;		/* the project that the row belongs to */
	Statement  *at_once;		/* locks the row unless another transaction holds it: SKIP LOCKED */
	Statement  *find;			/* finds the row's ctid */
	SqlValue	key[4];			/* the row's key, which both statements take */
	int			columns;		/* of the key */
} RowToLock;

extern void rescue_init(void);
extern uint32 rescue_place(const char *name);
extern bool row_lock(const Sql *sql, const RowToLock *row);
extern bool row_rescue(const Sql *sql, const RowToLock *row);
extern bool rescue_has_rows(void);
extern void rescue_forget(void);
extern void rescue_object(const Sql *sql, Oid class, uint32 object, LOCKMODE mode, const char *what,
						  const char *project);

#endif							/* PROMOTE_REGISTRY_RESCUE_H */
