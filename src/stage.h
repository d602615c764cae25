/*
 * stage.h: what the verbs that give an instance a new desired state share.
 */
#ifndef PROMOTE_STAGE_H
#define PROMOTE_STAGE_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "name.h"
#include "proposal.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define ARGUMENT_MAX_BYTES (1024 * 1024)	/* of a text argument */

/* The words that a new desired state is recorded with. */
typedef struct Staging
{
	const char *origin;
	const char *source_environment; /* NULL: from nowhere but what is desired */
	const Jsonb *overrides;		/* NULL: none can be */
	const char *message;		/* NULL: none */
} Staging;

/* What came of it: the row that the verbs return. */
typedef struct Staged
{
	const char *destination;
	int32		old_revision;	/* 0: none */
	int32		new_revision;
	int32		deployment;		/* 0: none was queued */
	bool		changed;
	Jsonb	   *diff;			/* in the caller's memory context */
} Staged;

extern void require_instance(const InstanceKey *key);
extern void refuse_unconfigured(const InstanceKey *key, const char *hint);
extern void stage_lock(const InstanceKey *key, bool for_update);
extern void stage_rescue(const InstanceKey *key);
extern void stage_read(const InstanceKey *destination, const char *source_environment,
					   const char *version_constraint, const char *release_channel,
					   bool read_only, ProposedRevision *proposed);
extern void stage_check_revision(FunctionCallInfo fcinfo, int argument,
								 const ProposedRevision *proposed);
extern bool stage_is_unchanged(const ProposedRevision *proposed);
extern void stage_write(const Staging *staging, ProposedRevision *proposed,
						MemoryContext caller, Staged *staged);
extern Datum stage_result(FunctionCallInfo fcinfo, const Staged *staged);

extern char *argument_text(FunctionCallInfo fcinfo, int argument);
extern char *argument_required(FunctionCallInfo fcinfo, int argument, const char *name);
extern int32 argument_number(FunctionCallInfo fcinfo, int argument, const char *name);
extern const char *argument_action(const char *action);
extern TimestampTz argument_time(FunctionCallInfo fcinfo, int argument, const char *name);
extern bool argument_bool(FunctionCallInfo fcinfo, int argument, bool otherwise);
extern void argument_instance(FunctionCallInfo fcinfo, int argument, const char *name,
							  InstanceKey *key);
extern void argument_instance_for(FunctionCallInfo fcinfo, int argument, const char *name,
								  const char *action, InstanceKey *key);
extern Jsonb *argument_params(FunctionCallInfo fcinfo, int argument, const char *what);

#endif							/* PROMOTE_STAGE_H */
