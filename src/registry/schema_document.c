/*
 * schema_document.c: the documents that schemas refer to, read from their table.
 *
 * Rows of promote.schema_document are never changed or deleted, so the meaning of a schema
 * does not change.  Only a rollback can remove a registered document.  The table's trigger
 * sends an invalidation, which reaches this backend at a rollback, too, and makes the cache of
 * compiled schemas forget what it built from documents.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "registry/schema_document.h"
#include "schema/schema.h"

PG_FUNCTION_INFO_V1(promote_forget_schemas);
PG_FUNCTION_INFO_V1(promote_schema_document_check);

/* The table, once a document was looked up; before that, InvalidOid. */
static Oid	table = InvalidOid;

/* Called when a table, or all tables (InvalidOid), may have changed. */
static void
table_changed(Datum argument, Oid relation)
{
	if (relation == table || !OidIsValid(relation))
		schema_forget_documents();
}

/*
 * The document that is registered under a URI, in the current memory context; NULL: none.  A
 * SchemaDocumentSource.
 */
static const Jsonb *
find_document(const char *uri, int length)
{
	static Statement look = {"SELECT d.document FROM promote.schema_document AS d WHERE d.uri = $1"};
	MemoryContext caller = CurrentMemoryContext;
	SqlRows		rows;
	Jsonb	   *document = NULL;
	Sql			sql;

	sql_enter(&sql);
	table = table_oid("schema_document");
	/* a current release may refer to a document that is newer than the caller's snapshot */
	sql_push_latest();
	rows = sql_read(&sql, &look, sql_value(TEXTOID, false, PointerGetDatum(cstring_to_text_with_len(uri, length))));
	PopActiveSnapshot();
	if (rows.count > 0)
	{
		Jsonb	   *found = sql_jsonb(&rows, 0);

		document = MemoryContextAllocHuge(caller, VARSIZE(found));
		memcpy(document, found, VARSIZE(found));
	}
	sql_leave(&sql);
	return document;
}

/* Called once per backend, when the library is loaded. */
void
schema_document_init(void)
{
	schema_set_document_source(find_document);
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}

/*
 * promote_internal.forget_schemas() returns trigger
 *
 * BEFORE INSERT of schema_document, for each row, as a subscription fires no other triggers.  Schemas
 * that were compiled with the earlier documents are not used again, and those compiled after it are
 * not used if the insert is rolled back.
 */
Datum
promote_forget_schemas(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "schema_document", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(trigger_row(data));
}

/* The name of a release in warnings. */
typedef struct Published
{
	const char *bundle;
	const char *version;
	int			warnings;
} Published;

/* Warn of an annotation that has no effect.  A SchemaUnmetCollector. */
static void
warn_unmet(void *state, const char *place, const char *keyword)
{
	const int	max_warnings = 100;
	Published  *published = state;

	if (published->warnings++ >= max_warnings)
		return;
	ereport(WARNING,
			(errmsg("a mark in the schema of %s %s says nothing: %s", published->bundle,
					published->version, place),
			 errdetail("In this schema's dialect nothing in \"%s\" applies to a value there.", keyword),
			 errhint("Say by \"$schema\" which dialect it is written in, or use a keyword of this one.")));
}

/*
 * promote_internal.warn_unmet() returns trigger
 *
 * AFTER INSERT of bundle_release, for each row: warns the author now, because a published
 * schema cannot be changed.
 */
Datum
TRIGGER_FUNCTION(promote_warn_unmet)
{
	TriggerData *data = trigger_data(fcinfo, "bundle_release", TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	HeapTuple	row = data->tg_trigtuple;
	Jsonb	   *schema = trigger_jsonb(data, row, "params_schema");
	Published	published = {trigger_text(data, row, "bundle"), trigger_text(data, row, "version")};

	/* a restore may load the release before the documents that it refers to */
	schema_find_unmet(schema_check(schema), warn_unmet, &published);
	return PointerGetDatum(NULL);
}

/*
 * schema_document_check(uri, document): true, or an error that says why the document is no
 * valid schema under that URI.  Documents that it refers to are not read.
 */
Datum
promote_schema_document_check(PG_FUNCTION_ARGS)
{
	text	   *uri = PG_GETARG_TEXT_PP(0);
	Jsonb	   *document = PG_GETARG_JSONB_P(1);

	schema_check_document(document, VARDATA_ANY(uri), VARSIZE_ANY_EXHDR(uri));
	PG_RETURN_BOOL(true);
}
