/*
 * rule.c: no gap between what gates look at and what is done by it.
 *
 * Who is judged by an environment's rules holds its row FOR SHARE to the end
 * of the transaction, and who changes the rules locks it against that.  So
 * the one waits for the other; and what is judged is read by a snapshot that
 * is taken after the lock, see gate.c.
 */
#include "postgres.h"

#include "rule.h"
#include "spi.h"
#include "stage.h"
#include "trigger.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(promote_lock_scope);

/*
 * Lock the environments that a rule is about against being judged by, in key
 * order; NULL: all.  Runs inside a scope of spi.h.
 */
void
rule_lock(const char *project, const char *environment)
{
	static Statement lock = {
		.text = "SELECT FROM promote.environment AS e WHERE ($1 IS NULL OR e.project = $1)"
		" AND ($2 IS NULL OR e.environment = $2) ORDER BY e.project, e.environment FOR NO KEY UPDATE",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	bool		nulls[2] = {project == NULL, environment == NULL};
	Datum		values[2] = {
		project ? CStringGetTextDatum(project) : (Datum) 0,
		environment ? CStringGetTextDatum(environment) : (Datum) 0
	};

	statement_run(&lock, values, nulls, false);
}

/* The environment that what an instance desires was promoted from; NULL: none. */
static char *
source_of(const InstanceKey *key)
{
	static Statement read = {
		.text = "SELECT NULLIF(r.source_environment, r.environment)::pg_catalog.text FROM promote.instance AS i"
		" JOIN promote.revision AS r ON " SAME_INSTANCE("r", "i") " AND r.revision = i.revision"
		" WHERE " OF_INSTANCE("i"),
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		values[3];

	instance_key_values(key, values);
	statement_run(&read, values, NULL, false);
	return SPI_processed > 0 ? spi_text(SPI_tuptable, 0, 1) : NULL;
}

/*
 * Lock what a deployment of the instance is judged by: the environment's
 * rules, and then the instance and the source of what it desires, in key
 * order.  Another source that it has got in the meantime is locked behind it.
 * Runs inside a scope of spi.h.
 */
void
rule_lock_case(const InstanceKey *key)
{
	static Statement lock = {
		.text = "SELECT FROM promote.environment AS e WHERE e.project = $1 AND e.environment = $2 FOR SHARE",
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[3];
	InstanceKey source = *key;
	char	   *now;

	instance_key_values(key, values);
	statement_run(&lock, values, NULL, false);
	source.environment = source_of(key);
	if (source.environment && instance_key_compare(&source, key) < 0)
		stage_lock(&source, false);
	stage_lock(key, true);
	if (source.environment && instance_key_compare(&source, key) > 0)
		stage_lock(&source, false);
	now = source_of(key);
	if (now && (source.environment == NULL || strcmp(now, source.environment) != 0))
	{
		source.environment = now;
		stage_lock(&source, false);
	}
}

/* A text column of a row, by its name; NULL where it is NULL, or there is none. */
static char *
column_text(HeapTuple row, TupleDesc row_type, const char *name)
{
	int			number = SPI_fnumber(row_type, name);

	return number > 0 ? SPI_getvalue(row, row_type, number) : NULL;
}

/* Lock what a row of a table of rules is about. */
static void
lock_row(TriggerData *data, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *environment = column_text(row, row_type, "environment");

	if (environment == NULL)
		environment = column_text(row, row_type, "destination_environment");
	rule_lock(column_text(row, row_type, "project"), environment);
}

/*
 * promote.lock_scope() returns trigger
 *
 * BEFORE INSERT, UPDATE or DELETE of a table of rules, for each row.
 */
Datum
promote_lock_scope(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "lock_scope", NULL,
									 TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	bool		update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	SpiScope	scope;

	spi_enter(&scope);
	lock_row(data, data->tg_trigtuple);
	if (update)
		lock_row(data, data->tg_newtuple);
	spi_leave(&scope);
	return PointerGetDatum(update ? data->tg_newtuple : data->tg_trigtuple);
}
