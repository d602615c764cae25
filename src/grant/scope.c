/*
 * scope.c: where a grant or a rule holds, as the keys of these tables have it.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/trigger.h"

/*
 * promote_internal.fill_scope() returns trigger
 *
 * BEFORE INSERT or UPDATE of grants and of rules, for each row: makes scope of the row's project and
 * environment, whatever the statement says: ecomm-production, ecomm-*, *-production, *-*.
 */
Datum
TRIGGER_FUNCTION(promote_fill_scope)
{
	TriggerData *data = trigger_data(fcinfo, NULL, TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	HeapTuple	row = trigger_row(data);
	char	   *project = trigger_text(data, row, "project");
	char	   *environment = trigger_text(data, row, "environment");
	char	   *scope = psprintf("%s-%s", project ? project : "*", environment ? environment : "*");

	return PointerGetDatum(trigger_with(data, row, "scope", CStringGetTextDatum(scope)));
}
