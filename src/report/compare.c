/*
 * compare.c: in what two deployments, or two instances, differ.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/tuplestore.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/result.h"
#include "base/sql.h"
#include "compose/entry.h"
#include "grant/access.h"
#include "json/render.h"
#include "json/writer.h"
#include "promotion/deployment.h"
#include "promotion/diff.h"
#include "promotion/proposal_single.h"
#include "promotion/stage.h"
#include "registry/instance.h"
#include "registry/remote_reference.h"
#include "report/compare.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_compare_deployments);
PG_FUNCTION_INFO_V1(promote_compare_instances);

/* One of the two.  Members that are NULL are not compared. */
typedef struct Side
{
	InstanceKey key;
	int32		deployment;
	char	   *action;
	char	   *status;
	Compared	state;
	int32		recorded;		/* PLAN deployment that was recorded for it; 0: none */
} Side;

/* What is read of a deployment AS d. */
static const SqlField deployment_fields[] = {
	SQL_FIELDS(Side, "d", action, status),
	SQL_FIELD(Side, recorded, "(SELECT p.deployment FROM promote.deployment AS p WHERE " SAME_INSTANCE("p", "d")
			  " AND p.deployment = CASE d.action WHEN 'PLAN' THEN d.deployment ELSE d.plan END"
			  " AND p.plan_facts IS NOT NULL)")
};

/* What is read of an instance AS i: the plan is the last recorded one of the revision that it desires. */
static const SqlField instance_fields[] = {
	SQL_FIELD(Side, status, "i.status"),
	SQL_FIELD(Side, recorded, "(SELECT d.deployment FROM promote_internal.last_recorded_plan(i.project, i.environment,"
			  " i.component) AS d WHERE d.revision = i.revision)")
};

/* Refuse to compare two that are not of one component. */
static void
check_pair(const Side *a, const Side *b)
{
	if (strcmp(a->key.project, b->key.project) == 0 &&
		strcmp(a->key.component, b->key.component) == 0)
		return;
	ereport(ERROR,
			(errcode(PM_COMPONENT_MISMATCH),
			 errmsg("cannot compare \"%s\" with \"%s\"", instance_key_name(&a->key),
					instance_key_name(&b->key)),
			 errdetail("One is component \"%s\" of project \"%s\", the other component \"%s\" of project \"%s\".",
					   a->key.component, a->key.project, b->key.component, b->key.project),
			 errhint("Compare instances of one component.")));
}

/* Parse the number of a deployment.  Raises PM_INVALID_NAME where the digits are none. */
static int32
parse_number(const char *name, const char *digits)
{
	int			length = strspn(digits, "0123456789");

	if (length > 0 && length < 10 && digits[length] == '\0' && digits[0] != '0')
		return atoi(digits);
	ereport(ERROR,
			(errcode(PM_INVALID_NAME),
			 errmsg("invalid deployment \"%s\"", name),
			 errdetail("What is behind the slash is not a number from 1."),
			 errhint("Name a deployment as in 'ecomm-staging-db/7'; without a number it is the last one.")));
}

/* Take an argument that names a deployment; deployment is 0 where the name has no number. */
static void
argument_deployment(FunctionCallInfo fcinfo, int argument, Side *side)
{
	char	   *name = argument_text(fcinfo, argument);
	char	   *slash = name ? strrchr(name, '/') : NULL;

	memset(side, 0, sizeof(*side));
	if (slash == NULL)
	{
		argument_instance_for(fcinfo, argument, "deployment", "view", &side->key);
		return;
	}
	side->deployment = parse_number(name, slash + 1);
	*slash = '\0';
	instance_key_parse(name, &side->key);
	access_require("view", &side->key);
}

/* Read a deployment. */
static void
read_deployment(const Sql *sql, Side *side)
{
	static Statement read = SQL_ROWS(deployment_fields, "SELECT $* FROM promote.deployment AS d"
									 " WHERE " OF_INSTANCE("d") " AND d.deployment = $4");
	int32		last = deployment_last(sql, &side->key);
	SqlRows		rows;

	if (side->deployment == 0)
		side->deployment = last;
	rows = sql_read(sql, &read, AS_KEY(&side->key), AS_INT(side->deployment));
	if (!sql_row(&rows, 0, side) || !deployment_carries(sql, &side->key, side->deployment, true, &side->state.carried))
		refuse_unknown_deployment(sql, &side->key, side->deployment);
}

/* Read what an instance desires, as it would be rendered now. */
static void
read_desired(const Sql *sql, Side *side)
{
	static Statement read = SQL_ROWS(instance_fields, "SELECT $* FROM promote.instance AS i WHERE " OF_INSTANCE("i"));
	ProposedRevision proposed;
	const Proposal *proposal = &proposed.proposal;
	SqlRows		rows;

	proposal_from(sql, &side->key, side->key.environment, NULL, NULL, true, &proposed);
	if (proposal_is_fresh(&proposed))
		refuse_unconfigured(&side->key, "Configure it first, with promote.configure_instance.");
	proposal_require_release(sql, &proposed);
	rows = sql_read(sql, &read, AS_KEY(&side->key));
	(void) sql_row(&rows, 0, side);
	proposed.proposal.rendered = json_render(proposal->params, proposal->parameters, true);
	proposal_render_references(&proposed);
	proposal_carried(&proposed, &side->state.carried);
	side->state.carried.revision = proposed.current_revision;
	side->state.carried.kept = proposal->own_kept;
	memcpy(side->state.other_schemas, proposal->other_schemas, sizeof(side->state.other_schemas));
}

