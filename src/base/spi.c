/*
 * spi.c: the one way in which C code here runs SQL.
 */
#include "postgres.h"

#include "base/spi.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define PINNED_PATH "pg_catalog, pg_temp"

/* Set a setting until the nest level that it is in ends. */
void
spi_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* OID of one of the extension's tables. */
static Oid
table_oid(const char *table)
{
	Oid			schema = get_namespace_oid("promote", false);
	Oid			oid = get_relname_relid(table, schema);

	if (!OidIsValid(oid))
		elog(ERROR, "table promote.%s is missing", table);
	return oid;
}

/* Who owns the extension's tables. */
Oid
tables_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table_oid("instance")));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for table promote.instance");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Has the caller set what shows them the values that our statements are run
 * with?  A plan that is made for these has them as constants, and is printed to
 * whoever asks for that, by settings that anybody may change.
 */
static bool
shows_values(void)
{
	return plan_cache_mode != PLAN_CACHE_MODE_AUTO || Debug_print_plan || Debug_print_parse || Debug_print_rewritten;
}

/* Set what all statements are run under, until the nest level ends. */
static void
pin_settings(void)
{
	spi_set_local("search_path", PINNED_PATH);
	/* plans outlive the day when a table was small enough to be read whole */
	spi_set_local("enable_seqscan", "off");
	/* compiling a plan takes longer than any of them runs */
	spi_set_local("jit", "off");
	if (!shows_values())
		return;
	spi_set_local("plan_cache_mode", "auto");
	spi_set_local("debug_print_plan", "off");
	spi_set_local("debug_print_parse", "off");
	spi_set_local("debug_print_rewritten", "off");
}

/*
 * Become the owner with pinned settings, and connect.  An error leaves the
 * scope by itself: the end of the (sub)transaction restores the user, the
 * settings and SPI.
 */
void
spi_enter(SpiScope *scope)
{
	scope->caller = CurrentMemoryContext;
	GetUserIdAndSecContext(&scope->user, &scope->security_context);
	SetUserIdAndSecContext(tables_owner(),
						   scope->security_context | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = 0;
	if (strcmp(namespace_search_path, PINNED_PATH) != 0 || enable_seqscan || shows_values())
	{
		scope->guc_level = NewGUCNestLevel();
		pin_settings();
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Disconnect and be the caller again. */
void
spi_leave(SpiScope *scope)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	if (scope->guc_level > 0)
		AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security_context);
}

/*
 * Look at what is committed now, and at what the transaction itself has done,
 * whatever its own snapshot shows, with statements that are read_only: who
 * has waited for a lock has to see what it was waited for.  PopActiveSnapshot
 * ends it.  Beside parallel workers nothing has been done since they began, and
 * the snapshot is one as catalogs are read by, which may be taken there.
 */
void
spi_push_latest(void)
{
	if (IsInParallelMode())
	{
		PushActiveSnapshot(GetCatalogSnapshot(InvalidOid));
		return;
	}
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
}

/*
 * The statement's plan, made at its first use.  A generic plan from the
 * start: all statements look rows up by their keys, and planning one anew
 * costs more than running it.
 */
static SPIPlanPtr
statement_plan(Statement *statement)
{
	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statement->text, statement->parameters,
											  statement->types, CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed");
		statement->plan = plan;
	}
	return statement->plan;
}

/* SPI's way of saying which parameters are NULL; nulls may be NULL itself. */
static const char *
null_flags(const Statement *statement, const bool *nulls, char *flags)
{
	if (nulls == NULL)
		return NULL;
	for (int i = 0; i < statement->parameters; i++)
		flags[i] = nulls[i] ? 'n' : ' ';
	return flags;
}

/* Raise 40001: the transaction's own snapshot does not show what is there now. */
void
refuse_unseen(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("It is about a row that was committed after the snapshot of this transaction was taken."),
			 errhint("Try the transaction again.")));
}

/* Is the error, in a PG_CATCH, that a row of ours refers to one that is not there? */
static bool
is_unseen(void)
{
	ErrorData  *error;

	if (geterrcode() != ERRCODE_FOREIGN_KEY_VIOLATION)
		return false;
	error = CopyErrorData();
	return error->schema_name && strcmp(error->schema_name, "promote") == 0;
}

/*
 * Run a statement in a transaction that has one snapshot, which may be from
 * before what there is to look at, in the way of foreign keys' cascades: it
 * reads what is committed now, and to write over a row that the transaction's
 * own snapshot does not show is 40001.  So is to refer to one: all that we
 * refer to was found, and foreign keys look for it by that snapshot alone.
 */
