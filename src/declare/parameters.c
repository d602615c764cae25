/*
 * parameters.c: verbs of parameters.
 *
 * A set of parameters is one row.  What is given of some of them is merged into what is there, and
 * that is declared.  Who would change something holds the environment's row, so that two who change
 * different parameters beside each other both do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "base/argument.h"
#include "base/result.h"
#include "declare/declare.h"
#include "json/builder.h"
#include "registry/instance.h"

PG_FUNCTION_INFO_V1(promote_set_parameters);
PG_FUNCTION_INFO_V1(promote_remove_parameter);
PG_FUNCTION_INFO_V1(promote_clear_parameters);

/* What is given. */
typedef struct Given
{
	char	   *project;
	char	   *environment;
	const Jsonb *parameters;
	SqlValue	sensitive;
	const Jsonb *descriptions;	/* NULL: of none */
} Given;

/* A row of changed_parameters. */
typedef struct Changed
{
	Jsonb	   *given;
	bool		is_made;
	bool		differs;
} Changed;

static const SqlField changed_fields[] = {
	SQL_FIELDS(Changed, "c", given, is_made, differs)
};

/* What the row is to be, by what is there now. */
static void
read_changed(const Sql *sql, const Given *given, Changed *changed)
{
	static Statement read = SQL_ROWS(changed_fields, "SELECT $*"
									 " FROM promote_internal.changed_parameters($1, $2, $3, $4, $5) AS c");
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(given->project), AS_TEXT(given->environment),
							   AS_JSONB(given->parameters), given->sensitive, AS_JSONB(given->descriptions));

	(void) sql_row(&rows, 0, changed);
}

/* The key, as it is given to what is declared. */
static Jsonb *
key_of(const Given *given)
{
	JsonBuilder builder;

	json_begin_object(&builder);
	json_build_field(&builder, "project", given->project);
	json_build_field(&builder, "environment", given->environment);
	return json_builder_finish(&builder);
}

/* Make the set what is given; one that is not there is not made for nothing. */
static Datum
set_parameters(FunctionCallInfo fcinfo, const Given *given)
{
	static Statement hold = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
		" FOR NO KEY UPDATE OF e"};
	DeclaredKind *kind = declare_kind("parameter_set");
	Declaration declaration;
	MemoryContext inner;
	Changed		changed;
	Datum		result;
	Sql			sql;

	declare_require(kind, NULL, key_of(given));
	sql_enter(&sql);
	read_changed(&sql, given, &changed);
	if (changed.differs)
	{
		sql_call(&sql, &hold, SQL_LOCK, SQL_CALL(AS_TEXT(given->project), AS_TEXT(given->environment)));
		read_changed(&sql, given, &changed);
	}
	if (!changed.is_made)
		declare_gone(&sql, kind, changed.given, &declaration);
	else
		declare_row(&sql, kind, changed.given, DECLARE_MERGE, &declaration);
	inner = MemoryContextSwitchTo(sql.caller);
	result = result_row(fcinfo, AS_DECLARATION(&declaration));
	MemoryContextSwitchTo(inner);
	sql_leave(&sql);
	return result;
}

/*
 * promote.set_parameters(project text, environment text, parameters jsonb, sensitive text[],
 * descriptions jsonb) returns promote.declaration
 */
Datum
promote_set_parameters(PG_FUNCTION_ARGS)
{
	const Given given = {
		.project = argument_required(fcinfo, 0, "project"),
		.environment = argument_required(fcinfo, 1, "environment"),
		.parameters = argument_optional_params(fcinfo, 2, "parameters"),
		.sensitive = sql_value(TEXTARRAYOID, PG_ARGISNULL(3), PG_GETARG_DATUM(3)),
		.descriptions = argument_optional_params(fcinfo, 4, "descriptions")
	};

	return set_parameters(fcinfo, &given);
}

/* promote.remove_parameter(project text, environment text, name text) returns promote.declaration */
Datum
promote_remove_parameter(PG_FUNCTION_ARGS)
{
	Given		given = {
		.project = argument_required(fcinfo, 0, "project"),
		.environment = argument_required(fcinfo, 1, "environment"),
		.sensitive = sql_value(TEXTARRAYOID, true, (Datum) 0)
	};
	JsonBuilder gone;

	json_begin_object(&gone);
	json_build_field(&gone, argument_required(fcinfo, 2, "name"), NULL);
	given.parameters = json_builder_finish(&gone);
	return set_parameters(fcinfo, &given);
}

/* promote.clear_parameters(project text, environment text) returns promote.declaration */
Datum
promote_clear_parameters(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "parameter_set");
}
