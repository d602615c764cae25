/*
 * guard.h: letting what records past the guards.
 */
#ifndef PROMOTE_LEDGER_GUARD_H
#define PROMOTE_LEDGER_GUARD_H

#include "postgres.h"

#include "base/sql.h"
#include "base/trigger.h"

/*
 * What statements of ours are run for: what the triggers that they fire let
 * them do, and are told.  All of none is what others run.
 */
typedef struct Errand
{
	bool		records;		/* bookkeeping and records: the guards are open */
	bool		prunes;			/* rewriting the audit log: refuse_rewrite is open */
	const char *message;		/* why, for the trigger that records; NULL: nothing */
	struct RevisionRecord *revision;	/* who writes a revision and is told of it; NULL: nobody */
} Errand;

extern const Errand *errand(void);
extern void errand_do(const Errand *errand, void (*step) (void *state), void *state);
extern SqlRows errand_call(const Sql *sql, const Errand *errand, Statement *statement, const SqlValue *values, int count);
extern void guarded_do(void (*step) (void *state), void *state);
extern SqlRows guarded_call(const Sql *sql, Statement *statement, const SqlValue *values, int count);

/* Run a statement on an errand: (sql, &errand, &statement, values...). */
#define errand_run(sql, errand, statement, ...) errand_call(sql, errand, statement, SQL_CALL(__VA_ARGS__))
/* Run a statement past the guards: (sql, &statement, values...). */
#define guarded_run(sql, statement, ...) guarded_call(sql, statement, SQL_CALL(__VA_ARGS__))

extern bool guard_open(bool open);
extern bool guard_is_open(void);
extern bool loading_rows(void);
extern int	old_guarded_run(const Sql *sql, OldStatement *statement, Datum *values, const bool *nulls);
extern void guarded_rewrite(const Sql *sql, OldStatement *statement, Datum *values, const bool *nulls);
#define column_differs trigger_differs	/* to go */

#endif							/* PROMOTE_LEDGER_GUARD_H */
