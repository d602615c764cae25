/*
 * sql.h: the one way in which C code here runs SQL.
 *
 * A scope, Sql, is a connection to SPI as the extension's owner with a pinned
 * search path, so that statements mean the same whoever calls and whatever the
 * caller has put into the path.  Whatever runs a statement takes the open scope
 * as an argument.  A statement is prepared at its first use in a backend, with
 * the types of the values that it is called with then, and kept.
 *
 *	static Statement read = SQL_ROWS(facts_fields, "SELECT $* FROM promote.instance AS i WHERE " OF_INSTANCE("i"));
 *	SqlRows		rows = sql_read(sql, &read, AS_KEY(key));
 *
 *	if (!sql_row(&rows, 0, &facts))
 *		refuse ...
 */
#ifndef PROMOTE_BASE_SQL_H
#define PROMOTE_BASE_SQL_H

#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/rangetypes.h"

#include "base/compat.h"
#include "base/shared.h"
#include "base/value.h"

/* An open scope, with what sql_leave restores. */
typedef struct Sql
{
	Oid			user;
	int			security_context;
	int			guc_level;		/* 0: the settings were right already */
	MemoryContext caller;		/* for results that outlive the scope */
	bool		reads;			/* does what would read what is committed now read by the active snapshot? */
} Sql;

/* The types that a member of a struct can be read as; sql_row says what NULL becomes. */
typedef enum SqlKind
{
	SQL_TEXT, SQL_INT, SQL_WIDE, SQL_BOOL, SQL_JSONB, SQL_BYTEA, SQL_INTERVAL, SQL_ENUM, SQL_ARRAY, SQL_RANGE,
	SQL_RECORD
} SqlKind;

/* A column of a statement's result, and the member of a struct that takes it. */
typedef struct SqlField
{
	const char *expression;		/* in the statement's SELECT or RETURNING list */
	SqlKind		kind;
	Size		offset;
	const char *const *names;	/* of SQL_ENUM: the names of its members, see sql_enum */
} SqlField;

/* A field for a member of a struct type.  The member's C type decides which type the column must have. */
#define SQL_FIELD(type, member, expression) \
	{expression, _Generic(((type *) 0)->member, \
						  char *: SQL_TEXT, const char *: SQL_TEXT, \
						  int32: SQL_INT, int64: SQL_WIDE, bool: SQL_BOOL, \
						  Jsonb *: SQL_JSONB, const Jsonb *: SQL_JSONB, \
						  bytea *: SQL_BYTEA, const bytea *: SQL_BYTEA, \
						  Interval *: SQL_INTERVAL, ArrayType *: SQL_ARRAY, RangeType *: SQL_RANGE, \
						  HeapTupleHeader: SQL_RECORD), offsetof(type, member)}

/* Of members that are columns of the row AS alias, by their own names: (type, "i", project, environment, ...). */
#define SQL_FIELDS(type, alias, ...) \
	SQL_FIELDS_PICK(__VA_ARGS__, SQL_FIELDS_16, SQL_FIELDS_15, SQL_FIELDS_14, SQL_FIELDS_13, SQL_FIELDS_12, \
		SQL_FIELDS_11, SQL_FIELDS_10, SQL_FIELDS_9, SQL_FIELDS_8, SQL_FIELDS_7, SQL_FIELDS_6, SQL_FIELDS_5, \
		SQL_FIELDS_4, SQL_FIELDS_3, SQL_FIELDS_2, SQL_FIELDS_1) \
	(type, alias, __VA_ARGS__)
#define SQL_FIELDS_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, pick, \
		...) pick
