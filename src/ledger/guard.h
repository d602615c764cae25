/*
 * guard.h: what statements run for, and what triggers allow because of it.
 */
#ifndef PROMOTE_LEDGER_GUARD_H
#define PROMOTE_LEDGER_GUARD_H

#include "postgres.h"

#include "base/sql.h"
#include "base/trigger.h"

/*
 * What a statement of promote runs for.  The triggers that it fires read here what they must
 * allow and what they are told.  Only errand_do sets it.  Statements of users run on an errand
 * without any member set.
 */
typedef struct Errand
{
	bool		records;		/* writes what promote keeps: the guards are open */
	bool		prunes;			/* refuse_rewrite allows to rewrite and delete rows of the audit log */
	const char *message;		/* why a release is unblocked, for the trigger that records it; NULL: no reason */
	struct RevisionRecord *revision;	/* exchanged with the trigger of a revision; NULL: nobody asks for it */
} Errand;

extern const Errand *errand(void);
extern void guarded_do(void (*step) (void *state), void *state);

/* Run a statement on an errand: (sql, &errand, &statement, values...). */
#define errand_run(sql, errand, statement, ...) errand_call(sql, errand, statement, SQL_CALL(__VA_ARGS__))
/* Run a statement with the guards open, on the current errand otherwise: (sql, &statement, values...). */
#define guarded_run(sql, statement, ...) guarded_call(sql, statement, SQL_CALL(__VA_ARGS__))

extern SqlRows errand_call(const Sql *sql, const Errand *errand, Statement *statement, const SqlValue *values,
						   int count);
extern SqlRows guarded_call(const Sql *sql, Statement *statement, const SqlValue *values, int count);

extern bool loading_rows(void);
extern Datum guard_written(const TriggerData *data, bool loads, const char *detail, const char *hint);

#endif							/* PROMOTE_LEDGER_GUARD_H */
