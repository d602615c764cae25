/*
 * reopen.c: opening names that are taken by what is over.
 *
 * The name of an archived environment is opened as its next generation, as fork.c does, but like a new environment,
 * which was forked from nothing.
 */
#include "postgres.h"

#include "declare/reopen.h"
#include "environment/environment.h"
#include "json/builder.h"
#include "json/reader.h"
#include "ledger/guard.h"
#include "registry/archived.h"

/* A string of an object. */
static char *
member(const Jsonb *object, const char *name)
{
	JsonbValue	value;

	(void) json_find_in(object, name, &value);
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Tell the chains of instances that begin anew. */
static void
tell_opened(const Sql *sql, const InstanceKey *key, const SqlRows *opened, int32 generation)
{
	ToldInstance *told = palloc(Max(opened->count, 1) * sizeof(ToldInstance));
	JsonBuilder facts;
	Jsonb	   *document;

	audit_begin(&facts);
	json_build_number(&facts, "generation", generation);
	document = json_builder_finish(&facts);
	for (uint64 i = 0; i < opened->count; i++)
		told[i] = (ToldInstance) {{key->project, key->environment, sql_text(opened, i)}, document};
	environment_tell(sql, "instance.opened", told, opened->count);
}

/* Open the name of an archived environment, with nothing but defaults.  False: there is no such environment. */
bool
reopen_environment(const Sql *sql, const Jsonb *given)
{
	static Statement look = {"SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2"
		" AND e.archived_at IS NOT NULL"};
	static Statement open = {"SELECT o.generation FROM promote_internal.open_environment($1, $2, NULL, '{}', NULL) AS o"};
	static Statement parameters = {"SELECT promote_internal.open_parameters($1, NULL, $2, '{}')"};
	static Statement clear = {"SELECT promote_internal.clear_environment($1, $2)"};
	static Statement instances = {"SELECT o.component FROM promote_internal.open_instances($1, NULL, $2, '{}') AS o"};
	InstanceKey key = {.project = member(given, "project"),.environment = member(given, "environment")};
	SqlRows		rows;
	int32		generation;

	if (sql_run(sql, &look, AS_ENVIRONMENT(&key)).count == 0)
		return false;
	rows = guarded_run(sql, &open, AS_ENVIRONMENT(&key));
	if (rows.count == 0)
		return false;
	generation = sql_int(&rows, 0);
	archived_changed();
	guarded_run(sql, &parameters, AS_ENVIRONMENT(&key));
	environment_lock_instances(sql, &key);
	/* what was written while it was archived by whoever did not know that yet */
	guarded_run(sql, &clear, AS_ENVIRONMENT(&key));
	rows = guarded_run(sql, &instances, AS_ENVIRONMENT(&key));
	tell_opened(sql, &key, &rows, generation);
	return true;
}
