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

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"

#include "base/ascii.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/grow.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/render.h"
#include "json/splice.h"

PG_FUNCTION_INFO_V1(promote_jsonb_render);

typedef struct Render
{
	JsonbValue	variables;		/* an object */
	const char *document;		/* its bytes, */
	uint32	   *braces;			/* and where in them {{ stands, ascending */
	uint32		braces_count;
	JsonSplices splices;
	StringInfoData text;		/* of the string that is rendered */
	List	   *problems;		/* sentences, char *; empty when all is well */
	bool		full;			/* no more of them are told */
	Size		long_problems;	/* bytes of those that are long, told or not */
} Render;

/* The way to the value that is rendered, on the walker's stack. */
typedef struct Step
{
	JsonWay		way;
	Render	   *render;
	const JsonbContainer *container;	/* the value, once its children are rendered */
} Step;

/* Where in a string the walk is. */
typedef struct Scan
{
	const char *at;
	const char *end;
} Scan;

static void render_value(Step *step, JsonWriter *writer, const JsonbValue *value);

/*
 * The first two opening braces in a row among these bytes; NULL: there are none.  Most documents have no
 * brace at all, and one byte is found many times faster than two in a row.
 */
static const char *
find_braces(const char *at, const char *end)
{
	while (end - at >= 2 && (at = memchr(at, '{', end - at - 1)) != NULL)
	{
		if (at[1] == '{')
			return at;
		at++;
	}
	return NULL;
}

#define MAX_PROBLEMS 1000		/* that one error lists */
#define LONG_PROBLEM 1000		/* bytes; a name or a key may have millions */
#define MAX_LONG_PROBLEMS (1024 * 1024) /* bytes of long problems that are looked at */

/* Say that there are more problems, and tell none of them. */
static void
tell_no_more(Render *render)
{
	render->full = true;
	render->problems = lappend(render->problems, "And more.");
}

/* Is a problem not to be told, whatever it is?  Then it need not be spelled. */
static bool
is_full(Render *render)
{
	if (!render->full && render->long_problems > MAX_LONG_PROBLEMS)
		tell_no_more(render);
	return render->full;
}

/* Has the problem been noted? */
static bool
is_noted(const Render *render, const char *problem)
{
	ListCell   *cell;

	foreach(cell, render->problems)
		if (strcmp(lfirst(cell), problem) == 0)
			return true;
	return false;
}

/*
 * Note a problem once; the message is taken over.  A document may have one at
 * every few bytes, so that what is not kept is freed at once.
 */
static void
add_problem(Render *render, char *problem)
{
	Size		length = strlen(problem);

	CHECK_FOR_INTERRUPTS();
	if (length > LONG_PROBLEM)
		render->long_problems += length;
	if (is_noted(render, problem))
		pfree(problem);
	else if (list_length(render->problems) < MAX_PROBLEMS)
		render->problems = lappend(render->problems, problem);
	else
	{
		pfree(problem);
		tell_no_more(render);
	}
}

/* Note that a variable cannot be a part of the string that is rendered. */
static void
add_unfit_variable(const Step *step, const char *name, int length)
{
	char	   *place;

	if (is_full(step->render))
		return;
	place = json_way_text(&step->way);
	add_problem(step->render,
				psprintf("Parameter \"%.*s\" is neither a string, a number nor a boolean and cannot be a part of the string at %s.",
						 length, name, place));
	pfree(place);
}

/* Note that the string that is rendered has braces that name nothing. */
static void
add_unnamed(const Step *step)
{
	char	   *place;

	if (is_full(step->render))
		return;
	place = json_way_text(&step->way);
	add_problem(step->render, psprintf("The string at %s has {{ without a name and }} behind it.", place));
	pfree(place);
}

/* May a placeholder's name begin with it? */
static bool
is_name_start(char c)
{
	return ascii_is_letter(c) || c == '_';
}

/* May it go on with it? */
static bool
is_name_part(char c)
{
	return is_name_start(c) || ascii_is_digit(c) || c == '.' || c == '-';
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
	if (!is_full(render))
		add_problem(render, psprintf("Parameter \"%.*s\" is missing.", length, name));
	return false;
}

