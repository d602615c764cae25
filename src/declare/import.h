/*
 * import.h: a document of histories that is being imported.
 */
#ifndef PROMOTE_DECLARE_IMPORT_H
#define PROMOTE_DECLARE_IMPORT_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/batch.h"
#include "base/sql.h"
#include "compose/compose.h"
#include "ledger/audit.h"
#include "parse/name.h"
#include "promotion/deployment.h"

struct ImportedInstance;

/* What was desired. */
typedef struct ImportedRevision
{
	/* as the document has it; NULL, or 0, where it does not */
	Jsonb	   *params;
	char	   *said_version;
	char	   *said_constraint;
	char	   *actor;
	char	   *said_at;
	char	   *message;
	char	   *origin;
	char	   *source_environment;
	int32		source_revision;

	/* as it is judged */
	const struct ImportedInstance *of;
	int32		number;
	TimestampTz at;
	char	   *version_constraint;
	char	   *release_channel;
	bytea	   *digest;
	const struct ImportedRevision *source;	/* in the same document; NULL: none */

	/* as it is found, see import_find */
	char	   *version;		/* NULL: there is no such release */
	bool		fits;			/* does the constraint allow it? */
	Jsonb	   *schema;
	int64		source_at;		/* of a source that is not in the document; DT_NOEND: there is none */
	Jsonb	   *source_params;
	Jsonb	   *source_parameters;
	Jsonb	   *source_kept;
	Jsonb	   *source_schema;

	/* as it is rendered now */
	Jsonb	   *rendered;
	bytea	   *rendered_digest;
	Jsonb	   *kept;			/* paths that stay marked; NULL: none */
} ImportedRevision;

/* What was carried out. */
typedef struct ImportedDeployment
{
	/* as the document has it; NULL where it does not */
	int32		revision;
	DeploymentAction action;
	char	   *said_version;
	char	   *outcome;
	char	   *actor;
	char	   *approved_by;
	char	   *worker;
	char	   *said_requested_at;
	char	   *said_started_at;
	char	   *said_finished_at;
	char	   *message;
	char	   *reason;

	/* as it is judged */
	const struct ImportedInstance *of;
	int32		number;
	DeploymentStatus status;
	const char *version;
	TimestampTz requested_at;
	TimestampTz started_at;		/* DT_NOEND: never */
	TimestampTz finished_at;
	const struct ImportedDeployment *base;	/* that it started from; NULL: nothing ran */
	bool		is_there;		/* is the release? */
} ImportedDeployment;

/* An instance of the document. */
typedef struct ImportedInstance
{
	InstanceKey key;
	const char *name;
	int32		revision_count;
	int32		deployment_count;
	ImportedRevision *revisions;
	ImportedDeployment *deployments;

	/* as it is found */
	int32		revision;		/* 0: it has no history, as deployment */
	int32		deployment;
	int32		imported_revisions; /* that it has already */
	int32		imported_deployments;
	char	   *bundle;
	int64		opened_at;		/* of the environment; DT_NOEND: it was opened once */
	Jsonb	   *parameters;		/* of the environment */

	/* where its history leaves it */
	const ImportedDeployment *deployed_by;	/* NULL: nothing runs */
	const ImportedDeployment *changed_by;	/* NULL: nothing was ever carried out */
	AuditHead	head;
} ImportedInstance;

/* A call. */
typedef struct Import
{
	const Sql  *sql;
	const Jsonb *document;
	const char *project;
	const char *message;		/* NULL: none */
	int			count;
	ImportedInstance *instances;	/* in the order of their keys */
	int			revision_count;
	ImportedRevision *revisions;	/* those of the first instance, then of the next */
	int			deployment_count;
	ImportedDeployment *deployments;	/* likewise */
} Import;

/* Does an instance get its history, or was it imported before? */
static inline bool
import_is_new(const ImportedInstance *of)
{
	return of->revision == 0 && of->deployment == 0;
}

/* declare/import_judge.c */
extern const char *import_status(const ImportedInstance *of);
extern void import_find(Import *import);
extern void import_judge(Import *import);

/* declare/import_write.c */
extern void import_refuse_others(const Import *import);
extern void import_write(const Import *import);

#endif							/* PROMOTE_DECLARE_IMPORT_H */
