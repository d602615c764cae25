/*
 * policy.c: gates that users write, as SQL functions.
 *
 * A policy runs with the caller's rights, so its owner has to be somebody whom
 * all callers trust.  It runs with a pinned search path, for a limited time, in
 * a read-only subtransaction that is always rolled back: only its answer stays,
 * and an advisory lock of the session if it takes one.
 *
 * A policy blocks if it raises an error, writes, cannot be asked at all, or has
 * not answered in time.  A policy that does not stop ends the session.  Errors
 * that are not the policy's fault reach the caller, even if the policy catches
 * them: a cancelled or timed-out statement, memory or disk running out, a
 * transaction that has to be tried again.
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "gate/gate.h"
#include "grant/role.h"

#define MAX_REASONS 100			/* that a policy may give at once */
#define MAX_RUNNING 8			/* policies that ask for each other by promote.blockers */
#define QUOTED_LENGTH 1000		/* bytes of an error that a message quotes */
#define CANCEL_AGAIN_MS 100		/* from a cancel that a policy has caught to the next one */
#define MAX_CANCELS 20			/* that a policy may catch; then the session ends */
#define SIGNATURE "(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason"

/* A row of promote.policy, as far as asking needs it. */
typedef struct Policy
{
	char	   *name;
	char	   *function;		/* as the row names it */
	char	   *code;
	int32		timeout;		/* milliseconds, at least one */
	bool		enabled;
	const char *body;			/* a query in the function's place, which no row has; NULL: none */
} Policy;

static const SqlField policy_fields[] = {
	SQL_FIELD(Policy, name, "p.policy"),
	SQL_FIELDS(Policy, "p", function, code, enabled),
	SQL_FIELD(Policy, timeout, "GREATEST((EXTRACT(epoch FROM p.timeout) * 1000)::integer, 1)")
};

/* A reason that a policy gives. */
typedef struct Reason
{
	char	   *code;			/* NULL: the policy's */
	char	   *message;		/* NULL: it gives none */
	TimestampTz since;
	TimestampTz until;
	char	   *liftable_by;
	bool		overridable;
} Reason;

static const SqlField reason_fields[] = {
	SQL_FIELDS(Reason, "b", code, message, since, until, liftable_by, overridable)
};

/* A policy that is being asked, and the policy that has asked for it. */
typedef struct Run
{
	struct Run *outer;			/* NULL: none */
	const Policy *policy;
	Oid			function;
	TimestampTz deadline;
	int			cancels_before;
	bool		has_statement_timeout;
	List	   *reasons;		/* of Reason *; one more than MAX_REASONS: there are more */
} Run;

static Run *running = NULL;
static TimeoutId clock_id = MAX_TIMEOUTS;	/* not registered yet */
static volatile sig_atomic_t time_is_up = false;
static volatile sig_atomic_t cancels = 0;	/* that the policies have taken, and the one under way */

/* The handler of SIGINT that note_cancel stands in for; and has a cancel come from outside? */
static struct sigaction cancel_action;
static volatile sig_atomic_t cancelled_from_outside = false;

/* A prepared call. */
typedef struct Call
{
	Oid			function;		/* the key */
	char	   *text;			/* by which it was prepared, as functions are renamed; NULL: not prepared */
	SPIPlanPtr	plan;
} Call;

static HTAB *calls = NULL;

/* OID of the type that policies return. */
static Oid
blocker_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("blocking_reason"),
						   ObjectIdGetDatum(get_namespace_oid("promote", false)));
}

/*
 * May a role write functions that run with every caller's rights?  Such a
 * function can do whatever each of its callers may.
 */
static bool
is_trusted(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, tables_owner());
}

/* What keeps a function from being a policy; NULL: nothing. */
static const char *
unusable(Form_pg_proc function)
{
	if (!function->prosecdef && !is_trusted(function->proowner))
		return "its owner may not act with all callers' rights; it is owned by who owns the tables, or SECURITY DEFINER";
	if (function->prokind != PROKIND_FUNCTION)
		return "it is not a plain function";
	if (!function->proretset || function->prorettype != blocker_type())
		return "it does not return SETOF promote.blocking_reason";
	if (function->provolatile == PROVOLATILE_VOLATILE)
		return "it is VOLATILE, and a policy has to be STABLE or IMMUTABLE";
	return NULL;
}

/*
 * Find a policy's function by its name with the schema.  Where it cannot be
 * used, problem says why, and is NULL otherwise.
 */