/* Append a variable's value as text. */
static void
append_variable(const Step *step, StringInfo out, const char *name, int length,
				const JsonbValue *value)
{
	char	   *number;

	switch (value->type)
	{
		case jbvString:
			appendBinaryStringInfo(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out,
														 NumericGetDatum(value->val.numeric)));
			appendStringInfoString(out, number);
			pfree(number);
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		default:
			add_unfit_variable(step, name, length);
	}
}

/* Append one placeholder's value; what cannot be rendered stays as it is. */
static void
append_placeholder(const Step *step, StringInfo out, Scan *scan)
{
	const char *start = scan->at;
	const char *name;
	int			length;
	JsonbValue	value;

	name = take_placeholder(scan, &length);
	if (name == NULL)
	{
		add_unnamed(step);
		scan->at += 2;
		appendStringInfoString(out, "{{");
	}
	else if (find_variable(step->render, name, length, &value))
		append_variable(step, out, name, length, &value);
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
	Scan		scan = {string->val.string.val, string->val.string.val + string->val.string.len};
	const char *name;

	if (string->val.string.len < 5 || scan.at[0] != '{' || scan.at[1] != '{')
		return NULL;
	name = take_placeholder(&scan, length);
	return scan.at == scan.end ? name : NULL;
}

/* Is a value nothing but one placeholder, which may stand for a value of any kind? */
bool
json_is_placeholder(const JsonbValue *value)
{
	int			length;

	return value->type == jbvString && lone_placeholder(value, &length) != NULL;
}

/* Append what is up to the next backslash or brace, if anything. */
static void
append_plain(StringInfo out, Scan *scan)
{
	const char *start = scan->at;

	while (scan->at < scan->end && *scan->at != '\\' && *scan->at != '{')
		scan->at++;
	appendBinaryStringInfo(out, start, scan->at - start);
}

/* Refuse a text that is no longer to be a string, in PostgreSQL's words; a gigabyte may be still to come. */
static void
check_length(const StringInfoData *out)
{
	if (unlikely(out->len > JENTRY_OFFLENMASK))
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("string too long to represent as jsonb string"),
				 errdetail("Due to an implementation restriction, jsonb strings cannot exceed %d bytes.",
						   JENTRY_OFFLENMASK)));
}

/* Render the text of a string that is more than a lone placeholder. */
static void
render_text(const Step *step, JsonWriter *writer, const JsonbValue *string)
{
	StringInfo	out = &step->render->text;
	Scan		scan = {string->val.string.val, string->val.string.val + string->val.string.len};
	JsonbValue	rendered;

	resetStringInfo(out);
	while (scan.at < scan.end)
	{
		CHECK_FOR_INTERRUPTS();
		append_plain(out, &scan);
		if (scan.at == scan.end)
			break;
		if (*scan.at == '\\')
			append_backslashes(out, &scan);
		else if (scan.end - scan.at >= 2 && scan.at[1] == '{')
			append_placeholder(step, out, &scan);
		else
			appendStringInfoCharMacro(out, *scan.at++);
		check_length(out);
	}
	rendered = json_string(out->data, out->len);
	json_write_value(writer, &rendered);
}

/* Render a string that has braces. */
static void
render_string(const Step *step, JsonWriter *writer, const JsonbValue *string)
{
	JsonbValue	value;
	const char *name;
	int			length;

	if ((name = lone_placeholder(string, &length)) == NULL)
		render_text(step, writer, string);
	else if (find_variable(step->render, name, length, &value))
		json_write_value(writer, &value);
	else
		json_write_value(writer, string);
}

/*
 * Note where in the document's bytes two opening braces stand in a row, so
 * that each value can be asked whether it has any.
 */
