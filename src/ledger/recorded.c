/*
 * recorded.c: which tables are recorded, by which triggers and in which chains, and how the
 * log names and describes a row.
 *
 * The recorders know no table by name.  A row's key is the primary key in the order of the
 * table's columns, the chain's project is the column project, and the trigger's arguments are
 * the recorded columns.  Columns that the table's owner added are not recorded.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/bitmapset.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "ledger/audit.h"
#include "ledger/recorded.h"

PG_FUNCTION_INFO_V1(promote_audit_facts);

#define KEY_MAX_LENGTH 512		/* of a key in a subject; a longer key is replaced by its hash */

/* ---- tables ---- */

/* The kinds of chains that the events of verbs belong to. */
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

/* The trigger that records a table's rows; NULL: none does. */
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

/* Are the table's rows recorded as sets?  All columns of the key but the last tell sets apart. */
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

/* Is the column part of promote's own definition of the table, so that it is compared with the log? */
bool
record_owns(Relation table, const char *column)
{
	return record_column(record_trigger(table, "record_change"), column) ||
		record_column(record_trigger(table, "record_row"), column);
}

/*
 * Does a trigger record rows that belong to projects?  A column project that the table's owner
 * added does not count.
 */
bool
record_has_project(const Trigger *trigger)
{
	const ChainKind *kind = record_kind(trigger);

	return kind ? strcmp(kind->columns[0], "project") == 0 : record_column(trigger, "project");
}

/* ---- rows ---- */

/* Append one column of a key.  Slashes in it are escaped, because they separate the columns. */
void
record_append_key(StringInfo key, const char *value)
{
	if (key->len > 0)
		appendStringInfoChar(key, '/');
	for (; *value; value++)
	{
		if (*value == '/' || *value == '\\')
			appendStringInfoChar(key, '\\');
		appendStringInfoChar(key, *value);
	}
}

/* The hash that replaces a key too long for an index. */
static char *
hashed_key(const StringInfo key)
{
	bytea	   *bytes = (bytea *) cstring_to_text_with_len(key->data, key->len);

	return psprintf("sha256:%s", audit_hex(DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
																			   PointerGetDatum(bytes)))));
}

/* A subject: a table and a key. */
char *
record_subject(Relation table, const StringInfo key)
{
	return psprintf("%s %s", RelationGetRelationName(table),
					key->len > KEY_MAX_LENGTH ? hashed_key(key) : key->data);
}

/* The numbers of the key's columns, in the order of the table. */
List *
record_key(Relation table)
{
	Bitmapset  *columns = RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	List	   *numbers = NIL;
	int			column = -1;

	while ((column = bms_next_member(columns, column)) >= 0)
		numbers = lappend_int(numbers, column + FirstLowInvalidHeapAttributeNumber);
	bms_free(columns);
	return numbers;
}

/* The name of a row, or of the set that it belongs to: the table and the key. */
static char *
row_name(Relation table, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(table);
	List	   *numbers = record_key(table);
	int			count = list_length(numbers) - (record_is_set(table) ? 1 : 0);
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < count; i++)
	{
		int			number = list_nth_int(numbers, i);
		bool		isnull;
		Datum		value = heap_getattr(row, number, row_type, &isnull);

		record_append_key(&key, audit_text(NULL, getBaseType(TupleDescAttr(row_type, number - 1)->atttypid), value));
	}
	list_free(numbers);
	return record_subject(table, &key);
}

/* A column of a row as text; * where it is NULL or missing. */
static const char *
column_words(Relation table, HeapTuple row, const char *column)
{
	char	   *words = SPI_getvalue(row, RelationGetDescr(table), SPI_fnumber(RelationGetDescr(table), column));

	return words ? words : AUDIT_NO_PROJECT;
}

/* The chain whose events cover a row that a verb wrote. */
static char *
chain_subject(const ChainKind *kind, Relation table, HeapTuple row)
{
	const char *words[3] = {NULL};

	for (int i = 0; i < lengthof(words) && kind->columns[i]; i++)
		words[i] = column_words(table, row, kind->columns[i]);
	return psprintf(kind->format, words[0], words[1], words[2]);
}

/* How the log names a row, in the current memory context. */
void
record_name(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read)
{
	const ChainKind *kind = record_kind(trigger);

	read->project = record_has_project(trigger) ? column_words(table, row, "project") : AUDIT_NO_PROJECT;
	read->name = row_name(table, row);
	read->subject = kind ? chain_subject(kind, table, row) : read->name;
}

/* How the log describes a row: the columns that the trigger names. */
Jsonb *
record_facts(Relation table, const Trigger *trigger, HeapTuple row)
{
	int			first = record_kind(trigger) ? 1 : 0;

	return audit_facts(row, RelationGetDescr(table), true, (const char *const *) trigger->tgargs + first,
					   trigger->tgnargs - first);
}

/* How the log names and describes a row, in the current memory context. */
void
record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read)
{
	record_name(table, trigger, row, read);
	read->facts = record_facts(table, trigger, row);
}

/* ---- rows that are values ---- */

/* The recorded table of promote that has that row type, which the caller closes; NULL: none has. */
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

/*
 * The columns of promote's own definition of a table, without the named ones.  NULL: the type
 * is not that of a recorded table.
 */
static const char **
own_columns(Oid row_type, const char *const *without, int *count)
{
	const char **own = NULL;
	int			left = 0;
	int			found = -1;
	Relation	table = record_table(row_type);
	const Trigger *change;
	const Trigger *written;

	if (table == NULL)
		return NULL;
	change = record_trigger(table, "record_change");
	written = record_trigger(table, "record_row");
	own = palloc(table->rd_rel->relnatts * sizeof(char *));
	for (int i = 0; i < table->rd_rel->relnatts; i++)
	{
		const char *name = NameStr(TupleDescAttr(RelationGetDescr(table), i)->attname);

		if ((record_column(change, name) || (written && audit_is_next(name, (const char *const *) written->tgargs + 1,
																	  written->tgnargs - 1, &found))) &&
			!audit_is_named(name, without, *count))
			own[left++] = pstrdup(name);
	}
	*count = left;
	table_close(table, AccessShareLock);
	return own;
}

/*
 * What the audit log says of a row that is a value, as audit_facts.  Of promote's tables only
 * promote's own columns count.
 */
Jsonb *
record_facts_of_value(HeapTupleHeader row, bool named, const char *const *names, int count)
{
	TupleDesc	row_type = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
												  HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	Jsonb	   *facts;
	const char *const *own;

	own = named ? NULL : own_columns(row_type->tdtypeid, names, &count);
	facts = audit_facts(&tuple, row_type, named || own, own ? own : names, count);
	ReleaseTupleDesc(row_type);
	return facts;
}

/* promote_internal.audit_facts(row record, variadic without text[]) returns jsonb */
Datum
promote_audit_facts(PG_FUNCTION_ARGS)
{
	Datum	   *without;
	bool	   *nulls;
	const char **names;
	int			count;
	int			named = 0;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &without, &nulls, &count);
	names = palloc((count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			names[named++] = TextDatumGetCString(without[i]);
	PG_RETURN_JSONB_P(record_facts_of_value(PG_GETARG_HEAPTUPLEHEADER(0), false, names, named));
}
