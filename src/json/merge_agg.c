/*
 * merge_agg.c: the steps of aggregates that merge, where SQL cannot name one.
 */
#include "postgres.h"

#include "json/merge.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(promote_jsonb_deep_merge_transition);

/* promote.jsonb_deep_merge_transition(target jsonb, patch jsonb) returns jsonb */
Datum
promote_jsonb_deep_merge_transition(PG_FUNCTION_ARGS)
{
	static const JsonMergeRules rules = {JSON_NULL_IS_VALUE, JSON_ARRAYS_REPLACE, NULL, 0};

	PG_RETURN_JSONB_P(json_merge(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1), &rules));
}
