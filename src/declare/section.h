/*
 * section.h: the sections of a project's document, each of rows of one kind.
 */
#ifndef PROMOTE_DECLARE_SECTION_H
#define PROMOTE_DECLARE_SECTION_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "base/sql.h"
#include "declare/declare.h"

#define DOCUMENT_VERSION 1

struct DocumentElement;

/* A section. */
typedef struct DocumentSection
{
	const char *name;			/* its key in documents, of an array of rows */
	const char *kind;
	const char *of_project;		/* which rows t are of project $1; NULL: those with that project */
	const char *rows;			/* the rows as documents have them; NULL: all of the table */
	/* puts in what documents mask; NULL: nothing is */
	void		(*complete) (const Sql *sql, struct DocumentElement *element);
	bool		single;			/* is it one row, and no array? */
	bool		shared;			/* do other projects use the rows, so that none is deleted? */
	bool		leaves;			/* does nothing refer to the rows, so that they are deleted before all else? */
	Statement	list;			/* made at first use in a backend, as the next one */
	Statement	unpack;
} DocumentSection;

/* An element of a section that is to be applied. */
typedef struct DocumentElement
{
	Jsonb	   *given;			/* as declare_row takes it */
	int32		place;			/* in the section, from 1 */
	bool		twice;			/* does another one have its key? */
	bool		tells;			/* a value that nobody is shown: whether it is that is for who may set it */
} DocumentElement;

extern DocumentSection document_sections[];
extern const int document_section_count;

extern List *section_rows(const Sql *sql, DocumentSection *section, const char *project, const Jsonb *document,
						  bool read_only);
extern List *section_elements(const Sql *sql, DocumentSection *section, const char *project, const Jsonb *document);

#endif							/* PROMOTE_DECLARE_SECTION_H */
