/*
 * record_rows.c: the rows that the recorder keeps in the log, as they are
 * now, for whoever holds the log against them.
 *
 * Which tables these are says the catalog: those with the trigger
 * record_change.  Rows that come with promote (builtin) were never written by
 * anybody, and are left out.
 */
#include "postgres.h"

#include "record.h"
#include "grants.h"
#include "spi.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_recorded_rows);

#define ROWS_AT_ONCE 1000

/* What is asked for: all, or what one subject names. */
typedef struct Asked
{
	const char *subject;		/* NULL: all */
	ReturnSetInfo *result;
} Asked;

/*
 * The columns of a subject's key, whose table is that one; NIL: it is no
 * subject of the table's, or its key is there by a hash.
 */
static List *
subject_key(const char *subject, const char *table)
{
	Size		length = strlen(table);
	List	   *columns = NIL;
	StringInfoData column;

	if (strncmp(subject, table, length) != 0 || subject[length] != ' ')
		return NIL;
	initStringInfo(&column);
	for (const char *at = subject + length + 1;; at++)
	{
		if (*at == '/' || *at == '\0')
		{
			columns = lappend(columns, pstrdup(column.data));
			resetStringInfo(&column);
			if (*at == '\0')
				return columns;
			continue;
		}
		if (*at == '\\' && at[1])
			at++;
		appendStringInfoChar(&column, *at);
	}
}

/* Is it about that table at all? */
static bool
is_about(const Asked *asked, const char *table)
{
	Size		length = strlen(table);

	return asked->subject == NULL ||
		(strncmp(asked->subject, table, length) == 0 && asked->subject[length] == ' ');
}

/*
 * How a column is compared with its text in a key, which is that of its type's
 * output: the cast of a boolean to text spells the word out.
 */
static const char *
key_cast(Oid type)
{
	switch (getBaseType(type))
	{
		case TEXTOID:
			return "";
		case BOOLOID:
			return "::pg_catalog.text::pg_catalog.bpchar(1)::pg_catalog.text";
		default:
			return "::pg_catalog.text";
	}
}

/*
 * The condition that finds the row with a key, given as parameters: by the
 * index, as far as its columns are texts.  False: no row has such a key.
 */
static bool
append_condition(StringInfo query, Relation table, List *key, Datum *values)
{
	TupleDesc	row_type = RelationGetDescr(table);
	Bitmapset  *columns = RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			column = -1;
	int			count = 0;

	if (bms_num_members(columns) != list_length(key))
		return false;
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		Form_pg_attribute attribute =
			TupleDescAttr(row_type, column + FirstLowInvalidHeapAttributeNumber - 1);

		appendStringInfo(query, "%s t.%s%s = $%d", count == 0 ? " WHERE" : " AND",
						 quote_identifier(NameStr(attribute->attname)), key_cast(attribute->atttypid), count + 1);
		values[count] = CStringGetTextDatum(list_nth(key, count));
		count++;
	}
	return true;
}

/* Put one row into the result, unless another subject is asked for. */
static void
put_row(const Asked *asked, Relation table, const Trigger *trigger, HeapTupleHeader row)
{
	HeapTupleData tuple;
	RecordedRow read;
	Datum		values[3];
	bool		nulls[3] = {false};

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = RelationGetRelid(table);
	tuple.t_data = row;
	record_read(table, trigger, &tuple, &read);
	if (asked->subject && strcmp(asked->subject, read.subject) != 0)
		return;
	values[0] = CStringGetTextDatum(read.project);
	values[1] = CStringGetTextDatum(read.subject);
	values[2] = JsonbPGetDatum(read.facts);
	tuplestore_putvalues(asked->result->setResult, asked->result->setDesc, values, nulls);
}

/* Put the rows of a cursor into the result. */
static void
put_rows(const Asked *asked, Relation table, const Trigger *trigger, Portal cursor)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "promote row", ALLOCSET_DEFAULT_SIZES);

	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(cursor, true, ROWS_AT_ONCE);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext outer = MemoryContextSwitchTo(each);
			bool		isnull;

			put_row(asked, table, trigger,
					DatumGetHeapTupleHeader(spi_value(SPI_tuptable, i, 1, &isnull)));
			MemoryContextSwitchTo(outer);
			MemoryContextReset(each);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	MemoryContextDelete(each);
}

/* Put what is asked for of one table into the result. */
static void
put_table(const Asked *asked, Relation table)
{
	const char *name = RelationGetRelationName(table);
	List	   *key = asked->subject ? subject_key(asked->subject, name) : NIL;
	StringInfoData query;
	Datum		values[INDEX_MAX_KEYS];
	Oid			types[INDEX_MAX_KEYS];
	Portal		cursor;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT t FROM promote.%s AS t", quote_identifier(name));
	if (list_length(key) == 1 && strncmp(linitial(key), "sha256:", 7) == 0)
		key = NIL;				/* the rows themselves are asked */
	else if (asked->subject && !append_condition(&query, table, key, values))
		return;
	if (SPI_fnumber(RelationGetDescr(table), "builtin") > 0)
		appendStringInfoString(&query, key ? " AND NOT t.builtin" : " WHERE NOT t.builtin");
	for (int i = 0; i < list_length(key); i++)
		types[i] = TEXTOID;
	cursor = spi_open(query.data, list_length(key), types, values);
	put_rows(asked, table, record_trigger(table), cursor);
	SPI_cursor_close(cursor);
}

/*
 * promote.recorded_rows(subject text) returns table (project text, subject
 * text, facts jsonb)
 */
Datum
promote_recorded_rows(PG_FUNCTION_ARGS)
{
	static Statement find = {
		.text = "SELECT c.oid FROM pg_catalog.pg_class AS c"
		" JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = 'record_change'"
		" WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace ORDER BY c.relname"
	};
	Asked		asked = {PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0))};
	SPITupleTable *tables;
	uint64		count;
	SpiScope	scope;
	bool		isnull;

	access_require_in("audit", NULL, NULL);
	InitMaterializedSRF(fcinfo, 0);
	asked.result = (ReturnSetInfo *) fcinfo->resultinfo;
	spi_enter(&scope);
	statement_run(&find, NULL, NULL, true);
	tables = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		Relation	table = table_open(DatumGetObjectId(spi_value(tables, i, 1, &isnull)), AccessShareLock);

		if (is_about(&asked, RelationGetRelationName(table)))
			put_table(&asked, table);
		table_close(table, AccessShareLock);
	}
	spi_leave(&scope);
	return (Datum) 0;
}
