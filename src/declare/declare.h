/*
 * declare.h: rows that people declare, made what was asked for.
 *
 *	DeclaredKind *kind = declare_kind("environment");
 *	Declaration	declaration;
 *
 *	declare_require(kind, NULL, given);			before sql_enter: may the caller?
 *	sql_enter(&sql);
 *	declare_row(&sql, kind, given, DECLARE_MERGE, &declaration);
 *	... declaration.action is "create", "change" or "keep" ...
 *	sql_leave(&sql);
 *
 * What is given is an object by the names of columns: the key, and what is declared.  A value that is no document is a
 * string as the column's type reads it, in ISO 8601 where it is a time or an interval; null, and the empty string where
 * a text may be null, say that there is to be none.  A column that is not among it keeps what it has where the mode is
 * DECLARE_MERGE, and gets its default where that is DECLARE_WHOLE or the row is new.
 *
 * In a scope that only reads (sql.reads) nothing is written, and the declaration says what would be.
 */
#ifndef PROMOTE_DECLARE_DECLARE_H
#define PROMOTE_DECLARE_DECLARE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "base/sql.h"

/* What becomes of columns that are not given, and of a row that is not there. */
typedef enum DeclareMode
{
	DECLARE_MERGE, DECLARE_WHOLE, DECLARE_EXISTING	/* merge into a row that has to be there */
} DeclareMode;

/* A column that is declared. */
typedef struct DeclaredColumn
{
	const char *name;
	const char *action;			/* the grant that changing it takes; NULL: the kind's */
	const char *spelled;		/* an expression that spells a value %s as the table does; NULL: as given */
	const char *masked_by;		/* a column that says whether this one is sensitive; NULL: it never is */
	bool		exact;			/* values differ that = takes for equal, such as intervals of a day and of 24 hours */
} DeclaredColumn;

struct KindStatements;
typedef struct DeclaredKind DeclaredKind;

/* Something that can be declared: a row of the table of this name. */
struct DeclaredKind
{
	const char *name;			/* of the table, and in declarations */
	const char *action;			/* the grant that it takes, in the project and environment that the row names */
	bool		everywhere;		/* the grant has to count everywhere */
	bool		fixed;			/* what it says never changes */
	const char *instead;		/* the hint where it has history, and cannot be removed */
	const char *counts;			/* a condition on the row t without which it is as if not there; NULL: none */
	/* opens what is over under the key, as if it were inserted; false: there is nothing of that key.  NULL: never */
	bool		(*open) (const Sql *sql, const Jsonb *given);
	/* refuses what is given to be created or changed, where the caller may not have it so; NULL: nothing of it */
	void		(*judge) (const Sql *sql, const Jsonb *given);
	DeclaredColumn columns[24]; /* a name of NULL ends them */
	struct KindStatements *statements;	/* made at first use in a backend */
};

/* What a row was, and what was made of it. */
typedef struct Declaration
{
	const char *kind;
	const char *name;			/* the key in words, as in the subjects of the audit log */
	const char *action;			/* create, change, keep, delete */
	Jsonb	   *changes;		/* an array of {"column", "old", "new"} */
} Declaration;

/* The columns of promote.declaration. */
#define AS_DECLARATION(declaration) AS_TEXT((declaration)->kind), AS_TEXT((declaration)->name), \
	AS_TEXT((declaration)->action), AS_JSONB((declaration)->changes)

extern DeclaredKind *declare_kind(const char *name);
extern void declare_require(DeclaredKind *kind, const char *action, const Jsonb *given);
extern void declare_require_gone(DeclaredKind *kind, const Jsonb *given);
extern void declare_row(const Sql *sql, DeclaredKind *kind, const Jsonb *given, DeclareMode mode,
						Declaration *declaration);
extern void declare_gone(const Sql *sql, DeclaredKind *kind, const Jsonb *given, Declaration *declaration);
extern char *declare_given(const Jsonb *given, const char *column);

/* Verbs whose arguments have the names of columns; the action is NULL where it is the kind's. */
extern Datum declare_call(FunctionCallInfo fcinfo, const char *kind, const char *action, DeclareMode mode);
extern Datum declare_gone_call(FunctionCallInfo fcinfo, const char *kind);

#endif							/* PROMOTE_DECLARE_DECLARE_H */
