/*
 * render.c: {{name}} placeholders in a document's strings.
 *
 * A name is a letter or underscore followed by letters, digits, underscores,
 * dots and dashes; spaces around it are allowed.  Keys are left alone.
 *
 * - A string that is nothing but one placeholder becomes the variable's
 *   value, of whatever JSON type.
 * - Elsewhere in a string the variable must be a string, a number or a
 *   boolean and becomes text.
 * - A backslash before {{ makes the braces literal; to have a backslash
 *   before a placeholder, double it.  Other backslashes stand for themselves.
 * - What a variable holds is never looked at again: one pass, no recursion.
 */
#include "postgres.h"

#include "errors.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/render.h"
#include "json/writer.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_jsonb_render);

typedef struct Render
{
	JsonWriter	writer;
	JsonbValue	variables;		/* an object */
	StringInfoData path;		/* where the walk is */
	List	   *problems;		/* sentences, char *; empty when all is well */
} Render;

/* Where in a string the walk is. */
typedef struct Scan
{
	const char *at;
	const char *end;
} Scan;

static void render_value(Render *render, const JsonbValue *value);

#define MAX_PROBLEMS 1000		/* that one error lists */

/* Note a problem once; the message is taken over. */
static void
add_problem(Render *render, char *problem)
{
	ListCell   *cell;

	if (list_length(render->problems) > MAX_PROBLEMS)
		return;
	foreach(cell, render->problems)
		if (strcmp(lfirst(cell), problem) == 0)
			return;
	if (list_length(render->problems) == MAX_PROBLEMS)
		problem = "And more.";
	render->problems = lappend(render->problems, problem);
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_name_part(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/*
 * Take a placeholder at scan (which is at its braces).  Returns the name, not
 * NUL-terminated, and moves behind it; NULL where it is malformed.
 */
static const char *
take_placeholder(Scan *scan, int *length)
{
	const char *at = scan->at + 2;
	const char *name;

	while (at < scan->end && *at == ' ')
		at++;
	name = at;
	if (at >= scan->end || !is_name_start(*at))
		return NULL;
	while (at < scan->end && is_name_part(*at))
		at++;
	*length = at - name;
	while (at < scan->end && *at == ' ')
		at++;
	if (scan->end - at < 2 || at[0] != '}' || at[1] != '}')
		return NULL;
	scan->at = at + 2;
	return name;
}

/* The variable of that name; notes the problem and returns false if none. */
static bool
find_variable(Render *render, const char *name, int length, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(render->variables.val.binary.data,
									 name, length, value) != NULL)
		return true;
	add_problem(render, psprintf("Parameter \"%s\" is missing.", pnstrdup(name, length)));
	return false;
}

/* Append a variable's value as text. */
static void
append_variable(Render *render, StringInfo out, const char *name, int length,
				const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			appendBinaryStringInfo(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			appendStringInfoString(out,
								   DatumGetCString(DirectFunctionCall1(numeric_out,
																	   NumericGetDatum(value->val.numeric))));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		default:
			add_problem(render, psprintf("Parameter \"%s\" is neither a string, a number nor a boolean and cannot be a part of the string at %s.",
										 pnstrdup(name, length), json_path_text(&render->path)));
	}
}

/* Append one placeholder's value; what cannot be rendered stays as it is. */
static void
append_placeholder(Render *render, StringInfo out, Scan *scan)
{
	const char *start = scan->at;
	const char *name;
	int			length;
	JsonbValue	value;

	name = take_placeholder(scan, &length);
	if (name == NULL)
	{
		add_problem(render, psprintf("The string at %s has {{ without a name and }} behind it.",
									 json_path_text(&render->path)));
		scan->at += 2;
		appendStringInfoString(out, "{{");
	}
	else if (find_variable(render, name, length, &value))
		append_variable(render, out, name, length, &value);
	else
		appendBinaryStringInfo(out, start, scan->at - start);
}

/*
 * Append a run of backslashes.  Directly before {{ each pair stands for one,
 * and an odd one makes the braces literal.
 */
static void
append_backslashes(StringInfo out, Scan *scan)
{
	const char *start = scan->at;
	int			count;

	while (scan->at < scan->end && *scan->at == '\\')
		scan->at++;
	count = scan->at - start;
	if (scan->end - scan->at < 2 || scan->at[0] != '{' || scan->at[1] != '{')
	{
		appendBinaryStringInfo(out, start, count);
		return;
	}
	appendBinaryStringInfo(out, start, count / 2);
	if (count % 2 == 1)
	{
		appendStringInfoString(out, "{{");
		scan->at += 2;
	}
}

/* Is the string nothing but one placeholder?  Then its name. */
static const char *
lone_placeholder(const JsonbValue *string, int *length)
{
	Scan		scan;
	const char *name;

	scan.at = string->val.string.val;
	scan.end = scan.at + string->val.string.len;
	if (string->val.string.len < 5 || scan.at[0] != '{' || scan.at[1] != '{')
		return NULL;
	name = take_placeholder(&scan, length);
	return scan.at == scan.end ? name : NULL;
}

/* Render the text of a string that is more than a lone placeholder. */
static void
render_text(Render *render, const JsonbValue *string)
{
	StringInfoData out;
	Scan		scan;

	scan.at = string->val.string.val;
	scan.end = scan.at + string->val.string.len;
	initStringInfo(&out);
	while (scan.at < scan.end)
	{
		if (*scan.at == '\\')
			append_backslashes(&out, &scan);
		else if (scan.end - scan.at >= 2 && scan.at[0] == '{' && scan.at[1] == '{')
			append_placeholder(render, &out, &scan);
		else
			appendStringInfoCharMacro(&out, *scan.at++);
	}
	json_write_string(&render->writer, out.data, out.len);
}

/* Does the string hold two opening braces in a row? */
static bool
has_braces(const char *text, Size length)
{
	return memmem(text, length, "{{", 2) != NULL;
}

/* Render a string. */
static void
render_string(Render *render, const JsonbValue *string)
{
	JsonbValue	value;
	const char *name;
	int			length;

	if (!has_braces(string->val.string.val, string->val.string.len))
		json_write_value(&render->writer, string);
	else if ((name = lone_placeholder(string, &length)) == NULL)
		render_text(render, string);
	else if (find_variable(render, name, length, &value))
		json_write_value(&render->writer, &value);
	else
		json_write_value(&render->writer, string);
}

/* Render the values of an object's pairs. */
static void
render_object(Render *render, const JsonbValue *object)
{
	JsonCursor	cursor;
	JsonbValue	key,
				value;
	int			length = render->path.len;

	json_write_begin_object(&render->writer);
	json_cursor_init(&cursor, object->val.binary.data);
	while (json_next_pair(&cursor, &key, &value))
	{
		json_write_key(&render->writer, key.val.string.val, key.val.string.len);
		json_path_add_key(&render->path, key.val.string.val, key.val.string.len);
		render_value(render, &value);
		render->path.len = length;
		render->path.data[length] = '\0';
	}
	json_write_end_object(&render->writer);
}

/* Render the elements of an array. */
static void
render_array(Render *render, const JsonbValue *array)
{
	JsonCursor	cursor;
	JsonbValue	element;
	int			length = render->path.len;

	json_write_begin_array(&render->writer);
	json_cursor_init(&cursor, array->val.binary.data);
	while (json_next_element(&cursor, &element))
	{
		json_path_add_index(&render->path, cursor.next - 1);
		render_value(render, &element);
		render->path.len = length;
		render->path.data[length] = '\0';
	}
	json_write_end_array(&render->writer);
}

/* Render any value. */
static void
render_value(Render *render, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvString)
		render_string(render, value);
	else if (value->type != jbvBinary)
		json_write_value(&render->writer, value);
	else if (json_is_object(value))
		render_object(render, value);
	else
		render_array(render, value);
}

