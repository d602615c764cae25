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

/* promote_internal.parameters_of(project text, environment text) returns jsonb, strict */
Datum
promote_parameters_of(PG_FUNCTION_ARGS)
{
	const RowKey key = {"parameter_set", "parameter_set_pkey",
		{sql_value(TEXTOID, false, PG_GETARG_DATUM(0)), sql_value(TEXTOID, false, PG_GETARG_DATUM(1))}, 2};
	ParameterSet set;

	if (!row_take_last(&key, set_fields, lengthof(set_fields), GetActiveSnapshot(), &set))
		PG_RETURN_JSONB_P(json_empty_object());
	if (ARR_NDIM(set.sensitive) > 0)
		set.parameters = parameters_marked(set.parameters, set.sensitive);
	PG_RETURN_JSONB_P(set.parameters);
}
