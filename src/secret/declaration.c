/*
 * declaration.c: which secrets a release declares.
 *
 * An object of names, in bundle_release.secrets: {"db_password": {"required":
 * true, "format": "text", "description": "..."}}.  Pure.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/errors.h"
#include "json/limits.h"
#include "json/reader.h"
#include "secret/declaration.h"

PG_FUNCTION_INFO_V1(promote_secret_declarations_check);

#define NAME_LENGTH 63			/* at most */

/* ---- checking ---- */

/* Refuse a declaration; what is wrong with it goes on from its name. */
static void
refuse_declaration(const JsonbValue *name, const char *wrong)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a declaration of secrets"),
			 errdetail_internal("\"%s\" %s.", pnstrdup(name->val.string.val, name->val.string.len), wrong),
			 errhint("Declare them as {\"db_password\": {\"required\": true, \"format\": \"text\", \"description\": \"...\"}}.")));
}

/* Is it a name for a secret?  One that may be an environment variable. */
static bool
is_name(const JsonbValue *name)
{
	const char *text = name->val.string.val;
	int			length = name->val.string.len;

	if (length < 1 || length > NAME_LENGTH || (text[0] >= '0' && text[0] <= '9'))
		return false;
	for (int i = 0; i < length; i++)
		if (text[i] == '\0' || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", text[i]))
			return false;
	return true;
}

/* Check one thing that is said of a secret. */
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
	JsonCursor	cursor;
	JsonbValue	property;
	JsonbValue	value;

	if (!is_name(name))
		refuse_declaration(name, "is no name for a secret: letters, digits and underscores, a digit not first, at most 63");
	if (!json_is_object(declaration))
		refuse_declaration(name, "is declared by something else than an object");
	json_cursor_init(&cursor, declaration->val.binary.data);
	while (json_next_pair(&cursor, &property, &value))
		check_property(name, &property, &value);
}

/*
 * promote_internal.secret_declarations_check(secrets jsonb) returns boolean
 *
 * Checks what a release declares, and says of the first that cannot be what is
 * wrong.
 */
Datum
promote_secret_declarations_check(PG_FUNCTION_ARGS)
{
	JsonbValue	root;
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	declaration;

	json_require_object(PG_GETARG_JSONB_P(0), "secrets");
	json_root(PG_GETARG_JSONB_P(0), &root);
	json_cursor_init(&cursor, root.val.binary.data);
	while (json_next_pair(&cursor, &name, &declaration))
		check_declaration(&name, &declaration);
	PG_RETURN_BOOL(true);
}

/* ---- reading ---- */

/* Read one declaration, which is a good one; what it does not say is required, and text. */
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

/* The order of two declarations. */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((SecretDeclaration *) lfirst(a))->name, ((SecretDeclaration *) lfirst(b))->name);
}

/* What a release declares, as a list of SecretDeclaration * in the names' order; NULL declares nothing. */
List *
secret_declarations(const Jsonb *declared)
{
	List	   *declarations = NIL;
	JsonbValue	root;
	JsonCursor	cursor;
	JsonbValue	name;
	JsonbValue	declaration;

	if (declared == NULL)
		return NIL;
	json_root(declared, &root);
	json_cursor_init(&cursor, root.val.binary.data);
	while (json_next_pair(&cursor, &name, &declaration))
		declarations = lappend(declarations, read_declaration(&name, &declaration));
	list_sort(declarations, compare_names);
	return declarations;
}

/* The declaration of that name; NULL: there is none. */
const SecretDeclaration *
secret_declared(const List *declarations, const char *name)
{
	ListCell   *cell;

	foreach(cell, declarations)
		if (strcmp(((SecretDeclaration *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}
