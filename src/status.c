/*
 * status.c: what the view of instances' status needs and SQL has no words for.
 */
#include "postgres.h"

#include "json/digest.h"
#include "json/render.h"

#include "fmgr.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(promote_rendered_digest);

/* promote.rendered_digest(params jsonb, parameters jsonb) returns bytea */
Datum
promote_rendered_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(json_digest(json_render(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1), true)));
}
