/*
 * stage.h: what the verbs that give an instance a new desired state share.
 */
#ifndef PROMOTE_STAGE_H
#define PROMOTE_STAGE_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "name.h"
#include "spi.h"
#include "utils/jsonb.h"

/* What an instance desires now. */
typedef struct Desired
{
	int32		revision;		/* 0: nothing yet */
	int32		deployment;
	Jsonb	   *params;			/* NULL with revision 0, as all that follows */
	bytea	   *digest;
	char	   *version_constraint;
	char	   *release_channel;
} Desired;

/* The desired state to come, and the words it is recorded with. */
typedef struct Staging
{
	InstanceKey key;
	const char *origin;
	Jsonb	   *params;
	const char *version_constraint;
	const char *release_channel;
	const char *source_environment; /* NULL: not from another instance */
	int32		source_revision;
	const Jsonb *overrides;		/* NULL: none */
	const char *message;		/* NULL: none */
	bool		plan;
	bool		allow_replace;
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

extern void stage_lock(const InstanceKey *key, bool for_update);
extern void stage_read(const InstanceKey *key, bool read_only, Desired *desired);
extern void stage_check_revision(const InstanceKey *key, const Desired *desired,
								 int32 expected);
extern void stage_write(const Staging *staging, const Desired *desired,
						MemoryContext caller, Staged *staged);
extern Datum stage_result(FunctionCallInfo fcinfo, const Staged *staged);
extern void refuse_unknown(const InstanceKey *key) pg_attribute_noreturn();
extern void refuse_unconfigured(const InstanceKey *key, const char *hint) pg_attribute_noreturn();

extern char *argument_text(FunctionCallInfo fcinfo, int argument);
extern bool argument_bool(FunctionCallInfo fcinfo, int argument, bool otherwise);
extern void argument_instance(FunctionCallInfo fcinfo, int argument, const char *name,
							  InstanceKey *key);
extern Jsonb *argument_params(FunctionCallInfo fcinfo, int argument, const char *what);

#endif							/* PROMOTE_STAGE_H */
