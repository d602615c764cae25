/*
 * sql.c: running SQL from C.  All files but gate/policy.c go through it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/script.h"
#include "base/sql.h"

#define PINNED_PATH "pg_catalog, pg_temp"
#define OPERATOR_COST 0.00001

/* Change a setting until the current nest level of settings ends. */
void
sql_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Let values be written and read the same in every session, until the current nest level of settings ends. */
void
sql_pin_output(void)
{
	sql_set_local("DateStyle", "ISO, YMD");
	sql_set_local("IntervalStyle", "iso_8601");
	sql_set_local("TimeZone", "UTC");
}

/* OIDs of tables and indexes, by where their names stand in memory; all are forgotten when one might change. */
static struct
{
	char		name[NAMEDATALEN];
	Oid			oid;
}			kept_oids[256];

/* Forget them.  A SyscacheCallbackFunction. */
static void
forget_oids(Datum unused, int cache, uint32 hash)
{
	memset(kept_oids, 0, sizeof(kept_oids));
}

/* The OID of one of promote's tables or indexes. */
Oid
table_oid(const char *table)
{
	static bool watched = false;
	int			place = (uintptr_t) table / 4 % lengthof(kept_oids);
	Oid			oid;

	if (strcmp(kept_oids[place].name, table) == 0)
		return kept_oids[place].oid;
	if (!watched)
	{
		CacheRegisterSyscacheCallback(RELNAMENSP, forget_oids, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACENAME, forget_oids, (Datum) 0);
		watched = true;
	}
	oid = get_relname_relid(table, get_namespace_oid("promote", false));
	if (!OidIsValid(oid))
		elog(ERROR, "table promote.%s is missing", table);
	strlcpy(kept_oids[place].name, table, NAMEDATALEN);
	kept_oids[place].oid = oid;
	return oid;
}

/* The role that owns the extension's tables. */
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
 * Has the caller switched on a setting that prints plans?  A plan that is made for given
 * values contains them as constants, and PostgreSQL prints it to anybody who asks for it by
 * settings that every user may change.
 */
static bool
shows_values(void)
{
	return plan_cache_mode != PLAN_CACHE_MODE_AUTO || Debug_print_plan || Debug_print_parse || Debug_print_rewritten;
}

/* Pin the settings that all statements run under, until the nest level ends. */
static void
pin_settings(void)
{
	sql_set_local("search_path", PINNED_PATH);
	/* a plan stays in use after a small table has grown */
	sql_set_local("enable_seqscan", "off");
	/* one level more of an index that gives the order must not count more than sorting all that another index finds */
	sql_set_local("cpu_operator_cost", CppAsString2(OPERATOR_COST));
	/* compiling a plan takes longer than running any of the statements */
	sql_set_local("jit", "off");
	if (!shows_values())
		return;
	sql_set_local("plan_cache_mode", "auto");
	sql_set_local("debug_print_plan", "off");
	sql_set_local("debug_print_parse", "off");
	sql_set_local("debug_print_rewritten", "off");
}

/*
 * Become the owner with pinned settings, and connect to SPI.  After an error nobody has to
 * leave the scope: the end of the (sub)transaction restores the user, the settings and SPI.
 */