static Oid
find_function(const char *name, const char **problem)
{
	Oid			types[] = {TEXTOID, INT4OID, TIMESTAMPTZOID};
	List	   *parts;
	Oid			schema;
	Oid			oid;
	HeapTuple	tuple = NULL;

	*problem = NULL;
	if (!SplitIdentifierString(pstrdup(name), '.', &parts) || list_length(parts) != 2)
	{
		*problem = "that is not the name of a function with its schema";
		return InvalidOid;
	}
	schema = get_namespace_oid(linitial(parts), true);
	if (OidIsValid(schema))
		tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(lsecond(parts)),
								PointerGetDatum(buildoidvector(types, lengthof(types))), ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
	{
		*problem = "there is no such function of (text, integer, timestamptz)";
		return InvalidOid;
	}
	*problem = unusable((Form_pg_proc) GETSTRUCT(tuple));
	oid = ((Form_pg_proc) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	return oid;
}

/* Refuse a function that cannot be a policy, or that the caller may not make one of. */
static void
refuse_function(const char *name, const char *problem)
{
	ereport(ERROR,
			(errcode(PM_INVALID_POLICY),
			 errmsg("\"%s\" cannot be a policy", name),
			 errdetail("The function: %s.", problem),
			 errhint("Write a function " SIGNATURE ", STABLE or IMMUTABLE, and name it with its schema.")));
}

/*
 * May a role execute the function?  PostgreSQL checks that when it parses and
 * runs a call, but not for a kept plan that was parsed for another user, nor for
 * a function that was inlined into it.
 */
static bool
may_execute(Oid role, Oid function)
{
	return object_aclcheck(NamespaceRelationId, get_func_namespace(function), role, ACL_USAGE) == ACLCHECK_OK &&
		object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
}

/* The role in a column of a catalog's row, found by its OID. */
static Oid
role_of(int cache, Oid object, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	bool		isnull;
	Oid			role;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for object %u", object);
	role = DatumGetObjectId(SysCacheGetAttr(cache, tuple, column, &isnull));
	ReleaseSysCache(tuple);
	return role;
}

/*
 * The owner of a function's schema, who may drop the function and put another one
 * in its place.  Of public that is a role which stands for the database's owner.
 */
static Oid
schema_owner(Oid function)
{
	Oid			owner = role_of(NAMESPACEOID, get_func_namespace(function), Anum_pg_namespace_nspowner);

	return owner == ROLE_PG_DATABASE_OWNER ? role_of(DATABASEOID, MyDatabaseId, Anum_pg_database_datdba) : owner;
}

/* Do the function and its schema belong to roles that all callers trust? */
static bool
is_of_trusted(Oid function)
{
	return is_trusted(role_of(PROCOID, function, Anum_pg_proc_proowner)) && is_trusted(schema_owner(function));
}

/*
 * Refuse a function that a role may not make a policy of, PM_INVALID_POLICY.  A
 * policy runs in the session of whoever deploys, who has not chosen it.  So a role
 * that does not own the tables names only what it could call itself, and what was
 * written by somebody whom all callers trust: not its own functions, even if they
 * are SECURITY DEFINER, nor what stands in a schema whose owner could put another
 * function there under the name.
 */
void
policy_require_function(Oid role, const char *name)
{
	const char *problem;
	Oid			function = find_function(name, &problem);

	if (problem == NULL && !is_trusted(role))
	{
		if (!may_execute(role, function))
			problem = "you may not execute it";
		else if (!is_of_trusted(function))
			problem = "it, or its schema, is not owned by who owns the tables, or a superuser, and only these name such a function";
	}
	if (problem)
		refuse_function(name, problem);
}

/*
 * promote_internal.check_policy() returns trigger
 *
 * BEFORE INSERT OR UPDATE of policy, for each row: refuses a policy that is
 * enabled and cannot be asked, PM_INVALID_POLICY.  With check_function_bodies off,
 * as in a dump, nothing is refused: the dump may hold a policy whose function is
 * gone, and such a policy blocks.
 */
Datum
TRIGGER_FUNCTION(promote_check_policy)
{
	TriggerData *data = trigger_data(fcinfo, "policy", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *name = trigger_text(data, row, "function");
	const char *problem;

	if (name == NULL || !trigger_bool(data, row, "enabled") || !check_function_bodies)
		return PointerGetDatum(row);
	(void) find_function(name, &problem);
	if (problem)
		refuse_function(name, problem);
	return PointerGetDatum(row);
}

/*
 * The clock has rung: cancel the policy as a user would.  A policy that has
 * caught MAX_CANCELS of these cancels and still goes on is ended together with
 * the session, which no exception handler can catch.  A cancel that is still
 * pending does not count, since not every language looks for it.  Runs in a
 * signal handler.
 */
static void
end_time(void)
{
	time_is_up = true;
	if (!QueryCancelPending && ++cancels > MAX_CANCELS)
		ProcDiePending = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * Handler of SIGINT: notes that a person or statement_timeout has cancelled the
 * statement, and calls the handler that was there before.  A policy may catch the
 * error, but the note stays.  A lock_timeout sends this signal from our own
 * process, too, and is the policy's own affair.  A statement_timeout that fires
 * while nobody has seen a lock_timeout yet looks like that one here; stop_clock
 * finds it by itself.  Runs in a signal handler.
 */
static void
note_cancel(int signal_number, siginfo_t *info, void *context)
{
	if (info->si_pid != MyProcPid || !get_timeout_indicator(LOCK_TIMEOUT, false))
		cancelled_from_outside = true;
	if (cancel_action.sa_flags & SA_SIGINFO)
		cancel_action.sa_sigaction(signal_number, info, context);
	else if (cancel_action.sa_handler != SIG_IGN && cancel_action.sa_handler != SIG_DFL)
		cancel_action.sa_handler(signal_number);
}

/* Listen for cancels from outside, as long as the outermost policy runs. */
static void
listen_for_cancels(void)
{
	struct sigaction listening;

	cancels = 0;
	cancelled_from_outside = false;
	sigaction(SIGINT, NULL, &cancel_action);
	listening = cancel_action;
	listening.sa_flags |= SA_SIGINFO;
	listening.sa_sigaction = note_cancel;
	sigaction(SIGINT, &listening, NULL);
	/* a cancel that came before, and that nobody has seen yet */
	if (QueryCancelPending)
		cancelled_from_outside = true;
}

/* Let the clock ring at a time, and again, until it is stopped. */
static void
set_clock(TimestampTz deadline)
{
	time_is_up = false;
	enable_timeout_every(clock_id, deadline, CANCEL_AGAIN_MS);
}

/* Start the clock of a run.  A run that another one has asked for ends no later than that. */
static void
start_clock(Run *run)
{
	if (clock_id == MAX_TIMEOUTS)
		clock_id = RegisterTimeout(USER_TIMEOUT, end_time);
	run->has_statement_timeout = get_timeout_active(STATEMENT_TIMEOUT);
	run->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), run->policy->timeout);
	if (run->outer && run->outer->deadline < run->deadline)
		run->deadline = run->outer->deadline;
	if (run->outer == NULL)
		listen_for_cancels();
	run->cancels_before = cancels;
	set_clock(run->deadline);
}

/*
 * Stop the clock, and take back a cancel of the clock that nobody has seen yet.
 * Returns whether the run's time is up: the clock has rung, or it has rung for an
 * inner run with the same deadline.
 */
static bool
stop_clock(const Run *run)
{
	bool		rang;

	disable_timeout(clock_id, false);
	if (run->has_statement_timeout && !get_timeout_active(STATEMENT_TIMEOUT))
		cancelled_from_outside = true;
	rang = time_is_up;
	if (rang)
		QueryCancelPending = false;
	time_is_up = false;
	if (run->outer == NULL)
		sigaction(SIGINT, &cancel_action, NULL);
	else if (run->deadline < run->outer->deadline)
		cancels = run->cancels_before;	/* the cancels since were for this run */
	return rang || GetCurrentTimestamp() >= run->deadline;
}

/* Add context to an error of a policy that goes on after its time: the error may end the session. */
static void
tell_overdue(void *argument)
{
	const Run  *run = argument;

	if (time_is_up)
		errcontext("policy \"%s\", which goes on after the %d ms that it has", run->policy->name, run->policy->timeout);
}

/* The plan of a call of that function, prepared once per backend. */
static SPIPlanPtr
prepare_call(Oid function)
{
	Oid			types[] = {TEXTOID, INT4OID, TIMESTAMPTZOID};
	char	   *text = psprintf("SELECT b.code, b.message, b.since, b.until, b.liftable_by, b.overridable FROM %s($1, $2, $3) AS b",
								quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
														   get_func_name(function)));
	Call	   *call;
	SPIPlanPtr	plan;
	bool		found;

	if (calls == NULL)
		calls = hash_create("promote policies", 32,
							&(HASHCTL) {.keysize = sizeof(Oid),.entrysize = sizeof(Call)}, HASH_ELEM | HASH_BLOBS);
	call = hash_search(calls, &function, HASH_ENTER, &found);
	if (!found)
		*call = (Call) {.function = function};
	/* after a rename, the old name may belong to another function */
	if (call->text && strcmp(call->text, text) == 0)
		return call->plan;
	plan = SPI_prepare_cursor(text, lengthof(types), types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	text = MemoryContextStrdup(TopMemoryContext, text);
	if (call->text)
	{
		pfree(call->text);
		SPI_freeplan(call->plan);
	}
	call->text = text;
	call->plan = plan;
	return plan;
}

/* The plan of a query that stands in a function's place, for this call alone. */
static SPIPlanPtr
prepare_text(const char *body)
{
	Oid			types[] = {TEXTOID, INT4OID, TIMESTAMPTZOID};
	SPIPlanPtr	plan;

	/* a comment at the end of the query ends with its line */
	plan = SPI_prepare_cursor(psprintf("SELECT b.code::text, b.message::text, b.since::timestamptz, b.until::timestamptz,"
									   " b.liftable_by::text, b.overridable::boolean FROM (%s\n)"
									   " AS b (code, message, since, until, liftable_by, overridable)", body),
							  lengthof(types), types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (!SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(PM_INVALID_POLICY),
				 errmsg("it is not one query"),
				 errdetail("What stands in a policy's place is a single SELECT."),
				 errhint("Leave out what comes before or behind it.")));
	return plan;
}

/*
 * Ask the function, or the query in its place; without a case only prepare it.  The
 * reasons are allocated in the given context.
 */
static List *
ask_function(const GateCase *gate, const Policy *policy, Oid function, MemoryContext context)
{
	/* its fields alone are used, to read the rows; what runs is prepare_call's statement */
	static Statement answer = SQL_ROWS(reason_fields, "SELECT $* FROM promote.blockers($1, $2, $3) AS b");
	int32		deployment = gate == NULL ? 0 : gate->deployment != 0 ? gate->deployment : gate->plan;
	List	   *reasons = NIL;
	SPIPlanPtr	plan;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = policy->body ? prepare_text(policy->body) : prepare_call(function);
	if (gate)
	{
		Datum		values[] = {
			CStringGetTextDatum(gate->instance), Int32GetDatum(deployment), TimestampTzGetDatum(gate->at)
		};
		SqlRows		rows;

		if (SPI_execute_plan(plan, values, deployment == 0 ? " n " : NULL, true, MAX_REASONS + 1) < 0)
			elog(ERROR, "policy failed: %s", SPI_result_code_string(SPI_result));
		MemoryContextSwitchTo(context);
		rows = sql_fetched(&answer);
		reasons = sql_list(&rows, sizeof(Reason));
	}
	SPI_finish();
	MemoryContextSwitchTo(context);
	return reasons;
}

/*
 * Whose rights a policy has: the caller's, or its owner's where the caller is a
 * superuser and the owner is not.  A query (no function) is the caller's own.
 */
static Oid
whose_rights(Oid function)
{
	HeapTuple	tuple;
	Oid			owner;

	if (!superuser_arg(session_role()) || !OidIsValid(function))
		return session_role();
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return superuser_arg(owner) ? session_role() : owner;
}

/*
 * Become the caller, unable to write or to leave anything behind.  The end of
 * the subtransaction takes it all back.
 */
static void
drop_rights(Oid function)
{
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(whose_rights(function), security_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	XactReadOnly = true;
}

/*
 * Ask a policy in a subtransaction that is rolled back.  Returns the error
 * that it ended with; NULL: none, and its reasons are in the run.
 */
static ErrorData *
run_policy(const GateCase *gate, Run *run, bool *timed_out)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	ErrorContextCallback teller = {error_context_stack, tell_overdue, run};

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		running = run;
		(void) actor_asks_policy(true);
		start_clock(run);
		drop_rights(run->function);
		error_context_stack = &teller;
		run->reasons = ask_function(gate, run->policy, run->function, context);
		error_context_stack = teller.previous;
		*timed_out = stop_clock(run);
	}
	PG_CATCH();
	{
		*timed_out = stop_clock(run);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	running = run->outer;
	(void) actor_asks_policy(running != NULL);
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (run->outer)
		set_clock(run->outer->deadline);
	return error;
}

/* Raise a cancel that came from outside once more, after the policy has caught it. */
static void
pass_cancel(const Run *run)
{
	bool		by_timeout = run->has_statement_timeout && !get_timeout_active(STATEMENT_TIMEOUT);

	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 by_timeout ? errmsg("canceling statement due to statement timeout") :
			 errmsg("canceling statement due to user request"),
			 errcontext("policy \"%s\", which has caught it", run->policy->name)));
}

