/*
 * statement.h: the statements of a kind of declared rows.
 *
 * All of them take what is given, as an object, as $1; those that say so also whether what is not given gets its
 * default, as $2.
 */
#ifndef PROMOTE_DECLARE_STATEMENT_H
#define PROMOTE_DECLARE_STATEMENT_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/sql.h"
#include "declare/declare.h"

/* A column of a kind's table. */
typedef struct KindColumn
{
	const char *name;
	bool		required;		/* NOT NULL */
	bool		generated;
	bool		is_key;			/* part of the primary key */
	bool		is_text;
	const char *fallback;		/* its default, an expression; NULL: none */
	const DeclaredColumn *declared; /* NULL: it is not declared */
} KindColumn;

/* Rows of another table, or of the table itself, that have to be there. */
typedef struct KindParent
{
	const char *table;
	List	   *columns;		/* names of those that refer to it, char * */
	Statement	hold;			/* locks the row as a foreign key does; no row: it is not there */
} KindParent;

/* A row that was found. */
typedef struct DeclaredRow
{
	Jsonb	   *changes;		/* what is asked for that it is not */
	char	   *project;		/* where it counts; NULL: everywhere */
	char	   *environment;
} DeclaredRow;

/* What is known of a kind, and what runs for it. */
typedef struct KindStatements
{
	KindColumn *columns;		/* in the table's order */
	int			count;
	List	   *parents;		/* of KindParent */
	Statement	name;			/* the key as texts, a row for each of its columns */
	Statement	read;			/* the row, with $2: a DeclaredRow */
	Statement	lock;			/* read, behind whoever changes the row */
	Statement	draft;			/* what a row that is inserted has beside defaults: a DeclaredRow */
	Statement	insert;			/* no row is written where there is one */
	Statement	update;			/* with $2 */
	Statement	last;			/* what the row has beside defaults: a DeclaredRow */
	Statement	last_lock;		/* last, behind whoever refers to the row */
	Statement	referring;		/* tables with rows that refer to it; no text: none can */
	Statement	delete;
} KindStatements;

extern KindStatements *kind_statements(DeclaredKind *kind);
extern const KindColumn *kind_column(DeclaredKind *kind, const char *name);

#endif							/* PROMOTE_DECLARE_STATEMENT_H */
