/*
 * declaration.c: which secrets a release declares.
 *
 * bundle_release.secrets is an object of names: {"db_password": {"required": true, "format":
 * "text", "description": "..."}}.  This file reads no table.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/ascii.h"
#include "base/errors.h"
#include "json/limits.h"
#include "json/reader.h"
#include "secret/declaration.h"

PG_FUNCTION_INFO_V1(promote_secret_declarations_check);

#define NAME_LENGTH 63			/* at most */

/* ---- checking ---- */

/* Refuse a declaration; wrong completes a sentence that begins with the secret's name. */
static void
refuse_declaration(const JsonbValue *name, const char *wrong)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a declaration of secrets"),
			 errdetail_internal("\"%s\" %s.", pnstrdup(name->val.string.val, name->val.string.len), wrong),
			 errhint("Declare them as {\"db_password\": {\"required\": true, \"format\": \"text\", \"description\": \"...\"}}.")));
}

/* May a secret have that name?  The name must be usable as an environment variable. */
static bool
is_name(const JsonbValue *name)
{
	const char *text = name->val.string.val;
	int			length = name->val.string.len;

	return length <= NAME_LENGTH && ascii_is_word(text, length, "_") && !ascii_is_digit(text[0]);
}

/* Check one property of a declaration. */
static void
check_property(const JsonbValue *name, const JsonbValue *property, const JsonbValue *value)
{
	if (json_string_is(property, "required"))
	{
		if (value->type != jbvBool)
			refuse_declaration(name, "says something else than true or false of \"required\"");
	}
	else if (json_string_is(property, "format"))
	{
		if (!json_string_is(value, "text") && !json_string_is(value, "json"))
			refuse_declaration(name, "has another \"format\" than \"text\" or \"json\"");
	}
	else if (!json_string_is(property, "description"))
		refuse_declaration(name, "has other keys than \"required\", \"format\" and \"description\"");
	else if (value->type != jbvString)
		refuse_declaration(name, "has a \"description\" that is no string");
}

/* Check one declaration. */
static void
check_declaration(const JsonbValue *name, const JsonbValue *declaration)
{
	if (!is_name(name))
		refuse_declaration(name, "is no name for a secret: letters, digits and underscores, a digit not first, at most 63");
	if (!json_is_object(declaration))
		refuse_declaration(name, "is declared by something else than an object");
	json_foreach(property, declaration)
		check_property(name, &property.key, &property.value);
}

/*
 * promote_internal.secret_declarations_check(secrets jsonb) returns boolean
 *
 * Checks what a release declares.  The error is about the first defect.
 */
Datum
promote_secret_declarations_check(PG_FUNCTION_ARGS)
{
	const Jsonb *secrets = PG_GETARG_JSONB_P(0);

	json_require_object(secrets, "secrets");
	json_foreach_in(declaration, &secrets->root)
		check_declaration(&declaration.key, &declaration.value);
	PG_RETURN_BOOL(true);
}

/* ---- reading ---- */

/* Read a valid declaration.  By default a secret is required, and text. */
static SecretDeclaration *
read_declaration(const JsonbValue *name, const JsonbValue *declaration)
{
	SecretDeclaration *read = palloc(sizeof(SecretDeclaration));
	JsonbValue	value;

	read->name = pnstrdup(name->val.string.val, name->val.string.len);
	read->required = !json_find(declaration, "required", &value) || value.val.boolean;
	read->json = json_find(declaration, "format", &value) && json_string_is(&value, "json");
	return read;
}

/* Compare two declarations by name. */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((SecretDeclaration *) lfirst(a))->name, ((SecretDeclaration *) lfirst(b))->name);
}

/* What a release declares: a list of SecretDeclaration *, sorted by name; NULL declares nothing. */
List *
secret_declarations(const Jsonb *declared)
{
	List	   *declarations = NIL;

	if (declared == NULL)
		return NIL;
	json_foreach_in(declaration, &declared->root)
		declarations = lappend(declarations, read_declaration(&declaration.key, &declaration.value));
	list_sort(declarations, compare_names);
	return declarations;
}

/* The declaration with that name; NULL: none. */
const SecretDeclaration *
secret_declared(const List *declarations, const char *name)
{
	ListCell   *cell;

	foreach(cell, declarations)
		if (strcmp(((SecretDeclaration *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}
