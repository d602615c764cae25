/*
 * row.h: rows of promote.secret.
 */
#ifndef PROMOTE_SECRET_ROW_H
#define PROMOTE_SECRET_ROW_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "base/sql.h"
#include "json/builder.h"
#include "parse/name.h"
#include "secret/declaration.h"
#include "secret/key.h"

#define SECRET_MAX_BYTES (1024 * 1024)

/* A secret of an instance, without the value. */
typedef struct SecretRow
{
	char	   *name;
	bytea	   *fingerprint;
	bool		json;			/* was it set as JSON? */
	int32		revision;		/* that the promotion leads to which writes it; 0: another, or none */
	TimestampTz began;			/* when what runs was begun, for that promotion; DT_NOBEGIN: nothing runs */
} SecretRow;

extern List *secret_rows(const Sql *sql, const InstanceKey *key, bool read_only);
extern const SecretRow *secret_row_find(const List *rows, const char *name);
extern char *secret_row_open(const Sql *sql, const SecretKeys *keys, const InstanceKey *key, const SecretRow *row,
							 bool read_only, Size *length);
extern void secret_row_write(const Sql *sql, const SecretKeys *keys, const InstanceKey *key,
							 const SecretRow *row, const char *value, Size length);
extern bool secret_row_delete(const Sql *sql, const InstanceKey *key, const char *name);
extern void secret_check_value(const InstanceKey *key, const SecretDeclaration *declared,
							   const char *value, Size length);
extern bytea *secret_fingerprint(const char *project, const char *value, Size length);
extern void secret_check_opened(const InstanceKey *key, const char *name, const bytea *fingerprint,
								const char *value, Size length);
extern void secret_record(const Sql *sql, const InstanceKey *key, const char *event, JsonBuilder *data);

#endif							/* PROMOTE_SECRET_ROW_H */