#define SQL_FIELDS_1(t, a, m) SQL_FIELD(t, m, a "." #m)
#define SQL_FIELDS_2(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_1(t, a, __VA_ARGS__)
#define SQL_FIELDS_3(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_2(t, a, __VA_ARGS__)
#define SQL_FIELDS_4(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_3(t, a, __VA_ARGS__)
#define SQL_FIELDS_5(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_4(t, a, __VA_ARGS__)
#define SQL_FIELDS_6(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_5(t, a, __VA_ARGS__)
#define SQL_FIELDS_7(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_6(t, a, __VA_ARGS__)
#define SQL_FIELDS_8(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_7(t, a, __VA_ARGS__)
#define SQL_FIELDS_9(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_8(t, a, __VA_ARGS__)
#define SQL_FIELDS_10(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_9(t, a, __VA_ARGS__)
#define SQL_FIELDS_11(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_10(t, a, __VA_ARGS__)
#define SQL_FIELDS_12(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_11(t, a, __VA_ARGS__)
#define SQL_FIELDS_13(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_12(t, a, __VA_ARGS__)
#define SQL_FIELDS_14(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_13(t, a, __VA_ARGS__)
#define SQL_FIELDS_15(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_14(t, a, __VA_ARGS__)
#define SQL_FIELDS_16(t, a, m, ...) SQL_FIELDS_1(t, a, m), SQL_FIELDS_15(t, a, __VA_ARGS__)

/* A field for a member that is an enum in C and text in SQL; names is the enum's table of names. */
#define SQL_ENUM_FIELD(type, member, expression, names) \
	{expression, SQL_ENUM, offsetof(type, member) + \
		0 * sizeof(char[sizeof(((type *) 0)->member) == sizeof(int) ? 1 : -1]), names}

/* A statement is a static variable in the function that uses it: {"SELECT ..."}, or SQL_ROWS. */
typedef struct Statement
{
	const char *text;			/* with fields: "$*" stands for their expressions */
	const SqlField *fields;		/* NULL: one column, or none */
	int			count;			/* of the fields */
	SPIPlanPtr	plan;			/* NULL before its first use in this backend */
	bool		checked;		/* were its columns compared with the fields? */
} Statement;

/* A statement whose rows are read by a table of fields. */
#define SQL_ROWS(table, sql_text) {.text = sql_text, .fields = table, .count = lengthof(table)}

/* A value that a statement is called with. */
typedef struct SqlValue
{
	Oid			type;
	bool		isnull;
	Datum		datum;
} SqlValue;

/* The rows that a statement returned.  They are valid until the scope is left. */
typedef struct SqlRows
{
	Statement  *statement;
	SPITupleTable *table;		/* NULL: it returns no rows */
	uint64		count;			/* of the rows, or of those that the statement wrote */
	Shared	   *shared;			/* where documents that many rows hold are kept once; NULL: nowhere */
} SqlRows;

/* Takes a row of a query, see sql_each. */
typedef void (*SqlTake) (void *state, TupleTableSlot *row);

/* The snapshot that a statement uses, see sql_call. */
typedef enum SqlMode
{
	SQL_LATEST, SQL_READ, SQL_LOCK
} SqlMode;

/*
 * Values that statements are called with.  NULL, 0 and DT_NOEND, by which C says "none",
 * become SQL NULL.  AS_INT passes 0 as 0; AS_NUMBER passes it as NULL.
 */
static inline SqlValue
sql_value(Oid type, bool isnull, Datum datum)
{
	return (SqlValue) {type, isnull, datum};
}

/* A text. */
static inline SqlValue
sql_text_value(const char *text)
{
	return sql_value(TEXTOID, text == NULL, text ? CStringGetTextDatum(text) : (Datum) 0);
}

/* A value of a type that is passed by reference. */
static inline SqlValue
sql_pointer_value(Oid type, const void *pointer)
{
	return sql_value(type, pointer == NULL, PointerGetDatum(pointer));
}

/* A number; 0 is none. */
static inline SqlValue
sql_number_value(int32 number)
{
	return sql_value(INT4OID, number == 0, Int32GetDatum(number));
}

/* A time; DT_NOEND is none. */
static inline SqlValue
sql_time_value(TimestampTz time)
{
	return sql_value(TIMESTAMPTZOID, time == DT_NOEND, TimestampTzGetDatum(time));
}

