/*
 * validate.c: validation, as other rooms and SQL call it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/compat.h"
#include "json/writer.h"
#include "schema/evaluate.h"

PG_FUNCTION_INFO_V1(promote_jsonb_schema_errors);
PG_FUNCTION_INFO_V1(promote_jsonb_schema_valid);
PG_FUNCTION_INFO_V1(promote_jsonb_schema_check);

/* Does the document satisfy the schema?  What is set in evaluation says how it is judged. */
static bool
evaluate(SchemaEvaluation *evaluation, const Schema *schema, const JsonbValue *document)
{
	SchemaFrame root = {NULL, document, NULL, 0, false};
	bool		valid;

	schema_begin_evaluation(evaluation, schema);
	valid = schema_evaluate(evaluation, schema->root, &root);
	schema_end_evaluation(evaluation);
	return valid;
}

/* Is the document valid, with formats asserted or not?  With collect every violation is handed to it. */
static bool
validate(const Schema *schema, const JsonbValue *document, SchemaCollector collect, void *state, bool asserts_formats)
{
	SchemaEvaluation evaluation = {.collect = collect, .state = state, .asserts_formats = asserts_formats};

	return evaluate(&evaluation, schema, document);
}

/*
 * Is the document valid?  With collect every violation is handed to it, in
 * the order of the document's keys, and of an object that is missing also what it would have to
 * have; without it the first one decides.
 */
bool
schema_validate(const Schema *schema, const JsonbValue *document, SchemaCollector collect, void *state)
{
	SchemaEvaluation evaluation = {.collect = collect, .state = state, .goes_within = true};

	return evaluate(&evaluation, schema, document);
}

/* Add a violation to the result set; a SchemaCollector. */
static void
put_violation(void *state, const SchemaViolation *violation)
{
	ReturnSetInfo *result = state;
	Datum		values[5];
	bool		nulls[5] = {false, false, false, false, violation->expected == NULL};

	values[0] = CStringGetTextDatum(violation->instance_path);
	values[1] = CStringGetTextDatum(violation->schema_path);
	values[2] = CStringGetTextDatum(violation->keyword);
	values[3] = CStringGetTextDatum(violation->message);
	if (!nulls[4])
		values[4] = JsonbPGetDatum(json_from_view(violation->expected));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < lengthof(values); i++)
		if (!nulls[i])
			pfree(DatumGetPointer(values[i]));
}

/* jsonb_schema_errors(document, schema, assert_format): a row per violation. */
Datum
promote_jsonb_schema_errors(PG_FUNCTION_ARGS)
{
	JsonbValue	root;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	root = json_view(PG_GETARG_JSONB_P(0));
	validate(schema_compile(PG_GETARG_JSONB_P(1)), &root, put_violation, fcinfo->resultinfo,
			 argument_bool(fcinfo, 2, false));
	return (Datum) 0;
}

/* jsonb_schema_valid(document, schema, assert_format): is there none? */
Datum
promote_jsonb_schema_valid(PG_FUNCTION_ARGS)
{
	Jsonb	   *document;
	Jsonb	   *schema;
	JsonbValue	root;
	bool		valid;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	document = PG_GETARG_JSONB_P(0);
	schema = PG_GETARG_JSONB_P(1);
	root = json_view(document);
	valid = validate(schema_compile(schema), &root, NULL, NULL, argument_bool(fcinfo, 2, false));

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
