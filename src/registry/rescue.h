/*
 * rescue.h: what helps in an emergency waits for nobody for long.
 */
#ifndef PROMOTE_REGISTRY_RESCUE_H
#define PROMOTE_REGISTRY_RESCUE_H

#include "postgres.h"

#include "storage/lock.h"

#include "base/sql.h"

/* A row that is to be locked. */
typedef struct RowToLock
{
	const char *table;			/* of promote's */
	const char *what;			/* its name for people, which no other row has */
	const char *project;		/* that it is of */
	Statement  *at_once;		/* locks it unless another has it: SKIP LOCKED */
	Statement  *find;			/* its ctid */
	SqlValue	key[4];			/* of the row: both statements' values */
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