/* Refuse with every problem found. */
static void
report_problems(const Render *render)
{
	StringInfoData detail;
	ListCell   *cell;

	initStringInfo(&detail);
	foreach(cell, render->problems)
	{
		if (detail.len > 0)
			appendStringInfoChar(&detail, '\n');
		appendStringInfoString(&detail, lfirst(cell));
	}
	ereport(ERROR,
			(errcode(PM_INVALID_PLACEHOLDER),
			 errmsg("the placeholders cannot be rendered"),
			 errdetail_internal("%s", detail.data),
			 errhint("Give the instance's environment the parameters named above, or write \\{{ for braces that are meant literally.")));
}

/*
 * Might there be a placeholder?  Looks for its braces among all of the
 * document's bytes, so "no" is certain and "yes" only likely.
 */
bool
json_has_placeholders(const Jsonb *document)
{
	return has_braces((const char *) &document->root, VARSIZE(document) - VARHDRSZ);
}

/*
 * The document with its placeholders replaced by the values of variables, an
 * object.  Where some cannot be, all problems are raised in one error, or, if
 * lenient, those places are left as they are.  Returns the document itself
 * where there is nothing to replace.
 */
Jsonb *
json_render(const Jsonb *document, const Jsonb *variables, bool lenient)
{
	Render		render;
	JsonbValue	view;

	json_root(variables, &render.variables);
	if (!json_is_object(&render.variables))
		ereport(ERROR,
				(errcode(PM_NOT_AN_OBJECT),
				 errmsg("the variables must be a JSON object"),
				 errdetail("They are of type %s.", render.variables.type == jbvBinary ?
						   "array" : JsonbTypeName(&render.variables)),
				 errhint("Pass an object whose keys are the placeholders' names.")));
	if (!json_has_placeholders(document))
		return (Jsonb *) document;
	json_writer_init(&render.writer);
	initStringInfo(&render.path);
	render.problems = NIL;
	json_root(document, &view);
	render_value(&render, &view);
	if (render.problems != NIL && !lenient)
		report_problems(&render);
	return json_writer_finish(&render.writer);
}

/* promote.jsonb_render(document jsonb, variables jsonb) returns jsonb */
Datum
promote_jsonb_render(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_render(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1), false));
}
