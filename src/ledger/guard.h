/*
 * guard.h: what statements run for, and what triggers allow because of it.
 */
#ifndef PROMOTE_LEDGER_GUARD_H
#define PROMOTE_LEDGER_GUARD_H

#include "postgres.h"

#include "base/batch.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "grant/actor.h"

/*
 * What a statement of promote runs for.  The triggers that it fires read here what they must
 * allow and what they are told.  Only errand_do sets it.  Statements of users run on an errand
 * without any member set.
 */
typedef struct Errand
{
	bool		records;		/* writes what promote keeps: the guards are open */
	bool		based;			/* the PLANs that it claims start from what runs, so that the guard need not look */
	bool		imports;		/* writes what has happened elsewhere, and records by itself what that comes to */
	bool		prunes;			/* refuse_rewrite allows to rewrite and delete rows of the audit log */
	const char *message;		/* why a release is unblocked, for the trigger that records it; NULL: no reason */
	struct RevisionRecords *revisions;	/* exchanged with the trigger of revisions; NULL: nobody asks for it */
	const Person *asker;		/* who has asked for what is written; NULL: the caller */
} Errand;

/* Who has asked for what a statement writes, and who does it for them. */
typedef struct Asking
{
	Person		by;
	Person		moved;			/* the caller, on an errand with an asker; without one its names are NULL */
} Asking;

/* The values of the columns actor, database_role, moved_by and moved_role. */
#define AS_ASKING(asking) AS_TEXT((asking)->by.actor), AS_TEXT((asking)->by.database_role), \
	AS_TEXT((asking)->moved.actor), AS_TEXT((asking)->moved.database_role)

/* The errand of the statement that fired a trigger. */
extern const Errand *errand(void);
/* Who has asked for what is written on the current errand. */
extern Asking asking(void);

/* Run a step on an errand.  The previous errand becomes current again, also after an error. */
extern void errand_do(const Errand *errand, void (*step) (void *state), void *state);
/* Run a step with the guards open, on the current errand otherwise. */
extern void guarded_do(void (*step) (void *state), void *state);

/* Run a statement on an errand: (sql, &errand, &statement, values...). */
#define errand_run(sql, errand, statement, ...) errand_call(sql, errand, statement, SQL_CALL(__VA_ARGS__))
/* Run a statement with the guards open, on the current errand otherwise: (sql, &statement, values...). */
#define guarded_run(sql, statement, ...) guarded_call(sql, statement, SQL_CALL(__VA_ARGS__))

extern SqlRows errand_call(const Sql *sql, const Errand *errand, Statement *statement, const SqlValue *values,
						   int count);
extern SqlRows guarded_call(const Sql *sql, Statement *statement, const SqlValue *values, int count);
extern SqlRows guarded_rows(const Sql *sql, Statement *statement, const Batch *batch);

extern bool loading_rows(void);
extern Datum guard_written(const TriggerData *data, bool loads, const char *detail, const char *hint);

#endif							/* PROMOTE_LEDGER_GUARD_H */
