/*
 * functions.c: validation as SQL calls it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "json/reader.h"
#include "schema/schema.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_jsonb_schema_errors);
PG_FUNCTION_INFO_V1(promote_jsonb_schema_valid);
PG_FUNCTION_INFO_V1(promote_jsonb_schema_check);

/* Add a violation to the result set; a SchemaCollector. */
static void
put_violation(void *state, const SchemaViolation *violation)
{
	ReturnSetInfo *result = state;
	Datum		values[5];
	bool		nulls[5] = {false, false, false, false, violation->expected == NULL};
	int			i;

	values[0] = CStringGetTextDatum(violation->instance_path);
	values[1] = CStringGetTextDatum(violation->schema_path);
	values[2] = CStringGetTextDatum(violation->keyword);
	values[3] = CStringGetTextDatum(violation->message);
	if (!nulls[4])
		values[4] = JsonbPGetDatum(JsonbValueToJsonb(unconstify(JsonbValue *, violation->expected)));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (i = 0; i < lengthof(values); i++)
		if (!nulls[i])
			pfree(DatumGetPointer(values[i]));
}

/* Validate as the function's third argument says of formats. */
static bool
validate(FunctionCallInfo fcinfo, const Jsonb *document, const Jsonb *schema,
		 SchemaCollector collect, void *state)
{
	JsonbValue	root;

	json_root(document, &root);
	if (PG_GETARG_BOOL(2))
		return schema_validate_formats(schema_compile(schema), &root, collect, state);
	return schema_validate(schema_compile(schema), &root, collect, state);
}

/* jsonb_schema_errors(document, schema, assert_format): a row per violation. */
Datum
promote_jsonb_schema_errors(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	Jsonb	   *schema = PG_GETARG_JSONB_P(1);

	InitMaterializedSRF(fcinfo, 0);
	validate(fcinfo, document, schema, put_violation, fcinfo->resultinfo);
	return (Datum) 0;
}

/* jsonb_schema_valid(document, schema, assert_format): is there none? */
Datum
promote_jsonb_schema_valid(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	Jsonb	   *schema = PG_GETARG_JSONB_P(1);
	bool		valid = validate(fcinfo, document, schema, NULL, NULL);

	PG_FREE_IF_COPY(document, 0);
	PG_FREE_IF_COPY(schema, 1);
	PG_RETURN_BOOL(valid);
}

/*
 * jsonb_schema_check(schema): true, or an error that says what is wrong with
 * it.  Other documents are not looked at.
 */
Datum
promote_jsonb_schema_check(PG_FUNCTION_ARGS)
{
	Jsonb	   *schema = PG_GETARG_JSONB_P(0);

	schema_check(schema);
	PG_FREE_IF_COPY(schema, 0);
	PG_RETURN_BOOL(true);
}