static void
note_braces(Render *render, const Jsonb *document)
{
	const char *start = (const char *) document;
	const char *end = start + VARSIZE(document);
	const char *at = start + VARHDRSZ;
	Size		room = 0;

	render->document = start;
	while ((at = find_braces(at, end)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		GROW(render->braces, render->braces_count, room);
		render->braces[render->braces_count++] = at++ - start;
	}
}

/* Are there braces among these bytes of the document? */
static bool
has_braces(const Render *render, const char *bytes, int length)
{
	Size		from = bytes - render->document;
	uint32		low = 0;
	uint32		high = render->braces_count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (render->braces[middle] < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < render->braces_count && render->braces[low] + 2 <= from + length;
}

/* Can the value be anything but itself once it is rendered? */
static bool
is_rendered(const Render *render, const JsonbValue *value)
{
	if (value->type == jbvString)
		return has_braces(render, value->val.string.val, value->val.string.len);
	return value->type == jbvBinary &&
		has_braces(render, (char *) value->val.binary.data, value->val.binary.len);
}

/* Render a child; a JsonSpliceWorker. */
static void
render_child(void *state, JsonWriter *writer, const JsonbValue *value, uint32 index,
			 const JsonbValue *nothing, uint32 no_index)
{
	Step	   *parent = state;
	Step		step = {{&parent->way, parent->container, index}, parent->render};

	render_value(&step, writer, value);
}

/* Render a container, of which only children that have braces are looked into. */
static void
render_container(Step *step, JsonWriter *writer, const JsonbValue *container)
{
	JsonSplice	splice;

	step->container = container->val.binary.data;
	json_splice_begin(&splice, &step->render->splices, step->container, NULL);
	json_foreach(child, container)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_rendered(step->render, &child.value))
			json_splice_work(&splice, child.index, JSON_SPLICE_NONE);
		else
			json_splice_left(&splice, child.index, child.index + 1);
	}
	json_splice_write(&splice, writer, json_is_object(container), render_child, step);
}

/* Render any value. */
static void
render_value(Step *step, JsonWriter *writer, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!is_rendered(step->render, value))
		json_write_value(writer, value);
	else if (value->type == jbvString)
		render_string(step, writer, value);
	else
		render_container(step, writer, value);
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
	return find_braces((const char *) &document->root, (const char *) document + VARSIZE(document)) != NULL;
}

/* Refuse variables that are not an object. */
static void
check_variables(JsonbValue *variables)
{
	if (json_is_object(variables))
		return;
	ereport(ERROR,
			(errcode(PM_NOT_AN_OBJECT),
			 errmsg("the variables must be a JSON object"),
			 errdetail("They are of type %s.", variables->type == jbvBinary ?
					   "array" : JsonbTypeName(variables)),
			 errhint("Pass an object whose keys are the placeholders' names.")));
}

/*
 * Render the document, noting what cannot be.  Returns the document itself
 * where there is nothing to replace.
 */
static Jsonb *
render_document(Render *render, const Jsonb *document, const Jsonb *variables)
{
	Step		root = {{NULL}, render};
	JsonWriter	writer;
	JsonbValue	view;

	json_root(variables, &render->variables);
	check_variables(&render->variables);
	if (!json_has_placeholders(document))
		return (Jsonb *) document;
	note_braces(render, document);
	initStringInfo(&render->text);
	json_writer_init(&writer, (Size) VARSIZE(document) + VARSIZE(document) / 4);
	json_root(document, &view);
	render_value(&root, &writer, &view);
	pfree(render->text.data);
	pfree(render->braces);
	return json_writer_finish(&writer);
}

/* Are there braces among the value's bytes, so that it may have a placeholder? */
static bool
may_render(const JsonbValue *value)
{
	const char *bytes;

	if (value->type == jbvString)
		return find_braces(value->val.string.val, value->val.string.val + value->val.string.len) != NULL;
	if (value->type != jbvBinary)
		return false;
	bytes = (const char *) value->val.binary.data;
	return find_braces(bytes, bytes + value->val.binary.len) != NULL;
}

/* Is there a string in the value, keys aside, that has braces? */
bool
json_strings_may_render(const JsonbValue *value)
{
	check_stack_depth();
	/* a container's bytes may have them where two strings meet */
	if (!may_render(value) || value->type != jbvBinary)
		return may_render(value);
	json_foreach(each, value)
		if (json_strings_may_render(&each.value))
			return true;
	return false;
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
	Render		render = {.full = lenient};
	Jsonb	   *rendered = render_document(&render, document, variables);

	if (render.problems != NIL)
		report_problems(&render);
	return rendered;
}

/* As json_render, lenient.  problems lists what could not be replaced, as sentences: char *. */
Jsonb *
json_render_noting(const Jsonb *document, const Jsonb *variables, List **problems)
{
	Render		render = {.full = false};
	Jsonb	   *rendered = render_document(&render, document, variables);

	*problems = render.problems;
	return rendered;
}

/* ---- sensitive variables ---- */