/* Does an error of a policy reach the caller, instead of blocking? */
static bool
passes_through(const ErrorData *error, const Run *run, bool timed_out)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		case ERRCODE_OPERATOR_INTERVENTION:
			/* a cancel is from outside, of our clock, of the clock of the run around it, or raised by the policy */
			return error->sqlerrcode != ERRCODE_QUERY_CANCELED || cancelled_from_outside ||
				(timed_out && run->outer && run->outer->deadline <= run->deadline);
		default:
			return false;
	}
}

/* Block because something is wrong with the policy itself; nobody can override that. */
static void
block_policy(GateCase *gate, const Policy *policy, const char *message)
{
	Blocker    *blocker = gate_block(gate, policy->code, NULL, GATE_NO_TIME, GATE_NO_TIME,
									 psprintf("whoever mends or disables policy \"%s\"", policy->name),
									 psprintf("policy \"%s\" %s", policy->name, message));

	blocker->overridable = false;
	blocker->broken = true;
}

/* Block because a policy ended with an error. */
static void
block_failed(GateCase *gate, const Policy *policy, ErrorData *error)
{
	const char *message = error->message ? error->message : "it does not say why";

	block_policy(gate, policy, psprintf("has failed: %s", pnstrdup(message, pg_mbcliplen(message, strlen(message), QUOTED_LENGTH))));
	FreeErrorData(error);
}

