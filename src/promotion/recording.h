/*
 * recording.h: writing what judged proposals come to: instances that move, plans, and what the audit log says.
 */
#ifndef PROMOTE_PROMOTION_RECORDING_H
#define PROMOTE_PROMOTION_RECORDING_H

#include "postgres.h"

#include "base/batch.h"
#include "base/sql.h"
#include "promotion/proposal.h"
#include "promotion/stage.h"

/* A set of judged proposals that are recorded together. */
typedef struct Recording
{
	MemoryContext context;		/* of all that is kept until it is written */
	Batch		moves;
	Batch		configs;
	Batch		plans;
	List	   *chains;			/* what the log gets: RecordedChain * */
} Recording;

/* recording.c */
extern void config_store(const Sql *sql, const char *project, const Jsonb *params);
extern void record_proposal(const Sql *sql, ProposedRevision *proposed, RevisionRecord *record);
extern void record_leave(RevisionRecord *record, const ProposedRevision *proposed);
extern void config_begin_batch(Batch *configs);
extern void config_put(Batch *configs, const char *project, const bytea *digest, const Jsonb *params);
extern void config_write(const Sql *sql, Batch *configs);
extern void recording_begin(Recording *recording);
extern void recording_add(Recording *recording, const ProposedRevision *proposed);
extern void recording_write(const Sql *sql, Recording *recording);

#endif							/* PROMOTE_PROMOTION_RECORDING_H */
