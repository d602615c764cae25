/*
 * dependency.c: the gate "dependency", by which what is queued waits for other components.
 *
 * It judges what waits in the queue, and nothing else: deploying is not refused because a
 * component that is needed first has work to do, or has failed, for both may be mended by what
 * is queued together with it.
 */
#include "postgres.h"

#include "gate/gate.h"

/* What is waited for: a row of promote_internal.awaited. */
typedef struct Awaited
{
	char	   *component;
	int32		deployment;
	char	   *status;
	TimestampTz since;			/* GATE_NO_TIME: not known */
} Awaited;

static const SqlField awaited_fields[] = {
	SQL_FIELDS(Awaited, "w", component, deployment, status, since)
};

/* Block for what is waited for. */
static void
block(GateCase *gate, const Awaited *awaited)
{
	InstanceKey other = gate->key;
	bool		failed = strcmp(awaited->status, "FAILED") == 0;
	char	   *name;

	other.component = awaited->component;
	name = instance_key_name(&other);
	gate_block(gate, "dependency", psprintf("%s %d", awaited->component, awaited->deployment), awaited->since,
			   GATE_NO_TIME, failed ? psprintf("whoever mends \"%s\"", name) : psprintf("the worker of \"%s\"", name),
			   psprintf("deployment %d of \"%s\", which %s, %s", awaited->deployment, name,
						gate_provisions(gate) ? "it depends on" : "depends on it",
						failed ? "has failed" : psprintf("is %s and comes first", awaited->status)));
}

/* Gate "dependency": what is queued waits for the components that come before it. */
void
gate_dependency(const Sql *sql, GateCase *gate)
{
	static Statement read = SQL_ROWS(awaited_fields, "SELECT $* FROM promote_internal.awaited($1, $2, $3, $4) AS w"
									 " ORDER BY w.component");
	SqlRows		rows;
	Awaited		awaited;

	if (gate->deployment == 0)
		return;
	rows = sql_read(sql, &read, AS_KEY(&gate->key), AS_INT(gate->deployment));
	for (uint64 i = 0; sql_row(&rows, i, &awaited); i++)
		block(gate, &awaited);
}
