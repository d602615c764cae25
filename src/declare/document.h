/*
 * document.h: a document that is being applied.
 */
#ifndef PROMOTE_DECLARE_DOCUMENT_H
#define PROMOTE_DECLARE_DOCUMENT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "declare/section.h"
#include "parse/name.h"

/* What a document has to be. */
typedef struct DocumentForm
{
	int			version;		/* the newest one that is known */
	Statement	schema;
	const char *what;			/* such a document is, in a sentence */
	const char *schema_name;	/* what returns the schema */
	const char *renew;			/* the hint for a newer version */
	const char *divide;			/* the hint for one that is too large */
} DocumentForm;

/* A call. */
typedef struct Applying
{
	const Sql  *sql;
	const Jsonb *document;
	const char *project;
	const char *message;		/* of what is configured; NULL: none */
	bool		prune;			/* is what the document lacks deleted? */
	MemoryContext context;		/* of what is told */
	List	   *said;			/* Declaration *: the rows of the result */
	List	   *missing;		/* char *: grants that the caller lacks; nothing is written once there is one */

	/* where it is, for errors */
	const DocumentSection *section;
	int			place;			/* 0: in none of its elements */
} Applying;

/* declare/document_check.c */
extern void document_check(const Sql *sql, DocumentForm *form, const Jsonb *document);

extern void document_say(Applying *applying, const Declaration *said);
extern InstanceKey document_instance(const Applying *applying, const Jsonb *given);
extern List *document_apply_desired(Applying *applying, const DocumentElement *element);
extern void document_apply_references(Applying *applying, const List *elements, const List *references);

/* declare/document_mark.c */
extern bool document_has_mask(const JsonbValue *value);
extern Jsonb *document_unmask(const Jsonb *document, const Jsonb *present, const Jsonb *masked, char **unknown);
extern void document_unmask_parameters(const Sql *sql, DocumentElement *element);

#endif							/* PROMOTE_DECLARE_DOCUMENT_H */
