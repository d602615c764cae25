/*
 * recorded.c: which tables are recorded, by which triggers, and in which chains.
 *
 * The recorders know no table: the key is the primary key, in the order of the
 * table's columns, the chain's project the column of that name, and the
 * trigger's arguments are the columns that are recorded.  A column that the
 * table's owner has added is none of them.
 */
#include "postgres.h"

#include "ledger/audit.h"
#include "ledger/recorded.h"

#include "access/table.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* The chains that the events of verbs are in. */
static const ChainKind kinds[] = {
	{"instance", "%s-%s-%s", {"project", "environment", "component"},
		" AND t.project = pg_catalog.split_part($1, '-', 1)"
		" AND t.environment = pg_catalog.substring($1, '^[^-]*-(.*)-[^-]*$')"
		" AND t.component = pg_catalog.substring($1, '-([^-]*)$')"
	},
	{"request", "request %s/%s", {"project", "request"},
		" AND t.project = pg_catalog.substring($1, '^request ([a-z0-9_]+)/[0-9]{1,9}$')"
		" AND t.request = pg_catalog.substring($1, '^request [a-z0-9_]+/([0-9]{1,9})$')::pg_catalog.int4"
	},
	{"release", "bundle_release %s/%s", {"bundle", "version"},
		" AND t.bundle = pg_catalog.substring($1, '^bundle_release ([^/]+)/')"
		" AND t.version = pg_catalog.substring($1, '^bundle_release [^/]+/(.+)$')"
	},
	{"line", "line %s", {"project"},
		" AND COALESCE(t.project, '" AUDIT_NO_PROJECT "') = pg_catalog.substring($1, '^line (.*)$')"
	}
};

/* A trigger of a table that records; NULL: it has none. */
Trigger *
record_trigger(Relation table, const char *name)
{
	TriggerDesc *triggers = table->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (strcmp(triggers->triggers[i].tgname, name) == 0)
			return &triggers->triggers[i];
	return NULL;
}

/* The kind of chain that the rows of record_row belong to; NULL: the trigger is record_change. */
const ChainKind *
record_kind(const Trigger *trigger)
{
	if (strcmp(trigger->tgname, "record_row") != 0)
		return NULL;
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].name, trigger->tgargs[0]) == 0)
			return &kinds[i];
	elog(ERROR, "there are no chains of the kind \"%s\"", trigger->tgargs[0]);
}

/* Are the rows of a table recorded as sets, which all columns of the key but the last tell apart? */
bool
record_is_set(Relation table)
{
	const char *name = RelationGetRelationName(table);

	return strcmp(name, "planned_change") == 0 || strcmp(name, "deployment_log") == 0;
}

/* Does a trigger record that column?  The first argument of record_row is no column. */
bool
record_column(const Trigger *trigger, const char *column)
{
	for (int i = trigger && record_kind(trigger) ? 1 : 0; trigger && i < trigger->tgnargs; i++)
		if (strcmp(trigger->tgargs[i], column) == 0)
			return true;
	return false;
}

/* Is the column one that promote made the table with, and holds against the log? */
bool
record_owns(Relation table, const char *column)
{
	return record_column(record_trigger(table, "record_change"), column) ||
		record_column(record_trigger(table, "record_row"), column);
}

/* The table of ours that a type of rows is of, to be closed; NULL: it is of none that is recorded. */
Relation
record_table(Oid row_type)
{
	Oid			oid = OidIsValid(row_type) ? get_typ_typrelid(row_type) : InvalidOid;
	Relation	table;
	char	   *schema;

	if (!OidIsValid(oid) || get_rel_relkind(oid) != RELKIND_RELATION)
		return NULL;
	table = table_open(oid, AccessShareLock);
	schema = get_namespace_name(RelationGetNamespace(table));
	if (schema && strcmp(schema, "promote") == 0 &&
		(record_trigger(table, "record_change") || record_trigger(table, "record_row")))
		return table;
	table_close(table, AccessShareLock);
	return NULL;
}

/* Do the rows that a trigger records belong to projects?  A column of that name that the table's owner has added says nothing of it. */
bool
record_has_project(const Trigger *trigger)
{
	const ChainKind *kind = record_kind(trigger);

	return kind ? strcmp(kind->columns[0], "project") == 0 : record_column(trigger, "project");
}
