/*
 * name.c: instances' names, taken apart and put together.
 *
 * The first segment is the project, the last the component, and all between
 * is the environment.  Whether they exist is not asked here.  The rules are
 * those of the domains in sql/name.sql.
 */
#include "postgres.h"

#include "errors.h"
#include "name.h"

#include "fmgr.h"
#include "funcapi.h"
#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_parse_instance_name);

#define QUOTED_LENGTH 200		/* bytes of a name that a message quotes back */

/* Refuse a name for what is wrong with one of its parts. */
static void
refuse(const char *name, const char *problem)
{
	ereport(ERROR,
			(errcode(PM_INVALID_NAME),
			 errmsg("invalid instance name \"%s\"",
					pnstrdup(name, pg_mbcliplen(name, strlen(name), QUOTED_LENGTH))),
			 errdetail("%s", problem),
			 errhint("An instance is called project-environment-component, as in ecomm-staging-db or api-prod-uswest-db.")));
}

/*
 * Check one part: lower-case letters, digits and underscores, with single
 * dashes between them where dashes are allowed.
 */
static void
check_part(const char *name, const char *what, const char *part, bool dashes)
{
	Size		length = strlen(part);

	if (length == 0)
		refuse(name, psprintf("Its %s is empty.", what));
	if (length > NAME_MAX_LENGTH)
		refuse(name, psprintf("Its %s is longer than %d characters.", what, NAME_MAX_LENGTH));
	for (Size i = 0; i < length; i++)
	{
		char		c = part[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
			continue;
		if (c != '-' || !dashes)
			refuse(name, psprintf("Its %s \"%s\" holds a character other than a lower-case letter, a digit or an underscore.", what, part));
		if (i == 0 || i == length - 1 || part[i - 1] == '-')
			refuse(name, psprintf("Its %s \"%s\" begins or ends with a dash or has two in a row.", what, part));
	}
}

/*
 * Take a name apart into key, allocated in the current memory context.
 * Raises PM_INVALID_NAME, saying which part is wrong.
 */
void
instance_key_parse(const char *name, InstanceKey *key)
{
	const char *first = strchr(name, '-');
	const char *last = strrchr(name, '-');

	if (first == NULL || first == last)
		refuse(name, "It has fewer than three parts.");
	key->project = pnstrdup(name, first - name);
	key->environment = pnstrdup(first + 1, last - first - 1);
	key->component = pstrdup(last + 1);
	check_part(name, "project", key->project, false);
	check_part(name, "environment", key->environment, true);
	check_part(name, "component", key->component, false);
}

/* The instance's name, allocated in the current memory context. */
char *
instance_key_name(const InstanceKey *key)
{
	return psprintf("%s-%s-%s", key->project, key->environment, key->component);
}

/* The key as the first three parameters of a statement. */
void
instance_key_values(const InstanceKey *key, Datum *values)
{
	values[0] = CStringGetTextDatum(key->project);
	values[1] = CStringGetTextDatum(key->environment);
	values[2] = CStringGetTextDatum(key->component);
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

/*
 * promote.parse_instance_name(instance text)
 * returns record (project text, environment text, component text)
 */
Datum
promote_parse_instance_name(PG_FUNCTION_ARGS)
{
	InstanceKey key;
	TupleDesc	row_type;
	Datum		values[3];
	bool		nulls[3] = {false};

	instance_key_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &key);
	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "parse_instance_name must return a row");
	values[0] = CStringGetTextDatum(key.project);
	values[1] = CStringGetTextDatum(key.environment);
	values[2] = CStringGetTextDatum(key.component);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls)));
}
