/*
 * name.c: instances' and environments' names, taken apart and put together.
 *
 * The first segment is the project, the last the component, and all between
 * is the environment.  Whether they exist is not asked here.  The rules are
 * those of the domains in sql/parse/name.sql.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/refusal.h"
#include "base/result.h"
#include "parse/name.h"

PG_FUNCTION_INFO_V1(promote_check_name);
PG_FUNCTION_INFO_V1(promote_parse_instance_name);

#define QUOTED_LENGTH 200		/* bytes of a name that a message quotes back */

/* A name as it is given, and what it is to name. */
typedef struct GivenName
{
	const char *text;
	const char *kind;			/* "instance", "environment" */
	const char *rule;			/* a sentence: how one is called */
} GivenName;

/* Refuse a name for what is wrong with one of its parts. */
static void
refuse(const GivenName *name, const char *problem)
{
	ereport(ERROR,
			(errcode(PM_INVALID_NAME),
			 errmsg("invalid %s name \"%s\"", name->kind,
					pnstrdup(name->text, pg_mbcliplen(name->text, strlen(name->text), QUOTED_LENGTH))),
			 errdetail("%s", problem),
			 errhint("%s", name->rule)));
}

/*
 * Check a name, or a part of one: lower-case letters, digits and underscores,
 * with single dashes between them where dashes are allowed.  subject is what
 * a sentence calls it, and how it is quoted there.
 */
