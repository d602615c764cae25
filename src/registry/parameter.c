/*
 * parameter.c: what placeholders of an environment are rendered with.
 *
 * Whoever renders gets the parameters as one document, which also says which of them are
 * sensitive, under a key that no parameter has: so nobody who passes parameters on can lose the
 * marks.  compose/mask.c looks for them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/row.h"
#include "json/builder.h"
#include "json/render.h"
#include "registry/parameter.h"

PG_FUNCTION_INFO_V1(promote_parameters_of);

/* A row of parameter_set. */
typedef struct ParameterSet
{
	Jsonb	   *parameters;
	ArrayType  *sensitive;		/* names of some */
} ParameterSet;

static const SqlField set_fields[] = {
	SQL_FIELDS(ParameterSet, "s", parameters, sensitive)
};
static RowFields set_columns = ROW_FIELDS(set_fields);

/*
 * Parameters with the names of those that are sensitive, of an array that may have others as
 * well: the parameters themselves where none is.
 */
Jsonb *
parameters_marked(Jsonb *parameters, const ArrayType *sensitive)
{
	JsonBuilder builder;
	JsonbValue	value;
	List	   *names = NIL;
	Datum	   *texts;
	int			count;

	deconstruct_array(unconstify(ArrayType *, sensitive), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = TextDatumGetCString(texts[i]);

		if (json_find_in(parameters, name, &value))
			names = lappend(names, name);
	}
	if (names == NIL)
		return parameters;
	json_begin_object(&builder);
	json_build_fields(&builder, parameters);
	json_build_strings(&builder, JSON_SENSITIVE_VARIABLES, names);
	return json_builder_finish(&builder);
}

/*
 * What the placeholders of an environment's instances are rendered with, in the current memory
 * context: its parameters, {} where it has none, with the names of those that are sensitive.
 */
Jsonb *
parameters_of(const char *project, const char *environment, Snapshot snapshot)
{
	const RowKey key = {"parameter_set", "parameter_set_pkey", {AS_TEXT(project), AS_TEXT(environment)}, 2};
	ParameterSet set;

	if (!row_take(&key, ForwardScanDirection, &set_columns, snapshot, &set))
		return json_empty_object();
	return ARR_NDIM(set.sensitive) > 0 ? parameters_marked(set.parameters, set.sensitive) : set.parameters;
}

/* promote_internal.parameters_of(project text, environment text) returns jsonb, strict */
Datum
promote_parameters_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(parameters_of(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
									GetActiveSnapshot()));
}
