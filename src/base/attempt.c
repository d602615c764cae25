/*
 * attempt.c: running a step that may be refused, and going on with the reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "base/attempt.h"
#include "base/errors.h"

/*
 * Is the error a refusal: promote's own, or that of a user's trigger or constraint?  All other
 * errors are raised again.
 */
static bool
is_refusal(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_TO_CATEGORY(PM_NOT_FOUND) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_RAISE_EXCEPTION);
}

/* Does the error say that a lock was not free in time? */
static bool
is_held(int sqlstate)
{
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* Run a step in a subtransaction.  Errors that are not expected are raised again. */
static bool
attempt_unless(void (*step) (void *state), void *state, bool (*expected) (int sqlstate), Refusal *refusal)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(state);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (!expected(error->sqlerrcode))
			ReThrowError(error);
		MemoryContextSwitchTo(caller);
		refusal->sqlstate = error->sqlerrcode;
		refusal->message = error->detail && error->detail[0] ?
			psprintf("%s: %s", error->message, error->detail) : error->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return done;
}

/*
 * Run a step in a subtransaction.  Returns false where the step was refused, and everything
 * that it did is undone.  An error that is no refusal, such as a deadlock, is raised.  The
 * refusal's message is in the current memory context.
 */
bool
attempt(void (*step) (void *state), void *state, Refusal *refusal)
{
	return attempt_unless(step, state, is_refusal, refusal);
}

/*
 * Take locks in a subtransaction.  Returns false, with none of the locks held, where one was
 * not free in time.
 */
bool
attempt_to_lock(void (*step) (void *state), void *state)
{
	Refusal		refusal;

	return attempt_unless(step, state, is_held, &refusal);
}