/* Put one row. */
static void
put_row(FunctionCallInfo fcinfo, const char *kind, const char *path, const char *change,
		const Jsonb *a, const Jsonb *b, bool sensitive)
{
	result_put(fcinfo, AS_TEXT(kind), AS_TEXT(path), AS_TEXT(change), AS_JSONB(a), AS_JSONB(b), AS_BOOL(sensitive));
}

/* Put a row if two words differ; NULL is not compared. */
static void
put_words(FunctionCallInfo fcinfo, const char *kind, const char *a, const char *b)
{
	if (a && b && strcmp(a, b) != 0)
		put_row(fcinfo, kind, NULL, "change", json_from_text(a), json_from_text(b), false);
}

/* A number as a document. */
static Jsonb *
json_from_number(int32 number)
{
	JsonbValue	value = {.type = jbvNumeric,.val.numeric = int64_to_numeric(number)};

	return json_from_view(&value);
}

/* What must not be seen of two states: what any release of either calls sensitive, wherever the value is by now. */
Mask *
compared_mask(const Compared *a, const Compared *b)
{
	const Compared *sides[] = {a, b};
	Mask	   *mask = mask_create(a->carried.schema);

	mask_add_schema(mask, b->carried.schema);
	for (int i = 0; i < lengthof(sides); i++)
	{
		const Carried *carried = &sides[i]->carried;

		mask_add_pair(mask, carried->template ? carried->template : carried->params, carried->params, carried->kept);
		for (int j = 0; j < lengthof(sides[i]->other_schemas); j++)
			mask_add_schema(mask, sides[i]->other_schemas[j]);
	}
	return mask;
}

/* Add the releases, the leaves and the references in which two states differ. */
void
compared_entries(const Compared *a, const Compared *b, Entries *entries)
{
	entries_add_release(entries, &a->carried, &b->carried);
	if (a->carried.params != b->carried.params && !json_is_copy(a->carried.params, b->carried.params))
		entries_add_leaves(entries, compared_mask(a, b), &a->carried, &b->carried);
	entries_add_references(entries, a->carried.references, b->carried.references, NIL);
}

/* Put the releases, the leaves and the references that differ. */
static void
put_entries(FunctionCallInfo fcinfo, const Side *a, const Side *b)
{
	Entries		entries = {NULL};

	compared_entries(&a->state, &b->state, &entries);
	for (Size i = 0; i < entries.count; i++)
	{
		const Entry *entry = &entries.list[i];

		put_row(fcinfo, entry_kind_name(entry), entry->path, entry_change(entry), entry_old(entry),
				entry_new(entry), (entry->flags & SCHEMA_SENSITIVE) != 0);
	}
}

/*
 * Put the resources of which the recorded plans say different things.  If a side
 * has no recorded plan, nothing is known of the difference.
 */
static void
put_resources(const Sql *sql, FunctionCallInfo fcinfo, const Side *a, const Side *b)
{
	static Statement read = {"SELECT * FROM promote_internal.planned_differences($1, $2, $3, $4, $5, $6)"};
	SqlRows		rows;

	if (a->recorded == 0 || b->recorded == 0)
		return;
	rows = sql_read(sql, &read, AS_TEXT(a->key.project), AS_TEXT(a->key.component), AS_TEXT(a->key.environment),
					AS_INT(a->recorded), AS_TEXT(b->key.environment), AS_INT(b->recorded));
	result_add_rows(fcinfo, &rows);
}

/* Take the references of a side as all environments would have them that are wired alike. */
static void
relate_references(Side *side)
{
	side->state.carried.references = reference_relative(&side->key, side->state.carried.references);
}

/* Put all rows. */
static void
put_all(const Sql *sql, FunctionCallInfo fcinfo, Side *a, Side *b)
{
	relate_references(a);
	relate_references(b);
	put_words(fcinfo, "action", a->action, b->action);
	put_words(fcinfo, "status", a->status, b->status);
	if (a->state.carried.revision != b->state.carried.revision)
		put_row(fcinfo, "revision", NULL, "change", json_from_number(a->state.carried.revision),
				json_from_number(b->state.carried.revision), false);
	put_entries(fcinfo, a, b);
	put_resources(sql, fcinfo, a, b);
}

/* promote.compare_deployments(a text, b text) returns table, see sql/report/compare.sql */
Datum
promote_compare_deployments(PG_FUNCTION_ARGS)
{
	Side		a;
	Side		b;
	Sql			sql;

	argument_deployment(fcinfo, 0, &a);
	argument_deployment(fcinfo, 1, &b);
	check_pair(&a, &b);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	read_deployment(&sql, &a);
	read_deployment(&sql, &b);
	put_all(&sql, fcinfo, &a, &b);
	sql_leave(&sql);
	return (Datum) 0;
}

/* promote.compare_instances(a text, b text) returns table, see sql/report/compare.sql */
Datum
promote_compare_instances(PG_FUNCTION_ARGS)
{
	Side		a = {{NULL}};
	Side		b = {{NULL}};
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "view", &a.key);
	argument_instance_for(fcinfo, 1, "instance", "view", &b.key);
	check_pair(&a, &b);
	InitMaterializedSRF(fcinfo, 0);
	sql_enter(&sql);
	read_desired(&sql, &a);
	read_desired(&sql, &b);
	put_all(&sql, fcinfo, &a, &b);
	sql_leave(&sql);
	return (Datum) 0;
}