/* Block for a reason that a policy has given.  The subject has the message: other words are another reason. */
static void
block_reason(GateCase *gate, const Policy *policy, const Reason *reason)
{
	const char *message = reason->message ? reason->message : psprintf("policy \"%s\" gives no reason", policy->name);

	gate_block(gate, reason->code ? reason->code : policy->code, psprintf("%s: %s", policy->name, message), reason->since,
			   reason->until, reason->liftable_by, message)->overridable = reason->overridable;
}

/* Block for the reasons that a policy has given. */
static void
block_reasons(GateCase *gate, const Policy *policy, List *reasons)
{
	ListCell   *cell;

	foreach(cell, reasons)
	{
		if (foreach_current_index(cell) == MAX_REASONS)
			block_policy(gate, policy, psprintf("gives more than %d reasons", MAX_REASONS));
		else
			block_reason(gate, policy, lfirst(cell));
	}
}

/* Refuse to ask a policy that is being asked already, or if MAX_RUNNING policies are. */
static void
refuse_recursion(const Policy *policy, Oid function)
{
	int			depth = 0;

	for (Run *run = running; run; run = run->outer, depth++)
		if (run->function == function || depth == MAX_RUNNING)
			ereport(ERROR,
					(errcode(PM_INVALID_POLICY),
					 errmsg("policy \"%s\" %s", policy->name,
							run->function == function ? "asks for itself" : "is asked by too many others in turn"),
					 errdetail("A policy asks for the blockers of an instance that it is in scope of."),
					 errhint("Let it look at the tables and views instead, or narrow its scope.")));
}

