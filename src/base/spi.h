/*
 * spi.h: the one way in which C code here runs SQL.
 *
 * A scope is a connection to SPI as the extension's owner with a pinned
 * search path, so that statements mean the same whoever calls and whatever
 * the caller has put into the path.  A statement is prepared once per
 * backend and kept.
 */
#ifndef PROMOTE_BASE_SPI_H
#define PROMOTE_BASE_SPI_H

#include "postgres.h"

#include "base/compat.h"
#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define STATEMENT_MAX_PARAMETERS 22

/* Defined static where it is used, with its text and parameter types. */
typedef struct Statement
{
	const char *text;
	int			parameters;
	Oid			types[STATEMENT_MAX_PARAMETERS];
	SPIPlanPtr	plan;			/* NULL before its first use in this backend */
} Statement;

/* What to go back to when the scope is left. */
typedef struct SpiScope
{
	Oid			user;
	int			security_context;
	int			guc_level;		/* 0: the settings were as they should be */
	MemoryContext caller;		/* where results that outlive the scope go */
} SpiScope;

extern void spi_set_local(const char *name, const char *value);
extern void spi_enter(SpiScope *scope);
extern void spi_leave(SpiScope *scope);
extern int	statement_run(Statement *statement, Datum *values, const bool *nulls,
						  bool read_only);
extern uint64 statement_lock(Statement *statement, Datum *values);
extern void spi_command(const char *text);
extern Portal spi_open(const char *text, int parameters, Oid *types, Datum *values);
extern Portal statement_open(Statement *statement, Datum *values, const bool *nulls,
							 bool read_only);
extern Datum spi_value(SPITupleTable *rows, uint64 row, int column, bool *isnull);
extern int32 spi_integer(SPITupleTable *rows, uint64 row, int column);
extern bool spi_bool(SPITupleTable *rows, uint64 row, int column);
extern char *spi_text(SPITupleTable *rows, uint64 row, int column);
extern Jsonb *spi_jsonb(SPITupleTable *rows, uint64 row, int column);
extern TimestampTz spi_time(SPITupleTable *rows, uint64 row, int column);
extern Datum text_or_null(const char *value, bool *isnull);
extern bytea *spi_bytea(SPITupleTable *rows, uint64 row, int column);
extern void spi_push_latest(void);
pg_noreturn extern void refuse_unseen(void);
extern Oid tables_owner(void);

#endif							/* PROMOTE_BASE_SPI_H */
