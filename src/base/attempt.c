/*
 * attempt.c: doing something that may be refused, to go on with the reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "base/attempt.h"
#include "base/errors.h"

/* Is the error a refusal, promote's own or of a user's trigger or constraint?  All others are the caller's. */
static bool
is_refusal(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_TO_CATEGORY(PM_NOT_FOUND) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_RAISE_EXCEPTION);
}

/* Is the error that a lock was not to be had in time? */
static bool
is_held(int sqlstate)
{
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* Do something in a subtransaction; what is not expected to go wrong is raised. */
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
 * Do something in a subtransaction.  False where it was refused, with nothing
 * of it left; what is no refusal, such as a deadlock, is raised.  The refusal's
 * words are in the current memory context.
 */
bool
attempt(void (*step) (void *state), void *state, Refusal *refusal)
{
	return attempt_unless(step, state, is_refusal, refusal);
}

/* Take locks in a subtransaction: false where one was not to be had in time, with none of them left. */
bool
attempt_to_lock(void (*step) (void *state), void *state)
{
	Refusal		refusal;

	return attempt_unless(step, state, is_held, &refusal);
}
