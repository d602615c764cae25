/*
 * archived.c: environments that are over, whose instances every verb refuses.
 *
 * A session keeps of each environment that it has asked about whether that is archived, and forgets all of them when
 * one is archived or opened, which it is told as of changes of a table.  So a verb asks twice and reads once at most:
 * before it locks an instance, and with the lock in hand, for it may have waited for whoever has archived.  That told
 * it before it released its locks.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "ledger/guard.h"
#include "registry/archived.h"

PG_FUNCTION_INFO_V1(promote_refuse_archived);

/* The table by which sessions are told; no plan of a busy statement depends on it. */
#define TOLD_BY "environment_generation"

#define MOST_KNOWN 4096			/* environments, of a session */

/* An environment. */
typedef struct EnvironmentName
{
	char		project[NAME_MAX_LENGTH + 1];
	char		environment[NAME_MAX_LENGTH + 1];
} EnvironmentName;

/* What is known of one. */
typedef struct Known
{
	EnvironmentName name;		/* the key */
	bool		archived;
} Known;

static HTAB *known = NULL;		/* of Known */
static bool is_stale = true;	/* has one been archived or opened since they were read? */
static Oid	told_by = InvalidOid;

/* Forget them. */
static void
forget(Datum argument, Oid relation)
{
	if (relation == InvalidOid || relation == told_by)
		is_stale = true;
}

/* Tell this session now, and all others at commit, that an environment was archived or opened. */
void
archived_changed(void)
{
	CacheInvalidateRelcacheByRelid(table_oid(TOLD_BY));
}

/* An environment's name as a hash key. */
static EnvironmentName
name_of(const char *project, const char *environment)
{
	EnvironmentName name;

	memset(&name, 0, sizeof(name));
	strlcpy(name.project, project, sizeof(name.project));
	strlcpy(name.environment, environment, sizeof(name.environment));
	return name;
}

/* Begin to know anew. */
static void
begin_anew(void)
{
	HASHCTL		control = {
		.keysize = sizeof(EnvironmentName),.entrysize = sizeof(Known),.hcxt = TopMemoryContext
	};

	if (known)
		hash_destroy(known);
	else
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
	known = NULL;
	told_by = table_oid(TOLD_BY);
	known = hash_create("promote archived environments", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	is_stale = false;
}

/* Read whether an environment is archived; one that is not there is not. */
static bool
read_archived(const EnvironmentName *name)
{
	static Statement read = {"SELECT e.archived_at IS NOT NULL FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2"};
	SqlRows		rows;
	Sql			sql;
	bool		archived;

	sql_enter(&sql);
	/* a command begins none of its own here: other triggers must not see what it has written */
	sql_push_committed();
	rows = sql_read(&sql, &read, AS_TEXT(name->project), AS_TEXT(name->environment));
	PopActiveSnapshot();
	archived = rows.count > 0 && sql_bool(&rows, 0);
	sql_leave(&sql);
	return archived;
}

/* Is an environment archived, by what is committed now? */
static bool
is_archived(const char *project, const char *environment)
{
	EnvironmentName name = name_of(project, environment);
	Known	   *found = NULL;

	AcceptInvalidationMessages();
	while (found == NULL)
	{
		bool		archived;

		if (known == NULL || is_stale || hash_get_num_entries(known) >= MOST_KNOWN)
			begin_anew();
		found = hash_search(known, &name, HASH_FIND, NULL);
		if (found)
			break;
		archived = read_archived(&name);
		/* what changes while it is read is read once more */
		if (is_stale)
			continue;
		found = hash_search(known, &name, HASH_ENTER, NULL);
		found->archived = archived;
	}
	return found->archived;
}

/* Refuse an archived environment: PM_ARCHIVED. */
void
refuse_archived(const InstanceKey *key)
{
	ereport(ERROR,
			(errcode(PM_ARCHIVED),
			 errmsg("environment \"%s-%s\" is archived", key->project, key->environment),
			 errdetail("Its history is there, and nothing is done with it any more."),
			 errhint("Open the name again by promote.register_environment, or as a fork by promote.fork_environment.")));
}

/* Refuse an instance, or an environment, that is archived: PM_ARCHIVED. */
void
require_in_use(const InstanceKey *key)
{
	if (is_archived(key->project, key->environment))
		refuse_archived(key);
}

/*
 * promote_internal.refuse_archived() returns trigger
 *
 * BEFORE INSERT or UPDATE, for each row: refuses rows about an archived environment; the trigger's arguments are the
 * columns that name one.  What promote writes, what is loaded and what is applied passes; of the latter, an environment
 * may have been archived, or opened.
 */
Datum
promote_refuse_archived(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	const Trigger *trigger = data->tg_trigger;
	HeapTuple	row = trigger_row(data);
	InstanceKey key = {.project = trigger_text(data, row, "project")};

	if (trigger_is_applied(fcinfo))
	{
		if (!trigger_is_null(data, row, "archived_at") || !trigger_is_null(data, data->tg_trigtuple, "archived_at"))
			archived_changed();
		return trigger_pass(fcinfo);
	}
	if (loading_rows() && !trigger_is_null(data, row, "archived_at"))
		archived_changed();
	for (int i = 0; i < trigger->tgnargs && key.project && !errand()->records && !loading_rows(); i++)
	{
		key.environment = trigger_text(data, row, trigger->tgargs[i]);
		if (key.environment)
			require_in_use(&key);
	}
	return PointerGetDatum(row);
}