static void
check_letters(const GivenName *name, const char *subject, const char *quoted, const char *part, bool dashes)
{
	Size		length = strlen(part);

	if (length == 0)
		refuse(name, psprintf("%s is empty.", subject));
	if (length > NAME_MAX_LENGTH)
		refuse(name, psprintf("%s is longer than %d characters.", subject, NAME_MAX_LENGTH));
	for (Size i = 0; i < length; i++)
	{
		char		c = part[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
			continue;
		if (c != '-' || !dashes)
			refuse(name, psprintf("%s%s holds a character other than a lower-case letter, a digit or an underscore.", subject, quoted));
		if (i == 0 || i == length - 1 || part[i - 1] == '-')
			refuse(name, psprintf("%s%s begins or ends with a dash or has two in a row.", subject, quoted));
	}
}

/* Check a part of a name, what says which. */
static void
check_part(const GivenName *name, const char *what, const char *part, bool dashes)
{
	check_letters(name, psprintf("Its %s", what), psprintf(" \"%s\"", part), part, dashes);
}

/*
 * Take a name apart into key, allocated in the current memory context.
 * Raises PM_INVALID_NAME, saying which part is wrong.
 */
void
instance_key_parse(const char *text, InstanceKey *key)
{
	const GivenName	name = {text, "instance",
	"An instance is called project-environment-component, as in ecomm-staging-db or api-prod-uswest-db."};
	const char *first = strchr(text, '-');
	const char *last = strrchr(text, '-');

	if (first == NULL || first == last)
		refuse(&name, "It has fewer than three parts.");
	key->project = pnstrdup(text, first - text);
	key->environment = pnstrdup(first + 1, last - first - 1);
	key->component = pstrdup(last + 1);
	check_part(&name, "project", key->project, false);
	check_part(&name, "environment", key->environment, true);
	check_part(&name, "component", key->component, false);
}

/*
 * Take an environment's name apart: its project, a dash, and what it is called
 * there.  The key has no component.
 */
void
environment_name_parse(const char *text, InstanceKey *key)
{
	const GivenName	name = {text, "environment",
	"An environment is called project-environment, as in ecomm-staging or api-prod-uswest."};
	const char *dash = strchr(text, '-');

	if (dash == NULL)
		refuse(&name, "It has fewer than two parts.");
	key->project = pnstrdup(text, dash - text);
	key->environment = pstrdup(dash + 1);
	key->component = NULL;
	check_part(&name, "project", key->project, false);
	check_part(&name, "environment", key->environment, true);
}

/* Refuse a tag of an environment that is malformed.  It begins with a letter, so that it is no time. */
void
tag_name_check(const char *tag)
{
	const GivenName	name = {tag, "tag",
	"A tag has up to 63 lower-case letters, digits, underscores, dashes and dots, the first one a letter, as in before-v2.1."};
	Size		length = strlen(tag);

	if (length == 0 || length > NAME_MAX_LENGTH)
		refuse(&name, length == 0 ? "It is empty." : psprintf("It is longer than %d characters.", NAME_MAX_LENGTH));
	if (tag[0] < 'a' || tag[0] > 'z')
		refuse(&name, "It does not begin with a lower-case letter.");
	if (strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != length)
		refuse(&name, "It holds a character other than a lower-case letter, a digit, an underscore, a dash or a dot.");
}

/* The instance's name, allocated in the current memory context; a refusal that quotes it is about the instance. */
char *
instance_key_name(const InstanceKey *key)
{
	char	   *name = psprintf("%s-%s-%s", key->project, key->environment, key->component);

	refusal_mention(name);
	return name;
}

/* The order in which rows of instances are locked. */
int
instance_key_compare(const InstanceKey *a, const InstanceKey *b)
{
	int			order = strcmp(a->project, b->project);

	if (order == 0)
		order = strcmp(a->environment, b->environment);
	if (order == 0)
		order = strcmp(a->component, b->component);
	return order;
}

/* What the domains of names are for, and what is said where one refuses. */
static const struct
{
	const char *kind;
	bool		dashes;
	const char *rule;
}			kinds[] = {
	{"project", false,
	"A project's name has up to 63 lower-case letters, digits and underscores, as in web_shop: dashes part the names of instances."},
	{"environment", true,
	"An environment's name has up to 63 lower-case letters, digits and underscores, with single dashes between them, as in prod-uswest."},
	{"component", false,
	"A component's name has up to 63 lower-case letters, digits and underscores, as in web_api: dashes part the names of instances."},
	{"bundle", true,
	"A bundle's name has up to 63 lower-case letters, digits and underscores, with single dashes between them, as in aws-postgres."},
	{"consumer", true,
	"A consumer's name has up to 63 lower-case letters, digits and underscores, with single dashes between them, as in to-chat."},
};

/* promote_internal.check_name(name text, kind text) returns boolean: true, or PM_INVALID_NAME */
Datum
promote_check_name(PG_FUNCTION_ARGS)
{
	char	   *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (strcmp(kind, "tag") == 0)
	{
		tag_name_check(value);
		PG_RETURN_BOOL(true);
	}
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
		{
			const GivenName name = {value, kind, kinds[i].rule};

			check_letters(&name, "It", "", value, kinds[i].dashes);
			PG_RETURN_BOOL(true);
		}
	elog(ERROR, "no names are of that kind: %s", kind);
}

/*
 * promote.parse_instance_name(instance text)
 * returns record (project text, environment text, component text)
 */
Datum
promote_parse_instance_name(PG_FUNCTION_ARGS)
{
	InstanceKey key;

	instance_key_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &key);
	return result_row(fcinfo, AS_KEY(&key));
}

/* A list of names, char *, with commas between them. */
char *
names_joined(const List *names)
{
	StringInfoData joined;
	ListCell   *cell;

	initStringInfo(&joined);
	foreach(cell, names)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? ", " : "", (char *) lfirst(cell));
	return joined.data;
}

/* A list of names, char *, as an array of text. */
Datum
names_array(const List *names)
{
	Datum	   *elements = palloc(Max(list_length(names), 1) * sizeof(Datum));
	ListCell   *cell;

	foreach(cell, names)
		elements[foreach_current_index(cell)] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(names), TEXTOID, -1, false, TYPALIGN_INT));
}

/* Does the list contain the name? */
bool
names_hold(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}
