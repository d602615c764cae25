/*
 * record_mark.h: rows that verbs wrote and that no event covers yet.
 */
#ifndef PROMOTE_LEDGER_RECORD_MARK_H
#define PROMOTE_LEDGER_RECORD_MARK_H

#include "postgres.h"

#include "utils/jsonb.h"

extern void mark_row(const char *project, const char *subject, const char *row, const char *digest);
extern bool mark_waits(const char *project, const char *subject);
extern void mark_init(void);
extern Jsonb *mark_take(const char *project, const char *subject);

#endif							/* PROMOTE_LEDGER_RECORD_MARK_H */
