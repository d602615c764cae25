/*
 * document_check.c: whether a document is one that can be read: by its size, its version and its schema.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/compat.h"
#include "base/errors.h"
#include "declare/document.h"
#include "json/number.h"
#include "json/reader.h"
#include "schema/schema.h"

#define MAX_TOLD 20				/* places that a refusal names */
#define MAX_BYTES (64 * 1024 * 1024)	/* of a document's stored form */

/* Violations of the schema, as a refusal tells of them. */
typedef struct Violations
{
	StringInfoData told;
	int			count;
} Violations;

/* Note a violation.  A SchemaCollector. */
static void
note_violation(void *state, const SchemaViolation *violation)
{
	Violations *violations = state;

	if (violations->count++ < MAX_TOLD)
		appendStringInfo(&violations->told, "%s%s: %s", violations->told.len > 0 ? "\n" : "", violation->instance_path,
						 violation->message);
}

/* Refuse a document of another version than this one. */
static void
check_version(const DocumentForm *form, const Jsonb *document)
{
	JsonbValue	version;

	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg("the document is no object"),
				 errdetail("%s is an object with the keys version and project.", form->what),
				 errhint("%s says what it has.", form->schema_name)));
	if (json_find_in(document, "version", &version) && json_whole_number(&version) > form->version)
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg("the document is of version %d", json_whole_number(&version)),
				 errdetail("This is promote of version %d of documents.", form->version),
				 errhint("%s", form->renew)));
}

/* Refuse a document that is not one of the form: PM_TOO_LARGE, or PM_INVALID_DOCUMENT with the places. */
void
document_check(const Sql *sql, DocumentForm *form, const Jsonb *document)
{
	Violations	violations = {.count = 0};
	JsonbValue	view = json_view(document);
	SqlRows		rows;

	if (VARSIZE(document) > MAX_BYTES)
		ereport(ERROR,
				(errcode(PM_TOO_LARGE),
				 errmsg("the document is too large"),
				 errdetail("It has %zu bytes, and the limit is %d.", (size_t) VARSIZE(document), MAX_BYTES),
				 errhint("%s", form->divide)));
	check_version(form, document);
	initStringInfo(&violations.told);
	rows = sql_run(sql, &form->schema);
	if (!schema_validate(schema_compile(sql_jsonb(&rows, 0)), &view, note_violation, &violations))
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg_plural("the document breaks its schema in %d place", "the document breaks its schema in %d places",
							   violations.count, violations.count),
				 errdetail("%s", violations.told.data),
				 errhint("%s says what it has.", form->schema_name)));
}
