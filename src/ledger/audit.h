/*
 * audit.h: the audit log, whose rows form a chain for each subject.
 */
#ifndef PROMOTE_LEDGER_AUDIT_H
#define PROMOTE_LEDGER_AUDIT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/snapshot.h"

#include "base/batch.h"
#include "base/sql.h"
#include "json/builder.h"

/* The last row of a subject's chain. */
typedef struct AuditHead
{
	int64		seq;			/* 0: the chain is empty */
	bytea	   *hash;			/* NULL with it */
} AuditHead;

/* A row of promote.audit_log without its hash. */
typedef struct AuditEvent
{
	const char *project;
	const char *subject;
	int64		seq;
	TimestampTz at;
	const char *actor;
	const char *database_role;
	const char *event;
	const Jsonb *data;
	const Jsonb *rows;			/* digests of the rows that the event covers; NULL: none */
	const bytea *previous_hash; /* NULL: the first of its chain */
} AuditEvent;

/* An event for audit_append. */
typedef struct AuditEntry
{
	const char *event;
	const Jsonb *data;
} AuditEntry;

#define AUDIT_MAX_ENTRIES 2		/* that one call can append */
#define AUDIT_MAX_LABEL 1000	/* bytes of a selector or attributes that are shown in clear */
#define AUDIT_CHECKPOINT "audit.checkpoint"	/* stands for pruned rows of a chain */
#define AUDIT_NO_PROJECT "*"	/* stands for the project where there is none */

extern char *audit_hex(const bytea *bytes);
extern char *audit_time(TimestampTz at);
extern char *audit_text(const char *project, Oid type, Datum value);
extern bytea *audit_hash(const AuditEvent *event);
extern bool audit_is_named(const char *name, const char *const *names, int count);
extern bool audit_is_next(const char *name, const char *const *names, int count, int *found);
extern Jsonb *audit_facts(HeapTuple row, TupleDesc row_type, bool named,
						  const char *const *names, int count);
extern void audit_take_head(const char *project, const char *subject, Snapshot snapshot, AuditHead *head);
extern void audit_read_head(const char *project, const char *subject, AuditHead *head);
extern void audit_append(const Sql *sql, AuditHead *head, const char *project, const char *subject,
						 const AuditEntry *entries, int count);
extern void audit_begin_batch(Batch *batch);
extern void audit_put(Batch *batch, AuditHead *head, const char *project, const char *subject,
					  const AuditEntry *entries, int count);
extern void audit_write(const Sql *sql, Batch *batch);
extern void audit_begin(JsonBuilder *facts);
extern int64 audit_note(const Sql *sql, const char *project, const char *subject, const char *event,
						const Jsonb *data);
extern int64 audit_note_facts(const Sql *sql, const char *project, const char *subject, const char *event,
							  JsonBuilder *facts);

#endif							/* PROMOTE_LEDGER_AUDIT_H */