/* Ask a policy, and block for what comes of it. */
static void
judge_policy(GateCase *gate, const Policy *policy)
{
	const char *problem = NULL;
	Run			run = {.outer = running,.policy = policy};
	ErrorData  *error;
	bool		timed_out = false;

	if (policy->body == NULL)
		run.function = find_function(policy->function, &problem);
	if (policy->body == NULL && problem == NULL && !is_uncalled() && !may_execute(session_role(), run.function))
		problem = "permission denied";
	/* a row that is not enabled may name what no caller would ask */
	if (policy->body == NULL && problem == NULL && !policy->enabled && !is_of_trusted(run.function))
		problem = "it, or its schema, is not owned by who owns the tables, or a superuser, and the policy is not enabled";
	if (problem || is_uncalled())
	{
		block_policy(gate, policy, problem ?
					 psprintf("cannot be asked, function %s: %s", policy->function, problem) :
					 "cannot be asked in what the server does with somebody's objects");
		return;
	}
	refuse_recursion(policy, run.function);
	error = run_policy(gate, &run, &timed_out);
	if (error && passes_through(error, &run, timed_out))
		ReThrowError(error);
	if (cancelled_from_outside)
		pass_cancel(&run);
	/* whatever it has answered: a policy that was cut off may have left out reasons */
	if (timed_out)
		block_policy(gate, policy, psprintf("was still running after %d ms", policy->timeout));
	else if (error)
		block_failed(gate, policy, error);
	else
		block_reasons(gate, policy, run.reasons);
}

