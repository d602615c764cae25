/*
 * rescue.h: emergency verbs wait for a bounded time only.
 */
#ifndef PROMOTE_REGISTRY_RESCUE_H
#define PROMOTE_REGISTRY_RESCUE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/lock.h"

#include "base/row.h"
#include "base/sql.h"

/* A row to lock. */
typedef struct RowToLock
{
	RowKey		key;			/* which is never changed */
	LockTupleMode mode;
	const char *what;			/* a unique name of the row, for people */
	const char *project;		/* the project that the row belongs to */
} RowToLock;

extern void rescue_init(void);
extern uint32 rescue_place(const char *name);
extern bool row_lock(const RowToLock *row);
extern void row_stand_behind(const RowToLock *row);
extern TimestampTz rescue_deadline(void);
extern bool row_rescue(const Sql *sql, const RowToLock *row, TimestampTz end);
extern void rescue_object(const Sql *sql, Oid class, uint32 object, LOCKMODE mode, const char *what,
						  const char *project);

#endif							/* PROMOTE_REGISTRY_RESCUE_H */
