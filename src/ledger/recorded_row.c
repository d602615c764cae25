/*
 * recorded_row.c: what the log has of a row, and what that is called.
 */
#include "postgres.h"

#include "ledger/audit.h"
#include "ledger/recorded.h"
#include "ledger/recorded_row.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#define KEY_MAX_LENGTH 512		/* of a key in a subject; a longer one is there by its hash */

/* Append one column of a key; slashes in it are escaped, for they part the columns. */
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

/* What stands for a key that no index would hold. */
static char *
hashed_key(const StringInfo key)
{
	bytea	   *bytes = (bytea *) cstring_to_text_with_len(key->data, key->len);

	return psprintf("sha256:%s", audit_hex(DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
																			   PointerGetDatum(bytes)))));
}

/* A table and a key as one. */
char *
record_subject(Relation table, const StringInfo key)
{
	return psprintf("%s %s", RelationGetRelationName(table),
					key->len > KEY_MAX_LENGTH ? hashed_key(key) : key->data);
}

/* What a row, or the set that it is in, is called: its table and its key. */
static char *
row_name(Relation table, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(table);
	Bitmapset  *columns = RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			left = bms_num_members(columns) - (record_is_set(table) ? 1 : 0);
	StringInfoData key;
	int			column = -1;

	initStringInfo(&key);
	while (left-- > 0)
	{
		int			number;
		bool		isnull;
		Datum		value;

		column = bms_next_member(columns, column);
		number = column + FirstLowInvalidHeapAttributeNumber;
		value = heap_getattr(row, number, row_type, &isnull);
		record_append_key(&key, audit_text(NULL, getBaseType(TupleDescAttr(row_type, number - 1)->atttypid), value));
	}
	bms_free(columns);
	return record_subject(table, &key);
}

/* The project whose log a row belongs to. */
static const char *
row_project(Relation table, const Trigger *trigger, HeapTuple row)
{
	char	   *project = record_has_project(trigger) ?
		SPI_getvalue(row, RelationGetDescr(table), SPI_fnumber(RelationGetDescr(table), "project")) : NULL;

	return project ? project : AUDIT_NO_PROJECT;
}

/* The chain that tells of a row that a verb has written. */
static char *
chain_subject(const ChainKind *kind, Relation table, HeapTuple row)
{
	const char *words[3] = {NULL};

	for (int i = 0; i < lengthof(words) && kind->columns[i]; i++)
	{
		words[i] = SPI_getvalue(row, RelationGetDescr(table),
								SPI_fnumber(RelationGetDescr(table), kind->columns[i]));
		if (words[i] == NULL)
			words[i] = AUDIT_NO_PROJECT;
	}
	return psprintf(kind->format, words[0], words[1], words[2]);
}

/* What the log has of a row, in the current memory context. */
void
record_read(Relation table, const Trigger *trigger, HeapTuple row, RecordedRow *read)
{
	const ChainKind *kind = record_kind(trigger);
	int			first = kind ? 1 : 0;

	read->project = row_project(table, trigger, row);
	read->name = row_name(table, row);
	read->subject = kind ? chain_subject(kind, table, row) : read->name;
	read->facts = audit_facts(row, RelationGetDescr(table), true,
							  (const char *const *) trigger->tgargs + first, trigger->tgnargs - first);
}