#define AS_TEXT(text) sql_text_value(text)
#define AS_INT(number) sql_value(INT4OID, false, Int32GetDatum(number))
#define AS_NUMBER(number) sql_number_value(number)
#define AS_BIGINT(number) sql_value(INT8OID, false, Int64GetDatum(number))
#define AS_BOOL(truth) sql_value(BOOLOID, false, BoolGetDatum(truth))
#define AS_JSONB(document) sql_pointer_value(JSONBOID, document)
#define AS_BYTEA(bytes) sql_pointer_value(BYTEAOID, bytes)
#define AS_TIME(time) sql_time_value(time)
#define AS_INTERVAL(span) sql_pointer_value(INTERVALOID, span)
#define AS_OID(oid) sql_value(OIDOID, false, ObjectIdGetDatum(oid))
#define AS_TEXTS(array) sql_pointer_value(TEXTARRAYOID, DatumGetPointer(array))
/* an InstanceKey, as the three parameters that OF_INSTANCE knows */
#define AS_KEY(key) AS_ENVIRONMENT(key), AS_TEXT((key)->component)
/* the first two of them */
#define AS_ENVIRONMENT(key) AS_TEXT((key)->project), AS_TEXT((key)->environment)

/*
 * The values of a call as an array, and their number.  An unused first element keeps the array
 * from being empty.
 */
#define SQL_VALUES(...) (const SqlValue[]) {{0}, __VA_ARGS__}
#define SQL_CALL(...) &(SQL_VALUES(__VA_ARGS__))[1], (int) lengthof((SQL_VALUES(__VA_ARGS__))) - 1

/* Run a statement on what is committed now: (sql, &statement, values...). */
#define sql_run(sql, statement, ...) sql_call(sql, statement, SQL_LATEST, SQL_CALL(__VA_ARGS__))
/* Read by the active snapshot: the caller's, or one that was pushed. */
#define sql_read(sql, statement, ...) sql_call(sql, statement, SQL_READ, SQL_CALL(__VA_ARGS__))
/* Read as sql_read does if read_only, and as sql_run does otherwise. */
#define sql_read_if(sql, read_only, statement, ...) \
	sql_call(sql, statement, (read_only) ? SQL_READ : SQL_LATEST, SQL_CALL(__VA_ARGS__))
/* Open a cursor over the rows of a read-only statement. */
#define sql_open(sql, statement, read_only, ...) sql_cursor(sql, statement, read_only, SQL_CALL(__VA_ARGS__))

extern void sql_set_local(const char *name, const char *value);
extern void sql_pin_output(void);
extern void sql_enter(Sql *sql);
extern void sql_leave(const Sql *sql);
extern SqlRows sql_call(const Sql *sql, Statement *statement, SqlMode mode, const SqlValue *values, int count);
extern Portal sql_cursor(const Sql *sql, Statement *statement, bool read_only, const SqlValue *values, int count);
extern uint64 sql_calls(void);
extern SqlRows sql_fetched(Statement *statement);
extern int	sql_enum(const char *const *names, const char *name);
extern List *sql_list(SqlRows *rows, Size size);
extern Portal sql_open_once(const Sql *sql, const char *text, const SqlValue *values, int count);
extern void sql_each(const Sql *sql, const char *text, const SqlValue *values, int count, SqlTake take, void *state);
extern bool sql_row(SqlRows *rows, uint64 row, void *into);
extern void sql_put(const SqlField *field, NullableDatum value, Oid type, Shared *shared, void *into);
extern NullableDatum sql_datum(const SqlRows *rows, uint64 row);
extern List *sql_texts(const SqlRows *rows);
extern void sql_command(const Sql *sql, const char *text);
extern void sql_push_latest(void);
extern void sql_push_committed(void);
pg_noreturn extern void refuse_unseen(void);
extern Oid	table_oid(const char *table);
extern Oid	tables_owner(void);

/* The only column of a row, as base/value.h reads it. */
#define sql_text(rows, row) value_text(sql_datum(rows, row))
#define sql_int(rows, row) value_int(sql_datum(rows, row))
#define sql_wide(rows, row) value_wide(sql_datum(rows, row))
#define sql_bool(rows, row) value_bool(sql_datum(rows, row))
#define sql_time(rows, row) value_time(sql_datum(rows, row))
#define sql_jsonb(rows, row) value_jsonb(sql_datum(rows, row))
#define sql_bytea(rows, row) value_bytea(sql_datum(rows, row))

#endif							/* PROMOTE_BASE_SQL_H */