/* The gates that users write: the enabled policies whose scope the instance is in, by name. */
void
gate_policies(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(policy_fields, "SELECT $* FROM promote.policy AS p WHERE p.enabled"
									 " AND (p.project = $1 OR p.project IS NULL) AND (p.environment = $2 OR p.environment IS NULL)"
									 " AND (p.component = $3 OR p.component IS NULL) AND p.selector <@ $4 ORDER BY p.policy");
	SqlRows		rows;
	ListCell   *cell;

	if (GATE_KNOWS_NOTHING(gate, policies))
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_JSONB(gate->attributes));
	foreach(cell, sql_list(&rows, sizeof(Policy)))
	{
		CHECK_FOR_INTERRUPTS();
		judge_policy(gate, lfirst(cell));
	}
}

/* ---- of what was ---- */

#define TEXT_TIMEOUT_MS 1000	/* as promote.policy has it where nothing is said */

/* A query in a policy's place. */
static Policy
policy_of_text(const char *body)
{
	return (Policy) {.name = "body",.code = "policy",.timeout = TEXT_TIMEOUT_MS,.enabled = true,.body = body};
}

/*
 * Let one policy judge a case, enabled or not.  False: the instance is not in its
 * scope.  The policy was found before: a row that is gone since judges nothing.
 */
bool
policy_judge(const Sql *sql, GateCase *gate, const char *name)
{
	static Statement read = SQL_ROWS(policy_fields, "SELECT $* FROM promote.policy AS p WHERE p.policy = $1"
									 " AND p.selector <@ $2");
	SqlRows		rows = sql_read(sql, &read, AS_TEXT(name), AS_JSONB(gate->attributes));
	Policy		policy = {.name = NULL};

	if (!sql_row(&rows, 0, &policy))
		return false;
	judge_policy(gate, &policy);
	return true;
}

/* Let a query judge a case as a policy would. */
void
policy_judge_text(const Sql *sql, GateCase *gate, const char *body)
{
	Policy		policy = policy_of_text(body);

	judge_policy(gate, &policy);
}

/*
 * Refuse a query that cannot stand in a policy's place, PM_INVALID_POLICY: one
 * that does not parse, and any where the caller has not passed it himself.  In a
 * SECURITY DEFINER function nobody could tell whose the query is, and so by whose
 * rights it is to run.
 */
void
policy_require_text(const Sql *sql, const char *body)
{
	Policy		policy = policy_of_text(body);
	Run			run = {.outer = running,.policy = &policy};
	bool		timed_out = false;
	ErrorData  *error;

	if (is_uncalled() || sql->user != session_role())
		ereport(ERROR,
				(errcode(PM_INVALID_POLICY),
				 errmsg("a query cannot be asked here"),
				 errdetail("It runs with the rights of the session, and the code that asks runs with other rights."),
				 errhint("Ask outside of the function that is SECURITY DEFINER, or let a policy be registered.")));
	refuse_recursion(&policy, InvalidOid);
	error = run_policy(NULL, &run, &timed_out);
	if (error && passes_through(error, &run, timed_out))
		ReThrowError(error);
	if (cancelled_from_outside)
		pass_cancel(&run);
	if (error || timed_out)
		ereport(ERROR,
				(errcode(PM_INVALID_POLICY),
				 errmsg("that query cannot stand in a policy's place"),
				 errdetail("It is refused: %s.", timed_out || error->message == NULL ? "it takes too long" : error->message),
				 errhint("Write a SELECT of code, message, since, until, liftable_by and overridable, of $1 (the instance), $2 (the deployment) and $3 (the time).")));
}
