/*
 * document.h: a document that is being applied.
 */
#ifndef PROMOTE_DECLARE_DOCUMENT_H
#define PROMOTE_DECLARE_DOCUMENT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "declare/section.h"

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

extern void document_say(Applying *applying, const Declaration *said);
extern void document_apply_states(Applying *applying, List *elements);

/* declare/document_mark.c */
extern Jsonb *document_unmask(const Jsonb *document, const Jsonb *present, const Jsonb *masked, char **unknown);
extern void document_unmask_parameters(const Sql *sql, DocumentElement *element);

#endif							/* PROMOTE_DECLARE_DOCUMENT_H */
