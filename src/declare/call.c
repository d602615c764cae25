/*
 * call.c: verbs whose arguments are columns.
 *
 * An argument fills the column of its name; one that is NULL is not given.  So a verb is a line of SQL that names the
 * columns and a line of C that names the kind.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/argument.h"
#include "base/result.h"
#include "declare/declare.h"
#include "declare/statement.h"
#include "json/builder.h"

/* Add an argument to what is given. */
static void
build_argument(FunctionCallInfo fcinfo, int argument, Oid type, const KindColumn *column, JsonBuilder *given)
{
	char	   *value;
	Oid			output;
	bool		is_varlena;

	if (type == JSONBOID)
	{
		json_build_document(given, column->name, PG_GETARG_JSONB_P(argument));
		return;
	}
	getTypeOutputInfo(type, &output, &is_varlena);
	value = type == TEXTOID ? argument_text(fcinfo, argument) :
		OidOutputFunctionCall(output, PG_GETARG_DATUM(argument));
	json_build_field(given, column->name, value[0] == '\0' && column->is_text && !column->required ? NULL : value);
}

/* What the arguments of a call give. */
static Jsonb *
arguments(FunctionCallInfo fcinfo, DeclaredKind *kind)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	JsonBuilder given;
	char	  **names;
	char	   *modes;
	Oid		   *types;
	int			level = NewGUCNestLevel();

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	(void) get_func_arg_info(tuple, &types, &names, &modes);
	ReleaseSysCache(tuple);
	sql_pin_output();
	json_begin_object(&given);
	for (int i = 0; i < PG_NARGS(); i++)
	{
		const KindColumn *column = kind_column(kind, names[i]);

		if (PG_ARGISNULL(i))
			continue;
		if (column == NULL)
			elog(ERROR, "%s has no column \"%s\"", kind->name, names[i]);
		build_argument(fcinfo, i, types[i], column, &given);
	}
	AtEOXact_GUC(false, level);
	return json_builder_finish(&given);
}

/* The verb's result, which outlives the scope. */
static Datum
result(FunctionCallInfo fcinfo, const Sql *sql, const Declaration *declaration)
{
	MemoryContext inner = MemoryContextSwitchTo(sql->caller);
	Datum		row = result_row(fcinfo, AS_DECLARATION(declaration));

	MemoryContextSwitchTo(inner);
	return row;
}

/* Make the row of a kind what the arguments say. */
Datum
declare_call(FunctionCallInfo fcinfo, const char *name, const char *action, DeclareMode mode)
{
	DeclaredKind *kind = declare_kind(name);
	Jsonb	   *given = arguments(fcinfo, kind);
	Declaration declaration;
	Datum		row;
	Sql			sql;

	declare_require(kind, action, given);
	sql_enter(&sql);
	declare_row(&sql, kind, given, mode, &declaration);
	row = result(fcinfo, &sql, &declaration);
	sql_leave(&sql);
	return row;
}

/* Take away the row of a kind whose key the arguments say. */
Datum
declare_gone_call(FunctionCallInfo fcinfo, const char *name)
{
	DeclaredKind *kind = declare_kind(name);
	Jsonb	   *given = arguments(fcinfo, kind);
	Declaration declaration;
	Datum		row;
	Sql			sql;

	declare_require_gone(kind, given);
	sql_enter(&sql);
	declare_gone(&sql, kind, given, &declaration);
	row = result(fcinfo, &sql, &declaration);
	sql_leave(&sql);
	return row;
}