static int
run_latest(SPIPlanPtr plan, Datum *values, const char *flags)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int result = 0;

	PG_TRY();
	{
		result = SPI_execute_snapshot(plan, values, flags, GetLatestSnapshot(),
									  GetTransactionSnapshot(), false, true, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (!is_unseen())
			PG_RE_THROW();
		FlushErrorState();
		refuse_unseen();
	}
	PG_END_TRY();
	return result;
}

/* Does the transaction read by one snapshot that others have to be held against? */
static bool
is_behind(bool read_only)
{
	/* beside parallel workers nothing is written, and no snapshot may be taken */
	return !read_only && IsolationUsesXactSnapshot() && !IsInParallelMode();
}

/*
 * Run a statement to its end; the result is in SPI_tuptable.  What is
 * read_only reads by the active snapshot: that of whoever asks, or one that was
 * pushed.  All else reads what is committed now, at every isolation level.
 */
int
statement_run(Statement *statement, Datum *values, const bool *nulls, bool read_only)
{
	char		buffer[STATEMENT_MAX_PARAMETERS];
	const char *flags = null_flags(statement, nulls, buffer);
	SPIPlanPtr	plan = statement_plan(statement);
	int			result = is_behind(read_only) ? run_latest(plan, values, flags) :
		SPI_execute_plan(plan, values, flags, read_only, 0);

	if (result < 0)
		elog(ERROR, "statement failed: %s", SPI_result_code_string(result));
	return result;
}

/*
 * Lock rows that the caller's transaction is about, as it has seen them: where
 * its snapshot does not show them as they are now that is 40001, so that what
 * it was decided by and what is done do not fall apart.  Returns how many; none
 * can mean that they were not there yet when the snapshot was taken.
 */
uint64
statement_lock(Statement *statement, Datum *values)
{
	if (SPI_execute_plan(statement_plan(statement), values, NULL, false, 0) < 0)
		elog(ERROR, "lock failed: %s", SPI_result_code_string(SPI_result));
	return SPI_processed;
}

/* Run a command that cannot be prepared, such as GRANT. */
void
spi_command(const char *text)
{
	int			result = SPI_execute(text, false, 0);

	if (result < 0)
		elog(ERROR, "command failed: %s", SPI_result_code_string(result));
}

/* Open a cursor over the rows of a query that is put together at run time. */
Portal
spi_open(const char *text, int parameters, Oid *types, Datum *values)
{
	return SPI_cursor_open_with_args(NULL, text, parameters, types, values, NULL, true, 0);
}

/* Open a cursor over the rows of a statement that only reads: by which snapshot says statement_run. */
Portal
statement_open(Statement *statement, Datum *values, const bool *nulls, bool read_only)
{
	char		buffer[STATEMENT_MAX_PARAMETERS];
	const char *flags = null_flags(statement, nulls, buffer);
	SPIPlanPtr	plan = statement_plan(statement);
	Portal		cursor;

	if (!is_behind(read_only))
		return SPI_cursor_open(NULL, plan, values, flags, read_only);
	spi_push_latest();
	cursor = SPI_cursor_open(NULL, plan, values, flags, true);
	PopActiveSnapshot();
	return cursor;
}

/*
 * A column, counted from 1, of a row.  A row that was to be written may be
 * missing: a trigger that a user added can skip it.
 */
Datum
spi_value(SPITupleTable *rows, uint64 row, int column, bool *isnull)
{
	if (rows == NULL || row >= rows->numvals)
		elog(ERROR, "a row of promote was not written: a trigger or a rule has skipped it");
	return SPI_getbinval(rows->vals[row], rows->tupdesc, column, isnull);
}

/* An integer column; NULL is 0, which no counter and no key here is. */
int32
spi_integer(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* A boolean column; NULL is false. */
bool
spi_bool(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/*
 * A text, jsonb or bytea column in the current memory context; NULL where it
 * is NULL.  Inline values may point into the row.
 */
char *
spi_text(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A column that is jsonb, detoasted; NULL for SQL NULL. */
Jsonb *
spi_jsonb(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

/* A column that is bytea, detoasted; NULL for SQL NULL. */
bytea *
spi_bytea(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return isnull ? NULL : DatumGetByteaP(value);
}

/* A column that is a time; NULL is the end of time. */
TimestampTz
spi_time(SPITupleTable *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = spi_value(rows, row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/* A text, or NULL, as a parameter or a column. */
Datum
text_or_null(const char *value, bool *isnull)
{
	*isnull = value == NULL;
	return value ? CStringGetTextDatum(value) : (Datum) 0;
}
