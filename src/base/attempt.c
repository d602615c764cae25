/*
 * attempt.c: running a step that may be refused, and going on with the reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "base/attempt.h"
#include "base/errors.h"

#define MAX_TOLD 20				/* refused elements of a set that an error names */

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

/* Does the error say that the server has no room? */
static bool
is_shortage(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INSUFFICIENT_RESOURCES;
}

/* For a step of which no error is expected. */
static bool
is_never(int sqlstate)
{
	return false;
}

/* How a subtransaction ends whose step was not refused. */
typedef void (*EndSubTransaction) (void);

/* Run a step in a subtransaction.  Errors that are not expected are raised again. */
static bool
attempt_unless(void (*step) (void *state), void *state, bool (*expected) (int sqlstate), EndSubTransaction end,
			   Refusal *refusal)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(state);
		end();
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
		refusal->error = error;
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
	return attempt_unless(step, state, is_refusal, ReleaseCurrentSubTransaction, refusal);
}

/*
 * Take locks in a subtransaction.  Returns false, with none of the locks held, where one was
 * not free in time.
 */
bool
attempt_to_lock(void (*step) (void *state), void *state)
{
	Refusal		refusal;

	return attempt_unless(step, state, is_held, ReleaseCurrentSubTransaction, &refusal);
}

/* Run a step in a subtransaction.  Returns false where the server has no room for it. */
bool
attempt_resources(void (*step) (void *state), void *state)
{
	Refusal		refusal;

	return attempt_unless(step, state, is_shortage, ReleaseCurrentSubTransaction, &refusal);
}

/* Run a step, and undo all that it did and locked. What it keeps in memory of the caller's stays. */
void
attempt_and_undo(void (*step) (void *state), void *state)
{
	Refusal		refusal;

	(void) attempt_unless(step, state, is_never, RollbackAndReleaseCurrentSubTransaction, &refusal);
}

/* ---- sets ---- */

/* Begin to gather refusals, in the current memory context. */
void
refusals_begin(Refusals *refusals)
{
	*refusals = (Refusals) {.context = CurrentMemoryContext};
	initStringInfo(&refusals->told);
}

/* As attempt, for an element of a set: the first refusal outlives the current memory context. */
bool
refusals_attempt(void (*step) (void *state), void *state, Refusals *refusals, Refusal *refusal)
{
	MemoryContext inner = MemoryContextSwitchTo(refusals->first ? CurrentMemoryContext : refusals->context);
	bool		done = attempt(step, state, refusal);

	MemoryContextSwitchTo(inner);
	return done;
}

/* Note why an element of that name was refused; NULL: it is null. */
void
refusals_note(Refusals *refusals, const char *name, int sqlstate, const char *message)
{
	MemoryContext context;

	if (refusals->count == 0)
		refusals->sqlstate = sqlstate;
	if (refusals->count < MAX_TOLD)
		appendStringInfo(&refusals->told, "%s%s %s: %s", refusals->count > 0 ? "\n" : "", unpack_sql_state(sqlstate),
						 name ? name : "null", message);
	context = MemoryContextSwitchTo(refusals->context);
	refusal_item(&refusals->items, "sqlstate", unpack_sql_state(sqlstate), "condition", refusal_condition(sqlstate),
				 "name", name, "message", message);
	MemoryContextSwitchTo(context);
	refusals->count++;
}

/* Note why an element of that name was refused, by refusals_attempt. */
void
refusals_add(Refusals *refusals, const char *name, const Refusal *refusal)
{
	if (refusals->first == NULL)
		refusals->first = refusal->error;
	refusals_note(refusals, name, refusal->sqlstate, refusal->message);
}

/*
 * Raise why elements of a set were refused, if any were: what is their name for many.  A single error is raised as it
 * was, all else by the SQLSTATE of the first.
 */
void
refusals_raise(const Refusals *refusals, uint64 total, const char *what)
{
	StringInfoData lines = refusals->told;
	int			code = refusals->sqlstate;

	if (refusals->count == 0)
		return;
	if (refusals->count == 1 && refusals->first)
		ReThrowError(refusals->first);
	if (refusals->count > MAX_TOLD)
		appendStringInfo(&lines, "\nand " UINT64_FORMAT " more", refusals->count - MAX_TOLD);
	ereport(ERROR,
			(errcode(code),
			 errmsg(UINT64_FORMAT " of " UINT64_FORMAT " %s are refused", refusals->count, total, what),
			 errdetail_items(lines.data, "refused", &refusals->items),
			 errhint("Nothing was written. Mend what is said of each, or leave these out: functions with "
					 "partial => true do.")));
}
