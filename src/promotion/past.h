/*
 * past.h: what instances desired, revision by revision, the newest first.
 *
 * A revision is read without its configuration.  Of these the last few are kept, so that a walk
 * over a long history holds no more memory than one over a short one.
 */
#ifndef PROMOTE_PROMOTION_PAST_H
#define PROMOTE_PROMOTION_PAST_H

#include "postgres.h"

#include "base/sql.h"
#include "compose/mask.h"
#include "parse/name.h"
#include "promotion/proposal.h"

#define PAST_CONFIGS 4			/* documents that are kept: of a revision, the one before, a source, and one to spare */

/* A revision, in a memory context of its own. */
typedef struct PastRevision
{
	MemoryContext context;
	int32		revision;
	bytea	   *digest;
	char	   *version_constraint;
	char	   *release_channel;
	char	   *bundle;
	char	   *version;
	RevisionOrigin origin;
	char	   *source_environment; /* may be the instance's own; NULL: none */
	int32		source_revision;	/* 0: none */
	char	   *actor;
	TimestampTz created_at;
	char	   *message;		/* NULL: none */
	Jsonb	   *kept;			/* paths that keep marks, see mask.h; NULL: none */
} PastRevision;

/* A configuration that was read. */
typedef struct PastConfig
{
	MemoryContext context;		/* NULL: the place is free */
	bytea	   *digest;
	Jsonb	   *params;
	uint64		used;			/* when it was last asked for, counted in questions */
} PastConfig;

/* The configurations of a project that were read last.  It starts as {project, the memory context of all}. */
typedef struct PastConfigs
{
	const char *project;
	MemoryContext context;
	uint64		questions;
	PastConfig	kept[PAST_CONFIGS];
} PastConfigs;

extern PastRevision *past_read(const Sql *sql, const InstanceKey *key, int32 at_most);
extern PastRevision *past_before(const Sql *sql, const InstanceKey *key, int32 revision);
extern PastRevision *past_require(const Sql *sql, const InstanceKey *key, int32 revision);
extern PastRevision *past_newest(const Sql *sql, const InstanceKey *key);
extern Jsonb *past_kept_marks(const Sql *sql, const InstanceKey *key, int32 revision, Jsonb *own);
extern void past_free(PastRevision *past);
extern Jsonb *past_params_kept(const char *project, const PastRevision *past);
extern const Jsonb *past_params(PastConfigs *configs, const PastRevision *past);
extern Jsonb *past_parameters(const InstanceKey *key);
extern Jsonb *past_overrides(const InstanceKey *key, const PastRevision *past);

#endif							/* PROMOTE_PROMOTION_PAST_H */
