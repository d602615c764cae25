/*
 * limits.c: what a document must be to be a configuration or an override.
 *
 * jsonb itself allows a quarter of a gigabyte, nesting up to the stack and
 * numbers of 147,455 digits.  A configuration is read, merged, diffed and
 * hashed at every promotion, so that its limits are those of something that a
 * person reviews.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/limits.h"
#include "json/path.h"
#include "json/reader.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_check_object);
PG_FUNCTION_INFO_V1(promote_check_params);

/* The way to the value that is looked at, on the walker's stack. */
typedef struct Step
{
	const struct Step *parent;
	const JsonbValue *key;		/* NULL: an element or the root */
	uint32		index;
	int			depth;			/* of containers, the root's is 1 */
} Step;

static void check_value(const JsonbValue *value, const Step *step, const char *what);

/* The word that goes with what a document is called: the "patch" is, the "params" are. */
const char *
json_by_number(const char *what, const char *one, const char *many)
{
	return what[strlen(what) - 1] == 's' ? many : one;
}

/* Spell the way from the root. */
static void
append_steps(StringInfo path, const Step *step)
{
	check_stack_depth();
	if (step->parent == NULL)
		return;
	append_steps(path, step->parent);
	if (step->key)
		json_path_add_key(path, step->key->val.string.val, step->key->val.string.len);
	else
		json_path_add_index(path, step->index);
}

/* Refuse a number that is too long at the place where it is. */
static void
refuse_number(const Step *step, int digits, const char *what)
{
	StringInfoData path;

	initStringInfo(&path);
	append_steps(&path, step);
	ereport(ERROR,
			(errcode(PM_TOO_LARGE),
			 errmsg("a number in the %s is too long", what),
			 errdetail("The number at %s has %d digits; %d are allowed.",
					   json_path_text(&path), digits, JSON_MAX_DIGITS),
			 errhint("Store a number of this length as a string.")));
}

/*
 * Check a number's length.  The short form of numeric (numeric.c,
 * NUMERIC_HEADER_IS_SHORT) ends at some 320 digits, so it needs no look.
 */
static void
check_number(Numeric number, const Step *step, const char *what)
{
	char	   *text;
	int			digits = 0;

	if (*(uint16 *) VARDATA_ANY(number) & 0x8000)
		return;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	for (char *c = text; *c; c++)
		digits += (*c >= '0' && *c <= '9');
	pfree(text);
	if (digits > JSON_MAX_DIGITS)
		refuse_number(step, digits, what);
}

/* Check the children of a container. */
static void
check_children(const JsonbValue *container, const Step *step, const char *what)
{
	JsonCursor	cursor;
	JsonbValue	key,
				value;
	Step		child = {step, json_is_object(container) ? &key : NULL, 0, step->depth + 1};

	json_cursor_init(&cursor, container->val.binary.data);
	while (child.key ? json_next_pair(&cursor, &key, &value) :
		   json_next_element(&cursor, &value))
	{
		check_value(&value, &child, what);
		child.index++;
	}
}

/* Check any value. */
static void
check_value(const JsonbValue *value, const Step *step, const char *what)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvNumeric)
		check_number(value->val.numeric, step, what);
	if (value->type != jbvBinary)
		return;
	if (step->depth > JSON_MAX_DEPTH)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the %s %s nested too deeply", what, json_by_number(what, "is", "are")),
				 errdetail("%s more than %d levels.", json_by_number(what, "It has", "They have"), JSON_MAX_DEPTH),
				 errhint("Flatten the document.")));
	check_children(value, step, what);
}

/* Raise PM_NOT_AN_OBJECT unless the document is an object.  what names it in messages: "params", "patch". */
void
json_require_object(const Jsonb *document, const char *what)
{
	JsonbValue	view;

	json_root(document, &view);
	if (!json_is_object(&view))
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the %s must be a JSON object", what),
				 errdetail("%s of type %s.", json_by_number(what, "It is", "They are"),
						   view.type == jbvBinary ? "array" : JsonbTypeName(&view)),
				 errhint("Pass an object such as '{\"replicas\": 3}'; '{}' is an empty one.")));
}

/* Raise an error unless the document is an object within the limits. */
void
json_check_params(const Jsonb *document, const char *what)
{
	JsonbValue	view;
	Step		root = {NULL, NULL, 0, 1};

	json_require_object(document, what);
	json_root(document, &view);
	if (VARSIZE(document) > JSON_MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the %s %s too large", what, json_by_number(what, "is", "are")),
				 errdetail("%s %zu bytes; %d are allowed.", json_by_number(what, "It takes", "They take"),
						   (Size) VARSIZE(document), JSON_MAX_BYTES),
				 errhint("Keep files and other bulk out of the configuration and refer to them.")));
	check_value(&view, &root, what);
}

/* promote_internal.check_object(document jsonb, what text) returns boolean: true, or PM_NOT_AN_OBJECT */
Datum
promote_check_object(PG_FUNCTION_ARGS)
{
	json_require_object(PG_GETARG_JSONB_P(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_BOOL(true);
}

/* promote.check_params(params jsonb) returns boolean: true, or an error */
Datum
promote_check_params(PG_FUNCTION_ARGS)
{
	json_check_params(PG_GETARG_JSONB_P(0), "params");
	PG_RETURN_BOOL(true);
}