void
sql_enter(Sql *sql)
{
	script_check();
	sql->caller = CurrentMemoryContext;
	sql->reads = false;
	GetUserIdAndSecContext(&sql->user, &sql->security_context);
	SetUserIdAndSecContext(tables_owner(),
						   sql->security_context | SECURITY_LOCAL_USERID_CHANGE);
	sql->guc_level = 0;
	if (strcmp(namespace_search_path, PINNED_PATH) != 0 || enable_seqscan || cpu_operator_cost != OPERATOR_COST ||
		shows_values())
	{
		sql->guc_level = NewGUCNestLevel();
		pin_settings();
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Disconnect from SPI and become the caller again. */
void
sql_leave(const Sql *sql)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	if (sql->guc_level > 0)
		AtEOXact_GUC(false, sql->guc_level);
	SetUserIdAndSecContext(sql->user, sql->security_context);
}

/*
 * Push a snapshot that shows what is committed now and what this transaction did, for
 * statements that are read_only.  A caller that waited for a lock must see what the other
 * transaction committed, and the transaction's own snapshot may be too old for that.
 * PopActiveSnapshot ends it.  With parallel workers the transaction has written nothing since
 * they started, so a catalog snapshot, which may be taken in a worker, is enough.
 */
void
sql_push_latest(void)
{
	if (!IsInParallelMode())
		CommandCounterIncrement();
	sql_push_committed();
}

/* Push one that does not show what the command that is running has written: its other triggers must not see that. */
void
sql_push_committed(void)
{
	PushActiveSnapshot(IsInParallelMode() ? GetCatalogSnapshot(InvalidOid) : GetLatestSnapshot());
}

/* Raise 40001: the transaction's snapshot does not show the current rows. */
void
refuse_unseen(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("It is about a row that was committed after the snapshot of this transaction was taken."),
			 errhint("Try the transaction again.")));
}

/* In a PG_CATCH: did a foreign key of promote's tables fail to find the row that it refers to? */
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
 * In a PG_CATCH, in the memory context of the PG_TRY: raise the error again without the line
 * of its context that shows the statement.  It is of no use to those who did not write it.
 */
pg_noreturn static void
raise_without(const char *statement)
{
	ErrorData  *error = CopyErrorData();
	char	   *line = psprintf(_("SQL statement \"%s\""), statement);
	char	   *at = error->context ? strstr(error->context, line) : NULL;

	if (at)
	{
		char	   *rest = at + strlen(line);

		if (*rest == '\n')
			rest++;
		else if (at > error->context)
			at--;
		memmove(at, rest, strlen(rest) + 1);
		if (*error->context == '\0')
			error->context = NULL;
	}
	FlushErrorState();
	ReThrowError(error);
}

/*
 * Run a plan.  One that is latest runs in a transaction that keeps one snapshot, which may be
 * too old for the rows to look at.  It runs as the cascades of foreign keys do: it reads what
 * is committed now, and raises 40001 if it would write over a row that the transaction's
 * snapshot does not show.  A foreign key looks only through that snapshot.  Since promote has
 * found every row that it refers to, a foreign key that fails means 40001, too.
 */
