/*
 * override.c: gates that are overridden: for one plan, for the reasons that
 * stood, by a role that a rule names, and in the open.
 */
#include "postgres.h"

#include "gate/approval.h"
#include "gate/override.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* The roles that may override a gate in the instance's environment, a row each. */
static void
read_roles(const Sql *sql, const InstanceKey *key, const char *code)
{
	static OldStatement read = {
		.text = "SELECT o.role FROM promote.override_rule AS o WHERE o.project = $1 AND o.environment = $2"
		" AND o.code = $3 ORDER BY o.role",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3] = {
		CStringGetTextDatum(key->project),
		CStringGetTextDatum(key->environment),
		CStringGetTextDatum(code)
	};

	statement_run(sql, &read, values, NULL, false);
}

/* Does somebody speak as one of those that may override the gate? */
bool
override_may(const Sql *sql, const InstanceKey *key, const char *code, const Person *person)
{
	read_roles(sql, key, code);
	for (uint64 i = 0; i < SPI_processed; i++)
		if (not_member_because(person, spi_text(SPI_tuptable, i, 1)) == NULL)
			return true;
	return false;
}

/* ---- what was overridden ---- */

/* Is a text one of an array's? */
static bool
contains_text(Datum array, const char *sought)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i] && strcmp(TextDatumGetCString(elements[i]), sought) == 0)
			return true;
	return false;
}

/* Let one row of gate_override count for the reasons that it covers. */
static void
apply_row(GateCase *gate, SPITupleTable *rows, uint64 row)
{
	char	   *code = spi_text(rows, row, 1);
	bool		isnull;
	Datum		subjects = spi_value(rows, row, 2, &isnull);
	ListCell   *cell;

	foreach(cell, gate->blockers)
	{
		Blocker    *blocker = lfirst(cell);

		if (!blocker->overridable || strcmp(blocker->code, code) != 0 ||
			!contains_text(subjects, blocker->subject))
			continue;
		blocker->overridden = true;
		blocker->override_deployment = spi_integer(rows, row, 3);
		blocker->override = spi_integer(rows, row, 4);
	}
}

/*
 * Let the overrides of the case's plan count, and of its equals, of those who
 * may still override; not where it had come to no result yet, or was of
 * another release, or with other remote references.
 */
static void
apply_rows(const Sql *sql, GateCase *gate)
{
	static OldStatement read = {
		.text = "SELECT o.code, o.subjects, o.deployment, o.override, o.actor, o.database_role"
		" FROM promote.gate_override AS o"
		" WHERE " OF_INSTANCE("o") " AND (o.deployment IN ($4, $5) OR o.plan_digest = $6)"
		" AND o.plan_digest IS NOT DISTINCT FROM $6"
		" AND EXISTS (SELECT FROM promote.deployment AS d WHERE " SAME_INSTANCE("d", "o")
		"  AND d.deployment = o.deployment AND d.bundle = $7 AND d.version = $8"
		"  AND ($5 = 0 OR d.remote_references IS NOT DISTINCT FROM (SELECT p.remote_references"
		"   FROM promote.deployment AS p WHERE " OF_INSTANCE("p") " AND p.deployment = $5)))"
		" ORDER BY o.deployment, o.override",
		.parameters = 8,
		.types = {TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, BYTEAOID, TEXTOID, TEXTOID}
	};
	bool		nulls[8] = {[5] = gate->plan_digest == NULL,[7] = gate->version == NULL};
	Datum		values[8];
	SPITupleTable *rows;

	deployment_values(&gate->key, gate->deployment, values);
	values[4] = Int32GetDatum(gate->plan);
	values[5] = PointerGetDatum(gate->plan_digest);
	values[6] = CStringGetTextDatum(gate->bundle);
	values[7] = gate->version ? CStringGetTextDatum(gate->version) : (Datum) 0;
	statement_run(sql, &read, values, nulls, true);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		Person		by = {.actor = spi_text(rows, i, 5),.database_role = spi_text(rows, i, 6)};

		/* who has asked for the case since has not overridden their own approval either */
		if (strcmp(spi_text(rows, i, 1), "approval") == 0 && approval_is_own(sql, gate, &by))
			continue;
		if (override_may(sql, &gate->key, spi_text(rows, i, 1), &by))
			apply_row(gate, rows, i);
	}
}

/*
 * Hold a judged case against what was overridden: mark the reasons that may
 * be and those that are.
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
		{
			read_roles(sql, &gate->key, blocker->code);
			blocker->overridable = SPI_processed > 0;
		}
		any |= blocker->overridable;
	}
	if (any)
		apply_rows(sql, gate);
}
