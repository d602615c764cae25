/*
 * trigger.c: what every trigger function checks first.
 *
 * Whoever owns a table can attach any trigger function to it.  Ours know the
 * columns of the tables they were made for, and refuse all others.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/trigger.h"

/*
 * The trigger's data, if the function was called as a trigger of the table
 * promote.<table> (NULL: of any table of that schema) at the given timing and
 * level; otherwise an error of the trigger protocol.
 */
TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *function, const char *table,
			 TriggerEvent timing)
{
	const TriggerEvent mask = TRIGGER_EVENT_TIMINGMASK | TRIGGER_EVENT_ROW;
	TriggerData *data = (TriggerData *) fcinfo->context;
	char	   *schema;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	schema = get_namespace_name(RelationGetNamespace(data->tg_relation));
	if (schema == NULL || strcmp(schema, "promote") != 0 ||
		(table && strcmp(RelationGetRelationName(data->tg_relation), table) != 0) ||
		(data->tg_event & mask) != timing)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not made for this trigger", function)));
	return data;
}
