/*
 * status.c: what the view of instances' status needs and SQL has no words for.
 */
#include "postgres.h"

#include "base/sql.h"
#include "grant/grants.h"
#include "json/render.h"
#include "ledger/config_digest.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(promote_rendered_digest);

/* Read a configuration and render it; NULL where it is not there. */
static Jsonb *
read_rendered(const Sql *sql, Datum *values)
{
	static OldStatement read = {
		.text = "SELECT c.params, e.parameters FROM promote.config AS c, promote.environment AS e"
		" WHERE c.project = $1 AND c.digest = $3 AND e.project = $1 AND e.environment = $2",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, BYTEAOID}
	};

	statement_run(sql, &read, values, NULL, true);
	return SPI_processed > 0 ? json_render(spi_jsonb(SPI_tuptable, 0, 1), spi_jsonb(SPI_tuptable, 0, 2), true) : NULL;
}

/*
 * promote_internal.rendered_digest(project text, environment text, digest bytea) returns bytea
 *
 * Of what is stored only: of a document that is passed it would be an oracle.
 */
Datum
promote_rendered_digest(PG_FUNCTION_ARGS)
{
	Datum		values[3] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	char	   *project = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bytea	   *digest = NULL;
	Jsonb	   *rendered;
	Sql			sql;

	if (!access_allowed(ACCESS_ROWS, project, text_to_cstring(PG_GETARG_TEXT_PP(1))))
		PG_RETURN_NULL();
	sql_enter(&sql);
	rendered = read_rendered(&sql, values);
	if (rendered)
	{
		MemoryContext inner = MemoryContextSwitchTo(sql.caller);

		digest = config_digest(project, rendered);
		MemoryContextSwitchTo(inner);
	}
	sql_leave(&sql);
	if (digest == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(digest);
}
