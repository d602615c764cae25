/*
 * dependency.c: which components depend on which.
 *
 * The dependencies of a project form no cycle, see walk.c.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/errors.h"
#include "base/sql.h"
#include "base/trigger.h"
#include "registry/walk.h"

PG_FUNCTION_INFO_V1(promote_check_dependencies);

/* Refuse dependencies that close a cycle. */
static void
refuse_cycle(const char *project, const char *chain)
{
	ereport(ERROR,
			(errcode(PM_CYCLE),
			 errmsg("the components of project \"%s\" would depend on each other in a cycle", project),
			 errdetail("The cycle is %s.", chain),
			 errhint("Leave one of these dependencies out: what is needed first cannot wait for what needs it.")));
}

/*
 * promote_internal.check_dependencies() returns trigger
 *
 * AFTER INSERT, and AFTER UPDATE, of component_dependency, for each statement, with the
 * transition table new_dependency.
 */
Datum
promote_check_dependencies(PG_FUNCTION_ARGS)
{
	static const SqlField fields[] = {
		SQL_FIELD(WalkStart, project, "n.project"), SQL_FIELD(WalkStart, name, "n.depends_on")
	};
	static Statement read = SQL_ROWS(fields, "SELECT DISTINCT $* FROM new_dependency AS n ORDER BY 1, 2");
	static Statement depends_on = {"SELECT d.depends_on FROM promote.component_dependency AS d"
		" WHERE d.project = $1 AND d.component = $2 ORDER BY d.depends_on"};
	TriggerData *data = trigger_data(fcinfo, "component_dependency", TRIGGER_EVENT_AFTER);

	walk_check(data, "check_dependencies", &read, &depends_on, refuse_cycle);
	return PointerGetDatum(NULL);
}