/* Is any of the variables sensitive?  NULL are none. */
bool
json_has_sensitive_variables(const Jsonb *variables)
{
	JsonbValue	names;

	return variables && json_find_in(variables, JSON_SENSITIVE_VARIABLES, &names);
}

/* Is the variable of that name sensitive? */
bool
json_is_sensitive_variable(const Jsonb *variables, const char *name, int length)
{
	JsonbValue	names;

	if (!json_find_in(variables, JSON_SENSITIVE_VARIABLES, &names) || names.type != jbvBinary)
		return false;
	json_foreach(each, &names)
		if (each.value.type == jbvString && each.value.val.string.len == length &&
			memcmp(each.value.val.string.val, name, length) == 0)
			return true;
	return false;
}

/* Has a string a placeholder of a sensitive variable? */
static bool
has_sensitive_placeholder(const JsonbValue *string, const Jsonb *variables)
{
	Scan		scan = {string->val.string.val, string->val.string.val + string->val.string.len};

	/* braces that are meant literally count as well: what is masked too much is not shown */
	while ((scan.at = find_braces(scan.at, scan.end)) != NULL)
	{
		int			length;
		const char *name = take_placeholder(&scan, &length);

		if (name && json_is_sensitive_variable(variables, name, length))
			return true;
		if (name == NULL)
			scan.at++;
	}
	return false;
}

/* Add the paths of strings that have a placeholder of a sensitive variable to the array that is open. */
static void
add_sensitive_places(JsonBuilder *builder, StringInfo path, const JsonbValue *value, const Jsonb *variables)
{
	int			length = path->len;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!may_render(value))
		return;
	if (value->type == jbvString)
	{
		if (has_sensitive_placeholder(value, variables))
			json_build_string(builder, pstrdup(json_path_text(path)), Max(path->len, 1));
		return;
	}
	json_foreach(child, value)
	{
		if (json_is_object(value))
			json_path_add_key(path, child.key.val.string.val, child.key.val.string.len);
		else
			json_path_add_index(path, child.index);
		add_sensitive_places(builder, path, &child.value, variables);
		json_path_truncate(path, length);
	}
}

/* The paths at which a document has placeholders of sensitive variables: an array; NULL: it has none. */
Jsonb *
json_sensitive_places(const Jsonb *document, const Jsonb *variables)
{
	JsonBuilder builder;
	StringInfoData path;
	JsonbValue	view;
	Jsonb	   *places;

	if (!json_has_sensitive_variables(variables) || !json_has_placeholders(document))
		return NULL;
	json_root(document, &view);
	initStringInfo(&path);
	json_begin_array(&builder);
	add_sensitive_places(&builder, &path, &view, variables);
	places = json_builder_finish(&builder);
	pfree(path.data);
	return JB_ROOT_COUNT(places) > 0 ? places : NULL;
}

/* Append a string so that rendering it gives it back. */
static void
append_literal(StringInfo out, const JsonbValue *string)
{
	const char *at = string->val.string.val;
	const char *end = at + string->val.string.len;

	while (at < end)
	{
		const char *braces = find_braces(at, end);
		const char *backslashes;

		if (braces == NULL)
			break;
		backslashes = braces;
		while (backslashes > at && backslashes[-1] == '\\')
			backslashes--;
		appendBinaryStringInfo(out, at, braces - at);
		appendBinaryStringInfo(out, backslashes, braces - backslashes);
		appendStringInfoString(out, "\\{{");
		at = braces + 2;
	}
	appendBinaryStringInfo(out, at, end - at);
}

/*
 * Add a value to a builder so that rendering gives back just that, though it
 * may have braces that look like a placeholder's.
 */
void
json_build_literal(JsonBuilder *builder, const JsonbValue *value)
{
	StringInfoData text;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!may_render(value))
		json_build_value(builder, value);
	else if (value->type == jbvString)
	{
		initStringInfo(&text);
		append_literal(&text, value);
		json_build_string(builder, text.data, text.len);
	}
	else
	{
		json_build_begin_like(builder, value);
		json_foreach(child, value)
		{
			json_build_key_of(builder, value, &child);
			json_build_literal(builder, &child.value);
		}
		json_build_end(builder);
	}
}

/* promote.jsonb_render(document jsonb, variables jsonb) returns jsonb */
Datum
promote_jsonb_render(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_render(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1), false));
}
