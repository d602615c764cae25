/*
 * limits.c: what a document must be to be a configuration or an override.
 *
 * jsonb itself allows a quarter of a gigabyte, nesting up to the stack and
 * numbers of 147,455 digits.  A configuration is read, merged, diffed and
 * hashed at every promotion, so that its limits are those of something that a
 * person reviews.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/ascii.h"
#include "base/compat.h"
#include "base/errors.h"
#include "json/limits.h"
#include "json/path.h"
#include "json/reader.h"

PG_FUNCTION_INFO_V1(promote_check_object);
PG_FUNCTION_INFO_V1(promote_check_overrides);
PG_FUNCTION_INFO_V1(promote_check_params);

/* The word that goes with what a document is called: the "patch" is, the "params" are. */
const char *
json_by_number(const char *what, const char *one, const char *many)
{
	return what[strlen(what) - 1] == 's' ? many : one;
}

/* Refuse a number that is too long at the place where it is. */
static void
refuse_number(const JsonWay *way, int digits, const char *what)
{
	ereport(ERROR,
			(errcode(PM_TOO_LARGE),
			 errmsg("a number in the %s is too long", what),
			 errdetail("The number at %s has %d digits; %d are allowed.",
					   json_way_text(way), digits, JSON_MAX_DIGITS),
			 errhint("Store a number of this length as a string.")));
}

/*
 * Check a number's length.  The short form of numeric (numeric.c,
 * NUMERIC_HEADER_IS_SHORT) ends at some 320 digits, so it needs no look.
 */
static void
check_number(Numeric number, const JsonWay *way, const char *what)
{
	char	   *text;
	int			digits = 0;

	if (*(uint16 *) VARDATA_ANY(number) & 0x8000)
		return;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	for (char *c = text; *c; c++)
		digits += ascii_is_digit(*c);
	pfree(text);
	if (digits > JSON_MAX_DIGITS)
		refuse_number(way, digits, what);
}

/* Check a value, a container on that level, and what is in it. */
static void
check_value(const JsonbValue *value, const JsonWay *way, int depth, const char *what)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvNumeric)
		check_number(value->val.numeric, way, what);
	if (value->type != jbvBinary)
		return;
	if (depth > JSON_MAX_DEPTH)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the %s %s nested too deeply", what, json_by_number(what, "is", "are")),
				 errdetail("%s more than %d levels.", json_by_number(what, "It has", "They have"), JSON_MAX_DEPTH),
				 errhint("Flatten the document.")));
	json_foreach(child, value)
	{
		JsonWay		below = {way, value->val.binary.data, child.index};

		check_value(&child.value, &below, depth + 1, what);
	}
}

/* Raise PM_NOT_AN_OBJECT unless the document is an object.  what names it in messages: "params", "patch". */
void
json_require_object(const Jsonb *document, const char *what)
{
	JsonbValue	view = json_view(document);

	if (!json_is_object(&view))
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the %s must be a JSON object", what),
				 errdetail("%s of type %s.", json_by_number(what, "It is", "They are"),
						   view.type == jbvBinary ? "array" : JsonbTypeName(&view)),
				 errhint("Pass an object such as '{\"replicas\": 3}'; '{}' is an empty one.")));
}

/* Raise PM_NOT_AN_OBJECT unless the document is a merge patch, an object, or a JSON Patch, an array. */
void
json_require_overrides(const Jsonb *document, const char *what)
{
	JsonbValue	view = json_view(document);

	if (view.type != jbvBinary)
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the %s must be a JSON object or an array", what),
				 errdetail("%s of type %s.", json_by_number(what, "It is", "They are"), JsonbTypeName(&view)),
				 errhint("Pass a merge patch, such as '{\"replicas\": 3}', or a JSON Patch, such as '[{\"op\": \"remove\", \"path\": \"/hosts/0\"}]'.")));
}

/* Raise an error unless a document, which is a container, is within the limits. */
static void
check_limits(const Jsonb *document, const char *what)
{
	JsonbValue	view = json_view(document);
	JsonWay		root = {NULL};

	if (VARSIZE(document) > JSON_MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the %s %s too large", what, json_by_number(what, "is", "are")),
				 errdetail("%s %zu bytes; %d are allowed.", json_by_number(what, "It takes", "They take"),
						   (Size) VARSIZE(document), JSON_MAX_BYTES),
				 errhint("Keep files and other bulk out of the configuration and refer to them.")));
	check_value(&view, &root, 1, what);
}

/* Raise an error unless the document is an object within the limits. */
void
json_check_params(const Jsonb *document, const char *what)
{
	json_require_object(document, what);
	check_limits(document, what);
}

/* Raise an error unless the document is a merge patch or a JSON Patch within the limits. */
void
json_check_overrides(const Jsonb *document, const char *what)
{
	json_require_overrides(document, what);
	check_limits(document, what);
}

/* promote_internal.check_object(document jsonb, what text) returns boolean: true, or PM_NOT_AN_OBJECT */
Datum
promote_check_object(PG_FUNCTION_ARGS)
{
	json_require_object(PG_GETARG_JSONB_P(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_BOOL(true);
}

/* promote_internal.check_overrides(overrides jsonb) returns boolean: true, or PM_NOT_AN_OBJECT */
Datum
promote_check_overrides(PG_FUNCTION_ARGS)
{
	json_require_overrides(PG_GETARG_JSONB_P(0), "overrides");
	PG_RETURN_BOOL(true);
}

/* promote.check_params(params jsonb) returns boolean: true, or an error */
Datum
promote_check_params(PG_FUNCTION_ARGS)
{
	json_check_params(PG_GETARG_JSONB_P(0), "params");
	PG_RETURN_BOOL(true);
}
