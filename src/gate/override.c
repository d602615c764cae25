/*
 * override.c: gates that are overridden.  An override is for one plan and for the
 * reasons that stood, by a role that a rule names, and everybody can see it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "gate/approval.h"

/* The roles that may override a gate in the instance's environment. */
static SqlRows
read_roles(const Sql *sql, const InstanceKey *key, const char *code)
{
	static Statement read = {"SELECT o.role FROM promote.override_rule AS o WHERE o.project = $1 AND o.environment = $2"
		" AND o.code = $3 ORDER BY o.role"};

	return sql_run(sql, &read, AS_TEXT(key->project), AS_TEXT(key->environment), AS_TEXT(code));
}

/* May the person override the gate in the instance's environment? */
bool
override_may(const Sql *sql, const InstanceKey *key, const char *code, const Person *person)
{
	SqlRows		roles = read_roles(sql, key, code);

	for (uint64 i = 0; i < roles.count; i++)
		if (not_member_because(person, sql_text(&roles, i)) == NULL)
			return true;
	return false;
}

/* ---- what was overridden ---- */

/* A row of gate_override. */
typedef struct Override
{
	char	   *code;
	ArrayType  *subjects;
	int32		deployment;
	int32		number;
	Person		by;
} Override;

static const SqlField override_fields[] = {
	SQL_FIELDS(Override, "o", code, subjects, deployment),
	SQL_FIELD(Override, number, "o.override"),
	SQL_FIELD(Override, by.actor, "o.actor"),
	SQL_FIELD(Override, by.database_role, "o.database_role")
};

/* Does an array contain a text? */
static bool
contains_text(ArrayType *array, const char *sought)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i] && strcmp(TextDatumGetCString(elements[i]), sought) == 0)
			return true;
	return false;
}

/* Mark the reasons that an override covers. */
static void
apply(GateCase *gate, const Override *override)
{
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		Blocker    *blocker = lfirst(cell);

		if (!blocker->overridable || strcmp(blocker->code, override->code) != 0 ||
			!contains_text(override->subjects, blocker->subject))
			continue;
		blocker->overridden = true;
		blocker->override_deployment = override->deployment;
		blocker->override = override->number;
	}
}

/*
 * Apply the overrides of the case's plan and of equal plans, if who made them may
 * still override.  One that was made before the plan had a result does not count
 * once it has.
 */
static void
apply_rows(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(override_fields,
									 "SELECT $* FROM promote.gate_override AS o WHERE " OF_INSTANCE("o")
									 " AND (o.deployment IN ($4, $5) OR o.plan_digest = $6) AND o.plan_digest IS NOT DISTINCT FROM $6"
									 " AND EXISTS (SELECT FROM promote_internal.equal_plan($1, $2, $3, o.deployment, $7, $8, $5))"
									 " ORDER BY o.deployment, o.override");
	SqlRows		rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->deployment), AS_INT(gate->plan),
								AS_BYTEA(gate->plan_digest), AS_TEXT(gate->bundle), AS_TEXT(gate->version));

	for (uint64 i = 0; i < rows.count; i++)
	{
		Override	override;

		(void) sql_row(&rows, i, &override);
		/* nobody overrides the approval of what they ask for, even if they have asked later */
		if (strcmp(override.code, "approval") == 0 && approval_is_own(sql, gate, &override.by))
			continue;
		if (override_may(sql, &gate->key, override.code, &override.by))
			apply(gate, &override);
	}
}

/*
 * Mark the reasons of a judged case that may be overridden, and those that are.
 */
void
override_apply(const Sql *sql, GateCase *gate)
{
	ListCell   *cell;
	bool		any = false;

	foreach(cell, gate->blockers)
	{
		Blocker    *blocker = lfirst(cell);

		if (blocker->overridable)
			blocker->overridable = read_roles(sql, &gate->key, blocker->code).count > 0;
		any |= blocker->overridable;
	}
	if (any)
		apply_rows(sql, gate);
}
