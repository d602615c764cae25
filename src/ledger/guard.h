/*
 * guard.h: what statements are run for, and what triggers let pass for it.
 */
#ifndef PROMOTE_LEDGER_GUARD_H
#define PROMOTE_LEDGER_GUARD_H

#include "postgres.h"

#include "base/sql.h"
#include "base/trigger.h"

/*
 * What statements of ours are run for.  The triggers that they fire look here for
 * what they are to let pass, and for what they are to be told; errand_do is the
 * one way to say it.  An errand of nothing is what statements of others are run
 * for.
 */
typedef struct Errand
{
	bool		records;		/* keeping books and records: the guards are open */
	bool		prunes;			/* pruning: refuse_rewrite lets rows of the audit log be written over and deleted */
	const char *message;		/* why a release is unblocked, for the trigger that records it; NULL: nothing is said */
	struct RevisionRecord *revision;	/* what the trigger of a revision is told and tells; NULL: nobody asks */
} Errand;

/* The errand of the statement that has fired a trigger. */
extern const Errand *errand(void);
/* May that statement write what is kept by promote? */
extern bool guard_is_open(void);

/* Do something on an errand.  It is in place of the one before, which is taken up again on every way out. */
extern void errand_do(const Errand *errand, void (*step) (void *state), void *state);
/* Do something past the guards, on the errand that there is otherwise. */
extern void guarded_do(void (*step) (void *state), void *state);

/* Run a statement on an errand: (sql, &errand, &statement, values...). */
#define errand_run(sql, errand, statement, ...) errand_call(sql, errand, statement, SQL_CALL(__VA_ARGS__))
/* Run a statement past the guards, on the errand that there is otherwise: (sql, &statement, values...). */
#define guarded_run(sql, statement, ...) guarded_call(sql, statement, SQL_CALL(__VA_ARGS__))

extern SqlRows errand_call(const Sql *sql, const Errand *errand, Statement *statement, const SqlValue *values, int count);
extern SqlRows guarded_call(const Sql *sql, Statement *statement, const SqlValue *values, int count);

extern bool loading_rows(void);

#endif							/* PROMOTE_LEDGER_GUARD_H */
