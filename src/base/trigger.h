/*
 * trigger.h: the checks that every trigger function begins with, and reading its rows.
 */
#ifndef PROMOTE_BASE_TRIGGER_H
#define PROMOTE_BASE_TRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

extern TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *function,
								 const char *table, TriggerEvent timing);
extern HeapTuple trigger_row(const TriggerData *data);

/*
 * Columns of a row of the trigger's table, by name, in the current memory context.  NULL
 * becomes NULL, 0, false or DT_NOEND, and so does a column that the table does not have.
 */
extern Datum trigger_value(const TriggerData *data, HeapTuple row, const char *column, bool *isnull);
extern bool trigger_is_null(const TriggerData *data, HeapTuple row, const char *column);
extern char *trigger_text(const TriggerData *data, HeapTuple row, const char *column);
extern int32 trigger_int(const TriggerData *data, HeapTuple row, const char *column);
extern bool trigger_bool(const TriggerData *data, HeapTuple row, const char *column);
extern TimestampTz trigger_time(const TriggerData *data, HeapTuple row, const char *column);
extern Jsonb *trigger_jsonb(const TriggerData *data, HeapTuple row, const char *column);

extern bool trigger_differs(const TriggerData *data, const char *column);
extern HeapTuple trigger_with(const TriggerData *data, HeapTuple row, const char *column, Datum value);
extern bool same_value(Datum a, Datum b, bool byval, int16 length);

#endif							/* PROMOTE_BASE_TRIGGER_H */