static int
run_plan(SPIPlanPtr plan, Datum *values, const char *flags, bool read_only, bool latest)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int result = 0;

	PG_TRY();
	{
		result = latest ? SPI_execute_snapshot(plan, values, flags, GetLatestSnapshot(),
											   GetTransactionSnapshot(), false, true, 0)
			: SPI_execute_plan(plan, values, flags, read_only, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (!latest || !is_unseen())
			raise_without(((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->query_string);
		FlushErrorState();
		refuse_unseen();
	}
	PG_END_TRY();
	return result;
}

/* Does the transaction keep one snapshot that writes have to be checked against? */
static bool
is_behind(bool read_only)
{
	/* with parallel workers nothing is written, and a worker may not take a snapshot */
	return !read_only && IsolationUsesXactSnapshot() && !IsInParallelMode();
}

/* ---- calling ---- */

static uint64 calls = 0;

/* How many statements this backend has run from C: whoever computes something sees whether that has asked for rows. */
uint64
sql_calls(void)
{
	return calls;
}

/* The statement's text, with the expressions of its fields in the place of "$*". */
static char *
statement_text(const Statement *statement)
{
	const char *list = statement->fields ? strstr(statement->text, "$*") : NULL;
	StringInfoData text;

	if (list == NULL)
		return pstrdup(statement->text);
	initStringInfo(&text);
	appendBinaryStringInfo(&text, statement->text, list - statement->text);
	for (int i = 0; i < statement->count; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", statement->fields[i].expression);
	appendStringInfoString(&text, list + strlen("$*"));
	return text.data;
}

/*
 * The statement's plan, made at first use.  The plan is generic from the start: all statements
 * look rows up by key, and planning them again costs more than running them.
 */
static SPIPlanPtr
statement_plan(Statement *statement, const SqlValue *values, int count)
{
	Oid			types[FUNC_MAX_ARGS];
	SPIPlanPtr	plan;

	if (statement->plan)
		return statement->plan;
	for (int i = 0; i < count; i++)
		types[i] = values[i].type;
	plan = SPI_prepare_cursor(statement_text(statement), count, types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	statement->plan = plan;
	return plan;
}

/* The arguments of a call in the form that SPI takes. */
typedef struct SpiCall
{
	SPIPlanPtr	plan;
	Datum		values[FUNC_MAX_ARGS];
	char		nulls[FUNC_MAX_ARGS];
} SpiCall;

/* Convert the values of a call into SPI's form. */
static void
take_values(const SqlValue *values, int count, SpiCall *call)
{
	Assert(count <= FUNC_MAX_ARGS);
	for (int i = 0; i < count; i++)
	{
		call->values[i] = values[i].datum;
		call->nulls[i] = values[i].isnull ? 'n' : ' ';
	}
}

/* Prepare a call of a statement with values of the types that it was prepared for. */
static void
prepare_call(Statement *statement, const SqlValue *values, int count, SpiCall *call)
{
	call->plan = statement_plan(statement, values, count);
	Assert(SPI_getargcount(call->plan) == count);
	for (int i = 0; i < count; i++)
		Assert(SPI_getargtypeid(call->plan, i) == values[i].type);
	take_values(values, count, call);
	calls++;
}

/*
 * Run a statement to its end, inside a scope.
 *
 * SQL_READ reads by the active snapshot: the caller's, or one that was pushed.  SQL_LATEST
 * reads and writes what is committed now, at every isolation level; where the scope only reads,
 * it is SQL_READ.  SQL_LOCK locks rows as
 * the caller's transaction sees them.  If a row has changed since the transaction's snapshot,
 * SQL_LOCK raises 40001, so that the transaction does not act on rows other than those that it
 * decided by.  If it finds no row, the row may have been inserted after the snapshot was
 * taken.
 */
SqlRows
sql_call(const Sql *sql, Statement *statement, SqlMode mode, const SqlValue *values, int count)
{
	SpiCall		call;
	int			result;

	if (sql->reads && mode == SQL_LATEST)
		mode = SQL_READ;
	prepare_call(statement, values, count, &call);
	result = run_plan(call.plan, call.values, call.nulls, mode == SQL_READ,
					  mode != SQL_LOCK && is_behind(mode == SQL_READ));
	if (result < 0)
		elog(ERROR, "statement failed: %s", SPI_result_code_string(result));
	return sql_fetched(statement);
}

/* Open a cursor over the rows of a read-only statement.  The cursor uses the same snapshot as sql_call. */
Portal
sql_cursor(const Sql *sql, Statement *statement, bool read_only, const SqlValue *values, int count)
{
	SpiCall		call;
	Portal		cursor;

	prepare_call(statement, values, count, &call);
	if (!is_behind(read_only))
		return SPI_cursor_open(NULL, call.plan, call.values, call.nulls, read_only);
	sql_push_latest();
	cursor = SPI_cursor_open(NULL, call.plan, call.values, call.nulls, true);
	PopActiveSnapshot();
	return cursor;
}

/*
 * Open a cursor over the rows of a read-only query whose text is built at run time.  The query
 * uses the active snapshot, and its plan is not kept.
 */
Portal
sql_open_once(const Sql *sql, const char *text, const SqlValue *values, int count)
{
	Oid			types[FUNC_MAX_ARGS];
	SpiCall		call;

	take_values(values, count, &call);
	for (int i = 0; i < count; i++)
		types[i] = values[i].type;
	return SPI_cursor_open_with_args(NULL, text, count, types, call.values, call.nulls, true, 0);
}

/* What hands the rows of a query on, one by one. */
typedef struct Taker
{
	DestReceiver receiver;		/* the first member: this is what the executor sees */
	SqlTake		take;
	void	   *state;
} Taker;

/* Hand a row on. */
static bool
take_slot(TupleTableSlot *row, DestReceiver *receiver)
{
	Taker	   *taker = (Taker *) receiver;

	taker->take(taker->state, row);
	return true;
}

/* Begin to receive rows. */
static void
begin_taking(DestReceiver *receiver, int operation, TupleDesc row_type)
{
}

/* Have received all rows; nothing has to be freed. */
static void
end_taking(DestReceiver *receiver)
{
}

/* Values as the executor takes them, as constants to plan by. */
static ParamListInfo
list_values(const SqlValue *values, int count)
{
	ParamListInfo list = count > 0 ? makeParamList(count) : NULL;

	for (int i = 0; i < count; i++)
		list->params[i] = (ParamExternData) {
			.value = values[i].datum, .isnull = values[i].isnull, .pflags = PARAM_FLAG_CONST, .ptype = values[i].type
		};
	return list;
}

/*
 * Run a read-only query whose text is built at run time, by the active snapshot, and hand each
 * row to a function as it comes: no row is kept, however many there are.  The function is
 * called in a memory context of the executor's, and what it allocates there is freed when the
 * query ends.  Parallel workers may run the query.
 */
void
sql_each(const Sql *sql, const char *text, const SqlValue *values, int count, SqlTake take, void *state)
{
	Taker		taker = {
		.receiver = {.receiveSlot = take_slot, .rStartup = begin_taking, .rShutdown = end_taking,
			.rDestroy = end_taking, .mydest = DestNone},
		.take = take, .state = state
	};
	SPIExecuteOptions options = {
		.params = list_values(values, count), .read_only = true, .dest = &taker.receiver
	};
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		if (SPI_execute_extended(text, &options) < 0)
			elog(ERROR, "query failed: %s", SPI_result_code_string(SPI_result));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		raise_without(text);
	}
	PG_END_TRY();
}

/* Run a command that cannot be prepared, such as GRANT. */
void
sql_command(const Sql *sql, const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int result = 0;

	PG_TRY();
	{
		result = SPI_execute(text, false, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		raise_without(text);
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "command failed: %s", SPI_result_code_string(result));
}

/* The rows that SPI fetched last, for example by SPI_cursor_fetch from the statement's cursor. */
SqlRows
sql_fetched(Statement *statement)
{
	return (SqlRows) {statement, SPI_tuptable, SPI_processed};
}

/* ---- reading rows ---- */

/* The only column of all rows: a list of char *, in the current memory context. */
List *
sql_texts(const SqlRows *rows)
{
	List	   *texts = NIL;

	for (uint64 i = 0; i < rows->count; i++)
		texts = lappend(texts, sql_text(rows, i));
	return texts;
}

/* Can a column of that type be read as that kind? */
static bool
fits_kind(Oid type, SqlKind kind)
{
	switch (kind)
	{
		case SQL_TEXT:
		case SQL_ENUM:
			return type == TEXTOID;
		case SQL_INT:
			return type == INT4OID;
		case SQL_WIDE:
			return type == INT8OID || type == TIMESTAMPTZOID || type == TIMESTAMPOID;
		case SQL_BOOL:
			return type == BOOLOID;
		case SQL_JSONB:
			return type == JSONBOID;
		case SQL_BYTEA:
			return type == BYTEAOID;
		case SQL_INTERVAL:
			return type == INTERVALOID;
		case SQL_PRESENT:
			return true;
		case SQL_RECORD:
			return type_is_rowtype(type);
		case SQL_ARRAY:
			return type_is_array(type);
		case SQL_RANGE:
			return type_is_range(type);
	}
	return false;
}

/* Check the columns of a result against the statement's fields, once per backend. */
static void
check_fields(Statement *statement, TupleDesc row_type)
{
	if (statement->checked)
		return;
	if (row_type->natts != statement->count)
		elog(ERROR, "a statement returns %d columns for %d fields", row_type->natts, statement->count);
	for (int i = 0; i < statement->count; i++)
		if (!fits_kind(getBaseType(TupleDescAttr(row_type, i)->atttypid), statement->fields[i].kind))
			elog(ERROR, "column %d of a statement, %s, has a type that its field does not take", i + 1,
				 statement->fields[i].expression);
	statement->checked = true;
}

/*
 * The member of an enum with that name; 0 if no member has the name, or the name is NULL.  The
 * table of names is indexed by the members, begins at 1 and ends with NULL: {[FIRST] =
 * "FIRST", [SECOND] = "SECOND", NULL}.
 */
int
sql_enum(const char *const *names, const char *name)
{
	for (int i = 1; name && names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return 0;
}

/* The member of an enum that a column names; 0 for NULL. */
static int
enum_of(const SqlField *field, NullableDatum value)
{
	char	   *name = value_text(value);
	int			member = sql_enum(field->names, name);

	if (name && member == 0)
		elog(ERROR, "%s is \"%s\", which promote does not know", field->expression, name);
	return member;
}

/* Store a column's value in the member that the field describes; documents are shared, if shared is not NULL. */
void
sql_put(const SqlField *field, NullableDatum value, Oid type, Shared *shared, void *into)
{
	char	   *member = (char *) into + field->offset;

	switch (field->kind)
	{
		case SQL_TEXT:
			*(char **) member = value_text(value);
			break;
		case SQL_INT:
			*(int32 *) member = value_int(value);
			break;
		case SQL_WIDE:
			*(int64 *) member = type == TIMESTAMPTZOID ? value_time(value) : value_wide(value);
			break;
		case SQL_BOOL:
			*(bool *) member = value_bool(value);
			break;
		case SQL_PRESENT:
			*(bool *) member = !value.isnull;
			break;
		case SQL_INTERVAL:
			*(Interval **) member = value.isnull ? NULL : DatumGetIntervalP(value.value);
			break;
		case SQL_ENUM:
			*(int *) member = enum_of(field, value);
			break;
		case SQL_JSONB:
			*(Jsonb **) member = value.isnull ? NULL :
				shared ? shared_value(shared, value.value) : DatumGetJsonbP(value.value);
			break;
		case SQL_BYTEA:
		case SQL_ARRAY:
		case SQL_RANGE:
		case SQL_RECORD:
			*(struct varlena **) member = value.isnull ? NULL : PG_DETOAST_DATUM(value.value);
			break;
	}
}

/* All rows as structs of that size, each read by sql_row and otherwise 0: a list of pointers. */
List *
sql_list(SqlRows *rows, Size size)
{
	List	   *list = NIL;

	for (uint64 i = 0; i < rows->count; i++)
	{
		void	   *into = palloc0(size);

		(void) sql_row(rows, i, into);
		list = lappend(list, into);
	}
	return list;
}

/*
 * Read a row, counted from 0, into a struct by the statement's fields.  Members without a
 * field stay as they are.  Returns false where the row does not exist.  NULL becomes NULL, 0
 * or false, and DT_NOEND for a time.  Text is allocated in the current memory context.  Other
 * values passed by reference may point into the row, which goes with the scope.
 */
bool
sql_row(SqlRows *rows, uint64 row, void *into)
{
	TupleDesc	row_type;
	Datum		values[MaxHeapAttributeNumber];
	bool		nulls[MaxHeapAttributeNumber];

	if (rows->table == NULL || row >= rows->table->numvals)
		return false;
	row_type = rows->table->tupdesc;
	check_fields(rows->statement, row_type);
	/* all at once: a column is found by way of those before it */
	heap_deform_tuple(rows->table->vals[row], row_type, values, nulls);
	for (int i = 0; i < rows->statement->count; i++)
	{
		const SqlField *field = &rows->statement->fields[i];

		sql_put(field, (NullableDatum) {values[i], nulls[i]}, TupleDescAttr(row_type, i)->atttypid, rows->shared, into);
	}
	return true;
}

/* The only column of a row.  Even a row that a statement wrote may be missing: a user's trigger can skip it. */
NullableDatum
sql_datum(const SqlRows *rows, uint64 row)
{
	NullableDatum value;

	if (rows->table == NULL || row >= rows->table->numvals)
		elog(ERROR, "a row of promote was not written: a trigger or a rule has skipped it");
	value.value = SPI_getbinval(rows->table->vals[row], rows->table->tupdesc, 1, &value.isnull);
	return value;
}
